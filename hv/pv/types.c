/* SPDX-License-Identifier: MIT */
/*
 * Page-table types.
 *
 * A paravirtual guest's page tables are used by the processor as they are.  So
 * the guest must never be able to write to them: it asks us, or its write
 * faults and is done by us, and each entry is checked against the rules.
 *
 * The proof rests on three statements about each frame of RAM:
 *
 *  1. It has at most one type at a time.  Only a frame with no use of its type
 *     changes it (FT_NONE).
 *  2. A mapping that lets a guest write is a use of type FT_WRITABLE; an entry
 *     in a table of level n that points to a table is a use of the latter's
 *     type, level n - 1; CR3 of a vCPU and a pin are uses of type FT_L4 and of
 *     the pinned level.
 *  3. A frame becomes a table only when its entries have been checked, while
 *     nobody can write to it: it has its new type already, and stale
 *     translations have been flushed (mm/frame_use.h).
 *
 * So what the processor walks are tables all of whose entries obey the rules,
 * and no table is writable.  Entries of valid tables also hold a reference to
 * what they point to, so nothing that is mapped can be freed.
 *
 * States of a frame as a table of level n, with nr = number of leading entries
 * that hold references:
 *
 *               get                    all checked
 *   FT_NONE ----------> Ln, count 1 ----------------> Ln VALIDATED, count >= 1
 *      ^                     |  ^                              |
 *      |       out of budget |  | get                          | last use dropped
 *      |                     v  |                              v
 *      |              Ln RESIDUE, nr = i              Ln RESIDUE QUEUED, nr = 512
 *      |                     |   bad entry, or          |
 *      |                     |   another type asked     |
 *      |                     +-------------------> QUEUED
 *      |                                                |
 *      +------------------------------------------------+
 *                  drained: entries nr - 1 .. 0 dropped
 *
 * RESIDUE has no use, but is a type: the frame cannot become writable, and its
 * leading entries stay true.  It holds one reference to its frame.  QUEUED ones
 * are linked into their domain's drain list, the next frame's number in the
 * count field; draining is iterative, as children that fall to no use join the
 * list.  A table that begins to be checked and a child of it on the way are
 * never deeper than four levels.
 *
 * The types FT_L1 to FT_L4 of a domain's frames change under its pt_lock only,
 * so words that have such a type are stored plainly; the step from FT_NONE is a
 * compare-and-exchange, as any CPU may make the frame writable at that time.
 */
#include "pv/types.h"

#include "lib/string.h"
#include "sys/log.h"
#include "x86/cache.h"
#include "x86/paging.h"
#include "x86/smp.h"

void pt_log_refusal(const struct pt_ctx *c)
{
    log_guest(c->d->id, "page tables: %s (%#lx)", c->why, c->what);
}

int pt_refuse_as(struct pt_ctx *c, int rc, const char *why, uint64_t what)
{
    if (!c->why) {
        c->why = why;
        c->what = what;
    }
    return rc;
}

static inline void set_type(struct frame *f, uint64_t word)
{
    WRITE_ONCE(f->type, word);
}

static void queue(struct domain *d, struct frame *f, uint64_t nr)
{
    set_type(f, frame_type_word(frame_type(f), FRAME_RESIDUE | FRAME_QUEUED, nr, d->drain_head));
    WRITE_ONCE(d->drain_head, (uint32_t)frame_mfn(f).n);
}

void pt_queue_residue(struct domain *d, struct frame *f)
{
    queue(d, f, frame_word_nr(f->type));
}

void pt_put(struct domain *d, struct frame *f)
{
    uint64_t word = f->type;

    ASSERT(pt_level(word) && (word & FRAME_VALIDATED) && (word & FRAME_COUNT_MASK));
    if ((word & FRAME_COUNT_MASK) > 1) {
        set_type(f, word - 1);
        frame_put(f);
    } else {
        queue(d, f, PTE_PER_TABLE); /* which keeps the reference */
    }
}

/* --- checking --- */

