/* SPDX-License-Identifier: MIT */
/* What domctl and sysctl both tell of domains and CPUs. */
#pragma once

#include "domain/domain.h"
#include "guest/guest.h"
#include <xen/domctl.h>

/* Describe @d. */
void info_domain(struct domain *d, struct xen_domctl_getdomaininfo *info);

/*
 * Copy @mask, of the CPUs numbered below @nr_cpus, to the guest's bitmap @to;
 * bits beyond are zero.  -EFAULT.
 */
int must_check info_cpumask_out(const struct xenctl_bitmap *to, const struct cpumask *mask);

/* The guest's bitmap @from.  -EFAULT; -EINVAL: it has no bits at all. */
int must_check info_cpumask_in(const struct xenctl_bitmap *from, struct cpumask *mask);
