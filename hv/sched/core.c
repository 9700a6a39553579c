/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's core: states of units, run queues, choosing and switching.
 * What a policy decides is in its own file.
 *
 * Each CPU has a queue.  A unit that is woken goes to the CPU it last ran on
 * when that is idle, else to an idle one that it may use, else it waits where
 * it was; a CPU about to idle takes a waiting unit from another queue.  So a
 * wake-up costs one lock, and no CPU idles while a unit waits that it may run.
 *
 * Switching: sched_softirq() makes the decision under the queue's lock, but
 * saves and loads registers without it.  Meanwhile the unit that was left may
 * already be chosen by another CPU; that one waits for on_cpu to fall before
 * it enters.  Leaving comes before waiting, so two CPUs that exchange units
 * cannot wait for each other.
 */
#include "sched/internal.h"

#include "abi/xen.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "time/time.h"
#include "time/timer.h"
#include "x86/cpu.h"
#include "x86/entry.h"
#include "x86/smp.h"
#include <xen/vcpu.h>

/* No piece of work that the idle loop does takes longer: a timer due sooner has the CPU waiting. */
#define IDLE_WORK_NS 3000u

static DEFINE_PER_CPU(struct run_queue, run_queue);
/* Hint: CPUs whose running unit is the idle one, and for which no woken unit is meant yet. */
static struct cpumask idle_cpus;
static const struct sched_policy *const policies[] = { &sched_policy_weight };
static const struct sched_policy *policy = &sched_policy_weight; /* fixed before the first unit */

static struct run_queue *queue_of(unsigned int cpu)
{
    return per_cpu_ptr(run_queue, cpu);
}

/*
 * Lock the queue that @u belongs to; it may move while we wait for the lock.
 * Callers are left out of clang's analysis, which cannot name the lock that
 * they got.
 */
static struct run_queue *lock_queue(struct sched_unit *u) NO_THREAD_SAFETY
{
    for (;;) {
        struct run_queue *q = queue_of(READ_ONCE(u->cpu));

        spin_lock(&q->lock);
        if (q->cpu == READ_ONCE(u->cpu)) {
            return q;
        }
        spin_unlock(&q->lock);
    }
}

static void slice_over(struct timer *t)
{
    (void)t;
    softirq_raise(SOFTIRQ_SCHEDULE);
}

void sched_init_cpu(unsigned int cpu, struct sched_unit *idle)
{
    struct run_queue *q = queue_of(cpu);

    spin_lock_init(&q->lock, LOCK_RANK_SCHED);
    list_init(&q->units);
    q->cpu = cpu;
    q->idle = idle;
    q->running = idle;
    timer_init(&q->slice, slice_over, q, cpu);
    idle->is_idle = true;
    idle->state = UNIT_RUNNING;
    idle->on_cpu = true;
    idle->cpu = cpu;
    idle->since_ns = time_now();
    cpumask_set(&idle_cpus, cpu);
}

bool sched_select(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        if (strcmp(name, policies[i]->name) == 0) {
            policy = policies[i];
            return true;
        }
    }
    return false;
}

const char *sched_policy_name(void)
{
    return policy->long_name;
}

uint32_t sched_policy_id(void)
{
    return policy->id;
}

int sched_group_create(struct sched_group *g, uint32_t pool_id)
{
    g->weight = SCHED_WEIGHT_DEFAULT;
    return pool_id == 0 ? 0 : -ENOENT;
}

void sched_group_destroy(struct sched_group *g)
{
    (void)g;
}

uint32_t sched_group_pool(const struct sched_group *g)
{
    (void)g;
    return 0;
}

int sched_get_params(struct sched_group *g, struct sched_unit *u, uint32_t policy_id,
                     struct xen_domctl_schedparam_vcpu *p)
{
    return policy_id != policy->id ? -EINVAL : policy->get_params(g, u, p);
}

int sched_set_params(struct sched_group *g, struct sched_unit *u, uint32_t policy_id,
                     const struct xen_domctl_schedparam_vcpu *p)
{
    return policy_id != policy->id ? -EINVAL : policy->set_params(g, u, p);
}

