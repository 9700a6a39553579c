/* SPDX-License-Identifier: MIT */
/* Reaching machine memory: the direct map of RAM, and mappings of device memory. */
#pragma once

#include "lib/types.h"
#include "x86/layout.h"

#ifdef MANSIO_HOST
void *phys_to_virt(paddr_t p);
paddr_t virt_to_phys(const void *va);
#else
/* The direct map's address of RAM. */
static inline void *phys_to_virt(paddr_t p)
{
    return (void *)(LAYOUT_DIRECT_MAP + p.a);
}

/* Direct-map addresses only. */
static inline paddr_t virt_to_phys(const void *va)
{
    return PADDR((uintptr_t)va - LAYOUT_DIRECT_MAP);
}
#endif

static inline void *mfn_to_virt(mfn_t mfn)
{
    return phys_to_virt(mfn_to_paddr(mfn));
}

static inline mfn_t virt_to_mfn(const void *va)
{
    return paddr_to_mfn(virt_to_phys(va));
}

/* RAM or firmware tables at @p: the direct map where that reaches, else a lasting cached mapping;
 * NULL: no room. */
void *map_phys(paddr_t p, size_t len_bytes);

/* Device registers at @p, uncached, lasting; NULL: no room. */
void *map_mmio(paddr_t p, size_t len_bytes);

/* As map_mmio(), but write-combining: framebuffers. */
void *map_mmio_wc(paddr_t p, size_t len_bytes);
