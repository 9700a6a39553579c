/* SPDX-License-Identifier: MIT */
/*
 * CPUID as PV guests see it: what the processor says, less what a guest kernel
 * in ring 3 cannot use or must not believe, and the leaves of the guest ABI at
 * 0x40000000 (<xen/arch-x86/cpuid.h>).
 *
 * Which features any guest may see is marked by an A beside each in
 * <xen/arch-x86/cpufeatureset.h>; the masks below are those with that mark.
 */
#include "pv/internal.h"

#include <xen/arch-x86/cpuid.h>

#include "lib/string.h"
#include "mm/heap.h"
#include "time/time.h"
#include "x86/features.h"
#include "x86/fpu.h"
#include "x86/insn.h"
#include "x86/regs.h"

enum {
    A,
    B,
    C,
    D
};

#define XEN_CPUFEATURE(name, value) F_##name = (value),
enum {
#include <xen/arch-x86/cpufeatureset.h>
};
#define SHOW(name) (1u << (F_##name % 32))

static const uint32_t shown_1d = SHOW(FPU) | SHOW(DE) | SHOW(TSC) | SHOW(MSR) | SHOW(PAE) |
                                 SHOW(MCE) | SHOW(CX8) | SHOW(APIC) | SHOW(SEP) | SHOW(MCA) |
                                 SHOW(CMOV) | SHOW(PAT) | SHOW(CLFLUSH) | SHOW(ACPI) | SHOW(MMX) |
                                 SHOW(FXSR) | SHOW(SSE) | SHOW(SSE2) | SHOW(SS) | SHOW(HTT);
static const uint32_t shown_1c = SHOW(SSE3) | SHOW(PCLMULQDQ) | SHOW(SSSE3) | SHOW(FMA) |
                                 SHOW(CX16) | SHOW(SSE4_1) | SHOW(SSE4_2) | SHOW(MOVBE) |
                                 SHOW(POPCNT) | SHOW(AESNI) | SHOW(XSAVE) | SHOW(AVX) | SHOW(F16C) |
                                 SHOW(RDRAND);
static const uint32_t shown_e1d = SHOW(SYSCALL) | SHOW(NX) | SHOW(MMXEXT) | SHOW(FFXSR) |
                                  SHOW(RDTSCP) | SHOW(LM) | SHOW(3DNOWEXT) | SHOW(3DNOW);
static const uint32_t shown_e1c = SHOW(LAHF_LM) | SHOW(CMP_LEGACY) | SHOW(ABM) | SHOW(SSE4A) |
                                  SHOW(MISALIGNSSE) | SHOW(3DNOWPREFETCH) | SHOW(XOP) | SHOW(FMA4) |
                                  SHOW(TBM) | SHOW(DBEXT);
static const uint32_t shown_da1 = SHOW(XSAVEOPT) | SHOW(XSAVEC) | SHOW(XGETBV1);
static const uint32_t shown_7b0 =
    SHOW(FSGSBASE) | SHOW(BMI1) | SHOW(AVX2) | SHOW(BMI2) | SHOW(ERMS) | SHOW(RTM) | SHOW(AVX512F) |
    SHOW(AVX512DQ) | SHOW(RDSEED) | SHOW(ADX) | SHOW(AVX512_IFMA) | SHOW(CLFLUSHOPT) | SHOW(CLWB) |
    SHOW(AVX512PF) | SHOW(AVX512ER) | SHOW(AVX512CD) | SHOW(SHA) | SHOW(AVX512BW) | SHOW(AVX512VL);
static const uint32_t shown_7c0 = SHOW(PREFETCHWT1) | SHOW(AVX512_VBMI) | SHOW(AVX512_VBMI2) |
                                  SHOW(GFNI) | SHOW(VAES) | SHOW(VPCLMULQDQ) | SHOW(AVX512_VNNI) |
                                  SHOW(AVX512_BITALG) | SHOW(AVX512_VPOPCNTDQ) | SHOW(RDPID) |
                                  SHOW(CLDEMOTE);
static const uint32_t shown_7d0 =
    SHOW(AVX512_4VNNIW) | SHOW(AVX512_4FMAPS) | SHOW(FSRM) | SHOW(MD_CLEAR) | SHOW(SERIALIZE);
static const uint32_t shown_e8b = SHOW(CLZERO) | SHOW(RSTR_FP_ERR_PTRS);

