/* SPDX-License-Identifier: MIT */
/*
 * CPU pools.
 *
 * Pools, their CPUs and groups change under pools_lock.  A CPU changes its
 * queue while it idles, and a queue that loses a CPU sends away the units that
 * none of its others may run.  A CPU that is asked to leave a pool is first
 * taken out of its queue's set: it chooses nothing from then on, so it idles
 * as soon as it looks; a second call finds it idle and ends the matter.  Who
 * asks does not wait, because the CPU may be the one it runs on.
 */
#include "sched/internal.h"

#include "abi/xen.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/smp.h"

#define US_NS 1000ull

static const struct sched_policy *const policies[] = { &sched_policy_credit2, &sched_policy_credit,
                                                       &sched_policy_rtds, &sched_policy_null };

struct spinlock pools_lock = SPINLOCK_INIT(LOCK_RANK_POOL);

static struct list_node pools = LIST_INIT(pools);
static uint32_t nr_pools;
static struct run_queue *unused_queues;
static struct sched_pool no_pool = { .id = SCHED_POOL_ANY, .policy = &sched_policy_credit2 };
static struct sched_pool first_pool = { .policy = &sched_policy_credit2 };

struct run_queue free_queue = {
    .lock = SPINLOCK_INIT(LOCK_RANK_SCHED),
    .pool = &no_pool,
    .units = LIST_INIT(free_queue.units),
    .parked = LIST_INIT(free_queue.parked),
};

/* --------------------------------------------------------------- pools -- */

struct sched_pool *pool_find(uint32_t id)
{
    struct sched_pool *p;

    list_for_each(p, &pools, link) {
        if (p->id == id) {
            return p;
        }
    }
    return NULL;
}

static void set_params(struct sched_pool *p, const struct sched_pool_params *params)
{
    p->slice_ns = params->slice_us == 0 ? SCHED_NEVER : params->slice_us * US_NS;
    p->ratelimit_ns = params->ratelimit_us * US_NS;
    p->migr_delay_ns = params->migr_delay_us * US_NS;
}

/* @before: the pool with the next higher number, or the head. */
static void add_pool(struct sched_pool *p, struct list_node *before)
{
    list_init(&p->groups);
    set_params(p, &p->policy->defaults);
    list_insert_before(before, &p->link);
    nr_pools++;
}

static const struct sched_policy *find_policy(const char *name, uint32_t id)
{
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        if (name == NULL ? policies[i]->id == id : strcmp(name, policies[i]->name) == 0) {
            return policies[i];
        }
    }
    return NULL;
}

void sched_start(const char *policy)
{
    const struct sched_policy *chosen = find_policy(policy, 0);
    unsigned int cpu;

    if (chosen != NULL) {
        first_pool.policy = chosen;
    } else if (policy[0] != '\0') {
        log_warn("sched=%s: no such policy; %s is used", policy, first_pool.policy->name);
    }
    spin_lock(&pools_lock);
    add_pool(&first_pool, &pools);
    spin_unlock(&pools_lock);
    cpumask_for_each(cpu, &cpus_online) {
        if (sched_pool_add_cpu(0, cpu) != 0) {
            log_err("CPU %u: no memory for its queue; it stays idle", cpu);
        }
    }
    log_info("scheduler: %s", first_pool.policy->long_name);
}

uint32_t sched_default_policy(void)
{
    return first_pool.policy->id;
}

int sched_pool_create(uint32_t *id, uint32_t policy_id)
{
    const struct sched_policy *policy = find_policy(NULL, policy_id);
    struct sched_pool *p, *other;
    uint32_t wanted = *id == SCHED_POOL_ANY ? 0 : *id;
    int rc = 0;

    if (policy == NULL) {
        return -ENOENT;
    }
    p = heap_alloc(sizeof(*p));
    if (p == NULL) {
        return -ENOMEM;
    }
    spin_lock(&pools_lock);
    list_for_each(other, &pools, link) {
        if (other->id > wanted) {
            break;
        }
        if (other->id == wanted && *id != SCHED_POOL_ANY) {
            rc = -EEXIST;
            break;
        }
        wanted += other->id == wanted;
    }
    if (rc == 0 && nr_pools >= SCHED_POOLS_MAX) {
        rc = -ENOSPC;
    }
    if (rc == 0) {
        p->policy = policy;
        p->id = *id = wanted;
        add_pool(p, &other->link);
    }
    spin_unlock(&pools_lock);
    if (rc != 0) {
        heap_free(p, sizeof(*p));
    }
    return rc;
}

