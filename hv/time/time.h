/* SPDX-License-Identifier: MIT */
/*
 * System time: nanoseconds since the hypervisor started, the same on all
 * CPUs, made from the TSC and a calibrated scale.  The scale is measured
 * against the platform clock (HPET, ACPI PM timer or PIT) beside the rest of
 * start-up, without waiting, and made finer while the machine runs.
 *
 * Start-up: time_init() on the boot CPU as early as the ACPI tables can be
 * read, time_cpu_init() on each CPU, time_sync_cpus() when all are
 * online, time_calibrate() last thing before the first guest.
 */
#pragma once

#include "lib/types.h"

/* system_ns = base_ns + ((tsc - base_tsc) << shift or >> -shift) * mul >> 32: the form guests get.
 */
struct time_scale {
    uint64_t base_tsc;
    uint64_t base_ns;
    uint32_t mul;
    int8_t shift;
};

/* What main.c supplies. */
struct time_ops {
    /* This CPU has a new scale: show it to whoever runs here.  Interrupts off, no lock held. */
    void (*scale_changed)(void);
};
extern const struct time_ops time_ops;

/* Choose the platform clock, take the first sample, read the wall clock.  From here on time_now()
 * counts. */
void time_init(void);

/* On each CPU, before it arms a timer, its local APIC set up: take over the scale. */
void time_cpu_init(void);

/* On the boot CPU, once the others run their idle loops: compare their TSCs with ours. */
void time_sync_cpus(void);

/* Take the second sample and make the scale of it; refine it by timers from now on. */
void time_calibrate(void);

/* Now, in ns of system time.  Never goes backwards on one CPU; across CPUs within the TSCs'
 * agreement. */
uint64_t time_now(void);

/* System time at the TSC value @tsc of this CPU. */
uint64_t time_at_tsc(uint64_t tsc);

/* The scale in force on this CPU, for pvclock; and its generation, which changes with it. */
struct time_scale time_scale_get(uint32_t *generation);

uint32_t time_tsc_khz(void);

/* Are the TSCs of all CPUs in step and of constant speed (may guests be told so)? */
bool time_tsc_is_stable(void);

/* Name and frequency in Hz of the platform clock in use. */
const char *time_platform_name(void);
uint64_t time_platform_hz(void);

/* Wall clock: seconds and ns since 1970 at system time 0.  Set from the RTC at start, by dom0
 * later. */
void time_wallclock_get(uint64_t *sec, uint32_t *nsec);

/* At system time @at_system_ns it was @sec, @nsec.  A time before that of the start counts as the
 * start's. */
void time_wallclock_set(uint64_t sec, uint32_t nsec, uint64_t at_system_ns);

struct vcpu_time_info;

/*
 * Write @s into a guest's time record @info, which only the caller writes now.
 * A reader on another CPU sees an odd version or a whole record.
 */
void time_fill_guest(struct vcpu_time_info *info, const struct time_scale *s, bool is_stable);
