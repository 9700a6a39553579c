/* SPDX-License-Identifier: MIT */
/* sources: hv/time/sync.c */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "sys/cpu.h"
#include "sys/log.h"
#include "time/internal.h"
#include "time/time.h"
#include "time/timer.h"
#include "x86/insn.h"
#include "x86/smp.h"

/* The second CPU is a thread, whose TSC is ahead of ours. */
struct cpu host_cpu;
struct cpumask cpus_online = { { 3 } };
static _Thread_local bool is_second;
static int64_t ahead;
static bool is_dead;
static pthread_t thread;
static struct timer *timer;

static int64_t offset_told;
static unsigned int nr_offsets, nr_unstable;

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    return (struct cpuid_regs){ 0 };
}

uint64_t rdtsc(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec +
           (uint64_t)(is_second ? ahead : 0);
}

uint64_t rdtsc_ordered(void)
{
    return rdtsc();
}

uint64_t time_now(void)
{
    return rdtsc() - (uint64_t)(is_second ? ahead : 0);
}

void cpu_poll_requests(void)
{
}

void log_print(enum log_level level, const char *fmt, ...)
{
}

static void *second_cpu(void *unused)
{
    is_second = true;
    timer->fn(timer);
    return NULL;
}

void timer_init(struct timer *t, void (*fn)(struct timer *), void *data, unsigned int cpu)
{
    assert_int_equal(cpu, 1);
    *t = (struct timer){ .fn = fn, .data = data, .cpu = cpu };
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
    timer = t;
    if (!is_dead) {
        pthread_create(&thread, NULL, second_cpu, NULL);
    }
}

void timer_kill(struct timer *t)
{
    if (!is_dead) {
        pthread_join(thread, NULL);
    }
}

void clock_set_tsc_offset(unsigned int cpu, int64_t n)
{
    assert_int_equal(cpu, 1);
    offset_told = n;
    nr_offsets++;
}

void clock_set_unstable(void)
{
    nr_unstable++;
}

static int begin(void **state)
{
    ahead = 0;
    is_dead = false;
    nr_offsets = nr_unstable = 0;
    return 0;
}

static void counters_in_step_are_left_alone(void **state)
{
    for (int i = 0; i < 10; i++) {
        time_sync_cpus();
    }
    assert_int_equal(nr_offsets, 0);
}

static void a_counter_ahead_or_behind_is_corrected(void **state)
{
    static const int64_t offsets[] = { 5000000000, -5000000000, 123456789012345 };

    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
        ahead = offsets[i];
        time_sync_cpus();
        assert_int_equal(nr_offsets, i + 1);
        assert_true(offset_told - ahead < 500000000 && ahead - offset_told < 500000000);
    }
}

static void a_cpu_that_does_not_answer_is_not_waited_for_for_ever(void **state)
{
    is_dead = true;
    time_sync_cpus();
    assert_true(nr_unstable >= 1);
    assert_int_equal(nr_offsets, 0);
    is_dead = false;
    time_sync_cpus(); /* and the next comparison is not disturbed */
    assert_int_equal(nr_offsets, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(counters_in_step_are_left_alone, begin),
        cmocka_unit_test_setup(a_counter_ahead_or_behind_is_corrected, begin),
        cmocka_unit_test_setup(a_cpu_that_does_not_answer_is_not_waited_for_for_ever, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
