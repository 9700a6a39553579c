/* SPDX-License-Identifier: MIT */
/*
 * event_channel_op.  One frame for all: copy the operation's structure in, find
 * the domain it names, call the work, copy out what it answers.  Operations on
 * another domain's channels are for the privileged.
 */
#include "hcall/hcall.h"

#include "event/event.h"
#include "sys/log.h"

union event_args {
    domid_t dom; /* the first member of those that name a domain */
    struct evtchn_alloc_unbound alloc_unbound;
    struct evtchn_bind_interdomain bind_interdomain;
    struct evtchn_bind_virq bind_virq;
    struct evtchn_bind_pirq bind_pirq;
    struct evtchn_bind_ipi bind_ipi;
    struct evtchn_bind_vcpu bind_vcpu;
    struct evtchn_close close;
    struct evtchn_status status;
    struct evtchn_unmask unmask;
    struct evtchn_reset reset;
    struct evtchn_init_control init_control;
    struct evtchn_expand_array expand_array;
    struct evtchn_set_priority set_priority;
};

/* Not for guests, as the header has it: they can call it nevertheless. */
#ifndef EVTCHNOP_reset_cont
#define EVTCHNOP_reset_cont 14
#endif

static_assert(offsetof(struct evtchn_alloc_unbound, dom) == 0, "as the frame takes it");
static_assert(offsetof(struct evtchn_status, dom) == 0, "as the frame takes it");
static_assert(offsetof(struct evtchn_reset, dom) == 0, "as the frame takes it");

static long op_alloc_unbound(struct domain *d, union event_args *a)
{
    return evtchn_alloc_unbound(d, a->alloc_unbound.remote_dom, &a->alloc_unbound.port);
}

static long op_bind_interdomain(struct domain *d, union event_args *a)
{
    struct evtchn_bind_interdomain *op = &a->bind_interdomain;

    return evtchn_bind_interdomain(d, op->remote_dom, op->remote_port, &op->local_port);
}

static long op_bind_virq(struct domain *d, union event_args *a)
{
    return evtchn_bind_virq(d, a->bind_virq.virq, a->bind_virq.vcpu, &a->bind_virq.port);
}

static long op_bind_ipi(struct domain *d, union event_args *a)
{
    return evtchn_bind_ipi(d, a->bind_ipi.vcpu, &a->bind_ipi.port);
}

static long op_bind_pirq(struct domain *d, union event_args *a)
{
    return evtchn_bind_pirq(d, a->bind_pirq.pirq, a->bind_pirq.flags, &a->bind_pirq.port);
}

static long op_close(struct domain *d, union event_args *a)
{
    return evtchn_close(d, a->close.port);
}

static long op_status(struct domain *d, union event_args *a)
{
    return evtchn_status(d, &a->status);
}

static long op_bind_vcpu(struct domain *d, union event_args *a)
{
    return evtchn_bind_vcpu(d, a->bind_vcpu.port, a->bind_vcpu.vcpu);
}

static long op_unmask(struct domain *d, union event_args *a)
{
    return evtchn_unmask(d, a->unmask.port);
}

static long op_reset(struct domain *d, union event_args *a)
{
    (void)a;
    return evtchn_reset(d);
}

/* A reset restarts as itself: there is none to be continued by this. */
static long op_reset_cont(struct domain *d, union event_args *a)
{
    (void)a;
    log_guest(d->id, "there is no reset of its event channels to go on with");
    return -EBUSY;
}

/* An answer that cannot be told leaves the control block in use: it is the caller's own. */
static long op_init_control(struct domain *d, union event_args *a)
{
    a->init_control.link_bits = EVTCHN_FIFO_LINK_BITS;
    return evtchn_init_control(d, a->init_control.vcpu, MFN(a->init_control.control_gfn),
                               a->init_control.offset);
}

static long op_expand_array(struct domain *d, union event_args *a)
{
    return evtchn_expand_array(d, MFN(a->expand_array.array_gfn));
}

