/* SPDX-License-Identifier: MIT */
/*
 * Offsets and sizes that the assembly needs, told by the compiler.  Each line
 * below becomes a #define of asm-offsets.h; this file is never linked.
 */
#include <stddef.h>

#include "abi/xen.h"
#include "sys/cpu.h"

#include <xen/arch-x86/hvm/start_info.h>

#define VALUE(name, value)            __asm__ volatile(".ascii \"@" #name " %c0@\"" ::"i"((long)(value)))
#define OFFSET(name, struct_, member) VALUE(name, offsetof(struct struct_, member))

void asm_offsets(void);
void asm_offsets(void)
{
    VALUE(CPU_BLOCK_BYTES, CPU_BLOCK_SIZE);
    VALUE(CPU_BYTES, sizeof(struct cpu));
    VALUE(PVH_MAGIC, XEN_HVM_START_MAGIC_VALUE);
    VALUE(REGS_BYTES, sizeof(struct cpu_user_regs));
}
