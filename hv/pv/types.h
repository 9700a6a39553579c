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
#define PT_BUDGET      pt_budget
#else
#define PT_BUDGET      2048
#endif
#define PT_L1_COST     256      /* what one table of level 1 counts for: done in one go */

#define PT_CACHE_BITS  (PTE_PWT | PTE_PCD | PTE_PAT)

/* One operation on a domain's tables. */
struct CAPABILITY("pt_lock") pt_ctx {
    struct domain *d;           /* whose tables; its pt_lock is held */
    domid_t owner;              /* whose frames level-1 entries map */
    bool has_io;                /* @d may map device memory, and choose cache attributes */
    int budget;                 /* entries left to look at */
    const char *why;            /* the first refusal: a sentence for the log, or NULL */
    uint64_t what;              /* the value that was refused */
};

/* Take the lock and begin; @owner as in struct pt_ctx. */
void pt_begin(struct pt_ctx *c, struct domain *d, domid_t owner) ACQUIRES(c);
/* Drop the lock and log what was refused. */
void pt_end(struct pt_ctx *c) RELEASES(c);

/* Note why; returns -EINVAL. */
int pt_refuse(struct pt_ctx *c, const char *why, uint64_t what);

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

/* ----- entries (entry.c) ----- */

/* Does the present entry @e obey the rules of @level?  0 or -EINVAL. */
int must_check pt_check_bits(struct pt_ctx *c, uint64_t e, unsigned int level);

/* The entry as it is stored: for ring 3, never global. */
static inline uint64_t pt_adjust(uint64_t e)
{
    return (e | PTE_US) & ~PTE_G;
}

/*
 * Take (drop) what the present entry @e of a level-1 table holds: a reference
 * to the frame, and a use as writable memory if it is writable.
 * 0, -EINVAL, -ERESTART as pt_get().
 */
int must_check pt_get_l1_target(struct pt_ctx *c, uint64_t e);
void pt_put_l1_target(uint64_t e);

/* The same for a table of any level. */
int must_check pt_get_target(struct pt_ctx *c, uint64_t e, unsigned int level);
void pt_put_target(struct domain *d, uint64_t e, unsigned int level);
