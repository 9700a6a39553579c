/* SPDX-License-Identifier: MIT */
/* Names for addresses: the search in the table that the build makes. */
/* sources: hv/sys/symbols.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sys/symbols.h"

/* An image of 64 bytes at address 0x1000: init code, then other code from byte 32 on. */
__asm__(".globl __image_start, __init_start, __init_text_end, __text_start, __text_end\n"
        "__image_start = 0x1000\n"
        "__init_start = 0x1000\n"
        "__init_text_end = 0x1010\n"
        "__text_start = 0x1020\n"
        "__text_end = 0x1040\n");

const uint32_t symbol_count = 3;
const struct {
    uint32_t offset, name;
} symbol_entries[] = { { 4, 0 }, { 32, 6 }, { 48, 13 } };
const char symbol_names[] = "first\0second\0third";

static void names_the_function_that_an_address_lies_in(void **state)
{
    static const struct {
        uint64_t addr;
        const char *name;
        uint64_t offset;
    } cases[] = {
        { 0x1004, "first", 0 },   { 0x100f, "first", 11 }, { 0x1020, "second", 0 },
        { 0x102f, "second", 15 }, { 0x1030, "third", 0 },  { 0x103f, "third", 15 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t offset = ~0ull;

        assert_string_equal(symbol_lookup(cases[i].addr, &offset), cases[i].name);
        assert_int_equal(offset, cases[i].offset);
    }
}

static void knows_no_name_outside_code(void **state)
{
    static const uint64_t cases[] = { 0, 0xfff, 0x1003, 0x1010, 0x101f, 0x1040, ~0ull };
    uint64_t offset;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_null(symbol_lookup(cases[i], &offset));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_function_that_an_address_lies_in),
        cmocka_unit_test(knows_no_name_outside_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
