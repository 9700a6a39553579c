/* SPDX-License-Identifier: MIT */
/* domctl: what the processors of a domain are and do. */
#include "hcall/domctl.h"

#include "hcall/cpu_policy.h"
#include "mm/heap.h"
#include "pv/pv.h"
#include "sys/log.h"

long domctl_getvcpuinfo(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_getvcpuinfo *info = &op->u.getvcpuinfo;
    struct vcpu *v = domain_vcpu(d, info->vcpu);

    if (info->vcpu >= d->max_vcpus) {
        return -EINVAL;
    }
    if (v == NULL) {
        return -ESRCH;
    }
    info->online = v->is_online;
    info->running = v->unit.state == UNIT_RUNNING;
    info->blocked = !info->running && READ_ONCE(v->blocked) != VCPU_AWAKE;
    info->cpu_time = sched_time_used(&v->unit);
    info->cpu = v->unit.cpu;
    return 0;
}

long domctl_get_cpu_policy(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;
    const struct vcpu *v = domain_vcpu(d, 0);

    if (v == NULL) {
        v = current(); /* what a new domain sees */
    }
    return cpu_policy_tell(v, guest_ptr_of(p->leaves), &p->nr_leaves, guest_ptr_of(p->msrs),
                           &p->nr_msrs);
}

long domctl_set_cpu_policy(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;
    const struct vcpu *v = domain_vcpu(d, 0);

    p->err_leaf = p->err_subleaf = p->err_msr = ~0u;
    if (d->has_run) {
        log_warn("d%u: its CPU policy cannot change once it has run", d->id);
        return -EEXIST;
    }
    return v == NULL ? -ENOENT : cpu_policy_set(v, p);
}

/* The new context holds page tables and descriptors, so nothing of the domain may run meanwhile. */
static long set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    long rc;

    domain_pause(v->domain);
    rc = pv_context_set(v, c);
    domain_unpause(v->domain);
    return rc;
}

/* Without a context, it is as if it had never been given one. */
static long reset(struct vcpu *v)
{
    vcpu_pause(v);
    v->is_online = v->is_initialised = false;
    __atomic_store_n(&v->is_claimed, false, __ATOMIC_SEQ_CST);
    vcpu_unpause(v);
    return 0;
}

long domctl_setvcpucontext(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpucontext *a = &op->u.vcpucontext;
    struct vcpu *v = domain_vcpu(d, a->vcpu);
    struct vcpu_guest_context *c;
    long rc = -EFAULT;

    if (v == NULL) {
        log_warn("d%u: there is no vCPU %u to be given a state", d->id, a->vcpu);
        return -EINVAL;
    }
    if (guest_ptr_null(guest_ptr_of(a->ctxt))) {
        return reset(v);
    }
    c = heap_alloc(sizeof(*c));
    if (c == NULL) {
        return -ENOMEM;
    }
    if (copy_from_guest(c, guest_ptr_of(a->ctxt), sizeof(*c)) == 0) {
        rc = set_context(v, c);
    }
    heap_free(c, sizeof(*c));
    if (rc != 0 && rc != -ERESTART) {
        log_warn("d%u: vCPU %u cannot be given this state (error %ld)", d->id, a->vcpu, -rc);
    }
    return rc;
}

long domctl_sendtrigger(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v = domain_vcpu(d, op->u.sendtrigger.vcpu);

    if (v == NULL) {
        return -ESRCH;
    }
    if (op->u.sendtrigger.trigger != XEN_DOMCTL_SENDTRIGGER_NMI) {
        uint32_t trigger = op->u.sendtrigger.trigger;

        log_warn("d%u: trigger %u is not for paravirtual domains", d->id, trigger);
        return trigger == XEN_DOMCTL_SENDTRIGGER_POWER || trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP
                   ? -EINVAL
                   : -ENOSYS;
    }
    pv_send_nmi(v);
    return 0;
}
