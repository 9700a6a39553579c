/* SPDX-License-Identifier: MIT */
/*
 * A domain's part in grants, private to grant/.
 *
 *   [l]  holder of lock; read without it as told there
 *   [c]  constant from the domain's creation on
 *   [a]  anyone, atomically
 */
#pragma once

#include "grant/grant.h"
#include "x86/insn.h"
#include "x86/layout.h"
#include "x86/smp.h"

#define GRANT_V1_PER_FRAME     (PAGE_SIZE / sizeof(struct grant_entry_v1))
#define GRANT_V2_PER_FRAME     (PAGE_SIZE / sizeof(union grant_entry_v2))
#define GRANT_STATUS_PER_FRAME (PAGE_SIZE / sizeof(grant_status_t))
#define GRANT_TRACKS_PER_PAGE  (PAGE_SIZE / sizeof(struct grant_track))

/* The frames of the table, and what we keep of the entries (pin.c): a page for each frame. */
struct grant_page {
    void *shared;
    uint64_t *active;
};

/* What a domain has borrowed (track.c). */
struct grant_track {
    struct domain *granter; /* counted while the handle is in use */
    uint32_t ref;
    uint32_t state; /* [a] */
};

struct grant_table {
    struct spinlock lock;        /* LOCK_RANK_GRANT */
    uint32_t version;            /* [l] 1, 2; 0 while it changes.  Read with an entry locked */
    uint32_t max_version;        /* [c] */
    uint32_t nr_frames;          /* [l] grows only; frames below it are there */
    uint32_t max_frames;         /* [c] */
    struct grant_page *pages;    /* [c] the array; an element is constant once below nr_frames */
    grant_status_t **status;     /* [l] the array, NULL until version 2; its elements as pages' */
    uint32_t nr_status;          /* [l] frames of status: grows only */
    uint32_t nr_tracks;          /* [l] grows only; tracks below it are there */
    uint32_t max_tracks;         /* [c] */
    struct grant_track **tracks; /* [l] pages of them; NULL until the first */
    uint64_t free_tracks;        /* [a] */
    uint32_t drained;            /* dying: handles below it are gone */
};

/* ----- entries (pin.c) ----- */

#define ACTIVE_LOCK    (1ull << 63)
#define ACTIVE_USER    48
#define ACTIVE_WRITER  (1ull << 40)
#define ACTIVE_READER  (1ull << 32)
#define ACTIVE_COUNTS  (0xffffull << 32)
#define ACTIVE_WRITERS (0xffull << 40)
#define ACTIVE_MFN     0xffffffffull

/* Lock the entry and return its word, which is without the lock. */
static inline uint64_t grant_lock_word(uint64_t *active)
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

static inline void grant_unlock_word(uint64_t *active, uint64_t word)
{
    __atomic_store_n(active, word, __ATOMIC_RELEASE);
}

static inline uint64_t *grant_active(const struct grant_table *t, grant_ref_t ref)
{
    return &t->pages[ref / GRANT_V1_PER_FRAME].active[ref % GRANT_V1_PER_FRAME];
}

/* The frame of an entry in use. */
static inline mfn_t grant_active_mfn(uint64_t word)
{
    return MFN(word & ACTIVE_MFN);
}

static inline struct grant_entry_v1 *grant_entry_v1(const struct grant_table *t, grant_ref_t ref)
{
    return (struct grant_entry_v1 *)t->pages[ref / GRANT_V1_PER_FRAME].shared +
           ref % GRANT_V1_PER_FRAME;
}

static inline union grant_entry_v2 *grant_entry_v2(const struct grant_table *t, grant_ref_t ref)
{
    return (union grant_entry_v2 *)t->pages[ref / GRANT_V2_PER_FRAME].shared +
           ref % GRANT_V2_PER_FRAME;
}

static inline grant_status_t *grant_status(const struct grant_table *t, grant_ref_t ref)
{
    return &t->status[ref / GRANT_STATUS_PER_FRAME][ref % GRANT_STATUS_PER_FRAME];
}

/* The bits that tell the lender of the uses in @word. */
static inline uint16_t grant_bits_of(uint64_t word)
{
    if (word & ACTIVE_WRITERS) {
        return GTF_reading | GTF_writing;
    }
    return word & ACTIVE_COUNTS ? GTF_reading : 0;
}

/* ----- handles (track.c) ----- */

/* Make sure that @d has a free handle: false, it may not. */
bool grant_tracks_grow(struct domain *d);
/* Room for the first so many pages of handles, or for as many as there may be; false: no memory. */
bool must_check grant_tracks_reserve(struct grant_table *t, uint32_t nr_pages);

/* Parts of grant_part. */
int grant_tracks_drain(struct domain *d);
void grant_tracks_free(struct grant_table *t);

/* How many handles are in use. */
uint32_t grant_tracks_used(const struct grant_table *t);

/* ----- version 2 (version.c) ----- */

/* Make the frames of status that @nr_frames of the table need; 0 or -ENOMEM.  Holds the lock. */
int must_check grant_status_grow(struct domain *d, uint32_t nr_frames);
void grant_status_free(struct grant_table *t);
