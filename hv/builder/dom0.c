/* SPDX-License-Identifier: MIT */
/*
 * The layout of a paravirtual dom0.  The page tables lie inside the stretch
 * that they map, so their number depends on itself: more tables, a longer
 * stretch.  dom0_plan() starts with one and goes on until it comes out even,
 * which it does soon, since 512 tables map the next gigabyte.
 */
#include "builder/dom0.h"

#include <xen/elfnote.h>

#include "sys/log.h"

#define TAIL_BYTES     (512ull << 10) /* at least that much is mapped behind the stack */
#define BOOT_END_ALIGN (4ull << 20)
#define VA_BITS_MASK   ((1ull << 48) - 1)
#define ENTRIES        512u

#define PTE_PRESENT  (1ull << 0)
#define PTE_WRITABLE (1ull << 1)
#define PTE_USER     (1ull << 2)
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY    (1ull << 6)
#define PTE_READ     (PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define PTE_WRITE    (PTE_READ | PTE_WRITABLE)
#define PTE_TABLE    (PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED)

#define LOW_HALF_END (1ull << 47)
#define LEAST_PAGES  (16ull << 20 >> PAGE_SHIFT) /* for the kernel to work with when it starts */

/* Bits of an address below those that a table of @level tells apart as a whole: level 1 maps 2 MiB.
 */
static unsigned int table_shift(unsigned int level)
{
    return PAGE_SHIFT + 9 * level;
}

/* How many tables of @level the map has before the one for @va. */
static uint64_t table_number(const struct dom0_map *m, unsigned int level, uint64_t va)
{
    unsigned int shift = table_shift(level);

    return ((va & VA_BITS_MASK) >> shift) - ((m->va & VA_BITS_MASK) >> shift);
}

static uint64_t pages_of(uint64_t bytes)
{
    return align_up(bytes, PAGE_SIZE) >> PAGE_SHIFT;
}

/* Count the tables of @m below level 4 and number them from @pfn on; returns how many. */
static uint64_t __init number_tables(struct dom0_map *m, uint64_t pfn)
{
    uint64_t nr = 0;

    for (unsigned int level = 3; level >= 1; level--) {
        m->table_pfn[level] = pfn + nr;
        m->nr_tables[level] = table_number(m, level, m->end_va - 1) + 1;
        nr += m->nr_tables[level];
    }
    m->nr_tables[4] = 1;
    return nr;
}

/* Lay out the boot map with @nr_tables for it; returns how many it takes. */
static uint64_t __init plan_boot(struct dom0_layout *l, uint64_t nr_tables)
{
    uint64_t pfn = l->kernel_pfn + l->nr_kernel_pages;

    if (l->initrd_is_mapped) {
        l->initrd_pfn = pfn;
        pfn += l->nr_initrd_pages;
    }
    if (l->p2m.va == l->p2m.end_va) {
        l->p2m_pfn = pfn;
        l->p2m_va = dom0_va(l, pfn);
        pfn += l->nr_p2m_pages;
    }
    l->start_info_pfn = pfn++;
    l->tables_pfn = pfn;
    l->stack_pfn = pfn + nr_tables;
    l->boot.end_va = align_up(dom0_va(l, l->stack_pfn + 1) + TAIL_BYTES, BOOT_END_ALIGN);
    l->boot.table_pfn[4] = l->p2m.table_pfn[4] = l->tables_pfn;
    return 1 + number_tables(&l->boot, l->tables_pfn + 1);
}

/* What lies behind the boot map: the initrd, and the list of frames with its tables. */
static void __init plan_rest(struct dom0_layout *l)
{
    uint64_t pfn = (l->boot.end_va - l->boot.va) >> PAGE_SHIFT;

    if (!l->initrd_is_mapped) {
        l->initrd_pfn = pfn;
        pfn += l->nr_initrd_pages;
    }
    if (l->p2m.va != l->p2m.end_va) {
        l->p2m_va = l->p2m.va;
        l->p2m_pfn = l->p2m.pfn = pfn;
        pfn += l->nr_p2m_pages;
        l->p2m_tables_pfn = pfn;
        l->nr_p2m_tables = number_tables(&l->p2m, pfn);
        pfn += l->nr_p2m_tables;
    }
    l->nr_used_pages = pfn;
}

