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
