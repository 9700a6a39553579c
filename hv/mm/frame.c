/* SPDX-License-Identifier: MIT */
/*
 * The frame table.  It lies in address space at full length, but only the
 * parts that describe RAM have memory behind them: in 2 MiB pages where these
 * would be (nearly) full, in 4 KiB pages at the edges.  Entries that have
 * memory but describe no RAM are marked FRAME_BROKEN.
 */
#include "mm/frame.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "mm/early.h"
#include "mm/frame_use.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/panic.h"
#include "x86/cache.h"
#include "x86/paging.h"

#define BYTES_PER_GRAIN  (FRAME_GRAIN * sizeof(struct frame))
#define LARGE_PAGE       (2ul << 20)
#define GRAINS_PER_LARGE (LARGE_PAGE / BYTES_PER_GRAIN)
#define LARGE_WASTE_MAX  16u /* grains that a 2 MiB page may describe for nothing */

static_assert(BYTES_PER_GRAIN == PAGE_SIZE, "a grain is one page of the table");

#ifdef MANSIO_HOST
struct frame *frame_table;
#endif
uint64_t nr_frames_max;
uint64_t *frame_backing;

/* The RAM of the i-th entry of the firmware's map that we can use, as frames; false: it has none.
 */
static __init bool ram_of_entry(uint32_t i, uint64_t *first, uint64_t *end)
{
    const struct e820_entry *e = &boot_info.e820[i];
    uint64_t limit = (uint64_t)LAYOUT_DIRECT_MAP_TB << (40 - PAGE_SHIFT);

    *first = align_up(max(e->start, EARLY_LOW_MEMORY), PAGE_SIZE) >> PAGE_SHIFT;
    *end = min((e->start + e->len) >> PAGE_SHIFT, limit);
    return e->type == E820_RAM && *first < *end;
}

static __init void mark_grains(void)
{
    uint64_t first, end;

    for (uint32_t i = 0; i < boot_info.nr_e820; i++) {
        if (ram_of_entry(i, &first, &end)) {
            for (uint64_t g = first / FRAME_GRAIN; g <= (end - 1) / FRAME_GRAIN; g++) {
                bit_set(frame_backing, g);
            }
        }
    }
}

static __init void back_table(uint64_t first_grain, uint64_t nr)
{
    uint64_t len = nr * BYTES_PER_GRAIN;
    char *va = (char *)frame_table + first_grain * BYTES_PER_GRAIN;
    paddr_t p = early_alloc(len, nr == GRAINS_PER_LARGE ? LARGE_PAGE : PAGE_SIZE, EARLY_ANYWHERE);

    if (paging_map((uintptr_t)va, p, len, PAGE_HV_RW)) {
        panic_give_up("Too little memory: no page tables for the frame table.");
    }
    memset(va, 0, len);
}

/* Give memory to the 2 MiB of the table that begin with grain @first. */
static __init void back_large(uint64_t first)
{
    uint64_t end = first + GRAINS_PER_LARGE, nr = 0;

    for (uint64_t g = first; g < end; g++) {
        nr += bit_test(frame_backing, g);
    }
    if (nr + LARGE_WASTE_MAX >= GRAINS_PER_LARGE) {
        back_table(first, GRAINS_PER_LARGE);
        for (uint64_t g = first; g < end; g++) {
            bit_set(frame_backing, g);
        }
        return;
    }
    while (nr) {
        uint64_t from = bitmap_next_set(frame_backing, end, first);
        uint64_t to = bitmap_next_clear(frame_backing, end, from);

        back_table(from, to - from);
        nr -= to - from;
        first = to;
    }
}

/* Mark the entries for [first, end) that have memory. */
static __init void mark_frames(uint64_t first, uint64_t end, uint64_t ref)
{
    for (uint64_t i = first; i < end; i++) {
        if (frame_backed(MFN(i))) {
            frame_of(MFN(i))->ref = ref;
        } else {
            i |= FRAME_GRAIN - 1;
        }
    }
}

