/* SPDX-License-Identifier: MIT */
/*
 * Timers: a heap for each CPU, ordered by deadline, and the local APIC's timer
 * armed for the first of them.
 *
 * The hardware is armed anew at the end of every run of timer_softirq(), and
 * in between only for a deadline before the one it is armed for.  When the
 * first timer is stopped or put off, the interrupt just comes once for
 * nothing: most timers are stopped and set again long before they are due.
 */
#include "time/timer.h"

#include "sys/lock.h"
#include "sys/softirq.h"
#include "time/internal.h"
#include "time/time.h"
#include "x86/insn.h"
#include "x86/smp.h"

#define TIMERS_A_TURN 64 /* how many run before other softirqs get a turn */

/*
 * Who may touch a member:
 *   [t]  holder of lock
 *   [r]  written under lock by its CPU; read by timer_kill() without
 */
struct timers {
    struct spinlock lock;
    struct heap heap;      /* [t] */
    struct timer *running; /* [r] whose function runs now */
    uint64_t armed_ns;     /* [t] what the hardware is armed for, or a run is due for */
};

#define NEVER UINT64_MAX

static DEFINE_PER_CPU(struct timers, timers) = {
    .lock = SPINLOCK_INIT(LOCK_RANK_TIMER),
    .armed_ns = NEVER,
};

static struct timer *timer_of(struct heap_node *n)
{
    return n ? container_of(n, struct timer, node) : NULL;
}

/* Lock the timers of @t's CPU, which may change until that is done. */
static struct timers *lock_timers_of(const struct timer *t) NO_THREAD_SAFETY
{
    for (;;) {
        unsigned int cpu = READ_ONCE(t->cpu);
        struct timers *ts = per_cpu_ptr(timers, cpu);

        spin_lock(&ts->lock);
        if (likely(cpu == READ_ONCE(t->cpu))) {
            return ts;
        }
        spin_unlock(&ts->lock);
    }
}

/* Arm this CPU's hardware for @ns; a time that has come means a run at once. */
static void arm(struct timers *ts, uint64_t ns) REQUIRES(ts->lock)
{
    ts->armed_ns = ns;
    if (!clock_arm(ns)) {
        softirq_raise(SOFTIRQ_TIMER);
    }
}

/* Put @t into @ts, the timers of its CPU, and see to it that the hardware fires in time. */
static void insert(struct timers *ts, struct timer *t, uint64_t ns) REQUIRES(ts->lock)
{
    heap_insert(&ts->heap, &t->node, ns);
    if (heap_first(&ts->heap) != &t->node || ns >= ts->armed_ns) {
        return;
    }
    if (t->cpu == cpu_id()) {
        arm(ts, ns);
    } else {
        ts->armed_ns = ns;
        softirq_raise_on(t->cpu, SOFTIRQ_TIMER);
    }
}

static void remove(struct timers *ts, struct timer *t) REQUIRES(ts->lock)
{
    if (heap_is_linked(&t->node)) {
        heap_remove(&ts->heap, &t->node);
    }
}

void timer_init(struct timer *t, void (*fn)(struct timer *), void *data, unsigned int cpu)
{
    *t = (struct timer){ .fn = fn, .data = data, .cpu = cpu };
}

void timer_set(struct timer *t, uint64_t deadline_ns) NO_THREAD_SAFETY
{
    struct timers *ts = lock_timers_of(t);

    remove(ts, t);
    insert(ts, t, deadline_ns);
    spin_unlock(&ts->lock);
}

void timer_stop(struct timer *t) NO_THREAD_SAFETY
{
    struct timers *ts = lock_timers_of(t);

    remove(ts, t);
    spin_unlock(&ts->lock);
}

/* Wait until @t's function runs on no other CPU. */
static void wait_for_function(const struct timer *t)
{
    unsigned int cpu;

    cpumask_for_each(cpu, &cpus_online) {
        const struct timers *ts = per_cpu_ptr(timers, cpu);

        while (cpu != cpu_id() && __atomic_load_n(&ts->running, __ATOMIC_ACQUIRE) == t) {
            cpu_poll_requests();
            cpu_relax();
        }
    }
}

void timer_kill(struct timer *t)
{
    do {
        timer_stop(t);
        wait_for_function(t);
    } while (timer_is_armed(t)); /* by its function, just now */
}

static void lock_two(struct timers *a, struct timers *b) NO_THREAD_SAFETY
{
    spin_lock(a < b ? &a->lock : &b->lock);
    spin_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_two(struct timers *a, struct timers *b) NO_THREAD_SAFETY
{
    spin_unlock(&a->lock);
    spin_unlock(&b->lock);
}

void timer_migrate(struct timer *t, unsigned int cpu) NO_THREAD_SAFETY
{
    struct timers *to = per_cpu_ptr(timers, cpu);

    for (;;) {
        unsigned int old = READ_ONCE(t->cpu);
        struct timers *from = per_cpu_ptr(timers, old);
        bool is_done;

        if (old == cpu) {
            return;
        }
        lock_two(from, to);
        is_done = READ_ONCE(t->cpu) == old;
        if (is_done) {
            bool was_armed = heap_is_linked(&t->node);

            remove(from, t);
            WRITE_ONCE(t->cpu, cpu);
            if (was_armed) {
                insert(to, t, t->node.key);
            }
        }
        unlock_two(from, to);
        if (is_done) {
            return;
        }
    }
}

bool timer_is_near(uint64_t ns)
{
    return READ_ONCE(this_cpu_ptr(timers)->armed_ns) < time_now() + ns;
}

/* Run @t, which has expired and is the first of @ts. */
static void run(struct timers *ts, struct timer *t) REQUIRES(ts->lock)
{
    heap_remove(&ts->heap, &t->node);
    ts->running = t;
    spin_unlock(&ts->lock);
    t->fn(t); /* may free t */
    spin_lock(&ts->lock);
    __atomic_store_n(&ts->running, NULL, __ATOMIC_RELEASE); /* with timer_kill() */
}

void timer_softirq(void)
{
    struct timers *ts = this_cpu_ptr(timers);
    struct timer *t;
    uint64_t now;

    spin_lock(&ts->lock);
    now = time_now();
    for (int n = 0; n < TIMERS_A_TURN; n++) {
        t = timer_of(heap_first(&ts->heap));
        if (!t || t->node.key > now) {
            break;
        }
        run(ts, t);
    }
    t = timer_of(heap_first(&ts->heap));
    if (t) {
        arm(ts, t->node.key); /* one that has come due meanwhile asks for another run */
    } else {
        ts->armed_ns = NEVER;
    }
    spin_unlock(&ts->lock);
}
