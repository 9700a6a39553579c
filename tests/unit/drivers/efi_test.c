/* SPDX-License-Identifier: MIT */
/* sources: hv/drivers/efi.c */
/* Reading EFI's system table: what is kept of a good one, and of odd ones. */
#include "drivers/efi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sys/log.h"

static uint8_t memory[4096];

void log_print(enum log_level level, const char *fmt, ...)
{
    (void)level, (void)fmt;
}

static const void *map(paddr_t p, size_t len)
{
    return p.a + len <= sizeof(memory) ? memory + p.a : NULL;
}

static void put64(unsigned int at, uint64_t value)
{
    memcpy(memory + at, &value, sizeof(value));
}

/* A table at 256 whose vendor's name is at 512. */
static int good_table(void **state)
{
    static const uint16_t name[] = { 'A', 'B', 0 };

    (void)state;
    memset(memory, 0, sizeof(memory));
    memset(&efi_info, 0, sizeof(efi_info));
    put64(256, 0x5453595320494249ull);
    put64(256 + 8, 2u << 16 | 70u);
    put64(256 + 24, 512);
    put64(256 + 32, 7);
    put64(256 + 104, 11);
    put64(256 + 112, 0x12345678);
    memcpy(memory + 512, name, sizeof(name));
    return 0;
}

static void a_good_table_is_kept(void **state)
{
    (void)state;
    efi_init(PADDR(256), map);
    assert_true(efi_info.is_present);
    assert_int_equal(efi_info.revision, 2u << 16 | 70u);
    assert_int_equal(efi_info.firmware_revision, 7);
    assert_int_equal(efi_info.config_tables.a, 0x12345678);
    assert_int_equal(efi_info.nr_config_tables, 11);
    assert_int_equal(efi_info.vendor_bytes, 6);
    assert_int_equal(efi_info.vendor[1], 'B');
}

static void no_table_is_no_efi(void **state)
{
    (void)state;
    efi_init(PADDR(0), map);
    assert_false(efi_info.is_present);
    efi_init(PADDR(1ull << 40), map);
    assert_false(efi_info.is_present);
}

static void a_wrong_signature_or_a_wild_count_is_refused(void **state)
{
    (void)state;
    put64(256, 1);
    efi_init(PADDR(256), map);
    assert_false(efi_info.is_present);
    good_table(state);
    put64(256 + 104, 1ull << 33);
    efi_init(PADDR(256), map);
    assert_false(efi_info.is_present);
}

static void a_name_without_an_end_is_cut(void **state)
{
    (void)state;
    memset(memory + 512, 'x', 2048);
    efi_init(PADDR(256), map);
    assert_int_equal(efi_info.vendor_bytes, EFI_VENDOR_MAX * 2);
    assert_int_equal(efi_info.vendor[EFI_VENDOR_MAX - 1], 0);
}

static void a_missing_name_is_empty(void **state)
{
    (void)state;
    put64(256 + 24, 0);
    efi_init(PADDR(256), map);
    assert_true(efi_info.is_present);
    assert_int_equal(efi_info.vendor_bytes, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_good_table_is_kept, good_table),
        cmocka_unit_test_setup(no_table_is_no_efi, good_table),
        cmocka_unit_test_setup(a_wrong_signature_or_a_wild_count_is_refused, good_table),
        cmocka_unit_test_setup(a_name_without_an_end_is_cut, good_table),
        cmocka_unit_test_setup(a_missing_name_is_empty, good_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
