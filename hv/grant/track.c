/* SPDX-License-Identifier: MIT */
/*
 * A borrower's handles.
 *
 * A handle names a grant in use: whose, which, and how it is mapped.  While it
 * is in use it holds a pin of the lender's entry and a reference to the lender,
 * so a lender that dies stays, table and all, until its last borrower is done.
 *
 *            begin             end
 *   FREE ------------> BUSY ----------> LIVE
 *     ^    undone,     |  ^   unmap      |
 *     +------ or gone -+  +--- begin ----+
 *
 * Whoever makes a handle BUSY works on it alone: state changes are single
 * exchanges, so of two vCPUs that end the same handle one finds it gone.  FREE
 * ones are on a list, whose head has a number that grows with each change; the
 * list only ever grows, so reading the link of one that was just taken is
 * harmless.
 */
#include "grant/pin.h"

#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/smp.h"

/* States: these bits, with the GNTMAP flags beside; neither: FREE, and the number of the next
 * free one plus 1, 0: it is the last. */
#define TRACK_LIVE (1u << 31)
#define TRACK_BUSY (1u << 30)
#define TRACK_FLAGS                                                                                \
    (GNTMAP_device_map | GNTMAP_host_map | GNTMAP_readonly | GNTMAP_application_map |              \
     GNTMAP_contains_pte)

#define DRAIN_BATCH 64u /* handles ended before others get their turn */

static inline struct grant_track *track_of(const struct grant_table *t, uint32_t i)
{
    return &t->tracks[i / GRANT_TRACKS_PER_PAGE][i % GRANT_TRACKS_PER_PAGE];
}

/* ------------------------------------------------------ the list of free ones -- */

/* The list when it begins with @link, a number plus 1, and was @head. */
static inline uint64_t next_head(uint64_t head, uint32_t link)
{
    return ((head | UINT32_MAX) + 1) | link;
}

