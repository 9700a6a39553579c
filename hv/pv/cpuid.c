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

/* What cannot be used without AVX, or without the registers of AVX-512 (SDM vol. 1, 14.3 and 15.2).
 */
static const uint32_t avx_1c = SHOW(AVX) | SHOW(FMA) | SHOW(F16C);
static const uint32_t avx_e1c = SHOW(XOP) | SHOW(FMA4);
static const uint32_t avx512_7b0 = SHOW(AVX512F) | SHOW(AVX512DQ) | SHOW(AVX512_IFMA) |
                                   SHOW(AVX512PF) | SHOW(AVX512ER) | SHOW(AVX512CD) |
                                   SHOW(AVX512BW) | SHOW(AVX512VL);
static const uint32_t avx512_7c0 = SHOW(AVX512_VBMI) | SHOW(AVX512_VBMI2) | SHOW(AVX512_VNNI) |
                                   SHOW(AVX512_BITALG) | SHOW(AVX512_VPOPCNTDQ);
static const uint32_t avx512_7d0 = SHOW(AVX512_4VNNIW) | SHOW(AVX512_4FMAPS);
static const uint32_t avx_7c0 = SHOW(VAES) | SHOW(VPCLMULQDQ);

/* What AMD's leaf 0x80000001 repeats of leaf 1: bits 0-9, 12-17, 23 and 24 (APM vol. 3, E.4.2). */
#define E1D_REPEATED  0x0183f3ffu
#define LEAF_MAX      0xdu
#define EXT_LEAF_MAX  0x80000008u
#define XEN_LEAF_MAX  (XEN_CPUID_FIRST_LEAF + 5)
#define E7D_INVARIANT (1u << 8)
#define CORES         0xf0ffu /* leaf 0x80000008: how many, and how wide their numbers are */
#define PHYS_BITS     0x00ffu /* likewise: width of physical addresses */
#define LINEAR_BITS   48u     /* of four levels of page tables */
#define APIC_ID       0xff000000u
#define OSXSAVE       (1u << 27)
#define XSTATE_ALIGNS 2u /* leaf 0xd: the component begins at a multiple of 64 when compacted */

/* SYSENTER is Intel's in 64-bit mode; the hardware domain asks for the MTRRs by platform_op. */
static uint32_t shown_basic(const struct vcpu *v)
{
    return (shown_1d & ~(cpu_features.vendor == VENDOR_INTEL ? 0 : SHOW(SEP))) |
           (v->domain->is_hardware ? SHOW(MTRR) : 0);
}

/*
 * The APIC id is 0 on every vCPU, as 4.17 shows it: a vCPU moves between
 * processors, and the other leaves describe the machine's cores and threads,
 * among which a number of ours would put vCPUs at places that are not theirs.
 */
static void leaf_features(const struct vcpu *v, uint32_t out[4])
{
    out[B] &= ~APIC_ID;
    out[C] = (out[C] & shown_1c) | SHOW(HYPERVISOR);
    out[C] |= out[C] & SHOW(XSAVE) ? OSXSAVE : 0;
    if (!(out[C] & SHOW(XSAVE)) || !(out[C] & SHOW(AVX)) || !(fpu_xcr0_allowed() & XCR0_YMM)) {
        out[C] &= ~avx_1c;
    }
    out[D] &= shown_basic(v);
}

static bool has_avx(const struct vcpu *v)
{
    uint32_t out[4];

    pv_cpuid_of(v, 1, 0, out);
    return out[C] & SHOW(AVX);
}

static void leaf_structured(const struct vcpu *v, uint32_t subleaf, uint32_t out[4])
{
    if (subleaf != 0) {
        out[A] = out[B] = out[C] = out[D] = 0;
        return;
    }
    out[A] = 0;
    out[B] &= shown_7b0;
    out[C] &= shown_7c0;
    out[D] &= shown_7d0;
    if (!has_avx(v)) {
        out[B] &= ~SHOW(AVX2);
        out[C] &= ~avx_7c0;
    }
    if (!(out[B] & SHOW(AVX2)) || !(out[B] & SHOW(AVX512F)) ||
        !(fpu_xcr0_allowed() & XCR0_AVX512)) {
        out[B] &= ~avx512_7b0;
        out[C] &= ~avx512_7c0;
        out[D] &= ~avx512_7d0;
    }
}

