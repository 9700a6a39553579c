/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables, good and hostile.  Each piece of memory that the parser maps
 * is handed to it as an allocation of just that size, so that any step beyond
 * is caught.
 */
/* sources: hv/drivers/acpi.c hv/lib/string.c tests/unit/sys/fake_log.c */
#include "drivers/acpi.h"

#include "lib/checksum.h"
#include "sys/fake_log.h"

#define BASE 0x7fe0000ul
#define SIZE 0x10000ul
#define RSDP (BASE + 0x100)
#define XSDT (BASE + 0x200)
#define RSDT (BASE + 0x400)
#define FACP (BASE + 0x1000)
#define MADT (BASE + 0x6000)
#define DSDT (BASE + 0x3000)
#define HPET (BASE + 0x4000)
#define MCFG (BASE + 0x5000)

static uint8_t memory[SIZE];
static uint8_t bios[0x20000]; /* from 0xe0000 on */
static void *mapped[4096];
static unsigned int nr_mapped;

static const void *map(paddr_t p, size_t len)
{
    const uint8_t *from = NULL;
    void *copy;

    if (p.a >= BASE && p.a - BASE <= SIZE && len <= SIZE - (p.a - BASE)) {
        from = memory + (p.a - BASE);
    } else if (p.a >= 0xe0000 && p.a <= 0x100000 && len <= 0x100000 - p.a) {
        from = bios + (p.a - 0xe0000);
    }
    if (!from || nr_mapped == ARRAY_SIZE(mapped)) {
        return NULL;
    }
    copy = malloc(len ? len : 1);
    memcpy(copy, from, len);
    mapped[nr_mapped++] = copy;
    return copy;
}

static const struct acpi_mem_ops ops = { map };

static void unmap_all(void)
{
    while (nr_mapped) {
        free(mapped[--nr_mapped]);
    }
}

static void put(uint64_t at, const void *data, size_t len)
{
    memcpy(memory + (at - BASE), data, len);
}

static void put_n(uint64_t at, uint64_t value, size_t len)
{
    put(at, &value, len);
}

/* Make the sum of [at, at + len) zero by changing the byte at @sum_at. */
static void seal(uint64_t at, size_t len, uint64_t sum_at)
{
    uint8_t *m = memory + (at - BASE);

    memory[sum_at - BASE] = (uint8_t)(memory[sum_at - BASE] - checksum8(m, len));
}

static void put_table(uint64_t at, const char *signature, uint32_t len)
{
    put(at, signature, 4);
    put_n(at + 4, len, 4);
    seal(at, len, at + 9);
}

static void put_roots(void)
{
    static const uint64_t tables[] = { FACP, MADT, HPET, MCFG, MADT };

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        put_n(XSDT + 36 + i * 8, tables[i], 8);
        put_n(RSDT + 36 + i * 4, tables[i], 4);
    }
    put_table(XSDT, "XSDT", 36 + ARRAY_SIZE(tables) * 8);
    put_table(RSDT, "RSDT", 36 + ARRAY_SIZE(tables) * 4);
    put(RSDP, "RSD PTR ", 8);
    put_n(RSDP + 15, 2, 1);
    put_n(RSDP + 16, RSDT, 4);
    put_n(RSDP + 20, 36, 4);
    put_n(RSDP + 24, XSDT, 8);
    seal(RSDP, 20, RSDP + 8);
    seal(RSDP, 36, RSDP + 32);
}

static uint32_t madt_len;

static void add_entry(const void *entry, uint8_t len)
{
    put(MADT + madt_len, entry, len);
    madt_len += len;
}

static void put_madt(void)
{
    madt_len = 44;
    put_n(MADT + 36, 0xfee00000, 4);
    put_n(MADT + 40, 1, 4);
    add_entry((uint8_t[]){ 0, 8, 0, 0, 1, 0, 0, 0 }, 8);
    add_entry((uint8_t[]){ 0, 8, 1, 2, 1, 0, 0, 0 }, 8);
    add_entry((uint8_t[]){ 0, 8, 2, 4, 0, 0, 0, 0 }, 8); /* disabled */
    add_entry((uint8_t[]){ 9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0 }, 16);
    add_entry((uint8_t[]){ 9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0 }, 16); /* again */
    add_entry((uint8_t[]){ 1, 12, 3, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0 }, 12);
    add_entry((uint8_t[]){ 2, 10, 0, 0, 2, 0, 0, 0, 0, 0 }, 10);
    add_entry((uint8_t[]){ 2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0 }, 10);
    add_entry((uint8_t[]){ 0x7f, 3, 0 }, 3); /* unknown */
    add_entry((uint8_t[]){ 4, 6, 0xff, 5, 0, 1 }, 6);
    put_table(MADT, "APIC", madt_len);
}

