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

#define MARK_TRIES 5u /* exchanges, with a lender that changes its entry at the same time */

static inline mfn_t active_mfn(uint64_t word)
{
    return MFN(word & ACTIVE_MFN);
}

/* Lock the entry; the version stays what it is until the entry is unlocked. */
static inline uint64_t lock_entry(struct grant_table *t, uint64_t *active, uint32_t *version)
{
    for (;;) {
        uint64_t word = grant_lock_word(active);

        *version = READ_ONCE(t->version);
        if (likely(*version != 0)) {
            return word;
        }
        grant_unlock_word(active, word);
        while (READ_ONCE(t->version) == 0) {
            cpu_poll_requests();
            cpu_relax();
        }
    }
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

/* Set the bits for @r in the entry, and see what it lends. */
static int16_t mark_v1(struct grant_entry_v1 *e, struct request *r)
{
    uint32_t *head = (uint32_t *)e, old = READ_ONCE(*head), new;
    unsigned int tries = MARK_TRIES;

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

/* The same; @status has the bits of @old_bits afterwards if it fails. */
static int16_t mark_v2(const union grant_entry_v2 *e, grant_status_t *status, uint16_t old_bits,
                       struct request *r)
{
    const uint32_t *head = (const uint32_t *)e;
    uint32_t was = READ_ONCE(*head);
    unsigned int tries = MARK_TRIES;

    while (lends(was, r) && tries-- != 0) {
        uint32_t now;

        __atomic_store_n(status, old_bits | status_bits(r->is_write), __ATOMIC_SEQ_CST);
        now = READ_ONCE(*head);
        if (now == was) {
            r->frame = READ_ONCE(e->full_page.frame);
            if (r->range != NULL) {
                bool is_part = was & GTF_sub_page;

                r->range->offset = is_part ? READ_ONCE(e->sub_page.page_off) : 0;
                r->range->len = is_part ? READ_ONCE(e->sub_page.length) : PAGE_SIZE;
            }
            return GNTST_okay;
        }
        was = now;
    }
    WRITE_ONCE(*status, old_bits);
    return GNTST_general_error;
}

static int16_t mark(const struct grant_table *t, uint32_t version, grant_ref_t ref,
                    uint16_t old_bits, struct request *r)
{
    if (likely(version == 1)) {
        return mark_v1(grant_entry_v1(t, ref), r);
    }
    if (ref >= READ_ONCE(t->nr_frames) * GRANT_V2_PER_FRAME) {
        return GNTST_bad_gntref;
    }
    return mark_v2(grant_entry_v2(t, ref), grant_status(t, ref), old_bits, r);
}

/* Of the bits @old only @new are to be set any more. */
static void unmark(const struct grant_table *t, uint32_t version, grant_ref_t ref, uint16_t old,
                   uint16_t new)
{
    if (likely(version == 1)) {
        __atomic_and_fetch(&grant_entry_v1(t, ref)->flags, (uint16_t) ~(old & ~new),
                           __ATOMIC_SEQ_CST);
    } else {
        __atomic_store_n(grant_status(t, ref), new, __ATOMIC_RELEASE);
    }
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
    uint32_t version;

    if (unlikely(ref >= nr || READ_ONCE(granter->life) != DOMAIN_ALIVE)) {
        status = ref >= nr ? GNTST_bad_gntref : GNTST_general_error;
        log_refusal(granter, ref, user, status);
        return status;
    }
    ref = (grant_ref_t)array_index_nospec(ref, nr);
    active = grant_active(t, ref);
    word = lock_entry(t, active, &version);
    if (likely(fits(word, &r))) {
        uint16_t bits = grant_bits_of(word);

        status = mark(t, version, ref, bits, &r);
        if (likely(status == GNTST_okay)) {
            status = take_frame(granter, word, &r, mfn);
            if (likely(status == GNTST_okay)) {
                word = (word & ACTIVE_COUNTS) + (is_write ? ACTIVE_WRITER : ACTIVE_READER) +
                       ((uint64_t)user << ACTIVE_USER | mfn->n);
            } else {
                unmark(t, version, ref, bits | status_bits(is_write), bits);
            }
        }
    }
    grant_unlock_word(active, word);
    if (unlikely(status != GNTST_okay)) {
        log_refusal(granter, ref, user, status);
    }
    return status;
}

void grant_unpin(struct domain *granter, grant_ref_t ref, bool is_write)
{
    struct grant_table *t = granter->grant;
    uint32_t version;
    uint64_t *active = grant_active(t, ref), word = lock_entry(t, active, &version);
    uint64_t left = word - (is_write ? ACTIVE_WRITER : ACTIVE_READER);
    struct frame *f = frame_of(active_mfn(word));
    uint16_t bits = grant_bits_of(word), bits_left = grant_bits_of(left);

    if (bits & ~bits_left & GTF_writing) {
        frame_drop_writable(f);
    }
    if (bits_left == 0) {
        frame_put(f);
        left = 0;
    }
    if (bits != bits_left) {
        unmark(t, version, ref, bits, bits_left);
    }
    grant_unlock_word(active, left);
}

mfn_t grant_pinned(const struct domain *granter, grant_ref_t ref)
{
    return active_mfn(READ_ONCE(*grant_active(granter->grant, ref)));
}
