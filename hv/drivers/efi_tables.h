/* SPDX-License-Identifier: MIT */
/*
 * Tables of EFI firmware, 64-bit (UEFI specification 2.10, chapters 4 and 7);
 * of the services only those that are called.
 */
#pragma once

#include "lib/types.h"

#define EFI_SYSTEM_TABLE_SIGNATURE 0x5453595320494249ull /* "IBI SYST" */
#define EFI_SUCCESS                0ull

/* How firmware wants to be called. */
#define EFI_API __attribute__((ms_abi))

struct efi_guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
};

struct efi_system_table {
    uint64_t signature;
    uint32_t revision;
    uint32_t header_bytes;
    uint32_t crc32;
    uint32_t reserved;
    uint64_t vendor; /* UCS-2 text */
    uint32_t firmware_revision;
    uint32_t pad;
    uint64_t consoles[6];
    uint64_t runtime_services;
    uint64_t boot_services;
    uint64_t nr_config_tables;
    uint64_t config_tables;
};

struct efi_config_table {
    struct efi_guid guid;
    uint64_t table;
};

/* An entry of the memory map; the firmware tells its size, as later versions may add to it. */
struct efi_memory {
    uint32_t type; /* enum efi_memory_type */
    uint32_t pad;
    uint64_t start;
    uint64_t virtual_start;
    uint64_t nr_pages; /* of 4 KiB */
    uint64_t attributes;
};

enum efi_memory_type {
    EFI_RESERVED,
    EFI_LOADER_CODE,
    EFI_LOADER_DATA,
    EFI_BOOT_SERVICES_CODE,
    EFI_BOOT_SERVICES_DATA,
    EFI_RUNTIME_SERVICES_CODE,
    EFI_RUNTIME_SERVICES_DATA,
    EFI_CONVENTIONAL,
    EFI_UNUSABLE,
    EFI_ACPI_RECLAIM,
    EFI_ACPI_NVS,
};

struct efi_boot_services {
    uint64_t header_and_others[7];
    uint64_t(EFI_API *get_memory_map)(uint64_t *map_bytes, void *map, uint64_t *key,
                                      uint64_t *entry_bytes, uint32_t *version);
    uint64_t others[21];
    uint64_t(EFI_API *exit_boot_services)(uint64_t image_handle, uint64_t map_key);
};

static_assert(sizeof(struct efi_system_table) == 120, "as the firmware has it");
static_assert(sizeof(struct efi_config_table) == 24, "as the firmware has it");
static_assert(sizeof(struct efi_memory) == 40, "as the firmware has it");
static_assert(offsetof(struct efi_boot_services, get_memory_map) == 56, "as the firmware has it");
static_assert(offsetof(struct efi_boot_services, exit_boot_services) == 232,
              "as the firmware has it");
