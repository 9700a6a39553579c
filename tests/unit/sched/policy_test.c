/* SPDX-License-Identifier: MIT */
/* What each policy promises, by a clock that the test moves: shares, caps, latencies, deadlines. */
/* sources: hv/sched/core.c hv/sched/place.c hv/sched/pool.c hv/sched/group.c hv/sched/fair.c
 * hv/sched/rtds.c hv/sched/null.c tests/unit/sched/machine.c
 */
#include "sched/machine.h"

static struct sched_group groups[16];

/* @nr hogs in @g. */
static struct sim_unit *add_hogs(struct sched_group *g, unsigned int nr)
{
    struct sim_unit *first = NULL;

    for (unsigned int i = 0; i < nr; i++) {
        struct sim_unit *s = sim_add(g);

        first = first == NULL ? s : first;
        sim_wake(s);
    }
    return first;
}

static uint64_t used_by(struct sim_unit *first, unsigned int nr)
{
    uint64_t ns = 0;

    for (unsigned int i = 0; i < nr; i++) {
        ns += sim_used(&first[i]);
    }
    return ns;
}

/* @got is within @permille thousandths of @wanted. */
static void assert_about(uint64_t got, uint64_t wanted, unsigned int permille)
{
    assert_in_range(got, wanted - wanted * permille / 1000, wanted + wanted * permille / 1000);
}

/* ------------------------------------------------------------- shares -- */

/* Groups of weights 1 : 2 : 4 with @vcpus hogs each on @nr_cpus CPUs, for ten seconds. */
static void weigh(uint32_t policy, unsigned int nr_cpus, unsigned int vcpus)
{
    struct sim_unit *first[3];
    uint64_t total = 10 * SECOND * nr_cpus;

    sim_begin(nr_cpus, policy);
    for (unsigned int i = 0; i < 3; i++) {
        sim_group(&groups[i], (uint16_t)(128 << i), 0);
        first[i] = add_hogs(&groups[i], vcpus);
    }
    sim_run(10 * SECOND);
    for (unsigned int i = 0; i < 3; i++) {
        assert_about(used_by(first[i], vcpus), total * (1u << i) / 7, 30);
    }
}

static void weights_hold_within_three_percent_over_ten_seconds(void **state)
{
    static const uint32_t policies[] = { XEN_SCHEDULER_CREDIT2, XEN_SCHEDULER_CREDIT };

    for (unsigned int i = 0; i < ARRAY_SIZE(policies); i++) {
        weigh(policies[i], 1, 1);
        weigh(policies[i], 1, 3);
        weigh(policies[i], 2, 2);
        weigh(policies[i], 2, 3);
        weigh(policies[i], 4, 4);
        weigh(policies[i], 8, 8);
    }
}

static void three_share_two_cpus_alike(void **state)
{
    struct sim_unit *s;

    sim_begin(2, XEN_SCHEDULER_CREDIT2);
    sim_group(&groups[0], 0, 0);
    s = add_hogs(&groups[0], 3);
    sim_run(10 * SECOND);
    for (unsigned int i = 0; i < 3; i++) {
        assert_about(sim_used(&s[i]), 20 * SECOND / 3, 10);
    }
}

/* One that is too heavy for its single vCPU takes a CPU; the others share the rest by weight. */
static void a_weight_that_no_cpu_can_carry_leaves_the_rest_to_the_others(void **state)
{
    struct sim_unit *s[3];

    sim_begin(2, XEN_SCHEDULER_CREDIT2);
    for (unsigned int i = 0; i < 3; i++) {
        sim_group(&groups[i], (uint16_t)(256 << i), 0);
        s[i] = add_hogs(&groups[i], 1);
    }
    sim_run(10 * SECOND);
    assert_about(sim_used(s[2]), 10 * SECOND, 30);
    assert_about(sim_used(s[1]), 20 * SECOND / 3, 50);
    assert_about(sim_used(s[0]), 10 * SECOND / 3, 50);
}

/* Who sleeps now and then gets its share when it asks for more than that. */
static void sleepers_and_hogs_share_by_weight(void **state)
{
    struct sim_unit *hog, *sleeper;

    for (unsigned int i = 1; i < 5; i++) {
        sim_begin(1, XEN_SCHEDULER_CREDIT2);
        sim_group(&groups[0], 256, 0);
        sim_group(&groups[1], 256, 0);
        hog = add_hogs(&groups[0], 1);
        sleeper = sim_add(&groups[1]);
        sim_pattern(sleeper, i * 1500 * US, 300 * US);
        sim_wake(sleeper);
        sim_run(10 * SECOND);
        assert_about(sim_used(hog), 5 * SECOND, 30);
        assert_about(sim_used(sleeper), 5 * SECOND, 30);
    }
}

