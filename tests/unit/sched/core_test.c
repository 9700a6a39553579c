/* SPDX-License-Identifier: MIT */
/* Units on several CPUs: where they are woken, and that each gets its share after a move. */
/* sources: hv/sched/core.c hv/sched/place.c hv/sched/pool.c hv/sched/group.c hv/sched/fair.c
 * hv/sched/rtds.c hv/sched/null.c tests/unit/sched/machine.c
 */
#include "sched/machine.h"

static struct sched_group group;
static struct sim_unit *units[4];

static int begin(void **state)
{
    sim_begin(3, XEN_SCHEDULER_CREDIT2);
    sim_group(&group, 0, 0);
    for (unsigned int u = 0; u < ARRAY_SIZE(units); u++) {
        units[u] = sim_add(&group);
        units[u]->unit.cpu = 0;
    }
    return 0;
}

static void two_that_slept_on_one_cpu_wake_on_two(void **state)
{
    sim_wake(units[0]);
    sim_wake(units[1]);
    assert_true(sim_is_asked(0));
    assert_true(sim_is_asked(1));
    sim_settle();
    assert_true(sim_runs_on(units[0], 0));
    assert_true(sim_runs_on(units[1], 1));
}

static void an_idle_cpu_that_was_asked_in_vain_is_asked_again(void **state)
{
    sim_wake(units[0]);
    sim_sleep(units[0]); /* before its CPU has looked */
    sim_settle();
    assert_true(!sim_runs_on(units[0], 0));
    sim_wake(units[1]);
    sim_settle();
    assert_true(sim_runs_on(units[1], 0));
}

static void occupy(struct sim_unit *u, unsigned int cpu)
{
    sim_pin(u, 1ull << cpu);
    sim_wake(u);
    sim_settle();
    assert_true(sim_runs_on(u, cpu));
}

/*
 * A CPU's units have used as much time as it has been busy, so a unit's time
 * means nothing to another CPU: who comes from there starts level.  Unit 0 moves
 * from CPU 0 to CPU 1, of which @busy was so for an hour; how many of ten slices
 * it then gets beside unit 1.
 */
static unsigned int slices_after_a_move(unsigned int busy)
{
    uint64_t before;

    occupy(units[busy], busy);
    sim_run(3600 * SECOND);
    occupy(units[!busy], !busy);
    sim_run(MS);
    sim_pin(units[0], 2);
    sim_settle();
    before = sim_used(units[0]);
    sim_run(200 * MS);
    return (unsigned int)((sim_used(units[0]) - before) / (20 * MS));
}

static void who_comes_from_a_busier_cpu_need_not_wait_for_the_others_to_catch_up(void **state)
{
    assert_in_range(slices_after_a_move(0), 4, 6);
}

static void who_comes_from_an_idler_cpu_does_not_take_all_of_the_other(void **state)
{
    assert_in_range(slices_after_a_move(1), 4, 6);
}

/* Nobody charges a unit that runs alone until somebody else wants the CPU. */
static void who_ran_alone_for_long_need_not_wait_as_long(void **state)
{
    uint64_t before;

    occupy(units[0], 0);
    sim_pin(units[1], 1);
    sim_run(3600 * SECOND);
    sim_wake(units[1]);
    assert_true(sim_is_asked(0)); /* it has slept, and need not wait for the slice's end */
    before = sim_used(units[0]);
    sim_run(200 * MS);
    assert_in_range(sim_used(units[0]) - before, 80 * MS, 120 * MS);
}

static void a_yielding_unit_lets_the_next_one_go_first(void **state)
{
    sim_pin(units[0], 1);
    sim_pin(units[1], 1);
    sim_wake(units[0]);
    sim_settle();
    sched_yield(); /* nobody else: it stays */
    assert_false(sim_is_asked(0));
    units[1]->unit.key = units[0]->unit.key + MS;
    sim_wake(units[1]);
    sim_settle();
    assert_true(sim_runs_on(units[0], 0));
    spin_lock(&sched_cpu_of(0)->queue->lock);
    sched_yield(); /* another CPU is at the queue: it does not queue up as well */
    assert_false(sim_is_asked(0));
    assert_int_equal(host_cpu.softirqs, 0);
    spin_unlock(&sched_cpu_of(0)->queue->lock);
    sched_yield();
    sim_look(0);
    assert_true(sim_runs_on(units[1], 0));
    sim_settle();
    assert_true(sim_runs_on(units[1], 0));
    sim_run(5 * MS);
    assert_true(sim_runs_on(units[0], 0));
}

static void a_running_unit_leaves_a_cpu_that_it_may_no_longer_use(void **state)
{
    sim_wake(units[0]);
    sim_settle();
    sim_pin(units[0], 4);
    sim_settle();
    assert_true(sim_runs_on(units[0], 2));
    assert_int_equal(units[0]->times[1 /* runnable */], 0);
}

static void soft_affinity_is_followed_where_there_is_a_choice(void **state)
{
    struct cpumask soft = { .bits = { 2 } };

    assert_int_equal(sched_set_affinity(&units[0]->unit, NULL, &soft), 0);
    sim_wake(units[0]);
    sim_settle();
    assert_true(sim_runs_on(units[0], 1));
    occupy(units[1], 0);
    sim_sleep(units[0]);
    sim_pin(units[2], 2);
    sim_wake(units[2]);
    sim_settle();
    sim_wake(units[0]); /* its CPU is taken: it runs elsewhere rather than wait */
    sim_settle();
    assert_true(sim_runs_on(units[0], 2));
    sim_sleep(units[2]); /* and comes back when that is free */
    sim_settle();
    assert_true(sim_runs_on(units[0], 1));
}

static void a_set_without_a_cpu_of_the_pool_is_refused(void **state)
{
    struct cpumask none = { { 0 } }, foreign = { { 8 } }, hard, soft;

    assert_int_equal(sched_set_affinity(&units[0]->unit, &none, NULL), -EINVAL);
    assert_int_equal(sched_set_affinity(&units[0]->unit, &foreign, NULL), -EINVAL);
    sched_effective_affinity(&units[0]->unit, &hard, &soft);
    assert_int_equal(hard.bits[0], 7);
    assert_int_equal(soft.bits[0], 7);
    assert_int_equal(sched_set_affinity(&units[0]->unit, NULL, &none), 0);
    sched_effective_affinity(&units[0]->unit, &hard, &soft);
    assert_int_equal(soft.bits[0], 0);
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
        cmocka_unit_test_setup(a_yielding_unit_lets_the_next_one_go_first, begin),
        cmocka_unit_test_setup(a_running_unit_leaves_a_cpu_that_it_may_no_longer_use, begin),
        cmocka_unit_test_setup(soft_affinity_is_followed_where_there_is_a_choice, begin),
        cmocka_unit_test_setup(a_set_without_a_cpu_of_the_pool_is_refused, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
