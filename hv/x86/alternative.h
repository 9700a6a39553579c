/* SPDX-License-Identifier: MIT */
/*
 * Instructions that depend on what the processor can do: they are in the code
 * as they stand, with a record in section .alt, and turned to no-ops at the
 * start where they must not be.
 */
#pragma once

#include "lib/compiler.h"

struct alternative {
    int32_t at; /* the code, from this member's own address */
    uint16_t len_bytes;
    uint8_t feature; /* FEATURE_... */
    uint8_t unless;  /* 1: keep the code where the feature is absent */
};

static_assert(sizeof(struct alternative) == 8, "layout of the records in assembly");

/* One instruction (text) for inline assembly, kept where @feature (a number) is present. */
#define ALT_INSN_IF(insn, feature)                                                                 \
    "771: " insn "\n772:\n\t"                                                                      \
    ".pushsection .alt, \"a\"\n\t"                                                                 \
    ".balign 4\n\t"                                                                                \
    ".long 771b - .\n\t"                                                                           \
    ".short 772b - 771b\n\t"                                                                       \
    ".byte " feature "\n\t"                                                                        \
    ".byte 0\n\t"                                                                                  \
    ".popsection\n\t"

/* Apply all records.  Boot CPU, features known, other CPUs not started, paging_seal() to come. */
void alternatives_apply(void);
