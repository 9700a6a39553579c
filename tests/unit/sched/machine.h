/* SPDX-License-Identifier: MIT */
/*
 * A machine for the scheduler's tests, with a clock of its own: units compute
 * and sleep by a pattern, timers fire and CPUs look when asked, one after the
 * other.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/xen.h"
#include "sched/internal.h"
#include <xen/domctl.h>

#define US        1000ull
#define MS        1000000ull
#define SECOND    1000000000ull
#define SIM_CPUS  16u
#define SIM_UNITS 64u

struct sim_unit {
    struct sched_unit unit;
    bool is_awake;
    uint64_t run_ns, sleep_ns; /* its pattern; sleep 0: it never sleeps */
    uint64_t left_ns;          /* of this burst */
    uint64_t wake_at_ns;       /* while asleep; SCHED_NEVER */
    uint64_t woken_ns;         /* while it waits to run after waking; 0: does not */
    uint64_t latency_ns;       /* worst time from waking to running */
    uint64_t runnable_since_ns;
    unsigned int runstate;
    uint64_t times[4];  /* in each run state */
    unsigned int moves; /* how often it came to another CPU */
    unsigned int last_cpu;
};

extern uint64_t sim_now;
extern struct sim_unit sim_units[SIM_UNITS];
extern uint32_t sim_pool;
extern unsigned int sim_asked_in_all;
extern unsigned int sim_quiesced; /* how often somebody waited until all CPUs were elsewhere */

/* CPUs 0 .. @nr - 1 in a pool of their own with policy @policy_id; forgets what was before. */
void sim_begin(unsigned int nr_cpus, uint32_t policy_id);
void sim_group(struct sched_group *g, uint16_t weight, uint16_t cap);
/* A new unit, asleep. */
struct sim_unit *sim_add(struct sched_group *g);
void sim_pattern(struct sim_unit *s, uint64_t run_ns, uint64_t sleep_ns);
void sim_wake(struct sim_unit *s);
void sim_sleep(struct sim_unit *s);
/* CPUs that were asked look, until none is. */
void sim_settle(void);
/* The clock goes on for @ns. */
void sim_run(uint64_t ns);
/* Time that @s has run. */
uint64_t sim_used(struct sim_unit *s);
bool sim_runs_on(const struct sim_unit *s, unsigned int cpu);
bool sim_is_asked(unsigned int cpu);
void sim_look(unsigned int cpu);
void sim_pin(struct sim_unit *s, uint64_t cpus);
/* No CPU idles while a unit waits that it may run; every unit is where its state says. */
void sim_check(void);
