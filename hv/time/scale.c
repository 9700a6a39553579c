/* SPDX-License-Identifier: MIT */
/*
 * Making scales.  With ns = (ticks * 2^shift) * mul / 2^32, the shift is
 * chosen so that mul has its top bit set: a relative error below 2^-31 however
 * fast the counter is.
 */
#include "time/scale.h"

struct time_scale time_scale_make(uint64_t hz, uint64_t tsc, uint64_t ns)
{
    struct time_scale s = { .base_tsc = tsc, .base_ns = ns };
    uint64_t scaled;

    hz = min(max(hz, TIME_HZ_MIN), TIME_HZ_MAX);
    scaled = hz;
    for (; scaled > 2 * NS_PER_SEC; scaled >>= 1) {
        s.shift--;
    }
    for (; scaled <= NS_PER_SEC; scaled <<= 1) {
        s.shift++;
    }
    s.mul = (uint32_t)min(mul_div64(NS_PER_SEC, 1ull << (32 - s.shift), hz), 0xffffffffull);
    return s;
}

uint64_t time_scale_hz(const struct time_scale *s)
{
    return mul_div64(NS_PER_SEC, 1ull << (32 - s->shift), s->mul);
}

uint64_t time_scale_inverse(const struct time_scale *s)
{
    return mul_div64(1ull << 32, 1ull << (32 - s->shift), s->mul) + 1;
}

uint32_t time_scale_slack(const struct time_scale *s)
{
    uint32_t ticks_per_ns = (uint32_t)(time_scale_inverse(s) >> 32) + 1;

    return ticks_per_ns + (s->shift < 0 ? 1u << -s->shift : 0);
}
