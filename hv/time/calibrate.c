/* SPDX-License-Identifier: MIT */
/*
 * Calibration: how fast the TSC and the local timer run.
 *
 * Start-up must not wait for a measurement, so one is made around it: a first
 * sample of TSC and platform clock at the very start, a second one just before
 * the first guest.  Until then a guess has to do.  Later samples, each eight
 * times as far away as the one before, make the frequency finer; from
 * LONGEST_NS on they follow each other at that distance and so keep up with a
 * drifting crystal.
 */
#include "lib/string.h"
#include "sys/cpu.h"
#include "sys/log.h"
#include "sys/options.h"
#include "time/internal.h"
#include "time/timer.h"
#include "x86/insn.h"
#include "x86/lapic.h"

#define FIRST_NS     (1ull << 27) /* 0.13 s */
#define LONGEST_NS   (1ull << 39) /* 9 minutes */
#define PIT_GUESS_US 1000         /* see guess() */
#define IMPLAUSIBLE  100          /* a refinement by more than one part in so many is none */
#define MHZ          1000000

static const struct platform_clock *platform;
static uint64_t tsc_hz;                 /* as in force */
static struct clock_sample since;       /* where the present measurement began */
static uint64_t distance_ns;            /* from there to the next sample */
static struct clock_sample local_start; /* where the local timer's measurement began */

const char *time_platform_name(void)
{
    return platform ? platform->title : "none";
}

uint64_t time_platform_hz(void)
{
    return platform ? platform->hz() : 0;
}

/* The clock that the option names, if it starts; else the best that does. */
static __init const struct platform_clock *choose(void)
{
    const struct platform_clock *c;
    const char *wanted = hv_options.clocksource;
    bool is_known =
        wanted[0] == '\0' || strcmp(wanted, "tsc") == 0; /* which it is, measured by the best */

    for (c = platform_clocks; c->name; c++) {
        if (strcmp(wanted, c->name) == 0) {
            is_known = true;
            if (c->start()) {
                return c;
            }
            log_warn("clocksource=%s: there is no usable %s; taking the best clock there is",
                     wanted, c->title);
        }
    }
    if (!is_known) {
        log_warn("clocksource=%s: no such clock (hpet, acpi, pit, tsc); taking the best there is",
                 wanted);
    }
    for (c = platform_clocks; c->name; c++) {
        if (strcmp(wanted, c->name) != 0 && c->start()) {
            return c;
        }
    }
    return NULL;
}

/*
 * A frequency to begin with: what the processor says, or a quick measurement.
 * A clock that wraps within start-up has to be watched for longer, so that the
 * guess can tell how often it did.
 */
static __init uint64_t guess(void)
{
    uint64_t told = clock_told_tsc_hz(), hz = 0;
    uint64_t mask = platform->mask(), enough = platform->hz() * PIT_GUESS_US / 1000000;

    if (told != 0) {
        return told;
    }
    for (int i = 0; i < 1000; i++) {
        struct clock_sample now = clock_sample_take(platform->read);

        hz = clock_tsc_hz(&since, &now, platform->hz(), mask, 0);
        if (hz != 0 && (mask > 0xffff || ((now.count - since.count) & mask) >= enough)) {
            break;
        }
    }
    return hz;
}

static uint64_t local_count(void)
{
    return 0xffffffffu - lapic_timer_left();
}

__init void time_init(void)
{
    platform = choose();
    if (!platform) {
        tsc_hz = clock_told_tsc_hz();
        log_warn("no HPET, ACPI PM timer or PIT works: the clock goes by the processor's own word "
                 "(%u MHz), and drifts with it",
                 (unsigned int)(tsc_hz / MHZ));
        tsc_hz = tsc_hz ? tsc_hz : NS_PER_SEC;
    } else {
        since = clock_sample_take(platform->read);
        tsc_hz = guess();
        log_info("platform clock: %s, %u kHz", platform->title,
                 (unsigned int)(platform->hz() / 1000));
    }
    clock_set_tsc_hz(tsc_hz);
    wallclock_init();
}

