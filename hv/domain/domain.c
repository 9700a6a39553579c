/* SPDX-License-Identifier: MIT */
/*
 * Domains and vCPUs: creation, finding, pausing, shutting down.
 *
 * Numbers lead to domains through a table of two levels that readers use
 * without a lock: an entry is published when its domain is complete.  The
 * second level comes page by page, so the table costs nothing for numbers that
 * are not in use and has no limit but the ABI's (DOMID_FIRST_RESERVED).
 */
#include "domain/domain.h"

#include <xen/sched.h>

#include "lib/format.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "x86/fpu.h"
#include "x86/smp.h"

#define IDS_PER_PAGE (PAGE_SIZE / sizeof(struct domain *))
#define NR_ID_PAGES  (DOMID_FIRST_RESERVED / IDS_PER_PAGE + 1)
#define RANGES_MAX   4096u /* pieces of a domain's rights to ports, device memory, interrupts */

static struct spinlock domlist_lock = SPINLOCK_INIT(LOCK_RANK_DOMLIST);
static struct domain **id_pages[NR_ID_PAGES]; /* entries written under domlist_lock */
static struct domain idle_domain = { .id = DOMID_IDLE, .is_idle = true, .max_vcpus = NR_CPUS };

static const struct rangeset_alloc heap_ranges = { .alloc = heap_alloc, .free = heap_free };

/* ------------------------------------------------------------- finding -- */

static struct domain *peek(unsigned int id)
{
    struct domain **page = READ_ONCE(id_pages[id / IDS_PER_PAGE]);

    return page == NULL ? NULL : READ_ONCE(page[id % IDS_PER_PAGE]);
}

struct domain *domain_get(domid_t id)
{
    struct domain *d = NULL;

    if (id == DOMID_SELF) {
        d = current()->domain;
    } else if (id < DOMID_FIRST_RESERVED) {
        d = peek(id);
    }
    if (d != NULL) {
        __atomic_fetch_add(&d->refs, 1, __ATOMIC_SEQ_CST);
    }
    return d;
}

struct domain *domain_get_next(domid_t id)
{
    for (unsigned int i = id; i < DOMID_FIRST_RESERVED; i++) {
        struct domain *d;

        if (i % IDS_PER_PAGE == 0 && READ_ONCE(id_pages[i / IDS_PER_PAGE]) == NULL) {
            i += IDS_PER_PAGE - 1;
            continue;
        }
        d = domain_get((domid_t)i);
        if (d != NULL) {
            return d;
        }
    }
    return NULL;
}

void domain_put(struct domain *d)
{
    uint32_t left = __atomic_sub_fetch(&d->refs, 1, __ATOMIC_SEQ_CST);

    ASSERT(left > 0); /* the table itself holds one */
    (void)left;
}

static int publish(struct domain *d)
{
    struct domain **page;
    int rc = 0;

    spin_lock(&domlist_lock);
    page = id_pages[d->id / IDS_PER_PAGE];
    if (page == NULL) {
        page = page_alloc_hv();
        if (page == NULL) {
            rc = -ENOMEM;
            goto unlock;
        }
        __atomic_store_n(&id_pages[d->id / IDS_PER_PAGE], page, __ATOMIC_RELEASE);
    }
    if (page[d->id % IDS_PER_PAGE] != NULL) {
        rc = -EEXIST;
        goto unlock;
    }
    __atomic_store_n(&page[d->id % IDS_PER_PAGE], d, __ATOMIC_RELEASE);

unlock:
    spin_unlock(&domlist_lock);
    return rc;
}

/* ------------------------------------------------------------ creation -- */

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
    return 0;
}

static int make_parts(struct domain *d, const struct domain_config *config)
{
    for (unsigned int i = 0; domain_parts[i] != NULL; i++) {
        int rc = domain_parts[i]->create == NULL ? 0 : domain_parts[i]->create(d, config);

        if (rc != 0) {
            log_err("d%u: its %s cannot be made (error %d)", d->id, domain_parts[i]->name, rc);
            return rc;
        }
    }
    return 0;
}

static void init_fields(struct domain *d, const struct domain_config *config)
{
    d->id = config->id;
    d->is_privileged = config->is_privileged;
    d->is_hardware = config->is_hardware;
    d->max_vcpus = config->max_vcpus;
    d->refs = 1;
    d->pause_by_toolstack = 1;
    d->max_pages = ~0ull;
    d->drain_head = DRAIN_NONE;
    spin_lock_init(&d->lock, LOCK_RANK_DOMAIN);
    spin_lock_init(&d->pt_lock, LOCK_RANK_PT);
    spin_lock_init(&d->page_lock, LOCK_RANK_ACCOUNT);
    rangeset_init(&d->ioports, &heap_ranges, RANGES_MAX);
    rangeset_init(&d->iomem, &heap_ranges, RANGES_MAX);
    rangeset_init(&d->iomem_ro, &heap_ranges, RANGES_MAX);
    rangeset_init(&d->irqs, &heap_ranges, RANGES_MAX);
}

