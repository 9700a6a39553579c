/* SPDX-License-Identifier: MIT */
/*
 * Page-table types: private to pv/.  The theory is in types.c.  Everything here
 * works on one domain whose pt_lock the caller holds.
 */
#pragma once

#include "domain/domain.h"
#include "mm/frame_use.h"
#include "mm/phys.h"
#include "x86/layout.h"
#include "x86/pte.h"

/*
 * Entries that may be checked or dropped in one hold of the lock, before others
 * get their turn.  Four is the least that gets on.
 */
#ifdef MANSIO_HOST
extern int pt_budget;
#define PT_BUDGET pt_budget
#else
#define PT_BUDGET 2048
#endif
#define PT_L1_COST 256 /* what one table of level 1 counts for: done in one go */

#define PT_CACHE_BITS (PTE_PWT | PTE_PCD | PTE_PAT)

/* One operation on a domain's tables. */
struct CAPABILITY("pt_lock") pt_ctx {
    struct domain *d;   /* whose tables; its pt_lock is held */
    domid_t owner;      /* whose frames level-1 entries map */
    uint64_t use_flags; /* for frame_use_writable(): FRAME_FOREIGN if others' frames are mapped */
    int budget;         /* entries left to look at */
    const char *why;    /* the first refusal: a sentence for the log, or NULL */
    uint64_t what;      /* the value that was refused */
};

/* Go on with frames of @owner. */
static inline void pt_set_owner(struct pt_ctx *c, const struct domain *d, domid_t owner)
    NO_THREAD_SAFETY
{
    c->use_flags = owner == d->id ? 0 : FRAME_FOREIGN;
    c->owner = owner;
}

/* Take the lock and begin; @owner as in struct pt_ctx. */
static inline void pt_begin(struct pt_ctx *c, struct domain *d, domid_t owner) ACQUIRES(c)
NO_THREAD_SAFETY
{
    pt_set_owner(c, d, owner);
    c->d = d;
    c->budget = PT_BUDGET;
    c->why = NULL;
    spin_lock(&d->pt_lock);
}

/* Drop the lock and log what was refused. */
void pt_log_refusal(const struct pt_ctx *c);
static inline void pt_end(struct pt_ctx *c) RELEASES(c)
NO_THREAD_SAFETY
{
    spin_unlock(&c->d->pt_lock);
    if (unlikely(c->why != NULL)) {
        pt_log_refusal(c);
    }
}

/* Note why; returns @rc. */
int pt_refuse_as(struct pt_ctx *c, int rc, const char *why, uint64_t what);
static inline int pt_refuse(struct pt_ctx *c, const char *why, uint64_t what)
{
    return pt_refuse_as(c, -EINVAL, why, what);
}

static inline enum frame_type pt_type(unsigned int level)
{
    return (enum frame_type)(FT_L1 + level - 1);
}

/* The level of a table's type word; 0: not a table. */
static inline unsigned int pt_level(uint64_t word)
{
    enum frame_type t = frame_word_type(word);

    return t >= FT_L1 && t <= FT_L4 ? (unsigned int)(t - FT_L1 + 1) : 0;
}

/*
 * Is @f in use, and @d's?  Ask before its type is looked at: the words of a free
 * frame are the allocator's, and may look like any type and owner.
 */
static inline bool pt_owns(const struct domain *d, const struct frame *f)
{
    uint64_t ref = READ_ONCE(f->ref);

    return (ref & (FRAME_OWNER_MASK | FRAME_FREE | FRAME_HV | FRAME_BROKEN)) == d->id &&
           (ref & FRAME_REF_MASK) != 0;
}

static inline uint64_t *pt_of(const struct frame *f)
{
    return mfn_to_virt(frame_mfn(f));
}

/* Is slot @i of a table of @level one of the hypervisor's own? */
static inline bool pt_is_hv_slot(unsigned int level, unsigned int i)
{
    return level == 4 && i - LAYOUT_SLOT_FIRST <= LAYOUT_SLOT_LAST - LAYOUT_SLOT_FIRST;
}

/*
 * Reference @mfn and use it as a table of @level, checking its entries if it is
 * none yet.
 *   -EINVAL    noted in @c
 *   -ERESTART  begun, or something must be drained first: drop the lock, drain,
 *              and ask again
 */
int must_check pt_get(struct pt_ctx *c, mfn_t mfn, unsigned int level);

/* End such a use.  With the last one the table goes to the drain list. */
void pt_put(struct domain *d, struct frame *f);

/* Put @f, a RESIDUE that is not queued, on the drain list. */
void pt_queue_residue(struct domain *d, struct frame *f);

/* Drop references of tables on the drain list until it is empty or the budget is spent. */
void pt_drain_some(struct pt_ctx *c);

