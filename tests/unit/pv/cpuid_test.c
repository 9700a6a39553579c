/* SPDX-License-Identifier: MIT */
/* sources: hv/pv/cpuid.c hv/x86/fpu.c tests/unit/x86/fake.c */
/*
 * CPUID as guests see it, on processors made up here: fields that depend on
 * other fields, on XCR0 or on the CPU that executes the instruction.
 */
#include "x86/fake.h"

#include "abi/errno.h"
#include "mm/heap.h"
#include "pv/internal.h"
#include "time/time.h"
#include "x86/features.h"
#include "x86/fpu.h"
#include "x86/memory.h"
#include "x86/safe.h"

enum {
    A,
    B,
    C,
    D
};

#define XSAVE    (1u << 26)
#define OSXSAVE  (1u << 27)
#define AVX      (1u << 28)
#define FMA      (1u << 12)
#define F16C     (1u << 29)
#define AVX2     (1u << 5)
#define AVX512F  (1u << 16)
#define AVX512BW (1u << 30)
#define VAES     (1u << 9)
#define VNNI     (1u << 11) /* of AVX-512 */
#define XSAVEC   (1u << 1)
#define FMA4     (1u << 16)

/*
 * A processor with AVX-512 and XSAVEC, four threads in a package, five levels of
 * page tables; the CPU that answers has APIC id 3 and an XCR0 of its own.  The
 * components' sizes are those of real processors, but for PKRU, which no guest has.
 */
static const struct fake_leaf wide[] = {
    { 0, 0, { 0xd, 0, 0, 0 } },
    { 1, 0, { 0x50654, 0x03040800, 0xffffffff, 0xffffffff } },
    { 7, 0, { 0, 0xffffffff, 0xffffffff, 0xffffffff } },
    { 0xd, 0, { 0x2ff, 2696, 2696, 0 } },
    { 0xd, 1, { 0xf, 2568, 0x100, 0 } },
    { 0xd, 2, { 256, 576, 0, 0 } },
    { 0xd, 3, { 64, 960, 0, 0 } },
    { 0xd, 4, { 64, 1024, 0, 0 } },
    { 0xd, 5, { 64, 1088, 0, 0 } },
    { 0xd, 6, { 512, 1152, 0, 0 } },
    { 0xd, 7, { 1024, 1664, 0, 0 } },
    { 0xd, 9, { 8, 2688, 2, 0 } },
    { 0x80000001, 0, { 0, 0, 0xffffffff, 0xffffffff } },
    { 0x80000008, 0, { 0x392e, 0, 0x2003, 0 } },
};

static struct domain d;
static struct vcpu v;

int xsetbv_safe(uint32_t index, uint64_t value)
{
    return 0;
}

static void *alloc(size_t size)
{
    return aligned_alloc(64, (size + 63) & ~63ul);
}

static void release(void *p, size_t size)
{
    free(p);
}

const struct x86_memory_ops x86_memory_ops = { .alloc = alloc, .free = release };
uint64_t nr_frames_max = 1;

void *heap_alloc(size_t size)
{
    return calloc(1, size);
}

bool time_tsc_is_stable(void)
{
    return true;
}

uint32_t time_tsc_khz(void)
{
    return 1000000;
}

struct time_scale time_scale_get(uint32_t *generation)
{
    return (struct time_scale){ 0 };
}

struct time_scale domain_tsc_scale(const struct domain *domain, uint64_t base_ns)
{
    return (struct time_scale){ 0 };
}

/* A machine of which CPUID tells @leaves. */
static void have_leaves(const struct fake_leaf *leaves, size_t nr)
{
    fake_leaves = leaves;
    fake_nr_leaves = nr;
    cpu_features = (struct cpu_features){ .bits = 1ull << FEATURE_XSAVE,
                                          .max_leaf = cpuid(0, 0).a,
                                          .max_ext_leaf = 0x80000008 };
    fpu_init();
}

static int setup(void **state)
{
    fake_reset();
    have_leaves(wide, sizeof(wide) / sizeof(wide[0]));
    d = (struct domain){ .max_vcpus = 4 };
    v = (struct vcpu){ .domain = &d, .id = 2, .pv.xcr0 = XCR0_X87 | XCR0_SSE };
    return 0;
}

static int teardown(void **state)
{
    free(d.cpuid_limits);
    return 0;
}

static uint32_t ask(uint32_t leaf, uint32_t subleaf, unsigned int reg)
{
    uint32_t out[4];

    pv_cpuid_of(&v, leaf, subleaf, out);
    return out[reg];
}

/* The toolstack leaves all features of a word but @bits. */
static void take_away(uint32_t leaf, uint32_t subleaf, unsigned int reg, uint32_t bits)
{
    uint32_t regs[] = { ~0u, ~0u, ~0u, ~0u };

    regs[reg] &= ~bits;
    assert_int_equal(pv_cpuid_limit(&d, leaf, subleaf, regs), 0);
}

