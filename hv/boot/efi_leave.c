/* SPDX-License-Identifier: MIT */
/*
 * Leaving EFI's boot services where the loader has not done it, and the memory
 * map that the firmware gives at that moment (UEFI specification 2.10, 7.2 and
 * 7.4.6).
 *
 * boot_leave_efi() is the first C code of such a start.  It runs at the image's
 * physical address, on the firmware's stack and page tables, where every
 * address is its own; interrupts are the firmware's.  The code is position
 * independent, but no table of pointers may be looked into here, and there is
 * neither a log nor per-CPU data.  What it finds stays in the image and is made
 * use of when the image is at home.
 */
#include "boot/fill.h"

#include "drivers/efi_tables.h"
#include "sys/log.h"

#define MAP_BYTES   (32u << 10) /* 680 entries of the usual size */
#define MAX_TRIES   8u
#define PADDR_PAGES (1ull << 40) /* no processor of this architecture addresses more */

enum outcome {
    NOT_TRIED,
    LEFT,
    NO_TABLE,
    NO_HANDLE,
    NO_MAP,
    REFUSED,
    WRONG_ENTRY,
};

static struct {
    enum outcome outcome;
    uint64_t status; /* of the service that failed */
    uint64_t map_bytes, entry_bytes;
} left __initdata;

static uint8_t efi_map[MAP_BYTES] aligned(8) __initdata;

/*
 * A call that leaves boot services must name the map it has seen.  What the
 * firmware does in that call may change the map; then the next try counts.
 */
static __init enum outcome leave(const struct efi_boot_services *services, uint64_t handle)
{
    for (unsigned int i = 0; i < MAX_TRIES; i++) {
        uint64_t key;
        uint32_t version;

        left.map_bytes = sizeof(efi_map);
        left.status =
            services->get_memory_map(&left.map_bytes, efi_map, &key, &left.entry_bytes, &version);
        if (left.status != EFI_SUCCESS || left.entry_bytes < sizeof(struct efi_memory)) {
            return NO_MAP;
        }
        left.status = services->exit_boot_services(handle, key);
        if (left.status == EFI_SUCCESS) {
            return LEFT;
        }
    }
    return REFUSED;
}

__init void boot_leave_efi(uint64_t system_table_paddr, uint64_t image_handle)
{
    const struct efi_system_table *system = (const void *)system_table_paddr;

    if (!system || system->signature != EFI_SYSTEM_TABLE_SIGNATURE || system->boot_services == 0) {
        left.outcome = NO_TABLE;
    } else if (image_handle == 0) {
        left.outcome = NO_HANDLE;
    } else {
        left.outcome = leave((const void *)system->boot_services, image_handle);
    }
}

static __init uint32_t e820_type(uint32_t efi_type)
{
    static const uint8_t types[] __initconst = {
        [EFI_LOADER_CODE] = E820_RAM,        [EFI_LOADER_DATA] = E820_RAM,
        [EFI_BOOT_SERVICES_CODE] = E820_RAM, [EFI_BOOT_SERVICES_DATA] = E820_RAM,
        [EFI_CONVENTIONAL] = E820_RAM,       [EFI_UNUSABLE] = E820_UNUSABLE,
        [EFI_ACPI_RECLAIM] = E820_ACPI,      [EFI_ACPI_NVS] = E820_NVS,
    };

    return efi_type < ARRAY_SIZE(types) && types[efi_type] ? types[efi_type] : E820_RESERVED;
}

/* The firmware's map has many entries, most of them continued by the next. */
__init bool boot_read_efi_memory(void)
{
    uint64_t start = 0, end = 0;
    uint32_t type = 0;

    if (left.outcome != LEFT) {
        return false;
    }
    for (uint64_t at = 0; left.map_bytes - at >= left.entry_bytes; at += left.entry_bytes) {
        const struct efi_memory *m = (const void *)(efi_map + at);

        if (m->start != end || e820_type(m->type) != type) {
            boot_add_memory(start, end - start, type);
            start = m->start;
            type = e820_type(m->type);
        }
        end = m->start + min(m->nr_pages, PADDR_PAGES) * PAGE_SIZE;
    }
    boot_add_memory(start, end - start, type);
    log_info("boot: EFI: boot services left; memory map of %lu entries",
             left.map_bytes / left.entry_bytes);
    return true;
}

__init void boot_expect_efi_left(void)
{
    if (left.outcome == NOT_TRIED) {
        left.outcome = WRONG_ENTRY;
    }
}

__init const char *boot_efi_complaint(uint64_t *status)
{
    static const char *const sentences[WRONG_ENTRY + 1] __initconst = {
        [NO_TABLE] = "the loader left boot services on and told of no system table",
        [NO_HANDLE] = "the loader left boot services on and told of no image handle",
        [NO_MAP] = "the firmware gave no memory map",
        [REFUSED] = "the firmware did not let us leave boot services",
        [WRONG_ENTRY] = "the loader left boot services on and entered in 32-bit mode: 32-bit "
                        "firmware will not do",
    };

    *status = left.status;
    return sentences[left.outcome];
}
