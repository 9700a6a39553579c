/* SPDX-License-Identifier: MIT */
/*
 * The EFI system table.  Boot services are over: pointers in it are machine
 * addresses, and what they point to is firmware's memory that stays.  dom0
 * finds ACPI by it, as there is nothing in the BIOS areas of such a machine.
 */
#include "drivers/efi.h"

#include "drivers/efi_tables.h"
#include "lib/string.h"
#include "sys/log.h"

#define CONFIG_TABLES_MAX 4096u

struct efi_info efi_info;

__init static void copy_vendor(const uint16_t *name)
{
    uint32_t n = 0;

    while (name != NULL && n < EFI_VENDOR_MAX - 1 && name[n] != 0) {
        efi_info.vendor[n] = name[n];
        n++;
    }
    efi_info.vendor[n] = 0;
    efi_info.vendor_bytes = (n + 1) * (uint32_t)sizeof(efi_info.vendor[0]);
}

__init void efi_init(paddr_t table, const void *(*map)(paddr_t p, size_t len))
{
    const struct efi_system_table *t = table.a == 0 ? NULL : map(table, sizeof(*t));

    if (t == NULL) {
        return;
    }
    if (t->signature != EFI_SYSTEM_TABLE_SIGNATURE || t->nr_config_tables > CONFIG_TABLES_MAX) {
        log_warn("EFI: no system table at %#lx; dom0 is not told of EFI", table.a);
        return;
    }
    efi_info.revision = t->revision;
    efi_info.firmware_revision = t->firmware_revision;
    efi_info.config_tables = PADDR(t->config_tables);
    efi_info.nr_config_tables = (uint32_t)t->nr_config_tables;
    copy_vendor(t->vendor == 0 ? NULL : map(PADDR(t->vendor), EFI_VENDOR_MAX * sizeof(uint16_t)));
    efi_info.is_present = true;
    log_info("EFI %u.%u, %u configuration tables at %#lx", t->revision >> 16,
             (t->revision & 0xffff) / 10, efi_info.nr_config_tables, efi_info.config_tables.a);
}