static void the_lightest_beside_the_heaviest_gets_its_share(void **state)
{
    struct sim_unit *light, *heavy;

    sim_begin(1, XEN_SCHEDULER_CREDIT2);
    sim_group(&groups[0], 16, 0);
    sim_group(&groups[1], 1024, 0);
    light = add_hogs(&groups[0], 1);
    heavy = add_hogs(&groups[1], 1);
    sim_run(100 * SECOND);
    assert_about(sim_used(light), 100 * SECOND / 65, 50);
    assert_about(sim_used(heavy), 100 * SECOND * 64 / 65, 50);
}

static void a_sleeper_preempts_hogs_at_once(void **state)
{
    for (unsigned int nr_cpus = 1; nr_cpus <= 8; nr_cpus *= 2) {
        struct sim_unit *sleeper;

        sim_begin(nr_cpus, XEN_SCHEDULER_CREDIT2);
        sim_group(&groups[0], 0, 0);
        sim_group(&groups[1], 0, 0);
        add_hogs(&groups[0], 3 * nr_cpus);
        sleeper = sim_add(&groups[1]);
        sim_pattern(sleeper, 50 * US, 3 * MS);
        sim_wake(sleeper);
        sim_run(50 * MS);
        sleeper->latency_ns = 0;
        sim_run(SECOND);
        assert_int_equal(sleeper->latency_ns, 0);
    }
}

static void a_rate_limit_holds_who_wakes_up_back(void **state)
{
    struct sched_pool_params p = { .slice_us = 5000, .ratelimit_us = 1000 };
    struct sim_unit *sleeper;

    sim_begin(1, XEN_SCHEDULER_CREDIT2);
    assert_int_equal(sched_pool_set_params(sim_pool, XEN_SCHEDULER_CREDIT, &p), -EINVAL);
    assert_int_equal(sched_pool_set_params(sim_pool, XEN_SCHEDULER_CREDIT2, &p), 0);
    sim_group(&groups[0], 0, 0);
    add_hogs(&groups[0], 2);
    sleeper = sim_add(&groups[0]);
    sim_pattern(sleeper, 50 * US, 700 * US);
    sim_wake(sleeper);
    sim_run(50 * MS);
    sleeper->latency_ns = 0;
    sim_run(SECOND);
    assert_in_range(sleeper->latency_ns, 1, 1000 * US);
}

/* --------------------------------------------------------------- caps -- */

/* @vcpus hogs with a cap on @nr_cpus CPUs, alone or beside @others hogs. */
static void limit(uint32_t policy, uint16_t cap, unsigned int vcpus, unsigned int nr_cpus,
                  unsigned int others)
{
    struct xen_domctl_schedparam_vcpu p = { .u.credit2 = { 512, cap } };
    struct sim_unit *first;

    sim_begin(nr_cpus, policy);
    sim_group(&groups[0], 0, 0);
    sim_group(&groups[1], 0, 0);
    first = add_hogs(&groups[0], vcpus);
    assert_int_equal(sched_set_params(&groups[0], NULL, policy, &p), 0);
    add_hogs(&groups[1], others);
    sim_run(10 * SECOND);
    assert_about(used_by(first, vcpus), 10 * SECOND * cap / 100, 20);
    for (unsigned int i = 1; i < vcpus; i++) {
        assert_about(sim_used(&first[i]), sim_used(first), 100);
    }
}

static void a_cap_holds_within_two_percent(void **state)
{
    static const uint32_t policies[] = { XEN_SCHEDULER_CREDIT2, XEN_SCHEDULER_CREDIT };

    for (unsigned int i = 0; i < ARRAY_SIZE(policies); i++) {
        limit(policies[i], 50, 1, 1, 0);
        limit(policies[i], 50, 2, 2, 0);
        limit(policies[i], 50, 2, 2, 1);
        limit(policies[i], 10, 4, 2, 0);
        limit(policies[i], 150, 2, 2, 0);
        limit(policies[i], 150, 4, 4, 1);
        limit(policies[i], 1, 2, 2, 2);
    }
}

