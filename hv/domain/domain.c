/* SPDX-License-Identifier: MIT */
/*
 * Making domains and vCPUs, and freeing what they were made of.
 *
 * A creation that fails half-way frees what there is by the same way that a
 * domain goes in the end: every part's free() copes with what was not made.
 */
#include "domain/internal.h"

#include "lib/string.h"
#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "x86/fpu.h"
#include "x86/smp.h"

#define RANGES_MAX  4096u /* pieces of a domain's rights to ports, device memory, interrupts */
#define TRAPS_BYTES (256 * sizeof(struct trap_info))

static struct domain idle_domain = { .id = DOMID_IDLE, .is_idle = true, .max_vcpus = NR_CPUS };

static const struct rangeset_alloc heap_ranges = { .alloc = heap_alloc, .free = heap_free };

/*
 * What vCPUs beyond the legacy ones have until they register their own, and all
 * at their end.  Nobody reads what is written here.
 */
struct vcpu_info vcpu_info_none = { .evtchn_upcall_mask = 1 };

/* -------------------------------------------------------------- domains -- */

static int make_shared_info(struct domain *d)
{
    d->shared_info = page_alloc_hv();
    if (d->shared_info == NULL) {
        return -ENOMEM;
    }
    d->shared_info_mfn = virt_to_mfn(d->shared_info);
    frame_share(d->shared_info, d->id, true);
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++) {
        d->shared_info->vcpu_info[i].evtchn_upcall_mask = 1;
    }
    domain_publish_wallclock(d);
    return 0;
}

static int make_parts(struct domain *d, const struct domain_config *config)
{
    for (unsigned int i = 0; domain_parts[i] != NULL; i++) {
        int rc = domain_parts[i]->create == NULL ? 0 : domain_parts[i]->create(d, config);

        if (rc != 0) {
            log_err("d%u: its %s cannot be made (error %d)", d->id, domain_parts[i]->name, -rc);
            return rc;
        }
    }
    return 0;
}

static void init_fields(struct domain *d, const struct domain_config *config)
{
    d->is_privileged = config->is_privileged;
    d->is_hardware = config->is_hardware;
    d->is_xenstore = config->is_xenstore;
    d->is_msr_relaxed = config->is_msr_relaxed;
    d->max_vcpus = config->max_vcpus;
    memcpy(d->handle, config->handle, sizeof(d->handle));
    d->pause_by_toolstack = 1;
    d->shutdown_code = SHUTDOWN_CODE_NONE;
    d->max_pages = config->is_hardware ? ~0ull : 0;
    d->drain_head = DRAIN_NONE;
    spin_lock_init(&d->lock, LOCK_RANK_DOMAIN);
    spin_lock_init(&d->pt_lock, LOCK_RANK_PT);
    spin_lock_init(&d->page_lock, LOCK_RANK_ACCOUNT);
    rangeset_init(&d->ioports, &heap_ranges, RANGES_MAX);
    rangeset_init(&d->iomem, &heap_ranges, RANGES_MAX);
    rangeset_init(&d->iomem_ro, &heap_ranges, RANGES_MAX);
    rangeset_init(&d->irqs, &heap_ranges, RANGES_MAX);
}

static int make_contents(struct domain *d, const struct domain_config *config)
{
    int rc;

    init_fields(d, config);
    rc = sched_group_create(&d->sched, config->pool_id);
    if (rc != 0) {
        log_warn("d%u: there is no CPU pool %u", d->id, config->pool_id);
        return -ESRCH;
    }
    d->has_sched = true;
    d->vcpus = heap_alloc(config->max_vcpus * sizeof(d->vcpus[0]));
    if (d->vcpus == NULL) {
        return -ENOMEM;
    }
    rc = make_shared_info(d);
    return rc != 0 ? rc : make_parts(d, config);
}

int domain_create(const struct domain_config *config, struct domain **dp)
{
    struct domain *d;
    int rc;

    if ((config->id >= DOMID_FIRST_RESERVED && config->id != DOMID_INVALID) ||
        config->max_vcpus == 0 || config->max_vcpus > DOMAIN_MAX_VCPUS) {
        return -EINVAL;
    }
    rc = domain_enter(config->id, &d);
    if (rc != 0) {
        return rc;
    }
    rc = make_contents(d, config);
    if (rc != 0) {
        domain_free_contents(d);
        domain_leave(d);
        return rc;
    }
    __atomic_store_n(&d->refs, 1, __ATOMIC_SEQ_CST); /* from now on it is found */
    *dp = d;
    return 0;
}

/* ---------------------------------------------------------------- vCPUs -- */

