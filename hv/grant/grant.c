/* SPDX-License-Identifier: MIT */
/*
 * The frames of grant tables.  A table begins with one frame, in which the
 * first entries are reserved for the toolstack, and grows when asked to; it
 * never shrinks while the domain lives, so its frames may be named without a
 * lock once they are there.
 */
#include "grant/internal.h"

#include "domain/part.h"
#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "sys/options.h"

static int add_frame(struct domain *d)
{
    struct grant_table *t = d->grant;
    struct grant_page *p = &t->pages[t->nr_frames];

    if (t->version == 2 && grant_status_grow(d, t->nr_frames + 1) != 0) {
        return -ENOMEM;
    }
    if (p->active == NULL) {
        p->active = page_alloc_hv();
    }
    p->shared = p->active == NULL ? NULL : page_alloc_hv();
    if (p->shared == NULL) {
        return -ENOMEM;
    }
    frame_share(p->shared, d->id, true);
    __atomic_store_n(&t->nr_frames, t->nr_frames + 1, __ATOMIC_RELEASE);
    return 0;
}

int grant_grow(struct domain *d, uint32_t nr)
{
    struct grant_table *t = d->grant;
    int rc = 0;

    if (nr > t->max_frames) {
        log_guest(d->id, "asks for %u grant table frames, its limit is %u", nr, t->max_frames);
        return -EINVAL;
    }
    spin_lock(&t->lock);
    while (rc == 0 && t->nr_frames < nr) {
        rc = add_frame(d);
    }
    spin_unlock(&t->lock);
    if (rc != 0) {
        log_guest(d->id, "no memory for %u grant table frames", nr);
    }
    return rc;
}

void grant_size(const struct domain *d, uint32_t *nr_frames, uint32_t *max_nr_frames)
{
    *nr_frames = READ_ONCE(d->grant->nr_frames);
    *max_nr_frames = d->grant->max_frames;
}

mfn_t grant_frame(const struct domain *d, uint32_t index)
{
    return virt_to_mfn(d->grant->pages[index].shared);
}

uint32_t grant_version(const struct domain *d)
{
    return READ_ONCE(d->grant->version);
}

/* Entries in use. */
static uint32_t entries_used(const struct grant_table *t)
{
    uint32_t used = 0;

    for (uint64_t i = 0; i < READ_ONCE(t->nr_frames) * GRANT_V1_PER_FRAME; i++) {
        used += (READ_ONCE(*grant_active(t, (grant_ref_t)i)) & ACTIVE_COUNTS) != 0;
    }
    return used;
}

void grant_dump(void)
{
    struct domain *d;

    for (domid_t id = 0; (d = domain_get_next(id)) != NULL;) {
        const struct grant_table *t = d->grant;

        log_info("d%u: grants of version %u in %u frames of at most %u, %u in use by others; "
                 "%u handles in use of at most %u",
                 d->id, t->version, t->nr_frames, t->max_frames, entries_used(t),
                 grant_tracks_used(t), t->max_tracks);
        id = (domid_t)(d->id + 1);
        domain_put(d);
    }
}

/* ------------------------------------------------------- life of a table -- */

static void free_table(struct domain *d)
{
    struct grant_table *t = d->grant;

    if (t == NULL) {
        return;
    }
    d->grant = NULL;
    grant_tracks_free(t);
    grant_status_free(t);
    /* The last may be half made. */
    for (uint32_t i = 0; t->pages != NULL && i <= t->nr_frames && i < t->max_frames; i++) {
        if (i < t->nr_frames) {
            frame_unshare(t->pages[i].shared);
        }
        if (t->pages[i].active != NULL) {
            page_free_hv(t->pages[i].active);
        }
    }
    heap_free(t->pages, t->max_frames * sizeof(t->pages[0]));
    heap_free(t, sizeof(*t));
}

/*
 * A table of handles never shrinks.  Whoever serves the devices of others maps some
 * thousand grants: room for them is there from the start, so that guests that come
 * and go leave free memory as it was.
 */
#define HARDWARE_TRACK_PAGES 16u

static int grant_create(struct domain *d, const struct domain_config *config)
{
    struct grant_table *t = heap_alloc(sizeof(*t));
    int rc = -ENOMEM;

    if (t == NULL) {
        return -ENOMEM;
    }
    spin_lock_init(&t->lock, LOCK_RANK_GRANT);
    t->version = 1;
    t->max_version =
        config->max_grant_version ? config->max_grant_version : hv_options.gnttab_max_version;
    t->max_frames = max(config->max_grant_frames, 1u);
    t->max_tracks = config->max_maptrack_frames * (uint32_t)GRANT_TRACKS_PER_PAGE;
    t->pages = heap_alloc(t->max_frames * sizeof(t->pages[0]));
    d->grant = t;
    if (t->pages != NULL) {
        rc = grant_grow(d, 1);
    }
    if (rc == 0 && d->is_hardware && !grant_tracks_reserve(t, HARDWARE_TRACK_PAGES)) {
        rc = -ENOMEM;
    }
    if (rc != 0) {
        free_table(d);
    }
    return rc;
}

const struct domain_part grant_part = {
    .name = "grant table",
    .create = grant_create,
    .destroy_step = grant_tracks_drain,
    .free = free_table,
};
