/* SPDX-License-Identifier: MIT */
/*
 * Measuring the TSC against another counter.
 *
 * A sample waits for the counter to step, which takes no longer than one of
 * its ticks, and brackets the reading that saw the step by two readings of the
 * TSC.  Interrupts of the firmware and exits to another hypervisor make some
 * brackets wide, so the narrowest of a few is taken.  What is left is an error
 * of a tick and a bracket, which a few milliseconds make small; and most of
 * it is the same in both samples and cancels.
 */
#include "lib/div.h"
#include "time/internal.h"
#include "x86/insn.h"

#define STEPS          5  /* how many steps of the counter a sample looks at */
#define READS_PER_STEP 64 /* a counter that does not step in so many stands still */

static struct clock_sample take_one(uint64_t (*read)(void))
{
    struct clock_sample s = { 0 };
    uint64_t before = read();

    for (int i = 0; i < READS_PER_STEP; i++) {
        uint64_t start = rdtsc_ordered();

        s.count = read();
        s.width = rdtsc_ordered() - start;
        s.tsc = start + s.width / 2;
        if (s.count != before) {
            break;
        }
    }
    return s;
}

struct clock_sample clock_sample_take(uint64_t (*read)(void))
{
    struct clock_sample best = take_one(read);

    for (int i = 1; i < STEPS; i++) {
        struct clock_sample s = take_one(read);

        if (s.width < best.width) {
            best = s;
        }
    }
    return best;
}

/* How far the counter came from @a to @b, with the wraps that @tsc_ticks at @guess_hz suggest. */
static uint64_t counted(uint64_t a, uint64_t b, uint64_t tsc_ticks, uint64_t hz, uint64_t mask,
                        uint64_t guess_hz)
{
    uint64_t n = (b - a) & mask, expected;

    if (guess_hz == 0 || mask >= UINT64_MAX / 2) {
        return n;
    }
    expected = mul_div64(tsc_ticks, hz, guess_hz);
    if (expected > n) {
        n += (expected - n + mask / 2) / (mask + 1) * (mask + 1);
    }
    return n;
}

uint64_t clock_tsc_hz(const struct clock_sample *a, const struct clock_sample *b, uint64_t hz,
                      uint64_t mask, uint64_t guess_hz)
{
    uint64_t tsc_ticks = b->tsc - a->tsc;
    uint64_t n = counted(a->count, b->count, tsc_ticks, hz, mask, guess_hz);

    /* More than TIME_HZ_MAX is no frequency, and would not fit. */
    if (n == 0 || tsc_ticks / n > TIME_HZ_MAX / hz) {
        return 0;
    }
    return mul_div64(tsc_ticks, hz, n);
}

uint64_t clock_error_ppb(const struct clock_sample *a, const struct clock_sample *b,
                         uint64_t tsc_hz, uint64_t hz)
{
    uint64_t tick = tsc_hz / hz; /* of the counter, in ticks of the TSC */
    uint64_t span = b->tsc - a->tsc;
    uint64_t off = (a->width + b->width) / 2 + tick;

    return span <= off ? NS_PER_SEC : mul_div64(off, NS_PER_SEC, span);
}

/* CPUID leaf 0x15: the core crystal and its ratio to the TSC; 0x16: base frequency (SDM vol. 2). */
static uint64_t told_by_processor(uint32_t max_leaf)
{
    struct cpuid_regs r;

    if (max_leaf >= 0x15) {
        r = cpuid(0x15, 0);
        if (r.a != 0 && r.b != 0 && r.c != 0) {
            return (uint64_t)r.c * r.b / r.a;
        }
    }
    if (max_leaf >= 0x16) {
        return (cpuid(0x16, 0).a & 0xffff) * 1000000ull;
    }
    return 0;
}

uint64_t clock_told_tsc_hz(void)
{
    uint32_t max_leaf = cpuid(0, 0).a;
    bool is_virtual = cpuid(1, 0).c >> 31;
    uint32_t max_virtual = is_virtual ? cpuid(0x40000000, 0).a : 0;

    /* The leaf where hypervisors tell the frequency in kHz; what they virtualise comes before the
     * rest. */
    if (max_virtual >= 0x40000010 && max_virtual < 0x40000100) {
        uint64_t khz = cpuid(0x40000010, 0).a;

        if (khz != 0) {
            return khz * 1000;
        }
    }
    return told_by_processor(max_leaf);
}