/* What AMD's leaf 0x80000001 repeats of leaf 1: bits 0-9, 12-17, 23 and 24 (APM vol. 3, E.4.2). */
#define E1D_REPEATED  0x0183f3ffu
#define LEAF_MAX      0xdu
#define EXT_LEAF_MAX  0x80000008u
#define XEN_LEAF_MAX  (XEN_CPUID_FIRST_LEAF + 5)
#define E7D_INVARIANT (1u << 8)
#define CORES         0xf0ffu /* leaf 0x80000008: how many, and how wide their numbers are */
#define OSXSAVE       (1u << 27)

/* SYSENTER is Intel's in 64-bit mode; the hardware domain asks for the MTRRs by platform_op. */
static uint32_t shown_basic(const struct vcpu *v)
{
    return (shown_1d & ~(cpu_features.vendor == VENDOR_INTEL ? 0 : SHOW(SEP))) |
           (v->domain->is_hardware ? SHOW(MTRR) : 0);
}

static void leaf_features(const struct vcpu *v, uint32_t out[4])
{
    out[B] = (out[B] & 0x0000ffff) | v->id << 25;
    out[B] |= (out[D] & SHOW(HTT)) ? min(v->domain->max_vcpus, 255u) << 16 : 0;
    out[C] = (out[C] & shown_1c) | SHOW(HYPERVISOR);
    if (out[C] & SHOW(XSAVE)) {
        out[C] |= OSXSAVE;
    }
    out[D] &= shown_basic(v);
}

static void leaf_structured(uint32_t subleaf, uint32_t out[4])
{
    if (subleaf != 0) {
        out[A] = out[B] = out[C] = out[D] = 0;
        return;
    }
    out[A] = 0;
    out[B] &= shown_7b0;
    out[C] &= shown_7c0;
    out[D] &= shown_7d0;
}

/* The processor's answer for the state components that the FPU code can keep. */
static void leaf_xstate(uint32_t subleaf, uint32_t out[4])
{
    uint64_t mask = fpu_xcr0_allowed();

    if (mask == 0) {
        out[A] = out[B] = out[C] = out[D] = 0;
    } else if (subleaf == 0) {
        out[A] &= (uint32_t)mask;
        out[C] = (uint32_t)fpu_area_bytes();
        out[D] &= (uint32_t)(mask >> 32);
    } else if (subleaf == 1) {
        out[A] &= shown_da1;
        out[B] = out[C] = out[D] = 0;
    } else if (subleaf >= 63 || !(mask >> subleaf & 1)) {
        out[A] = out[B] = out[C] = out[D] = 0;
    }
}

static void basic_leaf(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    switch (leaf) {
    case 0:
        out[A] = min(out[A], LEAF_MAX);
        break;
    case 1:
        leaf_features(v, out);
        break;
    case 2:
    case 4:
        break;
    case 7:
        leaf_structured(subleaf, out);
        break;
    case 0xd:
        leaf_xstate(subleaf, out);
        break;
    default:
        out[A] = out[B] = out[C] = out[D] = 0;
        break;
    }
}

static void extended_leaf(const struct vcpu *v, uint32_t leaf, uint32_t out[4])
{
    switch (leaf) {
    case 0x80000000:
        out[A] = min(out[A], EXT_LEAF_MAX);
        break;
    case 0x80000001:
        out[C] &= shown_e1c;
        out[D] &=
            shown_e1d | (cpu_features.vendor == VENDOR_AMD ? shown_basic(v) & E1D_REPEATED : 0);
        break;
    case 0x80000002 ... 0x80000006:
        break;
    case 0x80000007:
        out[A] = out[B] = out[C] = 0;
        out[D] &= E7D_INVARIANT;
        break;
    case 0x80000008:
        out[A] &= 0xffff;
        out[B] &= shown_e8b;
        out[C] = cpu_features.vendor == VENDOR_AMD ? out[C] & CORES : 0;
        out[D] = 0;
        break;
    default:
        out[A] = out[B] = out[C] = out[D] = 0;
        break;
    }
}

