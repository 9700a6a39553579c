/* SPDX-License-Identifier: MIT */
/* Leaving EFI's boot services: the calls made, the memory map kept, and each refusal's sentence. */
/* sources: hv/boot/multiboot2.c hv/boot/efi.c hv/boot/efi_leave.c hv/boot/fill.c hv/boot/phys.c
 * hv/boot/memory_map.c hv/lib/string.c tests/unit/boot/fake.c */
#include "boot/fake.h"

#include "drivers/efi_tables.h"

#define MB          FAKE_BASE
#define ENTRY_BYTES 48u
#define HANDLE      0x1234567890ull
#define CHANGED     0x8000000000000002ull /* EFI_INVALID_PARAMETER */
#define TOO_SMALL   0x8000000000000005ull /* EFI_BUFFER_TOO_SMALL */

static struct boot_info info;
static uint64_t end;

/* The firmware: refuses to leave nr_refusals times, as the map has changed. */
static struct {
    uint64_t map_status;
    uint64_t entry_bytes;
    unsigned int nr_refusals;
    unsigned int nr_entries;
    struct efi_memory map[8];
    uint64_t key;
    unsigned int nr_exits;
    bool has_left;
} firmware;

static uint64_t EFI_API give_map(uint64_t *map_bytes, void *map, uint64_t *key,
                                 uint64_t *entry_bytes, uint32_t *version)
{
    assert_true(*map_bytes >= 16384);
    *map_bytes = firmware.nr_entries * (uint64_t)ENTRY_BYTES;
    *entry_bytes = firmware.entry_bytes;
    *version = 1;
    *key = ++firmware.key;
    for (unsigned int i = 0; i < firmware.nr_entries; i++) {
        memcpy((char *)map + i * ENTRY_BYTES, &firmware.map[i], sizeof(firmware.map[i]));
    }
    return firmware.map_status;
}

static uint64_t EFI_API leave(uint64_t handle, uint64_t key)
{
    assert_int_equal(handle, HANDLE);
    assert_int_equal(key, firmware.key);
    if (firmware.nr_exits++ < firmware.nr_refusals) {
        firmware.key++;
        return CHANGED;
    }
    firmware.has_left = true;
    return EFI_SUCCESS;
}

static struct efi_boot_services services = {
    .get_memory_map = give_map,
    .exit_boot_services = leave,
};
static struct efi_system_table table;

static void memory(uint32_t type, uint64_t start, uint64_t stop)
{
    firmware.map[firmware.nr_entries++] =
        (struct efi_memory){ .type = type, .start = start, .nr_pages = (stop - start) / PAGE_SIZE };
}

static void tag(uint32_t kind, const void *body, uint32_t len)
{
    fake_put32(end, kind);
    fake_put32(end + 4, 8 + len);
    fake_put(end + 8, body, len);
    end += (8 + len + 7) & ~7ull;
}

/* A machine whose firmware and loader do all that they should. */
static void begin(void)
{
    fake_reset(&info);
    memset(&firmware, 0, sizeof(firmware));
    firmware.entry_bytes = ENTRY_BYTES;
    table = (struct efi_system_table){ .signature = EFI_SYSTEM_TABLE_SIGNATURE,
                                       .boot_services = (uint64_t)&services };
    memory(EFI_BOOT_SERVICES_CODE, 0, 0x1000);
    memory(EFI_CONVENTIONAL, 0x1000, 0xa0000);
    memory(EFI_LOADER_DATA, 0x100000, 0x200000);
    memory(EFI_LOADER_CODE, 0x200000, 0x300000);
    memory(EFI_ACPI_NVS, 0x300000, 0x301000);
    memory(EFI_RUNTIME_SERVICES_CODE, 0x301000, 0x302000);
    memory(EFI_RESERVED, 0x302000, 0x303000);
    memory(14, 0x303000, 0x304000);
    end = MB + 8;
}

/* The loader's tags, and both readers in the order of a start. */
static void start(uint64_t table_address, uint64_t handle, bool services_on)
{
    tag(12, &table_address, sizeof(table_address));
    if (services_on) {
        tag(18, "", 0);
    }
    tag(20, &handle, sizeof(handle));
    tag(0, "", 0);
    fake_put32(MB, (uint32_t)(end - MB));
    boot_leave_multiboot2(MB);
    boot_read_multiboot2(&info, MB);
    boot_finish_memory(&info);
    fake_end();
}

