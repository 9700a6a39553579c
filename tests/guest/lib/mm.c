/* SPDX-License-Identifier: MIT */
/*
 * Pages and page tables of a guest.
 *
 * The builder maps the image, its bss, the start_info and the first page tables
 * in one piece from VIRT_BASE on.  Pages to hand out are part of the bss, so
 * that each has an address from the start; memory beyond is for a test to map.
 */
#include "mm.h"

#include "hypercall.h"

#ifndef POOL_PAGES
#define POOL_PAGES 1024
#endif

static uint8_t pool[POOL_PAGES][PAGE_SIZE] page_aligned;
static void *free_pages[POOL_PAGES];
static unsigned long nr_free;
static uint8_t shared_info_page[PAGE_SIZE] page_aligned;

struct shared_info *shared_info = (struct shared_info *)shared_info_page;
uint64_t *kernel_l4;

void mm_init(void)
{
    kernel_l4 = (uint64_t *)start_info->pt_base;
    for (unsigned long i = POOL_PAGES; i; i--) {
        free_pages[nr_free++] = pool[i - 1];
    }
    if (hyper_update_va(shared_info_page, start_info->shared_info | PTE_RW_PAGE, UVMF_INVLPG)) {
        guest_die("cannot map shared_info");
    }
}

void *page_alloc(void)
{
    if (!nr_free) {
        guest_die("out of pages");
    }
    __builtin_memset(free_pages[nr_free - 1], 0, PAGE_SIZE);
    return free_pages[--nr_free];
}

void page_free(void *page)
{
    free_pages[nr_free++] = page;
}

unsigned long page_free_count(void)
{
    return nr_free;
}

uint64_t virt_to_pfn(const void *va)
{
    return ((uint64_t)va - VIRT_BASE) >> PAGE_SHIFT;
}

uint64_t virt_to_mfn(const void *va)
{
    return ((uint64_t *)start_info->mfn_list)[virt_to_pfn(va)];
}

uint64_t virt_to_machine(const void *va)
{
    return virt_to_mfn(va) << PAGE_SHIFT | ((uint64_t)va & (PAGE_SIZE - 1));
}

void *mfn_to_virt(uint64_t mfn)
{
    return (void *)(VIRT_BASE + (MACHINE_TO_PHYS[mfn] << PAGE_SHIFT));
}

uint64_t *pt_entry(uint64_t *l4, uint64_t va, unsigned int level)
{
    uint64_t *table = l4;

    for (unsigned int at = 4; at > level; at--) {
        uint64_t entry = READ_ONCE(table[pt_index(va, at)]);

        if (!(entry & PTE_P)) {
            return NULL;
        }
        table = mfn_to_virt(PTE_MFN(entry));
    }
    return &table[pt_index(va, level)];
}

long page_make_ro(const void *va)
{
    return hyper_update_va(va, pte_of(va, PTE_RO_PAGE), UVMF_INVLPG | UVMF_ALL);
}

long page_make_rw(const void *va)
{
    return hyper_update_va(va, pte_of(va, PTE_RW_PAGE), UVMF_INVLPG | UVMF_ALL);
}

void pt_map(uint64_t *l4, uint64_t va, uint64_t pte)
{
    for (unsigned int level = 4; level > 1; level--) {
        uint64_t *entry = pt_entry(l4, va, level);

        if (!(*entry & PTE_P)) {
            void *table = page_alloc();

            if (page_make_ro(table) ||
                mmu_update(virt_to_machine(entry), pte_of(table, PTE_TABLE))) {
                guest_die("cannot add a table of level %u for %lx", level - 1, va);
            }
        }
    }
    if (mmu_update(virt_to_machine(pt_entry(l4, va, 1)), pte)) {
        guest_die("cannot map %lx", va);
    }
}
