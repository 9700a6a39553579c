/* SPDX-License-Identifier: MIT */
/* domctl: where vCPUs may run, and with what share. */
#include "hcall/domctl.h"

#include "hcall/info.h"
#include "sys/log.h"

long domctl_getaffinity(struct domain *d, struct xen_domctl *op)
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

long domctl_setaffinity(struct domain *d, struct xen_domctl *op)
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

long domctl_scheduler(struct domain *d, struct xen_domctl *op)
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
