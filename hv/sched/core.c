/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's core: states of units, run queues, choosing and switching.
 * What a policy decides is in its own file; where a unit waits, in place.c.
 *
 * A queue serves some CPUs of a pool.  Who comes into it has an idle one of
 * them look, or the one whose unit deserves it least, at once or at the end of
 * a slice; a CPU that looks takes the first unit that it may run.  While units
 * wait, the CPU whose unit is furthest ahead has a slice, so that a unit waits
 * for no longer than that behind one that has had more.
 *
 * A CPU that idles is in queue->idle until it has been asked to look: two units
 * that come at once do not both wait for the same one.
 *
 * Switching: sched_softirq() makes the decision under the queue's lock, but
 * saves and loads registers without it.  Meanwhile the unit that was left may
 * already be chosen by another CPU; that one waits for on_cpu to fall before
 * it enters.  Leaving comes before waiting, so two CPUs that exchange units
 * cannot wait for each other.
 */
#include "sched/internal.h"

#include "abi/xen.h"
#include "mm/page_alloc.h"
#include "sys/softirq.h"
#include "time/time.h"
#include "x86/cpu.h"
#include "x86/entry.h"
#include "x86/smp.h"
#include <xen/vcpu.h>

/* No piece of work that the idle loop does takes longer: a timer due sooner has the CPU waiting. */
#define IDLE_WORK_NS 3000u

DEFINE_PER_CPU(struct sched_cpu, sched_cpu);

/* @ns after @now; never, if that is what @ns says. */
static uint64_t after(uint64_t now, uint64_t ns)
{
    return ns == SCHED_NEVER ? SCHED_NEVER : now + ns;
}

static void slice_over(struct timer *t)
{
    (void)t;
    softirq_raise(SOFTIRQ_SCHEDULE);
}

void sched_init_cpu(unsigned int cpu, struct sched_unit *idle)
{
    struct sched_cpu *c = sched_cpu_of(cpu);

    c->queue = &free_queue;
    c->cpu = cpu;
    c->idle = c->running = idle;
    timer_init(&c->slice, slice_over, c, cpu);
    idle->is_idle = true;
    idle->state = UNIT_RUNNING;
    idle->on_cpu = true;
    idle->cpu = cpu;
    idle->queue = &free_queue;
    idle->since_ns = time_now();
}

/* ---------------------------------------------------------- the queue -- */

void queue_insert(struct run_queue *q, struct sched_unit *u)
{
    struct sched_unit *first = list_first(&q->units, struct sched_unit, link);
    struct list_node *at = &q->units;

    u->state = UNIT_RUNNABLE;
    q->nr++;
    if (first == NULL || u->key < first->key) {
        list_add_head(&q->units, &u->link);
        return;
    }
    /* Behind those with the same key: they have waited longer. */
    while (list_entry(at->prev, struct sched_unit, link)->key > u->key) {
        at = at->prev;
    }
    list_insert_before(at, &u->link);
}

static void dequeue(struct run_queue *q, struct sched_unit *u) REQUIRES(q->lock)
{
    list_remove(&u->link);
    if (u->is_parked) {
        u->is_parked = false;
        q->nr_parked--;
    } else {
        q->nr--;
    }
}

static void set_queue_timer(struct run_queue *q, uint64_t at) REQUIRES(q->lock)
{
    if (at != SCHED_NEVER && (!timer_is_armed(&q->timer) || timer_deadline_ns(&q->timer) > at)) {
        timer_set(&q->timer, at);
    }
}

static void park(struct run_queue *q, struct sched_unit *u) REQUIRES(q->lock)
{
    dequeue(q, u);
    u->is_parked = true;
    q->nr_parked++;
    list_add_tail(&q->parked, &u->link);
    set_queue_timer(q, u->park_until_ns);
}

static void charge(struct run_queue *q, struct sched_unit *u, uint64_t now) REQUIRES(q->lock)
{
    uint64_t ran = now - u->since_ns;

    if ((int64_t)ran <= 0) {
        return; /* charged by a CPU whose clock is ahead */
    }
    u->since_ns = now;
    u->ran_ns += ran;
    if (!u->is_idle && q->pool->policy->charge != NULL) {
        q->pool->policy->charge(q, u, ran);
    }
}

