/* SPDX-License-Identifier: MIT */
/* What the scheduler's core, its pools and its policies share. */
#pragma once

#include "sched/sched.h"
#include "time/timer.h"

#define SCHED_NEVER UINT64_MAX

/*
 * A pool of CPUs.  [P] pools_lock; what [P] guards may be read without it by
 * who holds the lock of one of the pool's queues that has CPUs.
 */
struct sched_pool {
    uint32_t id;                                    /* [c] */
    const struct sched_policy *policy;              /* [c] */
    struct list_node link;                          /* [P] all pools, by number */
    struct list_node groups;                        /* [P] */
    uint32_t nr_groups;                             /* [P] */
    uint32_t nr_queues;                             /* [P] */
    struct cpumask cpus;                            /* [P] */
    uint64_t slice_ns, ratelimit_ns, migr_delay_ns; /* [P] */
};

/*
 * A queue of units that wait for one of its CPUs.  Queues are never freed, so
 * that whoever has an old pointer to one may lock it and see.  Members are
 * guarded by the lock, unless noted.
 */
struct run_queue {
    struct spinlock lock;    /* LOCK_RANK_SCHED; guards its units' [q] members too */
    struct sched_pool *pool; /* changed while it has no CPUs */
    struct cpumask cpus;
    struct cpumask idle;           /* those of them that idle and have not been asked to look */
    struct list_node units;        /* RUNNABLE ones by key */
    struct list_node parked;       /* RUNNABLE ones that have to wait for a time, or for a CPU */
    uint32_t nr, nr_parked;        /* how many; [a] to read, as hints */
    uint64_t min_key;              /* policies by share: the least key lately; never decreases */
    struct sched_unit *tenant;     /* policy null: whose the CPU is; [a] to read, as a hint */
    struct timer timer;            /* the first of the parked ones may run again */
    struct run_queue *next_unused; /* [P] */
};

/* A CPU, under the lock of its queue. */
struct sched_cpu {
    struct run_queue *queue; /* changed with both queues locked, while it idles */
    uint32_t cpu;
    struct sched_unit *running; /* the RUNNING one; the idle unit when there is none */
    struct sched_unit *idle;
    uint64_t entered_ns; /* when it came */
    uint64_t start_key;  /* the largest key that a unit has come with */
    struct timer slice;  /* asks for SOFTIRQ_SCHEDULE when the running unit's time is over */
};

/*
 * A policy gives units their keys and limits.  Hooks are called with q->lock
 * held; those that are NULL have nothing to do.
 */
struct sched_policy {
    const char *name; /* for sched= */
    const char *long_name;
    uint32_t id;             /* XEN_SCHEDULER_... */
    uint32_t cpus_per_queue; /* at most */
    uint64_t margin_ns;      /* who is woken preempts whose key is larger by more than this */
    bool is_limiting;        /* all units have limits, not only those of capped groups */
    struct sched_pool_params defaults;
    /* @u, RUNNING, ran for @ran_ns. */
    void (*charge)(struct run_queue *q, struct sched_unit *u, uint64_t ran_ns);
    /* @u comes into the queue @q, after sleeping or from another one. */
    void (*woken)(struct run_queue *q, struct sched_unit *u, uint64_t now);
    /*
     * @u, which is_limited, would run: for how long at most, ns?  0: not now; it
     * is parked until u->park_until_ns, which is set then.
     */
    uint64_t (*begin)(struct run_queue *q, struct sched_unit *u, uint64_t now);
    /* @u, which is_limited, has run and has been charged. */
    void (*end)(struct run_queue *q, struct sched_unit *u, uint64_t now);
    /*
     * Units wait, and those that run have just been charged: see to the keys of
     * all.  Returns when to do so again.
     */
    uint64_t (*refresh)(struct run_queue *q, uint64_t now);
    /* @u comes to @c with a key less than c->start_key. */
    void (*lift)(struct sched_cpu *c, struct sched_unit *u);
    /* @u is new in a pool. */
    void (*init_unit)(struct sched_unit *u);
    /* Tell, or set, the share of @g or of its unit @u; NULL: of all.  pools_lock held. */
    int (*get_params)(struct sched_group *g, struct sched_unit *u,
                      struct xen_domctl_schedparam_vcpu *p);
    int (*set_params)(struct sched_group *g, struct sched_unit *u,
                      const struct xen_domctl_schedparam_vcpu *p);
};

