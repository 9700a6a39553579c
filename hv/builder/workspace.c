/* SPDX-License-Identifier: MIT */
/* Memory to work in: blocks of 2 MiB, mapped one behind the other in a window of their own. */
#include "builder/workspace.h"

#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "x86/paging.h"

#define BLOCK_ORDER  9u
#define BLOCK_BYTES  (PAGE_SIZE << BLOCK_ORDER)
#define WINDOW_BYTES (1ul << 30) /* for each number */

static int __init add_block(uint64_t va)
{
    mfn_t mfn = pages_alloc(BLOCK_ORDER, 0, 0);

    if (mfn_eq(mfn, MFN_INVALID)) {
        return -ENOMEM;
    }
    if (paging_map(va, mfn_to_paddr(mfn), BLOCK_BYTES, PAGE_HV_RW)) {
        pages_free(mfn, BLOCK_ORDER);
        return -ENOMEM;
    }
    return 0;
}

int __init workspace_make(struct arena *area, unsigned int number, size_t len_bytes)
{
    uint64_t va = LAYOUT_WORKSPACE + number * WINDOW_BYTES;

    *area = (struct arena){ .base = (uint8_t *)va };
    while (area->len_bytes < len_bytes) {
        if (len_bytes > WINDOW_BYTES || add_block(va + area->len_bytes)) {
            workspace_free(area);
            return -ENOMEM;
        }
        area->len_bytes += BLOCK_BYTES;
    }
    return 0;
}

void __init workspace_free(struct arena *area)
{
    for (size_t at = 0; at < area->len_bytes; at += BLOCK_BYTES) {
        mfn_t mfn = paddr_to_mfn(paging_virt_to_phys(area->base + at));

        paging_unmap((uintptr_t)area->base + at, BLOCK_BYTES);
        pages_free(mfn, BLOCK_ORDER);
    }
    *area = (struct arena){ 0 };
}
