/* SPDX-License-Identifier: MIT */
/* sources: hv/time/timer.c hv/lib/heap.c tests/unit/time/fake.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sys/cpu.h"
#include "sys/softirq.h"
#include "time/fake.h"
#include "time/internal.h"
#include "time/timer.h"

#define NR_TIMERS 200

static uint64_t now;
static uint64_t armed; /* what the hardware was last armed for; 0: not armed */
static unsigned int nr_arms;

/* In place of clock.c. */
uint64_t time_now(void)
{
    return now;
}

bool clock_arm(uint64_t ns)
{
    nr_arms++;
    armed = ns > now ? ns : 0;
    return ns > now;
}

static struct timer *fired[NR_TIMERS * 2];
static unsigned int nr_fired;

static void note(struct timer *t)
{
    assert_false(timer_is_armed(t));
    fired[nr_fired++] = t;
}

static bool softirq_taken(void)
{
    uint32_t was = host_cpu.softirqs;

    host_cpu.softirqs = 0;
    return was & 1u << SOFTIRQ_TIMER;
}

/* Each test begins with no timer armed, and with hardware that is not. */
static int begin(void **state)
{
    now = 1000000;
    timer_softirq();
    softirq_taken();
    now = 0;
    armed = nr_arms = nr_fired = 0;
    fake_raised_on = ~0u;
    return 0;
}

static void timers_fire_in_order_and_once(void **state)
{
    struct timer a, b, c;

    timer_init(&a, note, NULL, 0);
    timer_init(&b, note, NULL, 0);
    timer_init(&c, note, NULL, 0);
    timer_set(&b, 200);
    timer_set(&a, 100);
    timer_set(&c, 300);
    assert_int_equal(armed, 100);
    now = 250;
    timer_softirq();
    assert_int_equal(nr_fired, 2);
    assert_ptr_equal(fired[0], &a);
    assert_ptr_equal(fired[1], &b);
    assert_int_equal(armed, 300);
    now = 300;
    timer_softirq();
    assert_int_equal(nr_fired, 3);
    timer_softirq();
    assert_int_equal(nr_fired, 3);
}

static void a_timer_in_the_past_asks_for_a_run(void **state)
{
    struct timer a;

    now = 50;
    timer_init(&a, note, NULL, 0);
    timer_set(&a, 50);
    assert_true(softirq_taken());
    timer_softirq();
    assert_int_equal(nr_fired, 1);
}

static void hardware_that_fires_early_is_armed_again(void **state)
{
    struct timer a;

    timer_init(&a, note, NULL, 0);
    timer_set(&a, 100);
    now = 99;
    armed = 0;
    timer_softirq();
    assert_int_equal(nr_fired, 0);
    assert_int_equal(armed, 100);
    timer_stop(&a);
}

static void putting_off_leaves_the_hardware_alone(void **state)
{
    struct timer a;

    timer_init(&a, note, NULL, 0);
    timer_set(&a, 100);
    for (uint64_t ns = 101; ns < 120; ns++) {
        timer_set(&a, ns);
    }
    assert_int_equal(nr_arms, 1);
    now = 100;
    timer_softirq();
    assert_int_equal(nr_fired, 0);
    assert_int_equal(armed, 119);
    timer_stop(&a);
}

static void an_earlier_deadline_arms_at_once(void **state)
{
    struct timer a, b;

    timer_init(&a, note, NULL, 0);
    timer_init(&b, note, NULL, 0);
    timer_set(&a, 500);
    timer_set(&b, 400);
    assert_int_equal(armed, 400);
    timer_set(&a, 300);
    assert_int_equal(armed, 300);
    timer_stop(&a);
    timer_stop(&b);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    struct timer a;

    timer_init(&a, note, NULL, 0);
    timer_set(&a, 100);
    timer_stop(&a);
    timer_stop(&a);
    assert_false(timer_is_armed(&a));
    now = 200;
    timer_softirq();
    assert_int_equal(nr_fired, 0);
    timer_set(&a, 300);
    assert_int_equal(armed, 300);
    timer_kill(&a);
    assert_false(timer_is_armed(&a));
}

static void set_again(struct timer *t)
{
    note(t);
    timer_set(t, *(uint64_t *)t->data);
}

