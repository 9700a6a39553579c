/* SPDX-License-Identifier: MIT */
/*
 * Paravirtual processors: how a guest kernel in ring 3 gets its traps, events
 * and system calls, and how its privileged instructions are done for it.
 *
 * A PV vCPU is in guest-kernel or guest-user mode; each mode has a page table
 * and a GS base of its own.  Everything that goes to the guest kernel is a
 * "bounce": a frame on its stack and a jump to the handler it registered.
 */
#pragma once

#include "domain/domain.h"

struct xen_domctl_ext_vcpucontext;
struct xen_domctl_vcpu_msr;

extern const struct domain_part pv_part;

/* What HYPERVISOR_vm_assist and a first context may turn on. */
#define PV_VM_ASSISTS                                                                              \
    (1u << VMASST_TYPE_4gb_segments | 1u << VMASST_TYPE_4gb_segments_notify |                      \
     1u << VMASST_TYPE_writable_pagetables | 1u << VMASST_TYPE_pae_extended_cr3 |                  \
     1u << VMASST_TYPE_architectural_iopl | 1u << VMASST_TYPE_runstate_update_flag)

/* ----- called by x86/entry.S; interrupts off, on the CPU's stack, v is current ----- */

/* The guest's exceptions: pv_exception(), x86/entry.h.  v->regs has it. */
/* SYSCALL in guest-user mode. */
void pv_syscall_from_user(struct vcpu *v);
/* SYSENTER, always from guest-user mode as far as the guest is concerned. */
void pv_sysenter_from_user(struct vcpu *v);
/* An event waits and is not masked: enter the event callback. */
void pv_deliver_upcall(struct vcpu *v);
/* v->exit_work is not 0. */
void pv_exit_slow(struct vcpu *v);
/*
 * The IRET to the guest faulted: the exception is the guest's, at the instruction returned to.  A
 * frame by which the guest's kernel was to be entered ends the domain: the next one would fault
 * too.
 */
void pv_iret_fault(struct vcpu *v, unsigned int vector, uint32_t error);

/* ----- for sched_host_ops ----- */
void pv_leave(struct sched_unit *u);
void pv_enter(struct sched_unit *u);

/* ----- for softirq_handlers ----- */
/* The machine raised an NMI: dom0's first vCPU gets it. */
void pv_nmi_softirq(void);

/* ----- for hcall/ ----- */

/* Change between guest-kernel and guest-user mode.  False: no user page table; the domain is
 * crashed. */
bool pv_toggle_mode(struct vcpu *v);

/* The iret hypercall; the value for the guest's rax. */
long pv_iret(struct vcpu *v);

/* An NMI for @v, running or not. */
void pv_send_nmi(struct vcpu *v);

/* Deliver exception @vector to @v, which is current, through its trap table. */
void pv_inject(struct vcpu *v, unsigned int vector, uint32_t error);
/* A page fault at @cr2. */
void pv_inject_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error);

/* HYPERVISOR_set_segment_base.  -EINVAL: not canonical, or ours; selectors never fail. */
int must_check pv_set_segment_base(struct vcpu *v, unsigned int which, uint64_t value);

/*
 * HYPERVISOR_set_debugreg.  -ENODEV: no such register; -EPERM: an address of
 * ours, I/O or general detection; -EINVAL: bits above 31 of DR6 or DR7.
 */
int must_check pv_set_debugreg(struct vcpu *v, unsigned int reg, uint64_t value);

/* What CPUID answers @v. */
void pv_cpuid_of(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

/* What a vCPU's FPU, XCR0 and debug registers hold when its first context is set. */
void pv_reset_registers(struct vcpu *v);

/* State components that @v may switch on: those of the features that CPUID shows it; 0: none. */
uint64_t pv_cpuid_xcr0(const struct vcpu *v);

/* The words of features, in the order of <xen/arch-x86/cpufeatureset.h>, and where CPUID has them;
 * leaf 0: an MSR, which no guest sees. */
#define PV_CPUID_WORDS 19u
struct pv_cpuid_word {
    uint32_t leaf, subleaf;
    uint8_t reg;
};
extern const struct pv_cpuid_word pv_cpuid_words[PV_CPUID_WORDS];

/*
 * Show @d's vCPUs no features beyond those in @regs, what CPUID may answer for
 * @leaf and @subleaf.  Before they run.  -ENOMEM.
 */
int must_check pv_cpuid_limit(struct domain *d, uint32_t leaf, uint32_t subleaf,
                              const uint32_t regs[4]);

/* HYPERVISOR_fpu_taskswitch: virtual CR0.TS. */
void pv_set_ts(struct vcpu *v, bool is_set);

/*
 * Move @v's vcpu_info to @offset of its domain's frame @mfn, for good.
 * -ENXIO: over the page's end.  -EINVAL: done before, not its frame, in use as
 * a table, not aligned, or @v is online and not the caller.
 */
int must_check pv_register_vcpu_info(struct vcpu *v, mfn_t mfn, uint32_t offset);

/*
 * Give @v, which does not run, the processor state @c.  -EINVAL: a handler or a callback that is
 * not canonical or is the hypervisor's; another address that is not canonical.  As mmu.h for its
 * page tables and GDT.
 */
int must_check pv_context_set(struct vcpu *v, const struct vcpu_guest_context *c);

/* Tell @v's state, which does not run, as pv_context_set() takes it. */
void pv_context_get(const struct vcpu *v, struct vcpu_guest_context *c);

/* What is beyond that: entries for system calls of 32-bit code.  -EINVAL: no such address. */
void pv_ext_context_get(const struct vcpu *v, struct xen_domctl_ext_vcpucontext *e);
int must_check pv_ext_context_set(struct vcpu *v, const struct xen_domctl_ext_vcpucontext *e);

/* FPU state beyond the 512 bytes in the context. */
struct pv_xstate {
    uint64_t xcr0;
    uint64_t xcr0_accum; /* components that @area has room for */
    const void *area;    /* of @bytes, in the standard form of XSAVE */
    size_t bytes;
};
/* xcr0_accum for @v's area; 0: there is no XSAVE here. */
uint64_t pv_xstate_components(const struct vcpu *v);
/* -EINVAL: components that this machine lacks, or an XCR0 that CPUID does not show @v; or not their
 * size or form. */
int must_check pv_xstate_set(struct vcpu *v, const struct pv_xstate *x);

/* MSRs that are not as at a processor's start, at most PV_MSRS_MAX; returns how many. */
#define PV_MSRS_MAX 7u
uint32_t pv_msrs_get(const struct vcpu *v, struct xen_domctl_vcpu_msr *msrs);
/* -EINVAL: none that is kept for guests, or not its value. */
int must_check pv_msr_set(struct vcpu *v, const struct xen_domctl_vcpu_msr *m);

/* A selector as the guest may load it: RPL 3, null stays null. */
static inline uint64_t pv_fix_selector(uint64_t sel)
{
    return (sel & 0xfffc) == 0 ? 0 : (sel & 0xffff) | 3;
}

/* Is @va outside the hypervisor's range and canonical? */
static inline bool pv_address_ok(uint64_t va)
{
    return va < 0x0000800000000000ul || va >= HYPERVISOR_VIRT_END;
}

/* Are bits 47 to 63 of @va equal? */
static inline bool pv_address_canonical(uint64_t va)
{
    return va < 0x0000800000000000ul || va >= HYPERVISOR_VIRT_START;
}
