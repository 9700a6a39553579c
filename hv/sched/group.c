/* SPDX-License-Identifier: MIT */
/*
 * Groups and units in the CPU pools: made, moved and destroyed; their shares, and
 * where they may run.  All under pools_lock, and a unit's own members under
 * the lock of its queue besides.
 */
#include "sched/internal.h"

#include "abi/xen.h"
#include "lib/string.h"
#include "sys/log.h"
#include "sys/softirq.h"

bool sched_soft_in_use;

static void enter_pool(struct sched_group *g, struct sched_pool *p) REQUIRES(pools_lock)
{
    WRITE_ONCE(g->pool, p);
    list_add_tail(&p->groups, &g->link);
    p->nr_groups++;
    WRITE_ONCE(g->weight, SCHED_WEIGHT_DEFAULT);
    WRITE_ONCE(g->cap, 0);
}

static void leave_pool(struct sched_group *g) REQUIRES(pools_lock)
{
    list_remove(&g->link);
    g->pool->nr_groups--;
}

int sched_group_create(struct sched_group *g, uint32_t pool_id)
{
    struct sched_pool *p;

    spin_lock_init(&g->budget_lock, LOCK_RANK_LEAF);
    list_init(&g->units);
    spin_lock(&pools_lock);
    p = pool_find(pool_id);
    if (p != NULL && cpumask_empty(&p->cpus)) {
        p = NULL;
    }
    if (p != NULL) {
        enter_pool(g, p);
    }
    spin_unlock(&pools_lock);
    return p == NULL ? -ENOENT : 0;
}

void sched_group_destroy(struct sched_group *g)
{
    spin_lock(&pools_lock);
    leave_pool(g);
    spin_unlock(&pools_lock);
}

uint32_t sched_group_pool(const struct sched_group *g)
{
    uint32_t id;

    spin_lock(&pools_lock);
    id = g->pool->id;
    spin_unlock(&pools_lock);
    return id;
}

/* As new in pool @p, near its @nr-th CPU. */
static void init_unit(struct sched_unit *u, const struct sched_pool *p, unsigned int nr)
    REQUIRES(pools_lock)
{
    unsigned int cpu = cpumask_next(&p->cpus, 0);

    for (nr %= cpumask_count(&p->cpus); nr > 0; nr--) {
        cpu = cpumask_next(&p->cpus, cpu + 1);
    }
    u->cpu = cpu;
    u->key = 0;
    u->is_limited = p->policy->is_limiting || u->group->cap != 0;
    memset(&u->affinity, 0xff, sizeof(u->affinity));
    u->soft = u->affinity;
    if (p->policy->init_unit != NULL) {
        p->policy->init_unit(u);
    }
    WRITE_ONCE(u->queue, sched_cpu_of(cpu)->queue);
}

void sched_unit_create(struct sched_unit *u, struct sched_group *g, unsigned int nr)
{
    u->state = UNIT_BLOCKED;
    u->group = g;
    spin_lock(&pools_lock);
    init_unit(u, g->pool, nr);
    list_add_tail(&g->units, &u->of_group);
    g->nr_units++;
    spin_unlock(&pools_lock);
}

void sched_unit_destroy(struct sched_unit *u)
{
    sched_offline(u);
    sched_sleep_sync(u);
    spin_lock(&pools_lock);
    list_remove(&u->of_group);
    u->group->nr_units--;
    spin_unlock(&pools_lock);
}

static void move_unit(struct sched_unit *u, const struct sched_pool *p, unsigned int nr)
    NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u);

    release_tenancy(q, u);
    init_unit(u, p, nr);
    spin_unlock(&q->lock);
}

int sched_group_move(struct sched_group *g, uint32_t pool_id)
{
    struct sched_pool *p;
    struct sched_unit *u;
    unsigned int nr = 0;
    int rc = 0;

    spin_lock(&pools_lock);
    p = pool_find(pool_id);
    if (p == NULL || cpumask_empty(&p->cpus)) {
        rc = -ENOENT;
    } else if (p != g->pool) {
        leave_pool(g);
        enter_pool(g, p);
        list_for_each(u, &g->units, of_group) {
            move_unit(u, p, nr++);
        }
    }
    spin_unlock(&pools_lock);
    return rc;
}

