/* SPDX-License-Identifier: MIT */
/* PVH: what is taken in, and that broken structures do no harm. */
/* sources: hv/boot/pvh.c hv/boot/fill.c hv/boot/phys.c hv/boot/memory_map.c hv/lib/string.c
 * tests/unit/boot/fake.c */
#include "boot/fake.h"

#include <xen/arch-x86/hvm/start_info.h>

static struct boot_info info;

#define START   FAKE_BASE
#define MODULES (FAKE_BASE + 0x1000)
#define MAP     (FAKE_BASE + 0x2000)
#define STRINGS (FAKE_BASE + 0x3000)

static struct hvm_start_info usual_start(void)
{
    static const struct hvm_modlist_entry modules[] = {
        { 0x1000000, 0x800000, STRINGS + 0x100, 0 },
        { 0x2000000, 0x1000, 0, 0 },
    };
    static const struct hvm_memmap_table_entry map[] = {
        { 0, 0x9fc00, 1, 0 },
        { 0x100000, 0x3ff00000, 1, 0 },
    };

    fake_reset(&info);
    fake_put_string(STRINGS, "console=com1 loglvl=all");
    fake_put_string(STRINGS + 0x100, "root=/dev/vda");
    fake_put(MODULES, modules, sizeof(modules));
    fake_put(MAP, map, sizeof(map));
    return (struct hvm_start_info){
        .magic = XEN_HVM_START_MAGIC_VALUE,
        .version = 1,
        .nr_modules = 2,
        .modlist_paddr = MODULES,
        .cmdline_paddr = STRINGS,
        .rsdp_paddr = 0xf5a30,
        .memmap_paddr = MAP,
        .memmap_entries = 2,
    };
}

static void read_it(const struct hvm_start_info *start)
{
    fake_put(START, start, sizeof(*start));
    boot_read_pvh(&info, START);
    boot_finish_memory(&info);
    fake_end();
}

static void takes_in_what_the_structure_tells(void **state)
{
    struct hvm_start_info start = usual_start();

    read_it(&start);
    assert_string_equal(info.protocol, "PVH");
    assert_string_equal(info.cmdline, "console=com1 loglvl=all");
    assert_int_equal(info.nr_modules, 2);
    assert_int_equal(info.modules[0].len_bytes, 0x800000);
    assert_string_equal(info.modules[0].cmdline, "root=/dev/vda");
    assert_int_equal(info.nr_e820, 2);
    assert_int_equal(info.rsdp.a, 0xf5a30);
    assert_int_equal(info.video, BOOT_VIDEO_NONE);
    assert_int_equal(fake_nr_lines(), 0);
}

static void reads_no_memory_map_from_version_0(void **state)
{
    struct hvm_start_info start = usual_start();

    start.version = 0;
    read_it(&start);
    assert_int_equal(info.nr_e820, 0);
    assert_int_equal(info.nr_modules, 2);
}

static void survives_sizes_and_addresses_that_wrap(void **state)
{
    static const struct hvm_modlist_entry wrapping = { 0x3000000, ~0ull - 0x100, 0, 0 };
    struct hvm_start_info start = usual_start();

    fake_put(MODULES, &wrapping, sizeof(wrapping));
    start.nr_modules = 0xffffffff;
    start.memmap_entries = 0xffffffff;
    start.memmap_paddr = ~0ull - 8;
    start.cmdline_paddr = ~0ull;
    read_it(&start);
    assert_int_equal(info.modules[0].start.a, 0x2000000);
    assert_int_equal(info.nr_e820, 0);
    assert_string_equal(info.cmdline, "");
}

static void survives_random_bytes(void **state)
{
    srand(3);
    for (unsigned int round = 0; round < 3000; round++) {
        struct hvm_start_info start = usual_start();
        uint8_t *bytes = (uint8_t *)&start;

        for (unsigned int i = 0; i < 8; i++) {
            bytes[4 + (unsigned int)rand() % (sizeof(start) - 4)] = (uint8_t)rand();
        }
        read_it(&start);
        assert_true(info.nr_modules <= BOOT_MAX_MODULES && info.nr_e820 <= BOOT_MAX_E820);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_in_what_the_structure_tells),
        cmocka_unit_test(reads_no_memory_map_from_version_0),
        cmocka_unit_test(survives_sizes_and_addresses_that_wrap),
        cmocka_unit_test(survives_random_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