/* The entries of a whole level-1 table.  Returns how many are good: 512, or the place of the first
 * bad one. */
static unsigned int check_l1(struct pt_ctx *c, uint64_t *table, unsigned int from, int *rc)
{
    c->budget -= PT_L1_COST;
    for (unsigned int i = from; i < PTE_PER_TABLE; i++) {
        uint64_t e = READ_ONCE(table[i]);

        if (!(e & PTE_P)) {
            continue;
        }
        *rc = pt_check_bits(c, e, 1);
        if (*rc == 0) {
            *rc = pt_get_l1_target(c, e);
        }
        if (unlikely(*rc == PT_READ_ONLY)) {
            WRITE_ONCE(table[i], pt_adjust(e & ~PTE_RW));
            *rc = 0;
            continue;
        }
        if (unlikely(*rc != 0)) {
            return i;
        }
        if (pt_adjust(e) != e) {
            WRITE_ONCE(table[i], pt_adjust(e));
        }
    }
    return PTE_PER_TABLE;
}

/* The same for a table of tables, which may also stop with -ERESTART at an entry not yet looked at.
 */
static unsigned int check_upper(struct pt_ctx *c, uint64_t *table, unsigned int level,
                                unsigned int from, int *rc)
{
    for (unsigned int i = from; i < PTE_PER_TABLE; i++) {
        uint64_t e = READ_ONCE(table[i]);

        if (!(e & PTE_P) || pt_is_hv_slot(level, i)) {
            continue;
        }
        *rc = c->budget-- > 0 ? pt_check_bits(c, e, level) : -ERESTART;
        if (*rc == 0) {
            *rc = pt_get(c, pte_mfn(e), level - 1);
        }
        if (unlikely(*rc != 0)) {
            return i;
        }
        if (pt_adjust(e) != e) {
            WRITE_ONCE(table[i], pt_adjust(e));
        }
    }
    return PTE_PER_TABLE;
}

/*
 * Check the entries of @f, which has type @level and one use with a reference,
 * from @from on.  Unless all are good the use turns into a residue, and the
 * reference is the residue's.
 */
static int check_table(struct pt_ctx *c, struct frame *f, unsigned int level, unsigned int from)
{
    uint64_t *table = pt_of(f);
    int rc = 0;
    unsigned int nr =
        level == 1 ? check_l1(c, table, from, &rc) : check_upper(c, table, level, from, &rc);

    pt_note_change(c, table);

    if (likely(rc == 0)) {
        if (level == 4) {
            memcpy(&table[LAYOUT_SLOT_FIRST], &hv_l4[LAYOUT_SLOT_FIRST],
                   (LAYOUT_SLOT_LAST - LAYOUT_SLOT_FIRST + 1) * sizeof(uint64_t));
        }
        set_type(f, frame_type_word(pt_type(level), FRAME_VALIDATED, PTE_PER_TABLE, 1));
        return 0;
    }
    if (rc == -ERESTART) {
        set_type(f, frame_type_word(pt_type(level), FRAME_RESIDUE, nr, 0));
    } else {
        queue(c->d, f, nr);
    }
    return rc;
}

/* Make a frame of type none, whose word is @word, an unchecked table; false: it changed meanwhile.
 */