int sched_get_params(struct sched_group *g, struct sched_unit *u, uint32_t policy_id,
                     struct xen_domctl_schedparam_vcpu *p)
{
    int rc;

    spin_lock(&pools_lock);
    rc = policy_id != g->pool->policy->id ? -EINVAL : g->pool->policy->get_params(g, u, p);
    spin_unlock(&pools_lock);
    return rc;
}

int sched_set_params(struct sched_group *g, struct sched_unit *u, uint32_t policy_id,
                     const struct xen_domctl_schedparam_vcpu *p)
{
    int rc;

    spin_lock(&pools_lock);
    rc = policy_id != g->pool->policy->id ? -EINVAL : g->pool->policy->set_params(g, u, p);
    spin_unlock(&pools_lock);
    return rc;
}

/* ------------------------------------------------------------ affinity -- */

/*
 * Have @u be where it may run in its pool.  True: it may run nowhere there, and
 * from now on anywhere.
 */
static bool settle_unit(struct sched_unit *u, const struct sched_pool *p) NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u);
    bool is_broken = !cpumask_meets(&u->affinity, &p->cpus), must_move = false;

    if (is_broken) {
        memset(&u->affinity, 0xff, sizeof(u->affinity));
    }
    if (u->state == UNIT_RUNNING) {
        softirq_raise_on(u->cpu, SOFTIRQ_SCHEDULE);
    } else if (u->state == UNIT_RUNNABLE) {
        must_move = true;
        begin_move(q, u);
    }
    if (!queue_serves(q, u)) {
        release_tenancy(q, u);
    }
    spin_unlock(&q->lock);
    if (must_move) {
        finish_move(u);
    }
    return is_broken;
}

void pool_settle_units(struct sched_pool *p)
{
    struct sched_group *g;
    struct sched_unit *u;

    list_for_each(g, &p->groups, link) {
        list_for_each(u, &g->units, of_group) {
            g->nr_freed += settle_unit(u, p);
        }
    }
}

void pool_report_freed(struct sched_pool *p)
{
    struct sched_group *g;

    list_for_each(g, &p->groups, link) {
        if (g->nr_freed != 0) {
            log_warn("d%u: %u vCPUs may run on any CPU of pool %u now: those that they were bound "
                     "to have left it",
                     sched_host_ops.group_name(g), g->nr_freed, p->id);
            g->nr_freed = 0;
        }
    }
}

void sched_effective_affinity(struct sched_unit *u, struct cpumask *hard, struct cpumask *soft)
{
    const struct cpumask *pool;

    spin_lock(&pools_lock);
    pool = &u->group->pool->cpus;
    for (unsigned int i = 0; i < NR_CPUS / 64; i++) {
        hard->bits[i] = u->affinity.bits[i] & pool->bits[i];
        soft->bits[i] = u->soft.bits[i] & hard->bits[i];
    }
    spin_unlock(&pools_lock);
}

static bool is_full(const struct cpumask *m)
{
    unsigned int cpu;

    cpumask_for_each(cpu, &cpus_online) {
        if (!cpumask_test(m, cpu)) {
            return false;
        }
    }
    return true;
}

int sched_set_affinity(struct sched_unit *u, const struct cpumask *hard, const struct cpumask *soft)
    NO_THREAD_SAFETY
{
    struct run_queue *q;
    struct sched_pool *p;

    spin_lock(&pools_lock);
    p = u->group->pool;
    if (hard != NULL && !cpumask_meets(hard, &p->cpus)) {
        spin_unlock(&pools_lock);
        return -EINVAL;
    }
    q = lock_queue(u);
    u->affinity = hard == NULL ? u->affinity : *hard;
    u->soft = soft == NULL ? u->soft : *soft;
    sched_soft_in_use |= !is_full(&u->soft);
    if (q->tenant == u && !cpumask_test(&u->affinity, u->cpu)) {
        release_tenancy(q, u);
    }
    spin_unlock(&q->lock);
    (void)settle_unit(u, p);
    spin_unlock(&pools_lock);
    return 0;
}
