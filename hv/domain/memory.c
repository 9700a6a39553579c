/* SPDX-License-Identifier: MIT */
/*
 * A domain's frames.
 *
 * They are found again by a sparse map of the machine's 2 MiB regions in which
 * the domain has ever owned a frame: one word block of 64 bytes for each GiB,
 * made when first needed.  So taking a domain down looks at its own regions
 * only, and keeping the map costs nothing while it lives.
 */
#include "domain/memory.h"
#include "domain/part.h"

#include "lib/bits.h"
#include "mm/frame_use.h"
#include "mm/heap.h"
#include "mm/m2p.h"
#include "mm/phys.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/cache.h"

#define REGION_SHIFT 9u  /* frames: 2 MiB */
#define LEAF_SHIFT   18u /* frames: 1 GiB */
#define FREE_BATCH   128u
#define LEAF_REGIONS (1u << (LEAF_SHIFT - REGION_SHIFT))

struct leaf {
    BITMAP(regions, LEAF_REGIONS); /* [m] */
};

struct reservation_map {
    uint64_t claim;                  /* [LOCK_RANK_PAGES] frames set aside for it */
    struct e820_entry *map;          /* [m] what it is told of its memory; NULL: nothing */
    uint32_t nr_map;                 /* [m] */
    uint64_t walks[NR_MEMORY_WALKS]; /* region to go on with; one CPU takes a domain down */
    uint64_t nr_leaves;              /* [c] */
    struct leaf *leaves[];           /* [m] NULL: no region of that GiB */
};

static int memory_create(struct domain *d, const struct domain_config *config)
{
    uint64_t nr = align_up(nr_frames_max, 1u << LEAF_SHIFT) >> LEAF_SHIFT;

    d->reservation = heap_alloc(sizeof(struct reservation_map) + nr * sizeof(struct leaf *));
    if (!d->reservation) {
        return -ENOMEM;
    }
    d->reservation->nr_leaves = nr;
    return 0;
}

static void memory_part_free(struct domain *d)
{
    struct reservation_map *r = d->reservation;

    if (r == NULL) {
        return;
    }
    memory_set_map(d, NULL, 0);
    pages_forget(&r->claim);
    for (uint64_t i = 0; i < r->nr_leaves; i++) {
        heap_free(r->leaves[i], sizeof(struct leaf));
    }
    heap_free(r, sizeof(*r) + r->nr_leaves * sizeof(struct leaf *));
}

const struct domain_part memory_part = {
    .name = "memory",
    .create = memory_create,
    .destroy_step = memory_destroy_step,
    .free = memory_part_free,
};

/* --- what it is told of its memory --- */

void memory_set_map(struct domain *d, struct e820_entry *map, uint32_t nr)
{
    struct reservation_map *r = d->reservation;
    struct e820_entry *old;
    uint32_t nr_old;

    spin_lock(&d->page_lock);
    old = r->map;
    nr_old = r->nr_map;
    r->map = map;
    r->nr_map = nr;
    spin_unlock(&d->page_lock);
    heap_free(old, nr_old * sizeof(*old));
}

bool memory_map_entry(struct domain *d, uint32_t i, struct e820_entry *e)
{
    const struct reservation_map *r = d->reservation;
    bool is_there;

    spin_lock(&d->page_lock);
    is_there = i < r->nr_map;
    if (is_there) {
        *e = r->map[i];
    }
    spin_unlock(&d->page_lock);
    return is_there;
}

/* --- assigning --- */

/* See that the map has room for the block.  -ENOMEM. */
static int make_leaf(struct domain *d, mfn_t mfn)
{
    struct leaf **slot = &d->reservation->leaves[mfn.n >> LEAF_SHIFT];
    struct leaf *leaf;

    if (READ_ONCE(*slot)) {
        return 0;
    }
    leaf = heap_alloc(sizeof(*leaf));
    if (!leaf) {
        return -ENOMEM;
    }
    spin_lock(&d->page_lock);
    if (!*slot) {
        WRITE_ONCE(*slot, leaf);
        leaf = NULL;
    }
    spin_unlock(&d->page_lock);
    heap_free(leaf, sizeof(*leaf));
    return 0;
}

/* Note the block's regions; the leaf is there, as no block is larger than a GiB. */
static void mark_regions(struct domain *d, mfn_t mfn, unsigned int order)
{
    struct leaf *leaf = d->reservation->leaves[mfn.n >> LEAF_SHIFT];
    uint64_t end = mfn.n + (1ull << order);

    for (uint64_t at = mfn.n; at < end; at += 1u << REGION_SHIFT) {
        bit_set(leaf->regions, (at >> REGION_SHIFT) % LEAF_REGIONS);
    }
}

