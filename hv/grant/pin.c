/* SPDX-License-Identifier: MIT */
/*
 * A lender's entries.
 *
 * The lender writes its table at any time, and is not trusted: what an entry
 * says is read once, when it begins to be used, and kept in a word of ours, the
 * active word, until nobody uses it any more.  So is the frame it named, with a
 * reference and, while anyone may write, a use as writable memory: whatever the
 * lender does meanwhile, the frame stays what it was.
 *
 *   63 lock | 62..48 user's domid | 47..40 writers | 39..32 readers | 31..0 frame
 *
 * A use for writing counts as a writer only.  No users: the word is 0 (or the
 * lock alone).  The lock bit is held for a few instructions; whoever waits for
 * it serves other CPUs' flush requests, since frame_use_writable() may ask for
 * a flush.  It has the place of LOCK_RANK_GRANT in the order: one entry's at a
 * time, no table's lock is taken under it.
 *
 * The lender learns of uses by GTF_reading and GTF_writing, which are set
 * before the frame is looked at and cleared when neither references nor uses
 * are left: then it may do with the frame what it likes, at once.
 *
 *   version 1: the bits lie beside what they depend on, and are set by
 *     compare-and-exchange; the lender withdraws by one, too, so one of both
 *     sees the other.
 *   version 2: the bits lie in a frame that only we write.  We set them and look
 *     at the entry again; the lender withdraws and looks at them again.
 *
 * The version changes while no entry is in use but the reserved ones.  It is
 * read with an entry locked; the change sets it to 0 first and then looks at
 * all words, so either it finds the lock taken, waits, and sees the use, or
 * the user sees 0 and waits (version.c).
 */
#include "grant/internal.h"

#include "mm/frame_use.h"
#include "sys/log.h"
#include "x86/insn.h"
#include "x86/smp.h"

#define ACTIVE_LOCK    (1ull << 63)
#define ACTIVE_USER    48
#define ACTIVE_WRITER  (1ull << 40)
#define ACTIVE_READER  (1ull << 32)
#define ACTIVE_COUNTS  (0xffffull << 32)
#define ACTIVE_WRITERS (0xffull << 40)
#define ACTIVE_MFN     0xffffffffull
#define V1_TRIES       5u /* exchanges, with a lender that changes its entry at the same time */

static inline mfn_t active_mfn(uint64_t word)
{
    return MFN(word & ACTIVE_MFN);
}

/* Lock the entry and return its word, which is without the lock. */
static inline uint64_t lock_entry(uint64_t *active)
{
    uint64_t old = READ_ONCE(*active);

    while (unlikely((old & ACTIVE_LOCK) ||
                    !__atomic_compare_exchange_n(active, &old, old | ACTIVE_LOCK, false,
                                                 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))) {
        if (old & ACTIVE_LOCK) {
            cpu_poll_requests();
            cpu_relax();
            old = READ_ONCE(*active);
        }
    }
    return old;
}

static inline void unlock_entry(uint64_t *active, uint64_t word)
{
    __atomic_store_n(active, word, __ATOMIC_RELEASE);
}

static inline uint64_t *active_of(const struct grant_table *t, grant_ref_t ref)
{
    return &t->pages[ref / GRANT_V1_PER_FRAME].active[ref % GRANT_V1_PER_FRAME];
}

static inline struct grant_entry_v1 *entry_v1(const struct grant_table *t, grant_ref_t ref)
{
    return (struct grant_entry_v1 *)t->pages[ref / GRANT_V1_PER_FRAME].shared +
           ref % GRANT_V1_PER_FRAME;
}

/* What a use needs of an entry, and what is found there. */
struct request {
    domid_t user;
    bool is_write;
    struct grant_range *range;
    uint64_t frame;
};

static inline uint16_t status_bits(bool is_write)
{
    return is_write ? GTF_reading | GTF_writing : GTF_reading;
}

/* Do the flags and the domid, as they lie in the entry's first word, lend @r what it needs? */
static inline bool lends(uint32_t head, const struct request *r)
{
    return head >> 16 == r->user && (head & GTF_type_mask) == GTF_permit_access &&
           !(r->is_write && (head & GTF_readonly)) && !((head & GTF_sub_page) && !r->range);
}

static int16_t mark_v1(struct grant_entry_v1 *e, struct request *r)
{
    uint32_t *head = (uint32_t *)e, old = READ_ONCE(*head), new;
    unsigned int tries = V1_TRIES;

    do {
        if (!lends(old, r) || (old & GTF_sub_page) || tries-- == 0) {
            return GNTST_general_error;
        }
        new = old | status_bits(r->is_write);
    } while (new != old && !__atomic_compare_exchange_n(head, &old, new, false, __ATOMIC_SEQ_CST,
                                                        __ATOMIC_RELAXED));
    r->frame = READ_ONCE(e->frame);
    if (r->range != NULL) {
        *r->range = (struct grant_range){ .len = PAGE_SIZE };
    }
    return GNTST_okay;
}

