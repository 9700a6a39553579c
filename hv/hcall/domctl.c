/* SPDX-License-Identifier: MIT */
/*
 * domctl: the toolstack's operations on a domain.  What is here is what stock
 * tools ask about the domains that there are; those that make new ones answer
 * -ENOSYS.
 */
#include "hcall/info.h"

#include "event/event.h"
#include "hcall/cpu_policy.h"
#include "hcall/hcall.h"
#include "sys/log.h"
#include "time/time.h"

static long op_getdomaininfo(struct domain *d, struct xen_domctl *op)
{
    info_domain(d, &op->u.getdomaininfo);
    op->domain = d->id;
    return 0;
}

static long op_getvcpuinfo(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_getvcpuinfo *info = &op->u.getvcpuinfo;
    struct vcpu *v = domain_vcpu(d, info->vcpu);

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

static long op_getaffinity(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    struct vcpu *v = domain_vcpu(d, a->vcpu);
    long rc = 0;

    if (v == NULL) {
        return -ESRCH;
    }
    if (a->flags & XEN_VCPUAFFINITY_HARD) {
        rc = info_cpumask_out(&a->cpumap_hard, &v->unit.affinity);
    }
    if (rc == 0 && (a->flags & XEN_VCPUAFFINITY_SOFT)) {
        struct cpumask all;

        for (unsigned int i = 0; i < ARRAY_SIZE(all.bits); i++) {
            all.bits[i] = ~0ull;
        }
        rc = info_cpumask_out(&a->cpumap_soft, &all);
    }
    return rc;
}

static long op_setaffinity(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    struct vcpu *v = domain_vcpu(d, a->vcpu);
    struct cpumask mask;
    long rc;

    if (v == NULL) {
        return -ESRCH;
    }
    if (a->flags != XEN_VCPUAFFINITY_HARD) {
        log_warn("d%u: only hard affinity of vCPUs can be set", d->id);
        return -EOPNOTSUPP;
    }
    rc = info_cpumask_in(&a->cpumap_hard, &mask);
    if (rc == 0) {
        rc = sched_set_affinity(&v->unit, &mask);
    }
    return rc != 0 ? rc : info_cpumask_out(&a->cpumap_hard, &v->unit.affinity);
}

static long set_weight(struct domain *d, uint32_t weight)
{
    struct vcpu *v;
    uint32_t i;

    if (weight == 0 || weight > 65535) {
        return -EINVAL;
    }
    for_each_vcpu(d, v, i) {
        sched_set_weight(&v->unit, weight);
    }
    return 0;
}

static long op_scheduler(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_scheduler_op *s = &op->u.scheduler_op;

    if (s->sched_id != sched_policy_id()) {
        return -EINVAL;
    }
    switch (s->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        s->u.credit2.weight = d->vcpus[0] == NULL ? 0 : (uint16_t)d->vcpus[0]->unit.weight;
        s->u.credit2.cap = 0;
        return 0;
    case XEN_DOMCTL_SCHEDOP_putinfo:
        if (s->u.credit2.cap != 0) {
            log_warn("d%u: a cap on its CPU time cannot be set", d->id);
            return -EOPNOTSUPP;
        }
        return set_weight(d, s->u.credit2.weight);
    default:
        return -EINVAL;
    }
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

static long op_max_mem(struct domain *d, struct xen_domctl *op)
{
    d->max_pages = op->u.max_mem.max_memkb >> (PAGE_SHIFT - 10);
    return 0;
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

static long op_get_cpu_policy(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;
    const struct vcpu *v = domain_vcpu(d, 0);

    return v == NULL ? -ENOENT
                     : cpu_policy_tell(v, guest_ptr_of(p->leaves), &p->nr_leaves,
                                       guest_ptr_of(p->msrs), &p->nr_msrs);
}

static long op_sendtrigger(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v = domain_vcpu(d, op->u.sendtrigger.vcpu);

    if (v == NULL) {
        return -ESRCH;
    }
    if (op->u.sendtrigger.trigger != XEN_DOMCTL_SENDTRIGGER_NMI) {
        log_warn("d%u: trigger %u is not for paravirtual domains", d->id,
                 op->u.sendtrigger.trigger);
        return -ENOSYS;
    }
    __atomic_fetch_or(&v->exit_work, EXIT_NMI, __ATOMIC_SEQ_CST);
    evtchn_kick(v);
    return 0;
}

static const struct {
    long (*fn)(struct domain *d, struct xen_domctl *op);
} ops[] = {
    [XEN_DOMCTL_pausedomain] = { .fn = op_pause },
    [XEN_DOMCTL_unpausedomain] = { .fn = op_unpause },
    [XEN_DOMCTL_getdomaininfo] = { .fn = op_getdomaininfo },
    [XEN_DOMCTL_setvcpuaffinity] = { .fn = op_setaffinity },
    [XEN_DOMCTL_getvcpuaffinity] = { .fn = op_getaffinity },
    [XEN_DOMCTL_max_mem] = { .fn = op_max_mem },
    [XEN_DOMCTL_getvcpuinfo] = { .fn = op_getvcpuinfo },
    [XEN_DOMCTL_scheduler_op] = { .fn = op_scheduler },
    [XEN_DOMCTL_get_address_size] = { .fn = op_get_address_size },
    [XEN_DOMCTL_gettscinfo] = { .fn = op_gettscinfo },
    [XEN_DOMCTL_get_cpu_policy] = { .fn = op_get_cpu_policy },
    [XEN_DOMCTL_sendtrigger] = { .fn = op_sendtrigger },
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
    if (rc == 0 && copy_to_guest(GUEST_PTR(arg), &op, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return rc;
}
