/* SPDX-License-Identifier: MIT */
/*
 * Reaching machine memory that the direct map may not cover: firmware tables
 * lie in RAM or beside it, device registers never in it.
 */
#include "mm/phys.h"

#include "mm/frame.h"
#include "x86/paging.h"

/* Is [p, p + len) all in the direct map, which has the RAM and nothing else? */
static bool is_direct(paddr_t p, size_t len_bytes)
{
    uint64_t last = (p.a + len_bytes - 1) >> PAGE_SHIFT;

    for (uint64_t i = p.a >> PAGE_SHIFT; i <= last; i++) {
        if (!frame_valid(MFN(i))) {
            return false;
        }
    }
    return true;
}

void *map_phys(paddr_t p, size_t len_bytes)
{
    if (len_bytes == 0 || is_direct(p, len_bytes)) {
        return phys_to_virt(p);
    }
    return paging_map_lasting(p, len_bytes, PAGE_HV_RW);
}

void *map_mmio(paddr_t p, size_t len_bytes)
{
    return paging_map_lasting(p, len_bytes, PAGE_HV_UC);
}

void *map_mmio_wc(paddr_t p, size_t len_bytes)
{
    return paging_map_lasting(p, len_bytes, PAGE_HV_WC);
}
