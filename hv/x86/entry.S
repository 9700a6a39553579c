/* SPDX-License-Identifier: MIT */
/*
 * The way in from guests and out to them, and exceptions of our own code.
 *
 * In ring 3 the TSS's rsp0 (and the SYSCALL stubs, x86/desc.c) point to the
 * end of the register frame in the running struct vcpu, so all pushes build
 * `struct cpu_user_regs` in place.  Then the stack is switched to the CPU's
 * own, whose top is struct cpu: vcpu->cpu is that address.  Between guests
 * nothing is on that stack.
 *
 * The way out runs with rsp at struct cpu.  SYSRET is left to by popping the
 * vCPU's frame itself, as it cannot fault; for IRET, which can, the five words
 * are copied to the CPU's stack, so that the frame is intact if it does.
 *
 * Interrupts are off throughout.
 */
#include "asm-offsets.h"
#include "x86/asm.h"
#include "x86/desc.h"
#include "x86/regs.h"
#include "x86/vectors.h"

    .section .text.entry, "ax"

.macro SAVE_REGS
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
.endm

.macro POP_REGS
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
.endm

/*
 * What the guest had in registers must not steer our speculation.  These are
 * the ones that C keeps over calls; the others are written before long.
 */
.macro FORGET_REGS
    xor     %ebp, %ebp
    xor     %r12d, %r12d
    xor     %r13d, %r13d
    xor     %r14d, %r14d
    xor     %r15d, %r15d
.endm

/*
 * Fill the return predictor with targets of ours.  With SMEP, which keeps us
 * from running guests' pages even speculatively, theirs do no harm.  32 calls
 * on every processor without: that some have but 12 or 16 entries is what their
 * makers say of the real ones, and the model that we are told may be made up.
 * Needs 256 bytes of stack.
 */
.macro STUFF_RETURNS
    ALT_BEGIN
    .rept 32
    call    1f
    int3
1:
    .endr
    add     $256, %rsp
    ALT_UNLESS FEATURE_SMEP
.endm

/* rsp, anywhere in the CPU's block, to its struct cpu. */
.macro STACK_RESET
    or      $(CPU_BLOCK_BYTES - 1), %rsp
    sub     $(CPU_BYTES - 1), %rsp
.endm

/*
 * The IDT's targets, 16 bytes each: complete the frame by error code and
 * vector, and go on.  The exceptions that can strike where rsp is not ours
 * (with #DB this includes SYSCALL behind a load of SS) have stacks of their own.
 */
    .globl entry_stubs
    .balign 16
entry_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    push    $0
    .endif
    movl    $vector, 4(%rsp)
    .if (vector == VEC_DB) || (vector == VEC_NMI) || (vector == VEC_DF) || (vector == VEC_MC)
    jmp     entry_own_stack
    .elseif vector < 32
    jmp     entry_exception
    .else
    jmp     entry_interrupt
    .endif
    .set vector, vector + 1
    .endr

/* From a guest, frame complete: to the CPU's stack; leaves the vCPU in rdi and rbx. */
.macro ENTER_HV
    lea     -VCPU_regs(%rsp), %rdi
    mov     -VCPU_regs(%rsp), %rsp
    mov     %rdi, %rbx
    cld
    ALT_BEGIN
    clac
    ALT_IF  FEATURE_SMAP
    FORGET_REGS
    STUFF_RETURNS
.endm

    .balign 16
entry_exception:
    SAVE_REGS
    testb   $3, REGS_cs(%rsp)
    jz      trap_in_hv
    ENTER_HV
    call    pv_exception
    jmp     exit_known_vcpu

    .balign 16
entry_interrupt:
    SAVE_REGS
    testb   $3, REGS_cs(%rsp)
    jz      trap_in_hv
    ENTER_HV
    call    trap_from_guest
    jmp     exit_to_guest

/* A frame of our own, on our stack. */
trap_in_hv:
    cld
    ALT_BEGIN
    clac
    ALT_IF  FEATURE_SMAP
    mov     %rsp, %rdi
    sub     $8, %rsp
    call    trap_from_hv
    add     $8, %rsp
    POP_REGS
    add     $8, %rsp
    iretq

