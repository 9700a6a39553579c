/* SPDX-License-Identifier: MIT */
/* Units on several CPUs: where they are woken, and that each gets its share after a move. */
/* sources: hv/sched/core.c hv/sched/weight.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/xen.h"
#include "mm/page_alloc.h"
#include "sched/internal.h"
#include "sys/softirq.h"
#include "time/time.h"
#include "x86/entry.h"
#include "x86/smp.h"

#define NR_TEST_CPUS 3u
#define NR_UNITS     4u
#define MS           1000000ull

/* --- in place of what the scheduler stands on --- */

struct cpu host_cpu;
struct cpu *cpus[NR_CPUS];
struct cpumask cpus_online;

static uint64_t now;
static bool is_asked[NR_TEST_CPUS]; /* to look at its queue */
static bool is_awake[NR_UNITS];
static struct sched_unit units[NR_UNITS], idle[NR_TEST_CPUS];
static struct sched_group group = { .weight = SCHED_WEIGHT_DEFAULT };
static bool is_queue_known;

void *host_per_cpu(void *template, size_t size, unsigned int cpu)
{
    static struct run_queue queues[NR_TEST_CPUS];

    assert_int_equal(size, sizeof(queues[0]));
    assert_true(cpu < NR_TEST_CPUS);
    if (!is_queue_known) {
        memset(queues, 0, sizeof(queues));
        is_queue_known = true;
    }
    return &queues[cpu];
}

uint64_t time_now(void)
{
    return now;
}

void softirq_raise_on(unsigned int cpu, enum softirq nr)
{
    is_asked[cpu] = true;
}

void timer_init(struct timer *t, void (*fn)(struct timer *), void *data, unsigned int cpu)
{
    *t = (struct timer){ .fn = fn, .data = data, .cpu = cpu };
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
}

void timer_stop(struct timer *t)
{
}

bool timer_is_near(uint64_t ns)
{
    return false;
}

bool pages_scrub_step(void)
{
    return false;
}

void softirq_run(void)
{
}

void spin_lock_wait(struct spinlock *lock, uint16_t mine)
{
    fail_msg("a lock is taken twice");
}

void cpu_poll_requests(void)
{
}

void cpu_poll_calls(void)
{
}

void cpu_irq_window(void)
{
}

void halt_for_interrupt(void)
{
}

noreturn void resume_curr(void)
{
    abort();
}

static bool is_runnable(const struct sched_unit *u)
{
    return is_awake[u - units];
}

static void state_changed(struct sched_unit *u, int runstate, uint64_t at)
{
}

static void come_or_go(struct sched_unit *u)
{
}

const struct sched_host_ops sched_host_ops = {
    .is_runnable = is_runnable,
    .state_changed = state_changed,
    .leave = come_or_go,
    .enter = come_or_go,
};

/* --- steps --- */

static struct run_queue *queue(unsigned int cpu)
{
    return host_per_cpu(NULL, sizeof(struct run_queue), cpu);
}

/* @cpu looks at its queue. */
static void look(unsigned int cpu)
{
    unsigned int was = host_cpu.id;

    host_cpu.id = cpu;
    is_asked[cpu] = false;
    sched_softirq();
    host_cpu.id = was;
}

static void wake(unsigned int u)
{
    is_awake[u] = true;
    sched_wake(&units[u]);
}

static bool runs_on(unsigned int u, unsigned int cpu)
{
    return queue(cpu)->running == &units[u];
}

static int begin(void **state)
{
    now = 0;
    host_cpu.id = 0;
    is_queue_known = false;
    memset(units, 0, sizeof(units));
    memset(idle, 0, sizeof(idle));
    memset(is_awake, 0, sizeof(is_awake));
    memset(is_asked, 0, sizeof(is_asked));
    for (unsigned int cpu = 0; cpu < NR_TEST_CPUS; cpu++) {
        cpumask_set(&cpus_online, cpu);
        sched_init_cpu(cpu, &idle[cpu]);
    }
    for (unsigned int u = 0; u < NR_UNITS; u++) {
        sched_unit_create(&units[u], &group, 0);
    }
    return 0;
}

static void two_that_slept_on_one_cpu_wake_on_two(void **state)
{
    wake(0);
    wake(1);
    assert_true(is_asked[0]);
    assert_true(is_asked[1]);
    look(0);
    look(1);
    assert_true(runs_on(0, 0));
    assert_true(runs_on(1, 1));
}

static void an_idle_cpu_that_was_asked_in_vain_is_asked_again(void **state)
{
    wake(0);
    is_awake[0] = false;
    sched_sleep_nosync(&units[0]); /* before its CPU has looked */
    look(0);
    assert_ptr_equal(queue(0)->running, &idle[0]);
    wake(1);
    look(0);
    assert_true(runs_on(1, 0));
}

static void occupy(unsigned int u, unsigned int cpu)
{
    struct cpumask only = { .bits = { 1ull << cpu } };

    assert_int_equal(sched_set_affinity(&units[u], &only, NULL), 0);
    wake(u);
    look(cpu);
    assert_true(runs_on(u, cpu));
}

/*
 * A CPU's units have used as much time as it has been busy, so a unit's time
 * means nothing to another CPU: who comes from there starts level.  Unit 0 moves
 * from CPU 0 to CPU 1, of which @busy was so for an hour; how many of ten slices
 * it then gets beside unit 1.
 */
static unsigned int turns_after_a_move(unsigned int busy)
{
    struct cpumask only_1 = { .bits = { 2 } };
    unsigned int turns = 0;

    occupy(busy, busy);
    now += 3600000 * MS;
    look(busy);
    occupy(!busy, !busy);
    now += MS;
    assert_int_equal(sched_set_affinity(&units[0], &only_1, NULL), 0);
    look(0);
    for (unsigned int i = 0; i < 10; i++) {
        now += 5 * MS;
        look(1);
        turns += runs_on(0, 1);
    }
    return turns;
}

/* Nobody charges a unit that runs alone until somebody else wants the CPU. */
static void who_ran_alone_for_long_need_not_wait_as_long(void **state)
{
    struct cpumask only_0 = { .bits = { 1 } };
    unsigned int turns = 0;

    occupy(0, 0);
    assert_int_equal(sched_set_affinity(&units[1], &only_0, NULL), 0);
    now += 3600000 * MS;
    wake(1);
    assert_true(is_asked[0]); /* it has slept, and need not wait for the slice's end */
    for (unsigned int i = 0; i < 10; i++) {
        look(0);
        now += 5 * MS;
        turns += runs_on(0, 0);
    }
    assert_in_range(turns, 4, 6);
}

static void who_comes_from_a_busier_cpu_need_not_wait_for_the_others_to_catch_up(void **state)
{
    assert_in_range(turns_after_a_move(0), 4, 6);
}

static void who_comes_from_an_idler_cpu_does_not_take_all_of_the_other(void **state)
{
    assert_in_range(turns_after_a_move(1), 4, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(two_that_slept_on_one_cpu_wake_on_two, begin),
        cmocka_unit_test_setup(an_idle_cpu_that_was_asked_in_vain_is_asked_again, begin),
        cmocka_unit_test_setup(who_comes_from_a_busier_cpu_need_not_wait_for_the_others_to_catch_up,
                               begin),
        cmocka_unit_test_setup(who_comes_from_an_idler_cpu_does_not_take_all_of_the_other, begin),
        cmocka_unit_test_setup(who_ran_alone_for_long_need_not_wait_as_long, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
