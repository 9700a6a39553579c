/* SPDX-License-Identifier: MIT */
/*
 * The way into the hypervisor and out again (entry.S, trap.c).
 *
 * From a guest, hardware and entry.S fill vcpu->regs; the stack is then the
 * CPU's own, empty, and one of the functions below runs.  When it returns, the
 * way out does what is asked for (softirqs, exit work, event upcall) and
 * leaves to this_cpu()->curr with what is in its regs by then.
 *
 * regs.entry_vector is the vector, or VEC_SYSCALL, VEC_SYSENTER.  Whoever
 * wants the frame to be left by SYSRET stores VEC_SYSCALL there; it is a
 * permission only, as odd frames go by IRET all the same.
 */
#pragma once

#include "lib/compiler.h"
#include "lib/types.h"

struct cpu_user_regs;
struct vcpu;

/* Forget this stack and go on with what this CPU's current vCPU has to do. */
noreturn void resume_curr(void);

/* The register frame of @v, at the place that entry.S knows. */
static inline struct cpu_user_regs *vcpu_frame(struct vcpu *v)
{
    return (struct cpu_user_regs *)((char *)v + 8);
}

/* From entry.S: an interrupt, NMI, #MC or #DB came in ring 3; anything in ring 0; on an IST stack
 * there. */
void trap_from_guest(struct vcpu *v);
void trap_from_hv(struct cpu_user_regs *regs);
void trap_ist(struct cpu_user_regs *regs);

/* The IDT's 256 targets, and the stubs' one. */
extern const uint8_t entry_stubs[][16];
extern const char entry_syscall[], entry_sysenter[], entry_iret[];

/*
 * What the layers above do.  entry.S itself calls hypercall_table[]
 * (hcall/hcall.h), pv_syscall_from_user(), pv_sysenter_from_user(),
 * pv_deliver_upcall(), pv_exit_slow(), pv_iret_fault() (pv/pv.h), softirq_run()
 * and sched_idle_loop().  pv/ also supplies:
 */

/* From entry.S and trap_from_guest(): the guest's exception, any below 0x20 but NMI and #MC, or
 * VEC_INT80. */
void pv_exception(struct vcpu *v);

/* We could not write to a guest's memory at @va, mapped read-only, for the current vCPU.  True: it
 * may be tried again. */
bool pv_fault_in_hv(uint64_t va);

/* An NMI that is not ours.  May run in the middle of anything: lock and print nothing. */
void pv_nmi(void);

/* irq/ and time/ through main.c: */
struct trap_irq_ops {
    void (*device)(unsigned int vector); /* a device's interrupt; acknowledges it by lapic_eoi() */
    void (*timer)(void);                 /* the local timer fired; acknowledged already */
};
extern const struct trap_irq_ops trap_irq_ops;
