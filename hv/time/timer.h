/* SPDX-License-Identifier: MIT */
/*
 * One-shot timers.  Each belongs to a CPU and runs there, in softirq context,
 * with interrupts off and no lock held.  The hardware timer is programmed for the
 * earliest with no slack: what is asked for is when it comes.
 */
#pragma once

#include "lib/compiler.h"

struct timer {
    uint64_t deadline_ns;       /* [timers' lock of .cpu] system time */
    void (*fn)(struct timer *t); /* [c] */
    void *data;                 /* [c] */
    uint32_t cpu;               /* [timers' lock] where it runs */
    uint32_t slot;              /* [timers' lock] place in the heap; TIMER_IDLE: not armed */
};

#define TIMER_IDLE 0xffffffffu

/* Once, before any other use. */
void timer_init(struct timer *t, void (*fn)(struct timer *), void *data, unsigned int cpu);

/* Arm, or arm anew, for @deadline_ns; one in the past fires at once.  Takes LOCK_RANK_TIMER. */
void timer_set(struct timer *t, uint64_t deadline_ns);

/* Disarm.  The function may still be running on another CPU. */
void timer_stop(struct timer *t);

/* Disarm and wait until the function is not running on any other CPU. */
void timer_kill(struct timer *t);

/* Let it run on @cpu from now on; stays armed. */
void timer_migrate(struct timer *t, unsigned int cpu);

static inline bool timer_is_armed(const struct timer *t)
{
    return READ_ONCE(t->slot) != TIMER_IDLE;
}
