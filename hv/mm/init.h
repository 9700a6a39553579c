/* SPDX-License-Identifier: MIT */
/* Start of the memory management, and what is given back when the start is over. */
#pragma once

#include "lib/types.h"

/*
 * Make the frame table, the machine-to-physical table and the page allocator.
 * After early_init() and the processor's paging; stops the machine with a
 * sentence if it has too little RAM.
 */
void mm_init(void);

/*
 * Give whole pages of [start, end) that the boot kept (modules, early memory
 * that is needed no more) to the page allocator.
 */
void mm_free_boot_memory(paddr_t start, paddr_t end);

/* Unmap the image's start-up part and give its memory to the page allocator. */
void mm_free_init_sections(void);
