/* SPDX-License-Identifier: MIT */
/*
 * The other CPUs' way from the start-up interrupt to C.
 *
 * The first part is a template that smp.c copies to a page below 1 MiB and
 * completes.  It is only read and run there, at its physical address, which
 * the page tables map one to one.  It uses no stack.
 */
#include "asm-offsets.h"
#include "x86/asm.h"
#include "x86/regs.h"

#define MSR_EFER        0xc0000080
#define EFER_BITS       0x900           /* NXE, LME */

    .section .init.rodata, "a"
    .code16
    .balign 16
    .globl  trampoline_start, trampoline_end, trampoline_gdt_base
    .globl  trampoline_jump_32, trampoline_jump_64, trampoline_cr3

/* Real mode; cs is the page. */
trampoline_start:
    cli
    mov     %cs, %ax
    mov     %ax, %ds
    lgdtl   trampoline_gdt_pointer - trampoline_start
    mov     $(CR0_PE | CR0_ET | CR0_NE), %eax
    mov     %eax, %cr0
    .byte   0x66, 0xea                  /* ljmpl $0x08, $1f */
trampoline_jump_32:
    .long   1f - trampoline_start
    .short  0x08

    .code32
1:  mov     $0x18, %eax
    mov     %eax, %ds
    mov     %eax, %ss
    mov     $(CR4_PAE | CR4_PGE), %eax
    mov     %eax, %cr4
    .byte   0xb8                        /* mov $cr3, %eax */
trampoline_cr3:
    .long   0
    mov     %eax, %cr3
    mov     $MSR_EFER, %ecx
    mov     $EFER_BITS, %eax
    xor     %edx, %edx
    wrmsr
    mov     $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
    mov     %eax, %cr0
    .byte   0xea                        /* ljmp $0x10, $1f */
trampoline_jump_64:
    .long   1f - trampoline_start
    .short  0x10

    .code64
1:  movabs  $ap_entry, %rax
    jmp     *%rax

    .balign 8
trampoline_gdt:
    .quad   0
    .quad   0x00cf9b000000ffff          /* 0x08: code, 32 bits */
    .quad   0x00af9b000000ffff          /* 0x10: code, 64 bits */
    .quad   0x00cf93000000ffff          /* 0x18: data */
trampoline_gdt_pointer:
    .short  . - trampoline_gdt - 1
trampoline_gdt_base:
    .long   trampoline_gdt - trampoline_start
trampoline_end:

/* In the image now.  Our APIC id tells which CPU we are, and so which block is ours. */
    .section .init.text, "ax"
ap_entry:
    mov     $1, %eax
    cpuid
    shr     $24, %ebx
    mov     %ebx, %edi
    xor     %eax, %eax
    cpuid
    cmp     $0xb, %eax
    jb      1f
    mov     $0xb, %eax
    xor     %ecx, %ecx
    cpuid
    test    %ebx, %ebx
    jz      1f
    mov     %edx, %edi                  /* all 32 bits of it */

1:  lea     smp_apic_ids(%rip), %rsi
    xor     %ecx, %ecx
2:  cmp     %edi, (%rsi, %rcx, 4)
    je      3f
    inc     %ecx
    cmp     smp_nr_cpus(%rip), %ecx
    jb      2b
    cli
    hlt                                 /* nobody has called us */

3:  lea     cpus(%rip), %rsi
    mov     (%rsi, %rcx, 8), %rsp
    xor     %ebp, %ebp
    call    smp_ap_main

    .section .note.GNU-stack, "", @progbits
