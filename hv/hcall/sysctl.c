/* SPDX-License-Identifier: MIT */
/* sysctl: the toolstack's operations on the machine as a whole. */
#include "hcall/sysctl.h"

#include <xen/physdev.h>

#include "drivers/console.h"
#include "drivers/pci.h"
#include "hcall/cpu_policy.h"
#include "hcall/hcall.h"
#include "hcall/info.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "sys/log.h"
#include "sys/options.h"
#include "sys/softirq.h"
#include "time/time.h"
#include "x86/topology.h"

#define NR_CSTATES 2u
#define PCI_BATCH  32u /* devices looked up before others get their turn */
#define KEYS_MAX   64u /* debug keys of one call */

static long op_readconsole(struct xen_sysctl *op)
{
    struct xen_sysctl_readconsole *r = &op->u.readconsole;
    struct guest_ptr to = guest_ptr_of(r->buffer);
    uint32_t done = 0, index = r->index;
    bool is_incremental = r->incremental;
    char chunk[256];

    /* In pieces, each continuing where the last one ended. */
    while (done < r->count) {
        size_t n =
            log_read(chunk, min(r->count - done, (uint32_t)sizeof(chunk)), &index, is_incremental);

        if (n == 0) {
            break;
        }
        if (copy_to_guest(guest_ptr_add(to, done), chunk, n) != 0) {
            return -EFAULT;
        }
        done += (uint32_t)n;
        is_incremental = true;
    }
    r->count = done;
    r->index = index;
    if (r->clear) {
        log_clear();
    }
    return 0;
}

static long op_physinfo(struct xen_sysctl *op)
{
    struct xen_sysctl_physinfo *p = &op->u.physinfo;

    memset(p, 0, sizeof(*p));
    p->threads_per_core = topology_threads_per_core();
    p->cores_per_socket = topology_cores_per_socket();
    p->nr_cpus = cpumask_count(&cpus_online);
    p->max_cpu_id = p->nr_cpus - 1;
    p->nr_nodes = 1;
    p->cpu_khz = time_tsc_khz();
    p->capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1;
    if (hv_options.gnttab_max_version >= 2) {
        p->capabilities |= XEN_SYSCTL_PHYSCAP_gnttab_v2;
    }
    p->total_pages = pages_nr_total();
    p->free_pages = pages_nr_free();
    p->outstanding_pages = pages_nr_claimed();
    p->scrub_pages = pages_nr_dirty();
    p->max_mfn = nr_frames_max - 1;
    for (unsigned int i = 0; i < ARRAY_SIZE(p->hw_cap); i++) {
        p->hw_cap[i] = cpu_policy_word(NULL, i);
    }
    return 0;
}

static long op_getdomaininfolist(struct xen_sysctl *op)
{
    struct xen_sysctl_getdomaininfolist *l = &op->u.getdomaininfolist;
    domid_t id = l->first_domain;
    struct domain *d;
    uint32_t n = 0;

    while (n < l->max_domains && (d = domain_get_next(id)) != NULL) {
        struct xen_domctl_getdomaininfo info;
        int rc;

        info_domain(d, &info);
        id = (domid_t)(d->id + 1);
        domain_put(d);
        rc = copy_elem_to_guest(guest_ptr_of(l->buffer), n, &info, sizeof(info));
        if (rc != 0) {
            return rc;
        }
        n++;
    }
    l->num_domains = n;
    return 0;
}

static long op_debug_keys(struct xen_sysctl *op)
{
    char keys[KEYS_MAX];
    uint32_t nr = min(op->u.debug_keys.nr_keys, KEYS_MAX);

    if (copy_from_guest(keys, guest_ptr_of(op->u.debug_keys.keys), nr) != 0) {
        return -EFAULT;
    }
    console_run_keys(keys, nr);
    return 0;
}

static long op_cputopoinfo(struct xen_sysctl *op)
{
    struct xen_sysctl_cputopoinfo *t = &op->u.cputopoinfo;
    uint32_t nr = cpumask_count(&cpus_online);
    struct guest_ptr to = guest_ptr_of(t->cputopo);

    for (uint32_t i = 0; !guest_ptr_null(to) && i < min(nr, t->num_cpus); i++) {
        struct xen_sysctl_cputopo topo = { .core = topology_core(i),
                                           .socket = topology_socket(i),
                                           .node = 0 };

        if (copy_elem_to_guest(to, i, &topo, sizeof(topo)) != 0) {
            return -EFAULT;
        }
    }
    t->num_cpus = guest_ptr_null(to) || t->num_cpus > nr ? nr : t->num_cpus;
    return 0;
}

