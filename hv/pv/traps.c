/* SPDX-License-Identifier: MIT */
/*
 * Exceptions of a PV guest: they go to the guest's own handlers, after those
 * that are ours have been sorted out:
 *
 *   #PF  on the CPU's LDT window: map the page of the guest's LDT
 *        on a read-only mapping of a page table: emulate the write
 *   #GP  by INT n: the guest's software interrupt
 *        by a privileged instruction: emulate it
 *   #UD  by the forced-emulation prefix: emulate CPUID
 */
#include "pv/internal.h"

#include "event/event.h"
#include "pv/descriptors.h"
#include "pv/mmu.h"
#include "sys/softirq.h"
#include "x86/desc.h"
#include "x86/entry.h"
#include "x86/guest_state.h"
#include "x86/insn.h"
#include "x86/regs.h"
#include "x86/vectors.h"

#define GP_EXT           1u /* error code: an event outside the program */
#define GP_IDT           2u /* the selector is of the IDT */
#define PF_PRESENT_WRITE (PFEC_PRESENT | PFEC_WRITE)

static void reflect(struct vcpu *v)
{
    pv_inject(v, v->regs.entry_vector, v->regs.error_code);
}

static void trap_debug(struct vcpu *v)
{
    /* DR6 is sticky for the processor, and fresh for each exception here. */
    v->pv.dr[6] = (v->pv.dr[6] & ~0xful) | (read_dr6() & (DR6_BS | 0xf));
    write_dr6(DR6_DEFAULT);
    pv_inject(v, VEC_DB, 0);
}

static void trap_nm(struct vcpu *v)
{
    pv_set_ts(v, false);
    pv_inject(v, VEC_NM, 0);
}

static void trap_ud(struct vcpu *v)
{
    pv_emulate_ud(v);
}

/* May the guest do INT @vector where it is? */
static bool may_interrupt(const struct vcpu *v, unsigned int vector)
{
    const struct trap_info *t = &v->pv.traps[vector];

    return t->address != 0 && (v->in_kernel || TI_GET_DPL(t) == 3);
}

/* INT 0x80 has a gate of its own, being frequent; rip is behind it. */
static void trap_int80(struct vcpu *v)
{
    if (may_interrupt(v, VEC_INT80)) {
        pv_inject_software(v, VEC_INT80);
    } else {
        v->regs.rip -= 2;
        pv_inject(v, VEC_GP, VEC_INT80 << 3 | GP_IDT);
    }
}

static void trap_gp(struct vcpu *v)
{
    uint32_t error = v->regs.error_code;

    if (error == 0) {
        pv_emulate_priv(v, VEC_GP, 0);
    } else if ((error & (GP_IDT | GP_EXT)) == GP_IDT && may_interrupt(v, error >> 3 & 0xff)) {
        /* INT n through a gate of ours that ring 3 may not use: two bytes. */
        v->regs.rip += 2;
        pv_inject_software(v, error >> 3 & 0xff);
    } else {
        pv_inject(v, VEC_GP, error);
    }
}

bool pv_fault_in_hv(uint64_t va)
{
    return !current()->is_idle && mmu_log_fault(current(), this_cpu()->cr3, va);
}

static void trap_pf(struct vcpu *v)
{
    uint64_t addr = read_cr2();
    unsigned int page, offset;
    uint32_t error = v->regs.error_code;

    if (unlikely(addr >= HYPERVISOR_VIRT_START && addr < HYPERVISOR_VIRT_END)) {
        if (ldt_window_hit(addr, &page, &offset) && pv_map_ldt_page(v, page * PAGE_SIZE + offset)) {
            return;
        }
    } else if ((error & (PF_PRESENT_WRITE | PFEC_RESERVED)) == PF_PRESENT_WRITE && v->in_kernel &&
               (mmu_log_fault(v, this_cpu()->cr3, addr) || pv_emulate_pt_write(v, addr))) {
        return;
    }
    pv_inject_page_fault(v, addr, error & ~PFEC_RESERVED);
}

/* Those that are NULL cannot come from a guest: ours by IST, or not defined. */
static void (*const handlers[32])(struct vcpu *) = {
    [VEC_DE] = reflect, [VEC_DB] = trap_debug, [VEC_BP] = reflect, [VEC_OF] = reflect,
    [VEC_BR] = reflect, [VEC_UD] = trap_ud,    [VEC_NM] = trap_nm, [VEC_TS] = reflect,
    [VEC_NP] = reflect, [VEC_SS] = reflect,    [VEC_GP] = trap_gp, [VEC_PF] = trap_pf,
    [VEC_MF] = reflect, [VEC_AC] = reflect,    [VEC_XM] = reflect, [VEC_CP] = reflect,
};

void pv_exception(struct vcpu *v)
{
    unsigned int vector = v->regs.entry_vector;

    if (likely(vector == VEC_PF)) {
        trap_pf(v); /* the one whose speed matters */
    } else if (vector == VEC_INT80) {
        trap_int80(v);
    } else if (vector < ARRAY_SIZE(handlers) && handlers[vector] != NULL) {
        handlers[vector](v);
    } else {
        domain_crash(v->domain, "vCPU %u: exception %u at rip %#lx, which cannot be", v->id, vector,
                     v->regs.rip);
    }
}

/* A CPU on the point of halting sees it at its next interrupt: an NMI hurries nobody. */
void pv_nmi(void)
{
    softirq_raise(SOFTIRQ_NMI);
}

/* For the hardware domain to find out the reason, whoever ran when it came. */
void pv_nmi_softirq(void)
{
    struct domain *d = domain_get(0);

    if (d != NULL) {
        if (domain_vcpu(d, 0) != NULL) {
            pv_send_nmi(domain_vcpu(d, 0));
        }
        domain_put(d);
    }
}

void pv_send_nmi(struct vcpu *v)
{
    __atomic_fetch_or(&v->exit_work, EXIT_NMI, __ATOMIC_SEQ_CST);
    evtchn_kick(v);
}

/* Deliver one of those held back; it masks the others till the guest's next iret. */
static void deliver_held(struct vcpu *v)
{
    static const struct {
        uint32_t work;
        unsigned int vector;
    } kinds[] = { { EXIT_NMI, VEC_NMI }, { EXIT_MCE, VEC_MC } };

    for (unsigned int i = 0; i < ARRAY_SIZE(kinds) && !v->pv.nmi_masked; i++) {
        if (!(v->pv.held & kinds[i].work)) {
            continue;
        }
        v->pv.held &= ~kinds[i].work;
        if (v->pv.traps[kinds[i].vector].address != 0) {
            v->pv.nmi_masked = true;
            pv_inject(v, kinds[i].vector, 0);
        }
    }
}

/* The bits must go, or we should come here for ever: what is masked is held in the vCPU. */
void pv_exit_slow(struct vcpu *v)
{
    const uint32_t mine = EXIT_NMI | EXIT_MCE;

    v->pv.held |= __atomic_fetch_and(&v->exit_work, ~mine, __ATOMIC_SEQ_CST) & mine;
    deliver_held(v);
}
