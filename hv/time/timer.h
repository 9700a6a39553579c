/* SPDX-License-Identifier: MIT */
/*
 * One-shot timers.  Each belongs to a CPU and runs there, in softirq context,
 * with interrupts off and no lock held.  The hardware timer is programmed for the
 * earliest with no slack: what is asked for is when it comes, never before.
 *
 * All but timer_kill() may be called from anywhere, with locks held that rank
 * below LOCK_RANK_TIMER, also by the timer's own function; they cost O(log n)
 * and allocate nothing.
 */
#pragma once

#include "lib/heap.h"

/*
 * Who may touch a member:
 *   [c]  constant from timer_init()
 *   [t]  holder of the lock of the timers of .cpu
 */
struct timer {
    struct heap_node node;       /* [t] its key is the deadline in ns of system time */
    void (*fn)(struct timer *t); /* [c] */
    void *data;                  /* [c] */
    uint32_t cpu;                /* [t] where it runs; changed with the locks of both CPUs held */
};

/* Once, before any other use; not again while armed. */
void timer_init(struct timer *t, void (*fn)(struct timer *), void *data, unsigned int cpu);

/* Arm, or arm anew, for @deadline_ns; one in the past fires at once.  Takes LOCK_RANK_TIMER. */
void timer_set(struct timer *t, uint64_t deadline_ns);

/* Disarm.  The function may still be running on another CPU. */
void timer_stop(struct timer *t);

/*
 * Disarm, and wait until the function is not running on any other CPU; whoever
 * else may arm it must have stopped doing so, the function itself excepted.
 * The caller holds no lock that the function takes.
 */
void timer_kill(struct timer *t);

/* Let it run on @cpu from now on; stays armed. */
void timer_migrate(struct timer *t, unsigned int cpu);

static inline bool timer_is_armed(const struct timer *t)
{
    return READ_ONCE(t->node.rank) != 0;
}

/* When an armed timer fires. */
static inline uint64_t timer_deadline_ns(const struct timer *t)
{
    return READ_ONCE(t->node.key);
}

/* Is a timer of this CPU due within @ns?  An idle CPU then starts nothing that would hold it up. */
bool timer_is_near(uint64_t ns);

/* The handler of SOFTIRQ_TIMER, which the local timer's interrupt raises: run what has expired. */
void timer_softirq(void);
