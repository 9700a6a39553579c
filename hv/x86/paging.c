/* SPDX-License-Identifier: MIT */
/*
 * Our own page tables.
 *
 * At the start the entry code's tables map the image and, one to one, the low
 * 4 GiB.  paging_init() makes a top level of our own, keeps the image's tables,
 * and adds the direct map; tables are reached one to one until that is in
 * force, and through the direct map ever after.  paging_seal() then drops the
 * low mappings.
 */
#include "x86/paging.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "sys/boot_info.h"
#include "sys/image.h"
#include "sys/lock.h"
#include "sys/log.h"
#include "x86/desc.h"
#include "x86/features.h"
#include "x86/insn.h"
#include "x86/layout.h"
#include "x86/memory.h"
#include "x86/smp.h"

__attribute__((section(".bss.page_aligned"))) uint64_t hv_l4[PTE_PER_TABLE] aligned(4096);

static struct spinlock paging_lock = SPINLOCK_INIT(LOCK_RANK_PAGING); /* all tables below hv_l4 */
static uint64_t next_lasting = LAYOUT_MMIO; /* under paging_lock: where the next mapping goes */
static bool has_direct_map, is_sealed;      /* set while starting */

static paddr_t image_paddr(const void *va)
{
    return PADDR(boot_info.image_start.a + ((uintptr_t)va - LAYOUT_IMAGE));
}

uint64_t paging_hv_cr3(void)
{
    return image_paddr(hv_l4).a;
}

static uint64_t *table_at(paddr_t pa)
{
    return (uint64_t *)(has_direct_map ? LAYOUT_DIRECT_MAP + pa.a : pa.a);
}

static uint64_t *entry_in(uint64_t *table, uint64_t va, unsigned int level)
{
    return &table[pte_index(va, level)];
}

/* A new table: each entry @first, and @step more than the one before. */
static uint64_t *table_make(uint64_t *parent, uint64_t first, uint64_t step)
{
    paddr_t pa = x86_memory_ops.page_alloc();
    uint64_t *table;

    if (pa.a == 0) {
        return NULL;
    }
    table = table_at(pa);
    for (unsigned int i = 0; i < PTE_PER_TABLE; i++) {
        table[i] = first + i * step;
    }
    WRITE_ONCE(*parent, pa.a | PTE_TABLE);
    return table;
}

/* Replace the large page in @e, of @level, by a table of smaller ones with the same rights. */
static uint64_t *split(uint64_t *e, unsigned int level)
{
    uint64_t old = *e & ~PTE_PS;

    if (level == 2 && old & PTE_PAT_BIG) {
        old = (old & ~PTE_PAT_BIG) | PTE_PAT;
    }
    return table_make(e, old | (level > 2 ? PTE_PS : 0), pte_span(level - 1));
}

/* The entry of level @to for @va, tables made and large pages split on the way; NULL: no memory. */
static uint64_t *walk_make(uint64_t va, unsigned int to) REQUIRES(paging_lock)
{
    uint64_t *table = hv_l4;

    for (unsigned int level = 4; level > to; level--) {
        uint64_t *e = entry_in(table, va, level);

        if (level == 4 && is_sealed && !(*e & PTE_P)) {
            panic("slot %u of the address space is fixed after the start", pte_index(va, 4));
        }
        if (!(*e & PTE_P)) {
            table = table_make(e, 0, 0);
        } else if (*e & PTE_PS) {
            table = split(e, level);
        } else {
            table = table_at(pte_paddr(*e));
        }
        if (table == NULL) {
            return NULL;
        }
    }
    return entry_in(table, va, to);
}

uint64_t *paging_entry(uint64_t va, unsigned int *level)
{
    uint64_t *table = hv_l4;

    for (*level = 4;; --*level) {
        uint64_t *e = entry_in(table, va, *level);

        if (!(*e & PTE_P)) {
            return NULL;
        }
        if (*level == 1 || *e & PTE_PS) {
            return e;
        }
        table = table_at(pte_paddr(*e));
    }
}

uint64_t *paging_entry_make(uint64_t va)
{
    uint64_t *e;

    spin_lock(&paging_lock);
    e = walk_make(va, 1);
    spin_unlock(&paging_lock);
    return e;
}

paddr_t paging_virt_to_phys(const void *va)
{
    uint64_t a = (uintptr_t)va;
    unsigned int level;
    const uint64_t *e = paging_entry(a, &level);

    if (e == NULL) {
        panic("address %p is mapped", va);
    }
    return PADDR((pte_paddr(*e).a & ~(pte_span(level) - 1)) + (a & (pte_span(level) - 1)));
}

/* The largest page that can map @va to @pa with @len to go. */
static unsigned int fitting_level(uint64_t va, uint64_t pa, uint64_t len)
{
    unsigned int level = cpu_has(FEATURE_PAGE_1G) ? 3 : 2;

    while (level > 1 && ((va | pa) & (pte_span(level) - 1) || len < pte_span(level))) {
        level--;
    }
    return level;
}

static uint64_t flags_for(uint64_t flags, unsigned int level)
{
    if (level == 1) {
        return flags;
    }
    return (flags & ~PTE_PAT) | PTE_PS | (flags & PTE_PAT ? PTE_PAT_BIG : 0);
}

