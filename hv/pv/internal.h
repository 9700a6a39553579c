/* SPDX-License-Identifier: MIT */
/* What the files of pv/ share beyond pv.h and mmu.h. */
#pragma once

#include "emul/emul.h"
#include "pv/pv.h"
#include "x86/regs.h"

/* Enter the failsafe callback: a selector of v->pv's could not be loaded. */
void pv_failsafe(struct vcpu *v);

/* Deliver INT @vector, for which no error code is pushed. */
void pv_inject_software(struct vcpu *v, unsigned int vector);

/* Bits of CR4 that are a guest's own; load those of @v. */
#define PV_CR4_GUEST (CR4_TSD | CR4_DE)
void pv_load_cr4(const struct vcpu *v);

/* MSR_TSC_AUX of @v, which is current. */
void pv_set_tsc_aux(struct vcpu *v, uint32_t value);

/* Note the live data selectors in v->pv (v is current). */
void pv_segments_note(struct vcpu *v);

/* Do the instruction at rip for the guest, or give it @vector, which it raised. */
void pv_emulate_priv(struct vcpu *v, unsigned int vector, uint32_t error);
/* The same for #UD, which may be a forced CPUID. */
void pv_emulate_ud(struct vcpu *v);

/* The write at @addr hit one of the guest's page tables: do it.  False: it is a plain page fault.
 */
bool pv_emulate_pt_write(struct vcpu *v, uint64_t addr);

/* Ports (ports.c), MSRs (msr.c), CPUID (cpuid.c) for the emulator. */
int pv_read_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t *val);
int pv_write_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t val);
int pv_read_msr(struct emul_ctxt *c, uint32_t msr, uint64_t *val);
int pv_write_msr(struct emul_ctxt *c, uint32_t msr, uint64_t val);
int pv_cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
