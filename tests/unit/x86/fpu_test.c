/* SPDX-License-Identifier: MIT */
/* sources: hv/x86/fpu.c tests/unit/x86/fake.c */
/*
 * The build machine's processor tells which components there are; the tests
 * hold for any.
 */
#include "x86/fake.h"

#include "x86/features.h"
#include "x86/fpu.h"
#include "x86/memory.h"
#include "x86/regs.h"
#include "x86/safe.h"

static uint64_t xcr0;
static unsigned int nr_sets;

int xsetbv_safe(uint32_t index, uint64_t value)
{
    assert_int_equal(index, 0);
    xcr0 = value;
    nr_sets++;
    return 0;
}

static void *alloc(size_t size)
{
    return aligned_alloc(64, (size + 63) & ~63ul);
}

static void give_back(void *p, size_t size)
{
    free(p);
}

const struct x86_memory_ops x86_memory_ops = { .alloc = alloc, .free = give_back };

static int setup(void **state)
{
    fake_reset();
    cpu_features.bits = 1ull << FEATURE_XSAVE;
    fpu_init();
    fpu_init_cpu();
    nr_sets = 0;
    return 0;
}

static void components_that_need_others_are_refused_alone(void **state)
{
    assert_true(fpu_xcr0_is_valid(XCR0_X87));
    assert_true(fpu_xcr0_is_valid(fpu_xcr0_allowed()));
    assert_false(fpu_xcr0_is_valid(0));
    assert_false(fpu_xcr0_is_valid(XCR0_SSE));
    assert_false(fpu_xcr0_is_valid(XCR0_X87 | XCR0_YMM));
    assert_false(fpu_xcr0_is_valid(XCR0_X87 | XCR0_SSE | (XCR0_AVX512 & -XCR0_AVX512)));
    assert_false(fpu_xcr0_is_valid(fpu_xcr0_allowed() | 1ull << 62));
}

/* The first one: what fpu_init() finds stays. */
static void without_xsave_there_is_no_xcr0(void **state)
{
    fake_reset();
    fpu_init();
    fpu_init_cpu();
    assert_int_equal(fpu_area_bytes(), 512);
    fpu_set_guest_xcr0(XCR0_X87);
    assert_int_equal(nr_sets, 0);
}

static void a_guests_components_are_set_when_they_change(void **state)
{
    fpu_set_guest_xcr0(fpu_xcr0_allowed());
    assert_int_equal(nr_sets, 0);
    fpu_set_guest_xcr0(XCR0_X87);
    assert_int_equal(nr_sets, 1);
    assert_int_equal(xcr0, XCR0_X87);
    fpu_set_guest_xcr0(XCR0_X87);
    assert_int_equal(nr_sets, 1);
}

static void a_new_area_is_in_the_initial_state(void **state)
{
    uint8_t *area = fpu_area_alloc();

    assert_int_equal(area[0] | area[1] << 8, 0x37f);    /* control word: all exceptions masked */
    assert_int_equal(area[24] | area[25] << 8, 0x1f80); /* MXCSR: likewise */
    assert_int_equal(area[160], 0);
    fpu_area_free(area);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_xsave_there_is_no_xcr0),
        cmocka_unit_test_setup(components_that_need_others_are_refused_alone, setup),
        cmocka_unit_test_setup(a_guests_components_are_set_when_they_change, setup),
        cmocka_unit_test_setup(a_new_area_is_in_the_initial_state, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
