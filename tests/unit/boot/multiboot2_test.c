/* SPDX-License-Identifier: MIT */
/* Multiboot 2: what is taken in, and that broken lists of tags do no harm. */
/* sources: hv/boot/multiboot2.c hv/boot/efi.c hv/boot/efi_leave.c hv/boot/fill.c hv/boot/phys.c
 * hv/boot/memory_map.c hv/lib/string.c tests/unit/boot/fake.c */
#include "boot/fake.h"

static struct boot_info info;

#define MB     FAKE_BASE
#define EFI    (FAKE_BASE + 0x8000)
#define TABLES (FAKE_BASE + 0x9000)

static uint64_t end;

static void begin(void)
{
    fake_reset(&info);
    end = MB + 8;
}

/* A tag: kind, what follows its head; sizes as the specification has them. */
static void tag(uint32_t kind, const void *body, size_t len)
{
    fake_put32(end, kind);
    fake_put32(end + 4, (uint32_t)(8 + len));
    fake_put(end + 8, body, len);
    end += (8 + len + 7) & ~7ull;
}

static void text_tag(uint32_t kind, const char *text)
{
    tag(kind, text, strlen(text) + 1);
}

static void module_tag(uint32_t start, uint32_t stop, const char *text)
{
    char body[300];

    memcpy(body, &start, 4);
    memcpy(body + 4, &stop, 4);
    strcpy(body + 8, text);
    tag(3, body, 8 + strlen(text) + 1);
}

static void map_tag(void)
{
    static const struct {
        uint32_t size, version;
        struct {
            uint64_t start, len;
            uint32_t type, zero;
        } e[2];
    } body = { 24, 0, { { 0x100000, 0x7ff00000, 1, 0 }, { 0, 0x9f000, 1, 0 } } };

    tag(6, &body, sizeof(body));
}

static void finish(void)
{
    tag(0, "", 0);
    fake_put32(MB, (uint32_t)(end - MB));
    boot_read_multiboot2(&info, MB);
    boot_finish_memory(&info);
    fake_end();
}

static void takes_in_what_grub_gives(void **state)
{
    begin();
    text_tag(1, "placeholder no-real-mode edd=off");
    module_tag(0x1000000, 0x1800000, "placeholder root=/dev/sda1 ro quiet");
    module_tag(0x2000000, 0x2000010, "");
    map_tag();
    text_tag(2, "GRUB 2.06-13+deb12u2");
    finish();
    assert_string_equal(info.protocol, "multiboot 2");
    assert_string_equal(info.loader, "GRUB 2.06-13+deb12u2");
    assert_string_equal(info.cmdline, "placeholder no-real-mode edd=off");
    assert_int_equal(info.nr_modules, 2);
    assert_int_equal(info.modules[0].len_bytes, 0x800000);
    assert_string_equal(info.modules[0].cmdline, "placeholder root=/dev/sda1 ro quiet");
    assert_int_equal(info.nr_e820, 2);
    assert_int_equal(info.e820[0].len, 0x9f000);
    assert_int_equal(info.rsdp.a, 0);
    assert_int_equal(fake_nr_lines(), 0);
}

static void drops_the_file_name_of_other_loaders(void **state)
{
    begin();
    text_tag(1, "/mansio console=vga");
    module_tag(0x1000000, 0x1800000, "/vmlinuz");
    finish();
    assert_string_equal(info.cmdline, "console=vga");
    assert_string_equal(info.modules[0].cmdline, "");
}

static void takes_the_framebuffer(void **state)
{
    static const struct {
        uint64_t addr;
        uint32_t pitch, width, height;
        uint8_t bpp, kind, reserved[2], rgb[6];
    } body = { 0x80000000, 4096, 1024, 768, 32, 1, { 0 }, { 16, 8, 8, 8, 0, 8 } };

    begin();
    tag(8, &body, 30);
    finish();
    assert_int_equal(info.video, BOOT_VIDEO_FRAMEBUFFER);
    assert_int_equal(info.fb.width, 1024);
    assert_int_equal(info.fb.red_pos, 16);
    assert_int_equal(info.fb.blue_size, 8);
}

