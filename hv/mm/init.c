/* SPDX-License-Identifier: MIT */
/*
 * The start of memory management, in its order: frame table, M2P, what early
 * allocation left over to the page allocator.
 */
#include "mm/init.h"

#include "mm/early.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/m2p.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/boot_info.h"
#include "sys/image.h"
#include "sys/log.h"
#include "sys/panic.h"
#include "x86/memory.h"
#include "x86/paging.h"

#define RAM_MIN_MIB 64u

static bool allocator_is_ready;

/* Pages for the hypervisor's own tables. */
static paddr_t table_alloc(void)
{
    mfn_t mfn;

    if (!allocator_is_ready) {
        return early_alloc(PAGE_SIZE, PAGE_SIZE, EARLY_LOW);
    }
    mfn = pages_alloc(0, 0, ALLOC_LOW_OK);
    if (mfn_eq(mfn, MFN_INVALID)) {
        return PADDR(0);
    }
    WRITE_ONCE(frame_of(mfn)->ref, FRAME_HV | DOMID_XEN);
    return mfn_to_paddr(mfn);
}

const struct x86_memory_ops x86_memory_ops = {
    .page_alloc = table_alloc,
    .alloc = heap_alloc,
    .free = heap_free,
};

/* RAM that the firmware tells of, in MiB, and a sentence on what lies too high. */
static __init uint64_t count_ram_mib(void)
{
    uint64_t limit = (uint64_t)LAYOUT_DIRECT_MAP_TB << 40, bytes = 0;

    for (uint32_t i = 0; i < boot_info.nr_e820; i++) {
        const struct e820_entry *e = &boot_info.e820[i];

        bytes += e->type == E820_RAM ? e->len : 0;
        if (e->type == E820_RAM && e->start + e->len > limit) {
            log_warn("RAM above %u TiB stays unused: Mansio reaches no further.",
                     LAYOUT_DIRECT_MAP_TB);
        }
    }
    return bytes >> 20;
}

__init void mm_init(void)
{
    uint64_t mib = count_ram_mib(), nr;
    mfn_t first;

    if (mib + 1 < RAM_MIN_MIB) {
        panic_give_up("Too little memory: the machine has %lu MiB, Mansio needs %u MiB or more.",
                      mib, RAM_MIN_MIB);
    }
    frame_table_init();
    m2p_init();
    frame_table_mark_owners();
    m2p_share();
    for (unsigned int i = 0; early_left(i, &first, &nr); i++) {
        pages_add_boot_memory(first, nr);
    }
    allocator_is_ready = true;
    log_info("Memory: %lu MiB in all, %lu KiB kept for Mansio and its modules.", mib,
             (pages_nr_total() - pages_nr_free()) << (PAGE_SHIFT - 10));
}

/* Was the frame kept when the table was made?  Low memory, where a loader may put things too, never
 * is. */
static __init bool is_kept(uint64_t i)
{
    return frame_valid(MFN(i)) && frame_of(MFN(i))->ref == (FRAME_HV | DOMID_XEN);
}

__init void mm_free_boot_memory(paddr_t start, paddr_t end)
{
    uint64_t i = align_up(start.a, PAGE_SIZE) >> PAGE_SHIFT, last = end.a >> PAGE_SHIFT;

    while (i < last) {
        uint64_t first = i;

        while (i < last && is_kept(i)) {
            *frame_of(MFN(i++)) = (struct frame){ 0 };
        }
        if (i > first) {
            pages_add_boot_memory(MFN(first), i - first);
        } else {
            i++;
        }
    }
}

void mm_free_init_sections(void)
{
    uint64_t offset = (uint64_t)(__init_start - __image_start);
    uint64_t len = (uint64_t)(__init_end - __init_start);
    paddr_t start = PADDR(boot_info.image_start.a + offset);

    paging_unmap((uintptr_t)__init_start, len);
    for (uint64_t i = start.a >> PAGE_SHIFT; i < (start.a + len) >> PAGE_SHIFT; i++) {
        *frame_of(MFN(i)) = (struct frame){ 0 };
    }
    pages_add_boot_memory(paddr_to_mfn(start), len >> PAGE_SHIFT);
    log_info("Start-up code and data given back: %lu KiB.", len >> 10);
}
