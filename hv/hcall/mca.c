/* SPDX-License-Identifier: MIT */
/*
 * mca: the hardware domain's log of machine checks.  What the processors report
 * is printed when it comes (x86/mcheck.c) and not kept, so there is never
 * anything to fetch; the processors are described so that its driver loads.
 */
#include "hcall/hcall.h"

#include <xen/arch-x86/xen-mca.h>

#include "hcall/cpu_policy.h"
#include "lib/string.h"
#include "sys/log.h"
#include "x86/features.h"
#include "x86/topology.h"

static void describe(struct mcinfo_logical_cpu *l, unsigned int cpu)
{
    memset(l, 0, sizeof(*l));
    l->mc_cpunr = cpu;
    l->mc_chipid = topology_socket(cpu);
    l->mc_coreid = (uint16_t)topology_core(cpu);
    l->mc_threadid = (uint16_t)(cpus[cpu]->apic_id % topology_threads_per_core());
    l->mc_apicid = cpus[cpu]->apic_id;
    l->mc_ncores = l->mc_ncores_active = topology_cores_per_socket();
    l->mc_nthreads = topology_threads_per_core();
    l->mc_cpuid_level = (int32_t)cpu_features.max_leaf;
    l->mc_family = cpu_features.family;
    l->mc_vendor = cpu_features.vendor;
    l->mc_model = cpu_features.model;
    l->mc_step = cpu_features.stepping;
    memcpy(l->mc_brandid, cpu_features.name, sizeof(cpu_features.name));
    l->mc_cpu_caps[MC_CAPS_STD_EDX] = cpu_policy_word(NULL, 0);
    l->mc_cpu_caps[MC_CAPS_STD_ECX] = cpu_policy_word(NULL, 1);
    l->mc_cpu_caps[MC_CAPS_AMD_EDX] = cpu_policy_word(NULL, 2);
    l->mc_cpu_caps[MC_CAPS_AMD_ECX] = cpu_policy_word(NULL, 3);
}

/* How many processors there are; and what they are like, as many as there is room for. */
static long tell_cpus(struct xen_mc_physcpuinfo *p)
{
    uint32_t nr = cpumask_count(&cpus_online), room = p->ncpus;
    struct guest_ptr to = guest_ptr_of(p->info);
    struct mcinfo_logical_cpu l;

    p->ncpus = nr;
    if (guest_ptr_null(to)) {
        return 0;
    }
    if (room == 0 || room > INT32_MAX) {
        return -EINVAL;
    }
    p->ncpus = min(nr, room);
    for (uint32_t i = 0; i < p->ncpus; i++) {
        describe(&l, i);
        if (copy_elem_to_guest(to, i, &l, sizeof(l)) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

static long fetch(struct xen_mc_fetch *f)
{
    uint32_t kind = f->flags & ~XEN_MC_ACK;

    if (kind != XEN_MC_NONURGENT && kind != XEN_MC_URGENT) {
        return -EINVAL;
    }
    if (!(f->flags & XEN_MC_ACK) && guest_ptr_null(guest_ptr_of(f->data))) {
        return -EINVAL;
    }
    f->flags = XEN_MC_NODATA;
    f->fetch_id = 0;
    return 0;
}

static long call_one(struct xen_mc *op)
{
    switch (op->cmd) {
    case XEN_MC_fetch:
        return fetch(&op->u.mc_fetch);
    case XEN_MC_physcpuinfo:
        return tell_cpus(&op->u.mc_physcpuinfo);
    default:
        log_warn("machine checks cannot be made up (mca %u)", op->cmd);
        return -EINVAL;
    }
}

long hcall_mca(uint64_t arg, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct xen_mc op;
    long rc;

    UNUSED(b, c, d, e, f);
    if (!current()->domain->is_hardware) {
        return -EPERM;
    }
    if (copy_from_guest(&op, GUEST_PTR(arg), sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.interface_version != XEN_MCA_INTERFACE_VERSION) {
        return -EACCES;
    }
    rc = call_one(&op);
    return rc == 0 && copy_to_guest(GUEST_PTR(arg), &op, sizeof(op)) != 0 ? -EFAULT : rc;
}