static void sizes_follow_the_xcr0_of_the_vcpu(void **state)
{
    static const struct {
        uint64_t xcr0;
        uint32_t standard, compacted;
    } cases[] = {
        { 0x1, 576, 576 },
        { 0x3, 576, 576 },
        { 0x7, 832, 832 },
        { 0xe7, 2688, 576 + 256 + 64 + 512 + 1024 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        v.pv.xcr0 = cases[i].xcr0;
        assert_int_equal(ask(0xd, 0, B), cases[i].standard);
        assert_int_equal(ask(0xd, 0, C), 2688);
        assert_int_equal(ask(0xd, 1, B), cases[i].compacted);
    }
}

static void components_that_ask_for_it_are_aligned_when_compacted(void **state)
{
    struct fake_leaf leaves[sizeof(wide) / sizeof(wide[0])];

    memcpy(leaves, wide, sizeof(wide));
    leaves[5].regs.a = 260; /* AVX, of odd length, and then one of those that align */
    leaves[8].regs.c = 2;
    have_leaves(leaves, sizeof(leaves) / sizeof(leaves[0]));
    v.pv.xcr0 = 0xe7;
    assert_int_equal(ask(0xd, 1, B), 896 + 64 + 512 + 1024);
    assert_int_equal(ask(0xd, 5, C), 2);
}

static void without_xsavec_there_is_no_compacted_size(void **state)
{
    take_away(0xd, 1, A, XSAVEC);
    assert_int_equal(ask(0xd, 1, B), 0);
}

static void components_are_those_of_the_features_shown(void **state)
{
    assert_int_equal(ask(0xd, 0, A), 0xe7);
    assert_int_equal(ask(0xd, 3, A), 0); /* bounds registers and PKRU are no one's */
    assert_int_equal(ask(0xd, 9, A), 0);
    take_away(7, 0, B, AVX512F);
    assert_int_equal(ask(0xd, 0, A), 0x7);
    assert_int_equal(ask(0xd, 0, C), 832);
    assert_int_equal(ask(0xd, 6, A), 0);
    take_away(1, 0, C, AVX);
    assert_int_equal(ask(0xd, 0, A), 0x3);
    take_away(1, 0, C, XSAVE);
    assert_int_equal(ask(0xd, 0, A) | ask(0xd, 0, B) | ask(0xd, 0, C), 0);
    assert_int_equal(ask(0xd, 1, A), 0);
}

static void features_go_with_the_one_that_they_need(void **state)
{
    assert_int_equal(ask(1, 0, C) & (XSAVE | OSXSAVE | AVX | FMA | F16C),
                     XSAVE | OSXSAVE | AVX | FMA | F16C);
    take_away(7, 0, B, AVX2);
    assert_int_equal(ask(7, 0, B) & (AVX512F | AVX512BW), 0);
    assert_int_equal(ask(7, 0, C) & (VAES | VNNI), VAES);
    take_away(1, 0, C, XSAVE);
    assert_int_equal(ask(1, 0, C) & (XSAVE | OSXSAVE | AVX | FMA | F16C), 0);
    assert_int_equal(ask(7, 0, C) & (VAES | VNNI), 0);
    assert_int_equal(ask(0x80000001, 0, C) & FMA4, 0);
}

/* Emulators list AVX-512's components without having it. */
static void listed_components_without_their_feature_are_not_used(void **state)
{
    struct fake_leaf leaves[sizeof(wide) / sizeof(wide[0])];

    memcpy(leaves, wide, sizeof(wide));
    leaves[2].regs.b &= ~AVX512F;
    have_leaves(leaves, sizeof(leaves) / sizeof(leaves[0]));
    assert_int_equal(fpu_xcr0_allowed(), 0x7);
    assert_int_equal(ask(0xd, 0, A), 0x7);
    assert_int_equal(ask(7, 0, B) & AVX512BW, 0);
}

static void a_feature_without_its_component_is_not_shown(void **state)
{
    struct fake_leaf leaves[sizeof(wide) / sizeof(wide[0])];

    memcpy(leaves, wide, sizeof(wide));
    leaves[3].regs.a = 0x3;
    have_leaves(leaves, sizeof(leaves) / sizeof(leaves[0]));
    assert_int_equal(ask(1, 0, C) & (XSAVE | AVX | FMA), XSAVE);
    assert_int_equal(ask(7, 0, B) & (AVX2 | AVX512F), 0);
}

/* As 4.17 does it: Linux takes each vCPU for a core of its own. */
static void no_vcpu_has_the_place_of_the_cpu_that_runs_it(void **state)
{
    assert_int_equal(ask(1, 0, B), 0x00040800);
    v.id = 3;
    assert_int_equal(ask(1, 0, B), 0x00040800);
    assert_int_equal(ask(0xb, 0, B) | ask(0xb, 0, D), 0);
    assert_int_equal(ask(0x8000001e, 0, A) | ask(0x8000001e, 0, B), 0);
}

static void linear_addresses_have_the_width_of_four_levels(void **state)
{
    assert_int_equal(ask(0x80000008, 0, A), 0x302e);
}

/* There Intel's processors answer as for the last leaf that they have. */
static void leaves_beyond_the_last_are_empty(void **state)
{
    cpu_features.max_leaf = 5;
    assert_int_equal(ask(7, 0, B) | ask(7, 0, C) | ask(7, 0, D), 0);
    assert_int_equal(pv_cpuid_xcr0(&v), 0x7);
    cpu_features.max_ext_leaf = 0x80000004;
    assert_int_equal(ask(0x80000008, 0, C), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(sizes_follow_the_xcr0_of_the_vcpu),
        T(components_that_ask_for_it_are_aligned_when_compacted),
        T(without_xsavec_there_is_no_compacted_size),
        T(components_are_those_of_the_features_shown),
        T(features_go_with_the_one_that_they_need),
        T(listed_components_without_their_feature_are_not_used),
        T(a_feature_without_its_component_is_not_shown),
        T(no_vcpu_has_the_place_of_the_cpu_that_runs_it),
        T(linear_addresses_have_the_width_of_four_levels),
        T(leaves_beyond_the_last_are_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
