/* SPDX-License-Identifier: MIT */
/*
 * The shortest ways through a guest kernel: what is measured is then the
 * hypervisor's path and next to nothing of the guest's.
 */
#define __ASSEMBLY__ 1
#include <xen/xen.h>

    .text

/* On top: rcx, r11, rip, cs, rflags, rsp, ss.  Goes back at once. */
    .globl bench_syscall
bench_syscall:
    pop     %rcx
    pop     %r11
    push    bench_iret_flags(%rip)
    push    %rcx
    push    %r11
    push    %rax
    mov     $__HYPERVISOR_iret, %eax
    syscall

/* On top: rcx, r11, error code, rip, ...  Goes back past the faulting instruction, which has
 * three bytes. */
    .globl bench_page_fault
bench_page_fault:
    pop     %rcx
    pop     %r11
    addq    $3, 8(%rsp)
    movq    $0, (%rsp)
    push    %rcx
    push    %r11
    push    %rax
    mov     $__HYPERVISOR_iret, %eax
    syscall

/* The same, and notes when it was entered. */
    .globl bench_page_fault_noted
bench_page_fault_noted:
    rdtsc
    shl     $32, %rdx
    or      %rdx, %rax
    mov     %rax, bench_fault_tsc(%rip)
    jmp     bench_page_fault

/* The upcall: takes every pending event to be dealt with. */
    .globl bench_event
bench_event:
    mov     shared_info(%rip), %rcx
    movb    $0, (%rcx)
    movq    $0, 8(%rcx)
    mov     bench_event_word(%rip), %rcx
    movq    $0, (%rcx)
    pop     %rcx
    pop     %r11
    push    $0
    push    %rcx
    push    %r11
    push    %rax
    mov     $__HYPERVISOR_iret, %eax
    syscall

    .section .note.GNU-stack, "", @progbits