static void put_fadt(uint32_t len)
{
    memset(memory + (FACP - BASE), 0, 0x200);
    put_n(FACP + 40, DSDT, 4);
    put_n(FACP + 46, 9, 2);
    put_n(FACP + 56, 0x600, 4);
    put_n(FACP + 64, 0x604, 4);
    put_n(FACP + 76, 0x608, 4);
    put_n(FACP + 88, 4, 1);
    put_n(FACP + 89, 2, 1);
    put_n(FACP + 112, 1u << 10 | 1u << 8, 4);
    put_n(FACP + 116, 1, 1);
    put_n(FACP + 117, 8, 1);
    put_n(FACP + 120, 0xcf9, 8);
    put_n(FACP + 128, 6, 1);
    put_table(FACP, "FACP", len);
}

static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0a, 5, 0x01, 0, 0 };

static void put_dsdt(void)
{
    put(DSDT + 36, "_S5_ not a name here", 20);
    put(DSDT + 60, s5, sizeof(s5));
    put_table(DSDT, "DSDT", 60 + sizeof(s5));
}

static void put_rest(void)
{
    put_n(HPET + 44, 0xfed00000, 8);
    put_n(HPET + 53, 100, 2);
    put_table(HPET, "HPET", 56);
    put_n(MCFG + 44, 0xb0000000, 8);
    put_n(MCFG + 55, 0xff, 1);
    put_n(MCFG + 60, 0xb0000001, 8); /* not aligned: left out */
    put_table(MCFG, "MCFG", 76);
}

static int build(void **state)
{
    memset(memory, 0, sizeof(memory));
    memset(bios, 0, sizeof(bios));
    put_madt();
    put_fadt(244);
    put_dsdt();
    put_rest();
    put_roots();
    fake_log_reset();
    return 0;
}

static int clean(void **state)
{
    unmap_all();
    return 0;
}

static void a_good_machine_is_understood(void **state)
{
    assert_true(acpi_init(&ops, PADDR(RSDP)));
    assert_int_equal(acpi_info.nr_tables, 5); /* MADT once */
    assert_int_equal(acpi_info.nr_cpus, 3);
    assert_int_equal(acpi_info.cpus[1].apic_id, 2);
    assert_int_equal(acpi_info.cpus[2].apic_id, 256);
    assert_int_equal(acpi_info.cpus[2].acpi_id, 7);
    assert_int_equal(acpi_info.nr_disabled_cpus, 1);
    assert_int_equal(acpi_info.lapic.a, 0xfee00000);
    assert_true(acpi_info.has_8259);
    assert_int_equal(acpi_info.nr_ioapics, 1);
    assert_int_equal(acpi_info.ioapics[0].address, 0xfec00000);
    assert_int_equal(acpi_info.ioapics[0].first_gsi, 24);
    assert_int_equal(acpi_info.nr_overrides, 2);
    assert_int_equal(acpi_info.overrides[0].gsi, 2);
    assert_false(acpi_info.overrides[0].is_level);
    assert_true(acpi_info.overrides[1].is_level);
    assert_false(acpi_info.overrides[1].is_active_low);
    assert_int_equal(acpi_info.nr_nmis, 1);
    assert_int_equal(acpi_info.nmis[0].acpi_id, ACPI_ALL_CPUS);
    assert_int_equal(acpi_info.sci_irq, 9);
    assert_int_equal(acpi_info.pm1a_event.address, 0x600);
    assert_int_equal(acpi_info.pm1a_event.bits, 32);
    assert_int_equal(acpi_info.pm1b_event.bits, 0);
    assert_int_equal(acpi_info.pm_timer.bits, 32);
    assert_int_equal(acpi_info.pm_timer.address, 0x608);
    assert_int_equal(acpi_info.reset.address, 0xcf9);
    assert_int_equal(acpi_info.reset_value, 6);
    assert_true(acpi_info.has_s5);
    assert_int_equal(acpi_info.s5_type_a, 5);
    assert_int_equal(acpi_info.s5_type_b, 1);
    assert_int_equal(acpi_info.hpet.a, 0xfed00000);
    assert_int_equal(acpi_info.hpet_min_tick, 100);
    assert_int_equal(acpi_info.nr_segments, 1);
    assert_non_null(acpi_find("DSDT", 0));
    assert_null(acpi_find("DSDT", 1));
    assert_null(acpi_find("SRAT", 0));
}

