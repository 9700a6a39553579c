/* SPDX-License-Identifier: MIT */
/* sources: */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "irq/encode.h"

static void redirection_entries_are_as_the_data_sheet_says(void **state)
{
    assert_int_equal(rte_encode(0x31, 0, false, false, false), 0x31);
    assert_int_equal(rte_encode(0xef, 0xfe, false, false, false), 0xfe000000000000efull);
    assert_int_equal(rte_encode(0x40, 1, true, false, false), 0x0100000000008040ull);
    assert_int_equal(rte_encode(0x40, 1, true, true, false), 0x010000000000a040ull);
    assert_int_equal(rte_encode(0x40, 1, true, true, true), 0x010000000001a040ull);
    assert_int_equal(rte_encode(0, 0, false, false, true), 0x10000);
}

static void messages_are_as_the_manual_says(void **state)
{
    assert_int_equal(msi_encode_address(0), 0xfee00000u);
    assert_int_equal(msi_encode_address(7), 0xfee07000u);
    assert_int_equal(msi_encode_address(254), 0xfeefe000u);
    assert_int_equal(msi_encode_data(0xa5), 0xa5);
}

static void control_keeps_what_is_not_ours(void **state)
{
    assert_int_equal(msi_encode_control(0x0180, 0, true), 0x0181);
    assert_int_equal(msi_encode_control(0x0181, 3, false), 0x01b0);
    assert_int_equal(msi_encode_control(0x01ff, 5, true), 0x01df);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redirection_entries_are_as_the_data_sheet_says),
        cmocka_unit_test(messages_are_as_the_manual_says),
        cmocka_unit_test(control_keeps_what_is_not_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
