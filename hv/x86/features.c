/* SPDX-License-Identifier: MIT */
/*
 * What the processor can do, and switching it on.
 *
 * The boot CPU's answer counts for all: an AP that has less is refused, for
 * code is patched (x86/alternative.h) and guests are told by that answer.
 */
#include "x86/features.h"

#include "lib/string.h"
#include "sys/cpu.h"
#include "sys/log.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/regs.h"
#include "x86/safe.h"

struct cpu_features cpu_features;

static DEFINE_PER_CPU(uint32_t, last_owner) = ~0u; /* whose code ran last */

enum cpuid_word {
    L1_C,
    L1_D,
    L7_B,
    L7_C,
    L7_D,
    LD1_A,
    X1_C,
    X1_D,
    X7_D,
    X8_B,
    L6_A,
    NR_WORDS
};

struct feature_row {
    uint8_t word; /* enum cpuid_word */
    uint8_t bit;
    uint8_t feature;
};

static const struct feature_row optional[] = {
    { L7_B, 7, FEATURE_SMEP },          { L7_B, 20, FEATURE_SMAP },
    { L7_C, 2, FEATURE_UMIP },          { L7_B, 0, FEATURE_FSGSBASE },
    { L1_C, 26, FEATURE_XSAVE },        { LD1_A, 0, FEATURE_XSAVEOPT },
    { LD1_A, 1, FEATURE_XSAVEC },       { L1_C, 17, FEATURE_PCID },
    { L7_B, 10, FEATURE_INVPCID },      { L1_C, 21, FEATURE_X2APIC },
    { L1_C, 24, FEATURE_TSC_DEADLINE }, { X7_D, 8, FEATURE_TSC_INVARIANT },
    { X1_D, 26, FEATURE_PAGE_1G },      { X1_C, 2, FEATURE_SVM },
    { L1_C, 5, FEATURE_VMX },           { L1_D, 7, FEATURE_MCE },
    { L1_D, 14, FEATURE_MCA },          { L7_D, 10, FEATURE_MD_CLEAR },
    { L7_D, 26, FEATURE_IBPB },         { X8_B, 12, FEATURE_IBPB },
    { X1_D, 27, FEATURE_RDTSCP },       { L6_A, 2, FEATURE_ARAT },
    { L1_C, 13, FEATURE_CX16 },         { L1_D, 2, FEATURE_DE },
    { L1_D, 12, FEATURE_MTRR },         { L1_C, 31, FEATURE_VIRTUAL },
};

static const struct {
    uint8_t word, bit;
    const char *name;
} required[] = {
    { X1_D, 29, "64-bit mode" }, { X1_D, 20, "NX" },          { X1_D, 11, "SYSCALL" },
    { L1_D, 6, "PAE" },          { L1_D, 13, "PGE" },         { L1_D, 24, "FXSR" },
    { L1_D, 26, "SSE2" },        { L1_D, 9, "a local APIC" }, { L1_D, 5, "MSRs" },
    { L1_D, 4, "a TSC" },        { L1_D, 16, "PAT" },         { L1_D, 8, "CMPXCHG8B" },
};

static void read_words(uint32_t words[NR_WORDS])
{
    uint32_t max = cpuid(0, 0).a, max_ext = cpuid(0x80000000u, 0).a;
    struct cpuid_regs none = { 0, 0, 0, 0 };
    struct cpuid_regs l1 = cpuid(1, 0), l7 = max >= 7 ? cpuid(7, 0) : none;
    struct cpuid_regs x1 = cpuid(0x80000001u, 0);

    words[L1_C] = l1.c;
    words[L1_D] = l1.d;
    words[L7_B] = l7.b;
    words[L7_C] = l7.c;
    words[L7_D] = l7.d;
    words[L6_A] = max >= 6 ? cpuid(6, 0).a : 0;
    words[LD1_A] = max >= 0xd ? cpuid(0xd, 1).a : 0;
    words[X1_C] = x1.c;
    words[X1_D] = x1.d;
    words[X7_D] = max_ext >= 0x80000007u ? cpuid(0x80000007u, 0).d : 0;
    words[X8_B] = max_ext >= 0x80000008u ? cpuid(0x80000008u, 0).b : 0;
}

static uint64_t bits_of(const uint32_t words[NR_WORDS])
{
    uint64_t bits = 0;

    for (size_t i = 0; i < ARRAY_SIZE(optional); i++) {
        bits |= (uint64_t)(words[optional[i].word] >> optional[i].bit & 1) << optional[i].feature;
    }
    return bits;
}

static __init void identify(struct cpu_features *f)
{
    struct cpuid_regs l0 = cpuid(0, 0), l1 = cpuid(1, 0);
    uint32_t name[12];

    f->max_leaf = l0.a;
    f->max_ext_leaf = cpuid(0x80000000u, 0).a;
    f->vendor = VENDOR_OTHER;
    if (l0.b == 0x756e6547 && l0.d == 0x49656e69 && l0.c == 0x6c65746e) {
        f->vendor = VENDOR_INTEL;
    } else if ((l0.b == 0x68747541 && l0.d == 0x69746e65 && l0.c == 0x444d4163) ||
               (l0.b == 0x6f677948 && l0.d == 0x6e65476e && l0.c == 0x656e6975)) {
        f->vendor = VENDOR_AMD; /* "AuthenticAMD", "HygonGenuine" */
    }
    f->model_code = l1.a;
    f->stepping = l1.a & 15;
    f->family = l1.a >> 8 & 15;
    f->model = l1.a >> 4 & 15;
    if (f->family == 15) {
        f->family = (uint16_t)(f->family + (l1.a >> 20 & 255));
    }
    if (f->family >= 15 || (f->family == 6 && f->vendor == VENDOR_INTEL)) {
        f->model = (uint8_t)(f->model + (l1.a >> 16 & 15) * 16);
    }
    f->phys_bits = 36;
    if (f->max_ext_leaf >= 0x80000008u) {
        f->phys_bits = cpuid(0x80000008u, 0).a & 255;
    }
    for (uint32_t i = 0; i < 3 && f->max_ext_leaf >= 0x80000004u; i++) {
        struct cpuid_regs r = cpuid(0x80000002u + i, 0);

        memcpy(&name[i * 4], &r, sizeof(r));
        memcpy(f->name, name, sizeof(name));
    }
}