/* Whether a guest may map [@va, @end_va) and it touches no top-level slot of @other. */
static bool __init slots_apart(uint64_t va, uint64_t end_va, const struct dom0_map *other)
{
    uint64_t last = end_va - 1;
    unsigned int shift = table_shift(3);

    if (last < va || (va < HYPERVISOR_VIRT_END && last >= HYPERVISOR_VIRT_START) ||
        (va < LOW_HALF_END && last >= LOW_HALF_END)) {
        return false;
    }
    return last >> shift < other->va >> shift || va >> shift > (other->end_va - 1) >> shift;
}

/* Whether what the boot map must hold, tables included, surely fits above its base. */
static int __init check_room(const struct dom0_layout *l, struct image_error *err)
{
    uint64_t room = (l->boot.va < LOW_HALF_END ? LOW_HALF_END : 0) - l->boot.va;
    uint64_t pages = l->kernel_pfn + l->nr_kernel_pages;

    pages += l->initrd_is_mapped ? l->nr_initrd_pages : 0;
    pages += l->p2m.va == l->p2m.end_va ? l->nr_p2m_pages : 0;
    pages += pages / 256 + (4 * BOOT_END_ALIGN >> PAGE_SHIFT);
    if (pages > room >> PAGE_SHIFT) {
        return image_refuse(err,
                            "dom0 kernel: it wants %llu KiB mapped at %#llx, where %llu KiB are "
                            "left: use a smaller initrd or give dom0 less memory",
                            (unsigned long long)pages << (PAGE_SHIFT - 10),
                            (unsigned long long)l->boot.va, (unsigned long long)room >> 10);
    }
    return 0;
}

static int __init check_plan(const struct dom0_layout *l, const struct kernel_image *img,
                             struct image_error *err)
{
    if (l->p2m.va != l->p2m.end_va && !slots_apart(l->p2m.va, l->p2m.end_va, &l->boot)) {
        return image_refuse(err,
                            "dom0 kernel: the place %#llx for its frame list of %llu KiB collides "
                            "with the kernel or the hypervisor: give dom0 less memory",
                            (unsigned long long)img->init_p2m,
                            (unsigned long long)(l->nr_p2m_pages << (PAGE_SHIFT - 10)));
    }
    if (l->nr_used_pages > l->nr_pages || l->nr_pages - l->nr_used_pages < LEAST_PAGES) {
        image_refuse(err,
                     "dom0 has %llu KiB of memory, and kernel, initrd and tables take %llu KiB of "
                     "it, with %llu KiB to work with the least: give dom0_mem= more",
                     (unsigned long long)(l->nr_pages << (PAGE_SHIFT - 10)),
                     (unsigned long long)(l->nr_used_pages << (PAGE_SHIFT - 10)),
                     (unsigned long long)(LEAST_PAGES << (PAGE_SHIFT - 10)));
        return -ENOMEM;
    }
    return 0;
}

int __init dom0_plan(struct dom0_layout *l, const struct kernel_image *img, uint64_t nr_pages,
                     uint64_t initrd_bytes, struct image_error *err)
{
    uint64_t nr_tables = 1;
    int rc;

    *l = (struct dom0_layout){
        .nr_pages = nr_pages,
        .boot.va = img->virt_base,
        .kernel_pfn = (img->virt_start - img->virt_base) >> PAGE_SHIFT,
        .nr_kernel_pages = (img->virt_end - img->virt_start) >> PAGE_SHIFT,
        .nr_initrd_pages = pages_of(initrd_bytes),
        .nr_p2m_pages = pages_of(nr_pages * sizeof(xen_pfn_t)),
        .initrd_bytes = initrd_bytes,
        .initrd_is_mapped = !img->mod_start_pfn,
    };
    if (image_has_note(img, XEN_ELFNOTE_INIT_P2M)) {
        l->p2m.va = img->init_p2m;
        l->p2m.end_va = img->init_p2m + (l->nr_p2m_pages << PAGE_SHIFT);
    }
    rc = check_room(l, err);
    if (rc) {
        return rc;
    }
    for (;;) {
        l->nr_tables = plan_boot(l, nr_tables);
        if (l->nr_tables == nr_tables) {
            break; /* more is never less: it cannot be smaller */
        }
        nr_tables = l->nr_tables;
    }
    plan_rest(l);
    return check_plan(l, img, err);
}

