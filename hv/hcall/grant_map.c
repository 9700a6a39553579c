/* SPDX-License-Identifier: MIT */
/*
 * grant_table_op: mapping and unmapping what others lend.
 *
 * A batch is done in stages.  The elements are read, their handles begun, and
 * the guest is told of success; then all are put into the page tables, or taken
 * out, in one hold of their lock, and where that fails the guest is told anew;
 * then the handles are ended.  Before those of what was taken out are, the CPUs
 * are flushed, once: from then on the lenders may use the frames.
 */
#include "hcall/grant.h"

#include "pv/mmu.h"
#include "sys/log.h"
#include "x86/pte.h"
#include "x86/smp.h"

#define WORDS(x)    (sizeof(x) / sizeof(uint64_t))
#define BATCH       16u
#define AVAIL_SHIFT 9 /* of the bits for the guest's use in a page-table entry */
#define AVAIL_MASK  7u

static inline uint64_t entry_of(mfn_t mfn, uint32_t flags)
{
    static_assert(GNTMAP_readonly == PTE_RW << 1, "the bit beside");

    return mmu_grant_entry(
        mfn, ((~flags & GNTMAP_readonly) >> 1) |
                 (flags >> (_GNTMAP_guest_avail0 - AVAIL_SHIFT) & AVAIL_MASK << AVAIL_SHIFT));
}

