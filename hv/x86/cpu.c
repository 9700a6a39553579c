/* SPDX-License-Identifier: MIT */
/*
 * Making a CPU's block: IST stacks, guard page, main stack, struct cpu, and its
 * copy of the per-CPU data.
 *
 *   0x0000  NMI stack      0x2000  #DF stack      0x3000  nothing: catches overflows
 *   0x1000  #MC stack      0x2800  #DB stack      0x4000  main stack, struct cpu at its top
 *
 * The page below the block is not mapped either.
 */
#include "x86/cpu.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "sys/image.h"
#include "sys/log.h"
#include "x86/features.h"
#include "x86/lapic.h"
#include "x86/mcheck.h"
#include "x86/memory.h"
#include "x86/paging.h"
#include "x86/smp.h"

#define BLOCK_PAGES      (CPU_BLOCK_SIZE / PAGE_SIZE)
#define BLOCK_GUARD_PAGE 3u

static __init int block_map(unsigned int id)
{
    uint64_t va = NEAR_CPU_BLOCK(id);

    for (unsigned int i = 0; i < BLOCK_PAGES; i++, va += PAGE_SIZE) {
        paddr_t pa;

        if (i == BLOCK_GUARD_PAGE) {
            continue;
        }
        pa = x86_memory_ops.page_alloc();
        if (pa.a == 0 || paging_map(va, pa, PAGE_SIZE, PAGE_HV_RW) != 0) {
            return -ENOMEM;
        }
        memset((void *)va, 0, PAGE_SIZE);
    }
    return 0;
}

__init int cpu_create(unsigned int id, uint32_t apic_id)
{
    size_t percpu_bytes = (size_t)(__percpu_end - __percpu_start);
    struct cpu *c = (struct cpu *)(NEAR_CPU_BLOCK(id) + CPU_BLOCK_SIZE) - 1;
    char *percpu = x86_memory_ops.alloc(percpu_bytes);
    int rc = block_map(id);

    if (percpu == NULL || rc != 0) {
        return -ENOMEM;
    }
    memcpy(percpu, __percpu_start, percpu_bytes);
    c->percpu_offset = (uint64_t)(percpu - __percpu_start);
    c->id = id;
    c->apic_id = apic_id;
    rc = desc_init_cpu(c);
    if (rc == 0) {
        cpus[id] = c;
    }
    return rc;
}

bool cpu_init_this(void)
{
    desc_load();
    this_cpu()->cr3 = read_cr3();
    if (!features_enable()) {
        return false;
    }
    lapic_init_cpu();
    mcheck_init_cpu();
    return true;
}

__init void cpu_leave_boot_stack(void (*go_on)(void))
{
    struct cpu *early = this_cpu(), *c = cpus[0];

    c->softirqs = early->softirqs;
    c->flush_stamp = early->flush_stamp;
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "push $0\n\t"
                     "jmp *%1"
                     :
                     : "r"(c), "r"(go_on)
                     : "memory");
    __builtin_unreachable();
}