static unsigned int home_cpu(unsigned int nr)
{
    unsigned int cpu = cpumask_next(&cpus_online, 0);

    for (nr %= cpumask_count(&cpus_online); nr > 0; nr--) {
        cpu = cpumask_next(&cpus_online, cpu + 1);
    }
    return cpu;
}

void sched_unit_create(struct sched_unit *u, struct sched_group *g, unsigned int nr)
{
    u->state = UNIT_BLOCKED;
    u->group = g;
    u->cpu = home_cpu(nr);
    for (unsigned int i = 0; i < NR_CPUS / 64; i++) {
        u->affinity.bits[i] = u->soft.bits[i] = ~0ull;
    }
}

void sched_unit_destroy(struct sched_unit *u)
{
    sched_sleep_sync(u);
}

/*
 * Where @u should run: where it was if that idles, else where somebody idles.
 * An idle CPU that is chosen is no choice for the next one, who might wake
 * before it has looked: the caller has it look in any case.
 */
static unsigned int choose_cpu(const struct sched_unit *u)
{
    unsigned int cpu;

    if (cpumask_test(&u->affinity, u->cpu) && cpumask_test(&u->soft, u->cpu) &&
        cpumask_test_clear(&idle_cpus, u->cpu)) {
        return u->cpu;
    }
    cpumask_for_each(cpu, &idle_cpus) {
        if (cpumask_test(&u->affinity, cpu) && cpumask_test(&u->soft, cpu) &&
            cpumask_test_clear(&idle_cpus, cpu)) {
            return cpu;
        }
    }
    cpumask_for_each(cpu, &idle_cpus) {
        if (cpumask_test(&u->affinity, cpu) && cpumask_test_clear(&idle_cpus, cpu)) {
            return cpu;
        }
    }
    if (cpumask_test(&u->affinity, u->cpu)) {
        return u->cpu;
    }
    cpumask_for_each(cpu, &cpus_online) {
        if (cpumask_test(&u->affinity, cpu)) {
            return cpu;
        }
    }
    return u->cpu;
}

static void enqueue(struct run_queue *q, struct sched_unit *u) REQUIRES(q->lock)
{
    u->state = UNIT_RUNNABLE;
    policy->enqueue(q, u);
    q->nr++;
}

static void dequeue(struct run_queue *q, struct sched_unit *u) REQUIRES(q->lock)
{
    list_remove(&u->link);
    q->nr--;
}

/* The queue got a unit: must its CPU look? */
static void ask_to_look(struct run_queue *q, const struct sched_unit *u) REQUIRES(q->lock)
{
    if (q->running->is_idle || policy->preempts(q, u, q->running)) {
        softirq_raise_on(q->cpu, SOFTIRQ_SCHEDULE);
    } else if (q->nr == 1) {
        /* The running one had the CPU for itself: from now on it has slices. */
        timer_set(&q->slice, time_now() + policy->slice_ns(q, q->running));
    }
}

/* @u, BLOCKED, belongs to @to from now on; the queue @q that it was in is locked. */
static void move(struct run_queue *q, struct sched_unit *u, unsigned int to) REQUIRES(q->lock)
{
    if (policy->moved) {
        policy->moved(q, queue_of(to), u);
    }
    WRITE_ONCE(u->cpu, to);
}

/* Up to @now, which may be by the clock of another CPU, a little behind. */
static void charge(struct run_queue *q, struct sched_unit *u, uint64_t now) REQUIRES(q->lock)
{
    uint64_t ran = now > u->since_ns ? now - u->since_ns : 0;

    u->since_ns += ran;
    u->ran_ns += ran;
    if (!u->is_idle) {
        policy->charge(q, u, ran);
    }
}