extern const struct sched_policy sched_policy_credit2, sched_policy_credit, sched_policy_rtds,
    sched_policy_null;

extern struct spinlock pools_lock;  /* LOCK_RANK_POOL */
extern struct run_queue free_queue; /* of the CPUs in no pool */
extern bool sched_soft_in_use;      /* some unit has had a soft affinity */
DECLARE_PER_CPU(struct sched_cpu, sched_cpu);

static inline struct sched_cpu *sched_cpu_of(unsigned int cpu)
{
    return per_cpu_ptr(sched_cpu, cpu);
}

static inline bool cpumask_meets(const struct cpumask *a, const struct cpumask *b)
{
    for (unsigned int i = 0; i < NR_CPUS / 64; i++) {
        if (a->bits[i] & b->bits[i]) {
            return true;
        }
    }
    return false;
}

/* ----- core.c ----- */

void queue_init(struct run_queue *q);

/*
 * Lock the queue that @of, of a unit or of a CPU, names; it may change while we
 * wait for the lock.  Callers are left out of clang's analysis, which cannot
 * name the lock that they got.
 */
static inline struct run_queue *lock_named(struct run_queue *const *of) NO_THREAD_SAFETY
{
    for (;;) {
        struct run_queue *q = READ_ONCE(*of);

        spin_lock(&q->lock);
        if (likely(q == READ_ONCE(*of))) {
            return q;
        }
        spin_unlock(&q->lock);
    }
}

static inline struct run_queue *lock_queue(const struct sched_unit *u) NO_THREAD_SAFETY
{
    return lock_named(&u->queue);
}

static inline struct run_queue *lock_cpu(const struct sched_cpu *c) NO_THREAD_SAFETY
{
    return lock_named(&c->queue);
}

/* Put @u where its key has it. */
void queue_insert(struct run_queue *q, struct sched_unit *u);

/* @u, RUNNABLE, leaves its queue, BLOCKED; is_moving, so that nobody but finish_move() wakes it. */
void begin_move(struct run_queue *q, struct sched_unit *u);
/* @u is_moving: put it where it belongs now.  No lock held; @u may be gone afterwards. */
void finish_move(struct sched_unit *u);

/* From now on @u does, or does not, ask the policy for how long it may run.  pools_lock held. */
void queue_limit_unit(struct sched_unit *u, bool is_limited);

/* @u gives up a CPU that was its own. */
void release_tenancy(struct run_queue *q, struct sched_unit *u);

/* ----- pool.c, group.c ----- */

/* The pool of this number; NULL: none.  pools_lock held, here and below. */
struct sched_pool *pool_find(uint32_t id);
/* @p has lost a CPU: have all its units be where they may run. */
void pool_settle_units(struct sched_pool *p);
/* Tell the log of the groups some of whose units had to be let run on any CPU. */
void pool_report_freed(struct sched_pool *p);

/* ----- place.c: where a unit goes ----- */

/* May one of @q's CPUs run @u? */
static inline bool queue_serves(const struct run_queue *q, const struct sched_unit *u)
{
    return (cpumask_test(&q->cpus, u->cpu) && cpumask_test(&u->affinity, u->cpu)) ||
           cpumask_meets(&q->cpus, &u->affinity);
}

unsigned int queue_idle_cpu_slow(const struct run_queue *q, const struct sched_unit *u);

/* A CPU of @q that idles and that @u may use, the best one; NR_CPUS: none. */
static inline unsigned int queue_idle_cpu(const struct run_queue *q, const struct sched_unit *u)
{
    unsigned int cpu = u->cpu;

    if (cpumask_test(&q->idle, cpu) && cpumask_test(&u->affinity, cpu) &&
        cpumask_test(&u->soft, cpu)) {
        return cpu;
    }
    return queue_idle_cpu_slow(q, u);
}

struct run_queue *place_slow(struct run_queue *q, struct sched_unit *u);

/* The queue where @u, in @q, which is locked, should wait. */
static inline struct run_queue *place(struct run_queue *q, struct sched_unit *u)
{
    if (likely(q->pool->nr_queues == 1) && q->pool == READ_ONCE(u->group->pool) &&
        queue_serves(q, u)) {
        return q;
    }
    return place_slow(q, u);
}
/* Units wait in @q, locked: if a CPU of another queue idles, have it look. */
void poke_idle_elsewhere(const struct run_queue *q);
/* This CPU idles: take a unit that waits in another queue.  No lock held. */
bool steal(void);
