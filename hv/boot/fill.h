/* SPDX-License-Identifier: MIT */
/*
 * Filling struct boot_info: a reader for each protocol, and what they share.
 */
#pragma once

#include "sys/boot_info.h"

/*
 * Readers: enter into @info, which knows no more than where the image lies,
 * what the structure at @paddr tells.  Broken pieces are left out with a warning.
 */
void boot_read_multiboot1(struct boot_info *info, uint64_t paddr);
void boot_read_multiboot2(struct boot_info *info, uint64_t paddr);
void boot_read_pvh(struct boot_info *info, uint64_t paddr);

/* Take in one entry of the firmware's memory map, in whatever order they come. */
void boot_add_memory(uint64_t start, uint64_t len_bytes, uint32_t type);

/*
 * Make @info's memory map from all that was taken in: ascending, without
 * overlaps; where entries overlap, the one that restricts use the most counts.
 */
void boot_finish_memory(struct boot_info *info);

/* Take in a module, with the string that the loader gave it. */
void boot_add_module(struct boot_info *info, uint64_t start, uint64_t end, uint64_t string_paddr);

/* The two colour layouts and sizes of a framebuffer, as both multiboots tell them. */
struct boot_mb_framebuffer {
    uint64_t addr;
    uint32_t pitch, width, height;
    uint8_t bpp, kind;
} packed;

enum {
    BOOT_MB_FB_INDEXED = 0,
    BOOT_MB_FB_RGB = 1,
    BOOT_MB_FB_TEXT = 2
};

/* @rgb: positions and sizes of red, green, blue; six bytes. */
void boot_set_framebuffer(struct boot_info *info, const struct boot_mb_framebuffer *fb,
                          const uint8_t *rgb);

/*
 * Drop the file name that most loaders put before the arguments, here and in
 * the modules' strings.  GRUB 2 leaves it out by itself.
 */
void boot_drop_file_names(struct boot_info *info);

/* The root table of ACPI as an EFI machine's tables tell it; 0 if they do not. */
uint64_t boot_efi_rsdp(uint64_t system_table_paddr);

/*
 * Multiboot 2, entered in 64-bit mode on an EFI machine: leave boot services if
 * the loader says that they are still there.  For entry.S, before all else, at
 * the image's physical address.
 */
void boot_leave_multiboot2(uint64_t paddr);

/* Leave EFI's boot services, keeping the memory map.  In the same situation. */
void boot_leave_efi(uint64_t system_table_paddr, uint64_t image_handle);

/* Take in the memory map that boot_leave_efi() kept; false: there is none. */
bool boot_read_efi_memory(void);

/* The loader says that it left boot services on: boot_leave_efi() must have been at work. */
void boot_expect_efi_left(void);

/* Why boot services could not be left, and the firmware's error in *@status; NULL: all is well. */
const char *boot_efi_complaint(uint64_t *status);
