/* SPDX-License-Identifier: MIT */
/* Caches of data. */
#pragma once

#include "lib/types.h"

#ifdef MANSIO_HOST
void cache_flush_page(const void *page);
#else
/* Write back and drop one page from all caches of the machine. */
static inline void cache_flush_page(const void *page)
{
    const char *p = page;

    /* CLFLUSH goes by lines of at least 32 bytes, and is ordered among writes by the fences. */
    __asm__ volatile("mfence" ::: "memory");
    for (size_t i = 0; i < PAGE_SIZE; i += 32) {
        __asm__ volatile("clflush (%0)" ::"r"(p + i) : "memory");
    }
    __asm__ volatile("mfence" ::: "memory");
}
#endif
