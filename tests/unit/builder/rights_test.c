/* SPDX-License-Identifier: MIT */
/* sources: hv/builder/rights.c hv/lib/rangeset.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "builder/rights.h"
#include "drivers/acpi.h"
#include "drivers/uart.h"
#include "x86/features.h"

struct acpi_info acpi_info;
struct cpu_features cpu_features = { .phys_bits = 40 };

bool uart_is_present(unsigned int index)
{
    return index == 1;
}

uint16_t uart_base(unsigned int index)
{
    return 0x2f8;
}

unsigned int uart_irq(unsigned int index)
{
    return 3;
}

static void *get(size_t bytes)
{
    return malloc(bytes);
}

static void put(void *p, size_t bytes)
{
    free(p);
}

static const struct rangeset_alloc alloc = { .alloc = get, .free = put };
static struct domain d;

static int grant(void **state)
{
    acpi_info = (struct acpi_info){ .lapic = PADDR(0xfee00000),
                                    .nr_ioapics = 1,
                                    .ioapics = { { .address = 0xfec00000 } },
                                    .nr_overrides = 1,
                                    .overrides = { { .isa_irq = 0, .gsi = 7 } },
                                    .pm_timer = { ACPI_SPACE_IO, 24, 0x608 } };
    rangeset_init(&d.ioports, &alloc, 100);
    rangeset_init(&d.iomem, &alloc, 100);
    rangeset_init(&d.iomem_ro, &alloc, 100);
    rangeset_init(&d.irqs, &alloc, 100);
    return rights_grant_all(&d);
}

static int take(void **state)
{
    rangeset_destroy(&d.ioports);
    rangeset_destroy(&d.iomem);
    rangeset_destroy(&d.iomem_ro);
    rangeset_destroy(&d.irqs);
    return 0;
}

static void dom0_gets_every_port_but_ours(void **state)
{
    static const uint16_t ours[] = {
        0x20, 0x21, 0x40, 0x43, 0x61, 0xa1, 0x2f8, 0x2ff, 0x608, 0x60b
    };
    static const uint16_t its[] = {
        0, 0x22, 0x60, 0x64, 0x3f8, 0x2f7, 0x300, 0x60c, 0xcf9, 0xffff
    };

    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        assert_false(rangeset_contains(&d.ioports, ours[i], ours[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(its); i++) {
        assert_true(rangeset_contains(&d.ioports, its[i], its[i]));
    }
}

static void dom0_may_map_devices_but_no_interrupt_controller(void **state)
{
    static const uint64_t ours[] = { 0xfec00, 0xfee00, 0xfeeff, 1ull << 28 };
    static const uint64_t its[] = { 0, 0xa0, 0xfebff, 0xfec01, 0xfed00, 0xfef00, (1ull << 28) - 1 };

    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        assert_false(rangeset_contains(&d.iomem, ours[i], ours[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(its); i++) {
        assert_true(rangeset_contains(&d.iomem, its[i], its[i]));
    }
    assert_true(rangeset_contains(&d.iomem_ro, 0xfec00, 0xfec00));
    assert_false(rangeset_contains(&d.iomem_ro, 0xfee00, 0xfee00));
}

static void dom0_gets_every_interrupt_but_ours(void **state)
{
    static const uint64_t ours[] = { 0, 2, 3, 7 };
    static const uint64_t its[] = { 1, 4, 8, 9, 16, 255 };

    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        assert_false(rangeset_contains(&d.irqs, ours[i], ours[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(its); i++) {
        assert_true(rangeset_contains(&d.irqs, its[i], its[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dom0_gets_every_port_but_ours),
        cmocka_unit_test(dom0_may_map_devices_but_no_interrupt_controller),
        cmocka_unit_test(dom0_gets_every_interrupt_but_ours),
    };

    return cmocka_run_group_tests(tests, grant, take);
}