static long op_set_priority(struct domain *d, union event_args *a)
{
    return evtchn_set_priority(d, a->set_priority.port, a->set_priority.priority);
}

#define NAMES_DOMAIN 1u /* .dom is the domain whose channels are meant; else the caller's */
#define ANSWERS      2u /* the structure is copied out */

#define OP(name, ...)                                                                              \
    [EVTCHNOP_##name] = { .fn = op_##name, .size = sizeof(struct evtchn_##name), __VA_ARGS__ }
/* One that makes a port, and tells it in its member @m. */
#define PORT_OP(name, m, f)                                                                        \
    OP(name, .flags = ANSWERS | (f), .port_at = offsetof(struct evtchn_##name, m))

static const struct event_op {
    long (*fn)(struct domain *d, union event_args *a);
    uint8_t size, flags;
    uint8_t port_at; /* where the new port is told; 0: none is made */
} ops[] = {
    PORT_OP(bind_interdomain, local_port, 0),
    PORT_OP(bind_virq, port, 0),
    PORT_OP(bind_pirq, port, 0),
    OP(close),
    OP(status, .flags = NAMES_DOMAIN | ANSWERS),
    PORT_OP(alloc_unbound, port, NAMES_DOMAIN),
    PORT_OP(bind_ipi, port, 0),
    OP(bind_vcpu),
    OP(unmask),
    OP(reset, .flags = NAMES_DOMAIN),
    OP(init_control, .flags = ANSWERS),
    OP(expand_array),
    OP(set_priority),
    [EVTCHNOP_reset_cont] = { op_reset_cont, sizeof(struct evtchn_reset), NAMES_DOMAIN, 0 },
};

/* Answer; a port whose number cannot be told is taken back. */
static long answer(const struct event_op *op, struct domain *d, struct guest_ptr arg,
                   const union event_args *a)
{
    const evtchn_port_t *port = (const evtchn_port_t *)((const char *)a + op->port_at);

    if (copy_to_guest(arg, a, op->size) == 0) {
        return 0;
    }
    if (op->port_at != 0 && evtchn_close(d, *port) != 0) {
        log_guest(d->id, "event channel %u was closed behind its back", *port);
    }
    return -EFAULT;
}

/* Apart from the way of a send, which then needs no frame on the stack. */
static noinline long call(const struct event_op *op, struct guest_ptr arg)
{
    struct domain *d = current()->domain;
    union event_args a;
    long rc;

    if (copy_from_guest(&a, arg, op->size) != 0) {
        return -EFAULT;
    }
    if (op->flags & NAMES_DOMAIN) {
        d = hcall_target(a.dom, &rc);
        if (d == NULL) {
            return rc;
        }
    }
    rc = op->fn(d, &a);
    if (rc == 0 && op->flags & ANSWERS) {
        rc = answer(op, d, arg, &a);
    }
    if (op->flags & NAMES_DOMAIN) {
        domain_put(d);
    }
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}

static inline long send(struct guest_ptr arg)
{
    evtchn_port_t port; /* all that is in struct evtchn_send */

    static_assert(sizeof(struct evtchn_send) == sizeof(port), "one number");
    if (copy_from_guest(&port, arg, sizeof(port)) != 0) {
        return -EFAULT;
    }
    return evtchn_send(current()->domain, port);
}

long hcall_event_channel_op(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e,
                            uint64_t f)
{
    uint32_t nr = (uint32_t)cmd;

    UNUSED(c, d, e, f);
    if (likely(nr == EVTCHNOP_send)) {
        return send(GUEST_PTR(arg)); /* not by way of an indirect call */
    }
    if (nr >= ARRAY_SIZE(ops) || ops[array_index_nospec(nr, ARRAY_SIZE(ops))].fn == NULL) {
        return -ENOSYS;
    }
    return call(&ops[array_index_nospec(nr, ARRAY_SIZE(ops))], GUEST_PTR(arg));
}