/*
 * QEMU's emulation before version 9.1 takes the stack of an IRET within ring 3
 * for one of ring 0's, and SMAP forbids that: kernels do so to synchronise.
 */
static __init bool has_broken_smap(void)
{
    struct cpuid_regs r = cpuid(0x40000000u, 0);

    return cpuid(1, 0).c >> 31 && r.b == 0x54474354 && r.c == 0x43544743 && r.d == 0x47435447;
}

/* Features that are not one bit of CPUID. */
static __init uint64_t derived_bits(const struct cpu_features *f)
{
    uint64_t bits = 0;

    if (f->vendor == VENDOR_INTEL) {
        bits |= 1ull << FEATURE_SYSENTER64;
    } else if (f->vendor == VENDOR_AMD) {
        bits |= 1ull << FEATURE_SYSCALL32;
        if (f->family < 0x17) {
            bits |= 1ull << FEATURE_FXSR_LEAKS;
        }
    }
    return bits;
}

/* What guests can read of us, or of each other, in spite of all page tables, where nothing is done
 * against it. */
static __init void warn_of_leaks(const struct cpu_features *f)
{
    uint64_t capabilities = 0;

    if (f->vendor != VENDOR_INTEL || (msr_read_safe(MSR_ARCH_CAPABILITIES, &capabilities) == 0 &&
                                      capabilities & ARCH_CAPABILITIES_RDCL_NO)) {
        return;
    }
    log_warn(
        "This processor lets a guest read all memory by speculation (Meltdown, L1TF): run only "
        "guests here that you trust.");
}

/* PCID stays off: our mappings are global, and guests' are few per switch. */
static uint64_t wanted_cr4(void)
{
    uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    cr4 |= cpu_has(FEATURE_MCE) ? CR4_MCE : 0;
    cr4 |= cpu_has(FEATURE_DE) ? CR4_DE : 0;
    cr4 |= cpu_has(FEATURE_SMEP) ? CR4_SMEP : 0;
    cr4 |= cpu_has(FEATURE_SMAP) ? CR4_SMAP : 0;
    cr4 |= cpu_has(FEATURE_UMIP) ? CR4_UMIP : 0;
    cr4 |= cpu_has(FEATURE_FSGSBASE) ? CR4_FSGSBASE : 0;
    cr4 |= cpu_has(FEATURE_XSAVE) ? CR4_OSXSAVE : 0;
    return cr4;
}

__init void features_init(void)
{
    struct cpu_features *f = &cpu_features;
    uint32_t words[NR_WORDS];

    read_words(words);
    identify(f);
    for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
        if (!(words[required[i].word] >> required[i].bit & 1)) {
            panic("This processor lacks %s: Mansio cannot run here.", required[i].name);
        }
    }
    f->bits = bits_of(words);
    f->bits |= derived_bits(f);
    if (f->bits >> FEATURE_SMAP & 1 && has_broken_smap()) {
        log_info("An emulator whose SMAP may be broken: SMAP is not used.");
        f->bits &= ~(1ull << FEATURE_SMAP);
    }
    f->cr4 = wanted_cr4();
    warn_of_leaks(f);
    log_info("CPU: %s, family %#x, model %#x, stepping %u, features %#lx",
             f->name[0] ? f->name : "unnamed", f->family, f->model, f->stepping, f->bits);
}

bool features_enable(void)
{
    uint32_t words[NR_WORDS];
    uint64_t derived =
        1ull << FEATURE_SYSENTER64 | 1ull << FEATURE_SYSCALL32 | 1ull << FEATURE_FXSR_LEAKS;
    uint64_t missing;

    read_words(words);
    missing = cpu_features.bits & ~derived & ~bits_of(words);
    if (missing) {
        log_err("A CPU lacks features that the boot CPU has (%#lx): it stays off.", missing);
        return false;
    }
    write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
    write_cr4(cpu_features.cr4);
    wrmsr(MSR_EFER, (rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE | EFER_LME) & ~(uint64_t)EFER_FFXSR);

    /* Types 0 to 3 stay as they were at reset, and no page uses others yet: only TLBs must go. */
    wrmsr(MSR_PAT, PAT_VALUE);
    write_cr4(cpu_features.cr4 & ~(uint64_t)CR4_PGE);
    write_cr4(cpu_features.cr4);
    return true;
}

void features_owner_enters(uint32_t owner)
{
    uint32_t *last = this_cpu_ptr(last_owner);

    if (cpu_has(FEATURE_IBPB) && *last != owner) {
        *last = owner;
        wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
    }
}
