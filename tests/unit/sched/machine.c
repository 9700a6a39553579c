/* SPDX-License-Identifier: MIT */
#include "sched/machine.h"

#include <stdio.h>

#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "time/time.h"
#include "x86/cpu.h"
#include "x86/entry.h"
#include "x86/smp.h"
#include <xen/vcpu.h>

#define TIMERS_MAX 256

struct cpu host_cpu;
static struct cpu blocks[SIM_CPUS];
struct cpu *cpus[NR_CPUS];
struct cpumask cpus_online;

uint64_t sim_now = 1;
struct sim_unit sim_units[SIM_UNITS];
uint32_t sim_pool = SCHED_POOL_ANY;
unsigned int sim_asked_in_all;
unsigned int sim_quiesced;
static unsigned int nr_units;
static struct sched_unit idle[SIM_CPUS];
static struct timer *timers[TIMERS_MAX];
static unsigned int nr_timers;
static struct sched_group *groups[16];
static unsigned int nr_groups;

/* --- in place of what the scheduler stands on --- */

void *host_per_cpu(void *template, size_t size, unsigned int cpu)
{
    static struct sched_cpu copies[SIM_CPUS];

    assert_int_equal(size, sizeof(copies[0]));
    assert_true(cpu < SIM_CPUS);
    return &copies[cpu];
}

uint64_t time_now(void)
{
    return sim_now;
}

void softirq_raise_on(unsigned int cpu, enum softirq nr)
{
    blocks[cpu].softirqs |= 1u << nr;
    sim_asked_in_all++;
}

/* What was asked of "this CPU" by the inline functions. */
static void collect(void)
{
    blocks[host_cpu.id].softirqs |= host_cpu.softirqs;
    host_cpu.softirqs = 0;
}

void timer_init(struct timer *t, void (*fn)(struct timer *), void *data, unsigned int cpu)
{
    unsigned int i;

    *t = (struct timer){ .fn = fn, .data = data, .cpu = cpu };
    for (i = 0; i < nr_timers && timers[i] != t; i++) {
    }
    assert_true(i < TIMERS_MAX);
    timers[i] = t;
    nr_timers += i == nr_timers;
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
    t->node.rank = 1;
    t->node.key = deadline_ns;
}

void timer_stop(struct timer *t)
{
    t->node.rank = 0;
}

void timer_migrate(struct timer *t, unsigned int cpu)
{
    t->cpu = cpu;
}

bool timer_is_near(uint64_t ns)
{
    return false;
}

void *heap_alloc(size_t size)
{
    return calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    free(p);
}

bool pages_scrub_step(void)
{
    return false;
}

void softirq_run(void)
{
}

void spin_lock_wait(struct spinlock *lock)
{
    fail_msg("a lock is taken twice");
}

void cpu_poll_requests(void)
{
    fail_msg("a CPU waits for another one");
}

void cpu_poll_calls(void)
{
    fail_msg("a CPU waits for another one");
}

void cpu_poke(unsigned int cpu)
{
    blocks[cpu].is_poked = true;
}

void cpu_irq_window(void)
{
}

void cpu_quiesce(void)
{
    sim_quiesced++;
}

void halt_for_interrupt(void)
{
}

void log_print(enum log_level level, const char *fmt, ...)
{
}

noreturn void resume_curr(void)
{
    abort();
}

static struct sim_unit *sim_of(const struct sched_unit *u)
{
    return (struct sim_unit *)u;
}

static bool is_runnable(const struct sched_unit *u)
{
    return sim_of(u)->is_awake;
}

static void state_changed(struct sched_unit *u, int runstate, uint64_t at)
{
    struct sim_unit *s = sim_of(u);

    s->times[s->runstate] += at - s->runnable_since_ns;
    s->runnable_since_ns = at;
    s->runstate = (unsigned int)runstate;
    if (runstate == RUNSTATE_running && s->woken_ns != 0) {
        s->latency_ns = max(s->latency_ns, at - s->woken_ns);
        s->woken_ns = 0;
    }
    if (runstate == RUNSTATE_running && s->last_cpu != u->cpu) {
        s->last_cpu = u->cpu;
        s->moves++;
    }
}

static uint32_t group_name(const struct sched_group *g)
{
    return 7;
}

