/* SPDX-License-Identifier: MIT */
/*
 * Are the processors' TSCs in step?  The boot CPU asks another one for its TSC
 * a few times over, and reads its own before and after.  If the answer of the
 * quickest exchange lies between the two, no program can see a difference; if
 * not, its distance from the middle is how far that CPU is ahead, known to
 * half the time that the exchange took.
 *
 * The other CPU answers in a timer's function, so it must be running softirqs.
 */
#include "sys/cpu.h"
#include "sys/log.h"
#include "time/internal.h"
#include "time/timer.h"
#include "x86/insn.h"
#include "x86/smp.h"

#define EXCHANGES   8u
#define PATIENCE_NS 1000000000ull
#define GIVEN_UP    UINT32_MAX

#define CPUID_INVARIANT_TSC (1u << 8) /* leaf 0x80000007, edx */

/* The exchange going on; asked and answered count exchanges, over all CPUs. */
static uint32_t asked, answered;
static uint64_t answer;

struct comparison {
    uint64_t width; /* of the quickest exchange, in TSC ticks */
    int64_t ahead;  /* the other's TSC from the middle of it */
};

/* Wait until *@word is @value, on any side.  False: it is not going to be. */
static bool wait_for(const uint32_t *word, uint32_t value)
{
    uint64_t deadline = time_now() + PATIENCE_NS;

    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
        if (READ_ONCE(asked) == GIVEN_UP || time_now() > deadline) {
            return false;
        }
        cpu_poll_requests();
        cpu_relax();
    }
    return true;
}

/* On the other CPU: answer all exchanges from number *@t->data on. */
static void answer_all(struct timer *t)
{
    uint32_t first = *(const uint32_t *)t->data;

    for (uint32_t i = 0; i < EXCHANGES && wait_for(&asked, first + i); i++) {
        answer = rdtsc_ordered();
        __atomic_store_n(&answered, first + i, __ATOMIC_RELEASE);
    }
}

/* One exchange; false when there is no answer. */
static bool exchange(uint32_t number, struct comparison *best)
{
    uint64_t before = rdtsc_ordered(), width;

    __atomic_store_n(&asked, number, __ATOMIC_RELEASE);
    if (!wait_for(&answered, number)) {
        return false;
    }
    width = rdtsc_ordered() - before;
    if (width < best->width) {
        best->width = width;
        best->ahead = (int64_t)(answer - (before + width / 2));
    }
    return true;
}

static __init bool compare(unsigned int cpu, struct comparison *best)
{
    uint32_t first = READ_ONCE(asked) + 1, i = 0;
    struct timer t;

    *best = (struct comparison){ .width = UINT64_MAX };
    timer_init(&t, answer_all, &first, cpu);
    timer_set(&t, 0);
    while (i < EXCHANGES && exchange(first + i, best)) {
        i++;
    }
    if (i < EXCHANGES) {
        WRITE_ONCE(asked, GIVEN_UP);
    }
    timer_kill(&t);
    WRITE_ONCE(asked, first + EXCHANGES);
    return i == EXCHANGES;
}

/* Returns whether @cpu's TSC is in step. */
static __init bool sync_cpu(unsigned int cpu)
{
    struct comparison c;
    uint64_t off;

    if (!compare(cpu, &c)) {
        log_warn("CPU %u does not answer for its TSC; guests are told not to rely on it", cpu);
        clock_set_unstable();
        return false;
    }
    off = (uint64_t)(c.ahead < 0 ? -c.ahead : c.ahead);
    if (off <= c.width / 2) {
        return true;
    }
    log_warn("CPU %u: its TSC is %ld ticks ahead (give or take %lu); corrected", cpu, c.ahead,
             c.width / 2);
    clock_set_tsc_offset(cpu, c.ahead);
    return false;
}

static __init bool is_invariant(void)
{
    return cpuid(0x80000000, 0).a >= 0x80000007 && (cpuid(0x80000007, 0).d & CPUID_INVARIANT_TSC);
}

__init void time_sync_cpus(void)
{
    bool in_step = true;
    unsigned int cpu;

    cpumask_for_each(cpu, &cpus_online) {
        if (cpu != cpu_id() && !sync_cpu(cpu)) {
            in_step = false;
        }
    }
    if (!is_invariant()) {
        clock_set_unstable();
    }
    log_info("TSC: %s, %s", in_step ? "in step on all CPUs" : "not in step",
             is_invariant() ? "of constant speed" : "speed not promised to be constant");
}
