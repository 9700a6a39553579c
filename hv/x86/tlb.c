/* SPDX-License-Identifier: MIT */
/*
 * TLB flushes, here and on other CPUs, and the flush clock.
 *
 * The clock moves on only when somebody has asked for its value since it last
 * moved (last_stamp): a flush that begins after that gets a later value, which
 * is all that tlb_flushed_since() compares.  So an ordinary change of address
 * spaces reads two words that hardly ever change.
 *
 *   stamping                         flushing
 *   s = clock                        t = clock
 *   last_stamp = s                   if last_stamp == t: t = clock = t + 1
 *   frame notes s                    flush
 *                                    flush_stamp = t
 *
 * A flusher that misses last_stamp gets t == s, which counts as not flushed: a
 * flush too many at worst.  At its last value the clock stands still, flushes
 * leave 0 as their stamp, and nothing counts as flushed until tlb_clock_rewind()
 * has set all stamps to 0 and starts from 1.
 *
 * Requests to other CPUs: each has a box with what it is to flush.  One who
 * asks adds to it, then draws a number from the box's counter; the owner reads
 * the counter, takes what is in the box, flushes, and publishes the number.
 */
#include "x86/smp.h"

#include "sys/softirq.h"
#include "x86/features.h"
#include "x86/insn.h"
#include "x86/lapic.h"
#include "x86/regs.h"
#include "x86/vectors.h"

#define CLOCK_LAST  0xffffffffu
#define CLOCK_FIRST 1u

/* What a box asks for: the address of a page, bit 0 set; or one of these. */
#define WANT_NOTHING 0ull
#define WANT_PAGE    1ull
#define WANT_ALL     2ull
#define WANT_GLOBAL  4ull

struct flush_box {
    uint64_t want;  /* [a] */
    uint32_t asked; /* [a] numbers drawn */
    uint32_t done;  /* [s] written, read by all: numbers served */
} aligned(64);

static DEFINE_PER_CPU(struct flush_box, flush_box);

static uint32_t flush_clock = CLOCK_FIRST; /* [a] */
static uint32_t last_stamp;                /* [a] */

