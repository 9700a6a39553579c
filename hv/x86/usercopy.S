/* SPDX-License-Identifier: MIT */
/*
 * Copies that may fault.  Words first; a fault among them is tried again byte
 * by byte, so that the count of what is left is exact.
 */
#include "x86/asm.h"

    .text

/* size_t copy_user(void *dst (rdi), const void *src (rsi), size_t n (rdx)): what is left. */
FUNCTION copy_user
    ALT_BEGIN
    stac
    ALT_IF  FEATURE_SMAP
    mov     %rdx, %rcx
    shr     $3, %rcx
    jz      3f
    cmp     $8, %rcx
    ja      2f
1:  mov     (%rsi), %rax
4:  mov     %rax, (%rdi)
    add     $8, %rsi
    add     $8, %rdi
    sub     $8, %rdx
    dec     %ecx
    jnz     1b
    jmp     3f
2:  and     $7, %edx
5:  rep movsq
3:  mov     %rdx, %rcx
    jrcxz   7f
6:  rep movsb
7:  mov     %rcx, %rax
    ALT_BEGIN
    clac
    ALT_IF  FEATURE_SMAP
    ret
8:  lea     (%rdx, %rcx, 8), %rdx
    jmp     3b
    EXTABLE 1b, 3b
    EXTABLE 4b, 3b
    EXTABLE 5b, 8b
    EXTABLE 6b, 7b
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
1:  rep stosq
2:  mov     %rsi, %rcx
3:  rep stosb
4:  mov     %rcx, %rax
    ALT_BEGIN
    clac
    ALT_IF  FEATURE_SMAP
    ret
5:  lea     (%rsi, %rcx, 8), %rsi
    jmp     2b
    EXTABLE 1b, 5b
    EXTABLE 3b, 4b
END clear_user

    .section .note.GNU-stack, "", @progbits