static void a_cap_can_be_set_and_lifted_while_it_runs(void **state)
{
    struct xen_domctl_schedparam_vcpu p = { .u.credit2 = { 0, 25 } };
    struct sim_unit *s;
    uint64_t before;

    sim_begin(1, XEN_SCHEDULER_CREDIT2);
    sim_group(&groups[0], 0, 0);
    s = add_hogs(&groups[0], 1);
    sim_run(SECOND);
    assert_about(sim_used(s), SECOND, 1);
    assert_int_equal(sched_set_params(&groups[0], NULL, XEN_SCHEDULER_CREDIT2, &p), 0);
    before = sim_used(s);
    sim_run(4 * SECOND);
    assert_about(sim_used(s) - before, SECOND, 20);
    assert_int_equal(groups[0].weight, SCHED_WEIGHT_DEFAULT);
    p.u.credit2.cap = 0;
    assert_int_equal(sched_set_params(&groups[0], NULL, XEN_SCHEDULER_CREDIT2, &p), 0);
    before = sim_used(s);
    sim_run(SECOND);
    assert_about(sim_used(s) - before, SECOND, 20);
}

/* A unit made after the cap was set is under it as well. */
static void a_cap_holds_for_units_that_come_later(void **state)
{
    struct sim_unit *s;

    sim_begin(2, XEN_SCHEDULER_CREDIT2);
    sim_group(&groups[0], 0, 40);
    s = add_hogs(&groups[0], 1);
    sim_run(SECOND);
    add_hogs(&groups[0], 1);
    sim_run(9 * SECOND);
    assert_about(used_by(s, 2), 4 * SECOND, 20);
}

/* Steal time: what a capped unit waits counts as runnable. */
static void waiting_for_the_next_budget_is_stolen_time(void **state)
{
    struct sim_unit *s;

    sim_begin(1, XEN_SCHEDULER_CREDIT2);
    sim_group(&groups[0], 0, 50);
    s = add_hogs(&groups[0], 1);
    sim_run(10 * SECOND);
    assert_about(s->times[1], 5 * SECOND, 20);
}

/* --------------------------------------------------------------- rtds -- */

static void set_rt(struct sim_unit *s, uint32_t period_us, uint32_t budget_us, bool has_extra)
{
    struct xen_domctl_schedparam_vcpu p = {
        .u.rtds = { period_us, budget_us, has_extra ? XEN_DOMCTL_SCHEDRT_extra : 0 }
    };

    assert_int_equal(sched_set_params(s->unit.group, &s->unit, XEN_SCHEDULER_RTDS, &p), 0);
}

static void budgets_are_what_is_got_without_extra_time(void **state)
{
    struct sim_unit *s;

    sim_begin(1, XEN_SCHEDULER_RTDS);
    sim_group(&groups[0], 0, 0);
    s = sim_add(&groups[0]);
    sim_add(&groups[0]);
    set_rt(&s[0], 10000, 4000, false);
    set_rt(&s[1], 7000, 1400, false);
    sim_wake(&s[0]);
    sim_wake(&s[1]);
    sim_run(10 * SECOND);
    assert_about(sim_used(&s[0]), 4 * SECOND, 5);
    assert_about(sim_used(&s[1]), 2 * SECOND, 5);
}

/* A set that fills the CPU: by the theory of earliest deadlines each gets its budget in each
 * period. */
static void every_period_brings_its_budget(void **state)
{
    static const uint32_t sets[][2] = { { 10000, 5000 }, { 20000, 5000 }, { 8000, 2000 } };
    struct sim_unit *s[3];
    uint64_t before[3] = { 0 };

    sim_begin(1, XEN_SCHEDULER_RTDS);
    sim_group(&groups[0], 0, 0);
    for (unsigned int i = 0; i < 3; i++) {
        s[i] = sim_add(&groups[0]);
        set_rt(s[i], sets[i][0], sets[i][1], false);
        sim_wake(s[i]);
    }
    for (unsigned int ms = 1; ms <= 4000; ms++) {
        sim_run(MS);
        for (unsigned int i = 0; i < 3; i++) {
            if (ms * 1000 % sets[i][0] == 0) {
                assert_about(sim_used(s[i]) - before[i], sets[i][1] * US, 2);
                before[i] = sim_used(s[i]);
            }
        }
    }
}

