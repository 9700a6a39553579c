/* SPDX-License-Identifier: MIT */
/* Configuration space by ports and by window; capabilities of good and of senseless devices. */
/* sources: hv/drivers/pci.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/acpi.h"
#include "drivers/pci.h"
#include "mm/phys.h"
#include "sys/lock.h"
#include "x86/insn.h"

struct acpi_info acpi_info;

static uint8_t config[4096]; /* of 0000:02:03.1 */
static uint32_t selected;
static uint8_t *ecam; /* of bus 2 */

static const struct pci_address device = { .bus = 2, .devfn = 0x19 };

void spin_lock_wait(struct spinlock *lock)
{
    fail_msg("the lock was left taken");
}

void *map_mmio(paddr_t p, size_t len)
{
    assert_int_equal(p.a, 0xb0200000);
    assert_int_equal(len, 1 << 20);
    return ecam;
}

static bool is_selected(uint16_t port, unsigned int size, unsigned int *reg)
{
    assert_in_range(port, 0xcfc, 0xcff);
    *reg = (selected & 0xfc) + (port & 3);
    assert_true((*reg & (size - 1)) == 0);
    return (selected & ~0xffu) == (1u << 31 | 2u << 16 | 0x19u << 8);
}

static uint32_t in(uint16_t port, unsigned int size)
{
    uint32_t value = 0;
    unsigned int reg;

    if (!is_selected(port, size, &reg)) {
        return 0xffffffff;
    }
    memcpy(&value, config + reg, size);
    return value;
}

uint8_t inb(uint16_t port)
{
    return (uint8_t)in(port, 1);
}

uint16_t inw(uint16_t port)
{
    return (uint16_t)in(port, 2);
}

uint32_t inl(uint16_t port)
{
    return in(port, 4);
}

static void out(uint16_t port, uint32_t value, unsigned int size)
{
    unsigned int reg;

    if (is_selected(port, size, &reg)) {
        memcpy(config + reg, &value, size);
    }
}

void outb(uint16_t port, uint8_t value)
{
    out(port, value, 1);
}

void outw(uint16_t port, uint16_t value)
{
    out(port, value, 2);
}

void outl(uint16_t port, uint32_t value)
{
    if (port == 0xcf8) {
        selected = value;
    } else {
        out(port, value, 4);
    }
}

static void put(unsigned int reg, uint32_t value, unsigned int size)
{
    memcpy(config + reg, &value, size);
}

static int plug(void **state)
{
    memset(config, 0, sizeof(config));
    memset(&acpi_info, 0, sizeof(acpi_info));
    put(PCI_VENDOR, 0x12348086, 4);
    put(PCI_STATUS, 0x10, 2);
    put(PCI_CAPABILITIES, 0x42, 1); /* the low bits do not count */
    put(0x40, 0x5001, 2);
    put(0x50, 0x01846005, 4); /* MSI: 64 bits, 4 vectors, mask */
    put(0x60, 0x80030011, 4); /* MSI-X: 4 entries */
    put(0x64, 0x2002, 4);
    put(0x68, 0x3002, 4);
    put(PCI_BAR0, 0xfeb00000, 4);
    put(PCI_BAR0 + 4, 0xc001, 4);
    put(PCI_BAR0 + 8, 0xe000000c, 4);
    put(PCI_BAR0 + 12, 0x12, 4);
    return 0;
}

static void registers_are_reached_by_ports(void **state)
{
    struct pci_address other = { .bus = 2, .devfn = 0x18 };

    assert_true(pci_exists(device));
    assert_false(pci_exists(other));
    assert_int_equal(pci_read(device, 2, 2), 0x1234);
    pci_write(device, 0x3d, 1, 0x77);
    pci_write(device, 0x3e, 2, 0x8899);
    assert_int_equal(pci_read(device, 0x3c, 4), 0x88997700);
}

