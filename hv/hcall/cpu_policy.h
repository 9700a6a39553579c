/* SPDX-License-Identifier: MIT */
/* What processors are like, told to the toolstack (sysctl and domctl). */
#pragma once

#include "domain/domain.h"
#include "guest/guest.h"
#include <xen/domctl.h>

/*
 * Both tell what vCPU @v sees, NULL: what the processor has.  Counts are of
 * elements: the room on the way in, what is there on the way out.  A null
 * pointer asks for the count only.  -EFAULT; -ENOBUFS: too little room.
 */

/* Word @i, one of 19. */
uint32_t cpu_policy_word(const struct vcpu *v, unsigned int i);

/* The words of the feature set, in the order of <xen/arch-x86/cpufeatureset.h>. */
long must_check cpu_policy_features(const struct vcpu *v, struct guest_ptr to, uint32_t *nr);

/* Arrays of struct xen_cpuid_leaf and struct xen_msr_entry. */
long must_check cpu_policy_tell(const struct vcpu *v, struct guest_ptr leaves, uint32_t *nr_leaves,
                                struct guest_ptr msrs, uint32_t *nr_msrs);

/*
 * Let @v's domain have the policy @p, less what it may not see.  -ERANGE: a leaf
 * or MSR that is not part of a policy, -EINVAL: a value that is none; p->err_...
 * tell which.  -E2BIG, -EFAULT, -ENOMEM.
 */
long must_check cpu_policy_set(const struct vcpu *v, struct xen_domctl_cpu_policy *p);
