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
#include "grant/pin.h"

#include "mm/frame_use.h"
#include "sys/log.h"

#define MARK_TRIES 5u /* of setting the bits, while the lender changes its entry */

/* Lock the entry; the version stays what it is until the entry is unlocked. */
static inline uint64_t lock_entry(const struct grant_table *t, uint64_t *active, uint32_t *version)
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

/* ------------------------------------------------- what the lender sees -- */

/* A use that is to begin. */
struct use {
    grant_ref_t ref;
    domid_t user;
    bool is_write;
    struct grant_range *range; /* set if a part is lent; NULL: all of the page is needed */
};

/* Set the bits, and see which frame is lent; GNTST_xxx, or the number. */
static int64_t mark_v1(struct grant_entry_v1 *e, domid_t user, bool is_write)
{
    uint32_t *head = (uint32_t *)e, old = READ_ONCE(*head);
    unsigned int tries = MARK_TRIES;

    do {
        if (!grant_lends(old, user, is_write, false) || tries-- == 0) {
            return GNTST_general_error;
        }
    } while ((~old & grant_use_bits(is_write)) &&
             !grant_exchange32(head, &old, old | grant_use_bits(is_write)));
    return READ_ONCE(e->frame);
}

static int64_t read_v2(const union grant_entry_v2 *e, bool is_part, struct grant_range *range)
{
    uint64_t frame = READ_ONCE(e->full_page.frame);

    if (is_part) {
        range->is_part = true;
        range->offset = min(READ_ONCE(e->sub_page.page_off), (uint16_t)PAGE_SIZE);
        range->len = min(READ_ONCE(e->sub_page.length), (uint16_t)(PAGE_SIZE - range->offset));
    }
    return frame > ACTIVE_MFN ? GNTST_bad_page : (int64_t)frame;
}

/* The same; if it fails the bits @old are left. */
static int64_t mark_v2(const struct grant_table *t, const struct use *u, grant_ref_t ref,
                       uint16_t old)
{
    const union grant_entry_v2 *e = grant_entry_v2(t, ref);
    uint32_t was, now = READ_ONCE(*(const uint32_t *)e);
    int64_t rc = GNTST_general_error;

    for (unsigned int tries = MARK_TRIES;
         tries > 0 && grant_lends(now, u->user, u->is_write, u->range != NULL); tries--) {
        was = now;
        __atomic_store_n(grant_status(t, ref), old | grant_use_bits(u->is_write), __ATOMIC_SEQ_CST);
        now = READ_ONCE(*(const uint32_t *)e);
        if (now == was) {
            rc = read_v2(e, now & GTF_sub_page, u->range);
            break;
        }
    }
    if (rc < 0) {
        WRITE_ONCE(*grant_status(t, ref), old);
    }
    return rc;
}

static int64_t mark(const struct grant_table *t, uint32_t version, const struct use *u,
                    uint16_t old)
{
    uint64_t nr = READ_ONCE(t->nr_frames) * GRANT_V2_PER_FRAME;

    if (version == 1) {
        return mark_v1(grant_entry_v1(t, u->ref), u->user, u->is_write);
    }
    if (u->ref >= nr) {
        return GNTST_bad_gntref;
    }
    return mark_v2(t, u, (grant_ref_t)array_index_nospec(u->ref, nr), old);
}

/* Of the bits @old only @left are to be set any more. */
static void unmark(const struct grant_table *t, uint32_t version, grant_ref_t ref, uint16_t old,
                   uint16_t left)
{
    if (likely(version == 1)) {
        grant_unmark_v1(grant_entry_v1(t, ref), old & ~left);
    } else {
        __atomic_store_n(grant_status(t, ref), left, __ATOMIC_RELEASE);
    }
}

/* -------------------------------------------------------- uses, one by one -- */

int64_t grant_pin_refuse(const struct domain *granter, grant_ref_t ref, domid_t user,
                         int64_t status)
{
    log_guest(user, "may not use grant %u of d%u (status %d)", ref, granter->id, (int)status);
    return status;
}

