/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space, and the capabilities that interrupts need.
 * Configuration space is the device's word: nothing read from it is trusted
 * to be sane, walks are bounded.
 */
#pragma once

#include "lib/types.h"

struct pci_address {
    uint16_t segment;
    uint8_t bus;
    uint8_t devfn; /* device << 3 | function */
};

/* For log lines: "%04x:%02x:%02x.%u" with PCI_ARGS(a). */
#define PCI_FMT     "%04x:%02x:%02x.%u"
#define PCI_ARGS(a) (a).segment, (a).bus, (a).devfn >> 3, (a).devfn & 7u

enum pci_register {
    PCI_VENDOR = 0x00,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_CLASS = 0x08,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SECONDARY_BUS = 0x19,
    PCI_CAPABILITIES = 0x34,
    PCI_EXTENDED = 0x100, /* registers from here on need PCI Express */
    PCI_CONFIG_SIZE = 0x1000,
};

enum pci_capability {
    PCI_CAP_MSI = 0x05,
    PCI_CAP_EXPRESS = 0x10,
    PCI_CAP_MSIX = 0x11,
};

#define PCI_NO_DEVICE 0xffffu /* PCI_VENDOR of an empty slot */

/*
 * Read or write the register @reg, of @size 1, 2 or 4 bytes and aligned to
 * it.  What cannot be reached reads as all ones.  Takes a leaf lock.
 */
uint32_t pci_read(struct pci_address a, unsigned int reg, unsigned int size);
void pci_write(struct pci_address a, unsigned int reg, unsigned int size, uint32_t value);

bool pci_exists(struct pci_address a);

/* The offset of capability @id (PCI Express extended capability @id); 0: the device has none. */
unsigned int pci_find_capability(struct pci_address a, uint8_t id);
unsigned int pci_find_extended_capability(struct pci_address a, uint16_t id);

struct pci_msi {
    uint8_t at;          /* offset of the capability */
    uint8_t max_vectors; /* 1, 2, 4 ... 32 */
    bool is_64bit;
    bool has_mask;
    uint8_t data_at; /* offset of the data register */
    uint8_t mask_at; /* offset of the mask register, if has_mask */
};

struct pci_msix {
    uint8_t at;
    uint16_t nr_entries;               /* 1 .. 2048 */
    uint8_t table_bar, pba_bar;        /* 0 .. 5 */
    uint32_t table_offset, pba_offset; /* into the BARs, in bytes */
};

/* Describe the MSI or MSI-X capability; false if there is none or it makes no sense. */
bool pci_get_msi(struct pci_address a, struct pci_msi *msi);
bool pci_get_msix(struct pci_address a, struct pci_msix *msix);

/* Where memory BAR @index (0 .. 5) lies; false if it is unset, for I/O, or not there. */
bool pci_get_memory_bar(struct pci_address a, unsigned int index, paddr_t *base);
