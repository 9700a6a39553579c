/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers as PV guests see them: segment bases are theirs,
 * a few describe the processor, all others do not exist (#GP; a kernel that
 * has no handler for that yet gets 0).
 */
#include "pv/internal.h"

#include "x86/features.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/regs.h"
#include "x86/safe.h"

#define MSR_AMD_PERF_FIRST 0xc0010000u /* selectors and counters, eight in a row */
#define EFER_SHOWN         (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define APIC_BASE_SHOWN    0xfee00800ul /* enabled, at the usual place */

/* Registers that read as the processor's own for whoever asks: nothing in them is secret or
 * changes. */
static const uint32_t passed_through[] = {
    MSR_PLATFORM_ID,
    MSR_UCODE_REV,
    MSR_PAT,
};

/* Registers that exist and are empty: no machine-check banks, no counters, no features to choose.
 */
static bool reads_zero(uint32_t msr)
{
    return msr == MSR_MCG_CAP || msr == MSR_MCG_STATUS || msr == MSR_MTRR_CAP ||
           (msr >= MSR_AMD_PERF_FIRST && msr < MSR_AMD_PERF_FIRST + 8) || msr == MSR_TSC_ADJUST ||
           msr == MSR_MISC_FEATURES || msr == MSR_PLATFORM_INFO || msr == MSR_AMD_HWCR ||
           msr == MSR_AMD_SYSCFG || msr == MSR_AMD_DE_CFG;
}

/* Does the guest's kernel handle #GP yet? */
static int no_such_register(struct emul_ctxt *c, uint64_t *val)
{
    const struct vcpu *v = c->opaque;

    if (v->pv.traps[VEC_GP].address == 0) {
        *val = 0;
        return EMUL_OK;
    }
    return emul_fault(c, VEC_GP, 0);
}

int pv_read_msr(struct emul_ctxt *c, uint32_t msr, uint64_t *val)
{
    const struct vcpu *v = c->opaque;

    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        *val = rdmsr(msr);
        return EMUL_OK;
    case MSR_EFER:
        *val = rdmsr(MSR_EFER) & EFER_SHOWN;
        return EMUL_OK;
    case MSR_APIC_BASE:
        *val = APIC_BASE_SHOWN | (v->id == 0 ? APIC_BASE_BSP : 0);
        return EMUL_OK;
    case MSR_TSC:
        *val = rdtsc();
        return EMUL_OK;
    default:
        break;
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(passed_through); i++) {
        if (msr == passed_through[i] && msr_read_safe(msr, val) == 0) {
            return EMUL_OK;
        }
    }
    if (reads_zero(msr)) {
        *val = 0;
        return EMUL_OK;
    }
    return no_such_register(c, val);
}

int pv_write_msr(struct emul_ctxt *c, uint32_t msr, uint64_t val)
{
    uint64_t now;

    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        if (!pv_address_ok(val)) {
            return emul_fault(c, VEC_GP, 0);
        }
        wrmsr(msr, val);
        return EMUL_OK;
    default:
        break;
    }
    /* What changes nothing is no offence. */
    if (pv_read_msr(c, msr, &now) == EMUL_OK) {
        return EMUL_OK;
    }
    return no_such_register(c, &now);
}
