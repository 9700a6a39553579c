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

/* The level-1 table that was found last, and an address that it maps; NULL: none yet. */
struct window {
    uint64_t *table;
    uint64_t va;
};

#define WINDOW_SHIFT 21 /* of what a level-1 table maps */

static always_inline uint64_t *find_entry(const struct pt_ctx *c, const struct vcpu *v,
                                          struct window *w, const struct mmu_grant *g)
{
    if (unlikely(g->is_pte)) {
        return entry_at(c, g->at);
    }
    if (unlikely(w->table == NULL || (w->va ^ g->at) >> WINDOW_SHIFT)) {
        w->table = pt_find_l1_table(v->pv.cr3_kernel, g->at);
        w->va = g->at;
        if (unlikely(w->table == NULL)) {
            return NULL;
        }
    }
    return &w->table[pte_index(g->at, 1)];
}

/* Say why, each time. */
static noinline int refused(struct pt_ctx *c, int rc)
{
    if (c->why != NULL) {
        pt_log_refusal(c);
        c->why = NULL;
    }
    return rc;
}

static always_inline uint64_t exchange(const struct pt_ctx *c, uint64_t *entry, uint64_t new)
{
    pt_note_change(c, entry);
    return __atomic_exchange_n(entry, new, __ATOMIC_SEQ_CST);
}

/* The new value holds what it needs; the old one loses what it held. */
static always_inline int map_one(struct pt_ctx *c, const struct vcpu *v, struct window *w,
                                 const struct mmu_grant *g)
{
    uint64_t *entry, old;
    int rc;

    if (unlikely(g->owner != c->owner)) {
        pt_set_owner(c, v->domain, g->owner);
    }
    entry = find_entry(c, v, w, g);
    rc = likely(entry != NULL) ? pt_get_l1_target(c, g->entry)
                               : pt_refuse(c, "there is no level-1 entry for a grant", g->at);
    if (unlikely(rc != 0)) {
        return refused(c, rc);
    }
    old = exchange(c, entry, g->entry);
    if (unlikely(old & PTE_P)) {
        pt_put_l1_target(old);
    }
    return 0;
}

bool mmu_grant_map(struct vcpu *v, struct mmu_grant *grants, uint32_t nr)
{
    struct mmu_grant *g, *end = grants + nr;
    struct window w = { .table = NULL };
    bool is_done = true;
    struct pt_ctx c;

    pt_begin(&c, v->domain, v->domain->id);
    for (g = grants; g < end; g++) {
        g->rc = likely(g->entry != 0) ? map_one(&c, v, &w, g) : 0;
        if (unlikely(g->rc != 0)) {
            is_done = false;
            if (g->rc == -ERESTART) {
                break;
            }
        }
    }
    pt_end(&c);
    for (; unlikely(g < end); g++) {
        g->rc = -ERESTART;
    }
    return is_done;
}

/* Take what is mapped at @va out of there; what it holds goes with it.  -EINVAL: nothing can be. */
static noinline int take_entry(struct pt_ctx *c, const struct vcpu *v, const struct mmu_grant *g,
                               const uint64_t *to, uint64_t *value)
{
    uint64_t va = g->replacement, *from;

    if (g->is_pte) {
        return pt_refuse(c, "only an address can be replaced by another", va);
    }
    from = pt_find_l1_entry(v->pv.cr3_kernel, va);
    if (from == NULL || from == to) {
        return pt_refuse(c, "nothing is there to replace a grant by", va);
    }
    *value = exchange(c, from, 0);
    return 0;
}

/* What is found to map the frame holds a reference, and a use if it is writable: drop that. */
static always_inline int unmap_one(struct pt_ctx *c, const struct vcpu *v, struct window *w,
                                   const struct mmu_grant *g)
{
    uint64_t *entry = find_entry(c, v, w, g), new = 0;
    struct frame *f = frame_of(pte_mfn(g->entry));
    int rc = 0;

    if (unlikely(entry == NULL || ((READ_ONCE(*entry) ^ g->entry) & ENTRY_IS_OURS))) {
        rc = pt_refuse(c, "a grant is not mapped there", g->at);
    } else if (unlikely(g->replacement != 0)) {
        rc = take_entry(c, v, g, entry, &new);
    }
    if (unlikely(rc != 0)) {
        return refused(c, rc);
    }
    exchange(c, entry, new);
    if (g->entry & PTE_RW) {
        frame_drop_writable(f);
    }
    frame_put(f);
    return 0;
}

bool mmu_grant_unmap(struct vcpu *v, struct mmu_grant *grants, uint32_t nr)
{
    struct window w = { .table = NULL };
    bool is_done = true;
    struct pt_ctx c;

    pt_begin(&c, v->domain, v->domain->id);
    for (struct mmu_grant *g = grants; g < grants + nr; g++) {
        g->rc = likely(g->entry != 0) ? unmap_one(&c, v, &w, g) : 0;
        is_done = is_done && likely(g->rc == 0);
    }
    pt_end(&c);
    return is_done;
}
