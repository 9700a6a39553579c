/* SPDX-License-Identifier: MIT */
/*
 * Policy null: a CPU for each unit.  The first unit to run on a CPU keeps it,
 * also while it sleeps, until it goes offline or away; then one that waits
 * gets it.  Each CPU has its own queue, no timer runs and nothing is ordered:
 * a wake-up costs the same always.  Units beyond the number of CPUs wait.
 */
#include "sched/internal.h"

#include "abi/xen.h"
#include <xen/domctl.h>

static uint64_t null_begin(struct run_queue *q, struct sched_unit *u, uint64_t now)
{
    if (q->tenant == NULL) {
        WRITE_ONCE(q->tenant, u);
    }
    u->park_until_ns = SCHED_NEVER;
    return q->tenant == u ? SCHED_NEVER : 0;
}

static void null_end(struct run_queue *q, struct sched_unit *u, uint64_t now)
{
}

static int null_get_params(struct sched_group *g, struct sched_unit *u,
                           struct xen_domctl_schedparam_vcpu *p)
{
    return u == NULL ? 0 : -EINVAL;
}

static int null_set_params(struct sched_group *g, struct sched_unit *u,
                           const struct xen_domctl_schedparam_vcpu *p)
{
    return u == NULL ? 0 : -EINVAL;
}

const struct sched_policy sched_policy_null = {
    .name = "null",
    .long_name = "a CPU for each vCPU (null)",
    .id = XEN_SCHEDULER_NULL,
    .cpus_per_queue = 1,
    .is_limiting = true,
    .begin = null_begin,
    .end = null_end,
    .get_params = null_get_params,
    .set_params = null_set_params,
};
