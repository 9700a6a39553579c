/* SPDX-License-Identifier: MIT */
/*
 * The operations of domctl, a file a family; the table is in domctl.c.  Each
 * is called with a reference to the domain it works on, the only one that works
 * on it (d->is_worked_on), and a copy of the request, which goes back to the
 * caller as it leaves it.  -ERESTART: it wants to be called again with that copy.
 */
#pragma once

#include "domain/domain.h"
#include <xen/domctl.h>

typedef long domctl_fn(struct domain *d, struct xen_domctl *op);

/* domctl_domain.c: life and settings; creating has no domain yet, and sets op->domain */
long domctl_create(struct xen_domctl *op);
domctl_fn domctl_destroy, domctl_pause, domctl_unpause, domctl_resume, domctl_getdomaininfo;
domctl_fn domctl_max_vcpus, domctl_sethandle, domctl_setdebugging, domctl_settimeoffset;
domctl_fn domctl_get_address_size, domctl_set_address_size, domctl_gettscinfo, domctl_settscinfo;
domctl_fn domctl_setnodeaffinity, domctl_getnodeaffinity, domctl_hypercall_init;

/* domctl_rights.c: ports, device memory, interrupts */
domctl_fn domctl_ioport_permission, domctl_iomem_permission, domctl_irq_permission;
domctl_fn domctl_memory_mapping;

/* domctl_sched.c: shares of the processors */
domctl_fn domctl_getaffinity, domctl_setaffinity, domctl_scheduler;

/* domctl_vcpu.c: processors */
domctl_fn domctl_getvcpuinfo, domctl_get_cpu_policy, domctl_set_cpu_policy, domctl_sendtrigger;
domctl_fn domctl_setvcpucontext;

/* domctl_state.c: their state, saved and restored */
domctl_fn domctl_getvcpucontext, domctl_get_ext_vcpucontext, domctl_set_ext_vcpucontext;
domctl_fn domctl_getvcpuextstate, domctl_setvcpuextstate;
domctl_fn domctl_get_vcpu_msrs, domctl_set_vcpu_msrs;

/* domctl_memory.c: frames and page tables */
domctl_fn domctl_max_mem, domctl_getpageframeinfo3, domctl_shadow_op;
