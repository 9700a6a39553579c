/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: chooses for each CPU one of its runnable units.  It knows
 * units, not domains; whoever embeds a unit (domain/) is told through
 * sched_host_ops.
 *
 *               wake               chosen
 *   BLOCKED ----------> RUNNABLE <--------> RUNNING
 *      ^                    preempted          |
 *      +---------------------------------------+  sleep
 *
 * Units of a domain form a group; groups belong to CPU pools.  A pool has CPUs
 * and a policy (const tables, one file each).  The CPUs of a pool form run
 * queues; a unit is in one of them while RUNNABLE, under that queue's lock
 * (LOCK_RANK_SCHED).
 */
#pragma once

#include "lib/list.h"
#include "sys/cpu.h"
#include "sys/lock.h"

struct xen_domctl_schedparam_vcpu;
struct run_queue;
struct sched_pool;

enum unit_state {
    UNIT_BLOCKED,  /* not to be run: waits, paused or offline */
    UNIT_RUNNABLE, /* in a run queue */
    UNIT_RUNNING,  /* on a CPU */
};

#define SCHED_WEIGHT_DEFAULT 256u
#define SCHED_POOL_ANY       0xffffffffu
#define SCHED_POOLS_MAX      NR_CPUS /* so many at once */

/*
 * Units with one share between them: those of a domain.
 * Members: [P] the lock of the pools; [b] budget_lock; [a] atomic
 */
struct sched_group {
    struct sched_pool *pool; /* [P], and [a] to read while the group is in use */
    struct list_node link;   /* [P] in its pool */
    struct list_node units;  /* [P] */
    uint32_t nr_units;       /* [P] */
    uint32_t nr_freed;       /* [P] units whose affinity the pool could not keep */
    uint32_t weight;         /* [a] share of CPU, 1 .. 65535 */
    uint32_t cap;            /* [a] at most so many hundredths of a CPU; 0: as many as there are */
    struct spinlock budget_lock; /* LOCK_RANK_LEAF */
    int64_t budget_ns;           /* [b] what is left of the cap in this period, less debts */
    uint64_t period_end_ns;      /* [b] */
};

/* What policy rtds keeps of a unit. */
struct sched_realtime {
    uint64_t period_ns, budget_ns; /* [q] it gets its budget once a period */
    uint64_t left_ns, deadline_ns; /* [q] of this period */
    uint32_t level;                /* [q] how many budgets it has used in this period */
    bool has_extra;                /* [q] it may use what others leave */
};

/*
 * Members: [q] the lock of unit->queue; [P] the lock of the pools; [c]
 * constant; [o] the CPU that runs it; [a] atomic
 */
struct sched_unit {
    uint8_t state;             /* [q] enum unit_state */
    bool is_idle;              /* [c] */
    bool is_yielding;          /* [o] others go first, once */
    bool is_parked;            /* [q] RUNNABLE, but has to wait until park_until_ns */
    bool is_moving;            /* [q] BLOCKED, on its way to another queue */
    bool is_limited;           /* [a] the policy limits how long it runs */
    bool on_cpu;               /* [a] its registers are on a CPU: from entering until left */
    uint32_t cpu;              /* [q] where it runs or last ran */
    struct run_queue *queue;   /* [q] */
    struct sched_group *group; /* [c] whose share it takes; NULL: idle */
    struct list_node of_group; /* [P] */
    struct list_node link;     /* [q] in the queue, while RUNNABLE */
    struct cpumask affinity;   /* [q] where it may run */
    struct cpumask soft;       /* [q] where it should run when there is a choice */
    uint64_t key;              /* [q] its place in the queue: the least goes first */
    uint64_t ran_ns;           /* [q] time used in all */
    uint64_t since_ns;         /* [q] when its running time was last charged */
    uint64_t park_until_ns;    /* [q] */
    int64_t piece_ns;          /* [q] RUNNING: what is left of its piece of the group's budget */
    struct sched_realtime rt;  /* [q] */
};

struct sched_host_ops {
    /* May @u run now?  Asked with the queue locked when it would sleep or be woken. */
    bool (*is_runnable)(const struct sched_unit *u);
    /*
     * @u changes to RUNSTATE_running, _runnable or _blocked (which the host may
     * know to be _offline) at @now; queue locked.
     */
    void (*state_changed)(struct sched_unit *u, int runstate, uint64_t now);
    /* The number of the domain whose group @g is, for the log. */
    uint32_t (*group_name)(const struct sched_group *g);
    /* Save what this CPU holds of @u; nothing locked. */
    void (*leave)(struct sched_unit *u);
    /* Load @u on this CPU; nothing locked. */
    void (*enter)(struct sched_unit *u);
};
extern const struct sched_host_ops sched_host_ops; /* supplied by main.c */

/* ----- start ----- */

/* Once for each CPU, with its idle unit, before interrupts there. */
void sched_init_cpu(unsigned int cpu, struct sched_unit *idle);

/*
 * Make pool 0 of all CPUs, which are online, with the policy of this name (""
 * and a name that there is not, which is logged: the default).
 */
