/* SPDX-License-Identifier: MIT */
/*
 * grant_table_op: mapping and unmapping what others lend.
 *
 * A batch of unmappings takes all of them out of the page tables, flushes once,
 * and only then gives them back: their lenders may use the frames at once.
 */
#include "hcall/grant.h"

#include "pv/mmu.h"
#include "sys/log.h"
#include "x86/pte.h"
#include "x86/smp.h"

#define MAP_BATCH   16u
#define UNMAP_BATCH 16u
#define AVAIL_SHIFT 9 /* of the bits for the guest's use in a page-table entry */
#define AVAIL_MASK  7u

static inline bool flags_all(uint32_t flags, uint32_t wanted)
{
    return (flags & wanted) == wanted;
}

static struct mmu_grant place_of(const struct grant_mapping *m, uint64_t at, uint64_t pte)
{
    return (struct mmu_grant){ .at = at,
                               .is_pte = flags_all(m->flags, GNTMAP_contains_pte),
                               .mfn = m->mfn,
                               .owner = m->granter->id,
                               .pte = pte };
}

/* ------------------------------------------------------------------ map -- */

static uint64_t pte_bits(uint32_t flags)
{
    return (flags & GNTMAP_readonly ? 0 : PTE_RW) |
           (uint64_t)(flags >> _GNTMAP_guest_avail0 & AVAIL_MASK) << AVAIL_SHIFT;
}

/* Put it into the page tables, and the result into @op. */
static long map_host(struct grant_mapping *m, const struct gnttab_map_grant_ref *op)
{
    const struct mmu_grant place = place_of(m, op->host_addr, pte_bits(op->flags));

    return mmu_grant_map(current(), &place);
}

static long map_one(struct gnttab_map_grant_ref *op)
{
    struct domain *d = current()->domain;
    struct grant_mapping m = { .ref = op->ref, .flags = op->flags };
    long rc = 0;

    if (unlikely(!(op->flags & (GNTMAP_host_map | GNTMAP_device_map)))) {
        op->status = GNTST_bad_gntref;
        return 0;
    }
    m.granter = op->dom == DOMID_SELF ? NULL : domain_get(op->dom);
    if (unlikely(m.granter == NULL)) {
        log_guest(d->id, "maps a grant of d%u, which is not there", op->dom);
        op->status = GNTST_bad_domain;
        return 0;
    }
    op->status = grant_map_begin(d, &m);
    if (unlikely(op->status != GNTST_okay)) {
        domain_put(m.granter);
        return 0;
    }
    if (likely(op->flags & GNTMAP_host_map)) {
        rc = map_host(&m, op);
    }
    grant_map_end(d, &m, rc == 0);
    if (unlikely(rc != 0)) {
        domain_put(m.granter);
        op->status = GNTST_general_error;
        return rc == -ERESTART ? rc : 0;
    }
    op->handle = m.handle;
    op->dev_bus_addr = m.mfn.n << PAGE_SHIFT;
    return 0;
}

uint32_t hcall_grant_map(struct guest_ptr list, uint32_t nr, long *rc)
{
    uint32_t i;

    for (i = 0; i < min(nr, MAP_BATCH); i++) {
        struct guest_ptr at = guest_ptr_add(list, i * sizeof(struct gnttab_map_grant_ref));
        struct gnttab_map_grant_ref op;

        if (copy_from_guest(&op, at, sizeof(op)) != 0) {
            *rc = -EFAULT;
            break;
        }
        *rc = map_one(&op);
        if (unlikely(*rc != 0)) {
            break;
        }
        if (copy_to_guest(at, &op, sizeof(op)) != 0) {
            *rc = -EFAULT;
            break;
        }
    }
    return i;
}

/* ---------------------------------------------------------------- unmap -- */

/* An element of either operation: the second address is the one of the device, or the one to
 * replace by. */
