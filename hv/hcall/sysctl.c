/* SPDX-License-Identifier: MIT */
/* sysctl: the toolstack's operations on the machine as a whole. */
#include "hcall/info.h"

#include <xen/sysctl.h>

#include "drivers/console.h"
#include "hcall/hcall.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "sys/log.h"
#include "time/time.h"
#include "x86/insn.h"
#include "x86/topology.h"

#define KEYS_MAX 64u /* debug keys of one call */

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

static long op_sched_id(struct xen_sysctl *op)
{
    op->u.sched_id.sched_id = sched_policy_id();
    return 0;
}

static long op_physinfo(struct xen_sysctl *op)
{
    struct xen_sysctl_physinfo *p = &op->u.physinfo;
    struct cpuid_regs r = cpuid(1, 0), ext = cpuid(0x80000001, 0);

    memset(p, 0, sizeof(*p));
    p->threads_per_core = topology_threads_per_core();
    p->cores_per_socket = topology_cores_per_socket();
    p->nr_cpus = cpumask_count(&cpus_online);
    p->max_cpu_id = p->nr_cpus - 1;
    p->nr_nodes = 1;
    p->cpu_khz = time_tsc_khz();
    p->capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1;
    p->total_pages = pages_nr_total();
    p->free_pages = pages_nr_free();
    p->scrub_pages = pages_nr_dirty();
    p->max_mfn = nr_frames_max - 1;
    p->hw_cap[0] = r.d;
    p->hw_cap[1] = r.c;
    p->hw_cap[2] = ext.d;
    p->hw_cap[3] = ext.c;
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

static uint32_t nr_domains(void)
{
    struct domain *d;
    domid_t id = 0;
    uint32_t n = 0;

    while ((d = domain_get_next(id)) != NULL) {
        id = (domid_t)(d->id + 1);
        domain_put(d);
        n++;
    }
    return n;
}

/* There is one pool, number 0, of all CPUs. */
static long op_cpupool(struct xen_sysctl *op)
{
    struct xen_sysctl_cpupool_op *p = &op->u.cpupool_op;
    static const struct cpumask none;

    switch (p->op) {
    case XEN_SYSCTL_CPUPOOL_OP_INFO:
        if (p->cpupool_id != 0) {
            return -ENOENT;
        }
        p->sched_id = sched_policy_id();
        p->n_dom = nr_domains();
        return info_cpumask_out(&p->cpumap, &cpus_online);
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
        return info_cpumask_out(&p->cpumap, &none);
    default:
        log_warn("CPU pools cannot be changed: all CPUs belong to pool 0");
        return -EOPNOTSUPP;
    }
}

static long op_scheduler(struct xen_sysctl *op)
{
    struct xen_sysctl_scheduler_op *s = &op->u.scheduler_op;

    if (s->cpupool_id != 0) {
        return -ESRCH;
    }
    if (s->sched_id != sched_policy_id()) {
        return -EINVAL;
    }
    if (s->cmd != XEN_SYSCTL_SCHEDOP_getinfo) {
        log_warn("the scheduler has no parameters of its own to set");
        return -EOPNOTSUPP;
    }
    s->u.sched_credit2.ratelimit_us = 0;
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
    (void)op;
    return -ENODEV;
}

static long (*const ops[])(struct xen_sysctl *) = {
    [XEN_SYSCTL_readconsole] = op_readconsole,
    [XEN_SYSCTL_physinfo] = op_physinfo,
    [XEN_SYSCTL_sched_id] = op_sched_id,
    [XEN_SYSCTL_getdomaininfolist] = op_getdomaininfolist,
    [XEN_SYSCTL_debug_keys] = op_debug_keys,
    [XEN_SYSCTL_cputopoinfo] = op_cputopoinfo,
    [XEN_SYSCTL_numainfo] = op_numainfo,
    [XEN_SYSCTL_cpupool_op] = op_cpupool,
    [XEN_SYSCTL_scheduler_op] = op_scheduler,
    [XEN_SYSCTL_pcitopoinfo] = op_pcitopoinfo,
};

long hcall_sysctl(uint64_t arg, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct xen_sysctl op;
    long rc;

    UNUSED(b, c, d, e, f);
    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    if (copy_from_guest(&op, GUEST_PTR(arg), sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION) {
        return -EACCES;
    }
    if (op.cmd >= ARRAY_SIZE(ops) || ops[op.cmd] == NULL) {
        return -ENOSYS;
    }
    rc = ops[op.cmd](&op);
    if (rc == 0 && copy_to_guest(GUEST_PTR(arg), &op, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return rc;
}