static inline bool set_head(struct grant_table *t, uint64_t *old, uint64_t new)
{
    return __atomic_compare_exchange_n(&t->free_tracks, old, new, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

/* Put the chain @first .. @last on the list. */
static void push(struct grant_table *t, uint32_t first, struct grant_track *last)
{
    uint64_t head = READ_ONCE(t->free_tracks);

    do {
        WRITE_ONCE(last->state, (uint32_t)head);
    } while (!set_head(t, &head, next_head(head, first + 1)));
}

/* Take one off the list; NULL: it is empty. */
static struct grant_track *pop(struct grant_table *t, uint32_t *number)
{
    uint64_t head = READ_ONCE(t->free_tracks);
    struct grant_track *track;

    do {
        if ((uint32_t)head == 0) {
            return NULL;
        }
        *number = (uint32_t)head - 1;
        track = track_of(t, *number);
        /* If it is not free any more, nor is the head what it was. */
    } while (!set_head(t, &head, next_head(head, READ_ONCE(track->state))));
    return track;
}

static uint32_t tracks_array_bytes(const struct grant_table *t)
{
    return t->max_tracks / (uint32_t)GRANT_TRACKS_PER_PAGE * (uint32_t)sizeof(t->tracks[0]);
}

static bool add_page(struct grant_table *t)
{
    struct grant_track *page;
    uint32_t first = t->nr_tracks;

    if (first == t->max_tracks) {
        return false;
    }
    if (t->tracks == NULL) {
        t->tracks = heap_alloc(tracks_array_bytes(t));
    }
    page = t->tracks == NULL ? NULL : page_alloc_hv();
    if (page == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < GRANT_TRACKS_PER_PAGE - 1; i++) {
        page[i].state = first + i + 2;
    }
    t->tracks[first / GRANT_TRACKS_PER_PAGE] = page;
    __atomic_store_n(&t->nr_tracks, first + (uint32_t)GRANT_TRACKS_PER_PAGE, __ATOMIC_RELEASE);
    push(t, first, &page[GRANT_TRACKS_PER_PAGE - 1]);
    return true;
}

bool grant_tracks_reserve(struct grant_table *t, uint32_t nr_pages)
{
    uint32_t wanted = min(nr_pages * (uint32_t)GRANT_TRACKS_PER_PAGE, t->max_tracks);

    while (t->nr_tracks < wanted) {
        if (!add_page(t)) {
            return false;
        }
    }
    return true;
}

bool grant_tracks_grow(struct domain *d)
{
    struct grant_table *t = d->grant;
    bool is_there;

    spin_lock(&t->lock);
    is_there = (uint32_t)READ_ONCE(t->free_tracks) != 0 || add_page(t);
    spin_unlock(&t->lock);
    if (!is_there) {
        log_guest(d->id, "has %u grants mapped and no room for more, its limit is %u", t->nr_tracks,
                  t->max_tracks);
    }
    return is_there;
}

/* ------------------------------------------------------------ map, unmap -- */

int64_t grant_map_begin(struct domain *mapper, struct domain *granter, grant_ref_t ref,
                        uint32_t flags, grant_handle_t *handle)
{
    struct grant_table *t = mapper->grant;
    struct grant_track *track;
    int64_t mfn;

    while (unlikely((track = pop(t, handle)) == NULL)) {
        if (!grant_tracks_grow(mapper)) {
            return GNTST_no_space;
        }
    }
    WRITE_ONCE(track->state, TRACK_BUSY | (flags & TRACK_FLAGS));
    mfn = flags & GNTMAP_readonly ? grant_pin_usual(granter, ref, mapper->id, false, NULL)
                                  : grant_pin_usual(granter, ref, mapper->id, true, NULL);
    if (unlikely(mfn < 0)) {
        push(t, *handle, track);
        return mfn;
    }
    track->granter = granter;
    track->ref = ref;
    return mfn;
}

void grant_map_undo(struct domain *mapper, grant_handle_t handle)
{
    struct grant_track *track = track_of(mapper->grant, handle);
    struct domain *granter = track->granter;

    grant_unpin(granter, track->ref, !(track->state & GNTMAP_readonly));
    push(mapper->grant, handle, track);
    domain_put(granter);
}

void grant_map_end(struct domain *mapper, const grant_handle_t *handles, uint32_t nr)
{
    for (; nr > 0; nr--, handles++) {
        if (likely(*handles != GRANT_NO_HANDLE)) {
            uint32_t *state = &track_of(mapper->grant, *handles)->state;

            __atomic_store_n(state, *state ^ (TRACK_BUSY | TRACK_LIVE), __ATOMIC_RELEASE);
        }
    }
}

int16_t grant_unmap_begin(struct domain *mapper, grant_handle_t handle, struct grant_mapping *m)
{
    struct grant_table *t = mapper->grant;
    uint32_t nr = READ_ONCE(t->nr_tracks), state;
    struct grant_track *track;

    m->granter = NULL;
    if (unlikely(handle >= nr)) {
        log_guest(mapper->id, "%#x is no handle of a grant", handle);
        return GNTST_bad_handle;
    }
    track = track_of(t, (uint32_t)array_index_nospec(handle, nr));
    state = READ_ONCE(track->state);
    if (unlikely(!(state & TRACK_LIVE) ||
                 !__atomic_compare_exchange_n(&track->state, &state, TRACK_BUSY, false,
                                              __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))) {
        log_guest(mapper->id, "the handle %#x of a grant is not in use", handle);
        return GNTST_bad_handle;
    }
    m->handle = handle;
    m->granter = track->granter;
    m->ref = track->ref;
    m->flags = m->left = state & TRACK_FLAGS;
    m->mfn = grant_active_mfn(READ_ONCE(*grant_active(m->granter->grant, m->ref)));
    return GNTST_okay;
}

/* What is given back goes to the list as one chain, whose end came first. */
void grant_unmap_end(struct domain *mapper, const struct grant_mapping *m, uint32_t nr)
{
    struct grant_table *t = mapper->grant;
    struct grant_track *track, *last = NULL;
    uint32_t link = 0; /* to the first of the chain */

    for (; nr > 0; nr--, m++) {
        if (unlikely(m->granter == NULL)) {
            continue;
        }
        track = track_of(t, m->handle);
        if (unlikely(m->left & (GNTMAP_host_map | GNTMAP_device_map))) {
            __atomic_store_n(&track->state, TRACK_LIVE | m->left, __ATOMIC_RELEASE);
            continue;
        }
        if (m->flags & GNTMAP_readonly) {
            grant_unpin_usual(m->granter, m->ref, false);
        } else {
            grant_unpin_usual(m->granter, m->ref, true);
        }
        domain_put(m->granter);
        WRITE_ONCE(track->state, link);
        last = last == NULL ? track : last;
        link = m->handle + 1;
    }
    if (likely(last != NULL)) {
        push(t, link - 1, last);
    }
}

/* --------------------------------------------------------- death of the borrower -- */

/*
 * The page tables may still have the mappings, each with what it holds of the
 * frame; no vCPU can use them any more, once the CPUs have forgotten them.
 */
int grant_tracks_drain(struct domain *d)
{
    struct grant_table *t = d->grant;

    if (t->drained == 0) {
        tlb_flush_mask(&d->dirty_cpus);
    }
    while (t->drained < t->nr_tracks) {
        uint32_t end = min(t->drained + DRAIN_BATCH, t->nr_tracks);

        for (; t->drained < end; t->drained++) {
            struct grant_mapping m;

            if ((track_of(t, t->drained)->state & TRACK_LIVE) &&
                grant_unmap_begin(d, t->drained, &m) == GNTST_okay) {
                m.left = 0;
                grant_unmap_end(d, &m, 1);
            }
        }
        if (t->drained < t->nr_tracks && preempt_pending()) {
            return -ERESTART;
        }
    }
    return 0;
}

uint32_t grant_tracks_used(const struct grant_table *t)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < READ_ONCE(t->nr_tracks); i++) {
        used += (READ_ONCE(track_of(t, i)->state) & (TRACK_LIVE | TRACK_BUSY)) != 0;
    }
    return used;
}

void grant_tracks_free(struct grant_table *t)
{
    for (uint32_t i = 0; i < t->nr_tracks / GRANT_TRACKS_PER_PAGE; i++) {
        page_free_hv(t->tracks[i]);
    }
    if (t->tracks != NULL) {
        heap_free(t->tracks, tracks_array_bytes(t));
    }
}