int domain_create(const struct domain_config *config, struct domain **dp)
{
    struct domain *d;
    int rc;

    if (config->id >= DOMID_FIRST_RESERVED || config->max_vcpus == 0 ||
        config->max_vcpus > DOMAIN_MAX_VCPUS) {
        return -EINVAL;
    }
    d = heap_alloc(sizeof(*d));
    if (d == NULL) {
        return -ENOMEM;
    }
    init_fields(d, config);
    rc = sched_group_create(&d->sched, config->pool_id);
    if (rc != 0) {
        log_warn("d%u: there is no CPU pool %u", d->id, config->pool_id);
        goto free_domain;
    }
    rc = -ENOMEM;
    d->vcpus = heap_alloc(config->max_vcpus * sizeof(d->vcpus[0]));
    if (d->vcpus == NULL) {
        goto leave_pool;
    }
    rc = make_shared_info(d);
    if (rc != 0) {
        goto free_vcpus;
    }
    domain_publish_wallclock(d);
    rc = make_parts(d, config);
    if (rc == 0) {
        rc = publish(d);
    }
    if (rc == 0) {
        *dp = d;
        return 0;
    }
    page_free_hv(d->shared_info);
free_vcpus:
    heap_free(d->vcpus, config->max_vcpus * sizeof(d->vcpus[0]));
leave_pool:
    sched_group_destroy(&d->sched);
free_domain:
    heap_free(d, sizeof(*d));
    return rc;
}

static struct vcpu *make_vcpu(struct domain *d, uint32_t id)
{
    struct vcpu *v = heap_alloc(sizeof(*v));

    if (v == NULL) {
        return NULL;
    }
    v->domain = d;
    v->id = id;
    v->pause_count = d->pause_by_toolstack;
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
    rc = -ENOMEM;
    v->pv.traps = heap_alloc(256 * sizeof(v->pv.traps[0]));
    v->fpu = fpu_area_alloc();
    /* Beyond the legacy ones, vCPUs share a page of ours until they register their own. */
    v->info = id < XEN_LEGACY_MAX_VCPUS ? (struct vcpu_info *)&d->shared_info->vcpu_info[id]
                                        : heap_alloc(sizeof(struct vcpu_info));
    if (v->pv.traps == NULL || v->fpu == NULL || v->info == NULL) {
        goto free_vcpu;
    }
    WRITE_ONCE(v->info->evtchn_upcall_mask, 1);
    sched_unit_create(&v->unit, &d->sched, id);
    v->cpu = cpus[v->unit.cpu];
    rc = make_vcpu_parts(v);
    if (rc == 0) {
        __atomic_store_n(&d->vcpus[id], v, __ATOMIC_RELEASE);
        return 0;
    }
free_vcpu:
    heap_free(v->pv.traps, 256 * sizeof(v->pv.traps[0]));
    fpu_area_free(v->fpu);
    heap_free(v, sizeof(*v));
    return rc;
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
    return id < d->max_vcpus ? __atomic_load_n(&d->vcpus[id], __ATOMIC_ACQUIRE) : NULL;
}

/* ------------------------------------------------- running and pausing -- */

bool vcpu_is_runnable(const struct sched_unit *u)
{
    const struct vcpu *v = container_of(u, struct vcpu, unit);

    return v->is_online && READ_ONCE(v->pause_count) == 0 && READ_ONCE(v->blocked) == VCPU_AWAKE;
}

void vcpu_pause_nosync(struct vcpu *v)
{
    __atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
    sched_sleep_nosync(&v->unit);
}

void vcpu_pause(struct vcpu *v)
{
    ASSERT(v != current());
    __atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
    sched_sleep_sync(&v->unit);
}

void vcpu_unpause(struct vcpu *v)
{
    if (__atomic_sub_fetch(&v->pause_count, 1, __ATOMIC_SEQ_CST) == 0) {
        vcpu_wake(v);
    }
}

void domain_pause(struct domain *d)
{
    struct vcpu *v;
    uint32_t i;

    for_each_vcpu(d, v, i) {
        vcpu_pause(v);
    }
}

void domain_unpause(struct domain *d)
{
    struct vcpu *v;
    uint32_t i;

    for_each_vcpu(d, v, i) {
        vcpu_unpause(v);
    }
}

void domain_pause_by_toolstack(struct domain *d)
{
    spin_lock(&d->lock);
    d->pause_by_toolstack++;
    spin_unlock(&d->lock);
    domain_pause(d);
}

int domain_unpause_by_toolstack(struct domain *d)
{
    bool was_paused;

    spin_lock(&d->lock);
    was_paused = d->pause_by_toolstack != 0;
    if (was_paused) {
        d->pause_by_toolstack--;
    }
    spin_unlock(&d->lock);
    if (was_paused) {
        domain_unpause(d);
    }
    return was_paused ? 0 : -EINVAL;
}

/* True for the first to shut it down. */
static bool begin_shutdown(struct domain *d, uint8_t reason)
{
    bool is_first;

    spin_lock(&d->lock);
    is_first = !d->is_shut_down;
    if (is_first) {
        d->is_shut_down = true;
        d->shutdown_code = reason;
    }
    spin_unlock(&d->lock);
    return is_first;
}

void domain_shutdown(struct domain *d, uint8_t reason)
{
    struct vcpu *v;
    uint32_t i;

    if (d->is_hardware) {
        domain_host_ops.hardware_domain_gone(reason);
    }
    if (!begin_shutdown(d, reason)) {
        return;
    }
    for_each_vcpu(d, v, i) {
        vcpu_pause_nosync(v);
    }
    domain_host_ops.raise_dom_exc();
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
    char why[160];
    va_list args;

    va_start(args, fmt);
    format_vstring(why, sizeof(why), fmt, args);
    va_end(args);
    if (!d->is_shut_down) {
        log_err("d%u crashed: %s", d->id, why);
    }
    domain_shutdown(d, SHUTDOWN_crash);
}
