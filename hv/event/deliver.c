/* SPDX-License-Identifier: MIT */
/*
 * Events on their way into a vCPU, and vCPUs that sleep until one comes.
 *
 * Delivery of the two-level ABI, top down (evtchn_raise(), inline): a bit for
 * each port in shared_info.evtchn_pending; if it was clear and the port is not
 * masked, the bit for its word in the notified vCPU's evtchn_pending_sel; if
 * that was clear, its evtchn_upcall_pending; and then the vCPU is woken, or
 * poked if it runs elsewhere.  Each step is an atomic set, and the guest clears
 * them in the opposite order, so no edge is lost without any lock between
 * hypervisor and guest.
 */
#include "event/internal.h"

#include "x86/smp.h"

void evtchn_kick(struct vcpu *v)
{
    if (READ_ONCE(v->blocked) != VCPU_AWAKE) {
        __atomic_store_n(&v->blocked, VCPU_AWAKE, __ATOMIC_SEQ_CST);
        vcpu_wake(v);
    } else if (v != current() && READ_ONCE(v->unit.state) == UNIT_RUNNING) {
        cpu_poke(READ_ONCE(v->unit.cpu));
    }
}

void evtchn_wake_pollers(const struct domain *d, evtchn_port_t port)
{
    struct vcpu *v;
    uint32_t i;

    for_each_vcpu(d, v, i) {
        evtchn_port_t polled = READ_ONCE(v->events->poll_port);

        if (READ_ONCE(v->blocked) == VCPU_POLLING && (polled == 0 || polled == port)) {
            evtchn_kick(v);
        }
    }
}

void evtchn_wake(struct vcpu *v, evtchn_port_t port)
{
    evtchn_kick(v);
    if (READ_ONCE(v->domain->evtchn->nr_polling) != 0) {
        evtchn_wake_pollers(v->domain, port);
    }
}

void evtchn_block(struct vcpu *v)
{
    WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
    __atomic_store_n(&v->blocked, VCPU_BLOCKED, __ATOMIC_SEQ_CST); /* pairs with evtchn_notify() */
    if (evtchn_upcall_due(v)) {
        WRITE_ONCE(v->blocked, VCPU_AWAKE);
    } else {
        sched_block();
    }
}

bool evtchn_is_blocked(const struct vcpu *v)
{
    return READ_ONCE(v->blocked) != VCPU_AWAKE;
}

static bool any_pending(const struct domain *d, const evtchn_port_t *ports, uint32_t nr)
{
    bool is_any = false;

    spin_lock(&d->evtchn->lock);
    for (uint32_t i = 0; i < nr && !is_any; i++) {
        is_any = evtchn_is_pending(d, ports[i]);
    }
    spin_unlock(&d->evtchn->lock);
    return is_any;
}

int evtchn_poll(struct vcpu *v, const evtchn_port_t *ports, uint32_t nr, uint64_t timeout_ns)
{
    struct domain *d = v->domain;

    for (uint32_t i = 0; i < nr; i++) {
        if (ports[i] >= d->evtchn->nr_ports) {
            return -EINVAL;
        }
    }
    evtchn_poll_over(v); /* the last one, if it was woken before it left its CPU */
    __atomic_fetch_add(&d->evtchn->nr_polling, 1, __ATOMIC_SEQ_CST);
    WRITE_ONCE(v->events->poll_port, nr == 1 ? ports[0] : 0);
    __atomic_store_n(&v->blocked, VCPU_POLLING, __ATOMIC_SEQ_CST); /* pairs with evtchn_raise() */
    if (any_pending(d, ports, nr) || evtchn_upcall_due(v)) {
        WRITE_ONCE(v->blocked, VCPU_AWAKE);
        __atomic_fetch_sub(&d->evtchn->nr_polling, 1, __ATOMIC_SEQ_CST);
        return 0;
    }
    v->events->is_polling = true;
    if (timeout_ns != 0) {
        timer_set(&v->events->poll, timeout_ns);
    }
    sched_block();
    return 0;
}

void evtchn_poll_over(struct vcpu *v)
{
    if (v->events->is_polling) {
        v->events->is_polling = false;
        timer_stop(&v->events->poll);
        __atomic_fetch_sub(&v->domain->evtchn->nr_polling, 1, __ATOMIC_SEQ_CST);
    }
}
