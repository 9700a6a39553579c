/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: chooses for each CPU one of its runnable units.  It knows
 * units, not domains; whoever embeds a unit (domain/) is told through
 * sched_host_ops.  Policies are const tables, one file each.
 *
 *               wake               chosen
 *   BLOCKED ----------> RUNNABLE <--------> RUNNING
 *      ^                    preempted          |
 *      +---------------------------------------+  sleep
 *
 * A unit is in exactly one CPU's run queue while RUNNABLE, under that queue's
 * lock (LOCK_RANK_SCHED).  RUNNING units are nobody's but their CPU's.
 */
#pragma once

#include "lib/list.h"
#include "sys/cpu.h"
#include "sys/lock.h"

struct xen_domctl_schedparam_vcpu;

enum unit_state {
    UNIT_BLOCKED,  /* not to be run: waits, paused or offline */
    UNIT_RUNNABLE, /* in a run queue */
    UNIT_RUNNING,  /* on a CPU */
};

#define SCHED_WEIGHT_DEFAULT 256u
#define SCHED_WEIGHT_MAX     65535u

/* Units with one share between them: those of a domain. */
struct sched_group {
    uint32_t weight; /* [a] share of CPU, 1 .. SCHED_WEIGHT_MAX */
};

/*
 * Members: [q] the lock of the queue of unit->cpu; [c] constant; [a] atomic
 */
struct sched_unit {
    uint8_t state;             /* [q] enum unit_state */
    bool is_idle;              /* [c] */
    bool is_yielding;          /* [q] RUNNING: others go first, once */
    bool on_cpu;               /* [a] its registers are on a CPU: from entering until left */
    uint32_t cpu;              /* [q] whose queue it is in, or last ran on */
    struct sched_group *group; /* [c] whose share it takes; NULL: idle */
    struct cpumask affinity;   /* [q] where it may run */
    struct cpumask soft;       /* [q] where it should run when there is a choice */
    struct list_node link;     /* [q] run queue */
    uint64_t vtime;            /* [q] weighted time used, ns */
    uint64_t ran_ns;           /* [q] time used in all, ns */
    uint64_t since_ns;         /* [q] when its running time was last charged */
};

struct sched_host_ops {
    /* May @u run now?  Asked with the queue locked when it would sleep or be woken. */
    bool (*is_runnable)(const struct sched_unit *u);
    /*
     * @u changes to RUNSTATE_running, _runnable or _blocked (which the host may
     * know to be _offline) at @now; queue locked.
     */
    void (*state_changed)(struct sched_unit *u, int runstate, uint64_t now);
    /* Save what this CPU holds of @u; nothing locked. */
    void (*leave)(struct sched_unit *u);
    /* Load @u on this CPU; nothing locked. */
    void (*enter)(struct sched_unit *u);
};
extern const struct sched_host_ops sched_host_ops; /* supplied by main.c */

/* Once for each CPU, with its idle unit, before interrupts there. */
void sched_init_cpu(unsigned int cpu, struct sched_unit *idle);

/* Choose the policy by the name of the `sched=` option; false: unknown. */
bool sched_select(const char *name);
const char *sched_policy_name(void);
uint32_t sched_policy_id(void); /* XEN_SCHEDULER_... */

/* A new group with the usual share, in CPU pool @pool_id.  -ENOENT: no such pool. */
int must_check sched_group_create(struct sched_group *g, uint32_t pool_id);
/* All its units are destroyed. */
void sched_group_destroy(struct sched_group *g);
uint32_t sched_group_pool(const struct sched_group *g);

/* A new unit of @g, BLOCKED; @nr spreads a group's units over the CPUs. */
void sched_unit_create(struct sched_unit *u, struct sched_group *g, unsigned int nr);
/* Nothing will wake it any more; returns when no CPU has to do with it. */
void sched_unit_destroy(struct sched_unit *u);
/* It has a reason to run: put it in a queue if is_runnable() says so, and have its CPU look. */
void sched_wake(struct sched_unit *u);

/* It may no longer be runnable: take it out of its queue, or ask its CPU to leave it. */
void sched_sleep_nosync(struct sched_unit *u);
/* The same, and wait until it is off its CPU.  No lock may be held; not for the caller's own unit.
 */
void sched_sleep_sync(struct sched_unit *u);

/* The current unit lets one that waits in its queue go first. */
void sched_yield(void);
/* The current unit may no longer be runnable: it blocks then. */
void sched_block(void);

/* SOFTIRQ_SCHEDULE: choose, and switch. */
void sched_softirq(void);

/* The idle loop: halt, scrub, serve; never returns. */
noreturn void sched_idle_loop(void);

/*
 * Tell (set) what the policy @policy_id keeps of @g as a whole, or of its unit
 * @u alone.  -EINVAL: another policy has it, or a value that it does not take,
 * or it keeps nothing of single units.
 */
int must_check sched_get_params(struct sched_group *g, struct sched_unit *u, uint32_t policy_id,
                                struct xen_domctl_schedparam_vcpu *p);
int must_check sched_set_params(struct sched_group *g, struct sched_unit *u, uint32_t policy_id,
                                const struct xen_domctl_schedparam_vcpu *p);

/*
 * Where @u may run and where it should; NULL leaves one as it is.  Takes effect
 * at once.  -EINVAL: @hard has no CPU of its pool, and nothing is changed.
 */
int must_check sched_set_affinity(struct sched_unit *u, const struct cpumask *hard,
                                  const struct cpumask *soft);
/* The CPUs of its pool where it may (should) run. */
void sched_effective_affinity(struct sched_unit *u, struct cpumask *hard, struct cpumask *soft);

/* Time @u has run, ns, including the current stretch. */
uint64_t sched_time_used(struct sched_unit *u);
/* Time that @cpu, which is online, had nothing to run, ns. */
uint64_t sched_time_idle(unsigned int cpu);
