/* SPDX-License-Identifier: MIT */
/*
 * The battery-backed clock (MC146818) and the memory beside it.  A pair of
 * ports, index and data, which dom0 uses as well: every access of anyone goes
 * through rtc_read() and rtc_write(), which do both halves under a lock.
 */
#pragma once

#include "lib/compiler.h"

#define RTC_PORT_INDEX 0x70
#define RTC_PORT_DATA  0x71

/* Read or write byte @index (bit 7, which masks NMIs, is taken as clear).  Takes a leaf lock. */
uint8_t rtc_read(uint8_t index);
void rtc_write(uint8_t index, uint8_t value);

/* The clock's registers as they stand, and how to read them. */
struct rtc_registers {
    uint8_t second, minute, hour, day, month, year;
    uint8_t century; /* 0: there is no such register */
    bool is_binary;  /* else each is two BCD digits */
    bool is_24h;     /* else bit 7 of the hour means p.m. */
};

/* Seconds since 1970 that @r says; false if it is no date between 1970 and 2369. */
bool rtc_decode(const struct rtc_registers *r, uint64_t *seconds);

/*
 * Seconds since 1970 by the clock, without waiting for a second to begin;
 * @century_index is where the century is kept, 0: nowhere.  False when the
 * clock is absent, ever busy or says no date.
 */
bool rtc_get_seconds(uint8_t century_index, uint64_t *seconds);
