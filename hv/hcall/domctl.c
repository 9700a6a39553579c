/* SPDX-License-Identifier: MIT */
/*
 * domctl: the toolstack's operations on a domain.  What is here is what stock
 * tools ask about the domains that there are; those that make new ones answer
 * -ENOSYS.
 */
#include "hcall/domctl.h"

#include "event/event.h"
#include "hcall/hcall.h"
#include "hcall/info.h"
#include "sys/log.h"
#include "time/time.h"

static long op_getdomaininfo(struct domain *d, struct xen_domctl *op)
{
    info_domain(d, &op->u.getdomaininfo);
    op->domain = d->id;
    return 0;
}

static long op_pause(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    if (d == current()->domain) {
        return -EINVAL;
    }
    domain_pause_by_toolstack(d);
    return 0;
}

static long op_unpause(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    return domain_unpause_by_toolstack(d);
}

static long op_get_address_size(struct domain *d, struct xen_domctl *op)
{
    (void)d;
    op->u.address_size.size = 64;
    return 0;
}

static long op_gettscinfo(struct domain *d, struct xen_domctl *op)
{
    (void)d;
    op->u.tsc_info.tsc_mode = 0;
    op->u.tsc_info.gtsc_khz = time_tsc_khz();
    op->u.tsc_info.incarnation = 0;
    op->u.tsc_info.elapsed_nsec = time_now();
    return 0;
}

static long op_set_virq_handler(struct domain *d, struct xen_domctl *op)
{
    return evtchn_set_virq_handler(op->u.set_virq_handler.virq, d);
}

static const struct {
    domctl_fn *fn;
} ops[] = {
    [XEN_DOMCTL_pausedomain] = { .fn = op_pause },
    [XEN_DOMCTL_unpausedomain] = { .fn = op_unpause },
    [XEN_DOMCTL_getdomaininfo] = { .fn = op_getdomaininfo },
    [XEN_DOMCTL_setvcpuaffinity] = { .fn = domctl_setaffinity },
    [XEN_DOMCTL_getvcpuaffinity] = { .fn = domctl_getaffinity },
    [XEN_DOMCTL_max_mem] = { .fn = domctl_max_mem },
    [XEN_DOMCTL_getvcpuinfo] = { .fn = domctl_getvcpuinfo },
    [XEN_DOMCTL_scheduler_op] = { .fn = domctl_scheduler },
    [XEN_DOMCTL_get_address_size] = { .fn = op_get_address_size },
    [XEN_DOMCTL_set_virq_handler] = { .fn = op_set_virq_handler },
    [XEN_DOMCTL_gettscinfo] = { .fn = op_gettscinfo },
    [XEN_DOMCTL_get_cpu_policy] = { .fn = domctl_get_cpu_policy },
    [XEN_DOMCTL_sendtrigger] = { .fn = domctl_sendtrigger },
};

/* getdomaininfo answers for the first domain that has this number or a higher one. */
static struct domain *target(const struct xen_domctl *op)
{
    return op->cmd == XEN_DOMCTL_getdomaininfo ? domain_get_next(op->domain)
                                               : domain_get(op->domain);
}

static long call_one(struct domain *d, struct xen_domctl *op)
{
    if (op->cmd >= ARRAY_SIZE(ops) || ops[op->cmd].fn == NULL) {
        log_warn("domctl %u is not offered", op->cmd);
        return -ENOSYS;
    }
    return ops[op->cmd].fn(d, op);
}

long hcall_domctl(uint64_t arg, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct xen_domctl op;
    struct domain *dom;
    long rc;

    UNUSED(b, c, d, e, f);
    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    if (copy_from_guest(&op, GUEST_PTR(arg), sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION) {
        return -EACCES;
    }
    if (op.cmd == XEN_DOMCTL_createdomain) {
        log_warn("a domain cannot be created: dom0 is the only one");
        return -ENOSYS;
    }
    dom = target(&op);
    if (dom == NULL) {
        return -ESRCH;
    }
    rc = call_one(dom, &op);
    domain_put(dom);
    if ((rc == 0 || rc == -ERESTART) && copy_to_guest(GUEST_PTR(arg), &op, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}
