/* SPDX-License-Identifier: MIT */
/* What x86/ needs of the memory management above it.  Supplied by mm/. */
#pragma once

#include "lib/types.h"

struct x86_memory_ops {
    /*
     * A page for a table, contents undefined.  Below 4 GiB until paging_init()
     * has returned.  Address 0: none left.
     */
    paddr_t (*page_alloc)(void);
    /* Zeroed memory, aligned to 64 bytes; NULL: none left. */
    void *(*alloc)(size_t size);
    void (*free)(void *p, size_t size);
};
extern const struct x86_memory_ops x86_memory_ops;
