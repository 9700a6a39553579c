/* SPDX-License-Identifier: MIT */
/*
 * Memory before the page allocator exists: whole pages, never given back.
 * What is left over becomes the page allocator's first stock.
 */
#pragma once

#include "lib/types.h"

#define EARLY_ANYWHERE (~0ull)
#define EARLY_LOW      (1ull << 32) /* what the entry code's page tables reach */

/*
 * RAM below this is the firmware's and dom0's: its kernel looks for tables
 * there, so it is treated as device memory and has no struct frame.
 */
#define EARLY_LOW_MEMORY (1ull << 20)

/*
 * Collect the free RAM from boot_info: all but low memory, the image and
 * the modules.  Once, before everything else of mm/.
 */
void early_init(void);

/*
 * @len_bytes (made whole pages) aligned to @align (a power of two, at least a
 * page), as high as may be below @below; contents are undefined.  Stops the
 * machine with a sentence when there is none.
 */
paddr_t early_alloc(uint64_t len_bytes, uint64_t align, uint64_t below);

/* Free memory that is left, by number from 0 on, in whole pages; false: no more.  Ends early
 * allocation. */
bool early_left(unsigned int i, mfn_t *first, uint64_t *nr);
