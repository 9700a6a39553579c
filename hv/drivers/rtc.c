/* SPDX-License-Identifier: MIT */
/*
 * The battery-backed clock.  Its registers change once a second, over some
 * 2 ms that the bit "update in progress" announces 244 us ahead: what is read
 * between two looks that found it clear, with the same second at both, is one
 * moment's.
 */
#include "drivers/rtc.h"

#include "sys/lock.h"
#include "x86/insn.h"

#define REG_SECOND 0x00
#define REG_MINUTE 0x02
#define REG_HOUR   0x04
#define REG_DAY    0x07
#define REG_MONTH  0x08
#define REG_YEAR   0x09
#define REG_A      0x0a
#define A_UPDATING 0x80
#define REG_B      0x0b
#define B_24H      0x02
#define B_BINARY   0x04
#define HOUR_PM    0x80

#define MAX_LOOKS 30000 /* well above the 2.2 ms of an update at 1 us a look */

static struct spinlock port_lock = SPINLOCK_INIT(LOCK_RANK_LEAF);

uint8_t rtc_read(uint8_t index)
{
    uint8_t value;

    spin_lock(&port_lock);
    outb(RTC_PORT_INDEX, index & 0x7f);
    value = inb(RTC_PORT_DATA);
    spin_unlock(&port_lock);
    return value;
}

void rtc_write(uint8_t index, uint8_t value)
{
    spin_lock(&port_lock);
    outb(RTC_PORT_INDEX, index & 0x7f);
    outb(RTC_PORT_DATA, value);
    spin_unlock(&port_lock);
}

/* The number in register value @v; 255 if it is none. */
static unsigned int number(const struct rtc_registers *r, uint8_t v)
{
    if (r->is_binary) {
        return v;
    }
    return (v & 0xf) > 9 || v > 0x99 ? 255 : (v >> 4) * 10u + (v & 0xf);
}

static unsigned int hour_of(const struct rtc_registers *r)
{
    unsigned int hour;

    if (r->is_24h) {
        return number(r, r->hour);
    }
    hour = number(r, r->hour & (uint8_t)~HOUR_PM);
    if (hour < 1 || hour > 12) {
        return 255;
    }
    return hour % 12 + (r->hour & HOUR_PM ? 12 : 0);
}

static unsigned int year_of(const struct rtc_registers *r)
{
    unsigned int year = number(r, r->year), century = number(r, r->century);

    if (r->century != 0 && century >= 19 && century <= 23) {
        return century * 100 + year;
    }
    return year < 70 ? 2000 + year : 1900 + year;
}

static bool is_leap(unsigned int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned int days_in_month(unsigned int year, unsigned int month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0);
}

/* Days from 1970-01-01 to the given date. */
static uint64_t days_since_1970(unsigned int year, unsigned int month, unsigned int day)
{
    uint64_t days = day - 1;

    for (unsigned int y = 1970; y < year; y++) {
        days += is_leap(y) ? 366 : 365;
    }
    for (unsigned int m = 1; m < month; m++) {
        days += days_in_month(year, m);
    }
    return days;
}

bool rtc_decode(const struct rtc_registers *r, uint64_t *seconds)
{
    unsigned int second = number(r, r->second), minute = number(r, r->minute), hour = hour_of(r);
    unsigned int day = number(r, r->day), month = number(r, r->month), year;

    if (number(r, r->year) > 99) {
        return false;
    }
    year = year_of(r);
    if (year < 1970 || second > 59 || minute > 59 || hour > 23 || month < 1 || month > 12 ||
        day < 1 || day > days_in_month(year, month)) {
        return false;
    }
    *seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

static bool is_updating(void)
{
    return rtc_read(REG_A) & A_UPDATING;
}

static void read_registers(uint8_t century_index, struct rtc_registers *r)
{
    uint8_t mode = rtc_read(REG_B);

    r->second = rtc_read(REG_SECOND);
    r->minute = rtc_read(REG_MINUTE);
    r->hour = rtc_read(REG_HOUR);
    r->day = rtc_read(REG_DAY);
    r->month = rtc_read(REG_MONTH);
    r->year = rtc_read(REG_YEAR);
    r->century = century_index ? rtc_read(century_index) : 0;
    r->is_binary = mode & B_BINARY;
    r->is_24h = mode & B_24H;
}

bool rtc_get_seconds(uint8_t century_index, uint64_t *seconds)
{
    struct rtc_registers r;

    for (int i = 0; i < MAX_LOOKS; i++) {
        if (is_updating()) {
            cpu_relax();
            continue;
        }
        read_registers(century_index, &r);
        if (!is_updating() && rtc_read(REG_SECOND) == r.second) {
            return rtc_decode(&r, seconds);
        }
    }
    return false;
}
