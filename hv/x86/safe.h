/* SPDX-License-Identifier: MIT */
/*
 * Instructions that may fault for reasons outside our control, made to fail
 * instead.  They need the IDT (trap_init()).
 */
#pragma once

#include "abi/errno.h"
#include "lib/compiler.h"
#include "x86/extable.h"

#ifdef MANSIO_HOST
int must_check msr_read_safe(uint32_t msr, uint64_t *value);
int must_check msr_write_safe(uint32_t msr, uint64_t value);
int must_check xsetbv_safe(uint32_t index, uint64_t value);
#else

/* 0; -EFAULT: no such register, or not for this. */
static inline int must_check msr_read_safe(uint32_t msr, uint64_t *value)
{
    uint32_t low, high;

    __asm__ goto volatile("1: rdmsr\n" EXTABLE("1b", "%l[fault]")
                          : "=a"(low), "=d"(high)
                          : "c"(msr)
                          :
                          : fault);
    ASM_GOTO_OUTPUT();
    *value = (uint64_t)high << 32 | low;
    return 0;
fault:
    return -EFAULT;
}

/* 0; -EFAULT: no such register, or not this value. */
static inline int must_check msr_write_safe(uint32_t msr, uint64_t value)
{
    __asm__ goto volatile("1: wrmsr\n" EXTABLE("1b", "%l[fault]")
                          :
                          : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                          : "memory"
                          : fault);
    return 0;
fault:
    return -EFAULT;
}

/* 0; -EFAULT: a bit that this CPU does not have, or a wrong combination. */
static inline int must_check xsetbv_safe(uint32_t index, uint64_t value)
{
    __asm__ goto volatile("1: xsetbv\n" EXTABLE("1b", "%l[fault]")
                          :
                          : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                          : "memory"
                          : fault);
    return 0;
fault:
    return -EFAULT;
}

/*
 * Load a segment register with a guest's selector.  0; -EFAULT: no such
 * descriptor, and the register holds the null selector.
 */
#define SEGMENT_LOAD(seg)                                                                          \
    static inline int must_check segment_load_##seg(uint16_t selector)                             \
    {                                                                                              \
        __asm__ goto volatile("1: mov %w0, %%" #seg "\n" EXTABLE("1b", "%l[fault]")                \
                              :                                                                    \
                              : "r"(selector)                                                      \
                              : "memory"                                                           \
                              : fault);                                                            \
        return 0;                                                                                  \
    fault:                                                                                         \
        __asm__ volatile("mov %w0, %%" #seg ::"r"(0));                                             \
        return -EFAULT;                                                                            \
    }
SEGMENT_LOAD(ds)
SEGMENT_LOAD(es)
SEGMENT_LOAD(fs)
SEGMENT_LOAD(gs)
#undef SEGMENT_LOAD

/*
 * Load the inactive GS (which SWAPGS exchanges with the active one): used when
 * the selector belongs to the mode that the guest is not in.
 */
static inline int must_check segment_load_gs_inactive(uint16_t selector)
{
    int rc;

    __asm__ volatile("swapgs" ::: "memory");
    rc = segment_load_gs(selector);
    __asm__ volatile("swapgs" ::: "memory");
    return rc;
}

#define SEGMENT_READ(seg)                                                                          \
    static inline uint16_t segment_read_##seg(void)                                                \
    {                                                                                              \
        uint16_t selector;                                                                         \
                                                                                                   \
        __asm__ volatile("mov %%" #seg ", %0" : "=r"(selector));                                   \
        return selector;                                                                           \
    }
SEGMENT_READ(ds)
SEGMENT_READ(es)
SEGMENT_READ(fs)
SEGMENT_READ(gs)
#undef SEGMENT_READ
#endif
