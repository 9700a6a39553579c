/* SPDX-License-Identifier: MIT */
/*
 * domctl: the toolstack's operations on a domain.  Here they are decoded: the
 * caller's right, the domain that is meant, and one operation at a time on it.
 */
#include "hcall/domctl.h"

#include "event/event.h"
#include "hcall/hcall.h"
#include "sys/log.h"

/* Of an operation. */
#define NOT_SELF  1u /* -EINVAL on the caller's own domain */
#define LIVING    2u /* -EINVAL on one that is dying: it gives it something */
#define UNORDERED 4u /* only looks: others may work on the domain meanwhile */
#define XENSTORE  8u /* also for the domain that keeps the xenstore */

static long op_set_virq_handler(struct domain *d, struct xen_domctl *op)
{
    return evtchn_set_virq_handler(op->u.set_virq_handler.virq, d);
}

static const struct {
    domctl_fn *fn;
    uint32_t flags;
} ops[] = {
    [XEN_DOMCTL_destroydomain] = { domctl_destroy, NOT_SELF },
    [XEN_DOMCTL_pausedomain] = { domctl_pause, NOT_SELF },
    [XEN_DOMCTL_unpausedomain] = { domctl_unpause, 0 },
    [XEN_DOMCTL_getdomaininfo] = { domctl_getdomaininfo, UNORDERED | XENSTORE },
    [XEN_DOMCTL_setvcpuaffinity] = { domctl_setaffinity, 0 },
    [XEN_DOMCTL_shadow_op] = { domctl_shadow_op, NOT_SELF },
    [XEN_DOMCTL_max_mem] = { domctl_max_mem, 0 },
    [XEN_DOMCTL_getpageframeinfo3] = { domctl_getpageframeinfo3, UNORDERED },
    [XEN_DOMCTL_setvcpucontext] = { domctl_setvcpucontext, NOT_SELF | LIVING },
    [XEN_DOMCTL_getvcpuinfo] = { domctl_getvcpuinfo, UNORDERED },
    [XEN_DOMCTL_max_vcpus] = { domctl_max_vcpus, NOT_SELF | LIVING },
    [XEN_DOMCTL_scheduler_op] = { domctl_scheduler, 0 },
    [XEN_DOMCTL_setdomainhandle] = { domctl_sethandle, 0 },
    [XEN_DOMCTL_setdebugging] = { domctl_setdebugging, NOT_SELF },
    [XEN_DOMCTL_irq_permission] = { domctl_irq_permission, LIVING },
    [XEN_DOMCTL_iomem_permission] = { domctl_iomem_permission, LIVING },
    [XEN_DOMCTL_ioport_permission] = { domctl_ioport_permission, LIVING },
    [XEN_DOMCTL_hypercall_init] = { domctl_hypercall_init, LIVING },
    [XEN_DOMCTL_settimeoffset] = { domctl_settimeoffset, 0 },
    [XEN_DOMCTL_getvcpuaffinity] = { domctl_getaffinity, 0 },
    [XEN_DOMCTL_resumedomain] = { domctl_resume, NOT_SELF },
    [XEN_DOMCTL_sendtrigger] = { domctl_sendtrigger, 0 },
    [XEN_DOMCTL_set_address_size] = { domctl_set_address_size, 0 },
    [XEN_DOMCTL_get_address_size] = { domctl_get_address_size, UNORDERED },
    [XEN_DOMCTL_gettscinfo] = { domctl_gettscinfo, NOT_SELF },
    [XEN_DOMCTL_settscinfo] = { domctl_settscinfo, NOT_SELF },
    [XEN_DOMCTL_set_virq_handler] = { op_set_virq_handler, LIVING },
    [XEN_DOMCTL_setnodeaffinity] = { domctl_setnodeaffinity, 0 },
    [XEN_DOMCTL_getnodeaffinity] = { domctl_getnodeaffinity, 0 },
    [XEN_DOMCTL_get_cpu_policy] = { domctl_get_cpu_policy, 0 },
    [XEN_DOMCTL_set_cpu_policy] = { domctl_set_cpu_policy, NOT_SELF | LIVING },
};

/* getdomaininfo answers for the first domain that has this number or a higher one. */
static struct domain *target(const struct xen_domctl *op)
{
    return op->cmd == XEN_DOMCTL_getdomaininfo ? domain_get_next(op->domain)
                                               : domain_get(op->domain);
}

static bool may_call(uint32_t flags)
{
    const struct domain *caller = current()->domain;

    return caller->is_privileged || ((flags & XENSTORE) && caller->is_xenstore);
}

static long refuse(const struct domain *d, const struct xen_domctl *op, const char *why)
{
    log_warn("d%u: domctl %u on it is refused: %s", d->id, op->cmd, why);
    return -EINVAL;
}

static long work(struct domain *d, struct xen_domctl *op, uint32_t cmd)
{
    uint32_t flags = ops[cmd].flags;

    if ((flags & NOT_SELF) && d == current()->domain) {
        return refuse(d, op, "it is the caller's own");
    }
    if ((flags & LIVING) && READ_ONCE(d->life) != DOMAIN_ALIVE) {
        return refuse(d, op, "it is dying");
    }
    return ops[cmd].fn(d, op);
}

/* 0, an error, or -ERESTART; *@op goes back to the caller if it was worked on. */
static long call_one(struct domain *d, struct xen_domctl *op, bool *is_done)
{
    uint32_t cmd = (uint32_t)array_index_nospec(op->cmd, ARRAY_SIZE(ops));
    long rc;

    if (op->cmd >= ARRAY_SIZE(ops) || ops[cmd].fn == NULL) {
        if (!current()->domain->is_privileged) {
            return -EPERM;
        }
        log_warn("d%u: domctl %u is not offered", d->id, op->cmd);
        return -ENOSYS;
    }
    if (!may_call(ops[cmd].flags)) {
        return -EPERM;
    }
    if (ops[cmd].flags & UNORDERED) {
        rc = work(d, op, cmd);
    } else {
        if (__atomic_exchange_n(&d->is_worked_on, true, __ATOMIC_ACQUIRE)) {
            return -ERESTART; /* who works on it does not wait for us */
        }
        rc = work(d, op, cmd);
        __atomic_store_n(&d->is_worked_on, false, __ATOMIC_RELEASE);
    }
    *is_done = true;
    return rc;
}

/* A domain whose number its creator cannot be told must not stay. */
static long create(struct guest_ptr arg, struct xen_domctl *op)
{
    long rc = current()->domain->is_privileged ? domctl_create(op) : -EPERM;
    struct domain *d;

    if (rc != 0 || copy_to_guest(arg, op, sizeof(*op)) == 0) {
        return rc;
    }
    d = domain_get(op->domain);
    if (d != NULL) {
        do {
            rc = domain_kill(d); /* there is nothing yet that would take long */
        } while (rc == -ERESTART);
        domain_put(d);
    }
    return -EFAULT;
}

long hcall_domctl(uint64_t arg, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct xen_domctl op;
    struct domain *dom;
    bool is_done = false;
    long rc;

    UNUSED(b, c, d, e, f);
    if (copy_from_guest(&op, GUEST_PTR(arg), sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION) {
        return -EACCES;
    }
    if (op.cmd == XEN_DOMCTL_createdomain) {
        return create(GUEST_PTR(arg), &op);
    }
    dom = target(&op);
    if (dom == NULL) {
        return -ESRCH;
    }
    rc = call_one(dom, &op, &is_done);
    domain_put(dom);
    if (is_done && copy_to_guest(GUEST_PTR(arg), &op, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}