/* On an IST stack, which is in the CPU's block like the others. */
    .balign 16
entry_own_stack:
    SAVE_REGS
    cld
    ALT_BEGIN
    clac
    ALT_IF  FEATURE_SMAP
    testb   $3, REGS_cs(%rsp)
    jnz     1f
    mov     %rsp, %rdi
    sub     $8, %rsp
    call    trap_ist
    add     $8, %rsp
    POP_REGS
    add     $8, %rsp
    iretq

/* From a guest: move the frame to its place and leave this stack, which the next NMI overwrites. */
1:  mov     %rsp, %rsi
    STACK_RESET
    mov     CPU_curr(%rsp), %rbx
    lea     VCPU_regs(%rbx), %rdi
    mov     $(REGS_es / 8), %ecx
    rep movsq
    mov     %rbx, %rdi
    FORGET_REGS
    STUFF_RETURNS
    call    trap_from_guest
    jmp     exit_to_guest

/*
 * SYSCALL of 64-bit code, from the CPU's stub: ss and rsp are pushed.
 * The guest's kernel: a hypercall, number in rax, arguments in rdi, rsi, rdx,
 * r10, r8, r9.  The hardware's mask has cleared IF, TF, DF, AC and NT.
 */
FUNCTION entry_syscall
    push    %r11
    push    $FLAT_KERNEL_CS
    push    %rcx
    push    $0
    movl    $VEC_SYSCALL, 4(%rsp)
    SAVE_REGS
    lea     -VCPU_regs(%rsp), %rbx
    mov     -VCPU_regs(%rsp), %rsp
    FORGET_REGS
    STUFF_RETURNS
    cmpb    $0, VCPU_in_kernel(%rbx)
    je      syscall_in_user

    /* The mask keeps speculation inside the table. */
    mov     %r10, %rcx
    cmp     $HYPERCALL_TABLE_LEN, %rax
    sbb     %r10, %r10
    jnc     1f
    and     %r10, %rax
    lea     hypercall_table(%rip), %r11
    mov     (%r11, %rax, 8), %r11
    call    __x86_indirect_thunk_r11
    mov     %rax, VCPU_regs + REGS_rax(%rbx)
    jmp     exit_known_vcpu
1:  movq    $-ERRNO_ENOSYS, VCPU_regs + REGS_rax(%rbx)
    jmp     exit_known_vcpu
END entry_syscall

syscall_in_user:
    mov     %rbx, %rdi
    call    pv_syscall_from_user
    jmp     exit_known_vcpu
sysenter_in_user:
    mov     %rbx, %rdi
    call    pv_sysenter_from_user
    jmp     exit_to_guest

/* SYSCALL of 32-bit code: always guest-user mode.  ss and rsp are pushed. */
FUNCTION entry_syscall32
    push    %r11
    push    $FLAT_USER_CS32
    push    %rcx
    push    $0
    movl    $VEC_SYSCALL, 4(%rsp)
    SAVE_REGS
    lea     -VCPU_regs(%rsp), %rbx
    mov     -VCPU_regs(%rsp), %rsp
    FORGET_REGS
    STUFF_RETURNS
    jmp     syscall_in_user
END entry_syscall32

/* SYSENTER: ss pushed, and 0 for the rsp that nobody knows; so is rip. */
FUNCTION entry_sysenter
    pushf
    orl     $RFLAGS_IF, (%rsp)
    andl    $~(RFLAGS_TF | RFLAGS_NT | RFLAGS_AC), (%rsp)
    push    $3
    push    $0
    push    $0
    movl    $VEC_SYSENTER, 4(%rsp)
    push    $RFLAGS_ALWAYS
    popf
    SAVE_REGS
    lea     -VCPU_regs(%rsp), %rbx
    mov     -VCPU_regs(%rsp), %rsp
    FORGET_REGS
    STUFF_RETURNS
    jmp     sysenter_in_user
