/* SPDX-License-Identifier: MIT */
/* Macros of the assembly sources. */
#pragma once

#include "x86/extable.h"
#include "x86/feature_bits.h"

#ifdef __ASSEMBLY__
/* clang-format off */
/*
 * Code between these two stays only where the processor has @feature
 * (ALT_UNLESS: only where it has not); elsewhere alternatives_apply() puts
 * no-ops there.
 */
.macro ALT_RECORD feature, unless
    .pushsection .alt, "a"
    .balign 4
    .long 771b - .
    .short 772b - 771b
    .byte \feature
    .byte \unless
    .popsection
.endm
.macro ALT_BEGIN
771:
.endm
.macro ALT_IF feature
772:
    ALT_RECORD \feature, 0
.endm
.macro ALT_UNLESS feature
772:
    ALT_RECORD \feature, 1
.endm

.macro FUNCTION name
    .globl \name
    .type \name, @function
    .balign 16
\name:
.endm
.macro END name
    .size \name, . - \name
.endm
/* clang-format on */
#endif
