/* SPDX-License-Identifier: MIT */
/* sysctl: CPU pools, their policies and what can be tuned of them. */
#include "hcall/sysctl.h"

#include "hcall/info.h"
#include "sys/log.h"

long sysctl_sched_id(struct xen_sysctl *op)
{
    op->u.sched_id.sched_id = sched_default_policy();
    return 0;
}

/* --------------------------------------------------------------- pools -- */

static long pool_info(struct xen_sysctl_cpupool_op *p)
{
    struct sched_pool_info info;
    long rc = sched_pool_get_info(p->cpupool_id, &info);

    if (rc != 0) {
        return rc; /* the tools ask until there are no more */
    }
    p->cpupool_id = info.id;
    p->sched_id = info.policy_id;
    p->n_dom = info.nr_groups;
    return info_cpumask_out(&p->cpumap, &info.cpus);
}

static long free_info(struct xen_sysctl_cpupool_op *p)
{
    struct cpumask m;

    sched_free_cpus(&m);
    return info_cpumask_out(&p->cpumap, &m);
}

static long pool_create(struct xen_sysctl_cpupool_op *p)
{
    return sched_pool_create(&p->cpupool_id, p->sched_id);
}

static long pool_destroy(struct xen_sysctl_cpupool_op *p)
{
    return sched_pool_destroy(p->cpupool_id);
}

static long pool_add_cpu(struct xen_sysctl_cpupool_op *p)
{
    return sched_pool_add_cpu(p->cpupool_id, p->cpu);
}

static long pool_remove_cpu(struct xen_sysctl_cpupool_op *p)
{
    return sched_pool_remove_cpu(p->cpupool_id, p->cpu);
}

static long pool_move_domain(struct xen_sysctl_cpupool_op *p)
{
    struct domain *d = domain_get((domid_t)p->domid);
    long rc;

    if (d == NULL) {
        return -ESRCH;
    }
    if (d == current()->domain) {
        domain_put(d);
        return -EPERM;
    }
    domain_pause(d);
    rc = sched_group_move(&d->sched, p->cpupool_id);
    domain_unpause(d);
    domain_put(d);
    return rc;
}

static const struct {
    const char *name;
    long (*fn)(struct xen_sysctl_cpupool_op *p);
} pool_ops[] = {
    [XEN_SYSCTL_CPUPOOL_OP_CREATE] = { "create", pool_create },
    [XEN_SYSCTL_CPUPOOL_OP_DESTROY] = { "destroy", pool_destroy },
    [XEN_SYSCTL_CPUPOOL_OP_INFO] = { NULL, pool_info },
    [XEN_SYSCTL_CPUPOOL_OP_ADDCPU] = { "add a CPU to", pool_add_cpu },
    [XEN_SYSCTL_CPUPOOL_OP_RMCPU] = { "remove a CPU from", pool_remove_cpu },
    [XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN] = { "move a domain to", pool_move_domain },
    [XEN_SYSCTL_CPUPOOL_OP_FREEINFO] = { NULL, free_info },
};

long sysctl_cpupool(struct xen_sysctl *op)
{
    struct xen_sysctl_cpupool_op *p = &op->u.cpupool_op;
    struct xen_sysctl_cpupool_op asked = *p;
    long rc;

    if (p->op >= ARRAY_SIZE(pool_ops) || pool_ops[p->op].fn == NULL) {
        return -ENOSYS;
    }
    rc = pool_ops[p->op].fn(p);
    if (rc != 0 && rc != -ERESTART && pool_ops[asked.op].name != NULL) {
        log_warn("cannot %s CPU pool %d (error %ld): policy %u, d%u, CPU %d",
                 pool_ops[asked.op].name, (int)asked.cpupool_id, -rc, asked.sched_id, asked.domid,
                 (int)asked.cpu);
    }
    return rc;
}

/* -------------------------------------------------------------- tuning -- */

static bool ratelimit_ok(uint32_t us)
{
    return us == 0 ||
           (us >= XEN_SYSCTL_SCHED_RATELIMIT_MIN && us <= XEN_SYSCTL_SCHED_RATELIMIT_MAX);
}

static bool credit_in(const struct xen_sysctl_scheduler_op *s, struct sched_pool_params *p)
{
    const struct xen_sysctl_credit_schedule *c = &s->u.sched_credit;

    if (c->tslice_ms < XEN_SYSCTL_CSCHED_TSLICE_MIN ||
        c->tslice_ms > XEN_SYSCTL_CSCHED_TSLICE_MAX || !ratelimit_ok(c->ratelimit_us) ||
        c->ratelimit_us > c->tslice_ms * 1000 ||
        c->vcpu_migr_delay_us > XEN_SYSCTL_CSCHED_MGR_DLY_MAX_US) {
        return false;
    }
    p->slice_us = c->tslice_ms * 1000;
    p->ratelimit_us = c->ratelimit_us;
    p->migr_delay_us = c->vcpu_migr_delay_us;
    return true;
}

static void credit_out(struct xen_sysctl_scheduler_op *s, const struct sched_pool_params *p)
{
    s->u.sched_credit.tslice_ms = p->slice_us / 1000;
    s->u.sched_credit.ratelimit_us = p->ratelimit_us;
    s->u.sched_credit.vcpu_migr_delay_us = p->migr_delay_us;
}

static bool credit2_in(const struct xen_sysctl_scheduler_op *s, struct sched_pool_params *p)
{
    p->ratelimit_us = s->u.sched_credit2.ratelimit_us;
    return ratelimit_ok(p->ratelimit_us);
}

static void credit2_out(struct xen_sysctl_scheduler_op *s, const struct sched_pool_params *p)
{
    s->u.sched_credit2.ratelimit_us = p->ratelimit_us;
}

/* By policy; those that are not here have nothing to tune. */
static const struct {
    bool (*in)(const struct xen_sysctl_scheduler_op *s, struct sched_pool_params *p);
    void (*out)(struct xen_sysctl_scheduler_op *s, const struct sched_pool_params *p);
} tunings[] = {
    [XEN_SCHEDULER_CREDIT] = { credit_in, credit_out },
    [XEN_SCHEDULER_CREDIT2] = { credit2_in, credit2_out },
};

static long tune(struct xen_sysctl_scheduler_op *s)
{
    struct sched_pool_params params;
    long rc = sched_pool_get_params(s->cpupool_id, s->sched_id, &params);

    if (rc != 0 || s->sched_id >= ARRAY_SIZE(tunings) || tunings[s->sched_id].in == NULL) {
        return rc;
    }
    if (s->cmd == XEN_SYSCTL_SCHEDOP_putinfo) {
        rc = tunings[s->sched_id].in(s, &params)
                 ? sched_pool_set_params(s->cpupool_id, s->sched_id, &params)
                 : -EINVAL;
    }
    if (rc == 0) {
        tunings[s->sched_id].out(s, &params);
    }
    return rc;
}

long sysctl_scheduler(struct xen_sysctl *op)
{
    struct xen_sysctl_scheduler_op *s = &op->u.scheduler_op;
    long rc = s->cmd > XEN_SYSCTL_SCHEDOP_getinfo ? -EINVAL : tune(s);

    if (rc != 0) {
        log_warn("CPU pool %u: parameters of policy %u cannot be %s (error %ld)", s->cpupool_id,
                 s->sched_id, s->cmd == XEN_SYSCTL_SCHEDOP_putinfo ? "set" : "told", -rc);
    }
    return rc;
}
