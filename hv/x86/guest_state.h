/* SPDX-License-Identifier: MIT */
/* One-instruction wrappers for registers that hold a guest's state while it runs: GS, debug
 * registers, CR0.TS. */
#pragma once

#include "lib/compiler.h"

/* Exchange the active and the inactive GS base. */
static inline void swapgs(void)
{
    __asm__ volatile("swapgs" ::: "memory");
}

static inline void clts(void)
{
    __asm__ volatile("clts");
}

#define DEBUG_REGISTER(n)                                                                          \
    static inline uint64_t read_dr##n(void)                                                        \
    {                                                                                              \
        uint64_t value;                                                                            \
                                                                                                   \
        __asm__ volatile("mov %%db" #n ", %0" : "=r"(value));                                      \
        return value;                                                                              \
    }                                                                                              \
    static inline void write_dr##n(uint64_t value)                                                 \
    {                                                                                              \
        __asm__ volatile("mov %0, %%db" #n ::"r"(value));                                          \
    }
DEBUG_REGISTER(0)
DEBUG_REGISTER(1)
DEBUG_REGISTER(2)
DEBUG_REGISTER(3)
DEBUG_REGISTER(6)
DEBUG_REGISTER(7)
#undef DEBUG_REGISTER

/* The code segment that @selector names, in the current GDT and LDT, is of 64-bit code. */
static inline bool segment_is_long(uint16_t selector)
{
    uint32_t rights = 0;

    __asm__("lar %1, %0" : "+r"(rights) : "r"((uint32_t)selector) : "cc");
    return rights >> 21 & 1;
}
