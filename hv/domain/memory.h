/* SPDX-License-Identifier: MIT */
/*
 * What a domain owns: its frames, their number against its limit, and where
 * in the machine they are.
 */
#pragma once

#include "domain/domain.h"
#include "mm/page_alloc.h"

/*
 * Give the 2^@order frames at @mfn, fresh from the page allocator, to @d: one
 * reference each, FRAME_ALLOCATED; their M2P entries are invalid.
 *   -E2BIG   @d would have more than its limit
 *   -EINVAL  @d is dying
 *   -ENOMEM  no memory for our own accounts
 */
int must_check memory_assign(struct domain *d, mfn_t mfn, unsigned int order);

/* Allocate 2^@order frames (flags and width as pages_alloc()) and assign them; MFN_INVALID: none, or a limit. */
mfn_t must_check memory_alloc(struct domain *d, unsigned int order, unsigned int address_bits,
                              unsigned int flags);

/*
 * Take @mfn away from @d: drop the reference that keeps it allocated.
 *   -EINVAL  not a frame of @d, or already on its way
 *   -EBUSY   still mapped, or in use as a table
 */
int must_check memory_free(struct domain *d, mfn_t mfn);

/* The next frame number at or after @from that @d may own (to be checked), MFN_INVALID: no more. */
mfn_t memory_next(const struct domain *d, mfn_t from);

/* frame_owner_ops: a frame of @owner is free. */
void memory_released(domid_t owner, mfn_t mfn);

/* Make and free the accounts of a domain.  -ENOMEM. */
int must_check memory_domain_init(struct domain *d);
void memory_domain_free(struct domain *d);
