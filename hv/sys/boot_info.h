/* SPDX-License-Identifier: MIT */
/*
 * What every way of starting (multiboot 1 and 2, PVH, EFI) tells the rest:
 * after boot/ has filled this, nothing asks how the machine was started.
 */
#pragma once

#include "lib/types.h"

#define BOOT_MAX_MODULES 8
#define BOOT_MAX_E820    128
#define BOOT_CMDLINE_MAX 1024

enum e820_type {
    E820_RAM = 1,
    E820_RESERVED = 2,
    E820_ACPI = 3,
    E820_NVS = 4,
    E820_UNUSABLE = 5,
};

struct e820_entry {
    uint64_t start; /* bytes */
    uint64_t len;   /* bytes */
    uint32_t type;  /* enum e820_type, or what the firmware said */
} packed;

struct boot_module {
    paddr_t start;
    uint64_t len_bytes;
    char cmdline[BOOT_CMDLINE_MAX]; /* of the module, its file name dropped where the loader gave
                                       one */
};

enum boot_video {
    BOOT_VIDEO_NONE,
    BOOT_VIDEO_TEXT, /* 80x25 at 0xb8000 */
    BOOT_VIDEO_FRAMEBUFFER,
};

struct boot_framebuffer {
    paddr_t base;
    uint32_t width, height; /* pixels */
    uint32_t pitch_bytes;
    uint8_t bits_per_pixel;
    uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};

struct boot_info {
    const char *protocol;           /* "multiboot 1", "multiboot 2", "PVH" */
    char loader[64];                /* the loader's own name, "" if it gave none */
    char cmdline[BOOT_CMDLINE_MAX]; /* the hypervisor's, file name dropped where the loader gave one
                                     */
    uint32_t nr_e820;
    struct e820_entry e820[BOOT_MAX_E820]; /* ascending, not overlapping, as the firmware gave it */
    uint32_t nr_modules;
    struct boot_module modules[BOOT_MAX_MODULES];
    paddr_t rsdp; /* 0: not told, search the BIOS areas */
    enum boot_video video;
    struct boot_framebuffer fb;
    paddr_t efi_system_table; /* 0: not an EFI machine */
    paddr_t image_start;      /* where the image was loaded */
    paddr_t image_end;        /* first byte after it, bss included, page aligned */
};

/* Filled before main.c begins; constant afterwards.  Kept for the life of the machine. */
extern struct boot_info boot_info;
