/* SPDX-License-Identifier: MIT */
/* Pages and page tables. */
#pragma once

#include "guest.h"

#define PTE_P        (1ul << 0)
#define PTE_RW       (1ul << 1)
#define PTE_US       (1ul << 2)
#define PTE_PWT      (1ul << 3)
#define PTE_PCD      (1ul << 4)
#define PTE_A        (1ul << 5)
#define PTE_D        (1ul << 6)
#define PTE_PSE      (1ul << 7)
#define PTE_G        (1ul << 8)
#define PTE_NX       (1ul << 63)
#define PTE_RO_PAGE  (PTE_P | PTE_US | PTE_A | PTE_D)
#define PTE_RW_PAGE  (PTE_RO_PAGE | PTE_RW)
#define PTE_TABLE    (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define PTE_MFN(pte) (((pte) >> PAGE_SHIFT) & ((1ul << 40) - 1))

#define MACHINE_TO_PHYS ((const volatile uint64_t *)0xffff800000000000)
#define FREE_VA         0x10000000000ul /* slot 2: where tests may map things */

extern struct shared_info *shared_info; /* mapped by mm_init() */
extern uint64_t *kernel_l4;

void mm_init(void);

/* A zeroed page, mapped read-write at its own address; the guest dies when there is none. */
void *page_alloc(void);
void page_free(void *page);
unsigned long page_free_count(void);

uint64_t virt_to_pfn(const void *va);
uint64_t virt_to_mfn(const void *va);
uint64_t virt_to_machine(const void *va);
void *mfn_to_virt(uint64_t mfn); /* of the image, the pool and the boot tables */

/* A page table entry naming the page at @va. */
static inline uint64_t pte_of(const void *va, uint64_t flags)
{
    return virt_to_mfn(va) << PAGE_SHIFT | flags;
}

static inline unsigned int pt_index(uint64_t va, unsigned int level)
{
    return (va >> (PAGE_SHIFT + 9 * (level - 1))) & 511;
}

/* The entry of @level (1 to 4) below @l4 that translates @va; NULL where a level is missing. */
uint64_t *pt_entry(uint64_t *l4, uint64_t va, unsigned int level);

/* Give the page at @va, within the initial mapping, this access there. */
long page_make_ro(const void *va);
long page_make_rw(const void *va);

/*
 * Set the entry for @va below @l4, adding tables where missing.  The tables are
 * written by mmu_update, so @l4 may be in use or pinned.
 */
void pt_map(uint64_t *l4, uint64_t va, uint64_t pte);
