/* SPDX-License-Identifier: MIT */
/*
 * Virtual interrupts: events of the hypervisor's own making.  Some belong to
 * each vCPU (its timer); the others to the machine, and those go to one domain
 * each: dom0, until the toolstack names another.
 */
#include "event/internal.h"

#include "sys/log.h"

/* Who handles the VIRQs of the machine.  Numbers, so that they keep nobody alive. */
static domid_t handlers[NR_VIRQS];

void evtchn_raise_virq(struct vcpu *v, uint32_t virq)
{
    evtchn_port_t port = READ_ONCE(v->events->virq_ports[virq]);

    if (port != 0) {
        evtchn_raise(evtchn_entry(v->domain->evtchn, port));
    }
}

void evtchn_raise_global_virq(uint32_t virq)
{
    struct domain *d = domain_get(READ_ONCE(handlers[virq]));

    if (d != NULL) {
        if (d->vcpus[0] != NULL) {
            evtchn_raise_virq(d->vcpus[0], virq);
        }
        domain_put(d);
    }
}

int evtchn_set_virq_handler(uint32_t virq, struct domain *d)
{
    if (virq >= NR_VIRQS || virq_is_per_vcpu(virq)) {
        log_warn("d%u cannot handle VIRQ %u: it is none of the machine's", d->id, virq);
        return -EINVAL;
    }
    spin_lock(&d->evtchn->lock);
    if (READ_ONCE(d->life) == DOMAIN_ALIVE) {
        WRITE_ONCE(handlers[virq], d->id);
    }
    spin_unlock(&d->evtchn->lock);
    return 0;
}

void virq_forget_handler(const struct domain *d)
{
    for (uint32_t virq = 0; virq < NR_VIRQS; virq++) {
        domid_t id = d->id;

        if (id != 0 && __atomic_compare_exchange_n(&handlers[virq], &id, 0, false, __ATOMIC_SEQ_CST,
                                                   __ATOMIC_RELAXED)) {
            log_info("VIRQ %u of the dying d%u goes to dom0 again", virq, d->id);
        }
    }
}
