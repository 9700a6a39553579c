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

#define WORDS(x)    (sizeof(x) / sizeof(uint64_t))
#define MAP_BATCH   16u
#define UNMAP_BATCH 16u
#define AVAIL_SHIFT 9 /* of the bits for the guest's use in a page-table entry */
#define AVAIL_MASK  7u

/* ------------------------------------------------------------------ map -- */

static uint64_t pte_bits(uint32_t flags)
{
    return (flags & GNTMAP_readonly ? 0 : PTE_RW) |
           (uint64_t)(flags >> _GNTMAP_guest_avail0 & AVAIL_MASK) << AVAIL_SHIFT;
}

static noinline long refuse_map(struct gnttab_map_grant_ref *op, struct domain *granter,
                                long status)
{
    if (granter != NULL) {
        domain_put(granter);
    }
    op->status = (int16_t)status;
    return 0;
}

static always_inline long map_one(struct domain *d, struct gnttab_map_grant_ref *op)
{
    struct domain *granter = op->dom == DOMID_SELF ? NULL : domain_get(op->dom);
    uint32_t flags = op->flags;
    grant_handle_t handle;
    int64_t mfn;
    long rc = 0;

    if (unlikely(granter == NULL)) {
        log_guest(d->id, "maps a grant of d%u, which is not there", op->dom);
        return refuse_map(op, NULL, GNTST_bad_domain);
    }
    if (unlikely(!(flags & (GNTMAP_host_map | GNTMAP_device_map)))) {
        return refuse_map(op, granter, GNTST_bad_gntref);
    }
    mfn = grant_map_begin(d, granter, op->ref, flags, &handle);
    if (unlikely(mfn < 0)) {
        return refuse_map(op, granter, mfn);
    }
    if (likely(flags & GNTMAP_host_map)) {
        rc = mmu_grant_map(current(), op->host_addr, flags & GNTMAP_contains_pte,
                           mmu_grant_entry(MFN((uint64_t)mfn), pte_bits(flags)), granter->id);
    }
    grant_map_end(d, handle, flags, rc == 0);
    if (unlikely(rc != 0)) {
        refuse_map(op, granter, GNTST_general_error);
        return rc == -ERESTART ? rc : 0;
    }
    op->status = GNTST_okay;
    op->handle = handle;
    op->dev_bus_addr = (uint64_t)mfn << PAGE_SHIFT;
    return 0;
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
        long rc = mmu_grant_unmap(current(), host_addr, flags & GNTMAP_contains_pte,
                                  mmu_grant_entry(u->m.mfn, pte_bits(flags)), replacement);

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

/* --- lists --- */

/* The guest does not learn of a mapping: it must not be there. */
static noinline void undo_map(struct domain *d, const struct gnttab_map_grant_ref *op)
{
    struct unmapping u;

    if (op->status != GNTST_okay || grant_unmap_begin(d, op->handle, &u.m) != GNTST_okay) {
        return;
    }
    u.flags = u.m.flags;
    if (unmap_one(&u, op->host_addr, op->dev_bus_addr, 0) != GNTST_okay) {
        log_guest(d->id, "cannot be told of a grant that it mapped, and keeps it");
    }
    end_batch(d, &u, 1);
}

uint32_t hcall_grant_map(void *list, uint32_t nr, long *rc)
{
    struct domain *d = current()->domain;
    struct gnttab_map_grant_ref *at = list;
    uint32_t i;

    for (i = 0; i < min(nr, MAP_BATCH); i++, at++) {
        struct gnttab_map_grant_ref op;

        if (copy_user_words(&op, at, WORDS(op)) != 0) {
            *rc = -EFAULT;
            break;
        }
        *rc = map_one(d, &op);
        if (unlikely(*rc != 0)) {
            break;
        }
        /* Status and handle, and the bus address. */
        if (copy_user_words((uint64_t *)at + 2, (const uint64_t *)&op + 2, WORDS(op) - 2) != 0) {
            undo_map(d, &op);
            *rc = -EFAULT;
            break;
        }
    }
    return i;
}

static always_inline uint32_t unmap_list(void *list, uint32_t nr, long *rc, bool is_replace)
{
    struct domain *d = current()->domain;
    struct gnttab_unmap_grant_ref *at = list;
    struct unmapping batch[UNMAP_BATCH];
    uint32_t i, nr_begun = 0;

    for (i = 0; i < min(nr, UNMAP_BATCH); i++, at++) {
        struct unmapping *u = &batch[nr_begun];
        struct gnttab_unmap_grant_ref op;
        long status;

        if (copy_user_words(&op, at, WORDS(op)) != 0) {
            *rc = -EFAULT;
            break;
        }
        status = grant_unmap_begin(d, op.handle, &u->m);
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
        if (put_user64(((const uint64_t *)&op)[2], (uint64_t *)at + 2) != 0) {
            *rc = -EFAULT;
            break;
        }
    }
    end_batch(d, batch, nr_begun);
    return i;
}

uint32_t hcall_grant_unmap(void *list, uint32_t nr, long *rc)
{
    return unmap_list(list, nr, rc, false);
}

uint32_t hcall_grant_replace(void *list, uint32_t nr, long *rc)
{
    return unmap_list(list, nr, rc, true);
}