void time_cpu_init(void)
{
    clock_cpu_init();
    if (cpu_id() == 0 && !lapic_timer_by_tsc()) {
        lapic_timer_start_counting();
        local_start = clock_sample_take(local_count);
    }
}

/* Measure from `since` to @now; returns the frequency, 0 when it cannot be told. */
static uint64_t measure(const struct clock_sample *now)
{
    return clock_tsc_hz(&since, now, platform->hz(), platform->mask(), tsc_hz);
}

/* The frequency from now on, unless it would be no change that matters. */
static void put_in_force(uint64_t hz)
{
    if (hz != tsc_hz) {
        tsc_hz = hz;
        clock_set_tsc_hz(hz);
    }
}

static void refine(struct timer *t)
{
    struct clock_sample now = clock_sample_take(platform->read);
    uint64_t hz = measure(&now);
    uint64_t change = hz > tsc_hz ? hz - tsc_hz : tsc_hz - hz;

    if (change > tsc_hz / IMPLAUSIBLE) {
        log_warn("TSC at %lu kHz by the %s, %lu kHz before: not believed, measuring anew",
                 hz / 1000, platform->title, tsc_hz / 1000);
        since = now;
    } else {
        put_in_force(hz);
        if (distance_ns >= LONGEST_NS) {
            since = now;
        } else {
            distance_ns *= 8;
        }
    }
    timer_set(t, time_now() + distance_ns);
}

static struct timer refine_timer = { .fn = refine }; /* on the boot CPU */

/* The local timer's speed, from what it has counted since time_cpu_init(). */
static __init void calibrate_local_timer(void)
{
    struct clock_sample now;
    uint64_t ticks;

    if (lapic_timer_by_tsc()) {
        clock_set_local_timer(0, 1);
        log_info("local timer: by TSC deadline");
        return;
    }
    now = clock_sample_take(local_count);
    if (lapic_timer_left() == 0) {
        /* It has run out meanwhile: a short measurement will do. */
        lapic_timer_start_counting();
        local_start = clock_sample_take(local_count);
        do {
            now = clock_sample_take(local_count);
        } while (now.tsc - local_start.tsc < tsc_hz / 1000);
    }
    lapic_timer_stop(); /* counting is over: from now on it interrupts */
    ticks = now.count - local_start.count;
    /* Rather a little late than early, as early is once more: add what the samples may be off. */
    clock_set_local_timer(ticks + 1, now.tsc - local_start.tsc - local_start.width / 2);
    log_info("local timer: %lu kHz", mul_div64(ticks, tsc_hz, now.tsc - local_start.tsc) / 1000);
}

/* Compare the measured frequency @hz with what the processor says. */
static __init void check_against_told(uint64_t hz)
{
    uint64_t told = clock_told_tsc_hz();
    uint64_t off = hz > told ? hz - told : told - hz;

    if (told != 0 && off > told / IMPLAUSIBLE) {
        log_warn("the TSC runs at %lu kHz by the %s, but the processor says %lu kHz; the %s is "
                 "believed (clocksource= chooses another)",
                 hz / 1000, platform->title, told / 1000, platform->title);
    }
}

__init void time_calibrate(void)
{
    struct clock_sample now;
    uint64_t hz;

    if (!platform) {
        calibrate_local_timer();
        clock_set_tsc_hz(tsc_hz);
        return;
    }
    now = clock_sample_take(platform->read);
    hz = measure(&now);
    if (hz == 0) {
        log_warn("the %s has not moved during start-up; the TSC is taken to run at %lu kHz",
                 platform->title, tsc_hz / 1000);
        hz = tsc_hz;
    } else {
        uint64_t ms = (now.tsc - since.tsc) / (hz / 1000);

        check_against_told(hz);
        log_info("TSC: %lu.%03lu MHz, measured over %lu ms, known to %lu ppm", hz / MHZ,
                 hz / 1000 % 1000, ms,
                 clock_error_ppb(&since, &now, hz, platform->hz()) / 1000 + 1);
    }
    tsc_hz = hz;
    calibrate_local_timer();
    clock_set_tsc_hz(hz);
    distance_ns = FIRST_NS;
    timer_set(&refine_timer, time_now() + distance_ns);
}
