/* SPDX-License-Identifier: MIT */
/* A machine for the tests of time/: its TSC stands still but for what a test, or a reading of it,
 * adds. */
#pragma once

#include "lib/compiler.h"

extern uint64_t fake_tsc;           /* what rdtsc() reads */
extern uint64_t fake_tsc_step;      /* added by each reading */
extern bool fake_has_deadline;      /* the local timer takes deadlines */
extern uint64_t fake_deadline_tsc;  /* last deadline set */
extern uint32_t fake_count_set;     /* last count set */
extern uint64_t fake_local_div;     /* local timer's ticks are so many TSC ticks; 0: stands still */
extern unsigned int fake_raised_on; /* CPU of the last softirq_raise_on(), or ~0 */
extern unsigned int fake_scale_changes;
extern unsigned int fake_log_lines;

/* What CPUID answers: EAX to ECX of some leaves; all other leaves are zero. */
struct fake_cpuid {
    uint32_t max_leaf;          /* EAX of leaf 0 */
    bool is_virtual;            /* leaf 1 tells of a hypervisor */
    uint32_t leaf15[3], leaf16; /* the latter's EAX */
    uint32_t max_virtual;       /* EAX of leaf 0x40000000 */
    const char *signature;      /* there, 12 characters */
    uint32_t hv_tsc_khz;        /* EAX of leaf 0x40000010 */
};
extern struct fake_cpuid fake_cpuid;
