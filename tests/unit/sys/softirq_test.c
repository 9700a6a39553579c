/* SPDX-License-Identifier: MIT */
/* sources: hv/sys/softirq.c tests/unit/x86/fake.c */
#include "x86/fake.h"

#include "sys/softirq.h"
#include "x86/cpu.h"
#include "x86/smp.h"

static unsigned int ran[NR_SOFTIRQS], nr_pokes, poked;
static struct cpu other = { .id = 3 };
static jmp_buf left;

void cpu_poke(unsigned int cpu)
{
    poked = cpu;
    nr_pokes++;
}

void cpu_irq_window(void)
{
    host_cpu.is_poked = nr_pokes != 0;
}

static void timer(void)
{
    if (ran[SOFTIRQ_TIMER]++ == 0) {
        softirq_raise(SOFTIRQ_CONSOLE);
    }
}

static void schedule(void)
{
    ran[SOFTIRQ_SCHEDULE]++;
    longjmp(left, 1);
}

static void call(void)
{
    ran[SOFTIRQ_CALL]++;
}

static void console(void)
{
    ran[SOFTIRQ_CONSOLE]++;
}

void (*const softirq_handlers[NR_SOFTIRQS])(void) = { timer, schedule, call, console };

static int setup(void **state)
{
    fake_reset();
    memset(ran, 0, sizeof(ran));
    other.softirqs = nr_pokes = 0;
    cpus[3] = &other;
    return 0;
}

static void what_a_handler_raises_runs_as_well(void **state)
{
    softirq_raise(SOFTIRQ_TIMER);
    softirq_run();
    assert_int_equal(ran[SOFTIRQ_TIMER], 1);
    assert_int_equal(ran[SOFTIRQ_CONSOLE], 1);
    assert_int_equal(host_cpu.softirqs, 0);
}

static void a_handler_that_leaves_for_good_loses_no_other(void **state)
{
    softirq_raise(SOFTIRQ_SCHEDULE);
    softirq_raise(SOFTIRQ_CALL);
    if (setjmp(left) == 0) {
        softirq_run();
    }
    assert_int_equal(ran[SOFTIRQ_SCHEDULE], 1);
    assert_int_equal(host_cpu.softirqs, 1u << SOFTIRQ_CALL);
    softirq_run();
    assert_int_equal(ran[SOFTIRQ_CALL], 1);
}

static void another_cpu_is_woken_once(void **state)
{
    softirq_raise_on(3, SOFTIRQ_TIMER);
    softirq_raise_on(3, SOFTIRQ_TIMER);
    assert_int_equal(nr_pokes, 1);
    assert_int_equal(poked, 3);
    assert_int_equal(other.softirqs, 1u << SOFTIRQ_TIMER);
}

static void the_own_cpu_needs_no_interrupt(void **state)
{
    softirq_raise_on(0, SOFTIRQ_CALL);
    assert_int_equal(nr_pokes, 0);
    assert_int_equal(host_cpu.softirqs, 1u << SOFTIRQ_CALL);
}

static void long_work_stops_for_softirqs_and_for_pokes(void **state)
{
    assert_false(preempt_pending());
    softirq_raise(SOFTIRQ_TIMER);
    assert_true(preempt_pending());
    host_cpu.softirqs = 0;
    assert_false(preempt_pending());
    nr_pokes = 1;
    assert_true(preempt_pending());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_a_handler_raises_runs_as_well, setup),
        cmocka_unit_test_setup(a_handler_that_leaves_for_good_loses_no_other, setup),
        cmocka_unit_test_setup(another_cpu_is_woken_once, setup),
        cmocka_unit_test_setup(the_own_cpu_needs_no_interrupt, setup),
        cmocka_unit_test_setup(long_work_stops_for_softirqs_and_for_pokes, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