int sched_pool_destroy(uint32_t id)
{
    struct sched_pool *p;
    int rc = 0;

    spin_lock(&pools_lock);
    p = pool_find(id);
    if (p == NULL) {
        rc = -ENOENT;
    } else if (p == &first_pool || p->nr_groups != 0 || p->nr_queues != 0) {
        rc = -EBUSY;
    } else {
        list_remove(&p->link);
        nr_pools--;
    }
    spin_unlock(&pools_lock);
    if (rc == 0) {
        cpu_quiesce(); /* a CPU that was in it may still look around there: steal() */
        heap_free(p, sizeof(*p));
    }
    return rc;
}

int sched_pool_get_info(uint32_t id, struct sched_pool_info *info)
{
    struct sched_pool *p;
    int rc = -ENOENT;

    spin_lock(&pools_lock);
    list_for_each(p, &pools, link) {
        if (p->id >= id) {
            info->id = p->id;
            info->policy_id = p->policy->id;
            info->nr_groups = p->nr_groups;
            info->cpus = p->cpus;
            rc = 0;
            break;
        }
    }
    spin_unlock(&pools_lock);
    return rc;
}

static int find_tuned(uint32_t id, uint32_t policy_id, struct sched_pool **p) REQUIRES(pools_lock)
{
    *p = pool_find(id);
    return *p == NULL ? -ESRCH : (*p)->policy->id != policy_id ? -EINVAL : 0;
}

int sched_pool_get_params(uint32_t id, uint32_t policy_id, struct sched_pool_params *params)
{
    struct sched_pool *p;
    int rc;

    spin_lock(&pools_lock);
    rc = find_tuned(id, policy_id, &p);
    if (rc == 0) {
        params->slice_us = p->slice_ns == SCHED_NEVER ? 0 : (uint32_t)(p->slice_ns / US_NS);
        params->ratelimit_us = (uint32_t)(p->ratelimit_ns / US_NS);
        params->migr_delay_us = (uint32_t)(p->migr_delay_ns / US_NS);
    }
    spin_unlock(&pools_lock);
    return rc;
}

int sched_pool_set_params(uint32_t id, uint32_t policy_id, const struct sched_pool_params *params)
{
    struct sched_pool *p;
    int rc;

    spin_lock(&pools_lock);
    rc = find_tuned(id, policy_id, &p);
    if (rc == 0) {
        set_params(p, params);
    }
    spin_unlock(&pools_lock);
    return rc;
}

/* ---------------------------------------------------------------- CPUs -- */

void sched_free_cpus(struct cpumask *m)
{
    unsigned int cpu;

    cpumask_zero(m);
    spin_lock(&pools_lock);
    cpumask_for_each(cpu, &cpus_online) {
        if (sched_cpu_of(cpu)->queue == &free_queue) {
            cpumask_set(m, cpu);
        }
    }
    spin_unlock(&pools_lock);
}

static struct run_queue *new_queue(struct sched_pool *p) REQUIRES(pools_lock)
{
    struct run_queue *q = unused_queues;

    if (q == NULL) {
        q = heap_alloc(sizeof(*q));
        if (q == NULL) {
            return NULL;
        }
        queue_init(q);
    } else {
        unused_queues = q->next_unused;
    }
    spin_lock(&q->lock);
    q->pool = p;
    q->min_key = 0;
    q->tenant = NULL;
    spin_unlock(&q->lock);
    p->nr_queues++;
    return q;
}

/* A queue of @p that takes one more CPU. */
static struct run_queue *queue_for_cpu(struct sched_pool *p) REQUIRES(pools_lock)
{
    unsigned int cpu;

    cpumask_for_each(cpu, &p->cpus) {
        struct run_queue *q = sched_cpu_of(cpu)->queue;

        if (cpumask_count(&q->cpus) < p->policy->cpus_per_queue) {
            return q;
        }
    }
    return new_queue(p);
}

/* @c, which idles, changes its queue; two locks are taken by address. */
static void change_queue(struct sched_cpu *c, struct run_queue *to) NO_THREAD_SAFETY
{
    struct run_queue *from = c->queue, *first = min(from, to), *second = max(from, to);

    spin_lock(&first->lock);
    spin_lock(&second->lock);
    cpumask_clear(&from->idle, c->cpu);
    WRITE_ONCE(c->queue, to);
    WRITE_ONCE(c->idle->queue, to);
    c->start_key = 0;
    if (to->pool != &no_pool) {
        cpumask_set(&to->cpus, c->cpu);
    }
    spin_unlock(&second->lock);
    spin_unlock(&first->lock);
}