void sched_start(const char *policy);

uint32_t sched_default_policy(void); /* pool 0's, XEN_SCHEDULER_... */

/* ----- running ----- */

/* It has a reason to run: put it in a queue if is_runnable() says so, and have a CPU look. */
void sched_wake(struct sched_unit *u);

/* It may no longer be runnable: take it out of its queue, or ask its CPU to leave it. */
void sched_sleep_nosync(struct sched_unit *u);
/* The same, and wait until it is off its CPU.  No lock may be held; not for the caller's own unit.
 */
void sched_sleep_sync(struct sched_unit *u);
/*
 * Has @u, which is not runnable and was put to sleep, left its CPU?  Then it stays off, until
 * it is woken.
 */
static inline bool sched_is_off_cpu(const struct sched_unit *u)
{
    /* In this order: a CPU that leaves @u changes the state first. */
    return __atomic_load_n(&u->state, __ATOMIC_ACQUIRE) != UNIT_RUNNING &&
           !__atomic_load_n(&u->on_cpu, __ATOMIC_ACQUIRE);
}

/* The same as _nosync, for one that goes offline: it gives up a CPU that is its own. */
void sched_offline(struct sched_unit *u);

/* The current unit lets one that waits in its queue go first, unless a CPU is at that queue. */
void sched_yield(void);
/* The current unit may no longer be runnable: it blocks then. */
void sched_block(void);

/* SOFTIRQ_SCHEDULE: choose, and switch. */
void sched_softirq(void);

/* The idle loop: halt, scrub, serve; never returns. */
noreturn void sched_idle_loop(void);

/* Time @u has run, ns, including the current stretch. */
uint64_t sched_time_used(struct sched_unit *u);
/* Time that @cpu, which is online, had nothing to run, ns. */
uint64_t sched_time_idle(unsigned int cpu);

/* ----- groups and units ----- */

/* A new group with the usual share, in CPU pool @pool_id.  -ENOENT: no such pool, or it is empty.
 */
int must_check sched_group_create(struct sched_group *g, uint32_t pool_id);
/* All its units are destroyed. */
void sched_group_destroy(struct sched_group *g);
uint32_t sched_group_pool(const struct sched_group *g);

/*
 * Take @g, none of whose units runs or can be woken meanwhile (they are
 * paused), to another pool.  Its share and affinities are the usual ones
 * there.  -ENOENT: no such pool, or it is empty.
 */
int must_check sched_group_move(struct sched_group *g, uint32_t pool_id);

/* A new unit of @g, BLOCKED; @nr spreads a group's units over the CPUs. */
void sched_unit_create(struct sched_unit *u, struct sched_group *g, unsigned int nr);
/* Nothing will wake it any more (it is paused); returns when no CPU has to do with it. */
void sched_unit_destroy(struct sched_unit *u);

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

/* ----- pools ----- */

struct sched_pool_info {
    uint32_t id, policy_id, nr_groups;
    struct cpumask cpus;
};

/* Tunables of a pool; a policy looks at some of them. */
struct sched_pool_params {
    uint32_t slice_us;      /* who has run so long beside others makes room for them */
    uint32_t ratelimit_us;  /* who has run less is not preempted */
    uint32_t migr_delay_us; /* who has just run on one CPU is not taken to another */
};

/* A new pool without CPUs; *@id is its number, or SCHED_POOL_ANY to be told.  -EEXIST; -ENOENT: no
 * such policy; -ENOSPC: there are SCHED_POOLS_MAX; -ENOMEM. */
int must_check sched_pool_create(uint32_t *id, uint32_t policy_id);
/* -ENOENT: no such pool; -EBUSY: it has CPUs or groups, or is pool 0. */
int must_check sched_pool_destroy(uint32_t id);
/* The first pool with a number >= @id.  -ENOENT: none. */
int must_check sched_pool_get_info(uint32_t id, struct sched_pool_info *info);
/* The CPUs of no pool. */
void sched_free_cpus(struct cpumask *m);

/*
 * @cpu, or the first free one (SCHED_POOL_ANY), goes to pool @id.  -ENOENT: no
 * such pool; -EINVAL: no such CPU; -ENODEV: it is not free; -ENOMEM.
 */
int must_check sched_pool_add_cpu(uint32_t id, uint32_t cpu);
/*
 * @cpu, or the last one, leaves pool @id; who may run nowhere else in the pool
 * may from now on run anywhere in it, which is logged.  -ENOENT: no such pool;
 * -EINVAL: no such CPU; -EADDRNOTAVAIL: it is not in that pool; -EBUSY: groups need it.
 * -ERESTART: begun; call again, at another time or from another CPU, with the
 * same arguments.
 */
int must_check sched_pool_remove_cpu(uint32_t id, uint32_t cpu);

/* -ESRCH: no such pool; -EINVAL: another policy has it. */
int must_check sched_pool_get_params(uint32_t id, uint32_t policy_id, struct sched_pool_params *p);
int must_check sched_pool_set_params(uint32_t id, uint32_t policy_id,
                                     const struct sched_pool_params *p);