END entry_sysenter

/* Forget what is on the stack, go on with the current vCPU. */
FUNCTION resume_curr
    STACK_RESET
    jmp     exit_to_guest
END resume_curr

/* --- the way out; rsp: struct cpu --- */

exit_softirqs:
    call    softirq_run
    jmp     exit_to_guest
exit_work:
    cmpb    $0, VCPU_is_idle(%rbx)
    jne     sched_idle_loop
    mov     %rbx, %rdi
    call    pv_exit_slow
    jmp     exit_to_guest
/*
 * Entering the callback masks events, and leaves by SYSRET to an address that
 * was checked when it was registered.  If it crashed the domain instead, a
 * softirq is raised.
 */
exit_upcall:
    mov     %rbx, %rdi
    call    pv_deliver_upcall
    cmpl    $0, CPU_softirqs(%rsp)
    jne     exit_softirqs
    ALT_BEGIN
    verw    verw_selector(%rip)
    ALT_IF  FEATURE_MD_CLEAR
    jmp     exit_by_sysret

    .balign 16
exit_to_guest:
    mov     CPU_curr(%rsp), %rbx
exit_known_vcpu:
    cmpl    $0, CPU_softirqs(%rsp)
    jne     exit_softirqs
    cmpl    $0, VCPU_exit_work(%rbx)
    jne     exit_work

    /* Pending is the low byte, not 0; masked the high one, 0. */
    mov     VCPU_info(%rbx), %rax
    movzwl  (%rax), %eax
    sub     $1, %eax
    cmp     $0xff, %eax
    jb      exit_upcall

    ALT_BEGIN
    verw    verw_selector(%rip)
    ALT_IF  FEATURE_MD_CLEAR

    /* SYSRET must not see a rip that is not canonical: it would fault in ring 0, on the guest's stack. */
    testl   $VEC_SYSCALL, VCPU_regs + REGS_entry_vector(%rbx)
    jz      exit_by_iret
    mov     VCPU_regs + REGS_rip(%rbx), %rcx
    mov     %rcx, %rax
    shl     $16, %rax
    sar     $16, %rax
    cmp     %rcx, %rax
    jne     exit_by_iret
    cmpw    $FLAT_KERNEL_CS, VCPU_regs + REGS_cs(%rbx)
    jne     exit_by_iret

exit_by_sysret:
    lea     VCPU_regs(%rbx), %rsp
    POP_REGS
    mov     REGS_rip - REGS_error_code(%rsp), %rcx
    mov     REGS_rflags - REGS_error_code(%rsp), %r11
    mov     REGS_rsp - REGS_error_code(%rsp), %rsp
    sysretq

/* A register from the vCPU's frame. */
#define LOAD(reg) mov VCPU_regs + REGS_##reg(%rbx), %reg

exit_by_iret:
    push    VCPU_regs + REGS_ss(%rbx)
    push    VCPU_regs + REGS_rsp(%rbx)
    push    VCPU_regs + REGS_rflags(%rbx)
    push    VCPU_regs + REGS_cs(%rbx)
    push    VCPU_regs + REGS_rip(%rbx)
    LOAD(r15)
    LOAD(r14)
    LOAD(r13)
    LOAD(r12)
    LOAD(rbp)
    LOAD(r11)
    LOAD(r10)
    LOAD(r9)
    LOAD(r8)
    LOAD(rax)
    LOAD(rcx)
    LOAD(rdx)
    LOAD(rsi)
    LOAD(rdi)
    LOAD(rbx)
    .globl  entry_iret
entry_iret:
    iretq

/* trap_from_hv() sends a fault of that instruction here: rsi is the vector, rdx the error code. */
    .globl  entry_iret_failed
entry_iret_failed:
    STACK_RESET
    mov     CPU_curr(%rsp), %rdi
    call    pv_iret_fault
    jmp     exit_to_guest

    .section .rodata, "a"
verw_selector:
    .short  SEL_HV_SS

    .section .note.GNU-stack, "", @progbits
