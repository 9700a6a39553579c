/* SPDX-License-Identifier: MIT */
/* domctl: domains as wholes: made, described, paused, ended. */
#include "hcall/domctl.h"

#include "domain/part.h"
#include "guest/guest.h"
#include "hcall/info.h"
#include "lib/string.h"
#include "mm/frame_use.h"
#include "mm/phys.h"
#include "pv/hypercall_page.h"
#include "sys/log.h"
#include "sys/options.h"
#include "sys/softirq.h"

/* ------------------------------------------------------------- creating -- */

#define CDF_KNOWN ((XEN_DOMCTL_CDF_MAX << 1) - 1)

/* Of a paravirtual domain: those that say nothing, and those that say too much. */
static const struct {
    uint32_t flag;
    const char *why;
} refused_flags[] = {
    { ~CDF_KNOWN, "unknown flags" },
    { XEN_DOMCTL_CDF_hap, "only hardware-virtualised domains have nested paging" },
    { XEN_DOMCTL_CDF_s3_integrity, "memory is not checked over a suspend" },
    { XEN_DOMCTL_CDF_iommu, "there is no IOMMU in use" },
    { XEN_DOMCTL_CDF_nested_virt, "paravirtual domains do not virtualise" },
    { XEN_DOMCTL_CDF_vpmu, "performance counters are not offered" },
};

static int refuse_as(int rc, const char *why, uint64_t number)
{
    log_warn("a domain cannot be created: %s (%#lx)", why, number);
    return rc;
}

static int refuse(const char *why, uint64_t number)
{
    return refuse_as(-EINVAL, why, number);
}

static int check_flags(const struct xen_domctl_createdomain *c)
{
    if ((c->flags & (XEN_DOMCTL_CDF_hvm | ~CDF_KNOWN)) == XEN_DOMCTL_CDF_hvm) {
        return refuse_as(-EOPNOTSUPP, "hardware-virtualised domains are not offered", c->flags);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(refused_flags); i++) {
        if (c->flags & refused_flags[i].flag) {
            return refuse(refused_flags[i].why, c->flags);
        }
    }
    return 0;
}

static int check_arch(const struct xen_domctl_createdomain *c)
{
    if (c->iommu_opts != 0) {
        return refuse("options of an IOMMU that is not in use", c->iommu_opts);
    }
    if (c->vmtrace_size != 0) {
        return refuse("processor traces are not offered", c->vmtrace_size);
    }
    if (c->arch.emulation_flags & ~XEN_X86_EMU_PIT) {
        return refuse_as(-EOPNOTSUPP, "paravirtual domains have no emulated devices",
                         c->arch.emulation_flags);
    }
    if (c->arch.misc_flags & ~XEN_X86_MSR_RELAXED) {
        return refuse("unknown miscellaneous flags", c->arch.misc_flags);
    }
    return 0;
}

static int check_numbers(const struct xen_domctl_createdomain *c)
{
    uint32_t version = XEN_DOMCTL_GRANT_version(c->grant_opts);

    if (c->max_vcpus == 0 || c->max_vcpus > DOMAIN_MAX_VCPUS) {
        return refuse("no such number of vCPUs", c->max_vcpus);
    }
    if (c->grant_opts & ~(uint32_t)XEN_DOMCTL_GRANT_version_mask) {
        return refuse("unknown options of grant tables", c->grant_opts);
    }
    if (version == 0 || version > hv_options.gnttab_max_version) {
        return refuse("no such version of grant tables", version);
    }
    return 0;
}

/* A limit that the creator may leave to us, and not raise. */
static int take_limit(int32_t asked, uint32_t least, uint32_t most, uint32_t *limit,
                      const char *why)
{
    if (asked >= 0 && ((uint32_t)asked > most || (uint32_t)asked < least)) {
        return refuse(why, (uint32_t)asked);
    }
    *limit = asked < 0 ? most : (uint32_t)asked;
    return 0;
}

static int make_config(const struct xen_domctl_createdomain *c, struct domain_config *config)
{
    int rc = check_flags(c);

    rc = rc != 0 ? rc : check_arch(c);
    rc = rc != 0 ? rc : check_numbers(c);
    if (rc == 0) {
        rc = take_limit(c->max_grant_frames, 1, READ_ONCE(hv_options.gnttab_max_frames),
                        &config->max_grant_frames, "no such number of grant table frames");
    }
    if (rc == 0) {
        rc = take_limit(c->max_maptrack_frames, 0, READ_ONCE(hv_options.gnttab_max_maptrack_frames),
                        &config->max_maptrack_frames, "more maptrack frames than the limit");
    }
    config->is_xenstore = c->flags & XEN_DOMCTL_CDF_xs_domain;
    config->is_msr_relaxed = c->arch.misc_flags & XEN_X86_MSR_RELAXED;
    config->max_grant_version = XEN_DOMCTL_GRANT_version(c->grant_opts);
    config->max_vcpus = c->max_vcpus;
    config->pool_id = c->cpupool_id;
    config->max_evtchn_port = c->max_evtchn_port;
    memcpy(config->handle, c->handle, sizeof(config->handle));
    return rc;
}

