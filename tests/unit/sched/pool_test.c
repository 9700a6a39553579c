/* SPDX-License-Identifier: MIT */
/* CPU pools: made, filled, drained, removed; groups that move; a CPU that leaves under load. */
/* sources: hv/sched/core.c hv/sched/place.c hv/sched/pool.c hv/sched/group.c hv/sched/fair.c
 * hv/sched/rtds.c hv/sched/null.c tests/unit/sched/machine.c
 */
#include "sched/machine.h"

static struct sched_group group;
static struct sim_unit *units[4];

/* Four CPUs and four hogs. */
static int begin(void **state)
{
    sim_begin(4, XEN_SCHEDULER_CREDIT2);
    sim_group(&group, 0, 0);
    for (unsigned int u = 0; u < ARRAY_SIZE(units); u++) {
        units[u] = sim_add(&group);
        sim_wake(units[u]);
    }
    sim_settle();
    return 0;
}

static uint64_t cpus_of(uint32_t pool)
{
    struct sched_pool_info info;

    assert_int_equal(sched_pool_get_info(pool, &info), 0);
    assert_int_equal(info.id, pool);
    return info.cpus.bits[0];
}

/* As who asks does it: again until it is done, while the CPUs go on. */
static void remove_cpu(uint32_t pool, unsigned int cpu)
{
    int rc;

    for (unsigned int turn = 0; (rc = sched_pool_remove_cpu(pool, cpu)) == -ERESTART; turn++) {
        assert_true(turn < 3);
        sim_settle();
    }
    assert_int_equal(rc, 0);
}

static void a_cpu_that_leaves_takes_nobody_along(void **state)
{
    remove_cpu(sim_pool, 3);
    assert_int_equal(cpus_of(sim_pool), 7);
    sim_run(SECOND);
    for (unsigned int u = 0; u < 4; u++) {
        assert_in_range(sim_used(units[u]), 700 * MS, 800 * MS);
    }
    assert_int_equal(sched_pool_add_cpu(sim_pool, 3), 0);
    sim_settle();
    sim_check();
    assert_true(!sched_cpu_of(3)->running->is_idle);
}

static void who_was_bound_to_it_is_set_free(void **state)
{
    sim_pin(units[0], 8);
    sim_run(10 * MS);
    assert_true(sim_runs_on(units[0], 3));
    remove_cpu(sim_pool, 3);
    assert_int_equal(units[0]->unit.affinity.bits[0], ~0ull);
    sim_run(10 * MS);
    assert_true(units[0]->unit.cpu != 3);
}

static void the_last_cpu_stays_while_it_is_needed(void **state)
{
    for (unsigned int cpu = 3; cpu > 0; cpu--) {
        remove_cpu(sim_pool, SCHED_POOL_ANY);
    }
    assert_int_equal(sched_pool_remove_cpu(sim_pool, 0), -EBUSY);
    sim_run(SECOND);
    for (unsigned int u = 0; u < 4; u++) {
        assert_in_range(sim_used(units[u]), 240 * MS, 260 * MS);
    }
    assert_int_equal(sched_pool_destroy(sim_pool), -EBUSY);
}

static void wrong_numbers_are_told_apart(void **state)
{
    uint32_t id = sim_pool;
    struct sched_pool_info info;

    assert_int_equal(sched_pool_create(&id, XEN_SCHEDULER_CREDIT2), -EEXIST);
    id = 50;
    assert_int_equal(sched_pool_create(&id, 1234), -ENOENT);
    assert_int_equal(sched_pool_get_info(51, &info), -ENOENT);
    assert_int_equal(sched_pool_add_cpu(50, 5), -ENOENT);
    assert_int_equal(sched_pool_add_cpu(sim_pool, 2), -ENODEV);
    assert_int_equal(sched_pool_add_cpu(sim_pool, SIM_CPUS), -EINVAL);
    assert_int_equal(sched_pool_remove_cpu(50, 2), -ENOENT);
    assert_int_equal(sched_pool_remove_cpu(sim_pool, SIM_CPUS), -EINVAL);
    assert_int_equal(sched_pool_remove_cpu(sim_pool, 9), -EADDRNOTAVAIL);
    assert_int_equal(sched_pool_destroy(50), -ENOENT);
    assert_int_equal(sched_pool_destroy(0), -EBUSY);
}

/* Numbers: the lowest that is free, and the order that tools walk them in. */
static void pools_are_found_by_number(void **state)
{
    uint32_t high = 9, any = SCHED_POOL_ANY;
    struct sched_pool_info info;

    assert_int_equal(sched_pool_create(&high, XEN_SCHEDULER_NULL), 0);
    assert_int_equal(sched_pool_create(&any, XEN_SCHEDULER_RTDS), 0);
    assert_int_equal(any, sim_pool + 1);
    assert_int_equal(sched_pool_get_info(any + 1, &info), 0);
    assert_int_equal(info.id, 9);
    assert_int_equal(info.policy_id, XEN_SCHEDULER_NULL);
    assert_int_equal(sched_pool_destroy(any), 0);
    assert_int_equal(sched_pool_destroy(high), 0);
}

