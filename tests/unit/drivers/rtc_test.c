/* SPDX-License-Identifier: MIT */
/* sources: hv/drivers/rtc.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "drivers/rtc.h"
#include "sys/lock.h"
#include "x86/insn.h"

/* The device: what its registers hold, and for how many looks it is busy. */
static uint8_t registers[128];
static uint8_t port_index;
static unsigned int busy_looks;
static unsigned int second_changes_after; /* reads of the second's register; 0: never */

void outb(uint16_t port, uint8_t value)
{
    if (port == RTC_PORT_INDEX) {
        port_index = value & 0x7f;
    } else {
        registers[port_index] = value;
    }
}

uint8_t inb(uint16_t port)
{
    assert_int_equal(port, RTC_PORT_DATA);
    if (port_index == 0x0a && busy_looks > 0) {
        busy_looks--;
        return registers[port_index] | 0x80;
    }
    if (port_index == 0 && second_changes_after > 0 && --second_changes_after == 0) {
        registers[0]++;
    }
    return registers[port_index];
}

void spin_lock_wait(struct spinlock *lock)
{
    fail();
}

static void set_clock(uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t hour,
                      uint8_t minute, uint8_t second, uint8_t mode)
{
    memset(registers, 0, sizeof(registers));
    registers[0] = second;
    registers[2] = minute;
    registers[4] = hour;
    registers[7] = day;
    registers[8] = month;
    registers[9] = year;
    registers[0x0a] = 0x26;
    registers[0x0b] = mode;
    registers[0x32] = century;
    busy_looks = 0;
    second_changes_after = 0;
}

#define BCD_24H    0x02
#define BINARY_24H 0x06
#define BCD_12H    0x00

static void reads_bcd_and_binary_alike(void **state)
{
    uint64_t a, b;

    set_clock(0x20, 0x26, 0x11, 0x22, 0x13, 0x59, 0x07, BCD_24H);
    assert_true(rtc_get_seconds(0x32, &a));
    set_clock(20, 26, 11, 22, 13, 59, 7, BINARY_24H);
    assert_true(rtc_get_seconds(0x32, &b));
    assert_int_equal(a, 1795355947);
    assert_int_equal(b, a);
}

static void twelve_hour_clocks_know_noon_and_midnight(void **state)
{
    static const struct {
        uint8_t raw;
        unsigned int hour;
    } cases[] = {
        { 0x12, 0 }, { 0x01, 1 }, { 0x11, 11 }, { 0x92, 12 }, { 0x81, 13 }, { 0x91, 23 }
    };
    uint64_t s;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        set_clock(0, 0x70, 0x01, 0x01, cases[i].raw, 0, 0, BCD_12H);
        assert_true(rtc_get_seconds(0, &s));
        assert_int_equal(s, cases[i].hour * 3600);
    }
}

static void agrees_with_the_c_library_on_all_dates(void **state)
{
    for (time_t t = 0; t < 12622780800; t += 86400 * 13 + 4567) { /* to 2369 */
        struct tm tm;
        uint64_t s;
        struct rtc_registers r = { .is_binary = true, .is_24h = true };

        gmtime_r(&t, &tm);
        r.second = (uint8_t)tm.tm_sec;
        r.minute = (uint8_t)tm.tm_min;
        r.hour = (uint8_t)tm.tm_hour;
        r.day = (uint8_t)tm.tm_mday;
        r.month = (uint8_t)(tm.tm_mon + 1);
        r.year = (uint8_t)(tm.tm_year % 100);
        r.century = (uint8_t)(19 + tm.tm_year / 100);
        assert_true(rtc_decode(&r, &s));
        assert_int_equal(s, t);
    }
}

static void without_a_century_years_are_1970_to_2069(void **state)
{
    struct rtc_registers r = {
        .day = 1, .month = 1, .year = 70, .is_binary = true, .is_24h = true
    };
    uint64_t s;

    assert_true(rtc_decode(&r, &s));
    assert_int_equal(s, 0);
    r.year = 69;
    assert_true(rtc_decode(&r, &s));
    assert_int_equal(s, 3124224000);
}

static void nonsense_is_no_date(void **state)
{
    static const struct rtc_registers bad[] = {
        { .day = 0, .month = 1, .is_24h = true },
        { .day = 1, .month = 0, .is_24h = true },
        { .day = 1, .month = 0x13, .is_24h = true },
        { .day = 0x30, .month = 2, .is_24h = true },
        { .day = 0x29, .month = 2, .year = 0x23, .is_24h = true },
        { .day = 1, .month = 1, .hour = 0x24, .is_24h = true },
        { .day = 1, .month = 1, .hour = 0, .is_24h = false },
        { .day = 1, .month = 1, .hour = 0x13, .is_24h = false },
        { .day = 1, .month = 1, .minute = 0x60, .is_24h = true },
        { .day = 1, .month = 1, .second = 0x60, .is_24h = true },
        { .day = 1, .month = 1, .second = 0x0a, .is_24h = true },
        { .day = 1, .month = 1, .year = 0xa0, .is_24h = true },
        { .day = 0xff,
          .month = 0xff,
          .year = 0xff,
          .hour = 0xff,
          .second = 0xff,
          .minute = 0xff,
          .century = 0xff,
          .is_24h = true,
          .is_binary = true },
    };
    uint64_t s;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(rtc_decode(&bad[i], &s));
    }
}

static void waits_for_an_update_to_end_but_not_for_ever(void **state)
{
    uint64_t s;

    set_clock(0x20, 0x26, 0x01, 0x01, 0, 0, 0, BCD_24H);
    busy_looks = 2000;
    assert_true(rtc_get_seconds(0x32, &s));
    busy_looks = ~0u;
    assert_false(rtc_get_seconds(0x32, &s));
}

static void a_second_that_passes_while_reading_is_read_again(void **state)
{
    uint64_t s;

    set_clock(0, 0x70, 0x01, 0x01, 0, 0, 0x05, BCD_24H);
    second_changes_after = 2;
    assert_true(rtc_get_seconds(0, &s));
    assert_int_equal(s, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_bcd_and_binary_alike),
        cmocka_unit_test(twelve_hour_clocks_know_noon_and_midnight),
        cmocka_unit_test(agrees_with_the_c_library_on_all_dates),
        cmocka_unit_test(without_a_century_years_are_1970_to_2069),
        cmocka_unit_test(nonsense_is_no_date),
        cmocka_unit_test(waits_for_an_update_to_end_but_not_for_ever),
        cmocka_unit_test(a_second_that_passes_while_reading_is_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