static bool begin_table(struct pt_ctx *c, struct frame *f, unsigned int level, uint64_t word)
{
    uint64_t was = frame_word_nr(word);

    if (was != FT_NONE && was != pt_type(level)) {
        frame_flush_stale(word, &c->d->dirty_cpus);
    }
    if (!__atomic_compare_exchange_n(&f->type, &word, frame_type_word(pt_type(level), 0, 0, 1),
                                     false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        return false;
    }
    if (unlikely(word & FRAME_UNCACHED)) {
        /* What memory has and what the caches have must be one before it is read. */
        cache_flush_page(pt_of(f));
    }
    return true;
}

/*
 * Why can @f not be used as a table of @level now, type word @word?  It may be
 * waiting to be drained.
 */
static int refuse_table(struct pt_ctx *c, struct frame *f, unsigned int level, uint64_t word)
{
    if (!(word & FRAME_RESIDUE)) {
        return pt_refuse(c,
                         pt_level(word) == level ? "a table has too many uses"
                                                 : "a frame that is to be a page table is in "
                                                   "use otherwise",
                         frame_mfn(f).n);
    }
    if (!(word & FRAME_QUEUED)) {
        pt_queue_residue(c->d, f);
    }
    return -ERESTART;
}

/* Use @f as a table of @level.  Takes over the caller's reference, which is gone after a failure.
 */
static int use_table(struct pt_ctx *c, struct frame *f, unsigned int level)
{
    uint64_t word;
    int rc;

    do {
        word = READ_ONCE(f->type);
        if (frame_word_type(word) == FT_NONE && begin_table(c, f, level, word)) {
            return check_table(c, f, level, 0);
        }
    } while (frame_word_type(word) == FT_NONE);

    if (pt_level(word) == level && (word & FRAME_VALIDATED) &&
        (word & FRAME_COUNT_MASK) != FRAME_COUNT_MASK) {
        set_type(f, word + 1);
        return 0;
    }
    if (pt_level(word) == level && (word & (FRAME_RESIDUE | FRAME_QUEUED)) == FRAME_RESIDUE) {
        /* Go on where the last one stopped; its reference and ours become one. */
        set_type(f, frame_type_word(pt_type(level), 0, frame_word_nr(word), 1));
        frame_put(f);
        return check_table(c, f, level, (unsigned int)frame_word_nr(word));
    }
    rc = refuse_table(c, f, level, word);
    frame_put(f);
    return rc;
}

int pt_get(struct pt_ctx *c, mfn_t mfn, unsigned int level)
{
    struct frame *f;

    if (unlikely(!frame_valid(mfn))) {
        return pt_refuse(c, "a page table is not in RAM", mfn.n);
    }
    if (unlikely(READ_ONCE(c->d->life) != DOMAIN_ALIVE)) {
        /* Its tables are taken down by a walk that comes by once. */
        return pt_refuse(c, "the page tables of a dying domain are not used any more", mfn.n);
    }
    f = frame_named(mfn);
    if (unlikely(!frame_get(f, c->d->id))) {
        return pt_refuse(c, "a page table is in a frame of another domain", mfn.n);
    }
    if (unlikely(READ_ONCE(f->ref) & FRAME_HV)) {
        frame_put(f);
        return pt_refuse(c, "a page table is in a frame of the hypervisor", mfn.n);
    }
    speculation_barrier(); /* before entries of it are looked at */
    return use_table(c, f, level);
}

/* --- draining --- */

/* Drop what entries nr - 1 .. 0 of @f hold; what is left when the budget is spent. */
static unsigned int drain_table(struct pt_ctx *c, struct frame *f, unsigned int level,
                                unsigned int nr)
{
    const uint64_t *table = pt_of(f);

    while (nr > 0 && c->budget > 0) {
        uint64_t e = READ_ONCE(table[--nr]);

        if (!(e & PTE_P) || pt_is_hv_slot(level, nr)) {
            continue;
        }
        c->budget--;
        pt_put_target(c->d, e, level);
    }
    return nr;
}

void pt_drain_some(struct pt_ctx *c)
{
    struct domain *d = c->d;

    while (d->drain_head != DRAIN_NONE && c->budget > 0) {
        struct frame *f = frame_of(MFN(d->drain_head));
        uint64_t word = f->type;
        unsigned int level = pt_level(word), nr = (unsigned int)frame_word_nr(word);

        /* Off the list while its children may come on. */
        WRITE_ONCE(d->drain_head, (uint32_t)(word & FRAME_COUNT_MASK));
        c->budget--;
        nr = drain_table(c, f, level, nr);
        if (nr) {
            queue(d, f, nr);
        } else {
            set_type(f, frame_type_word(FT_NONE, 0, pt_type(level), tlb_clock()));
            frame_put(f);
        }
    }
}