/* Count @nr frames more; those of an exchange are counted already. */
static int account(struct domain *d, mfn_t mfn, unsigned int order, uint64_t nr)
{
    int rc = 0;

    spin_lock(&d->page_lock);
    if (d->life != DOMAIN_ALIVE) {
        rc = -EINVAL;
    } else if (nr && (d->nr_pages >= d->max_pages || nr > d->max_pages - d->nr_pages)) {
        rc = -E2BIG;
    } else {
        if (d->nr_pages == 0) {
            domain_hold(d);
        }
        d->nr_pages += nr;
        d->nr_assigning++;
        mark_regions(d, mfn, order);
    }
    spin_unlock(&d->page_lock);
    return rc;
}

/* The frames are published: its end will find them. */
static void assigned(struct domain *d)
{
    spin_lock(&d->page_lock);
    d->nr_assigning--;
    spin_unlock(&d->page_lock);
}

/* Publish the frames as the domain's. */
static void own(struct domain *d, mfn_t mfn, unsigned int order)
{
    struct frame *f = frame_of(mfn);

    for (uint64_t i = 0; i < 1ull << order; i++) {
        __atomic_store_n(&f[i].ref, FRAME_ALLOCATED | FRAME_WRITTEN | FRAME_REF_ONE | d->id,
                         __ATOMIC_RELEASE);
    }
}

int memory_assign(struct domain *d, mfn_t mfn, unsigned int order)
{
    int rc = make_leaf(d, mfn);

    if (rc == 0) {
        rc = account(d, mfn, order, 1ull << order);
    }
    if (rc == 0) {
        own(d, mfn, order);
        assigned(d);
    }
    return rc;
}

mfn_t memory_alloc(struct domain *d, unsigned int order, unsigned int address_bits,
                   unsigned int flags)
{
    mfn_t mfn = pages_alloc_claimed(order, address_bits, flags, &d->reservation->claim);

    if (!mfn_eq(mfn, MFN_INVALID) && memory_assign(d, mfn, order) != 0) {
        pages_free(mfn, order);
        mfn = MFN_INVALID;
    }
    return mfn;
}

uint32_t memory_alloc_list(struct domain *d, uint64_t *mfns, uint32_t nr, unsigned int address_bits)
{
    unsigned int flags = ALLOC_ZERO | ALLOC_CLEAN | ALLOC_OWN, order = bit_highest(nr);
    uint32_t got = 0;

    while (got < nr) {
        mfn_t mfn;

        order = min(order, bit_highest(nr - got));
        mfn = memory_alloc(d, order, address_bits, flags);
        if (!mfn_eq(mfn, MFN_INVALID)) {
            for (uint32_t i = 0; i < 1u << order; i++) {
                mfns[got++] = mfn.n + i;
            }
        } else if (order > 0) {
            order--; /* no such large ones are left */
        } else if (flags & ALLOC_CLEAN) {
            flags &= ~ALLOC_CLEAN;
            order = bit_highest(nr);
        } else {
            break;
        }
    }
    return got;
}

/* --- claims --- */

int memory_claim(struct domain *d, uint64_t nr)
{
    struct reservation_map *r = d->reservation;
    int rc = 0;

    spin_lock(&d->page_lock);
    if (nr != 0 &&
        (nr <= d->nr_pages || nr > d->max_pages || r->claim != 0 || d->life != DOMAIN_ALIVE)) {
        rc = -EINVAL;
    } else if (!pages_claim(&r->claim, nr == 0 ? 0 : nr - d->nr_pages)) {
        rc = -ENOMEM;
    }
    spin_unlock(&d->page_lock);
    return rc;
}

uint64_t memory_claimed(const struct domain *d)
{
    return READ_ONCE(d->reservation->claim);
}

/* --- freeing --- */

/* Is a frame with word @ref allocated to @d, and not given back yet? */
static inline bool is_allocated(uint64_t ref, const struct domain *d)
{
    return (ref & (FRAME_OWNER_MASK | FRAME_FREE | FRAME_HV | FRAME_ALLOCATED)) ==
           (FRAME_ALLOCATED | d->id);
}

