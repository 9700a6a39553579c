/* SPDX-License-Identifier: MIT */
/* domctl: what the processors of a domain are and do. */
#include "hcall/domctl.h"

#include "event/event.h"
#include "hcall/cpu_policy.h"
#include "sys/log.h"

long domctl_getvcpuinfo(struct domain *d, struct xen_domctl *op)
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

long domctl_get_cpu_policy(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;
    const struct vcpu *v = domain_vcpu(d, 0);

    return v == NULL ? -ENOENT
                     : cpu_policy_tell(v, guest_ptr_of(p->leaves), &p->nr_leaves,
                                       guest_ptr_of(p->msrs), &p->nr_msrs);
}

long domctl_sendtrigger(struct domain *d, struct xen_domctl *op)
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
