/* SPDX-License-Identifier: MIT */
/* What the scheduler's core and its policies share. */
#pragma once

#include "sched/sched.h"
#include "time/timer.h"

struct run_queue {
    struct spinlock lock;   /* LOCK_RANK_SCHED; guards all below and its units' [q] members */
    struct list_node units; /* RUNNABLE ones, in the policy's order */
    uint32_t nr;            /* how many */
    uint32_t cpu;
    struct sched_unit *running; /* the RUNNING one; the idle unit when there is none */
    struct sched_unit *idle;
    uint64_t min_vtime; /* policy weight: never decreases */
    struct timer slice; /* asks for SOFTIRQ_SCHEDULE when the running unit's slice is over */
};

/*
 * A policy orders a queue and says when to change over.  All with q->lock held.
 */
struct sched_policy {
    const char *name;
    const char *long_name;
    uint32_t id; /* XEN_SCHEDULER_... */
    /* Put @u, RUNNABLE now, among q->units. */
    void (*enqueue)(struct run_queue *q, struct sched_unit *u);
    /* @u ran for @ran_ns. */
    void (*charge)(struct run_queue *q, struct sched_unit *u, uint64_t ran_ns);
    /* @u has been idle for a while and is about to be enqueued. */
    void (*woken)(struct run_queue *q, struct sched_unit *u);
    /* @u, BLOCKED, leaves @from, whose lock alone is held, for @to.  May be NULL. */
    void (*moved)(const struct run_queue *from, const struct run_queue *to, struct sched_unit *u);
    /* @u, RUNNING, wants the first of q->units, of which there is one, to go before it. */
    void (*yield)(struct run_queue *q, struct sched_unit *u);
    /* Should @u, at the head of the queue, take the CPU from @running at once? */
    bool (*preempts)(const struct run_queue *q, const struct sched_unit *u,
                     const struct sched_unit *running);
    /* Tell, or set, the share of @g or of its unit @u; NULL: of all. */
    int (*get_params)(struct sched_group *g, struct sched_unit *u,
                      struct xen_domctl_schedparam_vcpu *p);
    int (*set_params)(struct sched_group *g, struct sched_unit *u,
                      const struct xen_domctl_schedparam_vcpu *p);
    /* How long @u may run while others wait, ns. */
    uint64_t (*slice_ns)(const struct run_queue *q, const struct sched_unit *u);
};

extern const struct sched_policy sched_policy_weight;
