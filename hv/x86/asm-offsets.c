/* SPDX-License-Identifier: MIT */
/*
 * Offsets and sizes that the assembly needs, told by the compiler.  Each line
 * below becomes a #define of asm-offsets.h; this file is never linked.
 */
#include <stddef.h>

#include "abi/xen.h"
#include "domain/vcpu.h"
#include "hcall/hcall.h"
#include "sys/cpu.h"

#include <xen/arch-x86/hvm/start_info.h>

#define VALUE(name, value)            __asm__ volatile(".ascii \"@" #name " %c0@\"" ::"i"((long)(value)))
#define OFFSET(name, struct_, member) VALUE(name, offsetof(struct struct_, member))

#define REGS(member) OFFSET(REGS_##member, cpu_user_regs, member)

void asm_offsets(void);
void asm_offsets(void)
{
    VALUE(CPU_BLOCK_BYTES, CPU_BLOCK_SIZE);
    VALUE(CPU_BYTES, sizeof(struct cpu));
    VALUE(PVH_MAGIC, XEN_HVM_START_MAGIC_VALUE);
    VALUE(REGS_BYTES, sizeof(struct cpu_user_regs));
    VALUE(ERRNO_ENOSYS, ENOSYS);
    VALUE(HYPERCALL_TABLE_LEN, HYPERCALL_MAX);
    VALUE(FLAT_KERNEL_CS, FLAT_KERNEL_CS);
    VALUE(FLAT_USER_CS32, FLAT_USER_CS32);
    REGS(r15);
    REGS(r14);
    REGS(r13);
    REGS(r12);
    REGS(rbp);
    REGS(rbx);
    REGS(r11);
    REGS(r10);
    REGS(r9);
    REGS(r8);
    REGS(rax);
    REGS(rcx);
    REGS(rdx);
    REGS(rsi);
    REGS(rdi);
    REGS(error_code);
    REGS(entry_vector);
    REGS(rip);
    REGS(cs);
    REGS(rflags);
    REGS(rsp);
    REGS(ss);
    REGS(es);
    OFFSET(CPU_curr, cpu, curr);
    OFFSET(CPU_softirqs, cpu, softirqs);
    OFFSET(VCPU_regs, vcpu, regs);
    OFFSET(VCPU_exit_work, vcpu, exit_work);
    OFFSET(VCPU_in_kernel, vcpu, in_kernel);
    OFFSET(VCPU_is_idle, vcpu, is_idle);
    OFFSET(VCPU_info, vcpu, info);
}
