/* SPDX-License-Identifier: MIT */
/*
 * dom0's memory while it is built: its frames, and
 * the list of them (p2m), which lies in dom0's own memory and is written
 * where it lies.
 */
#pragma once

#include "builder/dom0.h"
#include "domain/domain.h"
#include "lib/types.h"

/* A frame list's memory comes in blocks of 2 MiB: the frames of 1 GiB. */
#define P2M_CHUNK_ORDER 9u
#define P2M_CHUNK_PFNS  (PAGE_SIZE / sizeof(xen_pfn_t) << P2M_CHUNK_ORDER)

/* Nothing but the builder touches it, and nobody runs yet. */
struct dom0_memory {
    struct domain *d;
    const struct dom0_layout *layout;
    uint64_t **chunks; /* the list, by P2M_CHUNK_PFNS; the last one may be shorter */
    uint64_t nr_chunks;
    unsigned int max_order; /* blocks larger than that are not to be had any more */
};

/* Allocate the list.  -ENOMEM. */
int must_check dom0_memory_begin(struct dom0_memory *m, struct domain *d,
                                 const struct dom0_layout *layout, struct image_error *err);

/* Allocate pfns [@pfn, @end_pfn), those of the list excepted, and enter them.  -ENOMEM. */
int must_check dom0_memory_fill(struct dom0_memory *m, uint64_t pfn, uint64_t end_pfn,
                                struct image_error *err);

/* The list is whole: drop our own notes about it. */
void dom0_memory_end(struct dom0_memory *m);

/* The frame of @pfn, which has been filled. */
mfn_t dom0_memory_mfn(const struct dom0_memory *m, uint64_t pfn);

/* The page @pfn in our address space. */
void *dom0_memory_page(const struct dom0_memory *m, uint64_t pfn);

/* Copy @data_bytes of @data to guest-physical address @gpa, then @zero_bytes of zeros.  An
 * image_write_fn. */
int dom0_memory_write(void *memory, uint64_t gpa, const void *data, size_t data_bytes,
                      size_t zero_bytes);
