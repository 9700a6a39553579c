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

static always_inline uint64_t *find_entry(const struct pt_ctx *c, const struct vcpu *v, uint64_t at,
                                          bool is_pte)
{
    return unlikely(is_pte) ? entry_at(c, at) : pt_find_l1_entry(v->pv.cr3_kernel, at);
}

/* The new value holds what it needs; the old one loses what it held. */
static always_inline void replace(uint64_t *entry, uint64_t new)
{
    uint64_t old = __atomic_exchange_n(entry, new, __ATOMIC_SEQ_CST);

    if (old & PTE_P) {
        pt_put_l1_target(old);
    }
}

int mmu_grant_map(struct vcpu *v, uint64_t at, bool is_pte, uint64_t new, domid_t owner)
{
    uint64_t *entry;
    struct pt_ctx c;
    int rc = mmu_drain(v->domain);

    if (unlikely(rc != 0)) {
        return rc;
    }
    pt_begin(&c, v->domain, owner);
    entry = find_entry(&c, v, at, is_pte);
    rc = likely(entry != NULL) ? pt_get_l1_target(&c, new)
                               : pt_refuse(&c, "there is no level-1 entry for a grant", at);
    if (likely(rc == 0)) {
        replace(entry, new);
    }
    pt_end(&c);
    return rc;
}

/* Take what is mapped at @va out of there; what it holds goes with it.  -EINVAL: nothing can be. */
static noinline int take_entry(struct pt_ctx *c, const struct vcpu *v, uint64_t va,
                               const uint64_t *to, uint64_t *value)
{
    uint64_t *from = pt_find_l1_entry(v->pv.cr3_kernel, va);

    if (from == NULL || from == to) {
        return pt_refuse(c, "nothing is there to replace a grant by", va);
    }
    *value = __atomic_exchange_n(from, 0, __ATOMIC_SEQ_CST);
    return 0;
}

int mmu_grant_unmap(struct vcpu *v, uint64_t at, bool is_pte, uint64_t old, uint64_t replacement)
{
    uint64_t *entry, new = 0;
    struct pt_ctx c;
    int rc = mmu_drain(v->domain);

    if (unlikely(rc != 0)) {
        return rc;
    }
    pt_begin(&c, v->domain, v->domain->id);
    entry = find_entry(&c, v, at, is_pte);
    if (unlikely(entry == NULL || ((READ_ONCE(*entry) ^ old) & ENTRY_IS_OURS))) {
        rc = pt_refuse(&c, "a grant is not mapped there", at);
    } else if (unlikely(replacement != 0)) {
        rc = is_pte ? pt_refuse(&c, "only an address can be replaced by another", replacement)
                    : take_entry(&c, v, replacement, entry, &new);
    }
    if (likely(rc == 0)) {
        replace(entry, new);
    }
    pt_end(&c);
    return rc;
}
