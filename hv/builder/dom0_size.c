/* SPDX-License-Identifier: MIT */
/*
 * How much memory dom0 gets: dom0_mem= on the one side, what is available on
 * the other.
 */
#include "builder/dom0_size.h"

#include "sys/log.h"
#include "sys/options.h"

/* What dom0 leaves by default: a sixteenth of the available memory, within bounds. */
#define RESERVE_SHARE     16u
#define RESERVE_MAX_PAGES (128ull << 20 >> PAGE_SHIFT)
/* What it leaves even if dom0_mem= wants it all: the page allocator keeps 16 MiB for devices. */
#define RESERVE_MIN_PAGES (20ull << 20 >> PAGE_SHIFT)

static uint64_t __init option_pages(const struct option_memory *m, uint64_t avail_pages,
                                    uint64_t otherwise)
{
    return option_memory_bytes(m, avail_pages << PAGE_SHIFT, otherwise << PAGE_SHIFT) >> PAGE_SHIFT;
}

uint64_t __init dom0_memory_pages(uint64_t avail_pages)
{
    uint64_t reserve = min(max(avail_pages / RESERVE_SHARE, RESERVE_MIN_PAGES), RESERVE_MAX_PAGES);
    uint64_t most = avail_pages - min(avail_pages, RESERVE_MIN_PAGES);
    uint64_t pages =
        option_pages(&hv_options.dom0_mem, avail_pages, avail_pages - min(avail_pages, reserve));

    pages = max(pages, option_pages(&hv_options.dom0_mem_min, avail_pages, 0));
    pages = min(pages, option_pages(&hv_options.dom0_mem_max, avail_pages, ~0ull >> PAGE_SHIFT));
    if (pages > most) {
        log_warn("dom0_mem= asks for %lu KiB, dom0 gets the %lu KiB there are",
                 pages << (PAGE_SHIFT - 10), most << (PAGE_SHIFT - 10));
        pages = most;
    }
    return pages;
}

uint64_t __init dom0_memory_max_pages(uint64_t avail_pages)
{
    return option_pages(&hv_options.dom0_mem_max, avail_pages, UINT32_MAX);
}
