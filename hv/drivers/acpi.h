/* SPDX-License-Identifier: MIT */
/*
 * What the firmware's ACPI tables say about the machine.  Tables are input
 * like any other: each one is checked for length and sum, no field beyond a
 * table's end is read, and a broken table is named in the log and left out.
 */
#pragma once

#include "lib/types.h"

#define ACPI_MAX_CPUS      256u
#define ACPI_MAX_IOAPICS   16u
#define ACPI_MAX_OVERRIDES 32u
#define ACPI_MAX_NMIS      32u
#define ACPI_MAX_SEGMENTS  8u
#define ACPI_MAX_TABLES    64u

/* How the parser reaches memory; main.c supplies it. */
struct acpi_mem_ops {
    /* @len bytes of RAM or firmware memory at @p, readable from now on; NULL: not reachable. */
    const void *(*map)(paddr_t p, size_t len);
};

enum acpi_space {
    ACPI_SPACE_MEMORY = 0,
    ACPI_SPACE_IO = 1,
    ACPI_SPACE_PCI = 2,
};

struct acpi_register {
    uint8_t space; /* enum acpi_space */
    uint8_t bits;  /* 0: there is no such register */
    uint64_t address;
};

struct acpi_cpu {
    uint32_t apic_id;
    uint32_t acpi_id; /* the processor's number in the tables and the namespace */
};

struct acpi_ioapic {
    uint8_t id;
    uint32_t address;
    uint32_t first_gsi;
};

/* Where an ISA interrupt goes, if not to the GSI of the same number, edge, active high. */
struct acpi_override {
    uint8_t isa_irq;
    bool is_level, is_active_low;
    uint32_t gsi;
};

/* A local interrupt pin that carries NMIs. */
struct acpi_nmi {
    uint32_t acpi_id; /* ACPI_ALL_CPUS: of every CPU */
    uint8_t lint;
    bool is_level, is_active_low;
};
#define ACPI_ALL_CPUS 0xffffffffu

struct acpi_pci_segment {
    uint64_t base; /* of bus 0's configuration space */
    uint16_t segment;
    uint8_t first_bus, last_bus;
};

struct acpi_table {
    char signature[4];
    uint32_t len; /* bytes, header included */
    paddr_t address;
    const void *data;
};

struct acpi_info {
    paddr_t rsdp; /* 0: this machine has no ACPI */
    uint32_t nr_tables;
    struct acpi_table tables[ACPI_MAX_TABLES]; /* those whose sums are right, DSDT included */

    /* MADT */
    paddr_t lapic;
    bool has_8259;
    uint32_t nr_cpus; /* usable ones, in the table's order */
    struct acpi_cpu cpus[ACPI_MAX_CPUS];
    uint32_t nr_disabled_cpus;
    uint32_t nr_ioapics;
    struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
    uint32_t nr_overrides;
    struct acpi_override overrides[ACPI_MAX_OVERRIDES];
    uint32_t nr_nmis;
    struct acpi_nmi nmis[ACPI_MAX_NMIS];

    /* FADT */
    bool has_fadt;
    uint16_t sci_irq;     /* an ISA interrupt, subject to the overrides */
    uint16_t smi_command; /* port; 0: always in ACPI mode */
    uint8_t acpi_enable;  /* what to write there */
    uint16_t boot_flags;  /* IAPC_BOOT_ARCH */
    uint32_t flags;
    struct acpi_register pm1a_event, pm1b_event, pm1a_control, pm1b_control;
    struct acpi_register pm_timer; /* .bits is the counter's width, 24 or 32 */
    struct acpi_register reset;
    uint8_t reset_value;
    paddr_t facs;

    /* DSDT or SSDT */
    bool has_s5;
    uint8_t s5_type_a, s5_type_b; /* sleep types that switch the machine off */

    /* HPET */
    paddr_t hpet; /* 0: none */
    uint8_t hpet_id;
    uint16_t hpet_min_tick;

    /* MCFG */
    uint32_t nr_segments;
    struct acpi_pci_segment segments[ACPI_MAX_SEGMENTS];
};

/* Filled by acpi_init(), constant afterwards. */
extern struct acpi_info acpi_info;

/*
 * Read the tables.  @rsdp as the loader said, 0: search the BIOS areas.
 * Returns whether there is ACPI; acpi_info is all zero if not.
 */
bool acpi_init(const struct acpi_mem_ops *mem, paddr_t rsdp);

/* The table number @index (from 0) with @signature, or NULL. */
const struct acpi_table *acpi_find(const char *signature, uint32_t index);

/* The tables' number of the processor with local APIC @apic_id; ~0u if they do not have it. */
uint32_t acpi_id_of(uint32_t apic_id);

/* The local pin by which NMIs reach the processor with local APIC @apic_id, or NULL. */
const struct acpi_nmi *acpi_nmi_of(uint32_t apic_id);