/* One node with all memory, ten away from itself. */
static long op_numainfo(struct xen_sysctl *op)
{
    struct xen_sysctl_numainfo *n = &op->u.numainfo;
    struct xen_sysctl_meminfo mem = { .memsize = nr_frames_max << PAGE_SHIFT,
                                      .memfree = pages_nr_free() << PAGE_SHIFT };
    const uint32_t distance = 10;

    if (n->num_nodes > 0 && !guest_ptr_null(guest_ptr_of(n->meminfo)) &&
        copy_to_guest(guest_ptr_of(n->meminfo), &mem, sizeof(mem)) != 0) {
        return -EFAULT;
    }
    if (n->num_nodes > 0 && !guest_ptr_null(guest_ptr_of(n->distance)) &&
        copy_to_guest(guest_ptr_of(n->distance), &distance, sizeof(distance)) != 0) {
        return -EFAULT;
    }
    n->num_nodes = 1;
    return 0;
}

/* No device is nearer to one node than to another. */
static long op_pcitopoinfo(struct xen_sysctl *op)
{
    struct xen_sysctl_pcitopoinfo *t = &op->u.pcitopoinfo;
    struct guest_ptr devs = guest_ptr_of(t->devs), nodes = guest_ptr_of(t->nodes);
    uint32_t i;

    if (guest_ptr_null(devs) || guest_ptr_null(nodes)) {
        return -EINVAL;
    }
    for (i = 0; i < t->num_devs && (i % PCI_BATCH != PCI_BATCH - 1 || !preempt_pending()); i++) {
        struct physdev_pci_device d;
        uint32_t node;

        if (copy_elem_from_guest(&d, devs, i, sizeof(d)) != 0) {
            return -EFAULT;
        }
        node = pci_exists((struct pci_address){ d.seg, d.bus, d.devfn }) ? XEN_INVALID_NODE_ID
                                                                         : XEN_INVALID_DEV;
        if (copy_elem_to_guest(nodes, i, &node, sizeof(node)) != 0) {
            return -EFAULT;
        }
    }
    t->num_devs = i; /* who has more asks again */
    return 0;
}

static long op_getcpuinfo(struct xen_sysctl *op)
{
    struct xen_sysctl_getcpuinfo *g = &op->u.getcpuinfo;
    uint32_t nr = min(g->max_cpus, cpumask_count(&cpus_online));

    for (uint32_t i = 0; i < nr; i++) {
        struct xen_sysctl_cpuinfo info = { .idletime = sched_time_idle(i) };

        if (copy_elem_to_guest(guest_ptr_of(g->info), i, &info, sizeof(info)) != 0) {
            return -EFAULT;
        }
    }
    g->nr_cpus = nr;
    return 0;
}

/* All that is free: what lies below an address is not counted apart. */
static long op_availheap(struct xen_sysctl *op)
{
    op->u.availheap.avail_bytes = pages_nr_free() << PAGE_SHIFT;
    return 0;
}

/* A processor runs or halts: states 0 and 1.  How often it changed is not counted. */
static long tell_idle(struct pm_cx_stat *s, unsigned int cpu)
{
    static const uint64_t changes[NR_CSTATES] = { 1, 1 };
    uint64_t idle = sched_time_idle(cpu);
    const uint64_t times[NR_CSTATES] = { time_now() - idle, idle };
    uint32_t nr = min(s->nr, NR_CSTATES);

    s->nr = NR_CSTATES;
    s->last = 1;
    s->idle_time = idle;
    s->nr_pc = s->nr_cc = 0;
    if (copy_to_guest(guest_ptr_of(s->triggers), changes, nr * sizeof(changes[0])) != 0 ||
        copy_to_guest(guest_ptr_of(s->residencies), times, nr * sizeof(times[0])) != 0) {
        return -EFAULT;
    }
    return 0;
}

static long op_get_pmstat(struct xen_sysctl *op)
{
    struct xen_sysctl_get_pmstat *p = &op->u.get_pmstat;

    if (p->cpuid >= NR_CPUS || !cpumask_test(&cpus_online, p->cpuid)) {
        return -EINVAL;
    }
    switch (p->type) {
    case PMSTAT_get_max_cx:
        p->u.getcx.nr = NR_CSTATES;
        return 0;
    case PMSTAT_get_cxstat:
        return tell_idle(&p->u.getcx, p->cpuid);
    case PMSTAT_reset_cxstat:
        return -EOPNOTSUPP;
    default:
        return -ENODEV; /* the clock's speed is left as it is */
    }
}

static long op_pm_op(struct xen_sysctl *op)
{
    struct xen_sysctl_pm_op *p = &op->u.pm_op;

    switch (p->cmd) {
    case XEN_SYSCTL_pm_op_get_max_cstate:
        if (p->cpuid > 1) {
            return -EINVAL;
        }
        /* Not a processor's number here: 0 asks for the deepest state, 1 for its sub-state. */
        p->u.get_max_cstate = p->cpuid == 0 ? NR_CSTATES - 1 : XEN_SYSCTL_CX_UNLIMITED;
        return 0;
    case GET_CPUFREQ_PARA:
    case SET_CPUFREQ_GOV:
    case SET_CPUFREQ_PARA:
    case GET_CPUFREQ_AVGFREQ:
        return -ENODEV;
    default:
        return -EINVAL;
    }
}

