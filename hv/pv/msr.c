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

#define MSR_AMD_PERF_FIRST     0xc0010000u /* selectors and counters, eight in a row */
#define MSR_AMD_PERF_LAST      0xc0010007u
#define MSR_AMD_NB_CFG         0xc001001fu
#define MSR_AMD_PSTATE_LIMIT   0xc0010061u /* then control, status, state 0 */
#define MSR_AMD_PSTATE0        0xc0010064u
#define MSR_AMD_PERF_EXT_FIRST 0xc0010200u
#define MSR_AMD_PERF_EXT_LAST  0xc001020bu
#define EFER_SHOWN             (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define APIC_BASE_SHOWN        0xfee00800ul /* enabled, at the usual place */

enum write {
    REFUSED,
    ONLY_SAME,
    ONLY_ZERO,
    IGNORED
};

/*
 * Registers that describe the processor: the real value, where nothing in it is
 * secret or changes, or zero, for no machine-check banks, no counters, no
 * features to choose.  Kernels write some of them as if they were theirs.
 */
static const struct shown_msr {
    uint32_t first, last;
    enum cpu_vendor vendor; /* VENDOR_OTHER: any */
    bool is_real;
    enum write write;
} shown[] = {
    { MSR_PLATFORM_ID, MSR_PLATFORM_ID, VENDOR_INTEL, true, REFUSED },
    /* Intel wants it cleared before it is read (SDM vol. 3, microcode update facilities). */
    { MSR_UCODE_REV, MSR_UCODE_REV, VENDOR_INTEL, true, ONLY_ZERO },
    { MSR_UCODE_REV, MSR_UCODE_REV, VENDOR_OTHER, true, REFUSED },
    { MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, VENDOR_OTHER, false, REFUSED },
    { MSR_MISC_FEATURES, MSR_MISC_FEATURES, VENDOR_OTHER, false, ONLY_SAME },
    { MSR_MCG_CAP, MSR_MCG_STATUS, VENDOR_OTHER, false, IGNORED },
    { MSR_MISC_ENABLE, MSR_MISC_ENABLE, VENDOR_OTHER, true, IGNORED },
    { MSR_PAT, MSR_PAT, VENDOR_OTHER, true, REFUSED },
    { MSR_AMD_PERF_FIRST, MSR_AMD_PERF_LAST, VENDOR_AMD, false, IGNORED },
    { MSR_AMD_SYSCFG, MSR_AMD_SYSCFG, VENDOR_AMD, false, REFUSED },
    { MSR_AMD_HWCR, MSR_AMD_HWCR, VENDOR_AMD, false, IGNORED },
    { MSR_AMD_NB_CFG, MSR_AMD_NB_CFG, VENDOR_AMD, false, IGNORED },
    { MSR_AMD_PSTATE_LIMIT, MSR_AMD_PSTATE0, VENDOR_AMD, false, IGNORED },
    { MSR_AMD_PERF_EXT_FIRST, MSR_AMD_PERF_EXT_LAST, VENDOR_AMD, false, IGNORED },
    { MSR_AMD_DE_CFG, MSR_AMD_DE_CFG, VENDOR_AMD, false, IGNORED },
};

static const struct shown_msr *find_shown(uint32_t msr)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(shown); i++) {
        if (msr >= shown[i].first && msr <= shown[i].last &&
            (shown[i].vendor == VENDOR_OTHER || shown[i].vendor == cpu_features.vendor)) {
            return &shown[i];
        }
    }
    return NULL;
}

/* Does the guest's kernel handle #GP yet, and want it? */
static int no_such_register(struct emul_ctxt *c, uint64_t *val)
{
    const struct vcpu *v = c->opaque;

    if (v->pv.traps[VEC_GP].address == 0 || v->domain->is_msr_relaxed) {
        *val = 0;
        return EMUL_OK;
    }
    return emul_fault(c, VEC_GP, 0);
}

int pv_read_msr(struct emul_ctxt *c, uint32_t msr, uint64_t *val)
{
    const struct vcpu *v = c->opaque;
    const struct shown_msr *known;

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
        *val = v->domain->is_tsc_emulated ? domain_read_tsc(v->domain) : rdtsc();
        return EMUL_OK;
    case MSR_TSC_AUX:
        if (!cpu_has(FEATURE_RDTSCP)) {
            break;
        }
        *val = v->pv.tsc_aux;
        return EMUL_OK;
    default:
        break;
    }
    known = find_shown(msr);
    *val = 0;
    if (known != NULL && (!known->is_real || msr_read_safe(msr, val) == 0)) {
        return EMUL_OK;
    }
    return no_such_register(c, val);
}

/* May the register be written with what it reads as? */
static enum write write_of(uint32_t msr)
{
    const struct shown_msr *known = find_shown(msr);

    return known != NULL ? known->write : msr == MSR_EFER ? ONLY_SAME : REFUSED;
}

int pv_write_msr(struct emul_ctxt *c, uint32_t msr, uint64_t val)
{
    enum write write = write_of(msr);
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
    case MSR_TSC_AUX:
        if (!cpu_has(FEATURE_RDTSCP) || val != (uint32_t)val) {
            break;
        }
        pv_set_tsc_aux(c->opaque, (uint32_t)val);
        return EMUL_OK;
    default:
        break;
    }
    if (write == IGNORED || (write == ONLY_ZERO && val == 0) ||
        (write == ONLY_SAME && pv_read_msr(c, msr, &now) == EMUL_OK && now == val)) {
        return EMUL_OK;
    }
    return no_such_register(c, &now);
}
