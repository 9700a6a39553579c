/* SPDX-License-Identifier: MIT */
/*
 * Memory handed out front to back and never taken back piecewise: who lends
 * the area takes the whole of it back.  For the unpackers, which allocate a
 * few times and then work.
 */
#pragma once

#include "lib/types.h"

#define ARENA_ALIGN 16ul

struct arena {
    uint8_t *base; /* ARENA_ALIGN aligned */
    size_t len_bytes;
    size_t used_bytes;
};

/* The next @len_bytes of @a, not zeroed, or NULL when less is left. */
static inline void *arena_take(struct arena *a, size_t len_bytes)
{
    size_t start = align_up(a->used_bytes, ARENA_ALIGN);

    if (start > a->len_bytes || len_bytes > a->len_bytes - start) {
        return NULL;
    }
    a->used_bytes = start + len_bytes;
    return a->base + start;
}
