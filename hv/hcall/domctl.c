/* SPDX-License-Identifier: MIT */
/*
 * domctl: the toolstack's operations on a domain.  Here they are decoded: the
 * caller's right, the domain that is meant, and one operation at a time on it.
 */
#include "hcall/domctl.h"

#include "event/event.h"
#include "hcall/hcall.h"
#include "sys/log.h"
#include "sys/softirq.h"

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
    [XEN_DOMCTL_getvcpucontext] = { domctl_getvcpucontext, NOT_SELF },
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
    [XEN_DOMCTL_memory_mapping] = { domctl_memory_mapping, 0 },
    [XEN_DOMCTL_set_ext_vcpucontext] = { domctl_set_ext_vcpucontext, NOT_SELF | LIVING },
    [XEN_DOMCTL_get_ext_vcpucontext] = { domctl_get_ext_vcpucontext, 0 },
    [XEN_DOMCTL_setvcpuextstate] = { domctl_setvcpuextstate, NOT_SELF | LIVING },
    [XEN_DOMCTL_getvcpuextstate] = { domctl_getvcpuextstate, NOT_SELF },
    [XEN_DOMCTL_get_vcpu_msrs] = { domctl_get_vcpu_msrs, NOT_SELF },
    [XEN_DOMCTL_set_vcpu_msrs] = { domctl_set_vcpu_msrs, NOT_SELF | LIVING },
    [XEN_DOMCTL_gettscinfo] = { domctl_gettscinfo, NOT_SELF },
    [XEN_DOMCTL_settscinfo] = { domctl_settscinfo, NOT_SELF },
    [XEN_DOMCTL_set_virq_handler] = { op_set_virq_handler, LIVING },
    [XEN_DOMCTL_setnodeaffinity] = { domctl_setnodeaffinity, 0 },
    [XEN_DOMCTL_getnodeaffinity] = { domctl_getnodeaffinity, 0 },
    [XEN_DOMCTL_get_cpu_policy] = { domctl_get_cpu_policy, 0 },
    [XEN_DOMCTL_set_cpu_policy] = { domctl_set_cpu_policy, NOT_SELF | LIVING },
};

/* What only other kinds of domain have, or hardware that is not there: the answers of 4.17. */
static const struct {
    uint32_t cmd;
    int rc;
} absent[] = {
    { XEN_DOMCTL_gethvmcontext, -EINVAL },
    { XEN_DOMCTL_sethvmcontext, -EINVAL },
    { XEN_DOMCTL_ioport_mapping, -EOPNOTSUPP },
    { XEN_DOMCTL_get_device_group, -EOPNOTSUPP },
    { XEN_DOMCTL_debug_op, -EINVAL },
    { XEN_DOMCTL_gethvmcontext_partial, -EINVAL },
    { XEN_DOMCTL_set_broken_page_p2m, -EINVAL },
    { XEN_DOMCTL_setvnumainfo, -EINVAL },
    { XEN_DOMCTL_psr_cmt_op, -ENODEV },
    { XEN_DOMCTL_psr_alloc, -ENODEV },
    { XEN_DOMCTL_soft_reset, -EINVAL },
    { XEN_DOMCTL_vmtrace_op, -EINVAL },
    { XEN_DOMCTL_get_paging_mempool_size, -EOPNOTSUPP },
    { XEN_DOMCTL_set_paging_mempool_size, -EOPNOTSUPP },
};

/*
 * getdomaininfo answers for the first domain that has this number or a higher
 * one; nobody is meant by DOMID_SELF.
 */
static struct domain *target(const struct xen_domctl *op, long *rc)
{
    *rc = -ESRCH;
    if (op->cmd == XEN_DOMCTL_getdomaininfo) {
        *rc = op->domain >= DOMID_FIRST_RESERVED ? -EINVAL : -ESRCH;
        return domain_get_next(op->domain);
    }
    return op->domain == DOMID_SELF ? NULL : domain_get(op->domain);
}

static int answer_absent(const struct domain *d, uint32_t cmd)
{
    int rc = -ENOSYS;

    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(absent); i++) {
        rc = absent[i].cmd == cmd ? absent[i].rc : rc;
    }
    log_warn("d%u: domctl %u is not offered", d->id, cmd);
    return rc;
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

/* The same when nobody else works on @d; -ERESTART: somebody does, and does not wait for us. */
static long work_alone(struct domain *d, struct xen_domctl *op, uint32_t cmd)
{
    long rc = -ERESTART;

    if (!__atomic_exchange_n(&d->is_worked_on, true, __ATOMIC_ACQUIRE)) {
        rc = work(d, op, cmd);
        __atomic_store_n(&d->is_worked_on, false, __ATOMIC_RELEASE);
    }
    return rc;
}

/* 0, an error, or -ERESTART; *@op goes back to the caller if it was worked on. */
static long call_one(struct domain *d, struct xen_domctl *op, bool *is_done)
{
    uint32_t cmd = (uint32_t)array_index_nospec(op->cmd, ARRAY_SIZE(ops));

    if (op->cmd >= ARRAY_SIZE(ops) || ops[cmd].fn == NULL) {
        return answer_absent(d, op->cmd);
    }
    if (!may_call(ops[cmd].flags)) {
        return -EPERM;
    }
    *is_done = true;
    return ops[cmd].flags & UNORDERED ? work(d, op, cmd) : work_alone(d, op, cmd);
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
            rc = work_alone(d, op, XEN_DOMCTL_destroydomain);
        } while (rc == -ERESTART && (preempt_pending(), true)); /* it has nothing that takes long */
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
    dom = target(&op, &rc);
    if (dom == NULL) {
        return rc;
    }
    rc = call_one(dom, &op, &is_done);
    domain_put(dom);
    /* Who restarts has changed nothing there, and must come to its end wherever it cannot write. */
    if (is_done && rc != -ERESTART && copy_to_guest(GUEST_PTR(arg), &op, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}
