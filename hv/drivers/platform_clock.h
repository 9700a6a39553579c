/* SPDX-License-Identifier: MIT */
/*
 * Counters of the chipset that run at a known speed: what the TSC is measured
 * against.
 */
#pragma once

#include "lib/compiler.h"

struct platform_clock {
    const char *name; /* as in the option clocksource= */
    const char *title;
    bool (*start)(void);    /* find and start it; false: there is none, or it stands still */
    uint64_t (*read)(void); /* its count, upward, modulo .mask() + 1 */
    uint64_t (*mask)(void); /* of a started one */
    uint64_t (*hz)(void);   /* ticks a second of a started one */
};

/* All kinds there are, the best first; ended by one without a name. */
extern const struct platform_clock platform_clocks[];
