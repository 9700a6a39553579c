/* SPDX-License-Identifier: MIT */
/* What the files of time/ share. */
#pragma once

#include "drivers/platform_clock.h"
#include "time/scale.h"

/*
 * One look at two counters at once: the TSC when another counter had just
 * come to @count.
 */
struct clock_sample {
    uint64_t tsc;
    uint64_t count;
    uint64_t width; /* in TSC ticks: how long the look took, so how far off @tsc may be */
};

/* Take the best of a few samples of @read; a few us. */
struct clock_sample clock_sample_take(uint64_t (*read)(void));

/*
 * The frequency of the TSC from two samples of a counter of @hz that wraps
 * after @mask.  @guess_hz, when not 0, tells how often it wrapped in between:
 * it need only be good enough for that.  0: nothing was counted.
 */
uint64_t clock_tsc_hz(const struct clock_sample *a, const struct clock_sample *b, uint64_t hz,
                      uint64_t mask, uint64_t guess_hz);

/* How far off, in parts per billion, such a frequency may be. */
uint64_t clock_error_ppb(const struct clock_sample *a, const struct clock_sample *b,
                         uint64_t tsc_hz, uint64_t hz);

/* The TSC frequency that the processor or another hypervisor tells; 0 if neither does. */
uint64_t clock_told_tsc_hz(void);

/* clock.c */

/*
 * From now on the TSC runs at @hz for all CPUs; time goes on without a jump.
 * May be called on one CPU at a time, with no lock held.
 */
void clock_set_tsc_hz(uint64_t hz);

/* The local timer counts @ticks in @tsc_ticks of the TSC, or by deadline when @ticks is 0. */
void clock_set_local_timer(uint64_t ticks, uint64_t tsc_ticks);

/* Take over the machine's scale on a CPU that has just started. */
void clock_cpu_init(void);

/* CPU @cpu's TSC is @ticks ahead of the boot CPU's. */
void clock_set_tsc_offset(unsigned int cpu, int64_t ticks);

/* Guests must not rely on the TSCs being in step. */
void clock_set_unstable(void);

/* Arm this CPU's local timer for @ns of system time; false: that has come, nothing is armed. */
bool clock_arm(uint64_t ns);

/* wallclock.c */
void wallclock_init(void);
