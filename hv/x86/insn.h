/* SPDX-License-Identifier: MIT */
/*
 * One instruction each.  On the host those whose results depend on the machine
 * are functions that the tests supply.
 */
#pragma once

#include "lib/compiler.h"

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}

struct cpuid_regs {
    uint32_t a, b, c, d;
};

#ifdef MANSIO_HOST
struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t rdtsc(void);
uint64_t rdtsc_ordered(void);
uint32_t mmio_read32(const volatile void *reg);
uint64_t mmio_read64(const volatile void *reg);
void mmio_write32(volatile void *reg, uint32_t value);
uint8_t inb(uint16_t port);
uint16_t inw(uint16_t port);
uint32_t inl(uint16_t port);
void outb(uint16_t port, uint8_t value);
void outw(uint16_t port, uint16_t value);
void outl(uint16_t port, uint32_t value);
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t value);
uint64_t read_cr3(void);
uint64_t read_cr4(void);
void write_cr3(uint64_t value);
void write_cr4(uint64_t value);
void invlpg(uint64_t va);
void halt_for_interrupt(void);
#else

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    __asm__ volatile("cpuid"
                     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* The same, but after every load before it in program order. */
static inline uint64_t rdtsc_ordered(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* Device registers, mapped uncached. */
static inline uint32_t mmio_read32(const volatile void *reg)
{
    return *(const volatile uint32_t *)reg;
}

static inline uint64_t mmio_read64(const volatile void *reg)
{
    return *(const volatile uint64_t *)reg;
}

static inline void mmio_write32(volatile void *reg, uint32_t value)
{
    *(volatile uint32_t *)reg = value;
}

#define PORT_IN(name, bits, suffix)                                                                \
    static inline uint##bits##_t name(uint16_t port)                                               \
    {                                                                                              \
        uint##bits##_t value;                                                                      \
                                                                                                   \
        __asm__ volatile("in" suffix " %w1, %0" : "=a"(value) : "Nd"(port));                       \
        return value;                                                                              \
    }
#define PORT_OUT(name, bits, suffix)                                                               \
    static inline void name(uint16_t port, uint##bits##_t value)                                   \
    {                                                                                              \
        __asm__ volatile("out" suffix " %0, %w1" ::"a"(value), "Nd"(port));                        \
    }
PORT_IN(inb, 8, "b")
PORT_IN(inw, 16, "w")
PORT_IN(inl, 32, "l")
PORT_OUT(outb, 8, "b")
PORT_OUT(outw, 16, "w")
PORT_OUT(outl, 32, "l")
#undef PORT_IN
#undef PORT_OUT

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

#define CONTROL_REGISTER(n)                                                                        \
    static inline uint64_t read_cr##n(void)                                                        \
    {                                                                                              \
        uint64_t value;                                                                            \
                                                                                                   \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(value));                                      \
        return value;                                                                              \
    }                                                                                              \
    static inline void write_cr##n(uint64_t value)                                                 \
    {                                                                                              \
        __asm__ volatile("mov %0, %%cr" #n ::"r"(value) : "memory");                               \
    }
CONTROL_REGISTER(0)
CONTROL_REGISTER(2)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)
#undef CONTROL_REGISTER

static inline void invlpg(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static inline void wbinvd(void)
{
    __asm__ volatile("wbinvd" ::: "memory");
}

static inline void interrupts_on(void)
{
    __asm__ volatile("sti" ::: "memory");
}

static inline void interrupts_off(void)
{
    __asm__ volatile("cli" ::: "memory");
}

/* Wait for an interrupt with interrupts on from just before the halt; off again afterwards. */
static inline void halt_for_interrupt(void)
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* Raise an exception with no table of handlers, which resets the processor. */
static inline void triple_fault(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } packed none = { 0, 0 };

    __asm__ volatile("lidt %0; int3" ::"m"(none));
}
#endif
