/* SPDX-License-Identifier: MIT */
/*
 * FPU state (SDM vol. 1, chapter 13).
 *
 * While a vCPU's state is saved or loaded, XCR0 holds all components that we
 * allow, so that nothing of one guest stays in registers for the next, even if
 * its own XCR0 leaves them out.
 */
#include "x86/fpu.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "x86/extable.h"
#include "x86/features.h"
#include "x86/insn.h"
#include "x86/memory.h"
#include "x86/regs.h"
#include "x86/safe.h"
#include "sys/cpu.h"
#include "sys/log.h"

#define FXSAVE_BYTES     512u
#define HEADER_OFFSET    512u /* of the XSAVE header: XSTATE_BV, XCOMP_BV, reserved */
#define HEADER_BYTES     64u
#define COMPONENT_ALIGNS 2u /* CPUID leaf 0xd, ECX: begins at a multiple of 64 when compacted */
#define FCW_INITIAL      0x037fu
#define MXCSR_OFFSET     24u
#define MXCSR_INITIAL    0x1f80u
#define X87_REGISTERS    32u
#define XMM_REGISTERS    160u
#define CPUID_1C_AVX     (1u << 28)
#define CPUID_7B_AVX512F (1u << 16)

/* Constant after fpu_init(). */
static uint64_t allowed; /* components; 0: FXSAVE only */
static size_t area_bytes;

struct fpu_cpu {
    uint64_t xcr0; /* [s] the guest's, in force when ring 3 runs */
};
static DEFINE_PER_CPU(struct fpu_cpu, fpu_cpu);