static void what_cannot_be_reached_reads_as_ones(void **state)
{
    struct pci_address far = { .segment = 1, .bus = 2 };

    assert_int_equal(pci_read(far, 0, 4), 0xffffffff);
    assert_int_equal(pci_read(device, 0x100, 2), 0xffff);
    assert_int_equal(pci_read(device, 0x100, 1), 0xff);
    assert_int_equal(pci_read(device, 0x1000, 4), 0xffffffff);
    pci_write(far, 0, 4, 0);
    pci_write(device, 0x1000, 4, 0);
    assert_false(pci_exists(far));
}

static void windows_reach_the_rest(void **state)
{
    acpi_info.nr_segments = 1;
    acpi_info.segments[0] = (struct acpi_pci_segment){ 0xb0000000, 0, 0, 3 };
    ecam = calloc(1, 1 << 20);
    ecam[0x19000 + 0x100] = 0x0b;
    assert_int_equal(pci_read(device, 0x100, 2), 0x0b);
    pci_write(device, 0x104, 4, 0x01020304);
    assert_int_equal(ecam[0x19000 + 0x107], 1);
    assert_int_equal(pci_read((struct pci_address){ .bus = 4 }, 0x100, 1), 0xff);

    assert_int_equal(pci_find_extended_capability(device, 0x0b), 0); /* not PCI Express */
    put(0x60, 0x10, 2);
    assert_int_equal(pci_find_extended_capability(device, 0x0b), 0x100);
    memcpy(ecam + 0x19100, &(uint32_t){ 0x10010001 }, 4);
    assert_int_equal(pci_find_extended_capability(device, 0x0b), 0); /* leads to itself */
    free(ecam);
}

static void interrupts_are_described(void **state)
{
    struct pci_msi msi;
    struct pci_msix msix;

    assert_true(pci_get_msi(device, &msi));
    assert_int_equal(msi.at, 0x50);
    assert_int_equal(msi.max_vectors, 4);
    assert_true(msi.is_64bit && msi.has_mask);
    assert_int_equal(msi.data_at, 0x5c);
    assert_int_equal(msi.mask_at, 0x60);
    assert_true(pci_get_msix(device, &msix));
    assert_int_equal(msix.at, 0x60);
    assert_int_equal(msix.nr_entries, 4);
    assert_int_equal(msix.table_bar, 2);
    assert_int_equal(msix.table_offset, 0x2000);
    assert_int_equal(msix.pba_offset, 0x3000);
    put(0x64, 0x2007, 4);
    assert_false(pci_get_msix(device, &msix));
}

static void senseless_lists_end(void **state)
{
    struct pci_msi msi;

    put(0x40, 0x4001, 2); /* leads to itself */
    assert_int_equal(pci_find_capability(device, PCI_CAP_MSI), 0);
    put(0x40, 0x3001, 2); /* leads into the header */
    assert_int_equal(pci_find_capability(device, PCI_CAP_MSI), 0);
    put(0x40, 0xfc01, 2); /* does not fit */
    put(0xfc, 0x01840005, 4);
    assert_false(pci_get_msi(device, &msi));
    put(PCI_STATUS, 0, 2);
    assert_int_equal(pci_find_capability(device, 1), 0);
}

static void memory_bars_are_found(void **state)
{
    paddr_t base;

    assert_true(pci_get_memory_bar(device, 0, &base));
    assert_int_equal(base.a, 0xfeb00000);
    assert_false(pci_get_memory_bar(device, 1, &base)); /* I/O */
    assert_true(pci_get_memory_bar(device, 2, &base));
    assert_int_equal(base.a, 0x12e0000000);
    assert_false(pci_get_memory_bar(device, 4, &base)); /* unset */
    put(PCI_BAR0 + 20, 0x4, 4);
    assert_false(pci_get_memory_bar(device, 5, &base)); /* no upper half */
    assert_false(pci_get_memory_bar(device, 6, &base));
    put(PCI_HEADER_TYPE, 0x81, 1);
    assert_false(pci_get_memory_bar(device, 2, &base)); /* a bridge has two */
}

#define TEST(name) cmocka_unit_test_setup(name, plug)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(registers_are_reached_by_ports),
        TEST(what_cannot_be_reached_reads_as_ones),
        TEST(windows_reach_the_rest),
        TEST(interrupts_are_described),
        TEST(senseless_lists_end),
        TEST(memory_bars_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
