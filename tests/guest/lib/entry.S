/* SPDX-License-Identifier: MIT */
/*
 * Where the hypervisor enters a guest: at its start, at the start of another
 * vCPU, and at every exception, event and system call.
 *
 * All of the latter find rcx and r11 on top of the stack, then an error code
 * where the exception has one, then rip, cs, rflags, rsp, ss.  They are brought
 * to the form of struct regs (guest.h), handed to trap_dispatch(), and left by
 * the iret hypercall.
 */
#define __ASSEMBLY__ 1
#include <xen/xen.h>
#include <xen/elfnote.h>
#include <xen/features.h>

#include "layout.h"

.macro elfnote type, desc:vararg
    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 2f - 1f, 4f - 3f, \type
1:  .asciz "Xen"
2:  .balign 4
3:  \desc
4:  .balign 4
    .popsection
.endm

elfnote XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
elfnote XEN_ELFNOTE_GUEST_OS, .asciz "mansio-test"
elfnote XEN_ELFNOTE_GUEST_VERSION, .asciz "1"
elfnote XEN_ELFNOTE_LOADER, .asciz "generic"
elfnote XEN_ELFNOTE_FEATURES, .asciz "!writable_page_tables|pae_pgdir_above_4gb"
elfnote XEN_ELFNOTE_SUPPORTED_FEATURES, .long (1 << XENFEAT_writable_page_tables) | (1 << XENFEAT_dom0)
elfnote XEN_ELFNOTE_PAE_MODE, .asciz "yes"
elfnote XEN_ELFNOTE_VIRT_BASE, .quad VIRT_BASE
elfnote XEN_ELFNOTE_PADDR_OFFSET, .quad 0
elfnote XEN_ELFNOTE_ENTRY, .quad guest_entry
elfnote XEN_ELFNOTE_INIT_P2M, .quad INIT_P2M
elfnote XEN_ELFNOTE_MOD_START_PFN, .long 1
elfnote XEN_ELFNOTE_L1_MFN_VALID, .quad 1, 1

    .text

/* First vCPU: rsi is the address of start_info. */
    .globl guest_entry
guest_entry:
    rdtsc
    shl     $32, %rdx
    or      %rax, %rdx
    mov     %rdx, first_tsc(%rip)
    cld
    lea     cpu_stacks + CPU_STACK_SIZE(%rip), %rsp
    mov     %rsi, %rdi
    xor     %ebp, %ebp
    call    guest_main
    ud2

/* Another vCPU: rsp is the top of its stack, rdi its struct cpu. */
    .globl ap_entry
ap_entry:
    xor     %ebp, %ebp
    call    ap_main
    ud2

/* The hypervisor has taken rcx and r11 to pass its own; entries put them back first. */
.macro trap_entry number, has_error=0
    .balign 16
    pop     %rcx
    pop     %r11
    .if !\has_error
    push    $0
    .endif
    push    $\number
    jmp     trap_common
.endm

    .balign 16
    .globl trap_entries
trap_entries:
    .set vector, 0
    .rept 32
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
    trap_entry vector, 1
    .else
    trap_entry vector, 0
    .endif
    .set vector, vector + 1
    .endr
    .balign 16

    .globl entry_int80, entry_syscall, entry_event, entry_failsafe, entry_syscall32, entry_sysenter
entry_int80:
    trap_entry 0x80
entry_syscall:
    trap_entry ENTRY_SYSCALL
entry_event:
    trap_entry ENTRY_EVENT
entry_syscall32:
    trap_entry ENTRY_SYSCALL32
entry_sysenter:
    trap_entry ENTRY_SYSENTER

/* The failsafe frame has ds, es, fs and gs between r11 and rip. */
    .balign 16
entry_failsafe:
    pop     %rcx
    pop     %r11
    pop     failsafe_selectors(%rip)
    pop     failsafe_selectors + 8(%rip)
    pop     failsafe_selectors + 16(%rip)
    pop     failsafe_selectors + 24(%rip)
    push    $0
    push    $ENTRY_FAILSAFE
    /* fall through */

trap_common:
    push    %rdi
    push    %rsi
    push    %rdx
    push    %rcx
    push    %rax
    push    %r8
    push    %r9
    push    %r10
    push    %r11
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    cld
    mov     %rsp, %rdi
    call    trap_dispatch
    mov     %rsp, %rdi
    /* fall through */

/* Go to the state at rdi (struct regs); the stack is taken over. */
    .globl regs_resume
regs_resume:
    mov     %rdi, %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    pop     %r11
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rax
    pop     %rcx
    pop     %rdx
    pop     %rsi
    pop     %rdi
    add     $8, %rsp                /* the vector; the error word serves as the iret flags */
    push    %rcx
    push    %r11
    push    %rax
    mov     $__HYPERVISOR_iret, %eax
    syscall
    ud2

/*
 * long context_save(struct context *rdi): 0 now, and the value given to
 * context_restore() when that comes back here.
 */
    .globl context_save
context_save:
    pop     %rdx
    mov     %rbx, (%rdi)
    mov     %rbp, 8(%rdi)
    mov     %r12, 16(%rdi)
    mov     %r13, 24(%rdi)
    mov     %r14, 32(%rdi)
    mov     %r15, 40(%rdi)
    mov     %rsp, 48(%rdi)
    mov     %rdx, 56(%rdi)
    xor     %eax, %eax
    jmp     *%rdx

/* void context_restore(struct context *rdi, long rsi) */
    .globl context_restore
context_restore:
    mov     (%rdi), %rbx
    mov     8(%rdi), %rbp
    mov     16(%rdi), %r12
    mov     24(%rdi), %r13
    mov     32(%rdi), %r14
    mov     40(%rdi), %r15
    mov     48(%rdi), %rsp
    mov     %rsi, %rax
    jmp     *56(%rdi)

    .section .note.GNU-stack, "", @progbits
