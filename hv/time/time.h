/* SPDX-License-Identifier: MIT */
/*
 * System time: nanoseconds since the hypervisor started, the same on all
 * CPUs, made from the TSC and a calibrated scale.  The scale is measured
 * against the platform clock (HPET, ACPI PM timer or PIT) beside the rest of
 * start-up, without waiting, and made finer while the machine runs.
 */
#pragma once

#include "lib/types.h"

/* system_ns = base_ns + ((tsc - base_tsc) << shift or >> -shift) * mul >> 32: the form guests get. */
struct time_scale {
    uint64_t base_tsc;
    uint64_t base_ns;
    uint32_t mul;
    int8_t shift;
};

/* Now, in ns of system time.  Never goes backwards on one CPU; across CPUs within the TSCs' agreement. */
uint64_t time_now(void);

/* System time at the TSC value @tsc of this CPU. */
uint64_t time_at_tsc(uint64_t tsc);

/* The scale in force on this CPU, for pvclock; and its generation, which changes with it. */
struct time_scale time_scale_get(uint32_t *generation);

uint32_t time_tsc_khz(void);

/* Are the TSCs of all CPUs in step (may guests be told so)? */
bool time_tsc_is_stable(void);

/* Wall clock: seconds and ns since 1970 at system time 0.  Set from the RTC at start, by dom0 later. */
void time_wallclock_get(uint64_t *sec, uint32_t *nsec);
void time_wallclock_set(uint64_t sec, uint32_t nsec, uint64_t at_system_ns);
