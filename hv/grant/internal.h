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
#include "x86/layout.h"

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
    uint32_t nr_frames;          /* [l] grows only; frames below it are there */
    uint32_t max_frames;         /* [c] */
    struct grant_page *pages;    /* [c] the array; an element is constant once below nr_frames */
    grant_status_t **status;     /* [c] the array; version 2 */
    uint32_t nr_tracks;          /* [l] grows only; tracks below it are there */
    uint32_t max_tracks;         /* [c] */
    struct grant_track **tracks; /* [l] pages of them; NULL until the first */
    uint64_t free_tracks;        /* [a] */
    uint32_t drained;            /* dying: handles below it are gone */
};

/* Make sure that @d has a free handle: false, it may not. */
bool grant_tracks_grow(struct domain *d);

/* Parts of grant_part. */
int grant_tracks_drain(struct domain *d);
void grant_tracks_free(struct grant_table *t);
