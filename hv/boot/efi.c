/* SPDX-License-Identifier: MIT */
/*
 * What is read from EFI's tables (UEFI specification 2.10, chapter 4): of the
 * system table only the list of configuration tables, and of that only where
 * ACPI's root table is.
 */
#include "boot/fill.h"

#include "boot/phys.h"
#include "drivers/efi_tables.h"
#include "lib/string.h"

#define MAX_TABLES 256u

/* The later ACPI's first. */
static const struct efi_guid acpi_guids[] __initconst = {
    { 0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } },
    { 0xeb9d2d30, 0x2d88, 0x11d3, { 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } },
};

static __init uint64_t find_table(const struct efi_system_table *system,
                                  const struct efi_guid *guid)
{
    for (uint64_t i = 0; i < min(system->nr_config_tables, (uint64_t)MAX_TABLES); i++) {
        struct efi_config_table t;

        if (!boot_read_phys(&t, system->config_tables + i * sizeof(t), sizeof(t))) {
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
        system.signature != EFI_SYSTEM_TABLE_SIGNATURE || system.config_tables == 0) {
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
