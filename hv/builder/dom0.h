/* SPDX-License-Identifier: MIT */
/*
 * Where everything of a paravirtual dom0 lies when it starts: pure arithmetic
 * on frame numbers.  <xen/xen.h>, "Start-of-day memory layout", has the rules.
 *
 *      virt_base (pfn 0)                                           boot.end_va
 *      | free | kernel | initrd? | p2m? | start_info | tables | stack | free |
 *
 * All that is mapped from the start.  The initrd is outside, behind it, if the
 * kernel does not need it mapped (MOD_START_PFN), and so is the list of frames
 * (p2m) with page tables of its own, if the kernel names an address for it
 * (INIT_P2M).
 */
#pragma once

#include "builder/image.h"

/* A stretch of virtual addresses, what it maps, and the tables that do it. */
struct dom0_map {
    uint64_t va, end_va;   /* multiples of pages */
    uint64_t pfn;          /* mapped at va; the following ones follow */
    uint64_t table_pfn[5]; /* [level]: first table of that level, the others follow */
    uint64_t nr_tables[5]; /* [level]; [4] is 1 even if another map has the L4 */
};

/* All constant after dom0_plan(). */
struct dom0_layout {
    uint64_t nr_pages; /* of the whole domain */
    struct dom0_map boot;
    struct dom0_map p2m; /* va == end_va: the list is inside boot */
    uint64_t kernel_pfn, nr_kernel_pages;
    uint64_t initrd_pfn, nr_initrd_pages;
    uint64_t p2m_pfn, nr_p2m_pages; /* the list itself */
    uint64_t p2m_va;
    uint64_t start_info_pfn;
    uint64_t tables_pfn, nr_tables; /* those of boot; the L4 is the first */
    uint64_t p2m_tables_pfn, nr_p2m_tables;
    uint64_t stack_pfn;
    uint64_t nr_used_pages; /* every pfn named above is below */
    uint64_t initrd_bytes;
    bool initrd_is_mapped;
};

/* The virtual address of @pfn inside the boot map. */
static inline uint64_t dom0_va(const struct dom0_layout *l, uint64_t pfn)
{
    return l->boot.va + (pfn << PAGE_SHIFT);
}

/*
 * Lay out a domain of @nr_pages with the kernel @img and an initrd of
 * @initrd_bytes (0: none).  -EINVAL: the addresses the kernel asks for collide;
 * -ENOMEM: @nr_pages is too small; see @err.
 */
int must_check dom0_plan(struct dom0_layout *l, const struct kernel_image *img, uint64_t nr_pages,
                         uint64_t initrd_bytes, struct image_error *err);

/* Takes one entry: table @table_pfn, entry @index, shall refer to @pfn with the bits @flags. */
typedef void (*dom0_set_entry_fn)(void *ctx, uint64_t table_pfn, unsigned int index, uint64_t pfn,
                                  uint64_t flags);

/*
 * Call @set for every entry of the start's page tables that is not zero.  The
 * tables are mapped read-only, all else writable.
 */
void dom0_make_tables(const struct dom0_layout *l, dom0_set_entry_fn set, void *ctx);

/* Tell the log how the domain's addresses are laid out. */
void dom0_print(const struct dom0_layout *l, const struct kernel_image *img);
