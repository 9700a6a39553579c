/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU data.  Each CPU has a block of CPU_BLOCK_SIZE bytes, aligned to its
 * size: IST stacks, guard page, main stack, and struct cpu at the very top, so
 * that the stack pointer alone tells who we are.  GS belongs to the guest.
 *
 * Variables of DEFINE_PER_CPU live in a copy of section .percpu for each CPU.
 */
#pragma once

#include "lib/bits.h"
#include "lib/compiler.h"

#define NR_CPUS        256u
#define CPU_BLOCK_SIZE 32768ul

struct vcpu;

/*
 * Who may touch a member:
 *   [c]  constant once the CPU is online
 *   [s]  this CPU only
 *   [a]  anyone, atomically
 */
struct cpu {
    struct vcpu *curr;      /* [s] whose register frame an entry from the guest fills */
    uint64_t percpu_offset; /* [c] what turns the address of a template into our copy's */
    uint32_t id;            /* [c] 0 .. NR_CPUS - 1 */
    uint32_t apic_id;       /* [c] */
    uint32_t softirqs;      /* [a] bits of enum softirq */
    uint32_t flush_stamp;   /* [s] written, read by all: the flush clock at our last full flush */
    uint64_t cr3;           /* [s] what CR3 holds */
    uint64_t syscall_rsp;   /* [s] the syscall stub's scratch word */
    uint32_t nr_locks;      /* [s] spinlocks held (debug builds) */
    uint32_t in_nmi;        /* [s] depth of NMI and machine-check handlers */
    struct tss *tss;        /* [c] */
    bool is_poked; /* [s] an interrupt asked for attention since preempt_pending() last told */
    uint8_t pad[7];
    uint64_t spare[5];
};

static_assert(sizeof(struct cpu) % 16 == 0, "the main stack begins right below, aligned");

#ifdef MANSIO_HOST
extern struct cpu host_cpu;
#define this_cpu() (&host_cpu)
#else
static always_inline struct cpu *this_cpu(void)
{
    uint64_t sp;

    __asm__("mov %%rsp, %0" : "=r"(sp));
    return (struct cpu *)((sp | (CPU_BLOCK_SIZE - 1)) + 1) - 1;
}
#endif

static always_inline unsigned int cpu_id(void)
{
    return this_cpu()->id;
}

/* The CPUs' blocks by number; NULL for a number that has none. */
extern struct cpu *cpus[NR_CPUS];

#ifdef MANSIO_HOST
/* A test of several CPUs supplies this: CPU @cpu's copy of @template.  Else all share one. */
void *host_per_cpu(void *template, size_t size, unsigned int cpu) __attribute__((weak));

#define DEFINE_PER_CPU(type, name)  __typeof__(type) percpu_##name
#define DECLARE_PER_CPU(type, name) extern __typeof__(type) percpu_##name
#define per_cpu_ptr(name, cpu)                                                                     \
    ((__typeof__(&percpu_##name))(host_per_cpu                                                     \
                                      ? host_per_cpu(&percpu_##name, sizeof(percpu_##name), cpu)   \
                                      : &percpu_##name))
#define this_cpu_ptr(name) per_cpu_ptr(name, host_cpu.id)
#else
#define DEFINE_PER_CPU(type, name)                                                                 \
    __attribute__((section(".percpu"))) __typeof__(type) percpu_##name
#define DECLARE_PER_CPU(type, name) extern __typeof__(type) percpu_##name
#define per_cpu_at(name, offset)                                                                   \
    ((__typeof__(&percpu_##name))((uintptr_t)&percpu_##name + (offset)))
#define per_cpu_ptr(name, cpu) per_cpu_at(name, cpus[cpu]->percpu_offset)
#define this_cpu_ptr(name)     per_cpu_at(name, this_cpu()->percpu_offset)
#endif

/* Sets of CPUs. */
struct cpumask {
    uint64_t bits[NR_CPUS / 64];
};

extern struct cpumask cpus_online; /* grows while starting; changed by the boot CPU only */

static inline bool cpumask_test(const struct cpumask *m, unsigned int cpu)
{
    return READ_ONCE(m->bits[cpu / 64]) >> (cpu % 64) & 1;
}

/* Atomic. */
static inline void cpumask_set(struct cpumask *m, unsigned int cpu)
{
    __atomic_fetch_or(&m->bits[cpu / 64], 1ull << (cpu % 64), __ATOMIC_SEQ_CST);
}

/* Atomic. */
static inline void cpumask_clear(struct cpumask *m, unsigned int cpu)
{
    __atomic_fetch_and(&m->bits[cpu / 64], ~(1ull << (cpu % 64)), __ATOMIC_SEQ_CST);
}

/* Atomic: take @cpu out; was it in? */
static inline bool cpumask_test_clear(struct cpumask *m, unsigned int cpu)
{
    uint64_t bit = 1ull << (cpu % 64);

    return cpumask_test(m, cpu) &&
           (__atomic_fetch_and(&m->bits[cpu / 64], ~bit, __ATOMIC_SEQ_CST) & bit);
}

static inline void cpumask_zero(struct cpumask *m)
{
    for (unsigned int i = 0; i < NR_CPUS / 64; i++) {
        m->bits[i] = 0;
    }
}

/* The first member at or after @from, or NR_CPUS. */
static inline unsigned int cpumask_next(const struct cpumask *m, unsigned int from)
{
    for (unsigned int i = from / 64; i < NR_CPUS / 64; i++) {
        uint64_t word = READ_ONCE(m->bits[i]);

        if (i == from / 64) {
            word &= ~0ull << (from % 64);
        }
        if (word) {
            return i * 64 + (unsigned int)__builtin_ctzll(word);
        }
    }
    return NR_CPUS;
}

static inline bool cpumask_empty(const struct cpumask *m)
{
    return cpumask_next(m, 0) == NR_CPUS;
}

/* Is @cpu the one and only member? */
static inline bool cpumask_is_only(const struct cpumask *m, unsigned int cpu)
{
    uint64_t differs = 0;

    for (unsigned int i = 0; i < NR_CPUS / 64; i++) {
        differs |= READ_ONCE(m->bits[i]) ^ (i == cpu / 64 ? 1ull << (cpu % 64) : 0);
    }
    return differs == 0;
}

static inline unsigned int cpumask_count(const struct cpumask *m)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < NR_CPUS / 64; i++) {
        n += bit_count(m->bits[i]);
    }
    return n;
}

#define cpumask_for_each(cpu, m)                                                                   \
    for ((cpu) = cpumask_next(m, 0); (cpu) < NR_CPUS; (cpu) = cpumask_next(m, (cpu) + 1))
