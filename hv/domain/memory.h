/* SPDX-License-Identifier: MIT */
/*
 * What a domain owns: its frames, their number against its limit, and where
 * in the machine they are.
 */
#pragma once

#include "domain/domain.h"
#include "mm/page_alloc.h"

/* A new domain's accounts. */
extern const struct domain_part memory_part;

/*
 * Give the 2^@order frames at @mfn, fresh from the page allocator, to @d: one
 * reference each, FRAME_ALLOCATED; their M2P entries are invalid.  After a
 * failure they are still the caller's.
 *   -E2BIG   @d would have more than its limit
 *   -EINVAL  @d is dying
 *   -ENOMEM  no memory for our own accounts
 */
int must_check memory_assign(struct domain *d, mfn_t mfn, unsigned int order);

/* Allocate 2^@order frames (@address_bits, @flags: pages_alloc()), of @d's claim first, and assign
 * them; MFN_INVALID: none, or a limit. */
mfn_t must_check memory_alloc(struct domain *d, unsigned int order, unsigned int address_bits,
                              unsigned int flags);

/* @nr single frames, zeroed (or the one that @d freed last, with what @d wrote there), by their
 * numbers in @mfns; how many there were. */
uint32_t must_check memory_alloc_list(struct domain *d, uint64_t *mfns, uint32_t nr,
                                      unsigned int address_bits);

/*
 * Set free memory aside so that @d can have @nr frames in all, those it has
 * included; 0 ends its claim, and so does its death.
 *   -EINVAL  it has as many, may not have so many, has a claim, or is dying
 *   -ENOMEM  so many are not free
 */
int must_check memory_claim(struct domain *d, uint64_t nr);
uint64_t memory_claimed(const struct domain *d); /* what is left of it */

/* The map of its memory that @d is told, which the toolstack made: a heap object of @nr entries,
 * or NULL.  The one before is freed. */
struct e820_entry;
void memory_set_map(struct domain *d, struct e820_entry *map, uint32_t nr);

/* Its entry @i; false: it has fewer. */
bool must_check memory_map_entry(struct domain *d, uint32_t i, struct e820_entry *e);

/*
 * Take @mfn away from @d: drop the reference that keeps it allocated.  It is
 * free when nothing maps or uses it any more.
 *   -EINVAL  not a frame of @d, or already on its way
 */
int must_check memory_free(struct domain *d, mfn_t mfn);

/* memory_free() for each of @mfns, up to the first that is not @d's; how many.  Overwrites @mfns.
 */
uint32_t must_check memory_free_list(struct domain *d, uint64_t *mfns, uint32_t nr);

/* Blocks of 2^@order frames by their first frames' numbers. */
struct memory_blocks {
    uint64_t *mfns;
    uint32_t nr;
    unsigned int order;
};

/*
 * Take the blocks @in away from @d and give it the new blocks @out, as many
 * frames, zeroed, below 2^@address_bits bytes (0: anywhere); sets out->mfns.
 * M2P entries of both are invalid then.  A failure leaves all as it was.
 *   -ENOMEM  no such blocks free
 *   -EINVAL  a frame of @in is not @d's, or is mapped or in use
 */
int must_check memory_exchange(struct domain *d, const struct memory_blocks *in,
                               struct memory_blocks *out, unsigned int address_bits);

/*
 * Call @fn for each frame in use that @d owns, in the next part of the machine
 * where it may have any (at most some hundred frames); true: there is more.
 * Walks of the two kinds each begin at the start and end once, in the life of
 * a dying domain.
 */
enum memory_walk {
    MEMORY_WALK_TABLES,
    MEMORY_WALK_FREE,
    NR_MEMORY_WALKS
};
bool memory_walk_step(struct domain *d, enum memory_walk which,
                      void (*fn)(struct domain *d, struct frame *f));

/* Move *@mfn on to the first frame at or behind it of a region where @d may have any; false: there
 * is none. */
bool memory_next_region(struct domain *d, uint64_t *mfn);

/* Free all that is allocated to @d, which is dying: 0 or -ERESTART.  What others map stays until
 * they unmap it. */
int must_check memory_destroy_step(struct domain *d);

/* For frame_owner_ops: a frame of @owner is free. */
void memory_released(domid_t owner, mfn_t mfn);