void sched_wake(struct sched_unit *u) NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u);
    unsigned int cpu;
    uint64_t now;

    if (u->state != UNIT_BLOCKED || !sched_host_ops.is_runnable(u)) {
        spin_unlock(&q->lock);
        return;
    }
    cpu = choose_cpu(u);
    if (cpu != q->cpu) {
        /* Nobody else moves a BLOCKED unit, but somebody may wake it first. */
        move(q, u, cpu);
        spin_unlock(&q->lock);
        q = lock_queue(u);
        if (u->state != UNIT_BLOCKED || !sched_host_ops.is_runnable(u)) {
            spin_unlock(&q->lock);
            softirq_raise_on(cpu, SOFTIRQ_SCHEDULE); /* it counts as chosen */
            return;
        }
    }
    now = time_now();
    charge(q, q->running, now); /* alone till now, nobody has done it for long */
    policy->woken(q, u);
    enqueue(q, u);
    sched_host_ops.state_changed(u, RUNSTATE_runnable, now);
    ask_to_look(q, u);
    spin_unlock(&q->lock);
}

void sched_sleep_nosync(struct sched_unit *u) NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u);

    if (u->state == UNIT_RUNNABLE && !sched_host_ops.is_runnable(u)) {
        dequeue(q, u);
        u->state = UNIT_BLOCKED;
        sched_host_ops.state_changed(u, RUNSTATE_blocked, time_now());
    } else if (u->state == UNIT_RUNNING) {
        softirq_raise_on(q->cpu, SOFTIRQ_SCHEDULE);
    }
    spin_unlock(&q->lock);
}

void sched_sleep_sync(struct sched_unit *u)
{
    sched_sleep_nosync(u);
    while (READ_ONCE(u->state) == UNIT_RUNNING || __atomic_load_n(&u->on_cpu, __ATOMIC_ACQUIRE)) {
        cpu_poll_calls();
        cpu_relax();
    }
}

void sched_yield(void)
{
    struct run_queue *q = this_cpu_ptr(run_queue);

    spin_lock(&q->lock);
    q->running->is_yielding = true;
    spin_unlock(&q->lock);
    softirq_raise(SOFTIRQ_SCHEDULE);
}

void sched_block(void)
{
    softirq_raise(SOFTIRQ_SCHEDULE);
}

/* The running unit gives up the CPU: back into the queue, or to sleep.  True: it belongs elsewhere
 * now. */
static bool retire(struct run_queue *q, struct sched_unit *prev, uint64_t now) REQUIRES(q->lock)
{
    bool is_homeless = !cpumask_test(&prev->affinity, q->cpu);

    charge(q, prev, now);
    if (prev->is_idle) {
        return false;
    }
    if (!is_homeless && sched_host_ops.is_runnable(prev)) {
        if (prev->is_yielding && !list_is_empty(&q->units)) {
            policy->yield(q, prev);
        }
        prev->is_yielding = false;
        enqueue(q, prev);
        return false;
    }
    prev->is_yielding = false;
    prev->state = UNIT_BLOCKED;
    return is_homeless;
}

static struct sched_unit *choose(struct run_queue *q) REQUIRES(q->lock)
{
    struct sched_unit *next = q->idle;

    if (!list_is_empty(&q->units)) {
        next = list_first(&q->units, struct sched_unit, link);
        dequeue(q, next);
    }
    next->state = UNIT_RUNNING;
    return next;
}