static int map_locked(uint64_t va, paddr_t pa, uint64_t len, uint64_t flags) REQUIRES(paging_lock)
{
    while (len > 0) {
        unsigned int level = fitting_level(va, pa.a, len);
        uint64_t *e = walk_make(va, level);

        if (e == NULL) {
            return -ENOMEM;
        }
        ASSERT(!(*e & PTE_P));
        WRITE_ONCE(*e, pa.a | flags_for(flags, level));
        va += pte_span(level);
        pa.a += pte_span(level);
        len -= pte_span(level);
    }
    return 0;
}

int paging_map(uint64_t va, paddr_t pa, uint64_t len, uint64_t flags)
{
    int rc;

    spin_lock(&paging_lock);
    rc = map_locked(va, pa, len, flags);
    spin_unlock(&paging_lock);
    return rc;
}

void paging_unmap(uint64_t va, uint64_t len)
{
    uint64_t end = va + len;

    spin_lock(&paging_lock);
    while (va < end) {
        unsigned int level;
        uint64_t *e = paging_entry(va, &level);

        if (e != NULL) {
            ASSERT((va & (pte_span(level) - 1)) == 0 && end - va >= pte_span(level));
            WRITE_ONCE(*e, 0);
        }
        va += e != NULL ? pte_span(level) : PAGE_SIZE;
    }
    spin_unlock(&paging_lock);
    tlb_flush_global_all();
}

int paging_protect(uint64_t va, uint64_t len, uint64_t flags)
{
    int rc = 0;

    spin_lock(&paging_lock);
    for (uint64_t end = va + len; va < end; va += PAGE_SIZE) {
        uint64_t *e = walk_make(va, 1);

        if (e == NULL) {
            rc = -ENOMEM;
            break;
        }
        WRITE_ONCE(*e, (*e & PTE_ADDRESS) | flags);
    }
    spin_unlock(&paging_lock);
    return rc;
}

void *paging_map_lasting(paddr_t pa, uint64_t len, uint64_t flags)
{
    uint64_t offset = pa.a & (PAGE_SIZE - 1), size = align_up(offset + len, PAGE_SIZE), va;
    int rc = -ENOMEM;

    spin_lock(&paging_lock);
    /* Keep the address in step with the machine's, so that large pages fit. */
    va = next_lasting;
    if (size >= pte_span(2)) {
        va = align_up(va, pte_span(2)) + ((pa.a - offset) & (pte_span(2) - 1));
    }
    if (len > 0 && len < LAYOUT_MMIO_END - LAYOUT_MMIO && size <= LAYOUT_MMIO_END - va) {
        next_lasting = va + size;
        rc = map_locked(va, PADDR(pa.a - offset), size, flags);
    }
    spin_unlock(&paging_lock);
    return rc == 0 ? (void *)(va + offset) : NULL;
}

/* All RAM, and firmware's tables, which are RAM too; by ascending addresses. */
static __init void map_ram(void)
{
    for (uint32_t i = 0; i < boot_info.nr_e820; i++) {
        const struct e820_entry *e = &boot_info.e820[i];
        uint64_t start = align_up(e->start, PAGE_SIZE);
        uint64_t end =
            min(align_down(e->start + e->len, PAGE_SIZE), (uint64_t)LAYOUT_DIRECT_MAP_TB << 40);

        if ((e->type != E820_RAM && e->type != E820_ACPI) || start >= end) {
            continue;
        }
        if (paging_map(LAYOUT_DIRECT_MAP + start, PADDR(start), end - start, PAGE_HV_RW) != 0) {
            panic("No memory for the page tables of the direct map.");
        }
    }
}

__init void paging_init(void)
{
    const uint64_t *entry_l4 = table_at(PADDR(read_cr3()));

    hv_l4[pte_index(0, 4)] = entry_l4[pte_index(0, 4)];
    hv_l4[pte_index(LAYOUT_IMAGE, 4)] = image_paddr(image_l3).a | PTE_TABLE;
    map_ram();
    cr3_load(paging_hv_cr3());
    has_direct_map = true;
}

/* Make [@start, @end) of the image, and its other view in the direct map, read-only. */
static __init void make_read_only(const void *start, const void *end, uint64_t flags)
{
    uint64_t len = (uint64_t)((const char *)end - (const char *)start);

    if (paging_protect((uintptr_t)start, len, flags) != 0 ||
        paging_protect(LAYOUT_DIRECT_MAP + image_paddr(start).a, len, PAGE_HV_RO) != 0) {
        panic("No memory for the page tables of the image.");
    }
}

/* The other view of the pages of SYSCALL stubs, likewise. */
static __init void make_stubs_read_only(void)
{
    unsigned int level;

    for (uint64_t va = NEAR_STUBS; va < NEAR_STUBS + NR_CPUS * NEAR_STUB_BYTES; va += PAGE_SIZE) {
        const uint64_t *e = paging_entry(va, &level);

        if (e != NULL &&
            paging_protect(LAYOUT_DIRECT_MAP + pte_paddr(*e).a, PAGE_SIZE, PAGE_HV_RO) != 0) {
            panic("No memory for the page tables of the SYSCALL stubs.");
        }
    }
}

__init void paging_seal(void)
{
    const char *idt = idt_page();

    make_read_only(__text_start, __text_end, PAGE_HV_RX);
    make_read_only(__rodata_start, __rodata_end, PAGE_HV_RO);
    make_read_only(idt, idt + PAGE_SIZE, PAGE_HV_RO);
    make_stubs_read_only();
    hv_l4[pte_index(0, 4)] = 0;
    is_sealed = true;
    tlb_flush_global_all();
}