static void clear_v1(struct grant_entry_v1 *e, uint16_t bits)
{
    __atomic_and_fetch(&e->flags, (uint16_t)~bits, __ATOMIC_SEQ_CST);
}

/* Whole words of the reference and the use that the first reader and the first writer need. */
static int16_t take_frame(struct domain *granter, uint64_t word, const struct request *r,
                          mfn_t *mfn)
{
    bool is_first = !(word & ACTIVE_COUNTS);
    struct frame *f;

    *mfn = is_first ? MFN(r->frame) : active_mfn(word);
    if (is_first) {
        if (r->frame > ACTIVE_MFN || !frame_valid(*mfn)) {
            return GNTST_bad_page;
        }
        f = frame_named(*mfn);
        if (!frame_get(f, granter->id)) {
            return GNTST_bad_page;
        }
        if (READ_ONCE(f->ref) & FRAME_HV) {
            frame_put(f);
            return GNTST_bad_page;
        }
    } else {
        f = frame_of(*mfn);
    }
    if (r->is_write && !(word & ACTIVE_WRITERS) &&
        !frame_use_writable(f, &granter->dirty_cpus, 0)) {
        if (is_first) {
            frame_put(f);
        }
        return GNTST_general_error;
    }
    return GNTST_okay;
}

/* May @r use the entry besides those that do? */
static inline bool fits(uint64_t word, const struct request *r)
{
    uint64_t one = r->is_write ? ACTIVE_WRITER : ACTIVE_READER;

    if (!(word & ACTIVE_COUNTS)) {
        return true;
    }
    return word >> ACTIVE_USER == r->user && (~word & (one * 0xff)) != 0;
}

/* The bits that tell the lender of the uses in @word. */
static inline uint16_t bits_of(uint64_t word)
{
    return word & ACTIVE_WRITERS  ? GTF_reading | GTF_writing
           : word & ACTIVE_COUNTS ? GTF_reading
                                  : 0;
}

static void log_refusal(const struct domain *granter, grant_ref_t ref, domid_t user, int16_t status)
{
    log_guest(user, "may not use grant %u of d%u (status %d)", ref, granter->id, status);
}

int16_t grant_pin(struct domain *granter, grant_ref_t ref, domid_t user, bool is_write,
                  struct grant_range *range, mfn_t *mfn)
{
    struct request r = { .user = user, .is_write = is_write, .range = range };
    struct grant_table *t = granter->grant;
    uint64_t nr = READ_ONCE(t->nr_frames) * GRANT_V1_PER_FRAME, *active, word;
    int16_t status = GNTST_general_error;

    if (unlikely(ref >= nr)) {
        log_refusal(granter, ref, user, GNTST_bad_gntref);
        return GNTST_bad_gntref;
    }
    ref = (grant_ref_t)array_index_nospec(ref, nr);
    active = active_of(t, ref);
    word = lock_entry(active);
    if (likely(fits(word, &r))) {
        status = mark_v1(entry_v1(t, ref), &r);
        if (likely(status == GNTST_okay)) {
            status = take_frame(granter, word, &r, mfn);
            if (likely(status == GNTST_okay)) {
                word = (word & ACTIVE_COUNTS) + (is_write ? ACTIVE_WRITER : ACTIVE_READER) +
                       ((uint64_t)user << ACTIVE_USER | mfn->n);
            } else {
                clear_v1(entry_v1(t, ref), status_bits(is_write) & ~bits_of(word));
            }
        }
    }
    unlock_entry(active, word);
    if (unlikely(status != GNTST_okay)) {
        log_refusal(granter, ref, user, status);
    }
    return status;
}

void grant_unpin(struct domain *granter, grant_ref_t ref, bool is_write)
{
    struct grant_table *t = granter->grant;
    uint64_t *active = active_of(t, ref), word = lock_entry(active);
    uint64_t left = word - (is_write ? ACTIVE_WRITER : ACTIVE_READER);
    struct frame *f = frame_of(active_mfn(word));
    uint16_t gone = bits_of(word) & ~bits_of(left);

    if (gone & GTF_writing) {
        frame_drop_writable(f);
    }
    if (gone & GTF_reading) {
        frame_put(f);
        left = 0;
    }
    if (gone) {
        clear_v1(entry_v1(t, ref), gone);
    }
    unlock_entry(active, left);
}

mfn_t grant_pinned(const struct domain *granter, grant_ref_t ref)
{
    return active_mfn(READ_ONCE(*active_of(granter->grant, ref)));
}
