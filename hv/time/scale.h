/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic on struct time_scale: pure functions.  A scale turns a counter's
 * ticks into nanoseconds by one multiplication; it has the form that guests
 * get (struct vcpu_time_info), so that they and we count alike to the ns.
 */
#pragma once

#include "lib/div.h"
#include "time/time.h"

#define NS_PER_SEC 1000000000ull

/* Frequencies that a scale can be made of, in Hz. */
#define TIME_HZ_MIN 1000000ull
#define TIME_HZ_MAX ((1ull << 40) - 1)

/* The scale of a counter of @hz (cut to the limits above) that was @tsc at @ns. */
struct time_scale time_scale_make(uint64_t hz, uint64_t tsc, uint64_t ns);

/* Frequency of the scale's counter in Hz. */
uint64_t time_scale_hz(const struct time_scale *s);

/* Ticks in one ns as a 32.32 fixed-point number, rounded up. */
uint64_t time_scale_inverse(const struct time_scale *s);

/*
 * Ticks to add to a time span made by time_scale_inverse(), so that the span
 * read back by time_scale_ns() is never shorter: both of its cuts.
 */
uint32_t time_scale_slack(const struct time_scale *s);

/* @ticks of the counter, as ns. */
static always_inline uint64_t time_scale_span(const struct time_scale *s, uint64_t ticks)
{
    ticks = s->shift < 0 ? ticks >> -s->shift : ticks << s->shift;
    return mul_frac32(ticks, s->mul);
}

/* Time at the counter value @tsc, which is not before the scale's base. */
static always_inline uint64_t time_scale_ns(const struct time_scale *s, uint64_t tsc)
{
    return s->base_ns + time_scale_span(s, tsc - s->base_tsc);
}

/*
 * Our own way to the same time, in fewer steps: ns in a tick as a 16.48
 * fixed-point number.  Where guests drop the lowest bits of the ticks it keeps
 * them, so it may be ahead of theirs, by less than 2^-shift ticks.
 */
#define TIME_RATE_SHIFT 48

static inline uint64_t time_scale_rate(const struct time_scale *s)
{
    return (uint64_t)s->mul << (TIME_RATE_SHIFT - 32 + s->shift);
}