static void the_old_root_serves_when_the_new_one_is_broken(void **state)
{
    memory[XSDT - BASE + 40] ^= 1;
    assert_true(acpi_init(&ops, PADDR(RSDP)));
    assert_int_equal(acpi_info.nr_tables, 5);
}

static void the_root_pointer_is_found_in_the_bios(void **state)
{
    memcpy(bios + 0x1f0, memory + (RSDP - BASE), 36);
    assert_true(acpi_init(&ops, PADDR(0)));
    assert_int_equal(acpi_info.rsdp.a, 0xe01f0);
}

static void no_root_pointer_means_no_acpi(void **state)
{
    assert_false(acpi_init(&ops, PADDR(0)));
    memory[RSDP - BASE] = 'x';
    assert_false(acpi_init(&ops, PADDR(RSDP)));
    assert_false(acpi_init(&ops, PADDR(BASE - 8)));
    assert_int_equal(acpi_info.nr_tables, 0);
    assert_int_equal(acpi_info.rsdp.a, 0);
}

static void a_table_with_a_wrong_sum_is_left_out(void **state)
{
    memory[HPET - BASE + 20] ^= 1;
    assert_true(acpi_init(&ops, PADDR(RSDP)));
    assert_int_equal(acpi_info.hpet.a, 0);
    assert_int_equal(acpi_info.nr_cpus, 3);
}

static void a_short_fadt_has_no_late_fields(void **state)
{
    put_fadt(116);
    assert_true(acpi_init(&ops, PADDR(RSDP)));
    assert_int_equal(acpi_info.reset.bits, 0);
    assert_int_equal(acpi_info.pm1a_control.address, 0x604);
    put_fadt(48);
    assert_true(acpi_init(&ops, PADDR(RSDP)));
    assert_int_equal(acpi_info.sci_irq, 9);
    assert_int_equal(acpi_info.pm_timer.bits, 0);
}

static void a_broken_madt_entry_ends_the_walk(void **state)
{
    static const uint8_t lengths[] = { 0, 1, 7, 255 };

    for (size_t i = 0; i < sizeof(lengths); i++) {
        build(state);
        memory[MADT - BASE + 44 + 8 + 1] = lengths[i];
        put_table(MADT, "APIC", madt_len);
        assert_true(acpi_init(&ops, PADDR(RSDP)));
        assert_int_equal(acpi_info.nr_cpus, 1);
        unmap_all();
    }
}

static void too_many_of_anything_are_left_out(void **state)
{
    madt_len = 44;
    for (unsigned int i = 0; i < 300; i++) {
        uint8_t cpu[16] = { 9, 16, 0, 0, (uint8_t)i, (uint8_t)(i >> 8), 0, 0, 1 };
        uint8_t ioapic[12] = { 1, 12 }, override[10] = { 2, 10 }, nmi[6] = { 4, 6 };

        add_entry(cpu, 16);
        if (i < 60) {
            add_entry(ioapic, 12);
            add_entry(override, 10);
            add_entry(nmi, 6);
        }
    }
    put_table(MADT, "APIC", madt_len);
    assert_true(acpi_init(&ops, PADDR(RSDP)));
    assert_int_equal(acpi_info.nr_cpus, ACPI_MAX_CPUS);
    assert_int_equal(acpi_info.nr_ioapics, ACPI_MAX_IOAPICS);
    assert_int_equal(acpi_info.nr_overrides, ACPI_MAX_OVERRIDES);
    assert_int_equal(acpi_info.nr_nmis, ACPI_MAX_NMIS);
}

