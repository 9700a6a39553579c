/* SPDX-License-Identifier: MIT */
/* sources: hv/time/scale.c hv/time/guest.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abi/xen.h"
#include "time/scale.h"

static const uint64_t frequencies[] = {
    1000000,    3579545,    14318180,   24000000,    100000000,   499999999,  500000000,
    999999999,  1000000000, 1000000001, 1999999999,  2000000000,  2000000001, 2893202000,
    3999999999, 4000000001, 5700000000, 16000000000, TIME_HZ_MAX,
};

static uint64_t random64(void)
{
    return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
}

/* ns that @ticks at @hz take, exactly, rounded down. */
static uint64_t exact_ns(uint64_t ticks, uint64_t hz)
{
    return (uint64_t)((unsigned __int128)ticks * NS_PER_SEC / hz);
}

static void multiplier_has_its_top_bit_set(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(frequencies); i++) {
        struct time_scale s = time_scale_make(frequencies[i], 0, 0);

        assert_in_range(s.mul, 0x7ffffff0u, 0xffffffffu);
    }
}

static void error_stays_below_a_part_in_a_billion(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(frequencies); i++) {
        uint64_t hz = frequencies[i];
        struct time_scale s = time_scale_make(hz, 0, 0);

        for (int n = 0; n < 2000; n++) {
            uint64_t ticks = random64() % (hz * 100);
            uint64_t exact = exact_ns(ticks, hz), got = time_scale_ns(&s, ticks);
            uint64_t grain = 2 + exact_ns(s.shift < 0 ? 1ull << -s.shift : 0, hz);

            assert_true(got <= exact + 1);
            assert_true(exact - min(got, exact) <= exact / 1000000000 + grain);
        }
    }
}

static void frequency_is_read_back(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(frequencies); i++) {
        struct time_scale s = time_scale_make(frequencies[i], 7, 9);
        uint64_t hz = time_scale_hz(&s);

        assert_in_range(hz, frequencies[i], frequencies[i] + frequencies[i] / 1000000000 + 1);
    }
}

static void time_never_goes_back_with_the_counter(void **state)
{
    struct time_scale s = time_scale_make(2893202000, 1000, 5);
    uint64_t last = 0;

    for (uint64_t tsc = 1000; tsc < 20000; tsc++) {
        uint64_t ns = time_scale_ns(&s, tsc);

        assert_true(ns >= last);
        last = ns;
    }
}

static void a_span_read_back_is_never_shorter_than_asked(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(frequencies); i++) {
        struct time_scale s = time_scale_make(frequencies[i], 0, 0);
        uint64_t inverse = time_scale_inverse(&s);
        bool is_slow = frequencies[i] < 10000000; /* no TSC is: the inverse has few digits then */

        for (int n = 0; n < 5000; n++) {
            uint64_t now = random64() % (frequencies[i] * 1000), ns = random64() >> (26 + n % 36);
            uint64_t deadline = time_scale_ns(&s, now) + ns;
            uint64_t tsc = now + mul_shift64(ns, inverse, 32) + time_scale_slack(&s);
            uint64_t tick_ns = NS_PER_SEC / frequencies[i];

            assert_true(time_scale_ns(&s, tsc) >= deadline);
            assert_true(is_slow ||
                        time_scale_ns(&s, tsc) - deadline <= ns / 10000000 + (tick_ns + 1) * 8 + 8);
        }
    }
}

static void our_own_way_is_ahead_of_the_guests_by_less_than_a_cut(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(frequencies); i++) {
        struct time_scale s = time_scale_make(frequencies[i], 0, 0);
        uint64_t rate = time_scale_rate(&s);

        for (int n = 0; n < 5000; n++) {
            uint64_t tsc = random64() % (frequencies[i] * 1000);
            uint64_t ours = mul_shift64(tsc, rate, TIME_RATE_SHIFT);
            uint64_t cut = s.shift < 0 ? (1ull << -s.shift) : 0;

            assert_true(ours >= time_scale_ns(&s, tsc));
            assert_true(ours <= time_scale_ns(&s, tsc) + time_scale_span(&s, cut) + 1);
        }
    }
}

static void frequencies_out_of_range_are_cut(void **state)
{
    assert_int_equal(time_scale_make(1, 0, 0).mul, time_scale_make(TIME_HZ_MIN, 0, 0).mul);
    assert_int_equal(time_scale_make(UINT64_MAX, 0, 0).shift,
                     time_scale_make(TIME_HZ_MAX, 0, 0).shift);
}

static void one_ghz_is_what_guests_expect(void **state)
{
    struct time_scale s = time_scale_make(1000000000, 0, 0);

    assert_int_equal(s.mul, 0x80000000u);
    assert_int_equal(s.shift, 1);
}

/* What a guest computes, by the public header's formula. */
static uint64_t guest_ns(const struct vcpu_time_info *t, uint64_t tsc)
{
    uint64_t delta = tsc - t->tsc_timestamp;

    delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
    return t->system_time + (uint64_t)((unsigned __int128)delta * t->tsc_to_system_mul >> 32);
}

static void guests_read_the_same_time(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(frequencies); i++) {
        struct time_scale s = time_scale_make(frequencies[i], 12345, 67890);
        struct vcpu_time_info info = { .version = 4 };

        time_fill_guest(&info, &s, false);
        for (uint64_t tsc = 12345; tsc < 1ull << 50; tsc = tsc * 3 + 1) {
            assert_int_equal(guest_ns(&info, tsc), time_scale_ns(&s, tsc));
        }
    }
}

static void version_is_even_and_new_whatever_the_guest_wrote(void **state)
{
    struct time_scale s = time_scale_make(1000000000, 0, 0);
    static const uint32_t before[] = { 0, 1, 2, 0x7fffffff, 0xfffffffe, 0xffffffff };

    for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
        struct vcpu_time_info info = { .version = before[i], .pad0 = 77 };

        time_fill_guest(&info, &s, true);
        assert_int_equal(info.version & 1, 0);
        assert_int_not_equal(info.version, before[i]);
        assert_int_equal(info.flags, XEN_PVCLOCK_TSC_STABLE_BIT);
        assert_int_equal(info.pad0, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplier_has_its_top_bit_set),
        cmocka_unit_test(error_stays_below_a_part_in_a_billion),
        cmocka_unit_test(frequency_is_read_back),
        cmocka_unit_test(time_never_goes_back_with_the_counter),
        cmocka_unit_test(a_span_read_back_is_never_shorter_than_asked),
        cmocka_unit_test(our_own_way_is_ahead_of_the_guests_by_less_than_a_cut),
        cmocka_unit_test(frequencies_out_of_range_are_cut),
        cmocka_unit_test(one_ghz_is_what_guests_expect),
        cmocka_unit_test(guests_read_the_same_time),
        cmocka_unit_test(version_is_even_and_new_whatever_the_guest_wrote),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