static void extra_time_is_what_the_others_leave(void **state)
{
    struct sim_unit *s;

    sim_begin(1, XEN_SCHEDULER_RTDS);
    sim_group(&groups[0], 0, 0);
    s = sim_add(&groups[0]);
    sim_add(&groups[0]);
    set_rt(&s[0], 10000, 4000, false);
    set_rt(&s[1], 10000, 1000, true);
    sim_wake(&s[0]);
    sim_wake(&s[1]);
    sim_run(10 * SECOND);
    assert_about(sim_used(&s[0]), 4 * SECOND, 5);
    assert_about(sim_used(&s[1]), 6 * SECOND, 5);
}

static void two_with_extra_time_share_what_is_left(void **state)
{
    struct sim_unit *s;

    sim_begin(1, XEN_SCHEDULER_RTDS);
    sim_group(&groups[0], 0, 0);
    s = sim_add(&groups[0]);
    sim_add(&groups[0]);
    set_rt(&s[0], 10000, 1000, true);
    set_rt(&s[1], 10000, 1000, true);
    sim_wake(&s[0]);
    sim_wake(&s[1]);
    sim_run(10 * SECOND);
    assert_about(sim_used(&s[0]), 5 * SECOND, 100);
    assert_about(sim_used(&s[1]), 5 * SECOND, 100);
}

static void deadlines_count_on_all_cpus_together(void **state)
{
    struct sim_unit *s;

    sim_begin(4, XEN_SCHEDULER_RTDS);
    sim_group(&groups[0], 0, 0);
    s = sim_add(&groups[0]);
    for (unsigned int i = 1; i < 8; i++) {
        sim_add(&groups[0]);
    }
    for (unsigned int i = 0; i < 8; i++) {
        set_rt(&s[i], 10000, 4500, false);
        sim_wake(&s[i]);
    }
    sim_run(10 * SECOND);
    for (unsigned int i = 0; i < 8; i++) {
        assert_about(sim_used(&s[i]), 45 * SECOND / 10, 10);
    }
}

static void parameters_of_units_are_told_and_checked(void **state)
{
    struct xen_domctl_schedparam_vcpu p = { .u.rtds = { 0, 0, 0 } };
    struct sim_unit *s;

    sim_begin(1, XEN_SCHEDULER_RTDS);
    sim_group(&groups[0], 0, 0);
    s = sim_add(&groups[0]);
    assert_int_equal(sched_get_params(&groups[0], NULL, XEN_SCHEDULER_RTDS, &p), 0);
    assert_int_equal(p.u.rtds.period, 10000);
    assert_int_equal(p.u.rtds.budget, 4000);
    set_rt(s, 5000, 1000, false);
    assert_int_equal(sched_get_params(&groups[0], &s->unit, XEN_SCHEDULER_RTDS, &p), 0);
    assert_int_equal(p.u.rtds.period, 5000);
    assert_int_equal(p.u.rtds.budget, 1000);
    assert_int_equal(p.u.rtds.flags, 0);
    p.u.rtds.budget = 5001;
    assert_int_equal(sched_set_params(&groups[0], &s->unit, XEN_SCHEDULER_RTDS, &p), -EINVAL);
    p.u.rtds.period = p.u.rtds.budget = 0;
    assert_int_equal(sched_set_params(&groups[0], NULL, XEN_SCHEDULER_RTDS, &p), -EINVAL);
    p.u.rtds.period = p.u.rtds.budget = 10000001;
    assert_int_equal(sched_set_params(&groups[0], NULL, XEN_SCHEDULER_RTDS, &p), -EINVAL);
    assert_int_equal(sched_set_params(&groups[0], NULL, XEN_SCHEDULER_CREDIT2, &p), -EINVAL);
}

/* --------------------------------------------------------------- null -- */

static void each_unit_has_a_cpu_of_its_own(void **state)
{
    struct sim_unit *s;
    unsigned int asked;

    sim_begin(4, XEN_SCHEDULER_NULL);
    sim_group(&groups[0], 0, 0);
    s = add_hogs(&groups[0], 2);
    sim_add(&groups[0]);
    sim_pattern(&s[2], 100 * US, 100 * US);
    sim_wake(&s[2]);
    sim_run(MS);
    s[2].moves = 0;
    asked = sim_asked_in_all;
    sim_run(SECOND);
    assert_int_equal(sim_used(&s[0]), SECOND + MS);
    assert_int_equal(s[2].moves, 0);
    assert_int_equal(s[2].latency_ns, 0);
    /* One to wake, one to sleep, and none for the others. */
    assert_in_range(sim_asked_in_all - asked, 9990, 10010);
}

