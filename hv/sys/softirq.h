/* SPDX-License-Identifier: MIT */
/*
 * Softirqs: work that an interrupt or another CPU asks for and that is done at
 * the next safe place: before returning to a guest, or in the idle loop.  The
 * handlers are one const table given by main.c.
 */
#pragma once

#include "sys/cpu.h"

enum softirq {
    SOFTIRQ_TIMER,    /* run expired timers */
    SOFTIRQ_SCHEDULE, /* choose who runs here */
    SOFTIRQ_CALL,     /* run queued calls of other CPUs */
    SOFTIRQ_CONSOLE,  /* serial input arrived, or the log grew */
    SOFTIRQ_DOMAIN,   /* a domain's last reference went */
    SOFTIRQ_SHUTDOWN, /* a domain is shut down; after SOFTIRQ_SCHEDULE: domain/run.c */
    SOFTIRQ_NMI,      /* an NMI came, from where nothing could be done */
    NR_SOFTIRQS,
};

/* main.c supplies it: the handlers by number, run with interrupts off and no lock held. */
extern void (*const softirq_handlers[NR_SOFTIRQS])(void);

/* Ask for @nr on this CPU. */
static inline void softirq_raise(enum softirq nr)
{
    __atomic_fetch_or(&this_cpu()->softirqs, 1u << nr, __ATOMIC_SEQ_CST);
}

/* Ask for @nr on @cpu, waking it by an interrupt if it is not this one. */
void softirq_raise_on(unsigned int cpu, enum softirq nr);

/* Do all that is asked for on this CPU. */
void softirq_run(void);

/*
 * Open a window for interrupts and tell whether the caller should stop and let
 * others run.  No lock may be held.  Long work asks after every bounded batch.
 */
bool preempt_pending(void);
