/* SPDX-License-Identifier: MIT */
/* Multiboot 1: what is taken in, and that broken structures do no harm. */
/* sources: hv/boot/multiboot1.c hv/boot/fill.c hv/boot/phys.c hv/boot/memory_map.c hv/lib/string.c
 * tests/unit/boot/fake.c */
#include "boot/fake.h"

static struct boot_info info;

/* Where the pieces lie; offsets in the structure are the specification's. */
#define MB      FAKE_BASE
#define STRINGS (FAKE_BASE + 0x1000)
#define MODULES (FAKE_BASE + 0x2000)
#define MMAP    (FAKE_BASE + 0x3000)

static void usual_structure(const char *loader)
{
    fake_reset(&info);
    fake_put32(MB, 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
    fake_put_string(STRINGS, "/boot/mansio  console=com1 dom0_mem=512M");
    fake_put32(MB + 16, STRINGS);
    fake_put_string(STRINGS + 0x100, loader);
    fake_put32(MB + 64, STRINGS + 0x100);
    fake_put_string(STRINGS + 0x200, "vmlinuz root=/dev/sda1 ro");
    fake_put32(MB + 20, 2);
    fake_put32(MB + 24, MODULES);
    fake_put32(MODULES, 0x1000000);
    fake_put32(MODULES + 4, 0x1000fff);
    fake_put32(MODULES + 8, STRINGS + 0x200);
    fake_put32(MODULES + 16, 0x2000000);
    fake_put32(MODULES + 20, 0x2000001);
    fake_put32(MB + 44, 48);
    fake_put32(MB + 48, MMAP);
    for (unsigned int i = 0; i < 2; i++) {
        fake_put32(MMAP + i * 24, 20);
        fake_put64(MMAP + i * 24 + 4, i * 0x100000);
        fake_put64(MMAP + i * 24 + 12, 0x9f000);
        fake_put32(MMAP + i * 24 + 20, 1);
    }
}

static void read_it(void)
{
    boot_read_multiboot1(&info, MB);
    boot_finish_memory(&info);
    fake_end();
}

static void takes_in_what_qemu_gives(void **state)
{
    usual_structure("qemu");
    read_it();
    assert_string_equal(info.protocol, "multiboot 1");
    assert_string_equal(info.loader, "qemu");
    assert_string_equal(info.cmdline, "console=com1 dom0_mem=512M");
    assert_int_equal(info.nr_modules, 2);
    assert_int_equal(info.modules[0].start.a, 0x1000000);
    assert_int_equal(info.modules[0].len_bytes, 0xfff);
    assert_string_equal(info.modules[0].cmdline, "root=/dev/sda1 ro");
    assert_int_equal(info.modules[1].len_bytes, 1);
    assert_string_equal(info.modules[1].cmdline, "");
    assert_int_equal(info.nr_e820, 2);
    assert_int_equal(info.e820[1].start, 0x100000);
    assert_int_equal(info.video, BOOT_VIDEO_TEXT);
    assert_int_equal(fake_nr_lines(), 0);
}

static void keeps_the_first_word_where_grub_2_gives_no_file_name(void **state)
{
    static const struct {
        const char *loader, *line;
    } cases[] = {
        { "GRUB 2.06-13", "/boot/mansio  console=com1 dom0_mem=512M" },
        { "GRUB 10.0", "/boot/mansio  console=com1 dom0_mem=512M" },
        { "GRUB 0.97", "console=com1 dom0_mem=512M" },
        { "GRUB 1.99", "console=com1 dom0_mem=512M" },
        { "iPXE 1.21", "console=com1 dom0_mem=512M" },
        { "GRUB ", "console=com1 dom0_mem=512M" },
        { "", "console=com1 dom0_mem=512M" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        usual_structure(cases[i].loader);
        read_it();
        assert_string_equal(info.cmdline, cases[i].line);
    }
}

static void takes_the_two_sizes_where_there_is_no_map(void **state)
{
    fake_reset(&info);
    fake_put32(MB, 1);
    fake_put32(MB + 4, 640);
    fake_put32(MB + 8, 0xffffffff);
    read_it();
    assert_int_equal(info.nr_e820, 2);
    assert_int_equal(info.e820[0].len, 640 * 1024);
    assert_int_equal(info.e820[1].len, 0xffffffffull * 1024);
}

static void leaves_out_modules_that_are_empty_or_lie_over_us(void **state)
{
    usual_structure("qemu");
    fake_put32(MODULES, 0x2ff000);
    fake_put32(MODULES + 20, 0x2000000);
    read_it();
    assert_int_equal(info.nr_modules, 0);
    assert_int_equal(fake_nr_lines(), 2);
}

static void cuts_long_strings(void **state)
{
    usual_structure("qemu");
    for (uint64_t i = 0; i < 0x800; i++) {
        fake_put(FAKE_BASE + 0x8000 + i, "x", 1);
    }
    fake_put32(MB + 16, FAKE_BASE + 0x8000);
    fake_put32(MB + 64, FAKE_BASE + 0x8000);
    read_it();
    assert_int_equal(strlen(info.loader), sizeof(info.loader) - 1);
    assert_string_equal(info.cmdline, "");
    assert_int_equal(fake_nr_lines(), 2);
}

static void ends_with_a_list_that_does_not_end(void **state)
{
    usual_structure("qemu");
    fake_put32(MB + 20, 0xffffffff);
    fake_put32(MB + 44, 0xffffffff);
    fake_put32(MMAP + 24, 0);
    read_it();
    assert_int_equal(info.nr_modules, 2);
    assert_int_equal(info.nr_e820, 1);
}

static void reads_nothing_from_addresses_that_are_not_there(void **state)
{
    usual_structure("qemu");
    fake_put32(MB + 16, 0xfffffff0);
    fake_put32(MB + 24, 0xfffffff8);
    fake_put32(MB + 48, 0xfffffff8);
    fake_put32(MB + 64, 0);
    read_it();
    assert_string_equal(info.cmdline, "");
    assert_int_equal(info.nr_modules, 0);
    assert_int_equal(info.nr_e820, 0);

    fake_reset(&info);
    boot_read_multiboot1(&info, FAKE_BASE + FAKE_BYTES - 20);
    boot_read_multiboot1(&info, 0);
    fake_end();
}

/* Whatever is there: the sanitizers see every read and write. */
static void survives_random_bytes(void **state)
{
    srand(1);
    for (unsigned int round = 0; round < 3000; round++) {
        usual_structure("qemu");
        for (unsigned int i = 0; i < 40; i++) {
            uint8_t byte = (uint8_t)rand();
            uint64_t where =
                round % 2 ? MB + (unsigned int)rand() % 128 : MB + (unsigned int)rand() % 0x3100;

            fake_put(where, &byte, 1);
        }
        read_it();
        assert_true(info.nr_modules <= BOOT_MAX_MODULES && info.nr_e820 <= BOOT_MAX_E820);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_in_what_qemu_gives),
        cmocka_unit_test(keeps_the_first_word_where_grub_2_gives_no_file_name),
        cmocka_unit_test(takes_the_two_sizes_where_there_is_no_map),
        cmocka_unit_test(leaves_out_modules_that_are_empty_or_lie_over_us),
        cmocka_unit_test(cuts_long_strings),
        cmocka_unit_test(ends_with_a_list_that_does_not_end),
        cmocka_unit_test(reads_nothing_from_addresses_that_are_not_there),
        cmocka_unit_test(survives_random_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