/* The free memory with the lowest frames at or after @at; false: none. */
static __init bool next_free(uint64_t at, uint64_t *first, uint64_t *end)
{
    uint64_t nr;
    mfn_t mfn;

    *first = ~0ull;
    for (unsigned int i = 0; early_left(i, &mfn, &nr); i++) {
        if (nr && mfn.n >= at && mfn.n < *first) {
            *first = mfn.n;
            *end = mfn.n + nr;
        }
    }
    return *first != ~0ull;
}

/* What is not free of the RAM [at, end) is ours. */
static __init void mark_ours(uint64_t at, uint64_t end)
{
    uint64_t free, free_end;

    while (at < end && next_free(at, &free, &free_end)) {
        mark_frames(at, min(free, end), FRAME_HV | DOMID_XEN);
        at = free_end;
    }
    if (at < end) {
        mark_frames(at, end, FRAME_HV | DOMID_XEN);
    }
}

/*
 * All but RAM is broken, and RAM is ours but what the allocator will get: the
 * words of that are zero already.
 */
__init void frame_table_mark_owners(void)
{
    uint64_t at = 0, first, end, last = nr_frames_max;

    /* Meanwhile the table ends where its memory does. */
    nr_frames_max = align_up(last, FRAME_GRAIN * GRAINS_PER_LARGE);
    for (uint32_t i = 0; i < boot_info.nr_e820; i++) {
        if (ram_of_entry(i, &first, &end)) {
            mark_frames(at, first, FRAME_BROKEN | DOMID_INVALID);
            mark_ours(first, end);
            at = end;
        }
    }
    mark_frames(at, nr_frames_max, FRAME_BROKEN | DOMID_INVALID);
    nr_frames_max = last;
}

__init void frame_table_init(void)
{
    uint64_t first, end, total = 0, grains, map_bytes;

    for (uint32_t i = 0; i < boot_info.nr_e820; i++) {
        if (ram_of_entry(i, &first, &end)) {
            nr_frames_max = max(nr_frames_max, end);
        }
        if (boot_info.e820[i].type == E820_RAM) {
            total += boot_info.e820[i].len >> PAGE_SHIFT;
        }
    }
    pages_set_total(total);

    grains = align_up(align_up(nr_frames_max, FRAME_GRAIN) / FRAME_GRAIN, GRAINS_PER_LARGE);
    map_bytes = BITS_TO_WORDS(grains) * sizeof(uint64_t);
    frame_backing = phys_to_virt(early_alloc(map_bytes, PAGE_SIZE, EARLY_ANYWHERE));
    memset(frame_backing, 0, map_bytes);
    mark_grains();
    for (uint64_t g = 0; g < grains; g += GRAINS_PER_LARGE) {
        back_large(g);
    }
}

void frame_release(struct frame *f)
{
    uint64_t ref = f->ref;
    mfn_t mfn = frame_mfn(f);

    ASSERT(frame_type(f) == FT_NONE || !(f->type & (FRAME_COUNT_MASK | FRAME_RESIDUE)));
    if (!(ref & FRAME_HV)) {
        frame_owner_ops.released((domid_t)(ref & FRAME_OWNER_MASK), mfn);
    }
    if (f->type & FRAME_UNCACHED) {
        cache_flush_page(mfn_to_virt(mfn));
    }
    pages_free(mfn, 0);
}

void frame_share(void *page, domid_t owner, bool is_writable)
{
    struct frame *f = frame_of(virt_to_mfn(page));

    ASSERT(f->ref == (FRAME_HV | DOMID_XEN));
    WRITE_ONCE(f->ref, FRAME_HV | (is_writable ? FRAME_SHARED_RW : FRAME_SHARED_RO) |
                           FRAME_REF_ONE | owner);
}

void frame_unshare(void *page)
{
    struct frame *f = frame_of(virt_to_mfn(page));

    __atomic_and_fetch(&f->ref, ~(FRAME_SHARED_RO | FRAME_SHARED_RW), __ATOMIC_SEQ_CST);
    frame_put(f);
}