static void who_finds_no_cpu_waits_until_one_is_given_up(void **state)
{
    struct sim_unit *s;

    sim_begin(2, XEN_SCHEDULER_NULL);
    sim_group(&groups[0], 0, 0);
    s = add_hogs(&groups[0], 4);
    sim_run(SECOND);
    assert_int_equal(used_by(s, 4), 2 * SECOND);
    for (unsigned int i = 0; i < 4; i++) {
        assert_true(sim_used(&s[i]) == 0 || sim_used(&s[i]) == SECOND);
    }
    /* A sleeping one keeps its CPU, one that is offline does not. */
    for (unsigned int i = 0; i < 4; i++) {
        if (s[i].unit.state == UNIT_RUNNING) {
            sim_sleep(&s[i]);
            sim_run(MS);
            assert_int_equal(used_by(s, 4), 2 * SECOND + MS);
            sched_offline(&s[i].unit);
            break;
        }
    }
    sim_run(SECOND);
    assert_int_equal(used_by(s, 4), 4 * SECOND + MS);
}

/* --------------------------------------------------------------- mixes -- */

/* Sleepers, hogs, pinned and capped ones come and go; sim_check() looks after each event. */
static void nothing_is_lost_in_a_storm(void **state)
{
    static const uint32_t policies[] = { XEN_SCHEDULER_CREDIT2, XEN_SCHEDULER_CREDIT,
                                         XEN_SCHEDULER_RTDS, XEN_SCHEDULER_NULL };

    for (unsigned int round = 0; round < 24; round++) {
        unsigned int nr_cpus = 1 + round % 12;

        srand(round);
        sim_begin(nr_cpus, policies[round / 4 % 4]);
        for (unsigned int i = 0; i < 4; i++) {
            sim_group(&groups[i], 0, 0);
        }
        for (unsigned int i = 0; i < 24; i++) {
            struct sim_unit *s = sim_add(&groups[i % 4]);

            sim_pattern(s, (uint64_t)(rand() % 4000 + 1) * US, (uint64_t)(rand() % 8000) * US);
            if (rand() % 3 == 0) {
                sim_pin(s, 1ull << (unsigned int)rand() % nr_cpus);
            }
            sim_wake(s);
        }
        for (unsigned int step = 0; step < 300; step++) {
            struct sim_unit *s = &sim_units[rand() % 24];

            sim_run((uint64_t)(rand() % 2000) * US);
            switch (rand() % 4) {
            case 0:
                sim_pin(s, 1ull << (unsigned int)rand() % nr_cpus);
                break;
            case 1:
                sim_pin(s, ~0ull);
                break;
            case 2:
                sim_sleep(s);
                break;
            default:
                sim_wake(s);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_hold_within_three_percent_over_ten_seconds),
        cmocka_unit_test(three_share_two_cpus_alike),
        cmocka_unit_test(a_weight_that_no_cpu_can_carry_leaves_the_rest_to_the_others),
        cmocka_unit_test(sleepers_and_hogs_share_by_weight),
        cmocka_unit_test(the_lightest_beside_the_heaviest_gets_its_share),
        cmocka_unit_test(a_sleeper_preempts_hogs_at_once),
        cmocka_unit_test(a_rate_limit_holds_who_wakes_up_back),
        cmocka_unit_test(a_cap_holds_within_two_percent),
        cmocka_unit_test(a_cap_can_be_set_and_lifted_while_it_runs),
        cmocka_unit_test(a_cap_holds_for_units_that_come_later),
        cmocka_unit_test(waiting_for_the_next_budget_is_stolen_time),
        cmocka_unit_test(budgets_are_what_is_got_without_extra_time),
        cmocka_unit_test(every_period_brings_its_budget),
        cmocka_unit_test(extra_time_is_what_the_others_leave),
        cmocka_unit_test(two_with_extra_time_share_what_is_left),
        cmocka_unit_test(deadlines_count_on_all_cpus_together),
        cmocka_unit_test(parameters_of_units_are_told_and_checked),
        cmocka_unit_test(each_unit_has_a_cpu_of_its_own),
        cmocka_unit_test(who_finds_no_cpu_waits_until_one_is_given_up),
        cmocka_unit_test(nothing_is_lost_in_a_storm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
