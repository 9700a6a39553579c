/* SPDX-License-Identifier: MIT */
/*
 * Instructions of ours that may fault on what a guest gave: pairs of the
 * instruction's address and where to go on, in the image's read-only table.
 */
#pragma once

#ifdef __ASSEMBLY__
/* clang-format off */
.macro EXTABLE at, fixup
    .pushsection .extable, "a"
    .balign 4
    .long \at - .
    .long \fixup - .
    .popsection
.endm
/* clang-format on */
#else
#define EXTABLE(at, fixup)                                                                         \
    ".pushsection .extable, \"a\"\n\t"                                                             \
    ".balign 4\n\t"                                                                                \
    ".long " at " - .\n\t"                                                                         \
    ".long " fixup " - .\n\t"                                                                      \
    ".popsection\n"

/* After an asm goto with outputs: without it gcc 12 may lose them (its bug 113921). */
#define ASM_GOTO_OUTPUT() __asm__ volatile("")
#endif