static const char *complaint(uint64_t expected_status)
{
    uint64_t status;
    const char *text = boot_efi_complaint(&status);

    assert_int_equal(status, expected_status);
    return text;
}

static void expect_stretch(unsigned int i, uint64_t from, uint64_t to, uint32_t type)
{
    assert_int_equal(info.e820[i].start, from);
    assert_int_equal(info.e820[i].start + info.e820[i].len, to);
    assert_int_equal(info.e820[i].type, type);
}

static void expect_map(void)
{
    assert_true(firmware.has_left);
    assert_null(complaint(EFI_SUCCESS));
    assert_int_equal(info.nr_e820, 4);
    expect_stretch(0, 0, 0xa0000, E820_RAM);
    expect_stretch(1, 0x100000, 0x300000, E820_RAM);
    expect_stretch(2, 0x300000, 0x301000, E820_NVS);
    expect_stretch(3, 0x301000, 0x304000, E820_RESERVED);
}

/* First of all tests: nothing was tried yet. */
static void services_that_only_the_64_bit_entry_could_leave_are_told(void **state)
{
    begin();
    tag(18, "", 0);
    fake_put32(MB, (uint32_t)(end - MB));
    boot_read_multiboot2(&info, MB);
    fake_end();
    assert_non_null(strstr(complaint(0), "32-bit"));
}

static void leaves_and_keeps_the_memory_map(void **state)
{
    begin();
    start((uint64_t)&table, HANDLE, true);
    assert_int_equal(firmware.nr_exits, 1);
    expect_map();
}

static void takes_the_map_again_when_it_has_changed(void **state)
{
    begin();
    firmware.nr_refusals = 3;
    start((uint64_t)&table, HANDLE, true);
    assert_int_equal(firmware.nr_exits, 4);
    expect_map();
}

static void calls_nothing_if_the_loader_has_left(void **state)
{
    begin();
    start((uint64_t)&table, HANDLE, false);
    assert_int_equal(firmware.nr_exits, 0);
    assert_int_equal(firmware.key, 0);
}

static void names_what_the_loader_did_not_tell(void **state)
{
    begin();
    start(0, HANDLE, true);
    assert_non_null(strstr(complaint(0), "no system table"));

    begin();
    table.signature++;
    start((uint64_t)&table, HANDLE, true);
    assert_non_null(strstr(complaint(0), "no system table"));

    begin();
    start((uint64_t)&table, 0, true);
    assert_non_null(strstr(complaint(0), "no image handle"));
    assert_int_equal(info.nr_e820, 0);
}

static void names_the_service_that_failed(void **state)
{
    begin();
    firmware.map_status = TOO_SMALL;
    start((uint64_t)&table, HANDLE, true);
    assert_non_null(strstr(complaint(TOO_SMALL), "no memory map"));

    begin();
    firmware.entry_bytes = sizeof(struct efi_memory) - 8;
    start((uint64_t)&table, HANDLE, true);
    assert_non_null(strstr(complaint(0), "no memory map"));
    assert_int_equal(firmware.nr_exits, 0);

    begin();
    firmware.nr_refusals = ~0u;
    start((uint64_t)&table, HANDLE, true);
    assert_non_null(strstr(complaint(CHANGED), "did not let us leave"));
    assert_int_equal(info.nr_e820, 0);
}

static void survives_entries_that_wrap(void **state)
{
    begin();
    firmware.map[7].start = ~0ull << 12;
    firmware.map[7].nr_pages = ~0ull;
    firmware.map[6].nr_pages = ~0ull;
    start((uint64_t)&table, HANDLE, true);
    assert_int_equal(info.nr_e820, 4);
    expect_stretch(3, 0x301000, 1ull << 52, E820_RESERVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_that_only_the_64_bit_entry_could_leave_are_told),
        cmocka_unit_test(leaves_and_keeps_the_memory_map),
        cmocka_unit_test(takes_the_map_again_when_it_has_changed),
        cmocka_unit_test(calls_nothing_if_the_loader_has_left),
        cmocka_unit_test(names_what_the_loader_did_not_tell),
        cmocka_unit_test(names_the_service_that_failed),
        cmocka_unit_test(survives_entries_that_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
