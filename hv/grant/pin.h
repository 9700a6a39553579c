/* SPDX-License-Identifier: MIT */
/*
 * Beginning and ending to use an entry, in line: what is usual.  The theory, and
 * all else that may happen, is in pin.c.  Private to grant/.
 */
#pragma once

#include "grant/internal.h"
#include "mm/frame_use.h"

static always_inline bool grant_exchange64(uint64_t *word, uint64_t *old, uint64_t new)
{
    return __atomic_compare_exchange_n(word, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static always_inline bool grant_exchange32(uint32_t *word, uint32_t *old, uint32_t new)
{
    return __atomic_compare_exchange_n(word, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* The bits to be set for a use. */
static inline uint16_t grant_use_bits(bool is_write)
{
    return is_write ? GTF_reading | GTF_writing : GTF_reading;
}

/* Flags and domid lie in one word: does it lend the page, or with @part some of it, to @user? */
static always_inline bool grant_lends(uint32_t head, uint32_t user, bool is_write, bool part)
{
    uint32_t looked =
        0xffff0000u | GTF_type_mask | (is_write ? GTF_readonly : 0) | (part ? 0 : GTF_sub_page);

    return (head & looked) == (user << 16 | GTF_permit_access);
}

static always_inline void grant_unmark_v1(struct grant_entry_v1 *e, uint16_t gone)
{
    __atomic_and_fetch(&e->flags, (uint16_t)~gone, __ATOMIC_SEQ_CST);
}

static inline uint64_t grant_first_word(mfn_t mfn, uint32_t user, bool is_write)
{
    return ((uint64_t)user << ACTIVE_USER | mfn.n) + (is_write ? ACTIVE_WRITER : ACTIVE_READER);
}

/* ----- all that may happen (pin.c) ----- */

/* @ref is in range. */
noinline int64_t must_check grant_pin_slow(struct domain *granter, grant_ref_t ref, domid_t user,
                                           bool is_write, struct grant_range *range);

/* The entry is locked and marked, and has a reference to @mfn: undo that and begin anew. */
noinline int64_t must_check grant_pin_anew(struct domain *granter, grant_ref_t ref, domid_t user,
                                           bool is_write, struct grant_range *range, mfn_t mfn);

/* Tell of it; returns @status. */
noinline int64_t grant_pin_refuse(const struct domain *granter, grant_ref_t ref, domid_t user,
                                  int64_t status);

noinline void grant_unpin_slow(struct domain *granter, grant_ref_t ref, bool is_write);

/* The entry is locked, and the last reference to the frame gone: the rest. */
noinline void grant_unpin_last(struct frame *f, struct grant_entry_v1 *e, uint16_t bits,
                               uint64_t *active);

/* ----- what is usual ----- */

/*
 * Nobody uses the entry, version 1, the frame is used as it shall be, and nobody
 * else is at work on any of that.  Else grant_pin_slow() begins anew.
 */
static always_inline int64_t grant_pin_usual(struct domain *granter, grant_ref_t ref, uint32_t user,
                                             bool is_write, struct grant_range *range)
{
    const struct grant_table *t = granter->grant;
    uint64_t nr = READ_ONCE(t->nr_frames) * GRANT_V1_PER_FRAME, *active, word = 0;
    const struct grant_page *page;
    struct grant_entry_v1 *e;
    struct frame *f;
    uint32_t old;
    mfn_t mfn;

    if (unlikely(ref >= nr)) {
        return grant_pin_refuse(granter, ref, user, GNTST_bad_gntref);
    }
    if (unlikely(READ_ONCE(granter->life) != DOMAIN_ALIVE)) {
        return grant_pin_refuse(granter, ref, user, GNTST_general_error);
    }
    ref = (grant_ref_t)array_index_nospec(ref, nr);
    page = &t->pages[ref / GRANT_V1_PER_FRAME];
    active = &page->active[ref % GRANT_V1_PER_FRAME];
    e = (struct grant_entry_v1 *)page->shared + ref % GRANT_V1_PER_FRAME;
    if (unlikely(!grant_exchange64(active, &word, ACTIVE_LOCK))) {
        return grant_pin_slow(granter, ref, user, is_write, range);
    }
    old = READ_ONCE(*(uint32_t *)e);
    if (unlikely(READ_ONCE(t->version) != 1 || !grant_lends(old, user, is_write, false) ||
                 !grant_exchange32((uint32_t *)e, &old, old | grant_use_bits(is_write)))) {
        goto unlock;
    }
    mfn = MFN(READ_ONCE(e->frame));
    f = frame_named(mfn);
    if (unlikely(!frame_backed(mfn) || !frame_get_plain(f, granter->id))) {
        grant_unmark_v1(e, grant_use_bits(is_write));
        goto unlock;
    }
    if (is_write && unlikely(!frame_use_writable_once(f, 0))) {
        return grant_pin_anew(granter, ref, user, is_write, range, mfn);
    }
    grant_unlock_word(active, grant_first_word(mfn, user, is_write));
    return (int64_t)mfn.n;

unlock:
    grant_unlock_word(active, 0);
    return grant_pin_slow(granter, ref, user, is_write, range);
}

/* The end of the only use, when others use the frame as it was used. */
static always_inline void grant_unpin_usual(struct domain *granter, grant_ref_t ref, bool is_write)
{
    const struct grant_table *t = granter->grant;
    struct grant_entry_v1 *e = grant_entry_v1(t, ref);
    uint64_t *active = grant_active(t, ref), word = READ_ONCE(*active);
    struct frame *f = frame_of(grant_active_mfn(word));
    uint64_t counts = word & (ACTIVE_LOCK | ACTIVE_COUNTS);

    if (unlikely(counts != (is_write ? ACTIVE_WRITER : ACTIVE_READER) ||
                 !grant_exchange64(active, &word, word | ACTIVE_LOCK))) {
        grant_unpin_slow(granter, ref, is_write);
        return;
    }
    if (unlikely(READ_ONCE(t->version) != 1 || (is_write && !frame_drop_writable_once(f)))) {
        grant_unlock_word(active, word);
        grant_unpin_slow(granter, ref, is_write);
        return;
    }
    if (unlikely(frame_unref(f))) {
        grant_unpin_last(f, e, grant_use_bits(is_write), active);
        return;
    }
    grant_unmark_v1(e, grant_use_bits(is_write));
    grant_unlock_word(active, 0);
}
