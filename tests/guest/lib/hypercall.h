/* SPDX-License-Identifier: MIT */
/* Hypercalls, as the `syscall` instruction of guest kernel mode. */
#pragma once

#include "guest.h"

#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

static inline long hypercall(long nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                             uint64_t a5)
{
    register uint64_t r10 __asm__("r10") = a4;
    register uint64_t r8 __asm__("r8") = a5;
    long ret = nr;

    __asm__ volatile("syscall"
                     : "+a"(ret), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     :
                     : "rcx", "r11", "memory");
    return ret;
}

#define hypercall1(nr, a)       hypercall((nr), (uint64_t)(a), 0, 0, 0, 0)
#define hypercall2(nr, a, b)    hypercall((nr), (uint64_t)(a), (uint64_t)(b), 0, 0, 0)
#define hypercall3(nr, a, b, c) hypercall((nr), (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0)
#define hypercall4(nr, a, b, c, d)                                                                 \
    hypercall((nr), (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0)

#define hyper_version(cmd, arg)       hypercall2(__HYPERVISOR_xen_version, cmd, arg)
#define hyper_console(cmd, n, buf)    hypercall3(__HYPERVISOR_console_io, cmd, n, buf)
#define hyper_sched(cmd, arg)         hypercall2(__HYPERVISOR_sched_op, cmd, arg)
#define hyper_event(cmd, arg)         hypercall2(__HYPERVISOR_event_channel_op, cmd, arg)
#define hyper_vcpu(cmd, id, arg)      hypercall3(__HYPERVISOR_vcpu_op, cmd, id, arg)
#define hyper_memory(cmd, arg)        hypercall2(__HYPERVISOR_memory_op, cmd, arg)
#define hyper_physdev(cmd, arg)       hypercall2(__HYPERVISOR_physdev_op, cmd, arg)
#define hyper_callback(cmd, arg)      hypercall2(__HYPERVISOR_callback_op, cmd, arg)
#define hyper_trap_table(table)       hypercall1(__HYPERVISOR_set_trap_table, table)
#define hyper_stack_switch(ss, sp)    hypercall2(__HYPERVISOR_stack_switch, ss, sp)
#define hyper_segment_base(which, v)  hypercall2(__HYPERVISOR_set_segment_base, which, v)
#define hyper_update_va(va, pte, fl)  hypercall3(__HYPERVISOR_update_va_mapping, va, pte, fl)
#define hyper_mmu_update(r, n, done)  hypercall4(__HYPERVISOR_mmu_update, r, n, done, DOMID_SELF)
#define hyper_mmuext(ops, n, done)    hypercall4(__HYPERVISOR_mmuext_op, ops, n, done, DOMID_SELF)
#define hyper_multicall(calls, n)     hypercall2(__HYPERVISOR_multicall, calls, n)
#define hyper_set_gdt(frames, n)      hypercall2(__HYPERVISOR_set_gdt, frames, n)
#define hyper_update_descriptor(a, d) hypercall2(__HYPERVISOR_update_descriptor, a, d)
#define hyper_vm_assist(cmd, type)    hypercall2(__HYPERVISOR_vm_assist, cmd, type)
#define hyper_set_debugreg(reg, v)    hypercall2(__HYPERVISOR_set_debugreg, reg, v)
#define hyper_get_debugreg(reg)       hypercall1(__HYPERVISOR_get_debugreg, reg)
#define hyper_fpu_taskswitch(set)     hypercall1(__HYPERVISOR_fpu_taskswitch, set)

/* One mmuext_op of two operands. */
static inline long mmuext(unsigned int cmd, uint64_t arg1, uint64_t arg2)
{
    struct mmuext_op op = { .cmd = cmd,
                            .arg1.linear_addr = arg1,
                            .arg2.nr_ents = (unsigned int)arg2 };

    return hyper_mmuext(&op, 1, NULL);
}

/* One entry of a page table; @machine: of the entry, with the kind of update in its low bits. */
static inline long mmu_update(uint64_t machine, uint64_t value)
{
    struct mmu_update request = { .ptr = machine, .val = value };

    return hyper_mmu_update(&request, 1, NULL);
}
