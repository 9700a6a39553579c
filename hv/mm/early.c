/* SPDX-License-Identifier: MIT */
/*
 * Memory before the page allocator: a short table of free ranges of RAM, from
 * which pages are cut at the high end, so that low memory, which some devices
 * cannot do without, stays whole.
 */
#include "mm/early.h"

#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/panic.h"
#include "x86/layout.h"

#define MAX_RANGES (BOOT_MAX_E820 + 2 * BOOT_MAX_MODULES + 16)

struct early_range {
    uint64_t start, end; /* bytes, whole pages */
};

static __initdata struct early_range ranges[MAX_RANGES];
static __initdata unsigned int nr_ranges;

static __init void add_range(uint64_t start, uint64_t end)
{
    if (start >= end) {
        return;
    }
    if (nr_ranges == MAX_RANGES) {
        log_warn("Memory map with too many pieces: %lu KiB at %#lx stay unused.",
                 (end - start) >> 10, start);
        return;
    }
    ranges[nr_ranges++] = (struct early_range){ start, end };
}

/* Take [start, end) out of all ranges. */
static __init void reserve(uint64_t start, uint64_t end)
{
    start = align_down(start, PAGE_SIZE);
    end = align_up(end, PAGE_SIZE);
    for (unsigned int i = 0; i < nr_ranges; i++) {
        struct early_range old = ranges[i];

        if (start < old.end && end > old.start) {
            ranges[i].end = max(old.start, min(start, old.end));
            add_range(max(end, old.start), old.end);
        }
    }
}

__init void early_init(void)
{
    uint64_t limit = (uint64_t)LAYOUT_DIRECT_MAP_TB << 40;

    for (uint32_t i = 0; i < boot_info.nr_e820; i++) {
        const struct e820_entry *e = &boot_info.e820[i];

        if (e->type == E820_RAM) {
            add_range(align_up(e->start, PAGE_SIZE),
                      min(align_down(e->start + e->len, PAGE_SIZE), limit));
        }
    }
    reserve(0, EARLY_LOW_MEMORY);
    reserve(boot_info.image_start.a, boot_info.image_end.a);
    for (uint32_t i = 0; i < boot_info.nr_modules; i++) {
        const struct boot_module *m = &boot_info.modules[i];

        reserve(m->start.a, m->start.a + m->len_bytes);
    }
}

/* Where @len bytes fit into @r below @below, as high as possible; 0: they do not. */
static __init uint64_t fit(const struct early_range *r, uint64_t len, uint64_t align,
                           uint64_t below)
{
    uint64_t end = min(r->end, below);
    uint64_t start = end > len ? align_down(end - len, align) : 0;

    return start >= r->start && r->start < r->end ? start : 0;
}

__init paddr_t early_alloc(uint64_t len_bytes, uint64_t align, uint64_t below)
{
    uint64_t len = align_up(len_bytes, PAGE_SIZE);
    struct early_range *best = NULL;
    uint64_t at = 0, end;

    for (unsigned int i = 0; i < nr_ranges; i++) {
        uint64_t start = fit(&ranges[i], len, align, below);

        if (start > at) {
            best = &ranges[i];
            at = start;
        }
    }
    if (!best) {
        panic_give_up("Too little memory: no %lu KiB in one piece for the start.", len >> 10);
    }
    end = best->end;
    best->end = at;
    add_range(at + len, end);
    return PADDR(at);
}

__init bool early_left(unsigned int i, mfn_t *first, uint64_t *nr)
{
    if (i >= nr_ranges) {
        return false;
    }
    *first = MFN(ranges[i].start >> PAGE_SHIFT);
    *nr = (ranges[i].end - ranges[i].start) >> PAGE_SHIFT;
    return true;
}
