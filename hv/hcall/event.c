/* SPDX-License-Identifier: MIT */
/*
 * event_channel_op.  Operations on another domain's channels (alloc_unbound,
 * status, reset) are for the privileged.  The FIFO interface (init_control and
 * what follows it) is refused; kernels then use the two-level one.
 */
#include "hcall/hcall.h"

#include "event/event.h"
#include "sys/log.h"

/* Copy @op out after a port was made; a port whose number cannot be told is taken back. */
static long tell_port(struct domain *d, struct guest_ptr arg, const void *op, size_t len,
                      evtchn_port_t port)
{
    if (copy_to_guest(arg, op, len) == 0) {
        return 0;
    }
    if (evtchn_close(d, port) != 0) {
        log_guest(d->id, "event channel %u was closed behind its back", port);
    }
    return -EFAULT;
}

static long op_alloc_unbound(struct guest_ptr arg)
{
    struct evtchn_alloc_unbound op;
    struct domain *d;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    d = hcall_target(op.dom, &rc);
    if (d == NULL) {
        return rc;
    }
    rc = evtchn_alloc_unbound(d, op.remote_dom, &op.port);
    if (rc == 0) {
        rc = tell_port(d, arg, &op, sizeof(op), op.port);
    }
    domain_put(d);
    return rc;
}

static long op_bind_interdomain(struct guest_ptr arg)
{
    struct evtchn_bind_interdomain op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    rc = evtchn_bind_interdomain(current()->domain, op.remote_dom, op.remote_port, &op.local_port);
    return rc != 0 ? rc : tell_port(current()->domain, arg, &op, sizeof(op), op.local_port);
}

static long op_bind_virq(struct guest_ptr arg)
{
    struct evtchn_bind_virq op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    rc = evtchn_bind_virq(current()->domain, op.virq, op.vcpu, &op.port);
    return rc != 0 ? rc : tell_port(current()->domain, arg, &op, sizeof(op), op.port);
}

static long op_bind_ipi(struct guest_ptr arg)
{
    struct evtchn_bind_ipi op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    rc = evtchn_bind_ipi(current()->domain, op.vcpu, &op.port);
    return rc != 0 ? rc : tell_port(current()->domain, arg, &op, sizeof(op), op.port);
}

static long op_bind_pirq(struct guest_ptr arg)
{
    struct evtchn_bind_pirq op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    rc = evtchn_bind_pirq(current()->domain, op.pirq, op.flags, &op.port);
    return rc != 0 ? rc : tell_port(current()->domain, arg, &op, sizeof(op), op.port);
}

static long op_close(struct guest_ptr arg)
{
    struct evtchn_close op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return evtchn_close(current()->domain, op.port);
}

static inline long op_send(struct guest_ptr arg)
{
    evtchn_port_t port; /* all that is in struct evtchn_send */

    static_assert(sizeof(struct evtchn_send) == sizeof(port), "one number");
    if (copy_from_guest(&port, arg, sizeof(port)) != 0) {
        return -EFAULT;
    }
    return evtchn_send(current()->domain, port);
}

static long op_status(struct guest_ptr arg)
{
    struct evtchn_status op;
    struct domain *d;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    d = hcall_target(op.dom, &rc);
    if (d == NULL) {
        return rc;
    }
    rc = evtchn_status(d, &op);
    domain_put(d);
    return rc != 0 ? rc : copy_to_guest(arg, &op, sizeof(op));
}

static long op_bind_vcpu(struct guest_ptr arg)
{
    struct evtchn_bind_vcpu op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return evtchn_bind_vcpu(current()->domain, op.port, op.vcpu);
}

static long op_unmask(struct guest_ptr arg)
{
    struct evtchn_unmask op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return evtchn_unmask(current()->domain, op.port);
}

static long op_reset(struct guest_ptr arg)
{
    struct evtchn_reset op;
    struct domain *d;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    d = hcall_target(op.dom, &rc);
    if (d != NULL) {
        rc = evtchn_reset(d);
        domain_put(d);
    }
    return rc;
}

static const struct hcall_op ops[] = {
    [EVTCHNOP_bind_interdomain] = { .fn = op_bind_interdomain },
    [EVTCHNOP_bind_virq] = { .fn = op_bind_virq },
    [EVTCHNOP_bind_pirq] = { .fn = op_bind_pirq },
    [EVTCHNOP_close] = { .fn = op_close },
    [EVTCHNOP_send] = { .fn = op_send },
    [EVTCHNOP_status] = { .fn = op_status },
    [EVTCHNOP_alloc_unbound] = { .fn = op_alloc_unbound },
    [EVTCHNOP_bind_ipi] = { .fn = op_bind_ipi },
    [EVTCHNOP_bind_vcpu] = { .fn = op_bind_vcpu },
    [EVTCHNOP_unmask] = { .fn = op_unmask },
    [EVTCHNOP_reset] = { .fn = op_reset },
};

long hcall_event_channel_op(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e,
                            uint64_t f)
{
    UNUSED(c, d, e, f);
    if (likely((uint32_t)cmd == EVTCHNOP_send)) {
        return op_send(GUEST_PTR(arg)); /* not by way of an indirect call */
    }
    return hcall_dispatch(ops, ARRAY_SIZE(ops), (uint32_t)cmd, GUEST_PTR(arg));
}
