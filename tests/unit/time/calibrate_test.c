/* SPDX-License-Identifier: MIT */
/* sources: hv/time/calibrate.c hv/time/clock.c hv/time/sample.c hv/time/scale.c hv/time/timer.c
 * hv/time/wallclock.c hv/lib/heap.c tests/unit/time/fake.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/acpi.h"
#include "drivers/rtc.h"
#include "sys/cpu.h"
#include "sys/options.h"
#include "time/fake.h"
#include "time/internal.h"
#include "time/time.h"
#include "time/timer.h"

struct acpi_info acpi_info;
struct hv_options hv_options;

static uint64_t real_hz;       /* what the TSC runs at */
static bool has_good, has_bad; /* which clocks there are */
static uint64_t jump;          /* ticks that the counter is ahead of what it should be */
static bool rtc_works;

const struct acpi_table *acpi_find(const char *signature, uint32_t index)
{
    return NULL;
}

bool rtc_get_seconds(uint8_t century_index, uint64_t *seconds)
{
    *seconds = 1795355947;
    return rtc_works;
}

static uint64_t ticks(uint64_t hz)
{
    fake_tsc += 400;
    return (uint64_t)((unsigned __int128)fake_tsc * hz / real_hz) + jump;
}

static uint64_t good_read(void)
{
    return ticks(3579545) & 0xffffff;
}

static uint64_t good_mask(void)
{
    return 0xffffff;
}

static uint64_t good_hz(void)
{
    return 3579545;
}

static bool good_start(void)
{
    return has_good;
}

static uint64_t bad_read(void)
{
    return ticks(1193182) & 0xffff;
}

static uint64_t bad_mask(void)
{
    return 0xffff;
}

static uint64_t bad_hz(void)
{
    return 1193182;
}

static bool bad_start(void)
{
    return has_bad;
}

const struct platform_clock platform_clocks[] = {
    { "good", "good one", good_start, good_read, good_mask, good_hz },
    { "bad", "bad one", bad_start, bad_read, bad_mask, bad_hz },
    { NULL, NULL, NULL, NULL, NULL, NULL },
};

static int begin(void **state)
{
    fake_tsc_step = 15;
    fake_local_div = 10;
    fake_log_lines = 0;
    has_good = has_bad = rtc_works = true;
    jump = 0;
    real_hz = 2893202000;
    strcpy(hv_options.clocksource, "");
    return 0;
}

/* Start up, with @ms between the samples. */
static void start_up(uint64_t ms)
{
    time_init();
    time_cpu_init();
    fake_tsc += real_hz / 1000 * ms;
    time_calibrate();
    host_cpu.softirqs = 0;
}

static uint64_t ppm_off(void)
{
    uint32_t generation;
    struct time_scale s = time_scale_get(&generation);
    uint64_t hz = time_scale_hz(&s);

    return (hz > real_hz ? hz - real_hz : real_hz - hz) * 1000000 / real_hz;
}

/* Let @ns pass, with the local timer firing when it is due. */
static void pass(uint64_t ns)
{
    uint64_t end = fake_tsc + (uint64_t)((unsigned __int128)real_hz * ns / NS_PER_SEC);
    uint64_t step = real_hz / 100;

    while (fake_tsc < end) {
        fake_tsc += step;
        timer_softirq();
    }
}

static void the_best_clock_there_is_is_taken(void **state)
{
    time_init();
    time_cpu_init();
    assert_string_equal(time_platform_name(), "good one");
    has_good = false;
    time_init();
    time_cpu_init();
    assert_string_equal(time_platform_name(), "bad one");
    has_good = true;
    strcpy(hv_options.clocksource, "bad");
    time_init();
    time_cpu_init();
    assert_string_equal(time_platform_name(), "bad one");
    has_bad = false;
    fake_log_lines = 0;
    time_init();
    time_cpu_init();
    assert_string_equal(time_platform_name(), "good one");
    assert_in_range(fake_log_lines, 2, 4); /* one says why */
}

static void a_clock_that_nobody_knows_leaves_a_sentence(void **state)
{
    unsigned int lines;

    time_init();
    lines = fake_log_lines;
    strcpy(hv_options.clocksource, "sundial");
    time_init();
    assert_int_equal(fake_log_lines, 2 * lines + 1);
    strcpy(hv_options.clocksource, "tsc");
    time_init();
    assert_int_equal(fake_log_lines, 3 * lines + 1);
    assert_string_equal(time_platform_name(), "good one");
}

static void a_short_start_up_gives_50_ppm(void **state)
{
    for (uint64_t ms = 15; ms < 4000; ms = ms * 3 / 2) {
        start_up(ms);
        assert_in_range(ppm_off(), 0, 50);
    }
}

