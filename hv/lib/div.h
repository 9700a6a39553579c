/* SPDX-License-Identifier: MIT */
/*
 * Products and quotients wider than a word, for scaling clocks.  Nothing here
 * needs the compiler's run-time library.
 */
#pragma once

#include "lib/compiler.h"

/* (@a * @b) >> @shift, cut to 64 bits; @shift is 0 .. 127. */
static inline uint64_t mul_shift64(uint64_t a, uint64_t b, unsigned int shift)
{
    return (uint64_t)((unsigned __int128)a * b >> shift);
}

/* @x scaled by the 32-bit fraction @frac: (@x * @frac) >> 32, the full product kept. */
static inline uint64_t mul_frac32(uint64_t x, uint32_t frac)
{
    return mul_shift64(x, frac, 32);
}

/* @a * @b / @c.  The quotient must fit into 64 bits: @c > high word of the product. */
static inline uint64_t mul_div64(uint64_t a, uint64_t b, uint64_t c)
{
#ifdef MANSIO_HOST
    return (uint64_t)((unsigned __int128)a * b / c);
#else
    uint64_t quotient, rest;

    __asm__("mulq %3\n\tdivq %4" : "=&a"(quotient), "=&d"(rest) : "0"(a), "rm"(b), "r"(c) : "cc");
    return quotient;
#endif
}
