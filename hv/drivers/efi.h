/* SPDX-License-Identifier: MIT */
/*
 * What EFI firmware has left in its system table for an operating system: where
 * its configuration tables are (ACPI and SMBIOS among them), who made it.
 * UEFI specification 2.x, 4.3.
 */
#pragma once

#include "lib/types.h"

#define EFI_VENDOR_MAX 64u /* characters kept of the vendor's name */

struct efi_info {
    bool is_present;
    uint32_t revision; /* of the specification: major << 16 | minor */
    uint32_t firmware_revision;
    paddr_t config_tables;
    uint32_t nr_config_tables;
    uint32_t vendor_bytes;           /* with the ending 0 */
    uint16_t vendor[EFI_VENDOR_MAX]; /* UCS-2 */
};

/* Filled by efi_init(), constant afterwards. */
extern struct efi_info efi_info;

/*
 * Read the system table at @table; 0: this is no EFI machine.  @map makes
 * @len bytes at a machine address readable, NULL if it cannot.
 */
void efi_init(paddr_t table, const void *(*map)(paddr_t p, size_t len));