/* Units wait: bring the keys of those that run up to date. */
static void refresh(struct run_queue *q, uint64_t now) REQUIRES(q->lock)
{
    unsigned int cpu;

    cpumask_for_each(cpu, &q->cpus) {
        charge(q, sched_cpu_of(cpu)->running, now);
    }
    if (q->pool->policy->refresh != NULL) {
        set_queue_timer(q, q->pool->policy->refresh(q, now));
    }
}

/*
 * The CPU with the unit that deserves it least, among those that @u may use and
 * that nobody asked to look; not @except.
 */
static struct sched_cpu *worst_cpu(struct run_queue *q, const struct sched_unit *u,
                                   const struct sched_cpu *except) REQUIRES(q->lock)
{
    struct sched_cpu *worst = NULL;
    unsigned int cpu;

    cpumask_for_each(cpu, &q->cpus) {
        struct sched_cpu *c = sched_cpu_of(cpu);

        if (c != except && cpumask_test(&u->affinity, cpu) && !c->running->is_idle &&
            !(READ_ONCE(cpus[cpu]->softirqs) & 1u << SOFTIRQ_SCHEDULE) &&
            (worst == NULL || worst->running->key < c->running->key)) {
            worst = c;
        }
    }
    return worst;
}

static void ask_idle(struct run_queue *q, unsigned int cpu) REQUIRES(q->lock)
{
    cpumask_clear(&q->idle, cpu);
    softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
}

/*
 * @u waits in @q, and no CPU idles for it: which one but @except must look, and
 * when?  Keys are up to date.
 */
static void ask_busy(struct run_queue *q, const struct sched_unit *u,
                     const struct sched_cpu *except, uint64_t now) REQUIRES(q->lock)
{
    const struct sched_pool *pool = q->pool;
    struct sched_cpu *c = worst_cpu(q, u, except);
    uint64_t at = after(now, pool->slice_ns);

    if (c == NULL) {
        return; /* whoever can take it comes anyway */
    }
    if (u->key + pool->policy->margin_ns < c->running->key) {
        at = c->entered_ns + pool->ratelimit_ns;
    }
    if (at <= now) {
        softirq_raise_on(c->cpu, SOFTIRQ_SCHEDULE);
    } else if (at != SCHED_NEVER &&
               (!timer_is_armed(&c->slice) || timer_deadline_ns(&c->slice) > at)) {
        timer_set(&c->slice, at);
    }
}

static void ask_to_look(struct run_queue *q, const struct sched_unit *u,
                        const struct sched_cpu *except, uint64_t now) REQUIRES(q->lock)
{
    unsigned int idle = queue_idle_cpu(q, u);

    if (idle != NR_CPUS) {
        ask_idle(q, idle);
    } else {
        ask_busy(q, u, except, now);
    }
}

/* @u, not in any list, comes into @q from sleep, from parking or from another queue. */
static void arrive(struct run_queue *q, struct sched_unit *u, uint64_t now) REQUIRES(q->lock)
{
    unsigned int idle = queue_idle_cpu(q, u);

    if (idle == NR_CPUS) {
        refresh(q, now);
    }
    if (q->pool->policy->woken != NULL) {
        q->pool->policy->woken(q, u, now);
    }
    queue_insert(q, u);
    if (idle != NR_CPUS) {
        ask_idle(q, idle);
    } else {
        ask_busy(q, u, NULL, now);
    }
}

/* The time that some parked unit waits for has come. */
static void queue_timer(struct timer *t) NO_THREAD_SAFETY
{
    struct run_queue *q = t->data;
    uint64_t now, next = SCHED_NEVER;
    struct sched_unit *u, *following;

    spin_lock(&q->lock);
    now = time_now();
    list_for_each_safe(u, following, &q->parked, link)
    {
        if (u->park_until_ns <= now) {
            dequeue(q, u);
            arrive(q, u, now);
        } else {
            next = min(next, u->park_until_ns);
        }
    }
    set_queue_timer(q, next);
    if (q->nr > 0) {
        refresh(q, now);
        ask_to_look(q, list_first(&q->units, struct sched_unit, link), NULL, now);
    }
    spin_unlock(&q->lock);
}

void queue_init(struct run_queue *q)
{
    spin_lock_init(&q->lock, LOCK_RANK_SCHED);
    list_init(&q->units);
    list_init(&q->parked);
    timer_init(&q->timer, queue_timer, q, 0);
}

