/* SPDX-License-Identifier: MIT */
/*
 * Changes of single entries in page tables: mmu_update, update_va_mapping, and
 * writes to read-only tables that faulted.
 *
 * The order for an entry of a valid table: take what the new value holds,
 * exchange the value, drop what the old one held.  So an entry never points to
 * what it has no reference to.  The exchange is a compare-and-exchange since
 * the processor sets the accessed and dirty bits at any time; nothing else
 * changes an entry, as the table's domain is locked.
 *
 * A present entry that only changes flags which hold nothing is exchanged at
 * once.  Stale translations of old values are the guest's business, but for
 * changes of types, where mm/frame_use.h flushes.
 */
#include "pv/mmu.h"

#include "mm/m2p.h"
#include "pv/pv.h"
#include "pv/types.h"
#include "sys/softirq.h"

/* Entries that differ in none of these hold the same. */
static inline uint64_t holding_bits(unsigned int level)
{
    return PTE_P | PTE_ADDRESS | (level == 1 ? PTE_RW | PT_CACHE_BITS : 0);
}

/* Store @new, with those of the bits @keep that the entry has; returns the value replaced. */
static always_inline uint64_t exchange(uint64_t *entry, uint64_t new, uint64_t keep)
{
    uint64_t old = READ_ONCE(*entry);

    while (!pt_exchange(entry, &old, new | (old & keep))) {
    }
    return old;
}

/* Take what *@new needs beyond what @old holds, and make it the entry to be stored. */
static always_inline int get_new(struct pt_ctx *c, uint64_t old, uint64_t *new, unsigned int level)
{
    int rc;

    if (!(*new &PTE_P)) {
        return 0;
    }
    rc = pt_check_bits(c, *new, level);
    if (rc == 0 && ((old ^ *new) & holding_bits(level))) {
        rc = pt_get_target(c, *new, level);
    }
    *new = pt_adjust(*new);
    if (unlikely(rc == PT_READ_ONLY)) {
        *new &= ~PTE_RW;
        rc = 0;
    }
    return rc;
}

/* The first of @old and @new is not in the entry any more, the second is. */
static always_inline void put_old(struct pt_ctx *c, uint64_t old, uint64_t new, unsigned int level)
{
    if ((old & PTE_P) && ((old ^ new) & holding_bits(level))) {
        pt_put_target(c->d, old, level);
    }
}

/* Make @entry of a valid table of @level @new, keeping its bits @keep if both are present. */
static always_inline int update_entry(struct pt_ctx *c, uint64_t *entry, unsigned int level,
                                      uint64_t new, uint64_t keep)
{
    uint64_t old = READ_ONCE(*entry);
    int rc = get_new(c, old, &new, level);

    if (unlikely(rc != 0)) {
        return rc;
    }
    old = exchange(entry, new, old & new &PTE_P ? keep : 0);
    pt_note_change(c, entry);
    put_old(c, old, new, level);
    return 0;
}

/* --- batches --- */

/* The table that the last request was about. */
struct table {
    struct frame *f; /* NULL: none yet */
    uint64_t mfn;
    unsigned int level; /* 0: not a table, but plain memory */
};

static noinline int find_table(struct pt_ctx *c, mfn_t mfn, struct table *t)
{
    struct frame *f;
    uint64_t word;

    if (!frame_valid(mfn)) {
        return pt_refuse(c, "an entry to be changed is not in RAM", mfn.n);
    }
    f = frame_named(mfn);
    if (!pt_owns(c->d, f)) {
        return pt_refuse(c, "an entry to be changed is in a frame of another domain", mfn.n);
    }
    word = READ_ONCE(f->type);
    if (word & FRAME_RESIDUE) {
        if (!(word & FRAME_QUEUED)) {
            pt_queue_residue(c->d, f);
        }
        return -ERESTART;
    }
    t->f = f;
    t->mfn = mfn.n;
    t->level = pt_level(word);
    speculation_barrier(); /* before entries of it are looked at */
    return 0;
}

/* A plain page that the domain is about to make a table. */
static int update_plain(struct pt_ctx *c, struct frame *f, uint64_t *entry, uint64_t new,
                        uint64_t keep)
{
    if (!frame_get(f, c->d->id)) {
        return pt_refuse(c, "an entry to be changed is in a frame of another domain",
                         frame_mfn(f).n);
    }
    if ((READ_ONCE(f->ref) & FRAME_HV) || !frame_use_writable(f, &c->d->dirty_cpus, 0)) {
        frame_put(f);
        return pt_refuse(c, "an entry to be changed is neither in a table nor in plain memory",
                         frame_mfn(f).n);
    }
    exchange(entry, new, keep);
    frame_put_writable(f);
    return 0;
}