static void come_or_go(struct sched_unit *u)
{
}

const struct sched_host_ops sched_host_ops = {
    .is_runnable = is_runnable,
    .state_changed = state_changed,
    .group_name = group_name,
    .leave = come_or_go,
    .enter = come_or_go,
};

/* --- steps --- */

/* What @cpu does when it idles. */
static void idle_loop(unsigned int cpu)
{
    collect();
    host_cpu.id = cpu;
    blocks[cpu].is_poked = false;
    while (sched_cpu_of(cpu)->running == &idle[cpu] && blocks[cpu].softirqs == 0 && steal()) {
        collect();
    }
}

void sim_look(unsigned int cpu)
{
    collect();
    host_cpu.id = cpu;
    blocks[cpu].softirqs &= ~(1u << SOFTIRQ_SCHEDULE);
    sched_softirq();
    idle_loop(cpu);
}

bool sim_is_asked(unsigned int cpu)
{
    return blocks[cpu].softirqs != 0;
}

void sim_settle(void)
{
    bool was_asked = true;

    for (unsigned int turn = 0; was_asked; turn++) {
        was_asked = false;
        assert_true(turn < 1000); /* they ask each other for ever */
        for (unsigned int cpu = 0; cpu < SIM_CPUS; cpu++) {
            was_asked |= sim_is_asked(cpu) || blocks[cpu].is_poked;
            if (sim_is_asked(cpu)) {
                sim_look(cpu);
            } else if (blocks[cpu].is_poked) {
                idle_loop(cpu);
            }
        }
    }
    host_cpu.id = 0;
}

static void start_once(void)
{
    static bool is_started;

    if (is_started) {
        return;
    }
    is_started = true;
    for (unsigned int cpu = 0; cpu < SIM_CPUS; cpu++) {
        blocks[cpu].id = cpu;
        cpus[cpu] = &blocks[cpu];
        cpumask_set(&cpus_online, cpu);
        sched_init_cpu(cpu, &idle[cpu]);
    }
    sched_start("");
    sim_settle();
}

static void free_cpus(uint32_t pool)
{
    struct sched_pool_info info;

    while (sched_pool_get_info(pool, &info) == 0 && info.id == pool && !cpumask_empty(&info.cpus)) {
        while (sched_pool_remove_cpu(pool, SCHED_POOL_ANY) == -ERESTART) {
            sim_settle();
        }
    }
}

static void end(void)
{
    for (unsigned int i = 0; i < nr_units; i++) {
        sim_sleep(&sim_units[i]);
        sim_settle();
        sched_unit_destroy(&sim_units[i].unit);
    }
    while (nr_groups > 0) {
        sched_group_destroy(groups[--nr_groups]);
    }
    nr_units = 0;
    for (struct sched_pool_info info = { .id = 0 }; sched_pool_get_info(info.id, &info) == 0;
         info.id++) {
        free_cpus(info.id);
        assert_int_equal(sched_pool_destroy(info.id), info.id == 0 ? -EBUSY : 0);
    }
}

void sim_begin(unsigned int nr_cpus, uint32_t policy_id)
{
    start_once();
    end();
    memset(sim_units, 0, sizeof(sim_units));
    sim_now += SECOND;
    sim_pool = SCHED_POOL_ANY;
    assert_int_equal(sched_pool_create(&sim_pool, policy_id), 0);
    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
        assert_int_equal(sched_pool_add_cpu(sim_pool, cpu), 0);
    }
    sim_settle();
}

void sim_group(struct sched_group *g, uint16_t weight, uint16_t cap)
{
    struct xen_domctl_schedparam_vcpu p = { .u.credit2 = { weight, cap } };

    memset(g, 0, sizeof(*g));
    assert_true(nr_groups < ARRAY_SIZE(groups));
    groups[nr_groups++] = g;
    assert_int_equal(sched_group_create(g, sim_pool), 0);
    if (weight != 0 || cap != 0) {
        assert_int_equal(sched_set_params(g, NULL, g->pool->policy->id, &p), 0);
    }
}

struct sim_unit *sim_add(struct sched_group *g)
{
    struct sim_unit *s = &sim_units[nr_units++];

