/* SPDX-License-Identifier: MIT */
/*
 * Page allocator: power-of-two blocks of frames (buddies), by zones of address
 * width, so that memory for devices with narrow addresses is kept for last.
 * Free memory is dirty until scrubbed; idle CPUs scrub it.
 */
#pragma once

#include "mm/frame.h"

#define PAGE_ORDER_MAX 18u /* 1 GiB */

#define ALLOC_ZERO   1u /* contents zeroed (scrubbed memory is zeroed memory) */
#define ALLOC_LOW_OK 2u /* may use the reserve below 16 MiB */
#define ALLOC_OWN    8u /* one frame may be the last that the claim's owner freed, as it was */
#define ALLOC_CLEAN  4u /* with ALLOC_ZERO: only what is scrubbed already, so that it is no work */

/*
 * 2^@order frames, aligned to their size, all below 2^@address_bits bytes
 * (0: anywhere).  Without ALLOC_ZERO the contents are what the last owner left:
 * never so for a guest.  The frames come with ref and type words zero.
 * MFN_INVALID: none left.  Takes LOCK_RANK_PAGES.
 */
mfn_t must_check pages_alloc(unsigned int order, unsigned int address_bits, unsigned int flags);

/*
 * Claims: free memory set aside for somebody, as a number of frames that others
 * leave free.  *@claim is what is left of one, written under LOCK_RANK_PAGES.
 * pages_alloc_claimed() may use its frames and takes them off; to all others
 * they are not there.  pages_claim() makes an empty one @nr frames, or ends one
 * with 0: false: so many are not free and unclaimed.
 */
mfn_t must_check pages_alloc_claimed(unsigned int order, unsigned int address_bits,
                                     unsigned int flags, uint64_t *claim);
bool must_check pages_claim(uint64_t *claim, uint64_t nr);
/* Let a claim that there is have @nr of the free frames more, which were its owner's. */
void pages_claim_more(uint64_t *claim, uint64_t nr);
uint64_t pages_nr_claimed(void);

/* Give back what pages_alloc() gave, or a part of it; the frames become dirty.  No references may
 * be left. */
void pages_free(mfn_t mfn, unsigned int order);

/* The same for @nr single frames in any order, better in theirs. */
void pages_free_list(const uint64_t *mfns, uint32_t nr);

/*
 * The same for one frame of the owner of @claim, who is likely to ask for one
 * again (ALLOC_OWN).  pages_forget() comes before @claim is another's: nobody
 * then gets a frame as its owner.
 */
void pages_free_one(uint64_t mfn, const uint64_t *claim);
void pages_forget(const uint64_t *claim);

/* Zero one batch of dirty free memory; false when there is none.  Idle CPUs call it. */
bool pages_scrub_step(void);
/* The same for as many as an interrupt may wait for. */
bool pages_scrub_batch(void);

uint64_t pages_nr_free(void); /* frames, dirty ones included */
uint64_t pages_nr_dirty(void);
uint64_t pages_nr_total(void); /* all RAM of the machine, ours included */

/* Boot memory with zero frame words becomes free; cost goes by the number of blocks, not of frames.
 */
void pages_add_boot_memory(mfn_t first, uint64_t nr);
/* Once, at start: what pages_nr_total() tells. */
void pages_set_total(uint64_t nr);

/* One zeroed page for our own use, marked FRAME_HV, by its direct-map address; NULL: none. */
void *must_check page_alloc_hv(void);
void page_free_hv(void *page);

/* 2^@order contiguous ones. */
void *must_check pages_alloc_hv(unsigned int order);
void pages_free_hv(void *pages, unsigned int order);