static void fxsave(void *area)
{
    __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

/* Emulators list components of features that they lack. */
static __init uint64_t components_used(void)
{
    uint64_t used = XCR0_X87 | XCR0_SSE;

    used |= cpuid(1, 0).c & CPUID_1C_AVX ? XCR0_YMM : 0;
    if (cpu_features.max_leaf >= 7 && cpuid(7, 0).b & CPUID_7B_AVX512F) {
        used |= XCR0_AVX512;
    }
    return used;
}

__init void fpu_init(void)
{
    area_bytes = FXSAVE_BYTES;
    if (cpu_has(FEATURE_XSAVE)) {
        struct cpuid_regs r = cpuid(0xd, 0);

        allowed = ((uint64_t)r.d << 32 | r.a) & components_used();
        if ((allowed & XCR0_AVX512) != XCR0_AVX512 || !(allowed & XCR0_YMM)) {
            allowed &= ~(uint64_t)XCR0_AVX512;
        }
        if (xsetbv_safe(0, allowed) != 0) {
            panic("The processor refuses the FPU components that it lists: %#lx.", allowed);
        }
        area_bytes = cpuid(0xd, 0).b;
    }
    log_info("FPU: %s, components %#lx, %lu bytes", allowed ? "XSAVE" : "FXSAVE", allowed,
             area_bytes);
}

__init void fpu_init_cpu(void)
{
    if (allowed && xsetbv_safe(0, allowed) != 0) {
        panic("All CPUs have the same FPU components: %#lx.", allowed);
    }
    this_cpu_ptr(fpu_cpu)->xcr0 = allowed;
}

size_t fpu_area_bytes(void)
{
    return area_bytes;
}

uint64_t fpu_xcr0_allowed(void)
{
    return allowed;
}

void fpu_area_reset(void *area)
{
    uint16_t fcw = FCW_INITIAL;
    uint32_t mxcsr = MXCSR_INITIAL;
    uint64_t present = XCR0_X87 | XCR0_SSE;

    memset(area, 0, area_bytes);
    memcpy(area, &fcw, sizeof(fcw));
    memcpy((char *)area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
    if (allowed) {
        memcpy((char *)area + HEADER_OFFSET, &present, sizeof(present));
    }
}

/* The header that follows the legacy part (SDM vol. 1, 13.4.2). */
struct header {
    uint64_t components; /* XSTATE_BV */
    uint64_t compaction; /* XCOMP_BV */
    uint64_t reserved[6];
};

static struct header get_header(const void *area)
{
    struct header h;

    memcpy(&h, (const char *)area + HEADER_OFFSET, sizeof(h));
    return h;
}

uint64_t fpu_area_components(const void *area)
{
    return allowed ? get_header(area).components & allowed : XCR0_X87 | XCR0_SSE;
}

size_t fpu_bytes_of(uint64_t xcr0)
{
    size_t bytes = HEADER_OFFSET + HEADER_BYTES;

    for (unsigned int i = 2; i < 63; i++) {
        if (xcr0 >> i & 1) {
            struct cpuid_regs r = cpuid(0xd, i);

            bytes = max(bytes, (size_t)r.b + r.a);
        }
    }
    return bytes;
}

size_t fpu_compacted_bytes_of(uint64_t xcr0)
{
    size_t bytes = HEADER_OFFSET + HEADER_BYTES;

    for (unsigned int i = 2; i < 63; i++) {
        if (xcr0 >> i & 1) {
            struct cpuid_regs r = cpuid(0xd, i);

            bytes = r.c & COMPONENT_ALIGNS ? (bytes + 63) & ~(size_t)63 : bytes;
            bytes += r.a;
        }
    }
    return bytes;
}

int fpu_area_set(void *area, const void *from, size_t bytes, uint64_t xcr0)
{
    struct header h = get_header(from);
    uint64_t reserved = h.compaction;

    for (unsigned int i = 0; i < ARRAY_SIZE(h.reserved); i++) {
        reserved |= h.reserved[i];
    }
    if (reserved != 0 || (h.components & ~xcr0) || bytes > area_bytes) {
        return -EINVAL;
    }
    memcpy(area, from, bytes);
    memset((char *)area + bytes, 0, area_bytes - bytes);
    return 0;
}

/* A component in its initial state need not be in memory. */
void fpu_area_get_legacy(const void *area, void *fxsave)
{
    uint64_t components = fpu_area_components(area);
    uint16_t fcw = FCW_INITIAL;

    memcpy(fxsave, area, FXSAVE_BYTES);
    if (!(components & XCR0_X87)) {
        memset(fxsave, 0, MXCSR_OFFSET);
        memset((char *)fxsave + X87_REGISTERS, 0, XMM_REGISTERS - X87_REGISTERS);
        memcpy(fxsave, &fcw, sizeof(fcw));
    }
    if (!(components & XCR0_SSE)) {
        memset((char *)fxsave + XMM_REGISTERS, 0, FXSAVE_BYTES - XMM_REGISTERS);
    }
}

void fpu_area_set_legacy(void *area, const void *fxsave)
{
    memcpy(area, fxsave, FXSAVE_BYTES);
    if (allowed) {
        struct header h = get_header(area);

        h.components |= XCR0_X87 | XCR0_SSE;
        memcpy((char *)area + HEADER_OFFSET, &h, sizeof(h));
    }
}

void *fpu_area_alloc(void)
{
    void *area = x86_memory_ops.alloc(area_bytes);

    if (area != NULL) {
        fpu_area_reset(area);
    }
    return area;
}

void fpu_area_free(void *area)
{
    x86_memory_ops.free(area, area_bytes);
}

/* All components in force, while we handle them. */
static void open_components(const struct fpu_cpu *f)
{
    if (f->xcr0 != allowed && xsetbv_safe(0, allowed) != 0) {
        panic("XCR0 takes what it has taken before: %#lx.", allowed);
    }
}

static void close_components(const struct fpu_cpu *f)
{
    if (f->xcr0 != allowed && xsetbv_safe(0, f->xcr0) != 0) {
        panic("XCR0 takes what fpu_xcr0_is_valid() let through: %#lx.", f->xcr0);
    }
}

void fpu_save(void *area)
{
    const struct fpu_cpu *f = this_cpu_ptr(fpu_cpu);

    __asm__ volatile("clts" ::: "memory");
    if (!allowed) {
        fxsave(area);
        return;
    }
    open_components(f);
    if (cpu_has(FEATURE_XSAVEOPT)) {
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
    } else {
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
    }
    close_components(f);
}

/* Before Zen the last instruction's addresses stay another's unless an exception is pending:
 * overwrite them. */
static void clear_leaks(void)
{
    static const uint32_t zero;

    __asm__ volatile("fnclex\n\t"
                     "ffree %%st(7)\n\t"
                     "fildl %0" ::"m"(zero));
}

static int load(const void *area)
{
    if (!allowed) {
        __asm__ goto volatile("1: fxrstor64 (%0)\n" EXTABLE("1b", "%l[fault]")
                              :
                              : "r"(area)
                              : "memory"
                              : fault);
    } else {
        __asm__ goto volatile("1: xrstor64 (%0)\n" EXTABLE("1b", "%l[fault]")
                              :
                              : "r"(area), "a"(~0u), "d"(~0u)
                              : "memory"
                              : fault);
    }
    return 0;
fault:
    return -EINVAL;
}

int fpu_restore(const void *area)
{
    static const uint8_t initial[HEADER_OFFSET + HEADER_BYTES] aligned(64) = {
        [0] = FCW_INITIAL & 0xff,
        [1] = FCW_INITIAL >> 8,
        [MXCSR_OFFSET] = MXCSR_INITIAL & 0xff,
        [MXCSR_OFFSET + 1] = MXCSR_INITIAL >> 8,
    };
    const struct fpu_cpu *f = this_cpu_ptr(fpu_cpu);
    int rc;

    __asm__ volatile("clts" ::: "memory");
    if (cpu_has(FEATURE_FXSR_LEAKS)) {
        clear_leaks();
    }
    if (allowed) {
        open_components(f);
    }
    rc = load(area);
    if (rc != 0 && load(initial) != 0) {
        panic("The initial FPU state can be loaded.");
    }
    if (allowed) {
        close_components(f);
    }
    return rc;
}

bool fpu_xcr0_is_valid(uint64_t xcr0)
{
    uint64_t wide = xcr0 & XCR0_AVX512;

    return allowed && !(xcr0 & ~allowed) && xcr0 & XCR0_X87 &&
           (!(xcr0 & XCR0_YMM) || xcr0 & XCR0_SSE) &&
           (!wide || (wide == XCR0_AVX512 && xcr0 & XCR0_YMM));
}

void fpu_set_guest_xcr0(uint64_t xcr0)
{
    struct fpu_cpu *f = this_cpu_ptr(fpu_cpu);

    if (allowed && f->xcr0 != xcr0) {
        f->xcr0 = xcr0;
        if (xsetbv_safe(0, xcr0) != 0) {
            panic("XCR0 takes what fpu_xcr0_is_valid() let through: %#lx.", xcr0);
        }
    }
}
