/* SPDX-License-Identifier: MIT */
/*
 * Where a unit waits.  A pool of many CPUs has several queues: a unit stays in
 * the one it was in, whose CPUs have its data in their caches, unless a CPU of
 * another one idles and none of this one does; a CPU about to idle takes a unit
 * that waits elsewhere.
 *
 * Queues other than the locked one are looked at without their locks: what is
 * seen is a hint, and who acts on a wrong one finds out when it has the lock.
 */
#include "sched/internal.h"

#include "sys/softirq.h"
#include "x86/smp.h"

/* The first CPU in all of @a, @b and @c; NR_CPUS: none. */
static unsigned int first_common(const struct cpumask *a, const struct cpumask *b,
                                 const struct cpumask *c)
{
    for (unsigned int i = 0; i < NR_CPUS / 64; i++) {
        uint64_t word = READ_ONCE(a->bits[i]) & b->bits[i] & c->bits[i];

        if (word != 0) {
            return i * 64 + (unsigned int)__builtin_ctzll(word);
        }
    }
    return NR_CPUS;
}

unsigned int queue_idle_cpu_slow(const struct run_queue *q, const struct sched_unit *u)
{
    unsigned int cpu = first_common(&q->idle, &u->affinity, &u->soft);

    return cpu != NR_CPUS ? cpu : first_common(&q->idle, &u->affinity, &u->affinity);
}

/* Is there an idle CPU in @q for @u now? */
static bool has_room(const struct run_queue *q, const struct sched_unit *u)
{
    return READ_ONCE(q->tenant) == NULL && queue_idle_cpu(q, u) != NR_CPUS;
}

/* A queue of @pool with an idle CPU in @where for @u; NULL: none. */
static struct run_queue *find_room(const struct sched_pool *pool, const struct sched_unit *u,
                                   const struct cpumask *where)
{
    unsigned int cpu;

    cpumask_for_each(cpu, &pool->cpus) {
        struct run_queue *q = READ_ONCE(sched_cpu_of(cpu)->queue);

        if (cpumask_test(where, cpu) && cpumask_test(&u->affinity, cpu) &&
            cpumask_test(&q->idle, cpu) && has_room(q, u)) {
            return q;
        }
    }
    return NULL;
}

struct run_queue *place_slow(struct run_queue *q, struct sched_unit *u)
{
    const struct sched_pool *pool = READ_ONCE(u->group->pool);
    bool is_fit = q->pool == pool && queue_serves(q, u);
    struct run_queue *better;
    unsigned int cpu;

    if (is_fit && (q->tenant == u || has_room(q, u))) {
        return q;
    }
    better = find_room(pool, u, &u->soft);
    better = better != NULL ? better : find_room(pool, u, &u->affinity);
    if (better != NULL || is_fit) {
        return better != NULL ? better : q;
    }
    cpu = first_common(&pool->cpus, &u->affinity, &u->affinity);
    return cpu == NR_CPUS ? q : READ_ONCE(sched_cpu_of(cpu)->queue);
}

/* Does a CPU of @q idle that has been asked to look, and will take @u? */
static bool is_expected(const struct run_queue *q, const struct sched_unit *u)
{
    unsigned int cpu;

    if (q->tenant != NULL) {
        return q->tenant == u;
    }
    cpumask_for_each(cpu, &q->cpus) {
        if (cpumask_test(&u->affinity, cpu) && sched_cpu_of(cpu)->running->is_idle) {
            return true;
        }
    }
    return false;
}

/* A unit of @list, of @q, that may run on @cpu and is not about to run elsewhere. */
static struct sched_unit *find_in(const struct run_queue *q, const struct list_node *list,
                                  unsigned int cpu)
{
    struct sched_unit *u;

    list_for_each(u, list, link) {
        if (cpumask_test(&u->affinity, cpu) && !is_expected(q, u)) {
            return u;
        }
    }
    return NULL;
}

/* A unit that waits in @q and may run on @cpu.  Those parked wait for a CPU only behind a tenant.
 */
static struct sched_unit *find_movable(const struct run_queue *q, unsigned int cpu)
{
    struct sched_unit *u = find_in(q, &q->units, cpu);

    return u != NULL || q->tenant == NULL ? u : find_in(q, &q->parked, cpu);
}

void poke_idle_elsewhere(const struct run_queue *q)
{
    unsigned int cpu;

    cpumask_for_each(cpu, &q->pool->cpus) {
        const struct run_queue *other = READ_ONCE(sched_cpu_of(cpu)->queue);

        if (other != q && cpumask_test(&other->idle, cpu) && READ_ONCE(other->tenant) == NULL &&
            find_movable(q, cpu) != NULL) {
            cpu_poke(cpu);
            return;
        }
    }
}

/* Take a waiting unit from another CPU's queue.  Those parked wait for a CPU only behind a tenant.
 */
static bool steal_from(struct run_queue *q, const struct sched_pool *pool)
{
    struct sched_unit *u = NULL;

    spin_lock(&q->lock);
    if (q->pool == pool) {
        u = find_movable(q, cpu_id());
    }
    if (u != NULL) {
        begin_move(q, u);
    }
    spin_unlock(&q->lock);
    if (u != NULL) {
        finish_move(u);
    }
    return u != NULL;
}

bool steal(void)
{
    const struct run_queue *own = this_cpu_ptr(sched_cpu)->queue;
    const struct sched_pool *pool = own->pool;
    unsigned int cpu;

    /* Who has been asked to look does that first; who leaves the pool takes nothing. */
    if (likely(pool->nr_queues <= 1) || own->tenant != NULL ||
        !cpumask_test(&own->idle, cpu_id())) {
        return false;
    }
    cpumask_for_each(cpu, &pool->cpus) {
        struct run_queue *q = READ_ONCE(sched_cpu_of(cpu)->queue);

        if (q != own && READ_ONCE(q->nr) + READ_ONCE(q->nr_parked) > 0 && steal_from(q, pool)) {
            return true;
        }
    }
    return false;
}