uint64_t pv_cpuid_xcr0(const struct vcpu *v)
{
    uint64_t xcr0 = XCR0_X87 | XCR0_SSE;
    uint32_t out[4];

    pv_cpuid_of(v, 1, 0, out);
    if (!(out[C] & SHOW(XSAVE))) {
        return 0;
    }
    xcr0 |= out[C] & SHOW(AVX) ? XCR0_YMM : 0;
    pv_cpuid_of(v, 7, 0, out);
    return xcr0 | (out[B] & SHOW(AVX512F) ? XCR0_AVX512 : 0);
}

/*
 * The state components of the features that are shown (SDM vol. 1, 13.2).  The
 * processor's own sizes are those for the XCR0 in force here and now, which
 * may be another vCPU's.
 */
static void leaf_xstate(const struct vcpu *v, uint32_t subleaf, uint32_t out[4])
{
    uint64_t mask = pv_cpuid_xcr0(v), xcr0 = v->pv.xcr0 & mask;

    if (mask == 0) {
        out[A] = out[B] = out[C] = out[D] = 0;
    } else if (subleaf == 0) {
        out[A] = (uint32_t)mask;
        out[B] = (uint32_t)fpu_bytes_of(xcr0);
        out[C] = (uint32_t)fpu_bytes_of(mask);
        out[D] = (uint32_t)(mask >> 32);
    } else if (subleaf == 1) {
        out[A] &= shown_da1;
        out[B] = out[A] & SHOW(XSAVEC) ? (uint32_t)fpu_compacted_bytes_of(xcr0) : 0;
        out[C] = out[D] = 0;
    } else if (subleaf >= 63 || !(mask >> subleaf & 1)) {
        out[A] = out[B] = out[C] = out[D] = 0;
    } else {
        out[C] &= XSTATE_ALIGNS;
        out[D] = 0;
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
        leaf_structured(v, subleaf, out);
        break;
    case 0xd:
        leaf_xstate(v, subleaf, out);
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
        if (out[C] & avx_e1c && !has_avx(v)) {
            out[C] &= ~avx_e1c;
        }
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
        out[A] = (out[A] & PHYS_BITS) | LINEAR_BITS << 8;
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
            d->cpuid_limits[i] = regs[w->reg];
        }
    }
    return 0;
}

/* Before anything is derived from features: what depends on one that was taken away goes with it.
 */
static void apply_limits(const uint32_t *limits, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    for (unsigned int i = 0; i < PV_CPUID_WORDS; i++) {
        const struct pv_cpuid_word *w = &pv_cpuid_words[i];

        if (w->leaf == leaf && w->leaf != 0 && (w->subleaf == subleaf || leaf >> 31 || leaf == 1)) {
            out[w->reg] &= limits[i];
        }
    }
}

/* The processor's answer; a leaf beyond its last one has none (Intel's give that of the last). */
static void native_leaf(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    struct cpuid_regs r = { 0 };

    if (leaf <= (leaf >> 31 ? cpu_features.max_ext_leaf : cpu_features.max_leaf)) {
        r = cpuid(leaf, subleaf);
    }
    out[A] = r.a;
    out[B] = r.b;
    out[C] = r.c;
    out[D] = r.d;
}

void pv_cpuid_of(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    if (leaf - XEN_CPUID_FIRST_LEAF <= XEN_LEAF_MAX - XEN_CPUID_FIRST_LEAF) {
        abi_leaf(v, leaf, subleaf, out);
        return;
    }
    native_leaf(leaf, subleaf, out);
    if (v->domain->cpuid_limits != NULL) {
        apply_limits(v->domain->cpuid_limits, leaf, subleaf, out);
    }
    if (leaf < 0x40000000) {
        basic_leaf(v, leaf, subleaf, out);
    } else {
        extended_leaf(v, leaf, out);
    }
}

int pv_cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    pv_cpuid_of(c->opaque, leaf, subleaf, out);
    return EMUL_OK;
}
