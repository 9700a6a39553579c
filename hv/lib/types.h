/* SPDX-License-Identifier: MIT */
/*
 * Numbers that must not be mixed up: machine addresses, machine frame numbers
 * and guest frame numbers are structs of one member, so that a swapped
 * argument does not compile.
 */
#pragma once

#include "lib/compiler.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ul
#define PAGE_MASK  (~(PAGE_SIZE - 1))

typedef struct {
    uint64_t n;
} mfn_t; /* number of a machine frame */

typedef struct {
    uint64_t n;
} gfn_t; /* number of a guest frame */

typedef struct {
    uint64_t a;
} paddr_t; /* machine address in bytes */

#define MFN(x)      ((mfn_t){ (x) })
#define GFN(x)      ((gfn_t){ (x) })
#define PADDR(x)    ((paddr_t){ (x) })
#define MFN_INVALID MFN(~0ull)

static inline mfn_t paddr_to_mfn(paddr_t p)
{
    return MFN(p.a >> PAGE_SHIFT);
}

static inline paddr_t mfn_to_paddr(mfn_t m)
{
    return PADDR(m.n << PAGE_SHIFT);
}

static inline bool mfn_eq(mfn_t a, mfn_t b)
{
    return a.n == b.n;
}

static inline uint64_t align_up(uint64_t x, uint64_t to)
{
    return (x + to - 1) & ~(to - 1);
}

static inline uint64_t align_down(uint64_t x, uint64_t to)
{
    return x & ~(to - 1);
}