int memory_free(struct domain *d, mfn_t mfn)
{
    struct frame *f;
    uint64_t old;

    if (!frame_valid(mfn)) {
        return -EINVAL;
    }
    f = frame_named(mfn);
    old = READ_ONCE(f->ref);
    do {
        if (!is_allocated(old, d)) {
            return -EINVAL;
        }
    } while (!__atomic_compare_exchange_n(&f->ref, &old, old & ~FRAME_ALLOCATED, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    m2p_set(mfn, M2P_INVALID); /* while the reference keeps others from getting the frame */
    frame_put(f);
    return 0;
}

/* @nr of its frames are its no more; they keep the domain. */
static void count_gone(struct domain *d, uint64_t nr)
{
    bool is_last;

    spin_lock(&d->page_lock);
    d->nr_pages -= nr;
    is_last = nr != 0 && d->nr_pages == 0;
    pages_claim_more(&d->reservation->claim, nr);
    spin_unlock(&d->page_lock);
    if (is_last) {
        domain_put(d);
    }
}

void memory_released(domid_t owner, mfn_t mfn)
{
    m2p_set(mfn, M2P_INVALID);         /* the owner may have set it again */
    count_gone(domain_held(owner), 1); /* by its frames, of which this is one */
}

/* Make a frame nobody's, if its allocation is its only reference. */
static bool steal(struct domain *d, struct frame *f)
{
    uint64_t old = READ_ONCE(f->ref);

    return (old & ~FRAME_WRITTEN) == (FRAME_ALLOCATED | FRAME_REF_ONE | d->id) &&
           __atomic_compare_exchange_n(&f->ref, &old, DOMID_INVALID, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

/* Forget what was noted of frames that nobody owns, and that are about to be free. */
static void forget_stolen(const uint64_t *mfns, uint32_t nr)
{
    for (uint32_t i = 0; i < nr; i++) {
        mfn_t mfn = MFN(mfns[i]);

        m2p_set(mfn, M2P_INVALID);
        if (unlikely(frame_of(mfn)->type & FRAME_UNCACHED)) {
            cache_flush_page(mfn_to_virt(mfn));
        }
    }
}

uint32_t memory_free_list(struct domain *d, uint64_t *mfns, uint32_t nr)
{
    uint32_t i, nr_stolen = 0;

    for (i = 0; i < nr; i++) {
        mfn_t mfn = MFN(mfns[i]);

        if (frame_valid(mfn) && steal(d, frame_named(mfn))) {
            mfns[nr_stolen++] = mfn.n;
        } else if (memory_free(d, mfn) != 0) {
            break;
        }
    }
    forget_stolen(mfns, nr_stolen);
    if (nr == 1 && nr_stolen == 1) {
        pages_free_one(mfns[0], &d->reservation->claim);
    } else {
        pages_free_list(mfns, nr_stolen);
    }
    count_gone(d, nr_stolen);
    return i;
}

/* --- exchange --- */

static inline mfn_t block_frame(const struct memory_blocks *b, uint64_t i)
{
    return MFN(b->mfns[i >> b->order] + (i & ((1ull << b->order) - 1)));
}

/* All or nothing. */
static int steal_blocks(struct domain *d, const struct memory_blocks *in)
{
    uint64_t nr = (uint64_t)in->nr << in->order;

    for (uint64_t i = 0; i < nr; i++) {
        mfn_t mfn = block_frame(in, i);

        if (!frame_valid(mfn) || !steal(d, frame_named(mfn))) {
            while (i-- > 0) {
                own(d, block_frame(in, i), 0);
            }
            return -EINVAL;
        }
    }
    return 0;
}

static void free_stolen_blocks(const struct memory_blocks *in)
{
    uint64_t nr = (uint64_t)in->nr << in->order;

    for (uint64_t i = 0; i < nr; i++) {
        uint64_t mfn = block_frame(in, i).n;

        forget_stolen(&mfn, 1);
        pages_free_list(&mfn, 1);
    }
}

static void free_blocks(const struct memory_blocks *b, uint32_t nr)
{
    while (nr-- > 0) {
        pages_free(MFN(b->mfns[nr]), b->order);
    }
}

/* Blocks for @out, with room for them in the accounts; 0: all, else none is left. */
static int alloc_blocks(struct domain *d, struct memory_blocks *out, unsigned int address_bits)
{
    uint32_t i;

    for (i = 0; i < out->nr; i++) {
        mfn_t mfn = pages_alloc(out->order, address_bits, ALLOC_ZERO);

        if (mfn_eq(mfn, MFN_INVALID)) {
            break;
        }
        if (make_leaf(d, mfn) != 0) {
            pages_free(mfn, out->order);
            break;
        }
        out->mfns[i] = mfn.n;
    }
    if (i == out->nr) {
        return 0;
    }
    free_blocks(out, i);
    return -ENOMEM;
}

/* Its frames may be nobody's for a while, which its end must not miss.  False: it has begun. */
static bool exchange_begin(struct domain *d)
{
    bool is_alive;

    spin_lock(&d->page_lock);
    is_alive = d->life == DOMAIN_ALIVE;
    d->nr_assigning += is_alive;
    spin_unlock(&d->page_lock);
    return is_alive;
}

static void own_blocks(struct domain *d, const struct memory_blocks *out)
{
    for (uint32_t i = 0; i < out->nr; i++) {
        spin_lock(&d->page_lock);
        mark_regions(d, MFN(out->mfns[i]), out->order);
        spin_unlock(&d->page_lock);
        own(d, MFN(out->mfns[i]), out->order);
    }
}

int memory_exchange(struct domain *d, const struct memory_blocks *in, struct memory_blocks *out,
                    unsigned int address_bits)
{
    int rc;

    if (!exchange_begin(d)) {
        return -EINVAL;
    }
    rc = alloc_blocks(d, out, address_bits);
    if (rc == 0) {
        rc = steal_blocks(d, in);
        if (rc == 0) {
            own_blocks(d, out);
            free_stolen_blocks(in);
        } else {
            free_blocks(out, out->nr);
        }
    }
    assigned(d);
    return rc;
}

/* --- the end --- */

/* The first region at or after *@region that may have frames of @d; false: there is none. */
static bool next_region(struct domain *d, uint64_t *region)
{
    const struct reservation_map *map = d->reservation;
    uint64_t at = *region;

    while (at / LEAF_REGIONS < map->nr_leaves) {
        const struct leaf *leaf = map->leaves[at / LEAF_REGIONS];
        uint64_t in_leaf =
            leaf ? bitmap_next_set(leaf->regions, LEAF_REGIONS, at % LEAF_REGIONS) : LEAF_REGIONS;

        if (in_leaf < LEAF_REGIONS) {
            *region = align_down(at, LEAF_REGIONS) + in_leaf;
            return true;
        }
        at = align_down(at, LEAF_REGIONS) + LEAF_REGIONS;
    }
    *region = at;
    return false;
}

bool memory_next_region(struct domain *d, uint64_t *mfn)
{
    uint64_t region = *mfn >> REGION_SHIFT;

    if (!next_region(d, &region)) {
        return false;
    }
    *mfn = max(*mfn, region << REGION_SHIFT);
    return true;
}

bool memory_walk_step(struct domain *d, enum memory_walk which,
                      void (*fn)(struct domain *d, struct frame *f))
{
    uint64_t *region = &d->reservation->walks[which];

    if (!next_region(d, region)) {
        return false;
    }
    for (uint64_t i = 0; i < 1u << REGION_SHIFT; i++) {
        mfn_t mfn = MFN((*region << REGION_SHIFT) + i);
        uint64_t ref = frame_valid(mfn) ? READ_ONCE(frame_of(mfn)->ref) : 0;

        if ((ref & FRAME_REF_MASK) && (ref & (FRAME_OWNER_MASK | FRAME_FREE | FRAME_HV)) == d->id) {
            fn(d, frame_of(mfn));
        }
    }
    ++*region;
    return true;
}

/* Free those of @mfns that are @d's still: the toolstack may have freed others since they were
 * listed. */
static void free_batch(struct domain *d, uint64_t *mfns, uint32_t nr)
{
    for (uint32_t i = 0; i < nr; i++) {
        i += memory_free_list(d, mfns + i, nr - i);
    }
}

/* Free the frames that @d still has in the region at @region. */
static void free_region(struct domain *d, uint64_t region)
{
    uint64_t mfns[FREE_BATCH];
    uint32_t nr = 0;

    for (uint64_t i = 0; i < 1u << REGION_SHIFT; i++) {
        mfn_t mfn = MFN((region << REGION_SHIFT) + i);

        if (!frame_valid(mfn) || !is_allocated(READ_ONCE(frame_of(mfn)->ref), d)) {
            continue;
        }
        mfns[nr++] = mfn.n;
        if (nr == FREE_BATCH) {
            free_batch(d, mfns, nr);
            nr = 0;
        }
    }
    free_batch(d, mfns, nr);
}

int memory_destroy_step(struct domain *d)
{
    if (READ_ONCE(d->nr_assigning) != 0) {
        return -ERESTART; /* somebody is about to publish frames */
    }
    if (memory_claimed(d) != 0 && memory_claim(d, 0) != 0) {
        log_warn("d%u: its claim cannot be ended", d->id);
    }
    for (uint64_t *region = &d->reservation->walks[MEMORY_WALK_FREE]; next_region(d, region);
         ++*region) {
        free_region(d, *region);
        if (preempt_pending()) {
            ++*region;
            return -ERESTART;
        }
    }
    return 0;
}
