/* SPDX-License-Identifier: MIT */
/*
 * A domain's time stamp counter.  Usually it is the processor's.  Where the
 * toolstack wants it to run at another speed, or to go on from where it was on
 * another machine, it counts system time: RDTSC faults then and is done for
 * the guest, and the clock that the guest is told is in that counter's ticks.
 */
#include "domain/domain.h"

#include "lib/div.h"
#include "sys/log.h"
#include "time/scale.h"
#include "time/time.h"

#define KHZ_MIN         1000u
#define KHZ_MAX         (1u << 24)
#define ELAPSED_MAX     (1ull << 58) /* nine years: its ticks fit into a word */
#define NS_PER_MS       1000000ull
#define TOLERANCE_SHIFT 12u /* measured speeds of one machine may differ by a 4096th */

/* Would a counter that should run at @khz be wrong by the processor's? */
static bool is_other_speed(uint32_t khz)
{
    uint32_t ours = time_tsc_khz();
    uint32_t apart = khz > ours ? khz - ours : ours - khz;

    return khz != 0 && apart > ours >> TOLERANCE_SHIFT;
}

int domain_set_tsc(struct domain *d, const struct domain_tsc *t)
{
    uint32_t khz = t->khz != 0 ? t->khz : time_tsc_khz();

    if (t->mode > TSC_MODE_NEVER_EMULATE || t->elapsed_ns > ELAPSED_MAX || khz < KHZ_MIN ||
        khz > KHZ_MAX) {
        log_warn("d%u: its time stamp counter cannot have mode %u, %u kHz, %lu ns gone", d->id,
                 t->mode, t->khz, t->elapsed_ns);
        return -EINVAL;
    }
    d->tsc_mode = t->mode;
    d->tsc_incarnation = t->incarnation + 1;
    d->tsc_khz = khz;
    d->tsc_start_ns = time_now() - t->elapsed_ns;
    d->is_tsc_emulated = t->mode == TSC_MODE_ALWAYS_EMULATE ||
                         (t->mode == TSC_MODE_DEFAULT && is_other_speed(t->khz));
    if (d->is_tsc_emulated) {
        log_info("d%u: its time stamp counter is emulated, at %u kHz", d->id, khz);
    }
    return 0;
}

void domain_get_tsc(const struct domain *d, struct domain_tsc *t)
{
    bool is_native = d->tsc_mode == TSC_MODE_NEVER_EMULATE;

    t->mode = d->tsc_mode;
    t->incarnation = d->tsc_incarnation;
    t->khz = is_native ? 0 : d->tsc_khz != 0 ? d->tsc_khz : time_tsc_khz();
    t->elapsed_ns = is_native ? 0 : time_now() - d->tsc_start_ns;
}

/* The emulated counter at system time @ns. */
static uint64_t ticks_at(const struct domain *d, uint64_t ns)
{
    uint64_t elapsed = ns - d->tsc_start_ns;

    /* The scale's base may lie before the start. */
    return elapsed > INT64_MAX ? 0 : mul_div64(elapsed, d->tsc_khz, NS_PER_MS);
}

uint64_t domain_read_tsc(const struct domain *d)
{
    return ticks_at(d, time_now());
}

struct time_scale domain_tsc_scale(const struct domain *d, uint64_t base_ns)
{
    uint64_t from = base_ns - d->tsc_start_ns > INT64_MAX ? d->tsc_start_ns : base_ns;

    return time_scale_make(d->tsc_khz * 1000ull, ticks_at(d, from), from);
}