static always_inline int tell_status(int16_t *at, int16_t status)
{
    return put_user16((uint16_t)status, (uint16_t *)at);
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

/* Begin to end @op's handle, and say what is to be taken out of the page tables for it. */
static always_inline int16_t begin_unmap(struct domain *d, const struct gnttab_unmap_grant_ref *op,
                                         struct grant_mapping *m, struct mmu_grant *g,
                                         bool is_replace)
{
    int16_t status = grant_unmap_begin(d, op->handle, m);

    g->entry = 0;
    if (unlikely(status != GNTST_okay)) {
        return status;
    }
    if (!is_replace && (m->flags & GNTMAP_device_map) && op->dev_bus_addr != 0) {
        if (op->dev_bus_addr != m->mfn.n << PAGE_SHIFT) {
            return GNTST_bad_dev_addr;
        }
        m->left &= ~(uint32_t)GNTMAP_device_map;
    }
    if (likely((m->flags & GNTMAP_host_map) && op->host_addr != 0)) {
        m->left &= ~(uint32_t)GNTMAP_host_map;
        g->at = op->host_addr;
        g->entry = entry_of(m->mfn, m->flags);
        g->is_pte = m->flags & GNTMAP_contains_pte;
        g->replacement = is_replace ? op->dev_bus_addr : 0;
    }
    return GNTST_okay;
}

/* Handles whose frame could not be taken out stay as they were. */
static noinline long keep_mapped(struct gnttab_unmap_grant_ref *at, struct grant_mapping *m,
                                 const struct mmu_grant *g, uint32_t nr)
{
    long rc = 0;

    for (; nr > 0; nr--, at++, m++, g++) {
        if (g->rc != 0) {
            m->left = m->flags;
            rc = tell_status(&at->status, GNTST_general_error) != 0 ? -EFAULT : rc;
        }
    }
    return rc;
}

/* The CPUs forget what was taken out; then it is the lenders' again. */
static void end_unmaps(struct domain *d, const struct grant_mapping *m, uint32_t nr)
{
    struct cpumask cpus_used;

    mmu_tlb_cpus(d, NULL, 0, &cpus_used);
    tlb_flush_mask(&cpus_used);
    grant_unmap_end(d, m, nr);
}

static always_inline uint32_t unmap_list(struct gnttab_unmap_grant_ref *at, uint32_t nr, long *rc,
                                         bool is_replace)
{
    struct grant_mapping mappings[BATCH];
    struct mmu_grant grants[BATCH];
    struct vcpu *v = current();
    struct domain *d = v->domain;
    uint32_t i;

    *rc = mmu_drain(d);
    if (unlikely(*rc != 0)) {
        return 0;
    }
    for (i = 0; i < min(nr, BATCH) && *rc == 0; i++) {
        struct gnttab_unmap_grant_ref op;
        int16_t status;

        if (copy_user_words(&op, &at[i], WORDS(op)) != 0 ||
            tell_status(&at[i].status, GNTST_okay) != 0) {
            *rc = -EFAULT;
            break;
        }
        status = begin_unmap(d, &op, &mappings[i], &grants[i], is_replace);
        if (unlikely(status != GNTST_okay) && tell_status(&at[i].status, status) != 0) {
            *rc = -EFAULT;
        }
    }
    if (unlikely(!mmu_grant_unmap(v, grants, i)) && keep_mapped(at, mappings, grants, i) != 0) {
        *rc = -EFAULT;
    }
    end_unmaps(d, mappings, i);
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

/* ------------------------------------------------------------------ map -- */

/* The lender @id, with a reference; often it is @last, whom an element before holds. */
static always_inline struct domain *get_granter(domid_t id, struct domain *last)
{
    if (likely(last != NULL && last->id == id)) {
        domain_hold(last);
        return last;
    }
    return id == DOMID_SELF ? NULL : domain_get(id);
}

/* What was begun comes to nothing. */
static noinline void undo_map(struct domain *d, grant_handle_t *handle)
{
    if (*handle != GRANT_NO_HANDLE) {
        grant_map_undo(d, *handle);
        *handle = GRANT_NO_HANDLE;
    }
}

/* @granter has been got if it is there. */
static noinline long refuse_map(struct gnttab_map_grant_ref *at, domid_t granter_id,
                                struct domain *granter, struct mmu_grant *g, grant_handle_t *handle,
                                int64_t status)
{
    if (granter != NULL) {
        domain_put(granter);
    } else {
        log_guest(current()->domain->id, "maps a grant of d%u, which is not there", granter_id);
    }
    g->entry = 0;
    *handle = GRANT_NO_HANDLE;
    return tell_status(&at->status, (int16_t)status);
}

/* The word of domid, status, and handle. */
static always_inline uint64_t answer(domid_t granter_id, int16_t status, grant_handle_t handle)
{
    static_assert(offsetof(struct gnttab_map_grant_ref, dom) == 16 &&
                      offsetof(struct gnttab_map_grant_ref, status) == 18 &&
                      offsetof(struct gnttab_map_grant_ref, handle) == 20,
                  "they lie in one word");

    return (uint64_t)handle << 32 | (uint32_t)(uint16_t)status << 16 | granter_id;
}

/* The handle, and the bus address. */
static always_inline int tell_map(struct gnttab_map_grant_ref *at, domid_t granter_id,
                                  grant_handle_t handle, mfn_t mfn)
{
    user_open();
    user_store(answer(granter_id, GNTST_okay, handle), (uint64_t *)at + 2, fault);
    user_store(mfn.n << PAGE_SHIFT, &at->dev_bus_addr, fault);
    user_close();
    return 0;
fault:
    user_close();
    return -EFAULT;
}

/*
 * Make a handle for @op, say how to map it, and tell the guest: 0 or -EFAULT.
 * *@last is its granter then, or NULL if it is refused.
 */
static always_inline long begin_map(struct domain *d, struct gnttab_map_grant_ref *at,
                                    const struct gnttab_map_grant_ref *op, struct mmu_grant *g,
                                    grant_handle_t *handle, struct domain **last)
{
    struct domain *granter = get_granter(op->dom, *last);
    uint32_t flags = op->flags;
    int64_t mfn;

    *last = NULL;
    if (unlikely(granter == NULL)) {
        return refuse_map(at, op->dom, NULL, g, handle, GNTST_bad_domain);
    }
    if (unlikely(!(flags & (GNTMAP_host_map | GNTMAP_device_map)))) {
        return refuse_map(at, op->dom, granter, g, handle, GNTST_bad_gntref);
    }
    mfn = grant_map_begin(d, granter, op->ref, flags, handle);
    if (unlikely(mfn < 0)) {
        return refuse_map(at, op->dom, granter, g, handle, mfn);
    }
    g->at = op->host_addr;
    g->entry = likely(flags & GNTMAP_host_map) ? entry_of(MFN((uint64_t)mfn), flags) : 0;
    g->owner = op->dom;
    g->is_pte = flags & GNTMAP_contains_pte;
    if (unlikely(tell_map(at, op->dom, *handle, MFN((uint64_t)mfn)) != 0)) {
        undo_map(d, handle);
        return -EFAULT;
    }
    *last = granter;
    return 0;
}

/* There is no handle after all. */
static int tell_failure(struct gnttab_map_grant_ref *at, domid_t granter_id)
{
    return put_user64(answer(granter_id, GNTST_general_error, GRANT_NO_HANDLE), (uint64_t *)at + 2);
}

/* Not all could be mapped.  Returns how many are finished; the rest comes after a drain, anew. */
static noinline uint32_t fail_maps(struct domain *d, struct gnttab_map_grant_ref *at,
                                   const struct mmu_grant *grants, grant_handle_t *handles,
                                   uint32_t nr, long *rc)
{
    uint32_t nr_done = 0;

    for (uint32_t i = 0; i < nr; i++) {
        if (grants[i].rc != 0) {
            undo_map(d, &handles[i]);
        }
        if (grants[i].rc == -ERESTART) {
            *rc = -ERESTART;
            continue;
        }
        if (grants[i].rc != 0 && tell_failure(&at[i], grants[i].owner) != 0) {
            *rc = -EFAULT;
        }
        nr_done++;
    }
    return nr_done;
}

uint32_t hcall_grant_map(void *list, uint32_t nr, long *rc)
{
    struct gnttab_map_grant_ref *at = list;
    struct vcpu *v = current();
    struct domain *d = v->domain, *granter = NULL;
    struct mmu_grant grants[BATCH];
    grant_handle_t handles[BATCH];
    uint32_t i;

    *rc = mmu_drain(d);
    if (unlikely(*rc != 0)) {
        return 0;
    }
    for (i = 0; i < min(nr, BATCH); i++) {
        struct gnttab_map_grant_ref op;

        /* The last word is only told. */
        if (copy_user_words(&op, &at[i], WORDS(op) - 1) != 0 ||
            begin_map(d, &at[i], &op, &grants[i], &handles[i], &granter) != 0) {
            *rc = -EFAULT;
            break;
        }
    }
    if (unlikely(!mmu_grant_map(v, grants, i))) {
        i = fail_maps(d, at, grants, handles, i, rc);
    }
    grant_map_end(d, handles, i);
    return i;
}
