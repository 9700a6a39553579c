/* SPDX-License-Identifier: MIT */
/* Small objects for our own structs.  Takes LOCK_RANK_HEAP, then LOCK_RANK_PAGES. */
#pragma once

#include "lib/compiler.h"

/* @size bytes, zeroed, aligned to 16 (64 and more: to 64; a page and more: to a page); NULL: none.
 */
void *must_check heap_alloc(size_t size);
/* @p may be NULL.  @size as given to heap_alloc(). */
void heap_free(void *p, size_t size);
