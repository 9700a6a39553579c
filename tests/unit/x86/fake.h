/* SPDX-License-Identifier: MIT */
/* A processor for tests: registers as variables, counts of what was flushed. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sys/cpu.h"
#include "x86/insn.h"

extern uint64_t fake_cr3, fake_cr4;
extern unsigned int fake_cr3_loads, fake_cr4_loads, fake_invlpgs;
extern uint64_t fake_invlpg_va; /* the last one */

/* What CPUID answers; other leaves and subleaves are zero.  NULL: the build machine's processor. */
struct fake_leaf {
    uint32_t leaf, subleaf;
    struct cpuid_regs regs;
};
extern const struct fake_leaf *fake_leaves;
extern size_t fake_nr_leaves;

/* Zero all of the above and host_cpu. */
void fake_reset(void);