void release_tenancy(struct run_queue *q, struct sched_unit *u) NO_THREAD_SAFETY
{
    unsigned int cpu;
    struct sched_unit *waiting, *following;

    if (q->tenant != u) {
        return;
    }
    q->tenant = NULL;
    list_for_each_safe(waiting, following, &q->parked, link)
    {
        dequeue(q, waiting);
        queue_insert(q, waiting);
    }
    cpumask_for_each(cpu, &q->cpus) {
        softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
    }
}

void queue_limit_unit(struct sched_unit *u, bool is_limited) NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u);

    u->piece_ns = 0;
    u->is_limited = is_limited;
    if (u->state == UNIT_RUNNING) {
        softirq_raise_on(u->cpu, SOFTIRQ_SCHEDULE);
    }
    spin_unlock(&q->lock);
}

/* -------------------------------------------------- waking and sleeping -- */

static bool wants_to_run(const struct sched_unit *u, bool is_mover)
{
    return u->state == UNIT_BLOCKED && u->is_moving == is_mover && sched_host_ops.is_runnable(u);
}

/*
 * Put @u, BLOCKED, into the queue where it belongs, if it wants to run.  While
 * neither the old queue's nor the new one's lock is held, somebody else may
 * wake it first; who moves it keeps others away by is_moving.
 */
static void bring(struct sched_unit *u, bool is_mover) NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u), *from = q;

    while (wants_to_run(u, is_mover)) {
        struct run_queue *to = place(q, u);

        /* One hop for a better place; then this one will do, if it can do at all. */
        if (to == q || (q != from && q->pool == u->group->pool && queue_serves(q, u))) {
            uint64_t now = time_now();

            sched_host_ops.state_changed(u, RUNSTATE_runnable, now);
            arrive(q, u, now);
            break;
        }
        WRITE_ONCE(u->queue, to);
        release_tenancy(q, u);
        spin_unlock(&q->lock);
        q = lock_queue(u);
    }
    if (is_mover) {
        u->is_moving = false;
    }
    spin_unlock(&q->lock);
}

void sched_wake(struct sched_unit *u)
{
    bring(u, false);
}

void begin_move(struct run_queue *q, struct sched_unit *u) NO_THREAD_SAFETY
{
    dequeue(q, u);
    u->state = UNIT_BLOCKED;
    u->is_moving = true;
}

void finish_move(struct sched_unit *u)
{
    bring(u, true);
}

static void sleep_unit(struct sched_unit *u, bool is_offline) NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u);

    if (u->state == UNIT_RUNNABLE && !sched_host_ops.is_runnable(u)) {
        dequeue(q, u);
        u->state = UNIT_BLOCKED;
        sched_host_ops.state_changed(u, RUNSTATE_blocked, time_now());
    } else if (u->state == UNIT_RUNNING) {
        softirq_raise_on(u->cpu, SOFTIRQ_SCHEDULE);
    }
    if (is_offline) {
        release_tenancy(q, u);
    }
    spin_unlock(&q->lock);
}

void sched_sleep_nosync(struct sched_unit *u)
{
    sleep_unit(u, false);
}

void sched_offline(struct sched_unit *u)
{
    sleep_unit(u, true);
}

void sched_sleep_sync(struct sched_unit *u)
{
    sleep_unit(u, false);
    while (!sched_is_off_cpu(u) || READ_ONCE(u->is_moving)) {
        cpu_poll_calls();
        cpu_relax();
    }
}

void sched_yield(void)
{
    struct sched_cpu *c = this_cpu_ptr(sched_cpu);

    /*
     * Who yields does so in a loop mostly.  Were all to wait for the lock, they would
     * keep it from those who wake somebody, the one that they all wait for perhaps.
     */
    if (READ_ONCE(c->queue->nr) > 0 && !spin_is_locked(&c->queue->lock)) {
        c->running->is_yielding = true;
        softirq_raise(SOFTIRQ_SCHEDULE);
    }
}

void sched_block(void)
{
    softirq_raise(SOFTIRQ_SCHEDULE);
}

/* ------------------------------------------------- choosing, switching -- */

/* May @u go on where it runs?  Not, if one that it should rather use idles. */
static bool may_stay(const struct sched_cpu *c, const struct run_queue *q,
                     const struct sched_unit *u)
{
    unsigned int better;

    if (!cpumask_test(&u->affinity, c->cpu) || !cpumask_test(&q->cpus, c->cpu)) {
        return false;
    }
    if (likely(!sched_soft_in_use) || cpumask_test(&u->soft, c->cpu)) {
        return true;
    }
    better = queue_idle_cpu(q, u);
    return better == NR_CPUS || !cpumask_test(&u->soft, better);
}

