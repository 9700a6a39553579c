/* SPDX-License-Identifier: MIT */
/* What this CPU can be told to do between guests: wait, switch, let interrupts in. */
#pragma once

#include "sys/cpu.h"
#include "x86/desc.h"
#include "x86/insn.h"

/*
 * Make the block, descriptors and per-CPU data of CPU @id: cpus[@id] is set.
 * -ENOMEM.  Boot CPU, while starting.
 */
int must_check cpu_create(unsigned int id, uint32_t apic_id);

/*
 * Set this CPU up, on its own block: descriptors, control registers, local
 * APIC, machine checks.  False: it cannot take part (the reason is logged).
 */
bool must_check cpu_init_this(void);

/* The boot CPU takes its own block, cpus[0], and goes on with @go_on. */
noreturn void cpu_leave_boot_stack(void (*go_on)(void));

/* Offset of the end of the hardware's part of the frame (regs.es) in struct vcpu. */
#define VCPU_FRAME_END 176ul

/* From now on entries fill @v's frame.  The caller has saved what was of the vCPU before. */
static inline void cpu_set_curr(struct vcpu *v)
{
    struct cpu *c = this_cpu();

    c->curr = v;
    c->tss->rsp0 = (uintptr_t)v + VCPU_FRAME_END;
}

/* Halt until an interrupt, unless a softirq is asked for already. */
static inline void cpu_idle_halt(void)
{
    if (READ_ONCE(this_cpu()->softirqs) == 0) {
        halt_for_interrupt();
    }
}

/* Stand still for ever. */
noreturn static inline void cpu_stop(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

/* Let waiting interrupts in.  No lock may be held. */
#ifdef MANSIO_HOST
void cpu_irq_window(void);
#else
static inline void cpu_irq_window(void)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
}
#endif