/* ----------------------------------------------- what processors are like -- */

/* For whom @index asks; false: for a kind of domain that there is not. */
static bool policy_subject(uint32_t index, uint32_t first_pv, const struct vcpu **v)
{
    *v = index < first_pv ? NULL : current();
    return index < first_pv || index % 2 == first_pv % 2;
}

static long op_get_cpu_featureset(struct xen_sysctl *op)
{
    struct xen_sysctl_cpu_featureset *f = &op->u.cpu_featureset;
    const struct vcpu *v;

    if (f->index > XEN_SYSCTL_cpu_featureset_hvm_max) {
        return -EINVAL;
    }
    if (!policy_subject(f->index, XEN_SYSCTL_cpu_featureset_pv, &v)) {
        return -EOPNOTSUPP;
    }
    return cpu_policy_features(v, guest_ptr_of(f->features), &f->nr_features);
}

static long op_get_cpu_policy(struct xen_sysctl *op)
{
    struct xen_sysctl_cpu_policy *p = &op->u.cpu_policy;
    const struct vcpu *v;

    if (p->_rsvd != 0 || p->index > XEN_SYSCTL_cpu_policy_hvm_default) {
        return -EINVAL;
    }
    if (!policy_subject(p->index, XEN_SYSCTL_cpu_policy_pv_max, &v)) {
        return -EOPNOTSUPP;
    }
    return cpu_policy_tell(v, guest_ptr_of(p->leaves), &p->nr_leaves, guest_ptr_of(p->msrs),
                           &p->nr_msrs);
}

/* What CPUID tells is masked by emulating it, never in the processor. */
static long op_get_levelling_caps(struct xen_sysctl *op)
{
    op->u.cpu_levelling_caps.caps = 0;
    return 0;
}

/* Cache monitoring and allocation are left alone, as if no processor had them. */
static long op_psr_cmt(struct xen_sysctl *op)
{
    (void)op;
    return -ENODEV;
}

static long op_psr_alloc(struct xen_sysctl *op)
{
    return op->u.psr_alloc.cmd <= XEN_SYSCTL_PSR_get_mba_info ? -ENODEV : -EOPNOTSUPP;
}

static sysctl_fn *const ops[] = {
    [XEN_SYSCTL_readconsole] = op_readconsole,
    [XEN_SYSCTL_physinfo] = op_physinfo,
    [XEN_SYSCTL_sched_id] = sysctl_sched_id,
    [XEN_SYSCTL_getdomaininfolist] = op_getdomaininfolist,
    [XEN_SYSCTL_debug_keys] = op_debug_keys,
    [XEN_SYSCTL_cputopoinfo] = op_cputopoinfo,
    [XEN_SYSCTL_numainfo] = op_numainfo,
    [XEN_SYSCTL_cpupool_op] = sysctl_cpupool,
    [XEN_SYSCTL_scheduler_op] = sysctl_scheduler,
    [XEN_SYSCTL_psr_cmt_op] = op_psr_cmt,
    [XEN_SYSCTL_psr_alloc] = op_psr_alloc,
    [XEN_SYSCTL_pcitopoinfo] = op_pcitopoinfo,
    [XEN_SYSCTL_getcpuinfo] = op_getcpuinfo,
    [XEN_SYSCTL_availheap] = op_availheap,
    [XEN_SYSCTL_get_pmstat] = op_get_pmstat,
    [XEN_SYSCTL_pm_op] = op_pm_op,
    [XEN_SYSCTL_get_cpu_levelling_caps] = op_get_levelling_caps,
    [XEN_SYSCTL_get_cpu_featureset] = op_get_cpu_featureset,
    [XEN_SYSCTL_get_cpu_policy] = op_get_cpu_policy,
};

long hcall_sysctl(uint64_t arg, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct xen_sysctl op;
    uint64_t cmd;
    long rc;

    UNUSED(b, c, d, e, f);
    if (copy_from_guest(&op, GUEST_PTR(arg), sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION) {
        return -EACCES;
    }
    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    cmd = array_index_nospec(op.cmd, ARRAY_SIZE(ops));
    if (op.cmd >= ARRAY_SIZE(ops) || ops[cmd] == NULL) {
        return -ENOSYS;
    }
    rc = ops[cmd](&op);
    if ((rc == 0 || rc == -ERESTART) && copy_to_guest(GUEST_PTR(arg), &op, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}