uint32_t tlb_clock(void)
{
    uint32_t s = READ_ONCE(flush_clock);

    if (READ_ONCE(last_stamp) != s) {
        WRITE_ONCE(last_stamp, s);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    return s;
}

/* The stamp of a flush that is about to begin. */
static uint32_t flush_begin(void)
{
    uint32_t t = READ_ONCE(flush_clock);

    if (unlikely(t == CLOCK_LAST)) {
        softirq_raise(SOFTIRQ_CALL);
        return 0;
    }
    if (READ_ONCE(last_stamp) == t) {
        /* Somebody else may have moved it already; either way it is t + 1 or later. */
        if (__atomic_compare_exchange_n(&flush_clock, &t, t + 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            t++;
        }
    }
    return t == CLOCK_LAST ? 0 : t;
}

static void flush_end(uint32_t stamp)
{
    WRITE_ONCE(this_cpu()->flush_stamp, stamp);
}

void cr3_load(uint64_t cr3)
{
    uint32_t stamp = flush_begin();

    write_cr3(cr3);
    this_cpu()->cr3 = cr3;
    flush_end(stamp);
}

void tlb_flush_local(void)
{
    uint32_t stamp = flush_begin();

    write_cr3(read_cr3());
    flush_end(stamp);
}

/* Changing CR4.PGE drops global entries too (SDM vol. 3, 4.10.4.1). */
static void flush_global_local(void)
{
    uint32_t stamp = flush_begin();
    uint64_t cr4 = read_cr4();

    write_cr4(cr4 ^ CR4_PGE);
    write_cr4(cr4);
    flush_end(stamp);
}

static void flush_wanted(uint64_t want)
{
    if (want & WANT_GLOBAL) {
        flush_global_local();
    } else if (want & WANT_ALL) {
        tlb_flush_local();
    } else if (want & WANT_PAGE) {
        invlpg(want & ~0xfffull);
    }
}

void cpu_poll_requests(void)
{
    struct flush_box *box;
    uint32_t asked;

    if (this_cpu()->percpu_offset == 0) {
        return;
    }
    box = this_cpu_ptr(flush_box);
    asked = __atomic_load_n(&box->asked, __ATOMIC_ACQUIRE);
    if (asked != box->done) {
        flush_wanted(__atomic_exchange_n(&box->want, WANT_NOTHING, __ATOMIC_SEQ_CST));
        __atomic_store_n(&box->done, asked, __ATOMIC_RELEASE);
    }
}

/* What serves both @old and @new. */
static uint64_t want_merge(uint64_t old, uint64_t new)
{
    if (old == WANT_NOTHING || old == new) {
        return new;
    }
    return ((old | new) & WANT_GLOBAL) ? WANT_GLOBAL : WANT_ALL;
}

/* Ask @cpu; returns the number that its box's `done` must reach. */
static uint32_t flush_ask(unsigned int cpu, uint64_t want)
{
    struct flush_box *box = per_cpu_ptr(flush_box, cpu);
    uint64_t old = READ_ONCE(box->want);
    uint32_t number;

    while (!__atomic_compare_exchange_n(&box->want, &old, want_merge(old, want), false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    number = __atomic_add_fetch(&box->asked, 1, __ATOMIC_SEQ_CST);
    lapic_send(cpus[cpu]->apic_id, VEC_FLUSH);
    return number;
}

static void flush_wait(unsigned int cpu, uint32_t number)
{
    const struct flush_box *box = per_cpu_ptr(flush_box, cpu);

    while ((int32_t)(__atomic_load_n(&box->done, __ATOMIC_ACQUIRE) - number) < 0) {
        cpu_poll_requests();
        cpu_relax();
    }
}

/* On all CPUs of @m.  The others work while this one asks on, and flushes itself. */
static noinline void flush_mask(const struct cpumask *m, uint64_t want)
{
    uint32_t numbers[NR_CPUS];
    unsigned int self = cpu_id(), cpu;
    struct cpumask asked;

    cpumask_zero(&asked);
    cpumask_for_each(cpu, m) {
        if (cpu != self && cpumask_test(&cpus_online, cpu)) {
            numbers[cpu] = flush_ask(cpu, want);
            cpumask_set(&asked, cpu);
        }
    }
    if (cpumask_test(m, self)) {
        flush_wanted(want);
    }
    cpumask_for_each(cpu, &asked) {
        flush_wait(cpu, numbers[cpu]);
    }
}

/* In line, the usual: nobody else has what is to be flushed. */
static always_inline void flush_cpus(const struct cpumask *m, uint64_t want)
{
    if (likely(cpumask_is_only(m, cpu_id()))) {
        flush_wanted(want);
    } else {
        flush_mask(m, want);
    }
}

void tlb_flush_page_mask(const struct cpumask *m, uint64_t va)
{
    flush_cpus(m, (va & ~0xfffull) | WANT_PAGE);
}

void tlb_flush_mask(const struct cpumask *m)
{
    flush_cpus(m, WANT_ALL);
}

void tlb_flush_global_all(void)
{
    if (!cpumask_test(&cpus_online, cpu_id())) {
        flush_global_local(); /* the boot CPU, alone yet */
    }
    flush_mask(&cpus_online, WANT_GLOBAL);
}

static void forget_stamp(void *arg)
{
    (void)arg;
    tlb_flush_local();
    flush_end(0);
}

void tlb_clock_rewind(void)
{
    uint32_t last = CLOCK_LAST;

    if (READ_ONCE(flush_clock) == last) {
        cpu_call_mask(&cpus_online, forget_stamp, NULL);
        WRITE_ONCE(last_stamp, 0);
        /* If two CPUs do this at once, only one sets the clock back. */
        __atomic_compare_exchange_n(&flush_clock, &last, CLOCK_FIRST, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    }
}