    assert_true(nr_units <= SIM_UNITS);
    s->wake_at_ns = SCHED_NEVER;
    s->runnable_since_ns = sim_now;
    s->runstate = RUNSTATE_blocked;
    sched_unit_create(&s->unit, g, g->nr_units);
    s->last_cpu = s->unit.cpu;
    return s;
}

void sim_pattern(struct sim_unit *s, uint64_t run_ns, uint64_t sleep_ns)
{
    s->run_ns = run_ns;
    s->sleep_ns = sleep_ns;
}

void sim_wake(struct sim_unit *s)
{
    s->is_awake = true;
    s->left_ns = s->run_ns;
    s->wake_at_ns = SCHED_NEVER;
    s->woken_ns = sim_now;
    sched_wake(&s->unit);
    collect();
}

void sim_sleep(struct sim_unit *s)
{
    s->is_awake = false;
    s->woken_ns = 0;
    s->wake_at_ns = s->sleep_ns == 0 ? SCHED_NEVER : sim_now + s->sleep_ns;
    sched_sleep_nosync(&s->unit);
    collect();
}

static uint64_t next_event(uint64_t end_ns)
{
    uint64_t at = end_ns;

    for (unsigned int i = 0; i < nr_timers; i++) {
        if (timers[i]->node.rank != 0) {
            at = min(at, timers[i]->node.key);
        }
    }
    for (unsigned int i = 0; i < nr_units; i++) {
        const struct sim_unit *s = &sim_units[i];

        at = min(at, s->wake_at_ns);
        if (s->unit.state == UNIT_RUNNING && s->sleep_ns != 0) {
            at = min(at, sim_now + s->left_ns);
        }
    }
    return max(at, sim_now);
}

static void fire_timers(void)
{
    for (unsigned int i = 0; i < nr_timers; i++) {
        if (timers[i]->node.rank != 0 && timers[i]->node.key <= sim_now) {
            timers[i]->node.rank = 0;
            host_cpu.id = timers[i]->cpu;
            timers[i]->fn(timers[i]);
            collect();
        }
    }
}

static void pass(uint64_t ns)
{
    sim_now += ns;
    for (unsigned int i = 0; i < nr_units; i++) {
        struct sim_unit *s = &sim_units[i];

        if (s->unit.state == UNIT_RUNNING && s->sleep_ns != 0) {
            s->left_ns -= min(s->left_ns, ns);
            if (s->left_ns == 0) {
                sim_sleep(s);
            }
        }
        if (s->wake_at_ns <= sim_now) {
            sim_wake(s);
        }
    }
}

void sim_run(uint64_t ns)
{
    uint64_t end_ns = sim_now + ns;

    sim_settle();
    while (sim_now < end_ns) {
        pass(next_event(end_ns) - sim_now);
        fire_timers();
        sim_settle();
        sim_check();
    }
}

uint64_t sim_used(struct sim_unit *s)
{
    return sched_time_used(&s->unit);
}

bool sim_runs_on(const struct sim_unit *s, unsigned int cpu)
{
    return sched_cpu_of(cpu)->running == &s->unit;
}

void sim_pin(struct sim_unit *s, uint64_t cpu_bits)
{
    struct cpumask m = { .bits = { cpu_bits } };

    assert_int_equal(sched_set_affinity(&s->unit, &m, NULL), 0);
    collect();
}

void sim_check(void)
{
    for (unsigned int i = 0; i < nr_units; i++) {
        const struct sched_unit *u = &sim_units[i].unit;
        const struct run_queue *q = u->queue;
        unsigned int cpu;

        assert_true(!u->is_moving);
        assert_true(u->state != UNIT_RUNNING || sched_cpu_of(u->cpu)->running == u);
        assert_int_equal(u->state != UNIT_BLOCKED, sim_units[i].is_awake);
        if (u->state != UNIT_RUNNABLE || u->is_parked) {
            continue;
        }
        cpumask_for_each(cpu, &u->group->pool->cpus) {
            const struct sched_cpu *c = sched_cpu_of(cpu);

            assert_true(!c->running->is_idle || !cpumask_test(&u->affinity, cpu) ||
                        (q->tenant != NULL && c->queue->tenant != NULL) ||
                        q->pool->migr_delay_ns != 0);
        }
    }
}
