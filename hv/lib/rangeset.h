/* SPDX-License-Identifier: MIT */
/*
 * Sets of 64-bit numbers kept as sorted ranges that neither touch nor
 * overlap: a domain's I/O ports, its frames of device memory, its interrupts.
 * Bounds are inclusive.  The caller serialises all calls on one set.
 */
#pragma once

#include "lib/compiler.h"

struct range {
    uint64_t first, last; /* both belong to it */
};

struct rangeset_alloc {
    void *(*alloc)(size_t bytes); /* NULL: none left */
    void (*free)(void *p, size_t bytes);
};

struct rangeset {
    struct range *ranges;               /* ascending */
    uint32_t nr;                        /* of them in use */
    uint32_t max;                       /* of them there is room for */
    uint32_t limit;                     /* @max may grow up to here */
    const struct rangeset_alloc *alloc; /* NULL: @ranges is the caller's array */
};

/* An empty set in the caller's @array of @nr ranges. */
void rangeset_init_fixed(struct rangeset *s, struct range *array, uint32_t nr);

/* An empty set that grows by @alloc up to @limit ranges. */
void rangeset_init(struct rangeset *s, const struct rangeset_alloc *alloc, uint32_t limit);

/* Give the memory back; the set is empty and usable afterwards. */
void rangeset_destroy(struct rangeset *s);

/*
 * Put @first .. @last in, or take it out; what is in (out) already does no
 * harm.  On failure the set is as before.
 *   -EINVAL  @first > @last
 *   -ENOSPC  it would have more ranges than its limit
 *   -ENOMEM  the allocator has no memory
 */
int must_check rangeset_add(struct rangeset *s, uint64_t first, uint64_t last);
int must_check rangeset_remove(struct rangeset *s, uint64_t first, uint64_t last);

/* Whether all (any) of @first .. @last is in; false if @first > @last. */
bool rangeset_contains(const struct rangeset *s, uint64_t first, uint64_t last);
bool rangeset_overlaps(const struct rangeset *s, uint64_t first, uint64_t last);

static inline bool rangeset_is_empty(const struct rangeset *s)
{
    return s->nr == 0;
}