/* Nobody uses the entry yet: the frame or why not, and the word to be. */
static int64_t first_use(const struct domain *granter, uint32_t version, const struct use *u,
                         uint64_t *word)
{
    int64_t rc = mark(granter->grant, version, u, 0);
    mfn_t mfn = MFN((uint64_t)rc);
    struct frame *f;

    if (rc < 0) {
        return rc;
    }
    f = frame_named(mfn);
    if (!frame_backed(mfn) || !frame_get_plain(f, granter->id)) {
        rc = GNTST_bad_page;
    } else if (u->is_write && !frame_use_writable(f, &granter->dirty_cpus, 0)) {
        frame_put(f);
        rc = GNTST_general_error;
    }
    if (rc < 0) {
        unmark(granter->grant, version, u->ref, grant_use_bits(u->is_write), 0);
    } else {
        *word = grant_first_word(mfn, u->user, u->is_write);
    }
    return rc;
}

/* The entry is in use: the frame is what it was, whatever the entry says now. */
static int64_t another_use(const struct domain *granter, uint32_t version, const struct use *u,
                           uint64_t *word)
{
    uint64_t one = u->is_write ? ACTIVE_WRITER : ACTIVE_READER;
    uint16_t old = grant_bits_of(*word);
    int64_t rc;

    if (*word >> ACTIVE_USER != u->user || (~*word & (one * 0xff)) == 0) {
        return GNTST_general_error; /* another domain uses it, or too many do */
    }
    rc = mark(granter->grant, version, u, old);
    if (rc < 0) {
        return rc;
    }
    if (u->is_write && !(old & GTF_writing) &&
        !frame_use_writable(frame_of(grant_active_mfn(*word)), &granter->dirty_cpus, 0)) {
        unmark(granter->grant, version, u->ref, grant_use_bits(true), old);
        return GNTST_general_error;
    }
    *word += one;
    return (int64_t)grant_active_mfn(*word).n;
}

/* All that may happen.  @ref is in range. */
int64_t grant_pin_slow(struct domain *granter, grant_ref_t ref, domid_t user, bool is_write,
                       struct grant_range *range)
{
    const struct use u = { .ref = ref, .user = user, .is_write = is_write, .range = range };
    uint64_t *active = grant_active(granter->grant, ref), word;
    uint32_t version;
    int64_t rc;

    word = lock_entry(granter->grant, active, &version);
    rc = word == 0 ? first_use(granter, version, &u, &word)
                   : another_use(granter, version, &u, &word);
    grant_unlock_word(active, word);
    return rc < 0 ? grant_pin_refuse(granter, ref, user, rc) : rc;
}

/* The entry is locked and marked, and has a reference to @mfn: undo that and begin anew. */
int64_t grant_pin_anew(struct domain *granter, grant_ref_t ref, domid_t user, bool is_write,
                       struct grant_range *range, mfn_t mfn)
{
    frame_put(frame_of(mfn));
    unmark(granter->grant, 1, ref, grant_use_bits(is_write), 0);
    grant_unlock_word(grant_active(granter->grant, ref), 0);
    return grant_pin_slow(granter, ref, user, is_write, range);
}

int64_t grant_pin_for_reading(struct domain *granter, grant_ref_t ref, domid_t user,
                              struct grant_range *range)
{
    return grant_pin_usual(granter, ref, user, false, range);
}

int64_t grant_pin_for_writing(struct domain *granter, grant_ref_t ref, domid_t user,
                              struct grant_range *range)
{
    return grant_pin_usual(granter, ref, user, true, range);
}

void grant_unpin_slow(struct domain *granter, grant_ref_t ref, bool is_write)
{
    const struct grant_table *t = granter->grant;
    uint32_t version;
    uint64_t *active = grant_active(t, ref), word = lock_entry(t, active, &version);
    uint64_t left = word - (is_write ? ACTIVE_WRITER : ACTIVE_READER);
    struct frame *f = frame_of(grant_active_mfn(word));
    uint16_t bits = grant_bits_of(word), bits_left = grant_bits_of(left);

    if (is_write && !(bits_left & GTF_writing)) {
        frame_drop_writable(f);
    }
    if (bits_left == 0) {
        frame_put(f);
        left = 0;
    }
    unmark(t, version, ref, bits, bits_left);
    grant_unlock_word(active, left);
}

/* The rest of it when the lender, or whoever it was, has let go of the frame before. */
void grant_unpin_last(struct frame *f, struct grant_entry_v1 *e, uint16_t bits, uint64_t *active)
{
    frame_release(f);
    grant_unmark_v1(e, bits);
    grant_unlock_word(active, 0);
}

void grant_unpin_for_reading(struct domain *granter, grant_ref_t ref)
{
    grant_unpin_usual(granter, ref, false);
}

void grant_unpin_for_writing(struct domain *granter, grant_ref_t ref)
{
    grant_unpin_usual(granter, ref, true);
}
