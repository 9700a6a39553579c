/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space.  The first 256 bytes of segment 0 are reached
 * through the ports 0xcf8 and 0xcfc, which every PC has; everything else
 * through the memory windows that ACPI's MCFG table tells, each bus's mapped
 * when it is first needed.
 */
#include "drivers/pci.h"

#include "drivers/acpi.h"
#include "mm/phys.h"
#include "sys/lock.h"
#include "x86/insn.h"

#define PORT_ADDRESS     0xcf8
#define PORT_DATA        0xcfc
#define BUS_WINDOW       (1ul << 20)
#define MAX_CAPABILITIES 48u  /* of 4 bytes at least in the 192 behind the header */
#define MAX_EXTENDED     480u /* of 8 bytes at least in the extended space */

static struct spinlock port_lock = SPINLOCK_INIT(LOCK_RANK_LEAF); /* the pair of ports */

/* Mapped buses; set once each, without a lock: a second mapping of the same is merely not used. */
static void *windows[ACPI_MAX_SEGMENTS][256];

/* The window of @a's function, or NULL. */
static volatile uint8_t *find_window(struct pci_address a)
{
    for (uint32_t i = 0; i < acpi_info.nr_segments; i++) {
        const struct acpi_pci_segment *s = &acpi_info.segments[i];
        void **window = &windows[i][a.bus];

        if (s->segment != a.segment || a.bus < s->first_bus || a.bus > s->last_bus) {
            continue;
        }
        if (!READ_ONCE(*window)) {
            WRITE_ONCE(*window, map_mmio(PADDR(s->base + a.bus * BUS_WINDOW), BUS_WINDOW));
        }
        return *window ? (volatile uint8_t *)*window + a.devfn * PCI_CONFIG_SIZE : NULL;
    }
    return NULL;
}

static bool has_ports(struct pci_address a, unsigned int reg)
{
    return a.segment == 0 && reg < PCI_EXTENDED;
}

static void select_port(struct pci_address a, unsigned int reg)
{
    outl(PORT_ADDRESS, 1u << 31 | (uint32_t)a.bus << 16 | (uint32_t)a.devfn << 8 | (reg & 0xfc));
}

static uint32_t read_port(struct pci_address a, unsigned int reg, unsigned int size)
{
    uint16_t port = (uint16_t)(PORT_DATA + (reg & 3));
    uint32_t value;

    spin_lock(&port_lock);
    select_port(a, reg);
    value = size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
    spin_unlock(&port_lock);
    return value;
}

static void write_port(struct pci_address a, unsigned int reg, unsigned int size, uint32_t value)
{
    uint16_t port = (uint16_t)(PORT_DATA + (reg & 3));

    spin_lock(&port_lock);
    select_port(a, reg);
    if (size == 1) {
        outb(port, (uint8_t)value);
    } else if (size == 2) {
        outw(port, (uint16_t)value);
    } else {
        outl(port, value);
    }
    spin_unlock(&port_lock);
}

uint32_t pci_read(struct pci_address a, unsigned int reg, unsigned int size)
{
    volatile uint8_t *window;

    if (has_ports(a, reg)) {
        return read_port(a, reg, size);
    }
    window = reg < PCI_CONFIG_SIZE ? find_window(a) : NULL;
    if (!window) {
        return 0xffffffffu >> (32 - size * 8);
    }
    window += reg;
    return size == 1   ? *window
           : size == 2 ? *(volatile uint16_t *)window
                       : *(volatile uint32_t *)window;
}

void pci_write(struct pci_address a, unsigned int reg, unsigned int size, uint32_t value)
{
    volatile uint8_t *window;

    if (has_ports(a, reg)) {
        write_port(a, reg, size, value);
        return;
    }
    window = reg < PCI_CONFIG_SIZE ? find_window(a) : NULL;
    if (!window) {
        return;
    }
    window += reg;
    if (size == 1) {
        *window = (uint8_t)value;
    } else if (size == 2) {
        *(volatile uint16_t *)window = (uint16_t)value;
    } else {
        *(volatile uint32_t *)window = value;
    }
}