/* A unit that sleeps keeps pointing to its queue, which meanwhile serves another pool and ends. */
static void who_sleeps_keeps_no_pool_alive(void **state)
{
    static struct sched_group g;
    struct sim_unit *sleeper;
    uint32_t own = SCHED_POOL_ANY, other = SCHED_POOL_ANY;
    unsigned int quiesced;

    assert_int_equal(sched_pool_create(&own, XEN_SCHEDULER_NULL), 0);
    assert_int_equal(sched_pool_add_cpu(own, 8), 0);
    assert_int_equal(sched_pool_add_cpu(own, 9), 0);
    sim_settle();
    sim_group(&g, 0, 0);
    sleeper = sim_add(&g);
    assert_int_equal(sched_group_move(&g, own), 0);
    assert_ptr_equal(sleeper->unit.queue, sched_cpu_of(8)->queue);
    remove_cpu(own, 8);
    assert_int_equal(sched_pool_create(&other, XEN_SCHEDULER_CREDIT), 0);
    assert_int_equal(sched_pool_add_cpu(other, 8), 0);
    sim_settle();
    assert_ptr_equal(sleeper->unit.queue, sched_cpu_of(8)->queue);
    remove_cpu(other, 8);
    quiesced = sim_quiesced;
    assert_int_equal(sched_pool_destroy(other), 0);
    assert_int_equal(sim_quiesced, quiesced + 1);
    sim_wake(sleeper);
    sim_settle();
    assert_true(sim_runs_on(sleeper, 9));
}

static void sleep_all(void)
{
    for (unsigned int u = 0; u < 4; u++) {
        sim_sleep(units[u]);
    }
    sim_settle();
}

static void a_group_moves_with_usual_shares(void **state)
{
    static const uint32_t policies[] = { XEN_SCHEDULER_CREDIT, XEN_SCHEDULER_RTDS,
                                         XEN_SCHEDULER_NULL };
    struct sched_pool_info info;

    for (unsigned int i = 0; i < ARRAY_SIZE(policies); i++) {
        uint32_t id = SCHED_POOL_ANY;
        uint64_t before = 0;

        assert_int_equal(sched_pool_create(&id, policies[i]), 0);
        assert_int_equal(sched_group_move(&group, id), -ENOENT); /* it has no CPU */
        for (unsigned int cpu = 4; cpu < 8; cpu++) {
            assert_int_equal(sched_pool_add_cpu(id, cpu), 0);
        }
        sim_settle();
        sim_pin(units[0], 1);
        sleep_all();
        assert_int_equal(sched_group_move(&group, id), 0);
        for (unsigned int u = 0; u < 4; u++) {
            before += sim_used(units[u]);
            sim_wake(units[u]);
        }
        sim_run(100 * MS);
        for (unsigned int u = 0; u < 4; u++) {
            before -= sim_used(units[u]);
            assert_in_range(units[u]->unit.cpu, 4, 7);
        }
        assert_int_equal(-before, 400 * MS);
        assert_int_equal(sched_group_pool(&group), id);
        assert_int_equal(sched_pool_get_info(id, &info), 0);
        assert_int_equal(info.nr_groups, 1);
        sleep_all();
        assert_int_equal(sched_group_move(&group, sim_pool), 0);
        for (unsigned int cpu = 4; cpu < 8; cpu++) {
            remove_cpu(id, cpu);
        }
        assert_int_equal(sched_pool_destroy(id), 0);
    }
}

/* CPUs come and go while units sleep, wake and compute. */
static void nothing_is_lost_while_cpus_come_and_go(void **state)
{
    static const uint32_t policies[] = { XEN_SCHEDULER_CREDIT2, XEN_SCHEDULER_RTDS,
                                         XEN_SCHEDULER_NULL };

    for (unsigned int i = 0; i < 9; i++) {
        srand(i);
        sim_begin(12, policies[i % 3]);
        sim_group(&group, 0, 0);
        for (unsigned int u = 0; u < 10; u++) {
            struct sim_unit *s = sim_add(&group);

            sim_pattern(s, (uint64_t)(rand() % 3000 + 1) * US, (uint64_t)(rand() % 3000) * US);
            sim_wake(s);
        }
        for (unsigned int step = 0; step < 200; step++) {
            unsigned int cpu = (unsigned int)rand() % 12;

            sim_run((uint64_t)(rand() % 3000) * US);
            if (rand() % 2 == 0 && cpus_of(sim_pool) != 1ull << cpu &&
                (cpus_of(sim_pool) >> cpu & 1)) {
                remove_cpu(sim_pool, cpu);
            } else {
                int rc = sched_pool_add_cpu(sim_pool, cpu);

                assert_true(rc == 0 || rc == -ENODEV);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_cpu_that_leaves_takes_nobody_along, begin),
        cmocka_unit_test_setup(who_was_bound_to_it_is_set_free, begin),
        cmocka_unit_test_setup(the_last_cpu_stays_while_it_is_needed, begin),
        cmocka_unit_test_setup(wrong_numbers_are_told_apart, begin),
        cmocka_unit_test_setup(pools_are_found_by_number, begin),
        cmocka_unit_test_setup(who_sleeps_keeps_no_pool_alive, begin),
        cmocka_unit_test_setup(a_group_moves_with_usual_shares, begin),
        cmocka_unit_test(nothing_is_lost_while_cpus_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
