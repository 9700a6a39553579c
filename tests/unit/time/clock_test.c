/* SPDX-License-Identifier: MIT */
/* sources: hv/time/clock.c hv/time/sample.c hv/time/scale.c hv/time/timer.c hv/lib/heap.c
 * tests/unit/time/fake.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sys/cpu.h"
#include "time/fake.h"
#include "time/internal.h"
#include "time/timer.h"

/* A counter of PM-timer kind: so many ticks a second of a TSC at tsc_hz, of so many bits. */
static uint64_t counter_hz, counter_mask, tsc_hz;

static uint64_t read_counter(void)
{
    fake_tsc += 300; /* a slow device */
    return (uint64_t)((unsigned __int128)fake_tsc * counter_hz / tsc_hz) & counter_mask;
}

static void begin(uint64_t tsc, uint64_t hz, uint64_t mask)
{
    fake_tsc = 123456789;
    fake_tsc_step = 20;
    tsc_hz = tsc;
    counter_hz = hz;
    counter_mask = mask;
}

static uint64_t ppm_off(uint64_t hz)
{
    uint64_t off = hz > tsc_hz ? hz - tsc_hz : tsc_hz - hz;

    return off * 1000000 / tsc_hz;
}

static void twenty_ms_are_enough_for_50_ppm(void **state)
{
    static const struct {
        uint64_t hz, mask;
    } clocks[] = { { 100000000, UINT64_MAX },
                   { 14318180, UINT32_MAX },
                   { 3579545, 0xffffff },
                   { 1193182, 0xffff } };

    for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
        for (uint64_t tsc = 1000000000; tsc < 5000000000; tsc += 123456789) {
            struct clock_sample a, b;
            uint64_t hz;

            begin(tsc, clocks[i].hz, clocks[i].mask);
            a = clock_sample_take(read_counter);
            fake_tsc += tsc / 50;
            b = clock_sample_take(read_counter);
            hz = clock_tsc_hz(&a, &b, counter_hz, counter_mask, 0);
            assert_in_range(ppm_off(hz), 0, 49);
            assert_true(clock_error_ppb(&a, &b, hz, counter_hz) / 1000 + 1 >= ppm_off(hz));
        }
    }
}

static void wraps_in_between_are_told_by_the_guess(void **state)
{
    struct clock_sample a, b;
    uint64_t hz;

    for (unsigned int seconds = 1; seconds < 600; seconds += 7) {
        begin(2893202000, 3579545, 0xffffff);
        a = clock_sample_take(read_counter);
        fake_tsc += seconds * tsc_hz;
        b = clock_sample_take(read_counter);
        hz = clock_tsc_hz(&a, &b, counter_hz, counter_mask, tsc_hz + tsc_hz / 10000);
        assert_in_range(ppm_off(hz), 0, 1);
    }
}

static uint64_t read_frozen(void)
{
    fake_tsc += 300;
    return 5;
}

static void a_frozen_counter_gives_no_frequency(void **state)
{
    struct clock_sample a, b;

    begin(1000000000, 3579545, 0xffffff);
    a = clock_sample_take(read_frozen);
    fake_tsc += 20000000;
    b = clock_sample_take(read_frozen);
    assert_int_equal(clock_tsc_hz(&a, &b, counter_hz, counter_mask, 0), 0);
}

static void a_change_of_scale_keeps_time_going_on(void **state)
{
    uint64_t last, generation_before;
    uint32_t generation;

    fake_tsc = 5000;
    fake_tsc_step = 0;
    clock_set_tsc_hz(1000000000);
    clock_cpu_init();
    last = time_now();
    for (int i = 0; i < 1000; i++) {
        time_scale_get(&generation);
        generation_before = generation;
        fake_tsc += (uint64_t)random() % 100000000;
        assert_true(time_now() >= last);
        last = time_now();
        clock_set_tsc_hz(1000000000 + (uint64_t)random() % 100000 - 50000);
        assert_true(time_now() >= last);
        assert_true(time_now() <= last + 100000000 / 10000);
        time_scale_get(&generation);
        assert_int_equal(generation, generation_before + 1);
        last = time_now();
    }
}

/* What another CPU that has not yet taken over the new scale reads is not ahead of those that have.
 */
static void old_scales_stay_behind_until_taken_over(void **state)
{
    uint32_t generation;
    struct time_scale old, new;

    clock_set_tsc_hz(1000100000);
    old = time_scale_get(&generation);
    fake_tsc += 1000000;
    clock_set_tsc_hz(1000000000);
    new = time_scale_get(&generation);
    assert_true(time_scale_ns(&new, fake_tsc + 900000) >= time_scale_ns(&old, fake_tsc + 900000));
}

static void tsc_values_before_the_base_have_their_time(void **state)
{
    uint64_t now;

    clock_set_tsc_hz(1000000000);
    fake_tsc += 5000;
    clock_set_tsc_hz(1000000000);
    now = time_now();
    assert_in_range(time_at_tsc(fake_tsc - 1000), now - 1001, now - 999);
    assert_in_range(time_at_tsc(fake_tsc + 1000), now + 999, now + 1001);
    assert_int_equal(time_at_tsc(fake_tsc - (now + 100000000) * 2), 0);
}

static void nothing_is_armed_while_the_local_timer_is_unmeasured(void **state)
{
    clock_set_local_timer(0, 0);
    clock_set_tsc_hz(1000000000);
    fake_count_set = 0;
    fake_deadline_tsc = 0;
    assert_true(clock_arm(time_now() + 1000));
    assert_false(clock_arm(time_now()));
    assert_int_equal(fake_count_set, 0);
    assert_int_equal(fake_deadline_tsc, 0);
}

static void counts_are_for_the_time_asked_or_a_little_more(void **state)
{
    clock_set_local_timer(100000, 1000000); /* a tenth of the TSC's speed */
    clock_set_tsc_hz(2000000000);
    for (uint64_t ns = 1; ns < 20000000000; ns = ns * 2 + 1) {
        uint64_t needed = (ns + 4) / 5;

        assert_true(clock_arm(time_now() + ns));
        assert_in_range(fake_count_set, min(needed, 0xffffffffull),
                        min(needed + needed / 1000000 + 2, 0xffffffffull));
    }
}

static void deadlines_are_for_the_time_asked_or_a_little_more(void **state)
{
    clock_set_local_timer(0, 1);
    clock_set_tsc_hz(2893202000);
    for (uint64_t ns = 1; ns < 200000000000; ns = ns * 2 + 1) {
        uint64_t at = time_now() + ns;

        assert_true(clock_arm(at));
        assert_true(time_at_tsc(fake_deadline_tsc) >= at);
        assert_true(time_at_tsc(fake_deadline_tsc) - at <= 5 + ns / 100000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_ms_are_enough_for_50_ppm),
        cmocka_unit_test(wraps_in_between_are_told_by_the_guess),
        cmocka_unit_test(a_frozen_counter_gives_no_frequency),
        cmocka_unit_test(a_change_of_scale_keeps_time_going_on),
        cmocka_unit_test(old_scales_stay_behind_until_taken_over),
        cmocka_unit_test(tsc_values_before_the_base_have_their_time),
        cmocka_unit_test(nothing_is_armed_while_the_local_timer_is_unmeasured),
        cmocka_unit_test(counts_are_for_the_time_asked_or_a_little_more),
        cmocka_unit_test(deadlines_are_for_the_time_asked_or_a_little_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