static void a_function_may_set_its_own_timer(void **state)
{
    uint64_t next = 1500;
    struct timer a;

    timer_init(&a, set_again, &next, 0);
    timer_set(&a, 100);
    now = 100;
    timer_softirq();
    assert_int_equal(nr_fired, 1);
    assert_int_equal(armed, 1500);
    timer_kill(&a);
}

static void a_timer_that_ever_expires_does_not_hold_the_cpu(void **state)
{
    uint64_t next = 0;
    struct timer a;

    timer_init(&a, set_again, &next, 0);
    timer_set(&a, 100);
    now = 100;
    timer_softirq();
    assert_in_range(nr_fired, 2, 100);
    assert_true(softirq_taken());
    timer_stop(&a);
}

static void kill_itself(struct timer *t)
{
    note(t);
    timer_kill(t);
    memset(t, 0xff, sizeof(*t));
}

static void a_function_may_kill_its_own_timer(void **state)
{
    struct timer a, b;

    timer_init(&a, kill_itself, NULL, 0);
    timer_init(&b, note, NULL, 0);
    timer_set(&a, 100);
    timer_set(&b, 100);
    now = 100;
    timer_softirq();
    assert_int_equal(nr_fired, 2);
}

static void a_timer_of_another_cpu_asks_that_cpu(void **state)
{
    struct timer a;

    timer_init(&a, note, NULL, 3);
    timer_set(&a, 100);
    assert_int_equal(armed, 0);
    assert_int_equal(fake_raised_on, 3);
    fake_raised_on = ~0u;
    timer_set(&a, 150);
    assert_int_equal(fake_raised_on, ~0u);
    timer_stop(&a);
}

/* Random sets, stops and passing time against a plain array. */
static void random_use_agrees_with_a_model(void **state)
{
    static struct timer timers[NR_TIMERS];
    static uint64_t model[NR_TIMERS]; /* deadline; 0: not armed */

    for (int i = 0; i < NR_TIMERS; i++) {
        timer_init(&timers[i], note, NULL, 0);
        model[i] = 0;
    }
    now = 1;
    for (int step = 0; step < 100000; step++) {
        int i = (int)(random() % NR_TIMERS);
        uint64_t first = UINT64_MAX, last = 0;

        switch (random() % 4) {
        case 0:
        case 1:
            model[i] = now + 1 + (uint64_t)random() % 1000;
            timer_set(&timers[i], model[i]);
            break;
        case 2:
            model[i] = 0;
            timer_stop(&timers[i]);
            break;
        default:
            now += (uint64_t)random() % 20;
            nr_fired = 0;
            do {
                timer_softirq();
            } while (softirq_taken());
            for (unsigned int n = 0; n < nr_fired; n++) {
                uint64_t *due = &model[fired[n] - timers];

                assert_in_range(*due, max(last, 1ull), now);
                last = *due;
                *due = 0;
            }
        }
        for (int n = 0; n < NR_TIMERS; n++) {
            assert_int_equal(timer_is_armed(&timers[n]), model[n] != 0);
            first = model[n] ? min(first, model[n]) : first;
        }
        assert_true(first > now);
        assert_true(first == UINT64_MAX || armed <= first);
    }
    for (int i = 0; i < NR_TIMERS; i++) {
        timer_stop(&timers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(timers_fire_in_order_and_once, begin),
        cmocka_unit_test_setup(a_timer_in_the_past_asks_for_a_run, begin),
        cmocka_unit_test_setup(hardware_that_fires_early_is_armed_again, begin),
        cmocka_unit_test_setup(putting_off_leaves_the_hardware_alone, begin),
        cmocka_unit_test_setup(an_earlier_deadline_arms_at_once, begin),
        cmocka_unit_test_setup(a_stopped_timer_does_not_fire, begin),
        cmocka_unit_test_setup(a_function_may_set_its_own_timer, begin),
        cmocka_unit_test_setup(a_timer_that_ever_expires_does_not_hold_the_cpu, begin),
        cmocka_unit_test_setup(a_function_may_kill_its_own_timer, begin),
        cmocka_unit_test_setup(a_timer_of_another_cpu_asks_that_cpu, begin),
        cmocka_unit_test_setup(random_use_agrees_with_a_model, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