static void note_change(struct run_queue *q, struct sched_unit *prev, struct sched_unit *next,
                        uint64_t now) REQUIRES(q->lock)
{
    q->running = next;
    next->since_ns = now;
    if (prev->is_idle) {
        cpumask_clear(&idle_cpus, q->cpu);
    } else {
        sched_host_ops.state_changed(
            prev, prev->state == UNIT_RUNNABLE ? RUNSTATE_runnable : RUNSTATE_blocked, now);
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

void sched_softirq(void)
{
    struct run_queue *q = this_cpu_ptr(run_queue);
    uint64_t now = time_now();
    struct sched_unit *prev, *next;
    bool is_homeless;

    spin_lock(&q->lock);
    prev = q->running;
    is_homeless = retire(q, prev, now);
    next = choose(q);
    if (next != prev) {
        note_change(q, prev, next, now);
    }
    if (next->is_idle && !cpumask_test(&idle_cpus, q->cpu)) {
        cpumask_set(&idle_cpus, q->cpu);
    }
    if (q->nr > 0) {
        timer_set(&q->slice, now + policy->slice_ns(q, next));
    } else if (timer_is_armed(&q->slice)) {
        timer_stop(&q->slice);
    }
    spin_unlock(&q->lock);

    if (next != prev) {
        switch_units(prev, next);
    }
    if (is_homeless) {
        sched_wake(prev);
    }
}

/* A unit that waits in @q and may run on @cpu. */
static struct sched_unit *find_movable(struct run_queue *q, unsigned int cpu) REQUIRES(q->lock)
{
    struct sched_unit *u;

    list_for_each(u, &q->units, link) {
        if (cpumask_test(&u->affinity, cpu)) {
            return u;
        }
    }
    return NULL;
}

/* Take a waiting unit from another CPU's queue; waking it puts it into ours. */
static bool steal_from(struct run_queue *q)
{
    struct sched_unit *u;

    spin_lock(&q->lock);
    u = find_movable(q, cpu_id());
    if (u != NULL) {
        dequeue(q, u);
        u->state = UNIT_BLOCKED;
        move(q, u, cpu_id());
    }
    spin_unlock(&q->lock);
    if (u != NULL) {
        sched_wake(u);
    }
    return u != NULL;
}

static bool steal(void)
{
    unsigned int cpu;

    cpumask_for_each(cpu, &cpus_online) {
        if (cpu != cpu_id() && READ_ONCE(queue_of(cpu)->nr) > 0 && steal_from(queue_of(cpu))) {
            return true;
        }
    }
    return false;
}

noreturn void sched_idle_loop(void)
{
    struct run_queue *q = this_cpu_ptr(run_queue);

    for (;;) {
        if (READ_ONCE(this_cpu()->softirqs) != 0) {
            softirq_run();
        } else if (q->running != q->idle) {
            resume_curr();
        } else if (timer_is_near(IDLE_WORK_NS) || (!steal() && !pages_scrub_step())) {
            cpu_idle_halt();
        } else {
            cpu_irq_window();
        }
    }
}

void sched_effective_affinity(struct sched_unit *u, struct cpumask *hard, struct cpumask *soft)
{
    for (unsigned int i = 0; i < NR_CPUS / 64; i++) {
        hard->bits[i] = u->affinity.bits[i] & cpus_online.bits[i];
        soft->bits[i] = u->soft.bits[i] & hard->bits[i];
    }
}

int sched_set_affinity(struct sched_unit *u, const struct cpumask *hard, const struct cpumask *soft)
    NO_THREAD_SAFETY
{
    struct run_queue *q;
    bool must_move;
    unsigned int cpu;

    cpumask_for_each(cpu, hard == NULL ? &cpus_online : hard) {
        if (cpumask_test(&cpus_online, cpu)) {
            break;
        }
    }
    if (cpu == NR_CPUS) {
        return -EINVAL;
    }
    q = lock_queue(u);
    u->soft = soft == NULL ? u->soft : *soft;
    u->affinity = hard == NULL ? u->affinity : *hard;
    must_move = !cpumask_test(&u->affinity, q->cpu);
    if (must_move && u->state == UNIT_RUNNABLE) {
        dequeue(q, u);
        u->state = UNIT_BLOCKED;
    } else if (must_move && u->state == UNIT_RUNNING) {
        softirq_raise_on(q->cpu, SOFTIRQ_SCHEDULE);
    }
    spin_unlock(&q->lock);
    if (must_move) {
        sched_wake(u);
    }
    return 0;
}

uint64_t sched_time_used(struct sched_unit *u) NO_THREAD_SAFETY
{
    struct run_queue *q = lock_queue(u);
    uint64_t ns = u->ran_ns;

    if (u->state == UNIT_RUNNING) {
        ns += time_now() - u->since_ns;
    }
    spin_unlock(&q->lock);
    return ns;
}

uint64_t sched_time_idle(unsigned int cpu)
{
    return sched_time_used(queue_of(cpu)->idle);
}