static_assert(sizeof(struct gnttab_unmap_and_replace) == sizeof(struct gnttab_unmap_grant_ref) &&
                  offsetof(struct gnttab_unmap_and_replace, new_addr) ==
                      offsetof(struct gnttab_unmap_grant_ref, dev_bus_addr) &&
                  offsetof(struct gnttab_unmap_and_replace, handle) ==
                      offsetof(struct gnttab_unmap_grant_ref, handle) &&
                  offsetof(struct gnttab_unmap_and_replace, status) ==
                      offsetof(struct gnttab_unmap_grant_ref, status),
              "one decoder does both");

struct unmapping {
    struct grant_mapping m;
    uint32_t flags; /* of m, those that stay */
};

/* Take it out of the page tables and leave the handle to be ended after the flush. */
static long unmap_one(struct unmapping *u, uint64_t host_addr, uint64_t dev_bus_addr,
                      uint64_t replacement)
{
    uint32_t flags = u->m.flags;

    if ((flags & GNTMAP_device_map) && dev_bus_addr != 0) {
        if (dev_bus_addr != u->m.mfn.n << PAGE_SHIFT) {
            return GNTST_bad_dev_addr;
        }
        flags &= ~(uint32_t)GNTMAP_device_map;
    }
    if (likely((flags & GNTMAP_host_map) && host_addr != 0)) {
        const struct mmu_grant place = place_of(&u->m, host_addr, pte_bits(flags));
        long rc = mmu_grant_unmap(current(), &place, replacement);

        if (unlikely(rc != 0)) {
            return rc == -ERESTART ? rc : GNTST_general_error;
        }
        flags &= ~(uint32_t)GNTMAP_host_map;
    }
    u->flags = flags;
    return GNTST_okay;
}

/* The CPUs forget what was unmapped; then it is the lenders' again. */
static void end_batch(struct domain *d, const struct unmapping *batch, uint32_t nr)
{
    struct cpumask cpus_used;

    if (unlikely(nr == 0)) {
        return;
    }
    mmu_tlb_cpus(d, NULL, 0, &cpus_used);
    tlb_flush_mask(&cpus_used);
    for (uint32_t i = 0; i < nr; i++) {
        grant_unmap_end(d, &batch[i].m, batch[i].flags);
    }
}

static always_inline uint32_t unmap_list(struct guest_ptr list, uint32_t nr, long *rc,
                                         bool is_replace)
{
    struct domain *d = current()->domain;
    struct unmapping batch[UNMAP_BATCH];
    uint32_t i, nr_begun = 0;

    for (i = 0; i < min(nr, UNMAP_BATCH); i++) {
        struct guest_ptr at = guest_ptr_add(list, i * sizeof(struct gnttab_unmap_grant_ref));
        struct unmapping *u = &batch[nr_begun];
        struct gnttab_unmap_grant_ref op;
        long status;

        if (copy_from_guest(&op, at, sizeof(op)) != 0) {
            *rc = -EFAULT;
            break;
        }
        u->m.handle = op.handle;
        status = grant_unmap_begin(d, &u->m);
        if (likely(status == GNTST_okay)) {
            u->flags = u->m.flags;
            nr_begun++;
            status = is_replace ? unmap_one(u, op.host_addr, 0, op.dev_bus_addr)
                                : unmap_one(u, op.host_addr, op.dev_bus_addr, 0);
            if (unlikely(status == -ERESTART)) {
                *rc = status;
                break;
            }
        }
        op.status = (int16_t)status;
        if (copy_to_guest(at, &op, sizeof(op)) != 0) {
            *rc = -EFAULT;
            break;
        }
    }
    end_batch(d, batch, nr_begun);
    return i;
}

uint32_t hcall_grant_unmap(struct guest_ptr list, uint32_t nr, long *rc)
{
    return unmap_list(list, nr, rc, false);
}

uint32_t hcall_grant_replace(struct guest_ptr list, uint32_t nr, long *rc)
{
    return unmap_list(list, nr, rc, true);
}
