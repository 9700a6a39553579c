/* SPDX-License-Identifier: MIT */
/*
 * Policies credit2, the default, and credit: shares by weight, with caps.  They
 * differ in their slices: credit's are long at first and can be set, and its
 * units stay a while where they ran.
 *
 * A unit's key is its virtual time: it advances as the unit runs, the slower
 * the heavier its group is, and the one that is furthest behind runs next.
 * Who has slept comes back at most a slice behind the queue: it runs at once,
 * and gets what it waited for others' slices before, but cannot save up its
 * sleep.
 *
 * Affinity makes keys drift apart: a unit that has a CPU for itself runs ahead
 * of those that share another.  A unit that comes to a CPU is therefore lifted
 * to near the keys that units had which came before it, so that it does not
 * keep the CPU until it has made up for all its waiting elsewhere; likewise
 * units that run although they are far behind those that wait; and who comes
 * from sleep or from another queue does not come far ahead.
 *
 * A cap limits a group's units together: the group has a budget each period,
 * of which a unit takes a piece when it comes to a CPU and gives back what is
 * left.  Debts are carried on, so that a late clock does not make it more.
 */
#include "sched/internal.h"

#include "abi/xen.h"
#include <xen/domctl.h>

#define SPREAD_NS    20000000ull /* how far keys may lie apart without a reason */
#define PERIOD_NS    10000000ull /* of a cap */
#define PERIODS_MAX  1000l       /* a debt of more is none that a late clock explains */
#define PIECE_MIN_NS 500000
#define CAP_KEEP     0xffffu

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* How far @u may be from others: two slices of its own at least. */
static uint64_t spread(const struct run_queue *q, const struct sched_unit *u)
{
    return max(SPREAD_NS,
               2 * q->pool->slice_ns * SCHED_WEIGHT_DEFAULT / READ_ONCE(u->group->weight));
}

static void fair_charge(struct run_queue *q, struct sched_unit *u, uint64_t ran_ns)
{
    uint32_t weight = READ_ONCE(u->group->weight);

    u->key += weight == SCHED_WEIGHT_DEFAULT ? ran_ns : ran_ns * SCHED_WEIGHT_DEFAULT / weight;
    u->piece_ns -= (int64_t)ran_ns;
}

static uint64_t fair_refresh(struct run_queue *q, uint64_t now)
{
    const struct sched_unit *first = list_first(&q->units, struct sched_unit, link);
    uint64_t least = first == NULL ? SCHED_NEVER : first->key;
    unsigned int cpu;

    cpumask_for_each(cpu, &q->cpus) {
        struct sched_cpu *c = sched_cpu_of(cpu);
        struct sched_unit *u = c->running;

        if (u->is_idle) {
            continue;
        }
        /* It would have come again and again if it had had slices. */
        c->start_key = max(c->start_key, minus(u->key, spread(q, u)));
        if (first != NULL) {
            u->key = max(u->key, minus(first->key, spread(q, u)));
        }
        least = min(least, u->key);
    }
    if (least != SCHED_NEVER) {
        q->min_key = max(q->min_key, least);
    }
    return SCHED_NEVER;
}

static void fair_lift(struct sched_cpu *c, struct sched_unit *u)
{
    u->key = max(u->key, minus(c->start_key, spread(c->queue, u)));
}

static void fair_woken(struct run_queue *q, struct sched_unit *u, uint64_t now)
{
    (void)now;
    if (u->key <= q->min_key) {
        u->key = max(u->key, minus(q->min_key, q->pool->slice_ns));
    } else if (u->key > q->min_key + SPREAD_NS) {
        u->key = min(u->key, q->min_key + spread(q, u));
    }
}

/* ---------------------------------------------------------------- caps -- */

static int64_t quota_ns(uint32_t cap)
{
    return (int64_t)(PERIOD_NS / 100 * cap);
}

/* The budgets of the periods that have begun since the last one; what was not used is lost. */
static void replenish(struct sched_group *g, uint32_t cap, uint64_t now) REQUIRES(g->budget_lock)
{
    int64_t periods, quota = quota_ns(cap);

    if (now < g->period_end_ns) {
        return;
    }
    periods = (int64_t)((now - g->period_end_ns) / PERIOD_NS) + 1;
    g->period_end_ns += (uint64_t)periods * PERIOD_NS;
    periods = min(periods, PERIODS_MAX);
    g->budget_ns = min(quota, g->budget_ns + quota * periods);
}

