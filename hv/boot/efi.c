/* SPDX-License-Identifier: MIT */
/*
 * What is read from EFI's tables (UEFI specification 2.10, chapter 4): of the
 * system table only the list of configuration tables, and of that only where
 * ACPI's root table is.
 */
#include "boot/fill.h"

#include "boot/phys.h"
#include "lib/string.h"

#define SYSTEM_TABLE_SIGNATURE 0x5453595320494249ull /* "IBI SYST" */
#define MAX_TABLES             256u

struct efi_guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
};

struct efi_system_table {
    uint64_t signature;
    uint32_t revision, header_size, crc32, reserved;
    uint64_t vendor;
    uint32_t vendor_revision, pad;
    uint64_t consoles[6];
    uint64_t runtime_services, boot_services;
    uint64_t nr_tables, tables;
};

struct efi_config_table {
    struct efi_guid guid;
    uint64_t table;
};

static_assert(sizeof(struct efi_system_table) == 120, "as the firmware has it");
static_assert(sizeof(struct efi_config_table) == 24, "as the firmware has it");

/* The later ACPI's first. */
static const struct efi_guid acpi_guids[] __initconst = {
    { 0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } },
    { 0xeb9d2d30, 0x2d88, 0x11d3, { 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } },
};

static __init uint64_t find_table(const struct efi_system_table *system,
                                  const struct efi_guid *guid)
{
    for (uint64_t i = 0; i < min(system->nr_tables, (uint64_t)MAX_TABLES); i++) {
        struct efi_config_table t;

        if (!boot_read_phys(&t, system->tables + i * sizeof(t), sizeof(t))) {
            return 0;
        }
        if (memcmp(&t.guid, guid, sizeof(*guid)) == 0) {
            return t.table;
        }
    }
    return 0;
}

__init uint64_t boot_efi_rsdp(uint64_t system_table_paddr)
{
    struct efi_system_table system;

    if (!boot_read_phys(&system, system_table_paddr, sizeof(system)) ||
        system.signature != SYSTEM_TABLE_SIGNATURE || system.tables == 0) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(acpi_guids); i++) {
        uint64_t table = find_table(&system, &acpi_guids[i]);

        if (table) {
            return table;
        }
    }
    return 0;
}