long domctl_create(struct xen_domctl *op)
{
    domid_t asked = op->domain;
    struct domain_config config = { .id = asked };
    struct domain *d;
    int rc = make_config(&op->u.createdomain, &config);

    if (asked == 0 || asked >= DOMID_FIRST_RESERVED) {
        config.id = DOMID_INVALID;
    }
    if (rc != 0) {
        return rc;
    }
    rc = domain_create(&config, &d);
    if (rc != 0) {
        log_warn("a domain of number %u cannot be created (error %d)", asked, -rc);
        return rc;
    }
    op->domain = d->id;
    return 0;
}

long domctl_max_vcpus(struct domain *d, struct xen_domctl *op)
{
    if (op->u.max_vcpus.max != d->max_vcpus) {
        log_warn("d%u: %u vCPUs cannot be made, it was created for %u", d->id, op->u.max_vcpus.max,
                 d->max_vcpus);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        int rc = d->vcpus[i] != NULL ? 0 : vcpu_create(d, i);

        if (rc != 0) {
            log_warn("d%u: vCPU %u cannot be made (error %d)", d->id, i, -rc);
            return rc;
        }
        if (i % 16 == 15 && preempt_pending()) {
            return -ERESTART;
        }
    }
    return 0;
}

/* --------------------------------------------------- running and ending -- */

long domctl_destroy(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    return domain_kill(d);
}

long domctl_pause(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    return domain_pause_by_toolstack(d);
}

long domctl_unpause(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    d->has_run = true;
    return domain_unpause_by_toolstack(d);
}

long domctl_resume(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    return domain_resume(d);
}

long domctl_getdomaininfo(struct domain *d, struct xen_domctl *op)
{
    info_domain(d, &op->u.getdomaininfo);
    op->domain = d->id;
    return 0;
}

/* ------------------------------------------------------------- settings -- */

long domctl_sethandle(struct domain *d, struct xen_domctl *op)
{
    spin_lock(&d->lock);
    memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
    spin_unlock(&d->lock);
    return 0;
}

long domctl_setdebugging(struct domain *d, struct xen_domctl *op)
{
    WRITE_ONCE(d->is_debugged, op->u.setdebugging.enable != 0);
    return 0;
}

long domctl_settimeoffset(struct domain *d, struct xen_domctl *op)
{
    spin_lock(&d->lock);
    d->time_offset_s = op->u.settimeoffset.time_offset_seconds;
    spin_unlock(&d->lock);
    domain_publish_wallclock(d);
    return 0;
}

long domctl_get_address_size(struct domain *d, struct xen_domctl *op)
{
    (void)d;
    op->u.address_size.size = 64;
    return 0;
}

long domctl_set_address_size(struct domain *d, struct xen_domctl *op)
{
    if (op->u.address_size.size == 64) {
        return 0;
    }
    log_warn("d%u: kernels of %u bits cannot run paravirtual", d->id, op->u.address_size.size);
    return op->u.address_size.size == 32 ? -EOPNOTSUPP : -EINVAL;
}

long domctl_gettscinfo(struct domain *d, struct xen_domctl *op)
{
    struct domain_tsc t;

    domain_get_tsc(d, &t);
    op->u.tsc_info.tsc_mode = t.mode;
    op->u.tsc_info.gtsc_khz = t.khz;
    op->u.tsc_info.incarnation = t.incarnation;
    op->u.tsc_info.elapsed_nsec = t.elapsed_ns;
    return 0;
}

long domctl_settscinfo(struct domain *d, struct xen_domctl *op)
{
    const struct domain_tsc t = { .mode = op->u.tsc_info.tsc_mode,
                                  .khz = op->u.tsc_info.gtsc_khz,
                                  .incarnation = op->u.tsc_info.incarnation,
                                  .elapsed_ns = op->u.tsc_info.elapsed_nsec };

    return domain_set_tsc(d, &t);
}

/* All memory is one node. */
long domctl_setnodeaffinity(struct domain *d, struct xen_domctl *op)
{
    struct cpumask nodes;
    int rc = info_cpumask_in(&op->u.nodeaffinity.nodemap, &nodes);

    if (rc == 0 && !cpumask_test(&nodes, 0)) {
        log_warn("d%u: there is one node of memory, number 0", d->id);
        rc = -EINVAL;
    }
    return rc;
}

long domctl_getnodeaffinity(struct domain *d, struct xen_domctl *op)
{
    struct cpumask nodes;

    (void)d;
    cpumask_zero(&nodes);
    cpumask_set(&nodes, 0);
    return info_cpumask_out(&op->u.nodeaffinity.nodemap, &nodes);
}

/* The page by which older kernels make hypercalls. */
long domctl_hypercall_init(struct domain *d, struct xen_domctl *op)
{
    mfn_t mfn = MFN(op->u.hypercall_init.gmfn);

    if (!frame_valid(mfn) || !frame_get_writable(frame_named(mfn), d->id, &d->dirty_cpus, 0)) {
        log_warn("d%u: frame %#lx cannot be its hypercall page", d->id, mfn.n);
        return -EINVAL;
    }
    pv_hypercall_page_fill(mfn_to_virt(mfn));
    frame_put_writable(frame_of(mfn));
    return 0;
}
