/* SPDX-License-Identifier: MIT */
/*
 * Single bits in words and in bitmaps, which are arrays of 64-bit words with
 * bit 0 lowest in the first.  Names with `atomic` may race with each other and
 * are full barriers; the others need the caller's lock.
 */
#pragma once

#include "lib/compiler.h"

#define BIT(n)             (1ull << (n))
#define BITS_TO_WORDS(n)   (((n) + 63) / 64)
#define BITMAP(name, bits) uint64_t name[BITS_TO_WORDS(bits)]

/* Position of the lowest or highest set bit; @x is not 0. */
static inline unsigned int bit_lowest(uint64_t x)
{
    return (unsigned int)__builtin_ctzll(x);
}

static inline unsigned int bit_highest(uint64_t x)
{
    return 63u - (unsigned int)__builtin_clzll(x);
}

static inline unsigned int bit_count(uint64_t x)
{
    unsigned int n = 0;

    for (; x; x &= x - 1) {
        n++;
    }
    return n;
}

/* The smallest order with 1 << order >= @x; @x is not 0. */
static inline unsigned int bit_order_up(uint64_t x)
{
    return x <= 1 ? 0 : bit_highest(x - 1) + 1;
}

static inline bool bit_test(const uint64_t *map, size_t n)
{
    return READ_ONCE(map[n / 64]) >> (n % 64) & 1;
}

static inline void bit_set(uint64_t *map, size_t n)
{
    map[n / 64] |= BIT(n % 64);
}

static inline void bit_clear(uint64_t *map, size_t n)
{
    map[n / 64] &= ~BIT(n % 64);
}

/* Change a bit and return what it was. */
static inline bool bit_atomic_test_set(uint64_t *map, size_t n)
{
    uint64_t bit = BIT(n % 64);

    return (__atomic_fetch_or(&map[n / 64], bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

static inline bool bit_atomic_test_clear(uint64_t *map, size_t n)
{
    uint64_t bit = BIT(n % 64);

    return (__atomic_fetch_and(&map[n / 64], ~bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

static inline void bit_atomic_set(uint64_t *map, size_t n)
{
    __atomic_or_fetch(&map[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST);
}

static inline void bit_atomic_clear(uint64_t *map, size_t n)
{
    __atomic_and_fetch(&map[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST);
}

/* The first set (clear) bit at @from or above it; @bits if there is none. */
static inline size_t bitmap_next(const uint64_t *map, size_t bits, size_t from, bool set)
{
    uint64_t flip = set ? 0 : ~0ull;

    while (from < bits) {
        uint64_t w = (READ_ONCE(map[from / 64]) ^ flip) >> (from % 64);

        if (w) {
            from += bit_lowest(w);
            return from < bits ? from : bits;
        }
        from = (from / 64 + 1) * 64;
    }
    return bits;
}

static inline size_t bitmap_next_set(const uint64_t *map, size_t bits, size_t from)
{
    return bitmap_next(map, bits, from, true);
}

static inline size_t bitmap_next_clear(const uint64_t *map, size_t bits, size_t from)
{
    return bitmap_next(map, bits, from, false);
}
