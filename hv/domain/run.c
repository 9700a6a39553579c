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

void domain_shutdown(struct domain *d, uint8_t reason)
{
    struct vcpu *v;
    uint32_t i;

    if (d->is_hardware) {
        domain_host_ops.hardware_domain_gone(reason);
    }
    if (!begin_shutdown(d, reason)) {
        return;
    }
    for_each_vcpu(d, v, i) {
        vcpu_pause_nosync(v);
    }
    /* Whoever reads that it is shut down finds its memory at rest.  The caller's own vCPU is here.
     */
    for_each_vcpu(d, v, i) {
        if (v != current()) {
            sched_sleep_sync(&v->unit);
        }
    }
    WRITE_ONCE(d->is_parked, true);
    domain_host_ops.raise_dom_exc();
}

void domain_resume(struct domain *d)
{
    bool was_shut_down;

    domain_pause(d); /* until all have come to rest */
    spin_lock(&d->lock);
    was_shut_down = d->is_shut_down;
    d->is_shut_down = d->is_parked = false;
    d->shutdown_code = SHUTDOWN_CODE_NONE;
    spin_unlock(&d->lock);
    if (was_shut_down) {
        domain_unpause(d);
    }
    domain_unpause(d);
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
