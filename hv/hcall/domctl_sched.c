/* SPDX-License-Identifier: MIT */
/* domctl: where vCPUs may run, and with what share. */
#include "hcall/domctl.h"

#include "hcall/info.h"
#include "lib/string.h"
#include "sys/log.h"
#include "sys/softirq.h"

#define VCPU_BATCH 16u /* vCPUs done before others get their turn */

static long affinity_out(struct xen_domctl_vcpuaffinity *a, const struct cpumask *hard,
                         const struct cpumask *soft)
{
    long rc = 0;

    if (a->flags & XEN_VCPUAFFINITY_HARD) {
        rc = info_cpumask_out(&a->cpumap_hard, hard);
    }
    if (rc == 0 && (a->flags & XEN_VCPUAFFINITY_SOFT)) {
        rc = info_cpumask_out(&a->cpumap_soft, soft);
    }
    return rc;
}

static struct vcpu *affinity_vcpu(struct domain *d, const struct xen_domctl_vcpuaffinity *a,
                                  long *rc)
{
    struct vcpu *v = domain_vcpu(d, a->vcpu);

    *rc = 0;
    if (a->flags == 0) {
        *rc = -EINVAL;
    } else if (v == NULL) {
        *rc = a->vcpu < d->max_vcpus ? -ESRCH : -EINVAL;
    }
    return v;
}

long domctl_getaffinity(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    long rc;
    struct vcpu *v = affinity_vcpu(d, a, &rc);

    return rc != 0 ? rc : affinity_out(a, &v->unit.affinity, &v->unit.soft);
}

long domctl_setaffinity(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    struct cpumask hard, soft;
    long rc;
    struct vcpu *v = affinity_vcpu(d, a, &rc);
    bool is_hard = a->flags & XEN_VCPUAFFINITY_HARD, is_soft = a->flags & XEN_VCPUAFFINITY_SOFT;

    if (rc == 0 && is_hard) {
        rc = info_cpumask_in(&a->cpumap_hard, &hard);
    }
    if (rc == 0 && is_soft) {
        rc = info_cpumask_in(&a->cpumap_soft, &soft);
    }
    if (rc == 0) {
        rc = sched_set_affinity(&v->unit, is_hard ? &hard : NULL, is_soft ? &soft : NULL);
    }
    if (rc != 0) {
        log_warn("d%u: affinity of vCPU %u cannot be set (error %ld): bitmaps of %u and %u bits, "
                 "the hard one must have a CPU of pool %u",
                 d->id, a->vcpu, -rc, is_hard ? a->cpumap_hard.nr_bits : 0,
                 is_soft ? a->cpumap_soft.nr_bits : 0, sched_group_pool(&d->sched));
        return rc;
    }
    sched_effective_affinity(&v->unit, &hard, &soft);
    return affinity_out(a, &hard, &soft);
}

/* ------------------------------------------------------------- shares -- */

static long vcpu_params(struct domain *d, const struct xen_domctl_scheduler_op *s, uint32_t i)
{
    struct guest_ptr list = guest_ptr_of(s->u.v.vcpus);
    struct xen_domctl_schedparam_vcpu p;
    struct vcpu *v;
    int rc;

    if (copy_elem_from_guest(&p, list, i, sizeof(p)) != 0) {
        return -EFAULT;
    }
    v = domain_vcpu(d, p.vcpuid);
    if (v == NULL) {
        return -EINVAL;
    }
    if (s->cmd == XEN_DOMCTL_SCHEDOP_putvcpuinfo) {
        return sched_set_params(&d->sched, &v->unit, s->sched_id, &p);
    }
    rc = sched_get_params(&d->sched, &v->unit, s->sched_id, &p);
    return rc != 0 ? rc : copy_elem_to_guest(list, i, &p, sizeof(p));
}

/* Tells how many were done; who has more asks again. */
static long all_vcpu_params(struct domain *d, struct xen_domctl_scheduler_op *s)
{
    struct xen_domctl_schedparam_vcpu p;
    struct vcpu *v = domain_vcpu(d, 0);
    uint32_t i;
    /* Some policies keep nothing of single vCPUs, and say so also when asked for none. */
    long rc = v == NULL ? -EINVAL : sched_get_params(&d->sched, &v->unit, s->sched_id, &p);

    for (i = 0;
         rc == 0 && i < s->u.v.nr_vcpus && (i % VCPU_BATCH != VCPU_BATCH - 1 || !preempt_pending());
         i++) {
        rc = vcpu_params(d, s, i);
    }
    s->u.v.nr_vcpus = i - (rc != 0 && i > 0);
    return rc;
}

long domctl_scheduler(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_scheduler_op *s = &op->u.scheduler_op;
    struct xen_domctl_schedparam_vcpu p = { .vcpuid = 0 };
    long rc = -EINVAL;

    memcpy(&p.u, &s->u, sizeof(p.u));
    switch (s->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        rc = sched_get_params(&d->sched, NULL, s->sched_id, &p);
        memcpy(&s->u, &p.u, sizeof(p.u));
        break;
    case XEN_DOMCTL_SCHEDOP_putinfo:
        rc = sched_set_params(&d->sched, NULL, s->sched_id, &p);
        break;
    case XEN_DOMCTL_SCHEDOP_putvcpuinfo:
    case XEN_DOMCTL_SCHEDOP_getvcpuinfo:
        rc = all_vcpu_params(d, s);
        break;
    }
    if (rc != 0) {
        log_warn("d%u: scheduler_op %u for policy %u is refused (error %ld)", d->id, s->cmd,
                 s->sched_id, -rc);
    }
    return rc;
}