static uint64_t fair_begin(struct run_queue *q, struct sched_unit *u, uint64_t now)
{
    struct sched_group *g = u->group;
    uint32_t cap = READ_ONCE(g->cap);
    int64_t piece = 0;

    if (cap == 0) {
        u->piece_ns = 0;
        return SCHED_NEVER; /* lifted meanwhile */
    }
    spin_lock(&g->budget_lock);
    replenish(g, cap, now);
    if (g->budget_ns > 0) {
        piece = max(quota_ns(cap) / (int64_t)g->nr_units, (int64_t)PIECE_MIN_NS);
        piece = min(piece, g->budget_ns);
        g->budget_ns -= piece;
    }
    u->park_until_ns = g->period_end_ns;
    spin_unlock(&g->budget_lock);
    u->piece_ns = piece;
    return (uint64_t)piece;
}

static void fair_end(struct run_queue *q, struct sched_unit *u, uint64_t now)
{
    struct sched_group *g = u->group;

    (void)now;
    if (READ_ONCE(g->cap) != 0) {
        spin_lock(&g->budget_lock);
        g->budget_ns += u->piece_ns;
        spin_unlock(&g->budget_lock);
    }
    u->piece_ns = 0;
}

/* ---------------------------------------------------------- parameters -- */

static_assert(sizeof(struct xen_domctl_sched_credit) == sizeof(struct xen_domctl_sched_credit2) &&
                  offsetof(struct xen_domctl_sched_credit, cap) ==
                      offsetof(struct xen_domctl_sched_credit2, cap),
              "both policies have the same parameters");

static int fair_get_params(struct sched_group *g, struct sched_unit *u,
                           struct xen_domctl_schedparam_vcpu *p)
{
    if (u != NULL) {
        return -EINVAL;
    }
    p->u.credit2.weight = (uint16_t)g->weight;
    p->u.credit2.cap = (uint16_t)g->cap;
    return 0;
}

static void set_cap(struct sched_group *g, uint32_t cap)
{
    struct sched_unit *u;

    spin_lock(&g->budget_lock);
    WRITE_ONCE(g->cap, cap);
    g->budget_ns = 0;
    g->period_end_ns = 0; /* the first to ask begins a period, with all its budget */
    spin_unlock(&g->budget_lock);
    list_for_each(u, &g->units, of_group) {
        queue_limit_unit(u, cap != 0);
    }
}

/* A weight of 0 leaves the one there was, and so does, to credit, a cap of CAP_KEEP. */
static int fair_set_params(struct sched_group *g, struct sched_unit *u,
                           const struct xen_domctl_schedparam_vcpu *p)
{
    bool is_kept = p->u.credit.cap == CAP_KEEP && g->pool->policy == &sched_policy_credit;

    if (u != NULL || (!is_kept && p->u.credit.cap > 100 * max(g->nr_units, 1u))) {
        return -EINVAL;
    }
    if (p->u.credit.weight != 0) {
        WRITE_ONCE(g->weight, p->u.credit.weight);
    }
    if (!is_kept) {
        set_cap(g, p->u.credit.cap);
    }
    return 0;
}

/* ------------------------------------------------------------ policies -- */

#define FAIR                                                                                       \
    .cpus_per_queue = 8, .margin_ns = 200000, .charge = fair_charge, .woken = fair_woken,          \
    .refresh = fair_refresh, .lift = fair_lift, .begin = fair_begin, .end = fair_end,              \
    .get_params = fair_get_params, .set_params = fair_set_params

/*
 * Whoever has run less than 600 us is not preempted: a sender that is switched
 * away from for each packet halves what a backend gets through on one CPU; with
 * 300 us dom0 still wakes its driver's thread for each, with 600 us all that
 * longer ones bring is there.  A vCPU that wakes beside one that computes finds
 * it beyond that limit as a rule, and runs at once.
 */
const struct sched_policy sched_policy_credit2 = {
    .name = "credit2",
    .long_name = "fair shares by weight (credit2)",
    .id = XEN_SCHEDULER_CREDIT2,
    .defaults = { .slice_us = 5000, .ratelimit_us = 600 },
    FAIR,
};

const struct sched_policy sched_policy_credit = {
    .name = "credit",
    .long_name = "fair shares by weight, long slices (credit)",
    .id = XEN_SCHEDULER_CREDIT,
    .defaults = { .slice_us = 30000, .ratelimit_us = 1000 },
    FAIR,
};
