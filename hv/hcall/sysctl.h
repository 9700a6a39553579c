/* SPDX-License-Identifier: MIT */
/*
 * The operations of sysctl, a file a family; the table is in sysctl.c.  Each is
 * called with a copy of the request, which goes back to the caller as it leaves
 * it.  -ERESTART: it wants to be called again with that copy.
 */
#pragma once

#include "abi/xen.h"
#include <xen/sysctl.h>

typedef long sysctl_fn(struct xen_sysctl *op);

/* sysctl_sched.c: CPU pools and their policies */
sysctl_fn sysctl_sched_id, sysctl_cpupool, sysctl_scheduler;
