/* SPDX-License-Identifier: MIT */
/*
 * A paravirtual vCPU's state, told to the toolstack and taken from it: the
 * other side of pv_context_set(), and what does not fit into that context.
 * The vCPU is paused; addresses of page tables and descriptors are machine
 * frames, which whoever restores the state exchanges.
 */
#include "pv/internal.h"

#include <xen/domctl.h>

#include "lib/string.h"
#include "mm/phys.h"
#include "x86/features.h"
#include "x86/fpu.h"
#include "x86/msr.h"
#include "x86/vectors.h"

#define MCG_BANKS 2u           /* machine-check banks that guests are told of */
#define CR0_SHOWN 0x80050033ul /* PG, AM, WP, NE, ET, MP, PE */

static uint64_t flags_of(const struct vcpu *v)
{
    return VGCF_i387_valid | (v->in_kernel ? VGCF_in_kernel : 0) |
           (v->is_online ? VGCF_online : 0) |
           (v->pv.failsafe.mask_events ? VGCF_failsafe_disables_events : 0) |
           (v->pv.syscall.mask_events ? VGCF_syscall_disables_events : 0);
}

static void get_registers(const struct vcpu *v, struct vcpu_guest_context *c)
{
    c->user_regs = v->regs;
    c->user_regs.entry_vector &= ~(uint32_t)VEC_BOUNCED;
    c->user_regs.rflags |= (uint64_t)v->pv.iopl << RFLAGS_IOPL_SHIFT;
    c->user_regs.ds = v->pv.ds;
    c->user_regs.es = v->pv.es;
    c->user_regs.fs = v->pv.fs;
    c->user_regs.gs = v->pv.gs;
    c->fs_base = v->pv.fs_base;
    c->gs_base_kernel = v->pv.gs_base_kernel;
    c->gs_base_user = v->pv.gs_base_user;
    c->kernel_ss = v->pv.kernel_ss;
    c->kernel_sp = v->pv.kernel_sp;
    for (unsigned int i = 0; i < ARRAY_SIZE(c->debugreg); i++) {
        c->debugreg[i] = v->pv.dr[i];
    }
}

static void get_tables(const struct vcpu *v, struct vcpu_guest_context *c)
{
    c->ldt_base = v->pv.ldt_base;
    c->ldt_ents = v->pv.ldt_entries;
    c->gdt_ents = v->pv.gdt_entries;
    for (uint32_t i = 0; i < (v->pv.gdt_entries + 511) / 512; i++) {
        c->gdt_frames[i] = v->pv.gdt_frames[i].n;
    }
    c->ctrlreg[0] = CR0_SHOWN | v->pv.cr0;
    c->ctrlreg[1] = v->pv.cr3_user == 0 ? 0 : xen_pfn_to_cr3(v->pv.cr3_user >> PAGE_SHIFT);
    c->ctrlreg[3] = xen_pfn_to_cr3(v->pv.cr3_kernel >> PAGE_SHIFT);
    c->ctrlreg[4] = cpu_features.cr4 | v->pv.cr4;
}

void pv_context_get(const struct vcpu *v, struct vcpu_guest_context *c)
{
    memset(c, 0, sizeof(*c));
    c->flags = flags_of(v);
    fpu_area_get_legacy(v->fpu, c->fpu_ctxt.x);
    get_registers(v, c);
    get_tables(v, c);
    memcpy(c->trap_ctxt, v->pv.traps, sizeof(c->trap_ctxt));
    c->event_callback_eip = v->pv.event.address;
    c->failsafe_callback_eip = v->pv.failsafe.address;
    c->syscall_callback_eip = v->pv.syscall.address;
    c->vm_assist = v->domain->vm_assist;
}

void pv_ext_context_get(const struct vcpu *v, struct xen_domctl_ext_vcpucontext *e)
{
    e->size = sizeof(*e);
    e->syscall32_callback_eip = v->pv.syscall32.address;
    e->syscall32_disables_events = v->pv.syscall32.mask_events;
    e->sysenter_callback_eip = v->pv.sysenter.address;
    e->sysenter_disables_events = v->pv.sysenter.mask_events;
    e->syscall32_callback_cs = e->sysenter_callback_cs = 0; /* those of 64-bit kernels are fixed */
    memset(&e->vmce, 0, sizeof(e->vmce));
    e->vmce.caps = MCG_BANKS;
}

int pv_ext_context_set(struct vcpu *v, const struct xen_domctl_ext_vcpucontext *e)
{
    if (e->size < offsetof(struct xen_domctl_ext_vcpucontext, mcg_cap) ||
        !pv_address_ok(e->syscall32_callback_eip) || !pv_address_ok(e->sysenter_callback_eip)) {
        return -EINVAL;
    }
    v->pv.syscall32 =
        (struct pv_callback){ e->syscall32_callback_eip, e->syscall32_disables_events != 0 };
    v->pv.sysenter =
        (struct pv_callback){ e->sysenter_callback_eip, e->sysenter_disables_events != 0 };
    return 0;
}

/* ------------------------------------------------------------------ FPU -- */

uint64_t pv_xstate_components(const struct vcpu *v)
{
    return v->pv.xcr0 == 0 ? 0 : v->pv.xcr0 | fpu_area_components(v->fpu);
}

int pv_xstate_set(struct vcpu *v, const struct pv_xstate *x)
{
    if (!fpu_xcr0_is_valid(x->xcr0) || !fpu_xcr0_is_valid(x->xcr0_accum) ||
        (x->xcr0 & ~x->xcr0_accum) || (x->xcr0 & ~pv_cpuid_xcr0(v))) {
        return -EINVAL;
    }
    if (x->bytes < fpu_bytes_of(x->xcr0_accum) ||
        fpu_area_set(v->fpu, x->area, fpu_bytes_of(x->xcr0_accum), x->xcr0_accum) != 0) {
        return -EINVAL;
    }
    v->pv.xcr0 = x->xcr0;
    return 0;
}

/* ----------------------------------------------------------------- MSRs -- */

uint32_t pv_msrs_get(const struct vcpu *v, struct xen_domctl_vcpu_msr *msrs)
{
    if (!cpu_has(FEATURE_RDTSCP) || v->pv.tsc_aux == 0) {
        return 0;
    }
    msrs[0] = (struct xen_domctl_vcpu_msr){ .index = MSR_TSC_AUX, .value = v->pv.tsc_aux };
    return 1;
}

int pv_msr_set(struct vcpu *v, const struct xen_domctl_vcpu_msr *m)
{
    if (m->reserved != 0) {
        return -EINVAL;
    }
    if (m->index == MSR_TSC_AUX && cpu_has(FEATURE_RDTSCP) && m->value == (uint32_t)m->value) {
        v->pv.tsc_aux = (uint32_t)m->value;
        return 0;
    }
    /* What guests are not shown can only be as it is at a processor's start. */
    return m->value == 0 && (m->index == MSR_SPEC_CTRL || m->index == MSR_MISC_FEATURES) ? 0
                                                                                         : -EINVAL;
}
