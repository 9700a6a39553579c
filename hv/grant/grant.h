/* SPDX-License-Identifier: MIT */
/*
 * Grant tables (<xen/grant_table.h>), version 1: a domain's list of frames
 * that it lends to others.  The shared frames are ours, written by the domain.
 */
#pragma once

#include "domain/domain.h"
#include <xen/grant_table.h>

extern const struct domain_part grant_part;

/* How many frames the table has now and may have. */
void grant_size(struct domain *d, uint32_t *nr_frames, uint32_t *max_nr_frames);

/*
 * Make the table of @d at least @nr frames.  Takes LOCK_RANK_GRANT.
 * -EINVAL: more than its limit.  -ENOMEM.
 */
int must_check grant_grow(struct domain *d, uint32_t nr);

/* The machine frame of the table's frame @index, which must be there. */
mfn_t grant_frame(const struct domain *d, uint32_t index);
