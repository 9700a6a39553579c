/* SPDX-License-Identifier: MIT */
/*
 * CPUID: fields that depend on other state agree with that state, on each vCPU:
 * features with each other, the sizes of leaf 0xd with XCR0, the place of a
 * vCPU among cores and threads; and what CPUID shows can be used.
 */
#include "lib/hypercall.h"

#define FORCED "ud2; .ascii \"xen\"; "

#define XSAVE   (1u << 26)
#define OSXSAVE (1u << 27)
#define AVX     (1u << 28)
#define FMA     (1u << 12)
#define F16C    (1u << 29)
#define AVX2    (1u << 5)
#define AVX512F (1u << 16)
#define XSAVEC  (1u << 1)
#define ALIGNS  2u /* leaf 0xd, ECX */

#define XCR0_LEGACY 3ull
#define XCR0_YMM    4ull
#define XCR0_AVX512 0xe0ull
#define XSAVE_FIXED 576u /* the legacy part and the header */
#define CR4_OSXSAVE (1ul << 18)

struct cpuid {
    uint32_t a, b, c, d;
};

static struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;

    __asm__ volatile(FORCED "cpuid"
                     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

/* The processor's own answer. */
static struct cpuid native(uint32_t leaf)
{
    struct cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

static bool has_xsave(void)
{
    return cpuid(1, 0).c & XSAVE;
}

static uint64_t get_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (uint64_t)high << 32;
}

static void set_xcr0(void *value)
{
    uint64_t v = *(const uint64_t *)value;

    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static void use_xsave(void)
{
    uint64_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | CR4_OSXSAVE));
}

static void check_place(void *arg)
{
    (void)arg;
    EXPECT(cpuid(1, 0).b >> 24, 0);
    EXPECT(cpuid(1, 0).b >> 16 & 0xff, native(1).b >> 16 & 0xff);
    EXPECT(cpuid(0xb, 0).b, 0);
    EXPECT(cpuid(0x8000001e, 0).a, 0);
}

TEST(no_vcpu_has_the_place_of_the_cpu_that_runs_it)
{
    for (unsigned int id = 1; id < cpu_count(); id++) {
        EXPECT(cpu_start(id, check_place, NULL), 0);
        cpu_wait_down(id);
    }
    check_place(NULL);
}

static void check_first_xcr0(void *arg)
{
    (void)arg;
    EXPECT(get_xcr0(), XCR0_LEGACY);
}

/* Kernels that do not know AVX must not find it on. */
TEST(xcr0_begins_without_avx)
{
    if (!has_xsave()) {
        return;
    }
    use_xsave();
    check_first_xcr0(NULL);
    if (cpu_count() > 1) {
        EXPECT(cpu_start(1, check_first_xcr0, NULL), 0);
        cpu_wait_down(1);
    }
}

TEST(avx_is_shown_with_its_state_and_what_needs_it_with_avx)
{
    struct cpuid basic = cpuid(1, 0), structured = cpuid(7, 0), xstate = cpuid(0xd, 0);

    EXPECT(!!(basic.c & OSXSAVE), !!(basic.c & XSAVE));
    EXPECT(!!(xstate.a & XCR0_YMM), !!(basic.c & AVX));
    EXPECT(xstate.a & XCR0_AVX512, structured.b & AVX512F ? XCR0_AVX512 : 0);
    if (!(basic.c & AVX)) {
        EXPECT(basic.c & (FMA | F16C), 0);
        EXPECT(structured.b & AVX2, 0);
    }
    /* Intel's with flaws that need new microcode lose it under 4.17. */
    if (native(1).c & AVX && !guest_option("oracle")) {
        CHECK(basic.c & AVX);
    }
}

static uint32_t standard_size(uint64_t xcr0)
{
    uint32_t size = XSAVE_FIXED;

    for (unsigned int i = 2; i < 63; i++) {
        struct cpuid r = cpuid(0xd, i);

        if (xcr0 >> i & 1 && r.a + r.b > size) {
            size = r.a + r.b;
        }
    }
    return size;
}

