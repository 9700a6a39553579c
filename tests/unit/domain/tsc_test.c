/* SPDX-License-Identifier: MIT */
/* sources: hv/domain/tsc.c hv/time/scale.c tests/unit/sys/fake_log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/domain.h"
#include "time/scale.h"
#include "time/time.h"

#define OUR_KHZ 2000000u
#define SECOND  1000000000ull

static uint64_t now;

uint64_t time_now(void)
{
    return now;
}

uint32_t time_tsc_khz(void)
{
    return OUR_KHZ;
}

static void only_another_speed_is_emulated_by_default(void **state)
{
    static const struct {
        uint32_t mode, khz;
        bool is_emulated;
    } cases[] = {
        { TSC_MODE_DEFAULT, 0, false },
        { TSC_MODE_DEFAULT, OUR_KHZ, false },
        { TSC_MODE_DEFAULT, OUR_KHZ + 400, false }, /* measured anew */
        { TSC_MODE_DEFAULT, OUR_KHZ / 2, true },
        { TSC_MODE_DEFAULT, OUR_KHZ * 2, true },
        { TSC_MODE_ALWAYS_EMULATE, 0, true },
        { TSC_MODE_NEVER_EMULATE, OUR_KHZ / 2, false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct domain d = { .id = 1 };
        const struct domain_tsc t = { .mode = cases[i].mode, .khz = cases[i].khz };

        assert_int_equal(domain_set_tsc(&d, &t), 0);
        assert_int_equal(d.is_tsc_emulated, cases[i].is_emulated);
    }
}

static void values_whose_ticks_fit_no_word_are_refused(void **state)
{
    struct domain d = { .id = 1 };
    struct domain_tsc t = { .mode = 3 };

    assert_int_equal(domain_set_tsc(&d, &t), -EINVAL);
    t = (struct domain_tsc){ .khz = 999 };
    assert_int_equal(domain_set_tsc(&d, &t), -EINVAL);
    t = (struct domain_tsc){ .khz = UINT32_MAX };
    assert_int_equal(domain_set_tsc(&d, &t), -EINVAL);
    t = (struct domain_tsc){ .elapsed_ns = UINT64_MAX };
    assert_int_equal(domain_set_tsc(&d, &t), -EINVAL);
    t = (struct domain_tsc){ .mode = 1, .khz = 1u << 24, .elapsed_ns = 1ull << 58 };
    assert_int_equal(domain_set_tsc(&d, &t), 0);
    assert_int_equal(domain_read_tsc(&d), (unsigned __int128)t.elapsed_ns * t.khz / 1000000);
}

static void what_was_set_is_told(void **state)
{
    struct domain d = { .id = 1 };
    struct domain_tsc t = { .mode = 1, .khz = 500000, .incarnation = 4, .elapsed_ns = SECOND };

    now = 10 * SECOND;
    assert_int_equal(domain_set_tsc(&d, &t), 0);
    now += 2 * SECOND;
    domain_get_tsc(&d, &t);
    assert_int_equal(t.mode, 1);
    assert_int_equal(t.khz, 500000);
    assert_int_equal(t.incarnation, 5);
    assert_int_equal(t.elapsed_ns, 3 * SECOND);
    t.mode = TSC_MODE_NEVER_EMULATE;
    assert_int_equal(domain_set_tsc(&d, &t), 0);
    domain_get_tsc(&d, &t);
    assert_int_equal(t.khz, 0);
    assert_int_equal(t.elapsed_ns, 0);
}

/* Also for a counter that began before our time did, and for a base before it began. */
static void its_clock_tells_system_time(void **state)
{
    static const uint64_t elapsed[] = { 0, SECOND, 100 * SECOND };
    static const uint64_t bases[] = { 0, 9 * SECOND, 10 * SECOND };

    for (size_t i = 0; i < ARRAY_SIZE(elapsed) * ARRAY_SIZE(bases); i++) {
        struct domain d = { .id = 1 };
        const struct domain_tsc t = { .mode = 1, .khz = 1234567, .elapsed_ns = elapsed[i / 3] };
        struct time_scale s;
        uint64_t ns;

        now = 10 * SECOND;
        assert_int_equal(domain_set_tsc(&d, &t), 0);
        s = domain_tsc_scale(&d, bases[i % 3]);
        now = 12 * SECOND;
        ns = time_scale_ns(&s, domain_read_tsc(&d));
        assert_in_range(ns, now - 100, now + 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_another_speed_is_emulated_by_default),
        cmocka_unit_test(values_whose_ticks_fit_no_word_are_refused),
        cmocka_unit_test(what_was_set_is_told),
        cmocka_unit_test(its_clock_tells_system_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