/* Not of level 1. */
static noinline int update_upper(struct pt_ctx *c, const struct table *t, uint64_t at, uint64_t new,
                                 uint64_t keep)
{
    uint64_t *entry = phys_to_virt(PADDR(at));
    unsigned int slot = (unsigned int)(at % PAGE_SIZE / sizeof(uint64_t));

    if (t->level == 0) {
        return update_plain(c, t->f, entry, new, keep);
    }
    if (pt_is_hv_slot(t->level, slot)) {
        return pt_refuse(c, "slots 256 to 271 of a top-level table are the hypervisor's", slot);
    }
    c->budget--;
    return update_entry(c, entry, t->level, new, keep);
}

static noinline int update_m2p(struct pt_ctx *c, uint64_t at, uint64_t pfn)
{
    mfn_t mfn = MFN(at >> PAGE_SHIFT);
    struct frame *f;

    if (!frame_valid(mfn) || !frame_get(frame_named(mfn), c->owner)) {
        return pt_refuse(c, "an M2P entry is for a frame of another domain", mfn.n);
    }
    f = frame_of(mfn);
    if (READ_ONCE(f->ref) & FRAME_HV) {
        frame_put(f);
        return pt_refuse(c, "an M2P entry is for a frame of the hypervisor", mfn.n);
    }
    m2p_set(mfn, pfn);
    frame_mark_written(f);
    frame_put(f);
    return 0;
}

static always_inline int one_request(struct pt_ctx *c, struct table *t, const struct mmu_update *r)
{
    uint64_t cmd = r->ptr % sizeof(uint64_t), at = r->ptr - cmd;
    uint64_t keep = cmd == MMU_PT_UPDATE_PRESERVE_AD ? PTE_A | PTE_D : 0;

    if (unlikely(cmd == MMU_MACHPHYS_UPDATE)) {
        return update_m2p(c, at, r->val);
    }
    if (unlikely(cmd > MMU_PT_UPDATE_NO_TRANSLATE)) {
        return pt_refuse_as(c, -ENOSYS, "an unknown kind of page-table update", cmd);
    }
    /* What is no table may become one by this batch; it is looked up each time. */
    if (at >> PAGE_SHIFT != t->mfn || t->level == 0) {
        int rc = find_table(c, paddr_to_mfn(PADDR(at)), t);

        if (unlikely(rc != 0)) {
            return rc;
        }
    }
    return likely(t->level == 1) ? update_entry(c, phys_to_virt(PADDR(at)), 1, r->val, keep)
                                 : update_upper(c, t, at, r->val, keep);
}

int mmu_update_batch(const struct mmu_rights *rights, const struct mmu_update *requests,
                     uint32_t nr, uint32_t *done)
{
    struct domain *d = rights->pt;
    struct pt_ctx c;
    uint32_t n;
    int rc;

    *done = 0;
    do {
        struct table t = { .f = NULL };

        rc = mmu_drain(d);
        if (unlikely(rc != 0)) {
            return rc;
        }
        pt_begin(&c, d, rights->owner);
        for (n = *done; n < nr; n++) {
            /* Of new tables, only so many are checked in one hold of the lock. */
            rc = likely(c.budget > 0) ? one_request(&c, &t, &requests[n]) : -ERESTART;
            if (unlikely(rc != 0)) {
                break;
            }
        }
        *done = n;
        pt_end(&c);
    } while (rc == -ERESTART && !preempt_pending());
    return rc;
}

/* --- by virtual address --- */

uint64_t *pt_find_l1_table(uint64_t cr3, uint64_t va)
{
    uint64_t *table = phys_to_virt(PADDR(cr3));

    if (unlikely(cr3 == 0 || !pv_address_ok(va))) {
        return NULL;
    }
#pragma GCC unroll 3
    for (unsigned int level = 4; level > 1; level--) {
        uint64_t e = READ_ONCE(table[pte_index(va, level)]);

        if (unlikely(!(e & PTE_P))) {
            return NULL;
        }
        table = phys_to_virt(pte_paddr(e));
    }
    return table;
}

