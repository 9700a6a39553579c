/* SPDX-License-Identifier: MIT */
/* Page-table entries (SDM vol. 3, 4.5), and the memory types of our PAT. */
#pragma once

#include "lib/types.h"

#define PTE_P       (1ull << 0) /* present */
#define PTE_RW      (1ull << 1)
#define PTE_US      (1ull << 2) /* ring 3 may use it */
#define PTE_PWT     (1ull << 3)
#define PTE_PCD     (1ull << 4)
#define PTE_A       (1ull << 5)
#define PTE_D       (1ull << 6)
#define PTE_PS      (1ull << 7)  /* levels 2 and 3: a large page */
#define PTE_PAT     (1ull << 7)  /* level 1 */
#define PTE_G       (1ull << 8)  /* survives a change of CR3 */
#define PTE_PAT_BIG (1ull << 12) /* levels 2 and 3, of large pages */
#define PTE_NX      (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

/* Attributes of our own pages. */
#define PAGE_HV_RX (PTE_P | PTE_A | PTE_G)
#define PAGE_HV_RO (PTE_P | PTE_A | PTE_G | PTE_NX)
#define PAGE_HV_RW (PTE_P | PTE_A | PTE_D | PTE_RW | PTE_G | PTE_NX)
#define PAGE_HV_UC (PAGE_HV_RW | PTE_PCD | PTE_PWT)
#define PAGE_HV_WC (PAGE_HV_RW | PTE_PAT)
#define PTE_TABLE  (PTE_P | PTE_RW | PTE_US | PTE_A) /* rights are decided at the last level */

#define PTE_PER_TABLE 512u

/* Index into the table of @level (1 .. 4) for @va. */
static inline unsigned int pte_index(uint64_t va, unsigned int level)
{
    return (unsigned int)(va >> (PAGE_SHIFT + 9 * (level - 1))) % PTE_PER_TABLE;
}

/* Bytes that an entry of @level maps. */
static inline uint64_t pte_span(unsigned int level)
{
    return PAGE_SIZE << (9 * (level - 1));
}

static inline paddr_t pte_paddr(uint64_t pte)
{
    return PADDR(pte & PTE_ADDRESS);
}

static inline mfn_t pte_mfn(uint64_t pte)
{
    return MFN((pte & PTE_ADDRESS) >> PAGE_SHIFT);
}
