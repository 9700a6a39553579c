/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own address space (x86/layout.h), which every top-level
 * table shares: direct map of RAM, device mappings, and whatever else is put
 * into slots 256 to 271.  The tables below those slots are shared, so a
 * mapping made after the first guest has started is seen by all; only the
 * slots themselves are fixed by paging_seal().
 */
#pragma once

#include "x86/pte.h"

extern uint64_t
    hv_l4[PTE_PER_TABLE]; /* the master; slots 256 .. 271 are to be copied into each other L4 */

/* The machine address of hv_l4, for CR3. */
uint64_t paging_hv_cr3(void);

/*
 * Build our own tables in place of the entry code's: image, and direct map of
 * all RAM in boot_info.  The entry code's view of low memory stays until
 * paging_seal().  Once, on the boot CPU, with features known.
 */
void paging_init(void);

/*
 * The address space is complete: the entry code's view of low memory goes, and
 * the image's code and constants become read-only in the direct map as well.
 */
void paging_seal(void);

/*
 * Map @len bytes (whole pages) at @va to @pa with @flags (PAGE_HV_...; PTE_US
 * adds guests), by large pages where the alignment allows it; the range was
 * unmapped before.  -ENOMEM: what was mapped by then stays.
 */
int must_check paging_map(uint64_t va, paddr_t pa, uint64_t len, uint64_t flags);

/* Take [va, va + len) away, on all CPUs when more than one is up. */
void paging_unmap(uint64_t va, uint64_t len);

/* Change the attributes of mapped whole pages; splits large ones.  The caller flushes. */
int must_check paging_protect(uint64_t va, uint64_t len, uint64_t flags);

/* The entry that maps @va (of level 1, or of a large page); NULL: unmapped. */
uint64_t *paging_entry(uint64_t va, unsigned int *level);

/* The level-1 entry of @va, its tables made as needed; NULL: no memory. */
uint64_t *paging_entry_make(uint64_t va);

/* A lasting mapping of @len bytes at @pa, any alignment, in the area for devices; NULL: no room. */
void *paging_map_lasting(paddr_t pa, uint64_t len, uint64_t flags);

/* Of an address of ours, whatever maps it; stops the machine if nothing does. */
paddr_t paging_virt_to_phys(const void *va);
