/* SPDX-License-Identifier: MIT */
/*
 * Indirect calls and jumps by way of a return whose prediction is caught in a
 * loop, so that nothing a guest taught the branch predictor is followed.  The
 * compilers call these by name; the target is in the register of that name.
 */
#include "x86/asm.h"

    .text

.macro THUNK reg
FUNCTION __x86_indirect_thunk_\reg
    call    1f
2:  pause
    lfence
    jmp     2b
1:  mov     %\reg, (%rsp)
    ret
END __x86_indirect_thunk_\reg
.endm

    .irp reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    THUNK \reg
    .endr

    .section .note.GNU-stack, "", @progbits
