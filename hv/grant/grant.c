/* SPDX-License-Identifier: MIT */
/*
 * The frames of grant tables.  A table begins with one frame, in which the
 * first entries are reserved for the toolstack, and grows when asked to; it
 * never shrinks while the domain lives, so its frames may be named without a
 * lock once they are there.
 */
#include "grant/grant.h"

#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/log.h"

struct grant_table {
    struct spinlock lock; /* LOCK_RANK_GRANT: growing */
    uint32_t nr_frames;   /* [a] grows only; frames below it are there */
    uint32_t max_frames;  /* [c] */
    void **frames;        /* [c] the array; an entry is constant once below nr_frames */
};

static int add_frame(struct domain *d)
{
    struct grant_table *t = d->grant;
    void *page = page_alloc_hv();

    if (page == NULL) {
        return -ENOMEM;
    }
    frame_share(page, d->id, true);
    t->frames[t->nr_frames] = page;
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
    return rc;
}

void grant_size(struct domain *d, uint32_t *nr_frames, uint32_t *max_nr_frames)
{
    *nr_frames = READ_ONCE(d->grant->nr_frames);
    *max_nr_frames = d->grant->max_frames;
}

mfn_t grant_frame(const struct domain *d, uint32_t index)
{
    return virt_to_mfn(d->grant->frames[index]);
}

static int grant_create(struct domain *d, const struct domain_config *config)
{
    struct grant_table *t = heap_alloc(sizeof(*t));

    if (t == NULL) {
        return -ENOMEM;
    }
    spin_lock_init(&t->lock, LOCK_RANK_GRANT);
    t->max_frames = config->max_grant_frames;
    t->frames = heap_alloc(t->max_frames * sizeof(t->frames[0]));
    if (t->frames == NULL) {
        heap_free(t, sizeof(*t));
        return -ENOMEM;
    }
    d->grant = t;
    return grant_grow(d, 1);
}

const struct domain_part grant_part = {
    .name = "grant table",
    .create = grant_create,
};
