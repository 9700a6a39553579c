/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts, sorted.
 *
 * From a guest: exceptions go to pv/, which knows what guests may do.  From
 * our own code: an exception is either foreseen, at an instruction listed in
 * the extable, or the end.  Interrupts come from guests, and from our own code
 * where it opens a window for them.
 */
#include "x86/entry.h"

#include "abi/xen.h"
#include "sys/cpu.h"
#include "sys/image.h"
#include "sys/log.h"
#include "sys/panic.h"
#include "x86/guest_state.h"
#include "x86/insn.h"
#include "x86/lapic.h"
#include "x86/mcheck.h"
#include "x86/regs.h"
#include "x86/smp.h"
#include "x86/vectors.h"

extern const char entry_iret_failed[];

static const char *const exception_names[32] = {
    [VEC_DE] = "divide error",
    [VEC_DB] = "debug",
    [VEC_NMI] = "NMI",
    [VEC_BP] = "breakpoint",
    [VEC_OF] = "overflow",
    [VEC_BR] = "bound range",
    [VEC_UD] = "invalid opcode",
    [VEC_NM] = "no FPU",
    [VEC_DF] = "double fault",
    [VEC_TS] = "invalid TSS",
    [VEC_NP] = "segment not present",
    [VEC_SS] = "stack segment",
    [VEC_GP] = "general protection",
    [VEC_PF] = "page fault",
    [VEC_MF] = "FPU error",
    [VEC_AC] = "alignment",
    [VEC_MC] = "machine check",
    [VEC_XM] = "SIMD error",
};

static void own_timer(void)
{
    lapic_eoi();
    trap_irq_ops.timer();
}

static void own_flush(void)
{
    lapic_eoi();
    cpu_poll_requests();
}

/* The interrupt itself is what was wanted. */
static void own_poke(void)
{
    lapic_eoi();
    this_cpu()->is_poked = true;
}

static void own_lapic_error(void)
{
    lapic_report_error();
    lapic_eoi();
}

/* Not acknowledged: that is what makes an interrupt spurious. */
static void own_spurious(void)
{
}

static void (*const own_interrupts[256 - VEC_OWN_FIRST])(void) = {
    [VEC_TIMER - VEC_OWN_FIRST] = own_timer,
    [VEC_FLUSH - VEC_OWN_FIRST] = own_flush,
    [VEC_POKE - VEC_OWN_FIRST] = own_poke,
    [VEC_LAPIC_ERROR - VEC_OWN_FIRST] = own_lapic_error,
    [VEC_SPURIOUS - VEC_OWN_FIRST] = own_spurious,
};

static void interrupt(unsigned int vector)
{
    void (*fn)(void);

    if (vector < VEC_OWN_FIRST) {
        trap_irq_ops.device(vector);
        return;
    }
    fn = own_interrupts[vector - VEC_OWN_FIRST];
    if (fn != NULL) {
        fn();
    } else {
        log_warn("Interrupt %#x, which nobody asked for.", vector);
        lapic_eoi();
    }
}

void trap_from_guest(struct vcpu *v)
{
    unsigned int vector = vcpu_frame(v)->entry_vector;

    if (vector == VEC_NMI) {
        mcheck_nmi(vcpu_frame(v));
    } else if (vector == VEC_MC) {
        mcheck_exception(vcpu_frame(v));
    } else if (vector < 32 || vector == VEC_INT80) {
        pv_exception(v);
    } else {
        interrupt(vector);
    }
}

/* Where to go on after a fault at @rip; 0: not foreseen.  Seldom enough for a linear search. */
static uint64_t find_fixup(uint64_t rip)
{
    for (const int32_t *e = __extable_start; e < __extable_end; e += 2) {
        if ((uintptr_t)&e[0] + (uint64_t)(int64_t)e[0] == rip) {
            return (uintptr_t)&e[1] + (uint64_t)(int64_t)e[1];
        }
    }
    return 0;
}

static noreturn void die(const struct cpu_user_regs *regs)
{
    const char *name = regs->entry_vector < 32 ? exception_names[regs->entry_vector] : NULL;

    panic_at(regs, "the hypervisor's own code does not fault: %s, error code %#x",
             name != NULL ? name : "unknown exception", regs->error_code);
}

void trap_from_hv(struct cpu_user_regs *regs)
{
    uint64_t fixup;

    if (regs->entry_vector >= 32) {
        /* A device's may have an event for the very vCPU whose long work opened the window. */
        this_cpu()->is_poked |= regs->entry_vector < VEC_OWN_FIRST;
        interrupt(regs->entry_vector);
        return;
    }
    if (regs->rip == (uintptr_t)entry_iret) {
        regs->rip = (uintptr_t)entry_iret_failed;
        regs->rsi = regs->entry_vector;
        regs->rdx = regs->error_code;
        return;
    }
    fixup = find_fixup(regs->rip);
    if (fixup == 0) {
        die(regs);
    }
    if (regs->entry_vector == VEC_PF &&
        (regs->error_code & (PFEC_PRESENT | PFEC_WRITE)) == (PFEC_PRESENT | PFEC_WRITE) &&
        pv_fault_in_hv(read_cr2())) {
        return;
    }
    regs->rip = fixup;
}

/*
 * In ring 0 a #DB can only be one that a guest prepared: SYSCALL right behind
 * a load of SS that hit a breakpoint, SYSENTER with TF set, or a breakpoint on
 * data that we copy for it.  It is lost.
 */
static void debug_in_hv(struct cpu_user_regs *regs)
{
    regs->rflags &= ~(uint64_t)RFLAGS_TF;
    write_dr6(DR6_DEFAULT);
}

void trap_ist(struct cpu_user_regs *regs)
{
    switch (regs->entry_vector) {
    case VEC_NMI:
        this_cpu()->in_nmi++;
        mcheck_nmi(regs);
        this_cpu()->in_nmi--;
        break;
    case VEC_MC:
        mcheck_exception(regs);
        break;
    case VEC_DB:
        debug_in_hv(regs);
        break;
    default:
        die(regs);
    }
}
