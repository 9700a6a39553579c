/* SPDX-License-Identifier: MIT */
/*
 * Policy "weight": fair shares by weight.
 *
 * Each unit has a virtual time that advances as it runs, the slower the
 * heavier it is; the one that is furthest behind runs next.  Who has slept
 * comes back at most WAKE_CREDIT behind the queue, so that it runs at once but
 * cannot save up its sleep.  A woken unit takes the CPU when it is behind the
 * running one by more than WAKE_MARGIN.
 *
 * It answers to the name credit2, whose parameters (a weight, 256 by default)
 * it takes, because the stock tools know that one.
 */
#include "sched/internal.h"

#include "abi/xen.h"
#include <xen/domctl.h>

#define CAP_KEEP       0xffffu
#define SLICE_NS       5000000ull
#define WAKE_CREDIT_NS 2000000ull
#define WAKE_MARGIN_NS 200000ull

static void weight_enqueue(struct run_queue *q, struct sched_unit *u)
{
    struct sched_unit *at;

    /* Behind those with the same virtual time: they have waited longer. */
    list_for_each(at, &q->units, link) {
        if (at->vtime > u->vtime) {
            break;
        }
    }
    list_insert_before(&at->link, &u->link);
}

static void weight_charge(struct run_queue *q, struct sched_unit *u, uint64_t ran_ns)
{
    uint64_t behind;

    u->vtime += ran_ns * SCHED_WEIGHT_DEFAULT / u->group->weight;
    behind = u->vtime;
    if (!list_is_empty(&q->units)) {
        behind = min(behind, list_first(&q->units, struct sched_unit, link)->vtime);
    }
    q->min_vtime = max(q->min_vtime, behind);
}

static void weight_woken(struct run_queue *q, struct sched_unit *u)
{
    uint64_t floor = q->min_vtime > WAKE_CREDIT_NS ? q->min_vtime - WAKE_CREDIT_NS : 0;

    u->vtime = max(u->vtime, floor);
}

/* Queues have virtual times of their own: what counts is how far @u is ahead of the others there.
 */
static void weight_moved(const struct run_queue *from, const struct run_queue *to,
                         struct sched_unit *u)
{
    uint64_t ahead = u->vtime > from->min_vtime ? u->vtime - from->min_vtime : 0;

    u->vtime = READ_ONCE(to->min_vtime) + ahead;
}

static void weight_yield(struct run_queue *q, struct sched_unit *u)
{
    u->vtime = max(u->vtime, list_first(&q->units, struct sched_unit, link)->vtime);
}

static bool weight_preempts(const struct run_queue *q, const struct sched_unit *u,
                            const struct sched_unit *running)
{
    (void)q;
    return u->vtime + WAKE_MARGIN_NS < running->vtime;
}

static uint64_t weight_slice_ns(const struct run_queue *q, const struct sched_unit *u)
{
    (void)q;
    (void)u;
    return SLICE_NS;
}

static int weight_get_params(struct sched_group *g, struct sched_unit *u,
                             struct xen_domctl_schedparam_vcpu *p)
{
    if (u != NULL) {
        return -EINVAL;
    }
    p->u.credit2.weight = (uint16_t)READ_ONCE(g->weight);
    p->u.credit2.cap = 0;
    return 0;
}

/* A weight of 0 and a cap of CAP_KEEP leave the one there was. */
static int weight_set_params(struct sched_group *g, struct sched_unit *u,
                             const struct xen_domctl_schedparam_vcpu *p)
{
    if (u != NULL) {
        return -EINVAL;
    }
    if (p->u.credit2.cap != 0 && p->u.credit2.cap != CAP_KEEP) {
        return -EOPNOTSUPP;
    }
    if (p->u.credit2.weight != 0) {
        WRITE_ONCE(g->weight, p->u.credit2.weight);
    }
    return 0;
}

const struct sched_policy sched_policy_weight = {
    .name = "credit2",
    .long_name = "fair shares by weight (credit2)",
    .id = XEN_SCHEDULER_CREDIT2,
    .enqueue = weight_enqueue,
    .charge = weight_charge,
    .woken = weight_woken,
    .moved = weight_moved,
    .yield = weight_yield,
    .preempts = weight_preempts,
    .slice_ns = weight_slice_ns,
    .get_params = weight_get_params,
    .set_params = weight_set_params,
};