/* What @u, which ran until now, does next, as the queue has it: RUNNING: it goes on. */
static void retire(struct sched_cpu *c, struct run_queue *q, struct sched_unit *u, bool can_stay,
                   uint64_t now) REQUIRES(q->lock)
{
    if (!sched_host_ops.is_runnable(u)) {
        u->state = UNIT_BLOCKED;
    } else if (can_stay && !u->is_limited &&
               (q->nr == 0 || (!u->is_yielding && now - c->entered_ns < q->pool->ratelimit_ns))) {
        u->state = UNIT_RUNNING;
    } else if (!can_stay && !queue_serves(q, u)) {
        u->state = UNIT_BLOCKED;
        u->is_moving = true;
    } else {
        queue_insert(q, u);
    }
}

/* The wait of a unit that has just run on another CPU, until this one may take it. */
static bool is_hot(const struct sched_cpu *c, const struct run_queue *q, const struct sched_unit *u,
                   uint64_t now, uint64_t *until)
{
    if (likely(q->pool->migr_delay_ns == 0) || u->cpu == c->cpu ||
        now >= u->since_ns + q->pool->migr_delay_ns) {
        return false;
    }
    *until = min(*until, u->since_ns + q->pool->migr_delay_ns);
    return true;
}

/*
 * The first unit in @q that @c may run, one that should run here before one
 * that merely may if it is not far behind; not @skip.  *@until: when @c must
 * look again.
 */
static struct sched_unit *first_for(struct sched_cpu *c, struct run_queue *q,
                                    const struct sched_unit *skip, uint64_t now, uint64_t *until)
    REQUIRES(q->lock)
{
    struct sched_unit *u, *found = NULL;

    list_for_each(u, &q->units, link) {
        if (found != NULL && u->key > found->key + q->pool->slice_ns) {
            break;
        }
        if (u == skip || !cpumask_test(&u->affinity, c->cpu) || is_hot(c, q, u, now, until)) {
            continue;
        }
        if (likely(!sched_soft_in_use) || cpumask_test(&u->soft, c->cpu)) {
            return u;
        }
        found = found == NULL ? u : found;
    }
    return found;
}

/* Who runs next; taken out of the queue. */
static struct sched_unit *choose(struct sched_cpu *c, struct run_queue *q,
                                 const struct sched_unit *skip, uint64_t now, uint64_t *until)
    REQUIRES(q->lock)
{
    const struct sched_policy *policy = q->pool->policy;
    struct sched_unit *u;

    if (!cpumask_test(&q->cpus, c->cpu)) {
        return c->idle;
    }
    while ((u = first_for(c, q, skip, now, until)) != NULL) {
        if (unlikely(u->is_limited)) {
            uint64_t limit = policy->begin(q, u, now);

            if (limit == 0) {
                park(q, u);
                continue;
            }
            *until = min(*until, after(now, limit));
        }
        dequeue(q, u);
        if (likely(u->key >= c->start_key)) {
            c->start_key = u->key;
        } else if (policy->lift != NULL) {
            policy->lift(c, u);
        }
        return u;
    }
    return c->idle;
}

/* @c goes idle: a unit that runs elsewhere though it should be here may come. */
static void invite(const struct sched_cpu *c, const struct run_queue *q) REQUIRES(q->lock)
{
    unsigned int cpu;

    cpumask_for_each(cpu, &q->cpus) {
        const struct sched_unit *u = sched_cpu_of(cpu)->running;

        if (!u->is_idle && !cpumask_test(&u->soft, cpu) && cpumask_test(&u->soft, c->cpu) &&
            cpumask_test(&u->affinity, c->cpu)) {
            softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
        }
    }
}

static void note_change(struct sched_cpu *c, struct run_queue *q, struct sched_unit *prev,
                        struct sched_unit *next, uint64_t now) REQUIRES(q->lock)
{
    c->running = next;
    c->entered_ns = now;
    next->state = UNIT_RUNNING;
    next->cpu = c->cpu;
    next->since_ns = now;
    if (prev->is_idle) {
        cpumask_clear(&q->idle, c->cpu);
    } else {
        sched_host_ops.state_changed(
            prev,
            prev->state == UNIT_RUNNABLE || prev->is_moving ? RUNSTATE_runnable : RUNSTATE_blocked,
            now);
    }
    if (!next->is_idle) {
        sched_host_ops.state_changed(next, RUNSTATE_running, now);
    }
}

