/* SPDX-License-Identifier: MIT */
/*
 * Single words changed by several CPUs.  Every read-modify-write is a full
 * barrier, as the locked instructions of x86 are; loads acquire and stores
 * release.
 */
#pragma once

#include "lib/compiler.h"

#define ATOMIC_OPS(bits)                                                                           \
    static inline uint##bits##_t atomic_load##bits(const uint##bits##_t *p)                        \
    {                                                                                              \
        return __atomic_load_n(p, __ATOMIC_ACQUIRE);                                               \
    }                                                                                              \
    static inline void atomic_store##bits(uint##bits##_t *p, uint##bits##_t v)                     \
    {                                                                                              \
        __atomic_store_n(p, v, __ATOMIC_RELEASE);                                                  \
    }                                                                                              \
    /* These return the value after the change ... */                                              \
    static inline uint##bits##_t atomic_add##bits(uint##bits##_t *p, uint##bits##_t v)             \
    {                                                                                              \
        return __atomic_add_fetch(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    static inline uint##bits##_t atomic_sub##bits(uint##bits##_t *p, uint##bits##_t v)             \
    {                                                                                              \
        return __atomic_sub_fetch(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    /* ... and these the value before it. */                                                       \
    static inline uint##bits##_t atomic_fetch_or##bits(uint##bits##_t *p, uint##bits##_t v)        \
    {                                                                                              \
        return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                          \
    }                                                                                              \
    static inline uint##bits##_t atomic_fetch_and##bits(uint##bits##_t *p, uint##bits##_t v)       \
    {                                                                                              \
        return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    static inline uint##bits##_t atomic_xchg##bits(uint##bits##_t *p, uint##bits##_t v)            \
    {                                                                                              \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    /* If *@p is *@expected, make it @v and return true; else *@expected becomes *@p. */           \
    static inline bool atomic_cmpxchg##bits(uint##bits##_t *p, uint##bits##_t *expected,           \
                                            uint##bits##_t v)                                      \
    {                                                                                              \
        return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST,                \
                                           __ATOMIC_SEQ_CST);                                      \
    }

ATOMIC_OPS(8)
ATOMIC_OPS(16)
ATOMIC_OPS(32)
ATOMIC_OPS(64)
#undef ATOMIC_OPS

/* Order all earlier against all later accesses, to memory that other CPUs or guests see. */
static inline void smp_mb(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* x86 keeps loads in order among loads and stores among stores: these bind the compiler. */
static inline void smp_rmb(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void smp_wmb(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}