int mmu_update_va(struct vcpu *v, uint64_t va, uint64_t val, domid_t owner)
{
    struct domain *d = v->domain;
    struct pt_ctx c;
    int rc;

    do {
        uint64_t *entry;

        rc = mmu_drain(d);
        if (unlikely(rc != 0)) {
            return rc;
        }
        pt_begin(&c, d, owner);
        entry = pt_find_l1_entry(v->pv.cr3_kernel, va);
        rc = likely(entry) ? update_entry(&c, entry, 1, val, 0)
                           : pt_refuse(&c, "no page table maps this address", va);
        pt_end(&c);
    } while (rc == -ERESTART && !preempt_pending());
    return rc;
}

uint64_t mmu_walk(uint64_t cr3, uint64_t va)
{
    uint64_t e = cr3;

    if (cr3 == 0 || !pv_address_ok(va)) {
        return 0;
    }
    /* Without the lock a table may stop to be one meanwhile: then what we read is odd, not harmful.
     */
    for (unsigned int level = 4; level >= 1; level--) {
        if (!frame_valid(pte_mfn(e))) {
            return 0;
        }
        e = READ_ONCE(((const uint64_t *)phys_to_virt(pte_paddr(e)))[pte_index(va, level)]);
        if (!(e & PTE_P)) {
            return 0;
        }
    }
    return e;
}

/* --- writes that faulted --- */

/* The entry of a valid level-1 table of the domain's that lies at @va; NULL: there is none. */
static uint64_t *find_entry_at(struct domain *d, uint64_t cr3, uint64_t va)
{
    const uint64_t *mapping = pt_find_l1_entry(cr3, va);
    uint64_t e = mapping ? READ_ONCE(*mapping) : 0;
    const struct frame *f;

    if (!(e & PTE_P) || !frame_valid(pte_mfn(e))) {
        return NULL;
    }
    f = frame_of(pte_mfn(e));
    if (!pt_owns(d, f) || frame_type(f) != FT_L1 || !(READ_ONCE(f->type) & FRAME_VALIDATED)) {
        return NULL;
    }
    return phys_to_virt(PADDR(pte_paddr(e).a + (va % PAGE_SIZE & ~7ul)));
}

/* @word with the @bits-wide field at bit @shift replaced. */
static inline uint64_t merge(uint64_t word, uint64_t field, unsigned int shift, unsigned int bits)
{
    uint64_t mask = (bits == 64 ? ~0ull : (1ull << bits) - 1) << shift;

    return (word & ~mask) | ((field << shift) & mask);
}

/* Exchange the whole entry if it is still @old. */
static int exchange_expected(struct pt_ctx *c, uint64_t *entry, uint64_t old, uint64_t new,
                             bool *swapped)
{
    int rc = get_new(c, old, &new, 1);

    if (rc != 0) {
        return rc;
    }
    *swapped = pt_exchange(entry, &old, new);
    if (*swapped) {
        pt_note_change(c, entry);
        put_old(c, old, new, 1);
    } else {
        /* The processor was faster with a bit; the entry still holds what it held. */
        put_old(c, new, old, 1);
    }
    return 0;
}

static int write_table(struct pt_ctx *c, struct vcpu *v, uint64_t va, uint64_t *old, uint64_t val,
                       unsigned int bytes, bool *swapped)
{
    uint64_t cr3 = v->in_kernel ? v->pv.cr3_kernel : v->pv.cr3_user;
    uint64_t *entry = find_entry_at(c->d, cr3, va), now;
    unsigned int shift = (unsigned int)(va % 8) * 8, bits = bytes * 8;
    int rc;

    if (!entry) {
        return -EFAULT;
    }
    now = READ_ONCE(*entry);
    *swapped = false;
    if (merge(now, *old, shift, bits) == now) {
        rc = exchange_expected(c, entry, now, merge(now, val, shift, bits), swapped);
        if (rc != 0 || *swapped) {
            return rc;
        }
        now = READ_ONCE(*entry);
    }
    *old = merge(0, now >> shift, 0, bits);
    return 0;
}

int mmu_write_table(struct vcpu *v, uint64_t va, uint64_t *old, uint64_t val, unsigned int bytes,
                    bool *swapped)
{
    struct pt_ctx c;
    int rc;

    do {
        rc = mmu_drain(v->domain);
        if (unlikely(rc != 0)) {
            return rc;
        }
        pt_begin(&c, v->domain, v->domain->id);
        rc = write_table(&c, v, va, old, val, bytes, swapped);
        pt_end(&c);
    } while (rc == -ERESTART && !preempt_pending());
    return rc;
}
