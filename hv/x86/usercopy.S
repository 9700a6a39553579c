/* SPDX-License-Identifier: MIT */
/*
 * Copies that may fault.  Words first; a fault among them is tried again byte
 * by byte, so that the count of what is left is exact.
 */
#include "x86/asm.h"

    .text

/* An instruction that goes on at @fixup when it faults. */
.macro TRY fixup, insn:vararg
801:
    \insn
    EXTABLE 801b, \fixup
.endm

/*
 * size_t copy_user(void *dst (rdi), const void *src (rsi), size_t n (rdx)): what is left.
 * Most copies are a few words.  While a loop runs, rdx is what is left less
 * one turn.
 */
FUNCTION copy_user
    ALT_BEGIN
    stac
    ALT_IF  FEATURE_SMAP
    cmp     $256, %rdx
    jae     20f
    sub     $32, %rdx
    jb      12f
10: TRY     30f, mov (%rsi), %rax
    TRY     30f, mov 8(%rsi), %r8
    TRY     30f, mov 16(%rsi), %r9
    TRY     30f, mov 24(%rsi), %r10
    TRY     30f, mov %rax, (%rdi)
    TRY     30f, mov %r8, 8(%rdi)
    TRY     30f, mov %r9, 16(%rdi)
    TRY     30f, mov %r10, 24(%rdi)
    add     $32, %rsi
    add     $32, %rdi
    sub     $32, %rdx
    jae     10b
12: add     $24, %rdx
    js      15f
13: TRY     31f, mov (%rsi), %rax
    TRY     31f, mov %rax, (%rdi)
    add     $8, %rsi
    add     $8, %rdi
    sub     $8, %rdx
    jae     13b
15: add     $8, %rdx
    jz      17f
16: mov     %rdx, %rcx
    TRY     33f, rep movsb
    mov     %rcx, %rdx
17: mov     %rdx, %rax
    ALT_BEGIN
    clac
    ALT_IF  FEATURE_SMAP
    ret

    /* Many words. */
20: mov     %rdx, %rcx
    shr     $3, %rcx
    and     $7, %edx
    TRY     32f, rep movsq
    jmp     16b

    /* Faults: how much is left, then byte by byte. */
30: add     $32, %rdx
    jmp     16b
31: add     $8, %rdx
    jmp     16b
32: lea     (%rdx, %rcx, 8), %rdx
    jmp     16b
33: mov     %rcx, %rdx
    jmp     17b
END copy_user

/* size_t clear_user(void *dst (rdi), size_t n (rsi)): what is left. */
FUNCTION clear_user
    ALT_BEGIN
    stac
    ALT_IF  FEATURE_SMAP
    xor     %eax, %eax
    mov     %rsi, %rcx
    shr     $3, %rcx
    and     $7, %esi
    TRY     3f, rep stosq
1:  mov     %rsi, %rcx
    TRY     2f, rep stosb
2:  mov     %rcx, %rax
    ALT_BEGIN
    clac
    ALT_IF  FEATURE_SMAP
    ret
3:  lea     (%rsi, %rcx, 8), %rsi
    jmp     1b
END clear_user

    .section .note.GNU-stack, "", @progbits
