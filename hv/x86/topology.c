/* SPDX-License-Identifier: MIT */
/*
 * The parts of an APIC id, low to high: thread, core, package.  Their widths
 * come from CPUID leaf 0xb (SDM vol. 2, CPUID), else from the older leaves 1, 4
 * and 0x80000008 (AMD's manual, vol. 3, appendix E).
 */
#include "x86/topology.h"

#include "sys/cpu.h"
#include "x86/features.h"
#include "x86/insn.h"

static uint8_t thread_bits, core_bits; /* constant after topology_init() */

static unsigned int bits_for(uint32_t n)
{
    return n <= 1 ? 0 : bit_order_up(n);
}

static __init bool read_leaf_b(void)
{
    struct cpuid_regs threads, cores;

    if (cpu_features.max_leaf < 0xb) {
        return false;
    }
    threads = cpuid(0xb, 0);
    cores = cpuid(0xb, 1);
    if ((threads.b & 0xffff) == 0 || (cores.a & 31) < (threads.a & 31)) {
        return false;
    }
    thread_bits = threads.a & 31;
    core_bits = (uint8_t)((cores.a & 31) - thread_bits);
    return true;
}

static __init uint32_t cores_by_old_leaves(void)
{
    if (cpu_features.vendor == VENDOR_AMD && cpu_features.max_ext_leaf >= 0x80000008) {
        return (cpuid(0x80000008, 0).c & 0xff) + 1;
    }
    return cpu_features.max_leaf >= 4 ? (cpuid(4, 0).a >> 26) + 1 : 1;
}

__init void topology_init(void)
{
    const uint32_t htt = 1u << 28;
    struct cpuid_regs r = cpuid(1, 0);
    uint32_t logical = r.d & htt ? r.b >> 16 & 0xff : 1, cores;

    if (read_leaf_b()) {
        return;
    }
    cores = max(cores_by_old_leaves(), 1u);
    core_bits = (uint8_t)bits_for(cores);
    thread_bits = (uint8_t)bits_for(max(logical / cores, 1u));
}

bool topology_same_core(uint32_t a, uint32_t b)
{
    return a >> thread_bits == b >> thread_bits;
}

static uint32_t count_sharing(unsigned int shift)
{
    uint32_t most = 1;
    unsigned int a, b;

    cpumask_for_each(a, &cpus_online) {
        uint32_t n = 0;

        cpumask_for_each(b, &cpus_online) {
            n += cpus[a]->apic_id >> shift == cpus[b]->apic_id >> shift;
        }
        most = max(most, n);
    }
    return most;
}

uint32_t topology_threads_per_core(void)
{
    return count_sharing(thread_bits);
}

uint32_t topology_cores_per_socket(void)
{
    return count_sharing(thread_bits + core_bits) / topology_threads_per_core();
}

uint32_t topology_core(unsigned int cpu)
{
    return cpus[cpu]->apic_id >> thread_bits & ((1u << core_bits) - 1);
}

uint32_t topology_socket(unsigned int cpu)
{
    return cpus[cpu]->apic_id >> (thread_bits + core_bits);
}
