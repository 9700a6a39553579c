/* SPDX-License-Identifier: MIT */
/*
 * Granted frames in a guest's page tables.
 *
 * An entry that maps a granted frame is an entry like any other that maps
 * another domain's frame: it holds a reference, and a use as writable memory if
 * it is writable (theory: types.c, entry.c), and whoever overwrites or drops it
 * needs not know where it came from.  The borrower's handle holds the same once
 * more, in the pin of the lender's entry (grant/pin.c).  So:
 *
 *  - a guest may overwrite the entry by an ordinary update, or give up the whole
 *    table, or die with it: that drops what the entry holds, and the handle
 *    keeps the frame from being freed, and the lender from believing that it is
 *    free, until it is given back;
 *  - it may give back the handle and keep an entry that it cannot be told to
 *    clear (host_addr 0 leaves the handle as it is; an entry that it had
 *    somewhere else only by its right to map the lender's frames): that keeps
 *    the frame, as any mapping does.
 *
 * Attributes of the entry are ours alone: never others than write-back.  Not
 * executable.  Unmapping looks at what the entry maps, not at how it was made.
 */
#include "pv/mmu.h"

#include "pv/pv.h"
#include "pv/types.h"
#include "sys/softirq.h"

#define GRANT_PTE     (PTE_P | PTE_US | PTE_A | PTE_D | PTE_NX)
#define ENTRY_IS_OURS (PTE_P | PTE_RW | PTE_ADDRESS) /* an entry that has these maps the grant */

/* The entry of a valid level-1 table of the domain's at machine address @at; NULL: it is none. */
static uint64_t *entry_at(const struct pt_ctx *c, uint64_t at)
{
    mfn_t mfn = paddr_to_mfn(PADDR(at));
    const struct frame *f;

    if (at % sizeof(uint64_t) != 0 || !frame_valid(mfn)) {
        return NULL;
    }
    f = frame_named(mfn);
    if (!pt_owns(c->d, f) || frame_type(f) != FT_L1 || !(READ_ONCE(f->type) & FRAME_VALIDATED)) {
        return NULL;
    }
    speculation_barrier(); /* before the entry is looked at */
    return phys_to_virt(PADDR(at));
}

static inline uint64_t *find_entry(const struct pt_ctx *c, const struct vcpu *v,
                                   const struct mmu_grant *g)
{
    return g->is_pte ? entry_at(c, g->at) : pt_find_l1_entry(v->pv.cr3_kernel, g->at);
}

/* The new value holds what it needs; the old one loses what it held. */
static inline void replace(uint64_t *entry, uint64_t new)
{
    uint64_t old = __atomic_exchange_n(entry, new, __ATOMIC_SEQ_CST);

    if (old & PTE_P) {
        pt_put_l1_target(old);
    }
}

static inline uint64_t entry_of(const struct mmu_grant *g)
{
    return g->mfn.n << PAGE_SHIFT | GRANT_PTE | g->pte;
}

static int set_entry(struct pt_ctx *c, const struct vcpu *v, const struct mmu_grant *g)
{
    uint64_t *entry = find_entry(c, v, g), new = entry_of(g);
    int rc;

    if (unlikely(entry == NULL)) {
        return pt_refuse(c, "there is no level-1 entry for a grant", g->at);
    }
    rc = pt_get_l1_target(c, new);
    if (likely(rc == 0)) {
        replace(entry, new);
    }
    return rc;
}

static int clear_entry(struct pt_ctx *c, const struct vcpu *v, const struct mmu_grant *g,
                       uint64_t replacement)
{
    uint64_t *entry = find_entry(c, v, g), *from = NULL, new = 0;

    if (unlikely(entry == NULL || ((READ_ONCE(*entry) ^ entry_of(g)) & ENTRY_IS_OURS))) {
        return pt_refuse(c, "a grant is not mapped there", g->at);
    }
    if (unlikely(replacement != 0)) {
        from = pt_find_l1_entry(v->pv.cr3_kernel, replacement);
        if (g->is_pte || from == NULL || from == entry) {
            return pt_refuse(c, "nothing is there to replace a grant by", replacement);
        }
        /* What it holds moves with it. */
        new = __atomic_exchange_n(from, 0, __ATOMIC_SEQ_CST);
    }
    replace(entry, new);
    return 0;
}

int mmu_grant_map(struct vcpu *v, const struct mmu_grant *g)
{
    struct pt_ctx c;
    int rc = mmu_drain(v->domain);

    if (likely(rc == 0)) {
        pt_begin(&c, v->domain, g->owner);
        rc = set_entry(&c, v, g);
        pt_end(&c);
    }
    return rc;
}

int mmu_grant_unmap(struct vcpu *v, const struct mmu_grant *g, uint64_t replacement)
{
    struct pt_ctx c;
    int rc = mmu_drain(v->domain);

    if (likely(rc == 0)) {
        pt_begin(&c, v->domain, g->owner);
        rc = clear_entry(&c, v, g, replacement);
        pt_end(&c);
    }
    return rc;
}