static void the_pin_of_nmis_is_that_of_the_processor(void **state)
{
    static const uint8_t cpu3[16] = { 9, 16, 0, 0, 44, 1, 0, 0, 1, 0, 0, 0, 3 };
    static const uint8_t nmi3[12] = { 10, 12, 3, 0, 3, 0, 0, 0, 0 };
    static const uint8_t source[8] = { 3, 8, 0, 0, 20 };

    acpi_info.nr_nmis = 0;
    assert_null(acpi_nmi_of(0));
    madt_len = 44;
    add_entry(cpu3, 16);
    add_entry(source, 8);
    add_entry(nmi3, 12);
    put_table(MADT, "APIC", madt_len);
    assert_true(acpi_init(&ops, PADDR(RSDP)));
    assert_int_equal(acpi_id_of(300), 3);
    assert_int_equal(acpi_id_of(0), ~0u);
    assert_null(acpi_nmi_of(0));
    assert_non_null(acpi_nmi_of(300));
    assert_int_equal(acpi_nmi_of(300)->lint, 0);
    assert_true(acpi_nmi_of(300)->is_active_low);
}

/* Whatever single byte is wrong, or made right again by its sum, nothing is read out of bounds. */
static void any_byte_may_be_hostile(void **state)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
    static const struct {
        uint64_t at;
        uint32_t len;
        const char *signature;
    } tables[] = {
        { FACP, 244, "FACP" }, { MADT, 140, "APIC" }, { DSDT, 73, "DSDT" },
        { HPET, 56, "HPET" },  { MCFG, 76, "MCFG" },
    };

    for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
        for (uint32_t i = 0; i < tables[t].len; i++) {
            for (size_t v = 0; v < sizeof(values); v++) {
                build(state);
                memory[tables[t].at - BASE + i] = values[v];
                if (i >= 36) {
                    put_table(tables[t].at, tables[t].signature, tables[t].len);
                }
                acpi_init(&ops, PADDR(RSDP));
                unmap_all();
            }
        }
    }
}

static void random_tables_do_no_harm(void **state)
{
    srand(4);
    for (unsigned int round = 0; round < 2000; round++) {
        build(state);
        for (unsigned int n = 0; n < 60; n++) {
            memory[MADT - BASE + 36 + (unsigned int)rand() % 200] = (uint8_t)rand();
            memory[DSDT - BASE + 36 + (unsigned int)rand() % 60] = (uint8_t)rand();
            memory[FACP - BASE + 36 + (unsigned int)rand() % 208] = (uint8_t)rand();
        }
        put_table(MADT, "APIC", 44 + (uint32_t)rand() % 200);
        put(DSDT + 50 + rand() % 20, s5, sizeof(s5));
        put_table(DSDT, "DSDT", 40 + (uint32_t)rand() % 60);
        put_table(FACP, "FACP", 36 + (uint32_t)rand() % 240);
        acpi_init(&ops, PADDR(RSDP));
        unmap_all();
    }
}

static void a_length_beyond_memory_is_refused(void **state)
{
    put_n(MADT + 4, 0xffffffff, 4);
    put_n(HPET + 4, SIZE, 4);
    put_n(MCFG + 4, 35, 4);
    assert_true(acpi_init(&ops, PADDR(RSDP)));
    assert_int_equal(acpi_info.nr_cpus, 0);
    assert_int_equal(acpi_info.hpet.a, 0);
    assert_int_equal(acpi_info.nr_segments, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_machine_is_understood),
        TEST(the_old_root_serves_when_the_new_one_is_broken),
        TEST(the_root_pointer_is_found_in_the_bios),
        TEST(no_root_pointer_means_no_acpi),
        TEST(a_table_with_a_wrong_sum_is_left_out),
        TEST(a_short_fadt_has_no_late_fields),
        TEST(a_broken_madt_entry_ends_the_walk),
        TEST(too_many_of_anything_are_left_out),
        TEST(the_pin_of_nmis_is_that_of_the_processor),
        TEST(any_byte_may_be_hostile),
        TEST(random_tables_do_no_harm),
        TEST(a_length_beyond_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
