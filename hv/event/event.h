/* SPDX-License-Identifier: MIT */
/*
 * Event channels: the guests' interrupts, in both ABIs of
 * <xen/event_channel.h>.  Two levels: a bit pending and a bit masked for each
 * port in shared_info, a selector word in vcpu_info.  FIFO: a word for each port
 * and queues in pages that the guest gives.  An upcall flag in vcpu_info.
 *
 * What changes channels takes LOCK_RANK_EVTCHN of the domains it touches (two
 * domains: lower address first).  Sending, raising and unmasking take no lock.
 */
#pragma once

#include "domain/domain.h"
#include "irq/irq.h"
#include <xen/event_channel.h>

extern const struct domain_part evtchn_part;

/* Bind operations: 0 and the port in *@port, or a negative error of <xen/errno.h> as the ABI
 * documents. */
int must_check evtchn_alloc_unbound(struct domain *d, domid_t remote, evtchn_port_t *port);
int must_check evtchn_bind_interdomain(struct domain *d, domid_t remote, evtchn_port_t remote_port,
                                       evtchn_port_t *port);
int must_check evtchn_bind_virq(struct domain *d, uint32_t virq, uint32_t vcpu,
                                evtchn_port_t *port);
int must_check evtchn_bind_ipi(struct domain *d, uint32_t vcpu, evtchn_port_t *port);
int must_check evtchn_bind_pirq(struct domain *d, uint32_t pirq, uint32_t flags,
                                evtchn_port_t *port);
int must_check evtchn_bind_vcpu(struct domain *d, evtchn_port_t port, uint32_t vcpu);
int must_check evtchn_close(struct domain *d, evtchn_port_t port);
long must_check evtchn_send(struct domain *d, evtchn_port_t port);
int must_check evtchn_unmask(struct domain *d, evtchn_port_t port);
int must_check evtchn_status(struct domain *d, struct evtchn_status *status);
/* Close all ports, and go back to two levels.  -ERESTART: call again; -EINVAL: another domain's,
 * and that is not paused; -EAGAIN, -EBUSY: it goes on using, or resetting them meanwhile. */
int must_check evtchn_reset(struct domain *d);

/*
 * The FIFO ABI.  The first control block switches the domain over; both take a
 * frame that it can write to.
 */
/* Let vCPU @vcpu have its control block at @offset in @mfn.  -ENOENT: there is no such vCPU;
 * -EINVAL: frame or offset, or it has one; -ENOMEM; -EBUSY: a reset goes on. */
int must_check evtchn_init_control(struct domain *d, uint32_t vcpu, mfn_t mfn, uint32_t offset);
/* Add @mfn to the array of words.  -EINVAL, -EOPNOTSUPP: two levels are in use; -ENOSPC. */
int must_check evtchn_expand_array(struct domain *d, mfn_t mfn);
/* -EINVAL: no such port or priority; -ENOSYS: two levels are in use. */
int must_check evtchn_set_priority(struct domain *d, evtchn_port_t port, uint32_t priority);

/* Raise a per-vCPU VIRQ (timer, debug) on @v; nothing happens when unbound. */
void evtchn_raise_virq(struct vcpu *v, uint32_t virq);
/* Raise a global VIRQ of the domain that handles it: dom0, unless told otherwise. */
void evtchn_raise_global_virq(uint32_t virq);
/* Let @d handle the global VIRQ @virq until it dies.  -EINVAL: there is no such one. */
int must_check evtchn_set_virq_handler(uint32_t virq, struct domain *d);

/* For the debug key: @d's channels, and how many it uses, into the log. */
void evtchn_show(struct domain *d);

/* Pending and not masked for delivery, the vCPU must run: kick or wake it. */
void evtchn_kick(struct vcpu *v);

/* Does @v have an event to be delivered when it runs? */
static inline bool evtchn_upcall_due(const struct vcpu *v)
{
    return READ_ONCE(v->info->evtchn_upcall_pending) && !READ_ONCE(v->info->evtchn_upcall_mask);
}

/* SCHEDOP_poll: sleep until one of @ports (@nr, checked) is pending or @timeout_ns (0: none)
 * passes. */
int must_check evtchn_poll(struct vcpu *v, const evtchn_port_t *ports, uint32_t nr,
                           uint64_t timeout_ns);

/* @v is about to run again: a poll of its is over. */
void evtchn_poll_over(struct vcpu *v);

/* SCHEDOP_block: open the mask and sleep unless an event waits. */
void evtchn_block(struct vcpu *v);

/* Is @v asleep by block or poll? */
bool evtchn_is_blocked(const struct vcpu *v);

/* VCPUOP timers: one-shot at @ns of system time, periodic every @period_ns; VIRQ_TIMER when due. */
int must_check vtimer_set_singleshot(struct vcpu *v, uint64_t ns, bool must_be_future); /* -ETIME */
void vtimer_stop_singleshot(struct vcpu *v);
/* When the one-shot timer fires, system time; 0: not set. */
uint64_t vtimer_deadline_ns(const struct vcpu *v);
/* @period_ns 0: stop.  -EINVAL: shorter than a millisecond. */
int must_check vtimer_set_periodic(struct vcpu *v, uint64_t period_ns);

/*
 * Interrupts as the guest numbers them (event/pirq.c).  Numbers up to the last
 * GSI are GSIs; those above are given to MSIs.  Each takes LOCK_RANK_IRQ_DOM.
 */
/*
 * Map GSI @gsi as the pirq of the same number.  0 also when it is mapped
 * already, and for the hardware domain when it is ours (nothing is mapped then);
 * -EPERM no right; as irq.h.
 */
int must_check pirq_map_gsi(struct domain *d, unsigned int gsi, int *pirq);
/* Map MSI entries; *@pirq < 0: choose, else this number.  -ENOSPC; -EEXIST; as irq.h. */
int must_check pirq_map_msi(struct domain *d, const struct msi_request *rq, int *pirq);
int must_check pirq_unmap(struct domain *d, int pirq); /* -EINVAL not mapped; -EBUSY bound */
int must_check pirq_eoi(struct domain *d, unsigned int pirq);
/* XENIRQSTAT_ flags of @pirq. */
int must_check pirq_status(struct domain *d, unsigned int pirq, uint32_t *flags);
/* For irq_guest_ops. */
void pirq_deliver(uint16_t domid, unsigned int pirq);