static uint32_t compacted_size(uint64_t xcr0)
{
    uint32_t size = XSAVE_FIXED;

    for (unsigned int i = 2; i < 63; i++) {
        struct cpuid r = cpuid(0xd, i);

        if (xcr0 >> i & 1) {
            size = (r.c & ALIGNS ? (size + 63) & ~63u : size) + r.a;
        }
    }
    return size;
}

TEST(sizes_follow_xcr0)
{
    static const uint64_t values[] = { 1, 3, 7, 0xe7 };
    uint64_t shown = cpuid(0xd, 0).a, all = shown;
    struct trap_record record;

    if (!has_xsave()) {
        EXPECT(shown, 0);
        return;
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(values); i++) {
        uint64_t xcr0 = values[i];

        if (xcr0 & ~shown) {
            continue;
        }
        CHECK(!trap_try(set_xcr0, &xcr0, &record));
        EXPECT(get_xcr0(), xcr0);
        EXPECT(cpuid(0xd, 0).b, standard_size(xcr0));
        EXPECT(cpuid(0xd, 0).c, standard_size(shown));
        if (cpuid(0xd, 1).a & XSAVEC) {
            EXPECT(cpuid(0xd, 1).b, compacted_size(xcr0));
        }
    }
    CHECK(!trap_try(set_xcr0, &all, &record));
}

TEST(components_that_are_not_shown_are_refused)
{
    struct trap_record record;
    uint64_t shown = cpuid(0xd, 0).a;

    for (unsigned int i = 2; i < 63; i++) {
        uint64_t more = shown | 1ull << i;

        if (has_xsave() && more != shown) {
            CHECK(trap_try(set_xcr0, &more, &record));
            EXPECT(record.regs.vector, 13);
            EXPECT(get_xcr0(), shown);
        }
    }
}

TEST(linear_addresses_have_48_bits)
{
    EXPECT(cpuid(0x80000008, 0).a >> 8 & 0xff, 48);
    EXPECT(cpuid(0x80000008, 0).a & 0xff, native(0x80000008).a & 0xff);
}

static uint64_t patterns[2][4] = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } };

static void set_ymm(unsigned int which)
{
    __asm__ volatile("vmovups %0, %%ymm0\n\tvmovups %0, %%ymm15" ::"m"(patterns[which]));
}

static bool ymm_is(unsigned int which)
{
    uint64_t now[2][4];
    bool is_same = true;

    __asm__ volatile("vmovups %%ymm0, %0\n\tvmovups %%ymm15, %1" : "=m"(now[0]), "=m"(now[1]));
    for (unsigned int i = 0; i < 8; i++) {
        is_same = is_same && now[i / 4][i % 4] == patterns[which][i % 4];
    }
    return is_same;
}

static void other_registers(void *arg)
{
    uint64_t xcr0 = XCR0_LEGACY | XCR0_YMM;

    (void)arg;
    use_xsave();
    set_xcr0(&xcr0);
    for (unsigned int i = 0; i < 50; i++) {
        set_ymm(1);
        hyper_sched(SCHEDOP_yield, NULL);
        if (!ymm_is(1)) {
            FAIL("the other vCPU's registers have changed");
            return;
        }
    }
}

TEST(avx_registers_are_each_vcpus_own)
{
    uint64_t xcr0 = XCR0_LEGACY | XCR0_YMM;

    if (!(cpuid(1, 0).c & AVX)) {
        return;
    }
    set_xcr0(&xcr0);
    if (cpu_count() > 1) {
        EXPECT(cpu_start(1, other_registers, NULL), 0);
    }
    for (unsigned int i = 0; i < 50; i++) {
        set_ymm(0);
        hyper_sched(SCHEDOP_yield, NULL);
        CHECK(ymm_is(0));
    }
    if (cpu_count() > 1) {
        cpu_wait_down(1);
    }
}