/* The table of @level that has the entry for @va. */
static uint64_t __init table_for(const struct dom0_map *m, unsigned int level, uint64_t va)
{
    return m->table_pfn[level] + (level == 4 ? 0 : table_number(m, level, va));
}

/* Entries of level 2 to 4: one for each table of the level below. */
static void __init link_tables(const struct dom0_map *m, dom0_set_entry_fn set, void *ctx)
{
    for (unsigned int level = 4; level >= 2; level--) {
        unsigned int shift = table_shift(level - 1);
        uint64_t va = align_down(m->va, 1ull << shift);

        for (uint64_t i = 0; i < m->nr_tables[level - 1]; i++, va += 1ull << shift) {
            set(ctx, table_for(m, level, va), va >> shift & (ENTRIES - 1),
                m->table_pfn[level - 1] + i, PTE_TABLE);
        }
    }
}

/* Entries of level 1: those for pfns of [@ro_pfn, @ro_pfn + @nr_ro) are read-only. */
static void __init map_pages(const struct dom0_map *m, uint64_t ro_pfn, uint64_t nr_ro,
                             dom0_set_entry_fn set, void *ctx)
{
    uint64_t pfn = m->pfn;

    for (uint64_t va = m->va; va != m->end_va; va += PAGE_SIZE, pfn++) {
        set(ctx, table_for(m, 1, va), va >> PAGE_SHIFT & (ENTRIES - 1), pfn,
            pfn - ro_pfn < nr_ro ? PTE_READ : PTE_WRITE);
    }
}

void __init dom0_make_tables(const struct dom0_layout *l, dom0_set_entry_fn set, void *ctx)
{
    link_tables(&l->boot, set, ctx);
    map_pages(&l->boot, l->tables_pfn, l->nr_tables, set, ctx);
    if (l->p2m.va != l->p2m.end_va) {
        link_tables(&l->p2m, set, ctx);
        map_pages(&l->p2m, 0, 0, set, ctx);
    }
}

static void __init print_range(const char *what, uint64_t start, uint64_t end)
{
    log_info(" %-14s %016llx->%016llx", what, (unsigned long long)start, (unsigned long long)end);
}

void __init dom0_print(const struct dom0_layout *l, const struct kernel_image *img)
{
    log_info("VIRTUAL MEMORY ARRANGEMENT:");
    print_range("Loaded kernel:", img->virt_start, img->virt_end);
    if (l->initrd_is_mapped && l->nr_initrd_pages) {
        print_range("Init. ramdisk:", dom0_va(l, l->initrd_pfn),
                    dom0_va(l, l->initrd_pfn) + l->initrd_bytes);
    }
    print_range("Phys-Mach map:", l->p2m_va, l->p2m_va + l->nr_pages * sizeof(xen_pfn_t));
    print_range("Start info:", dom0_va(l, l->start_info_pfn),
                dom0_va(l, l->start_info_pfn) + sizeof(struct start_info) +
                    sizeof(struct dom0_vga_console_info));
    print_range("Page tables:", dom0_va(l, l->tables_pfn), dom0_va(l, l->stack_pfn));
    print_range("Boot stack:", dom0_va(l, l->stack_pfn), dom0_va(l, l->stack_pfn + 1));
    print_range("TOTAL:", l->boot.va, l->boot.end_va);
    log_info(" ENTRY ADDRESS: %016llx", (unsigned long long)img->entry);
}
