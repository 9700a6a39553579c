/* SPDX-License-Identifier: MIT */
/*
 * Policy rtds: guaranteed time.  Each unit has a budget a period; of those with
 * budget left the one whose period ends first runs (earliest deadline first,
 * on all CPUs of the pool together).  Who has used its budget waits for its next
 * period, or, if it may have extra time, goes behind all with budget: at level
 * 1, and at level 2 after another budget, and so on.  Whether the budgets of
 * all fit is the toolstack's to know.
 *
 * The key is the deadline with the level above it.
 */
#include "sched/internal.h"

#include "abi/xen.h"
#include <xen/domctl.h>

#define US_NS         1000ull
#define PERIOD_US     10000u
#define BUDGET_US     4000u
#define PERIOD_MAX_US 10000000u /* ten seconds */
#define LEAST_US      10u       /* of a period or a budget */
#define LEVEL_MAX     15u
#define LEVEL_SHIFT   60 /* deadlines of 36 years fit below */

static void set_key(struct sched_unit *u)
{
    u->key = u->rt.deadline_ns | (uint64_t)u->rt.level << LEVEL_SHIFT;
}

/* Its period is over: the one that @now lies in begins.  False: it is not. */
static bool renew(struct sched_unit *u, uint64_t now)
{
    struct sched_realtime *rt = &u->rt;

    if (now < rt->deadline_ns) {
        return false;
    }
    rt->deadline_ns += ((now - rt->deadline_ns) / rt->period_ns + 1) * rt->period_ns;
    rt->left_ns = rt->budget_ns;
    rt->level = 0;
    set_key(u);
    return true;
}

static void rtds_charge(struct run_queue *q, struct sched_unit *u, uint64_t ran_ns)
{
    u->rt.left_ns -= min(u->rt.left_ns, ran_ns);
}

/* Its periods go on while it sleeps, but not for ever: after a long sleep one begins with it. */
static void rtds_woken(struct run_queue *q, struct sched_unit *u, uint64_t now)
{
    if (now >= u->rt.deadline_ns + u->rt.period_ns) {
        u->rt.deadline_ns = now;
    }
    renew(u, now);
}

static uint64_t rtds_begin(struct run_queue *q, struct sched_unit *u, uint64_t now)
{
    renew(u, now);
    u->park_until_ns = u->rt.deadline_ns;
    return u->rt.left_ns == 0 ? 0 : min(u->rt.left_ns, u->rt.deadline_ns - now);
}

static void rtds_end(struct run_queue *q, struct sched_unit *u, uint64_t now)
{
    if (renew(u, now) || u->rt.left_ns > 0 || !u->rt.has_extra) {
        return;
    }
    u->rt.level = min(u->rt.level + 1, LEVEL_MAX);
    u->rt.left_ns = u->rt.budget_ns;
    set_key(u);
}

/* Periods of units that wait may be over; the next one of those that have no right to run now. */
static uint64_t rtds_refresh(struct run_queue *q, uint64_t now)
{
    struct sched_unit *u, *next_u;
    uint64_t next = SCHED_NEVER;
    struct list_node renewed;

    list_init(&renewed);
    list_for_each_safe(u, next_u, &q->units, link)
    {
        if (renew(u, now)) {
            list_remove(&u->link);
            list_add_tail(&renewed, &u->link);
            q->nr--;
        } else if (u->rt.level > 0) {
            next = min(next, u->rt.deadline_ns);
        }
    }
    list_for_each_safe(u, next_u, &renewed, link)
    {
        list_remove(&u->link);
        queue_insert(q, u);
    }
    return next;
}

static void rtds_init_unit(struct sched_unit *u)
{
    u->rt = (struct sched_realtime){
        .period_ns = PERIOD_US * US_NS,
        .budget_ns = BUDGET_US * US_NS,
        .has_extra = true,
    };
}

static int rtds_get_params(struct sched_group *g, struct sched_unit *u,
                           struct xen_domctl_schedparam_vcpu *p)
{
    struct xen_domctl_sched_rtds *r = &p->u.rtds;

    r->period = u == NULL ? PERIOD_US : (uint32_t)(u->rt.period_ns / US_NS);
    r->budget = u == NULL ? BUDGET_US : (uint32_t)(u->rt.budget_ns / US_NS);
    r->flags = u != NULL && u->rt.has_extra ? XEN_DOMCTL_SCHEDRT_extra : 0;
    return 0;
}

/* In force from its next period on, but for the extra time. */
static void set_unit(struct sched_unit *u, const struct xen_domctl_sched_rtds *r) NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u);

    u->rt.period_ns = r->period * US_NS;
    u->rt.budget_ns = r->budget * US_NS;
    u->rt.has_extra = r->flags & XEN_DOMCTL_SCHEDRT_extra;
    spin_unlock(&q->lock);
}

static int rtds_set_params(struct sched_group *g, struct sched_unit *u,
                           const struct xen_domctl_schedparam_vcpu *p)
{
    const struct xen_domctl_sched_rtds *r = &p->u.rtds;

    if (r->period < LEAST_US || r->period > PERIOD_MAX_US || r->budget < LEAST_US ||
        r->budget > r->period) {
        return -EINVAL;
    }
    if (u != NULL) {
        set_unit(u, r);
        return 0;
    }
    list_for_each(u, &g->units, of_group) {
        set_unit(u, r);
    }
    return 0;
}

const struct sched_policy sched_policy_rtds = {
    .name = "rtds",
    .long_name = "guaranteed time, earliest deadline first (rtds)",
    .id = XEN_SCHEDULER_RTDS,
    .cpus_per_queue = NR_CPUS,
    .is_limiting = true,
    .charge = rtds_charge,
    .woken = rtds_woken,
    .refresh = rtds_refresh,
    .begin = rtds_begin,
    .end = rtds_end,
    .init_unit = rtds_init_unit,
    .get_params = rtds_get_params,
    .set_params = rtds_set_params,
};