static void switch_units(struct sched_unit *prev, struct sched_unit *next)
{
    sched_host_ops.leave(prev);
    __atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
    while (__atomic_load_n(&next->on_cpu, __ATOMIC_ACQUIRE)) {
        cpu_poll_requests();
        cpu_relax();
    }
    next->on_cpu = true;
    sched_host_ops.enter(next);
}

/* Choose under the lock; *@until: when to look again. */
static struct sched_unit *decide(struct sched_cpu *c, struct run_queue *q, uint64_t now,
                                 uint64_t *until) REQUIRES(q->lock)
{
    struct sched_unit *prev = c->running, *next = prev;
    bool can_stay = true, is_yielding = prev->is_yielding;

    charge(q, prev, now);
    if (!prev->is_idle) {
        can_stay = may_stay(c, q, prev);
        if (unlikely(prev->is_limited)) {
            q->pool->policy->end(q, prev, now);
        }
        retire(c, q, prev, can_stay, now);
        prev->is_yielding = false;
    }
    if (q->nr > prev->is_idle) { /* else the one that this CPU has been woken for goes first */
        refresh(q, now);
    }
    if (prev->is_idle || prev->state != UNIT_RUNNING) {
        next = choose(c, q, can_stay && !is_yielding ? NULL : prev, now, until);
        if (next->is_idle && is_yielding && can_stay) {
            next = choose(c, q, NULL, now, until);
        }
        next->state = UNIT_RUNNING;
    }
    return next;
}

/* What follows from the decision for others, and when this CPU looks again. */
static void settle(struct sched_cpu *c, struct run_queue *q, struct sched_unit *prev,
                   struct sched_unit *next, uint64_t now, uint64_t until) REQUIRES(q->lock)
{
    if (next->is_idle && cpumask_test(&q->cpus, c->cpu)) {
        cpumask_set(&q->idle, c->cpu);
        if (unlikely(sched_soft_in_use)) {
            invite(c, q);
        }
    }
    if (q->nr > 0) {
        if (prev->state == UNIT_RUNNABLE && !prev->is_parked) {
            ask_to_look(q, prev, c, now);
        }
        if (!next->is_idle) {
            until = min(until, after(now, q->pool->slice_ns));
        }
    }
    if (until != SCHED_NEVER) {
        timer_set(&c->slice, until);
    } else if (timer_is_armed(&c->slice)) {
        timer_stop(&c->slice);
    }
    if (unlikely(q->pool->nr_queues > 1) && q->nr + q->nr_parked > 0) {
        poke_idle_elsewhere(q);
    }
}

void sched_softirq(void) NO_THREAD_SAFETY
{
    struct sched_cpu *c = this_cpu_ptr(sched_cpu);
    struct run_queue *q = lock_cpu(c);
    uint64_t now = time_now(), until = SCHED_NEVER;
    struct sched_unit *prev = c->running, *next;
    bool must_move;

    next = decide(c, q, now, &until);
    if (next != prev) {
        note_change(c, q, prev, next, now);
    }
    settle(c, q, prev, next, now, until);
    must_move = prev->is_moving;
    spin_unlock(&q->lock);

    if (next != prev) {
        switch_units(prev, next);
    }
    if (must_move) {
        finish_move(prev);
    }
}

noreturn void sched_idle_loop(void)
{
    struct sched_cpu *c = this_cpu_ptr(sched_cpu);

    for (;;) {
        if (READ_ONCE(this_cpu()->softirqs) != 0) {
            softirq_run();
        } else if (c->running != c->idle) {
            resume_curr();
        } else if (timer_is_near(IDLE_WORK_NS) || (!steal() && !pages_scrub_step())) {
            cpu_idle_halt();
        } else {
            cpu_irq_window();
        }
    }
}

uint64_t sched_time_used(struct sched_unit *u) NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u);
    uint64_t ns = u->ran_ns, now = time_now();

    if (u->state == UNIT_RUNNING && now > u->since_ns) {
        ns += now - u->since_ns;
    }
    spin_unlock(&q->lock);
    return ns;
}

uint64_t sched_time_idle(unsigned int cpu)
{
    return sched_time_used(sched_cpu_of(cpu)->idle);
}
