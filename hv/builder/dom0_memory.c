/* SPDX-License-Identifier: MIT */
/*
 * dom0's memory.  Blocks are taken as large as they come; the page allocator
 * gives the highest first, so what dom0 leaves is low.  Work for each page of
 * the domain is one store into the list and one into the M2P table: a block is
 * never larger than a piece of the latter, and lies in one.
 */
#include "builder/dom0_memory.h"

#include "domain/memory.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/m2p.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/log.h"

static_assert(P2M_CHUNK_PFNS == M2P_PIECE_BYTES / sizeof(uint64_t), "runs end at both");
static_assert(1ull << PAGE_ORDER_MAX <= M2P_PIECE_BYTES / sizeof(uint64_t),
              "a block lies in one piece of the M2P table");

static uint64_t *__init p2m_entry(const struct dom0_memory *m, uint64_t pfn)
{
    return &m->chunks[pfn / P2M_CHUNK_PFNS][pfn % P2M_CHUNK_PFNS];
}

mfn_t __init dom0_memory_mfn(const struct dom0_memory *m, uint64_t pfn)
{
    return MFN(*p2m_entry(m, pfn));
}

void *__init dom0_memory_page(const struct dom0_memory *m, uint64_t pfn)
{
    return mfn_to_virt(dom0_memory_mfn(m, pfn));
}

static void __init number_run(uint64_t *to, uint64_t first, uint64_t nr)
{
#pragma GCC unroll 8
    for (uint64_t i = 0; i < nr; i++) {
        to[i] = first + i;
    }
}

/* Frames [mfn, mfn + nr), of one block, are pfns [pfn, pfn + nr). */
static void __init enter_block(struct dom0_memory *m, uint64_t pfn, mfn_t mfn, uint64_t nr)
{
    uint64_t *m2p = mfn_to_virt(m2p_piece(mfn.n / P2M_CHUNK_PFNS));

    number_run(m2p + mfn.n % P2M_CHUNK_PFNS, pfn, nr);
    while (nr) {
        uint64_t run = min(nr, P2M_CHUNK_PFNS - pfn % P2M_CHUNK_PFNS);

        number_run(p2m_entry(m, pfn), mfn.n, run);
        pfn += run;
        mfn.n += run;
        nr -= run;
    }
}

static int __init too_small(const struct dom0_memory *m, uint64_t pfn, struct image_error *err)
{
    image_refuse(err,
                 "dom0's memory: after %lu KiB of %lu no more is free: give dom0_mem= less, or "
                 "the machine more memory",
                 pfn << (PAGE_SHIFT - 10), m->layout->nr_pages << (PAGE_SHIFT - 10));
    return -ENOMEM;
}

/* A block of at most @nr frames for @m->d, as large as there is one; its order in *@order. */
static mfn_t __init take_block(struct dom0_memory *m, uint64_t nr, unsigned int *order)
{
    unsigned int o = min(m->max_order, bit_highest(nr));
    mfn_t mfn;

    for (;;) {
        mfn = memory_alloc(m->d, o, 0, 0);
        if (!mfn_eq(mfn, MFN_INVALID) || o == 0) {
            *order = o;
            return mfn;
        }
        m->max_order = --o;
    }
}

int __init dom0_memory_fill(struct dom0_memory *m, uint64_t pfn, uint64_t end_pfn,
                            struct image_error *err)
{
    const struct dom0_layout *l = m->layout;

    while (pfn < end_pfn) {
        uint64_t border = pfn < l->p2m_pfn ? min(end_pfn, l->p2m_pfn) : end_pfn;
        unsigned int order;
        mfn_t mfn;

        if (pfn - l->p2m_pfn < l->nr_p2m_pages) {
            pfn = l->p2m_pfn + l->nr_p2m_pages;
            continue;
        }
        mfn = take_block(m, border - pfn, &order);
        if (mfn_eq(mfn, MFN_INVALID)) {
            return too_small(m, pfn, err);
        }
        enter_block(m, pfn, mfn, 1ull << order);
        pfn += 1ull << order;
    }
    return 0;
}

/* The memory of chunk @i, which has @pages of them; the chunk has one run of frames. */
static int __init make_chunk(struct dom0_memory *m, uint64_t i, uint64_t pages)
{
    unsigned int order = bit_order_up(pages);
    mfn_t mfn = pages_alloc(order, 0, 0);

    if (mfn_eq(mfn, MFN_INVALID)) {
        return -ENOMEM;
    }
    /* From the end of what is used upwards, give back what is not: aligned blocks that grow. */
    for (uint64_t over = pages; over < 1ull << order; over += over & -over) {
        pages_free(MFN(mfn.n + over), bit_lowest(over));
    }
    m->chunks[i] = mfn_to_virt(mfn);
    for (uint64_t page = 0; page < pages; page += 1ull << order) {
        int rc;

        order = bit_highest(pages - page);
        rc = memory_assign(m->d, MFN(mfn.n + page), order);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

static uint64_t __init chunk_pages(const struct dom0_layout *l, uint64_t i)
{
    return min(l->nr_p2m_pages - (i << P2M_CHUNK_ORDER), 1ull << P2M_CHUNK_ORDER);
}

int __init dom0_memory_begin(struct dom0_memory *m, struct domain *d,
                             const struct dom0_layout *layout, struct image_error *err)
{
    uint64_t nr = (layout->nr_pages + P2M_CHUNK_PFNS - 1) / P2M_CHUNK_PFNS;
    uint64_t rest = layout->nr_p2m_pages * (PAGE_SIZE / sizeof(xen_pfn_t)) - layout->nr_pages;

    *m = (struct dom0_memory){ .d = d, .layout = layout, .max_order = PAGE_ORDER_MAX };
    m->chunks = heap_alloc(nr * sizeof(*m->chunks));
    for (; m->chunks && m->nr_chunks < nr; m->nr_chunks++) {
        if (make_chunk(m, m->nr_chunks, chunk_pages(layout, m->nr_chunks))) {
            break;
        }
    }
    if (m->nr_chunks < nr) {
        image_refuse(err,
                     "dom0's memory: no %lu KiB for the list of its frames: give dom0_mem= less",
                     layout->nr_p2m_pages << (PAGE_SHIFT - 10));
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < nr; i++) {
        enter_block(m, layout->p2m_pfn + (i << P2M_CHUNK_ORDER), virt_to_mfn(m->chunks[i]),
                    chunk_pages(layout, i));
    }
    memset(p2m_entry(m, layout->nr_pages - 1) + 1, 0xff, rest * sizeof(xen_pfn_t));
    return 0;
}

void __init dom0_memory_end(struct dom0_memory *m)
{
    heap_free(m->chunks, m->nr_chunks * sizeof(*m->chunks));
    m->chunks = NULL;
}

int __init dom0_memory_write(void *memory, uint64_t gpa, const void *data, size_t data_bytes,
                             size_t zero_bytes)
{
    const struct dom0_memory *m = memory;
    const uint8_t *from = data;

    while (data_bytes + zero_bytes) {
        uint8_t *to = (uint8_t *)dom0_memory_page(m, gpa >> PAGE_SHIFT) + gpa % PAGE_SIZE;
        size_t room = PAGE_SIZE - gpa % PAGE_SIZE;
        size_t copy = min(room, data_bytes);
        size_t zero = min(room - copy, zero_bytes);

        memcpy(to, from, copy);
        memset(to + copy, 0, zero);
        from += copy;
        gpa += copy + zero;
        data_bytes -= copy;
        zero_bytes -= zero;
    }
    return 0;
}