static void leaf_time(const struct domain *d, uint32_t subleaf, uint32_t out[4])
{
    struct time_scale scale;
    uint32_t generation;

    out[A] = out[B] = out[C] = out[D] = 0;
    switch (subleaf) {
    case 0:
        out[A] = d->is_tsc_emulated ? 1u : time_tsc_is_stable() ? 1u << 1 : 0; /* safe as it is */
        out[B] = d->tsc_mode;
        out[C] = d->tsc_khz != 0 ? d->tsc_khz : time_tsc_khz();
        out[D] = d->tsc_incarnation;
        break;
    case 1:
        scale = time_scale_get(&generation);
        if (d->is_tsc_emulated) {
            scale = domain_tsc_scale(d, scale.base_ns);
            out[A] = (uint32_t)d->tsc_start_ns;
            out[B] = (uint32_t)(d->tsc_start_ns >> 32);
        }
        out[C] = scale.mul;
        out[D] = (uint8_t)scale.shift;
        break;
    case 2:
        out[A] = time_tsc_khz();
        break;
    default:
        break;
    }
}

static void abi_leaf(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    out[A] = out[B] = out[C] = out[D] = 0;
    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        out[A] = XEN_LEAF_MAX;
        out[B] = XEN_CPUID_SIGNATURE_EBX;
        out[C] = XEN_CPUID_SIGNATURE_ECX;
        out[D] = XEN_CPUID_SIGNATURE_EDX;
        break;
    case 1:
        out[A] = 4u << 16 | 17u;
        break;
    case 2:
        out[A] = 1;
        out[B] = 0x40000000;
        out[C] = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
        break;
    case 3:
        leaf_time(v->domain, subleaf, out);
        break;
    case 5:
        /* Frame numbers of 32 bits are all there are: grant tables of version 1 do. */
        out[B] = 64u - (unsigned int)__builtin_clzll(nr_frames_max << PAGE_SHIFT | 1);
        break;
    default:
        break;
    }
}

/* ---------------------------------------------------- what the toolstack left -- */

const struct pv_cpuid_word pv_cpuid_words[PV_CPUID_WORDS] = {
    { 1, 0, D }, { 1, 0, C },          { 0x80000001, 0, D }, { 0x80000001, 0, C }, { 0xd, 1, A },
    { 7, 0, B }, { 7, 0, C },          { 0x80000007, 0, D }, { 0x80000008, 0, B }, { 7, 0, D },
    { 7, 1, A }, { 0x80000021, 0, A }, { 7, 1, B },          { 7, 2, D },          { 7, 1, C },
    { 7, 1, D }, { 0, 0, A },          { 0, 0, A },          { 0x80000021, 0, C },
};

#define WORD_1C      1u
#define NOT_FEATURES (OSXSAVE | SHOW(HYPERVISOR)) /* in that word: they say how it is now */

int pv_cpuid_limit(struct domain *d, uint32_t leaf, uint32_t subleaf, const uint32_t regs[4])
{
    if (d->cpuid_limits == NULL) {
        d->cpuid_limits = heap_alloc(PV_CPUID_WORDS * sizeof(uint32_t));
        if (d->cpuid_limits == NULL) {
            return -ENOMEM;
        }
        memset(d->cpuid_limits, 0xff, PV_CPUID_WORDS * sizeof(uint32_t));
    }
    for (unsigned int i = 0; i < PV_CPUID_WORDS; i++) {
        const struct pv_cpuid_word *w = &pv_cpuid_words[i];

        if (w->leaf != 0 && w->leaf == leaf && w->subleaf == subleaf) {
            d->cpuid_limits[i] = regs[w->reg] | (i == WORD_1C ? NOT_FEATURES : 0);
        }
    }
    return 0;
}

static void apply_limits(const uint32_t *limits, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    for (unsigned int i = 0; i < PV_CPUID_WORDS; i++) {
        const struct pv_cpuid_word *w = &pv_cpuid_words[i];

        if (w->leaf == leaf && w->leaf != 0 && (w->subleaf == subleaf || leaf >> 31 || leaf == 1)) {
            out[w->reg] &= limits[i];
        }
    }
}

void pv_cpuid_of(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    struct cpuid_regs r;

    if (leaf - XEN_CPUID_FIRST_LEAF <= XEN_LEAF_MAX - XEN_CPUID_FIRST_LEAF) {
        abi_leaf(v, leaf, subleaf, out);
        return;
    }
    r = cpuid(leaf, subleaf);
    out[A] = r.a;
    out[B] = r.b;
    out[C] = r.c;
    out[D] = r.d;
    if (leaf < 0x40000000) {
        basic_leaf(v, leaf, subleaf, out);
    } else {
        extended_leaf(v, leaf, out);
    }
    if (v->domain->cpuid_limits != NULL) {
        apply_limits(v->domain->cpuid_limits, leaf, subleaf, out);
    }
}

int pv_cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    pv_cpuid_of(c->opaque, leaf, subleaf, out);
    return EMUL_OK;
}