static uint32_t first_free_cpu(void)
{
    unsigned int cpu;

    cpumask_for_each(cpu, &cpus_online) {
        if (sched_cpu_of(cpu)->queue == &free_queue) {
            return cpu;
        }
    }
    return SCHED_POOL_ANY;
}

static bool cpu_exists(uint32_t cpu)
{
    return cpu < NR_CPUS && cpumask_test(&cpus_online, cpu);
}

static int add_cpu(struct sched_pool *p, uint32_t cpu) REQUIRES(pools_lock)
{
    struct run_queue *q;

    if (p == NULL) {
        return -ENOENT;
    }
    if (cpu == SCHED_POOL_ANY) {
        cpu = first_free_cpu();
        if (cpu == SCHED_POOL_ANY) {
            return -ENODEV;
        }
    }
    if (!cpu_exists(cpu)) {
        return -EINVAL;
    }
    if (sched_cpu_of(cpu)->queue != &free_queue) {
        return -ENODEV;
    }
    q = queue_for_cpu(p);
    if (q == NULL) {
        return -ENOMEM;
    }
    timer_migrate(&q->timer, cpu);
    change_queue(sched_cpu_of(cpu), q);
    cpumask_set(&p->cpus, cpu);
    softirq_raise_on(cpu, SOFTIRQ_SCHEDULE); /* it looks, and is in the queue's idle ones then */
    return 0;
}

int sched_pool_add_cpu(uint32_t id, uint32_t cpu)
{
    int rc;

    spin_lock(&pools_lock);
    rc = add_cpu(pool_find(id), cpu);
    spin_unlock(&pools_lock);
    return rc;
}

/* @cpu chooses nothing from now on. */
static void begin_removal(struct sched_pool *p, uint32_t cpu) REQUIRES(pools_lock)
{
    struct run_queue *q = sched_cpu_of(cpu)->queue;

    spin_lock(&q->lock);
    cpumask_clear(&q->cpus, cpu);
    cpumask_clear(&q->idle, cpu);
    spin_unlock(&q->lock);
    cpumask_clear(&p->cpus, cpu);
    pool_settle_units(p);
    softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
}

/* @q has no CPUs any more.  Units that sleep may still point to it: not to its pool, which may go.
 */
static void leave_queue(struct run_queue *q)
{
    spin_lock(&q->lock);
    q->pool = &no_pool;
    spin_unlock(&q->lock);
}

/* True: it idles, and has left its queue; one that is empty then may be used anew. */
static bool end_removal(struct sched_pool *p, struct sched_cpu *c) REQUIRES(pools_lock)
{
    struct run_queue *q = c->queue;

    if (READ_ONCE(c->running) != c->idle) {
        return false;
    }
    change_queue(c, &free_queue);
    if (cpumask_empty(&q->cpus)) {
        timer_stop(&q->timer);
        leave_queue(q);
        p->nr_queues--;
        q->next_unused = unused_queues;
        unused_queues = q;
    } else {
        timer_migrate(&q->timer, cpumask_next(&q->cpus, 0));
    }
    return true;
}

/* The CPU of @p that is on its way out, else the last one. */
static uint32_t cpu_to_remove(const struct sched_pool *p)
{
    uint32_t last = SCHED_POOL_ANY;
    unsigned int cpu;

    cpumask_for_each(cpu, &cpus_online) {
        if (cpumask_test(&p->cpus, cpu)) {
            last = cpu;
        } else if (sched_cpu_of(cpu)->queue->pool == p) {
            return cpu;
        }
    }
    return last;
}

static int remove_cpu(struct sched_pool *p, uint32_t cpu) REQUIRES(pools_lock)
{
    if (p == NULL) {
        return -ENOENT;
    }
    if (cpu == SCHED_POOL_ANY) {
        cpu = cpu_to_remove(p);
    }
    if (!cpu_exists(cpu)) {
        return -EINVAL;
    }
    if (sched_cpu_of(cpu)->queue->pool != p) {
        return -EADDRNOTAVAIL;
    }
    if (cpumask_test(&p->cpus, cpu)) {
        if (cpumask_count(&p->cpus) == 1 && p->nr_groups != 0) {
            return -EBUSY;
        }
        begin_removal(p, cpu);
    }
    return end_removal(p, sched_cpu_of(cpu)) ? 0 : -ERESTART;
}

int sched_pool_remove_cpu(uint32_t id, uint32_t cpu)
{
    struct sched_pool *p;
    int rc;

    spin_lock(&pools_lock);
    p = pool_find(id);
    rc = remove_cpu(p, cpu);
    if (p != NULL) {
        pool_report_freed(p);
    }
    spin_unlock(&pools_lock);
    return rc;
}
