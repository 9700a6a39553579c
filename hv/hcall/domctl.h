/* SPDX-License-Identifier: MIT */
/*
 * The operations of domctl, a file a family; the table is in domctl.c.  Each
 * is called with a reference to the domain it works on and a copy of the
 * request, which goes back to the caller as it leaves it.  -ERESTART: it wants
 * to be called again with that copy.
 */
#pragma once

#include "domain/domain.h"
#include <xen/domctl.h>

typedef long domctl_fn(struct domain *d, struct xen_domctl *op);

/* domctl_sched.c: shares of the processors */
domctl_fn domctl_getaffinity, domctl_setaffinity, domctl_scheduler;

/* domctl_vcpu.c: processors */
domctl_fn domctl_getvcpuinfo, domctl_get_cpu_policy, domctl_sendtrigger;

/* domctl_memory.c: frames and page tables */
domctl_fn domctl_max_mem;
