/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's timers: one-shot and periodic, both raising VIRQ_TIMER, and the
 * time-out of a poll.  They run on whatever CPU the vCPU ran on when they were
 * set; a wake-up then finds it there.
 */
#include "event/internal.h"

#include "time/time.h"

#define PERIOD_MIN_NS 1000000ull /* what VCPUOP_set_periodic_timer accepts at least */

static void fire_singleshot(struct timer *t)
{
    evtchn_raise_virq(t->data, VIRQ_TIMER);
}

static void fire_periodic(struct timer *t)
{
    struct vcpu *v = t->data;
    struct vcpu_events *e = v->events;
    uint64_t now = time_now(), period = READ_ONCE(e->period_ns);

    if (period == 0) {
        return;
    }
    /* Ticks that were missed are not made up for. */
    e->periodic_due_ns += period * ((now - e->periodic_due_ns) / period + 1);
    timer_set(t, e->periodic_due_ns);
    evtchn_raise_virq(v, VIRQ_TIMER);
}

static void fire_poll(struct timer *t)
{
    evtchn_kick(t->data);
}

static void set_here(struct timer *t, const struct vcpu *v, uint64_t deadline_ns)
{
    if (t->cpu != v->unit.cpu) {
        timer_migrate(t, v->unit.cpu);
    }
    timer_set(t, deadline_ns);
}

int vtimer_set_singleshot(struct vcpu *v, uint64_t ns, bool must_be_future)
{
    if (must_be_future && ns < time_now()) {
        return -ETIME;
    }
    set_here(&v->events->singleshot, v, ns);
    return 0;
}

void vtimer_stop_singleshot(struct vcpu *v)
{
    timer_stop(&v->events->singleshot);
}

uint64_t vtimer_deadline_ns(const struct vcpu *v)
{
    return timer_is_armed(&v->events->singleshot) ? timer_deadline_ns(&v->events->singleshot) : 0;
}

int vtimer_set_periodic(struct vcpu *v, uint64_t period_ns)
{
    struct vcpu_events *e = v->events;

    if (period_ns != 0 && (period_ns < PERIOD_MIN_NS || period_ns > INT64_MAX)) {
        return -EINVAL;
    }
    timer_stop(&e->periodic);
    e->period_ns = period_ns;
    if (period_ns != 0) {
        e->periodic_due_ns = time_now() + period_ns;
        set_here(&e->periodic, v, e->periodic_due_ns);
    }
    return 0;
}

void vtimer_vcpu_create(struct vcpu *v)
{
    struct vcpu_events *e = v->events;

    timer_init(&e->singleshot, fire_singleshot, v, v->unit.cpu);
    timer_init(&e->periodic, fire_periodic, v, v->unit.cpu);
    timer_init(&e->poll, fire_poll, v, v->unit.cpu);
}

void vtimer_vcpu_stop(struct vcpu *v)
{
    struct vcpu_events *e = v->events;

    WRITE_ONCE(e->period_ns, 0);
    timer_kill(&e->singleshot);
    timer_kill(&e->periodic);
    timer_kill(&e->poll);
}
