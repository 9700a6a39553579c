/* SPDX-License-Identifier: MIT */
/* sources: hv/mm/early.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mm/early.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/panic.h"

#define MIB (1ull << 20)

struct boot_info boot_info;

void log_print(enum log_level level, const char *fmt, ...)
{
}

void panic_give_up(const char *fmt, ...)
{
    fail_msg("panic: %s", fmt);
    abort();
}

/* 640 KiB, a hole, 63 MiB; an image and a module in the latter. */
static int start(void **state)
{
    boot_info = (struct boot_info){
        .nr_e820 = 2,
        .e820 = { { 0, 640 << 10, E820_RAM }, { MIB, 63 * MIB, E820_RAM } },
        .image_start = PADDR(2 * MIB),
        .image_end = PADDR(3 * MIB),
        .nr_modules = 1,
    };
    boot_info.modules[0].start = PADDR(10 * MIB + 123);
    boot_info.modules[0].len_bytes = MIB;
    early_init();
    return 0;
}

static bool is_left(uint64_t address)
{
    mfn_t first;
    uint64_t nr;

    for (unsigned int i = 0; early_left(i, &first, &nr); i++) {
        if ((address >> PAGE_SHIFT) - first.n < nr) {
            return true;
        }
    }
    return false;
}

/* 6.12 kernels look there for tables of the firmware, and take a refusal badly. */
static void memory_below_1_mib_stays_the_firmwares(void **state)
{
    for (uint64_t at = 0; at < MIB; at += PAGE_SIZE) {
        assert_false(is_left(at));
    }
    assert_true(is_left(MIB));
}

static void image_and_modules_are_kept(void **state)
{
    assert_true(is_left(2 * MIB - 1));
    assert_false(is_left(2 * MIB));
    assert_false(is_left(3 * MIB - 1));
    assert_true(is_left(3 * MIB));
    assert_true(is_left(10 * MIB - 1));
    assert_false(is_left(10 * MIB));
    assert_false(is_left(11 * MIB + 122));
    assert_true(is_left(11 * MIB + PAGE_SIZE));
    assert_false(is_left(64 * MIB));
}

static void the_highest_memory_that_will_do_is_taken_first(void **state)
{
    assert_int_equal(early_alloc(PAGE_SIZE, PAGE_SIZE, EARLY_ANYWHERE).a, 64 * MIB - PAGE_SIZE);
    assert_int_equal(early_alloc(1, 2 * MIB, EARLY_ANYWHERE).a, 62 * MIB);
    assert_int_equal(early_alloc(MIB, PAGE_SIZE, 11 * MIB).a, 9 * MIB);
    assert_false(is_left(62 * MIB));
    assert_true(is_left(62 * MIB + PAGE_SIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_below_1_mib_stays_the_firmwares),
        cmocka_unit_test(image_and_modules_are_kept),
        cmocka_unit_test(the_highest_memory_that_will_do_is_taken_first),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