bool pci_exists(struct pci_address a)
{
    return pci_read(a, PCI_VENDOR, 2) != PCI_NO_DEVICE;
}

unsigned int pci_find_capability(struct pci_address a, uint8_t id)
{
    unsigned int at;

    if (!pci_exists(a) || !(pci_read(a, PCI_STATUS, 2) & 0x10)) {
        return 0;
    }
    at = pci_read(a, PCI_CAPABILITIES, 1) & 0xfc;
    for (unsigned int n = 0; n < MAX_CAPABILITIES && at >= 0x40; n++) {
        uint32_t head = pci_read(a, at, 2);

        if ((head & 0xff) == id) {
            return at;
        }
        at = head >> 8 & 0xfc;
    }
    return 0;
}

unsigned int pci_find_extended_capability(struct pci_address a, uint16_t id)
{
    unsigned int at = PCI_EXTENDED;

    if (!pci_find_capability(a, PCI_CAP_EXPRESS)) {
        return 0;
    }
    for (unsigned int n = 0; n < MAX_EXTENDED && at >= PCI_EXTENDED; n++) {
        uint32_t head = pci_read(a, at, 4);

        if (head == 0 || head == 0xffffffff) {
            return 0;
        }
        if ((head & 0xffff) == id) {
            return at;
        }
        at = head >> 20 & 0xffc;
    }
    return 0;
}

bool pci_get_msi(struct pci_address a, struct pci_msi *msi)
{
    unsigned int at = pci_find_capability(a, PCI_CAP_MSI);
    unsigned int order;
    uint32_t control;

    if (!at) {
        return false;
    }
    control = pci_read(a, at + 2, 2);
    order = control >> 1 & 7;
    *msi = (struct pci_msi){
        .at = (uint8_t)at,
        .max_vectors = (uint8_t)(1u << min(order, 5u)),
        .is_64bit = control & 0x80,
        .has_mask = control & 0x100,
    };
    msi->data_at = (uint8_t)(at + (msi->is_64bit ? 12 : 8));
    msi->mask_at = (uint8_t)(msi->data_at + 4);
    return at + (msi->is_64bit ? 14u : 10u) + (msi->has_mask ? 10u : 0u) <= PCI_EXTENDED;
}

bool pci_get_msix(struct pci_address a, struct pci_msix *msix)
{
    unsigned int at = pci_find_capability(a, PCI_CAP_MSIX);
    uint32_t table, pba;

    if (!at || at + 12 > PCI_EXTENDED) {
        return false;
    }
    table = pci_read(a, at + 4, 4);
    pba = pci_read(a, at + 8, 4);
    *msix = (struct pci_msix){
        .at = (uint8_t)at,
        .nr_entries = (uint16_t)((pci_read(a, at + 2, 2) & 0x7ff) + 1),
        .table_bar = table & 7,
        .pba_bar = pba & 7,
        .table_offset = table & ~7u,
        .pba_offset = pba & ~7u,
    };
    return msix->table_bar < 6 && msix->pba_bar < 6;
}

bool pci_get_memory_bar(struct pci_address a, unsigned int index, paddr_t *base)
{
    unsigned int nr = (pci_read(a, PCI_HEADER_TYPE, 1) & 0x7f) == 0 ? 6 : 2;
    unsigned int reg = PCI_BAR0 + index * 4;
    uint32_t low;
    uint64_t high = 0;

    if (index >= nr || !pci_exists(a)) {
        return false;
    }
    low = pci_read(a, reg, 4);
    if (low & 1) {
        return false;
    }
    if ((low >> 1 & 3) == 2) { /* 64 bits, the upper half in the next BAR */
        if (index + 1 >= nr) {
            return false;
        }
        high = pci_read(a, reg + 4, 4);
    }
    *base = PADDR(high << 32 | (low & ~0xfu));
    return base->a != 0;
}