static struct vcpu *make_vcpu(struct domain *d, uint32_t id)
{
    struct vcpu *v = heap_alloc(sizeof(*v));

    if (v == NULL) {
        return NULL;
    }
    v->domain = d;
    v->id = id;
    v->info = &vcpu_info_none;
    v->info_mfn = MFN_INVALID;
    v->runstate.state = RUNSTATE_offline;
    return v;
}

static int make_vcpu_parts(struct vcpu *v)
{
    for (unsigned int i = 0; domain_parts[i] != NULL; i++) {
        int rc = domain_parts[i]->vcpu_create == NULL ? 0 : domain_parts[i]->vcpu_create(v);

        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static void free_vcpu(struct vcpu *v)
{
    for (unsigned int i = 0; domain_parts[i] != NULL; i++) {
        if (domain_parts[i]->vcpu_free != NULL) {
            domain_parts[i]->vcpu_free(v);
        }
    }
    if (v->unit.group != NULL) {
        sched_unit_destroy(&v->unit);
    }
    heap_free(v->pv.traps, TRAPS_BYTES);
    fpu_area_free(v->fpu);
    heap_free(v, sizeof(*v));
}

static int make_vcpu_contents(struct vcpu *v)
{
    v->pv.traps = heap_alloc(TRAPS_BYTES);
    v->fpu = fpu_area_alloc();
    if (v->pv.traps == NULL || v->fpu == NULL) {
        return -ENOMEM;
    }
    if (v->id < XEN_LEGACY_MAX_VCPUS) {
        v->info = (struct vcpu_info *)&v->domain->shared_info->vcpu_info[v->id];
    }
    sched_unit_create(&v->unit, &v->domain->sched, v->id);
    v->cpu = cpus[v->unit.cpu];
    return make_vcpu_parts(v);
}

/* It is paused as often as the others, and those that pause all count it from now on. */
static void publish_vcpu(struct vcpu *v)
{
    struct domain *d = v->domain;

    spin_lock(&d->lock);
    v->pause_count = d->pause_by_toolstack + d->is_shut_down;
    __atomic_store_n(&d->vcpus[v->id], v, __ATOMIC_RELEASE);
    spin_unlock(&d->lock);
}

int vcpu_create(struct domain *d, uint32_t id)
{
    struct vcpu *v;
    int rc;

    if (id >= d->max_vcpus) {
        return -EINVAL;
    }
    if (d->vcpus[id] != NULL) {
        return -EEXIST;
    }
    v = make_vcpu(d, id);
    if (v == NULL) {
        return -ENOMEM;
    }
    rc = make_vcpu_contents(v);
    if (rc != 0) {
        free_vcpu(v);
        return rc;
    }
    publish_vcpu(v);
    return 0;
}

int vcpu_create_idle(unsigned int cpu)
{
    static struct vcpu *idle_vcpus[NR_CPUS];
    struct vcpu *v = make_vcpu(&idle_domain, cpu);

    if (v == NULL) {
        return -ENOMEM;
    }
    idle_domain.vcpus = idle_vcpus;
    idle_vcpus[cpu] = v;
    v->is_idle = true;
    v->exit_work = EXIT_IDLE;
    v->cpu = cpus[cpu];
    sched_init_cpu(cpu, &v->unit);
    cpus[cpu]->curr = v;
    return 0;
}

struct vcpu *domain_vcpu(const struct domain *d, uint32_t id)
{
    return id < d->max_vcpus
               ? __atomic_load_n(&d->vcpus[array_index_nospec(id, d->max_vcpus)], __ATOMIC_ACQUIRE)
               : NULL;
}

/* -------------------------------------------------------------- freeing -- */

static void free_parts(struct domain *d)
{
    unsigned int nr = 0;

    while (domain_parts[nr] != NULL) {
        nr++;
    }
    while (nr-- > 0) {
        if (domain_parts[nr]->free != NULL) {
            domain_parts[nr]->free(d);
        }
    }
}

void domain_free_contents(struct domain *d)
{
    if (d->vcpus != NULL) {
        for (uint32_t i = 0; i < d->max_vcpus; i++) {
            if (d->vcpus[i] != NULL) {
                free_vcpu(d->vcpus[i]);
            }
        }
    }
    free_parts(d);
    if (d->shared_info != NULL) {
        frame_unshare(d->shared_info);
    }
    rangeset_destroy(&d->ioports);
    rangeset_destroy(&d->iomem);
    rangeset_destroy(&d->iomem_ro);
    rangeset_destroy(&d->irqs);
    heap_free(d->vcpus, d->max_vcpus * sizeof(d->vcpus[0]));
    if (d->has_sched) {
        sched_group_destroy(&d->sched);
    }
}