static void a_clock_that_wraps_in_start_up_is_told_by_the_guess(void **state)
{
    has_good = false;
    for (uint64_t ms = 30; ms < 1500; ms = ms * 3 / 2) {
        start_up(ms);
        assert_in_range(ppm_off(), 0, 50);
    }
}

static void refinements_make_it_exact(void **state)
{
    start_up(15);
    pass(2 * NS_PER_SEC);
    assert_in_range(ppm_off(), 0, 2);
    pass(80 * NS_PER_SEC);
    assert_int_equal(ppm_off(), 0);
}

static void a_frequency_that_jumps_is_not_believed(void **state)
{
    uint64_t before;

    start_up(15);
    pass(10 * NS_PER_SEC);
    before = ppm_off();
    jump = 100 * 3579545;
    fake_log_lines = 0;
    pass(100 * NS_PER_SEC);
    assert_in_range(fake_log_lines, 0, 2);
    assert_in_range(ppm_off(), 0, before + 1);
}

static void the_local_timer_is_measured_alike(void **state)
{
    start_up(15);
    assert_true(clock_arm(time_now() + 10000000));
    assert_in_range(fake_count_set, 2893202 - 2893202 / 20000, 2893202 + 2893202 / 5000);
}

static void a_local_timer_that_ran_out_is_measured_again(void **state)
{
    fake_local_div = 1;
    start_up(3000);
    assert_true(clock_arm(time_now() + 10000000));
    assert_in_range(fake_count_set, 28932020, 28932020 + 28932020 / 1000);
}

static void without_any_clock_time_goes_on(void **state)
{
    uint64_t a;

    has_good = has_bad = false;
    start_up(20);
    a = time_now();
    fake_tsc += 1000000;
    assert_true(time_now() > a);
    assert_string_equal(time_platform_name(), "none");
}

static void time_goes_on_over_the_calibration(void **state)
{
    uint64_t last = 0;

    time_init();
    time_cpu_init();
    for (int i = 0; i < 1000; i++) {
        fake_tsc += 10000;
        assert_true(time_now() >= last);
        last = time_now();
    }
    time_calibrate();
    assert_true(time_now() >= last);
}

static void the_wall_clock_is_kept_at_system_time_zero(void **state)
{
    uint64_t sec;
    uint32_t nsec;

    time_init();
    time_cpu_init();
    time_wallclock_get(&sec, &nsec);
    assert_in_range(sec, 1795355946 - time_now() / NS_PER_SEC, 1795355947);

    time_wallclock_set(1000, 200, 3 * NS_PER_SEC + 500);
    time_wallclock_get(&sec, &nsec);
    assert_int_equal(sec, 996);
    assert_int_equal(nsec, 999999700);
    time_wallclock_set(1000, 500, 3 * NS_PER_SEC + 500);
    time_wallclock_get(&sec, &nsec);
    assert_int_equal(sec, 997);
    assert_int_equal(nsec, 0);
    time_wallclock_set(1000, 4000000000u, 0);
    time_wallclock_get(&sec, &nsec);
    assert_int_equal(sec, 1004);
    assert_int_equal(nsec, 0);
    time_wallclock_set(1, 0, UINT64_MAX);
    time_wallclock_get(&sec, &nsec);
    assert_int_equal(sec, 0);
    assert_int_equal(nsec, 0);
}

static void a_silent_rtc_leaves_a_sentence(void **state)
{
    rtc_works = false;
    fake_log_lines = 0;
    wallclock_init();
    assert_int_equal(fake_log_lines, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_best_clock_there_is_is_taken, begin),
        cmocka_unit_test_setup(a_clock_that_nobody_knows_leaves_a_sentence, begin),
        cmocka_unit_test_setup(a_short_start_up_gives_50_ppm, begin),
        cmocka_unit_test_setup(a_clock_that_wraps_in_start_up_is_told_by_the_guess, begin),
        cmocka_unit_test_setup(refinements_make_it_exact, begin),
        cmocka_unit_test_setup(a_frequency_that_jumps_is_not_believed, begin),
        cmocka_unit_test_setup(the_local_timer_is_measured_alike, begin),
        cmocka_unit_test_setup(a_local_timer_that_ran_out_is_measured_again, begin),
        cmocka_unit_test_setup(without_any_clock_time_goes_on, begin),
        cmocka_unit_test_setup(time_goes_on_over_the_calibration, begin),
        cmocka_unit_test_setup(the_wall_clock_is_kept_at_system_time_zero, begin),
        cmocka_unit_test_setup(a_silent_rtc_leaves_a_sentence, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
