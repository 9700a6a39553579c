/* SPDX-License-Identifier: MIT */
/* sources: hv/drivers/platform_clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/acpi.h"
#include "drivers/platform_clock.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "x86/insn.h"

struct acpi_info acpi_info;

/* The devices.  Time passes with every access. */
static uint64_t hpet[128];
static uint32_t pm_timer;
static uint16_t pit;
static bool is_frozen, can_map;
static unsigned int pit_reads, nr_log_lines;

static void pass(void)
{
    if (!is_frozen) {
        if (hpet[2] & 1) {
            hpet[0xf0 / 8] += 3;
        }
        pm_timer += 5;
        pit = (uint16_t)(pit - 2);
    }
}

void *map_mmio(paddr_t p, size_t len_bytes)
{
    return !can_map ? NULL : p.a == 0xfed00000 ? (void *)hpet : (void *)&pm_timer;
}

uint32_t mmio_read32(const volatile void *reg)
{
    pass();
    return *(const volatile uint32_t *)reg;
}

uint64_t mmio_read64(const volatile void *reg)
{
    pass();
    return *(const volatile uint64_t *)reg;
}

void mmio_write32(volatile void *reg, uint32_t value)
{
    *(volatile uint32_t *)reg = value;
}

uint32_t inl(uint16_t port)
{
    assert_int_equal(port, 0x608);
    pass();
    return pm_timer;
}

static uint16_t latched;

void outb(uint16_t port, uint8_t value)
{
    pass();
    if (port == 0x43 && value == 0) {
        latched = pit;
        pit_reads = 0;
    }
}

uint8_t inb(uint16_t port)
{
    assert_int_equal(port, 0x40);
    pass();
    return (uint8_t)(latched >> (8 * (pit_reads++ % 2)));
}

void log_print(enum log_level level, const char *fmt, ...)
{
    nr_log_lines++;
}

static const struct platform_clock *find(const char *name)
{
    const struct platform_clock *c = platform_clocks;

    while (c->name && strcmp(c->name, name) != 0) {
        c++;
    }
    assert_non_null(c->name);
    return c;
}

static int begin(void **state)
{
    memset(hpet, 0, sizeof(hpet));
    hpet[0] = 69841279ull << 32 | 1u << 13 | 2u << 8; /* 14.318 MHz, 64 bits, 3 comparators */
    hpet[2] = 2;
    hpet[0x100 / 8] = hpet[0x120 / 8] = hpet[0x140 / 8] = 0xc;
    memset(&acpi_info, 0, sizeof(acpi_info));
    acpi_info.hpet = PADDR(0xfed00000);
    acpi_info.pm_timer =
        (struct acpi_register){ .space = ACPI_SPACE_IO, .bits = 24, .address = 0x608 };
    is_frozen = false;
    can_map = true;
    nr_log_lines = 0;
    return 0;
}

static void the_hpet_is_started_and_its_interrupts_silenced(void **state)
{
    const struct platform_clock *c = find("hpet");
    uint64_t before;

    assert_true(c->start());
    assert_int_equal(c->hz(), 14318180);
    assert_int_equal(c->mask(), UINT64_MAX);
    assert_int_equal(hpet[2] & 3, 1);
    assert_int_equal(hpet[0x100 / 8] | hpet[0x120 / 8] | hpet[0x140 / 8], 8);
    before = c->read();
    assert_true(c->read() > before);
    hpet[0] &= ~(1ull << 13);
    assert_true(c->start());
    assert_int_equal(c->mask(), UINT32_MAX);
}

static void an_hpet_that_cannot_be_is_refused(void **state)
{
    const struct platform_clock *c = find("hpet");

    hpet[0] &= 0xffffffff; /* no period */
    assert_false(c->start());
    hpet[0] |= 100000001ull << 32;
    assert_false(c->start());
    hpet[0] = UINT64_MAX; /* nothing there */
    assert_false(c->start());
    assert_int_equal(nr_log_lines, 3);
    begin(state);
    is_frozen = true;
    assert_false(c->start());
    begin(state);
    can_map = false;
    assert_false(c->start());
    acpi_info.hpet = PADDR(0);
    assert_false(c->start());
}

static void the_pm_timer_may_be_of_either_width_and_place(void **state)
{
    const struct platform_clock *c = find("acpi");

    pm_timer = 0x12fffff0;
    assert_true(c->start());
    assert_int_equal(c->mask(), 0xffffff);
    assert_in_range(c->read(), 0, 0xffffff);
    acpi_info.pm_timer.bits = 32;
    assert_int_equal(c->mask(), UINT32_MAX);
    acpi_info.pm_timer = (struct acpi_register){ .bits = 32, .address = 0xfed10000 };
    assert_true(c->start());
    is_frozen = true;
    assert_false(c->start());
    acpi_info.pm_timer.bits = 0;
    assert_false(c->start());
    acpi_info.pm_timer =
        (struct acpi_register){ .space = ACPI_SPACE_PCI, .bits = 32, .address = 8 };
    assert_false(c->start());
}

static void the_pit_counts_up_for_us(void **state)
{
    const struct platform_clock *c = find("pit");
    uint64_t last;

    assert_true(c->start());
    last = c->read();
    for (int i = 0; i < 30000; i++) {
        uint64_t now = c->read();

        assert_in_range((now - last) & c->mask(), 1, 100);
        last = now;
    }
    is_frozen = true;
    assert_false(c->start());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_hpet_is_started_and_its_interrupts_silenced, begin),
        cmocka_unit_test_setup(an_hpet_that_cannot_be_is_refused, begin),
        cmocka_unit_test_setup(the_pm_timer_may_be_of_either_width_and_place, begin),
        cmocka_unit_test_setup(the_pit_counts_up_for_us, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
