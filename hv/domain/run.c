/* SPDX-License-Identifier: MIT */
/*
 * A domain's vCPUs as a whole: paused, shut down, resumed.
 *
 * A vCPU runs while nobody pauses it: the pauses of the toolstack, those of a
 * shutdown, and those that the hypervisor needs for a moment are one count in
 * each vCPU.  A domain that is shut down keeps all it has, until the toolstack
 * resumes or destroys it.
 */
#include "domain/domain.h"
#include "domain/part.h"

#include <xen/sched.h>

#include "lib/format.h"
#include "sys/log.h"
#include "sys/softirq.h"

#define TOOLSTACK_PAUSES_MAX 255u

uint32_t domain_of_group(const struct sched_group *g)
{
    return container_of(g, struct domain, sched)->id;
}

bool vcpu_is_runnable(const struct sched_unit *u)
{
    const struct vcpu *v = container_of(u, struct vcpu, unit);

    return v->is_online && READ_ONCE(v->pause_count) == 0 && READ_ONCE(v->blocked) == VCPU_AWAKE;
}

void vcpu_pause_nosync(struct vcpu *v)
{
    __atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
    sched_sleep_nosync(&v->unit);
}

void vcpu_pause(struct vcpu *v)
{
    ASSERT(v != current());
    __atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
    sched_sleep_sync(&v->unit);
}

void vcpu_unpause(struct vcpu *v)
{
    if (__atomic_sub_fetch(&v->pause_count, 1, __ATOMIC_SEQ_CST) == 0) {
        vcpu_wake(v);
    }
}

void domain_pause(struct domain *d)
{
    struct vcpu *v;
    uint32_t i;

    for_each_vcpu(d, v, i) {
        vcpu_pause(v);
    }
}

void domain_unpause(struct domain *d)
{
    struct vcpu *v;
    uint32_t i;

    for_each_vcpu(d, v, i) {
        vcpu_unpause(v);
    }
}

int domain_pause_by_toolstack(struct domain *d)
{
    bool is_possible;

    spin_lock(&d->lock);
    is_possible = d->pause_by_toolstack < TOOLSTACK_PAUSES_MAX;
    d->pause_by_toolstack += is_possible;
    spin_unlock(&d->lock);
    if (!is_possible) {
        return -EOVERFLOW;
    }
    domain_pause(d);
    return 0;
}

int domain_unpause_by_toolstack(struct domain *d)
{
    bool was_paused;

    spin_lock(&d->lock);
    was_paused = d->pause_by_toolstack != 0;
    d->pause_by_toolstack -= was_paused;
    spin_unlock(&d->lock);
    if (!was_paused) {
        return -EINVAL;
    }
    domain_unpause(d);
    return 0;
}

/* True for the first to shut it down. */
static bool begin_shutdown(struct domain *d, uint8_t reason)
{
    bool is_first;

    spin_lock(&d->lock);
    is_first = !d->is_shut_down;
    if (is_first) {
        d->is_shut_down = true;
        d->shutdown_code = reason;
    }
    spin_unlock(&d->lock);
    return is_first;
}

/*
 * Domains that are shut down, until all their vCPUs have left their CPUs.  Nothing
 * waits for that: two CPUs that did so in their softirqs could wait for each other.
 *
 * Every CPU looks once in SOFTIRQ_SHUTDOWN, which domain_shutdown() raises after
 * vcpu_pause_nosync() has raised SOFTIRQ_SCHEDULE where a vCPU runs.  A CPU serves
 * the latter first, and no CPU chooses a vCPU that is paused.  So each CPU that
 * looks has left the domain, and the last one finds all vCPUs at rest.
 */
static struct spinlock parking_lock = SPINLOCK_INIT(LOCK_RANK_LEAF);
static struct list_node parking = LIST_INIT(parking); /* [parking_lock] */

static bool is_at_rest(const struct domain *d)
{
    struct vcpu *v;
    uint32_t i;

    for_each_vcpu(d, v, i) {
        if (!sched_is_off_cpu(&v->unit)) {
            return false;
        }
    }
    return true;
}

/* One that is at rest now: it is parked, and the caller's to report. */
static struct domain *take_parked(void)
{
    struct domain *d, *found = NULL;

    spin_lock(&parking_lock);
    list_for_each(d, &parking, parking_link) {
        if (is_at_rest(d)) {
            found = d;
            list_remove(&d->parking_link);
            WRITE_ONCE(d->is_parked, true);
            break;
        }
    }
    spin_unlock(&parking_lock);
    return found;
}

void domain_shutdown_softirq(void)
{
    struct domain *d;

    while ((d = take_parked()) != NULL) {
        domain_host_ops.raise_dom_exc();
        domain_put(d);
    }
}

static void begin_parking(struct domain *d)
{
    unsigned int cpu;

    domain_hold(d);
    spin_lock(&parking_lock);
    list_add_tail(&parking, &d->parking_link);
    spin_unlock(&parking_lock);
    cpumask_for_each(cpu, &cpus_online) {
        softirq_raise_on(cpu, SOFTIRQ_SHUTDOWN);
    }
}

void domain_shutdown(struct domain *d, uint8_t reason)
{
    struct vcpu *v;
    uint32_t i;

    if (d->is_hardware) {
        domain_host_ops.hardware_domain_gone(reason);
    }
    if (!begin_shutdown(d, reason)) {
        /* Whoever was first may not have paused this vCPU yet: it must not reach the guest. */
        softirq_raise(SOFTIRQ_SCHEDULE);
        return;
    }
    for_each_vcpu(d, v, i) {
        vcpu_pause_nosync(v);
    }
    begin_parking(d);
}

int domain_resume(struct domain *d)
{
    bool was_shut_down;

    spin_lock(&d->lock);
    was_shut_down = d->is_shut_down;
    if (was_shut_down && !READ_ONCE(d->is_parked)) {
        spin_unlock(&d->lock);
        return -ERESTART;
    }
    d->is_shut_down = d->is_parked = false;
    d->shutdown_code = SHUTDOWN_CODE_NONE;
    spin_unlock(&d->lock);
    if (was_shut_down) {
        domain_unpause(d);
    }
    return 0;
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
    char why[160];
    va_list args;

    va_start(args, fmt);
    format_vstring(why, sizeof(why), fmt, args);
    va_end(args);
    if (!d->is_shut_down) {
        log_err("d%u crashed: %s", d->id, why);
    }
    domain_shutdown(d, SHUTDOWN_crash);
}
