/* SPDX-License-Identifier: MIT */
#include "x86/fake.h"

#include <cpuid.h>

#include "sys/log.h"
#include "x86/features.h"
#include "x86/insn.h"

struct cpu host_cpu;
struct cpu *cpus[NR_CPUS] = { &host_cpu };
struct cpumask cpus_online = { { 1 } };
struct cpu_features cpu_features;

uint64_t fake_cr3, fake_cr4;
unsigned int fake_cr3_loads, fake_cr4_loads, fake_invlpgs;
uint64_t fake_invlpg_va;

const struct fake_leaf *fake_leaves;
size_t fake_nr_leaves;

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = { 0 };

    if (fake_leaves == NULL) {
        __cpuid_count(leaf, subleaf, r.a, r.b, r.c, r.d);
    }
    for (size_t i = 0; fake_leaves != NULL && i < fake_nr_leaves; i++) {
        if (fake_leaves[i].leaf == leaf && fake_leaves[i].subleaf == subleaf) {
            r = fake_leaves[i].regs;
        }
    }
    return r;
}

void fake_reset(void)
{
    fake_leaves = NULL;
    host_cpu = (struct cpu){ .percpu_offset = 1 };
    fake_cr3 = fake_cr4 = fake_invlpg_va = 0;
    fake_cr3_loads = fake_cr4_loads = fake_invlpgs = 0;
}

uint64_t read_cr3(void)
{
    return fake_cr3;
}

void write_cr3(uint64_t value)
{
    fake_cr3 = value;
    fake_cr3_loads++;
}

uint64_t read_cr4(void)
{
    return fake_cr4;
}

void write_cr4(uint64_t value)
{
    fake_cr4 = value;
    fake_cr4_loads++;
}

void invlpg(uint64_t va)
{
    fake_invlpg_va = va;
    fake_invlpgs++;
}

void log_print(enum log_level level, const char *fmt, ...)
{
}

noreturn void panic(const char *fmt, ...)
{
    abort();
}