static void refuses_a_framebuffer_whose_lines_do_not_hold_its_pixels(void **state)
{
    static const struct {
        uint64_t addr;
        uint32_t pitch, width, height;
        uint8_t bpp, kind, reserved[2];
    } body = { 0x80000000, 4096, 0x40000001, 768, 32, 1, { 0 } };

    begin();
    tag(8, &body, 24);
    finish();
    assert_int_equal(info.video, BOOT_VIDEO_NONE);
    assert_int_equal(fake_nr_lines(), 1);
}

static void efi_tables(uint64_t nr)
{
    static const uint8_t acpi2[] = { 0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11,
                                     0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 };
    uint64_t system = EFI;

    tag(12, &system, sizeof(system));
    fake_put64(EFI, 0x5453595320494249ull);
    fake_put64(EFI + 104, nr);
    fake_put64(EFI + 112, TABLES);
    fake_put(TABLES + 24, acpi2, sizeof(acpi2));
    fake_put64(TABLES + 24 + 16, 0x7ffe0014);
}

static void finds_the_root_table_of_acpi_in_efi_tables(void **state)
{
    char body[36] = "RSD PTR ";

    begin();
    efi_tables(2);
    tag(15, body, sizeof(body));
    finish();
    assert_int_equal(info.efi_system_table.a, EFI);
    assert_int_equal(info.rsdp.a, 0x7ffe0014);
}

static void keeps_a_copy_of_the_root_table_where_efi_tells_none(void **state)
{
    char body[36] = "RSD PTR ";

    begin();
    efi_tables(1);
    tag(15, body, sizeof(body));
    finish();
    assert_int_not_equal(info.rsdp.a, 0);

    begin();
    efi_tables(~0ull);
    fake_put64(EFI + 112, ~0ull - 30);
    finish();
    assert_int_equal(info.rsdp.a, 0);
}

static void stops_at_a_broken_tag(void **state)
{
    static const uint32_t sizes[] = { 0, 7, 0xffffffff, 0x80000000, 15 };

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        begin();
        fake_put32(end, 3);
        fake_put32(end + 4, sizes[i]);
        end += 16;
        text_tag(1, "a b");
        finish();
        assert_string_equal(info.cmdline, "");
        assert_int_equal(fake_nr_lines(), 1);
    }
}

static void reads_nothing_beyond_the_list(void **state)
{
    fake_reset(&info);
    fake_put32(MB, 0xffffffff);
    boot_read_multiboot2(&info, MB);
    fake_put32(FAKE_BASE + FAKE_BYTES - 8, 16);
    boot_read_multiboot2(&info, FAKE_BASE + FAKE_BYTES - 8);
    boot_read_multiboot2(&info, MB + 4);
    boot_read_multiboot2(&info, 0);
    assert_int_equal(info.nr_modules, 0);
    fake_end();
}

static void ends_a_string_with_its_tag(void **state)
{
    begin();
    tag(1, "abc def", 7);
    text_tag(2, "GRUB 2.06");
    finish();
    assert_string_equal(info.cmdline, "abc def");
}

static void survives_random_bytes(void **state)
{
    srand(2);
    for (unsigned int round = 0; round < 3000; round++) {
        begin();
        text_tag(2, "GRUB 2.06");
        map_tag();
        module_tag(0x1000000, 0x1800000, "placeholder root=/dev/sda1 ro quiet");
        efi_tables(2);
        tag(14, "RSD PTR 123456789012", 20);
        tag(4, "12345678", 8);
        for (unsigned int i = 0; i < 10; i++) {
            uint8_t byte = (uint8_t)(rand() % 2 ? rand() : rand() % 16);

            fake_put(MB + (unsigned int)rand() % (end - MB), &byte, 1);
        }
        finish();
        assert_true(info.nr_modules <= BOOT_MAX_MODULES && info.nr_e820 <= BOOT_MAX_E820);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_in_what_grub_gives),
        cmocka_unit_test(drops_the_file_name_of_other_loaders),
        cmocka_unit_test(takes_the_framebuffer),
        cmocka_unit_test(refuses_a_framebuffer_whose_lines_do_not_hold_its_pixels),
        cmocka_unit_test(finds_the_root_table_of_acpi_in_efi_tables),
        cmocka_unit_test(keeps_a_copy_of_the_root_table_where_efi_tells_none),
        cmocka_unit_test(stops_at_a_broken_tag),
        cmocka_unit_test(reads_nothing_beyond_the_list),
        cmocka_unit_test(ends_a_string_with_its_tag),
        cmocka_unit_test(survives_random_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