/* The level-1 table for @va below the valid top-level table at @cr3, and the entry in it; NULL: a
 * table is missing. */
uint64_t *pt_find_l1_table(uint64_t cr3, uint64_t va);
static inline uint64_t *pt_find_l1_entry(uint64_t cr3, uint64_t va)
{
    uint64_t *table = pt_find_l1_table(cr3, va);

    return likely(table != NULL) ? &table[pte_index(va, 1)] : NULL;
}

/* ----- entries (entry.c) ----- */

/* Bits that must be clear in all present entries, and in those of levels 2 to 4. */
extern uint64_t pt_reserved_bits; /* address bits this machine does not have; set at the start */
#define PT_UPPER_FORBIDDEN (PTE_PS | PTE_PWT | PTE_PCD | PTE_G)

/* Say which one is set.  -EINVAL. */
int pt_refuse_bits(struct pt_ctx *c, uint64_t e, unsigned int level);

/* Does the present entry @e obey the rules of @level?  0 or -EINVAL. */
static always_inline int must_check pt_check_bits(struct pt_ctx *c, uint64_t e, unsigned int level)
{
    uint64_t forbidden = pt_reserved_bits | (level > 1 ? PT_UPPER_FORBIDDEN : 0);

    return likely(!(e & forbidden)) ? 0 : pt_refuse_bits(c, e, level);
}

/* The entry as it is stored: for ring 3, never global. */
static inline uint64_t pt_adjust(uint64_t e)
{
    return (e | PTE_US) & ~PTE_G;
}

/*
 * Take (drop) what the present entry @e of a level-1 table holds: a reference
 * to the frame, and a use as writable memory if it is writable.
 *   0, -EINVAL, -ERESTART as pt_get()
 *   PT_READ_ONLY  nothing is held, and the entry must be made read-only
 *   -EBUSY        the frame is not the owner's, or in use otherwise
 *   -EPERM        no right to this device memory
 * In line: the usual case.
 */
#define PT_READ_ONLY 1
int must_check pt_get_l1_target_slow(struct pt_ctx *c, uint64_t e);
/* The rest of it for a frame that is referenced already; a failure drops the reference. */
int must_check pt_get_writable(struct pt_ctx *c, struct frame *f, uint64_t e);

/* A frame of the domain's, a table, is about to be changed by us. */
static always_inline void pt_note_change(const struct pt_ctx *c, const void *entry)
{
    if (unlikely(c->d->log.is_kept)) {
        frame_mark_written(frame_of(virt_to_mfn(entry)));
    }
}

static always_inline bool pt_exchange(uint64_t *word, uint64_t *old, uint64_t new)
{
    return __atomic_compare_exchange_n(word, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static always_inline int must_check pt_get_l1_target(struct pt_ctx *c, uint64_t e)
{
    mfn_t mfn = pte_mfn(e);
    struct frame *f = frame_named(mfn);
    uint64_t ref, type;

    if (unlikely((e & PT_CACHE_BITS) || !frame_backed(mfn))) {
        return pt_get_l1_target_slow(c, e);
    }
    ref = READ_ONCE(f->ref);
    if (unlikely(!frame_ref_ok(ref, FRAME_FREE | FRAME_BROKEN | FRAME_HV, c->owner) ||
                 !pt_exchange(&f->ref, &ref, ref + FRAME_REF_ONE))) {
        return pt_get_l1_target_slow(c, e);
    }
    if (!(e & PTE_RW)) {
        return 0;
    }
    type = READ_ONCE(f->type);
    if (likely(frame_word_type(type) == FT_WRITABLE && (uint32_t)type != FRAME_COUNT_MASK &&
               pt_exchange(&f->type, &type, (type + 1) | c->use_flags))) {
        return 0;
    }
    return pt_get_writable(c, f, e);
}

static always_inline void pt_put_l1_target(uint64_t e)
{
    mfn_t mfn = pte_mfn(e);
    struct frame *f = frame_of(mfn);

    if (unlikely(!frame_valid(mfn))) {
        return;
    }
    if ((e & PTE_RW) && likely(!(READ_ONCE(f->ref) & FRAME_HV))) {
        frame_drop_writable(f);
    }
    frame_put(f);
}

/* The same for an entry of a table of any level. */
static inline int must_check pt_get_target(struct pt_ctx *c, uint64_t e, unsigned int level)
{
    return level == 1 ? pt_get_l1_target(c, e) : pt_get(c, pte_mfn(e), level - 1);
}

static inline void pt_put_target(struct domain *d, uint64_t e, unsigned int level)
{
    if (level == 1) {
        pt_put_l1_target(e);
    } else {
        pt_put(d, frame_of(pte_mfn(e)));
    }
}
