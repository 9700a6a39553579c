/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 (specification 0.6.96): one structure of fixed layout, whose
 * flags tell which members mean anything, with pointers to the rest.  Spoken by
 * QEMU -kernel, iPXE, old GRUB.
 */
#include "boot/fill.h"

#include "boot/phys.h"
#include "sys/log.h"

#define MAX_LOOKED_AT 1024u /* modules, map entries: more is a broken structure */

enum {
    MB1_MEMORY = 1 << 0,
    MB1_CMDLINE = 1 << 2,
    MB1_MODULES = 1 << 3,
    MB1_MEMORY_MAP = 1 << 6,
    MB1_LOADER_NAME = 1 << 9,
    MB1_FRAMEBUFFER = 1 << 12,
};

struct mb1_info {
    uint32_t flags;
    uint32_t mem_lower_kib, mem_upper_kib; /* below 1 MiB; from 1 MiB on */
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t nr_modules, modules;
    uint32_t symbols[4];
    uint32_t mmap_bytes, mmap;
    uint32_t drives[2], config_table;
    uint32_t loader_name;
    uint32_t apm_table, vbe[4];
} packed;

struct mb1_framebuffer {
    struct boot_mb_framebuffer fb;
    uint8_t rgb[6];
} packed;

struct mb1_module {
    uint32_t start, end, string, reserved;
};

struct mb1_mmap {
    uint32_t size; /* of what follows */
    uint64_t start, len_bytes;
    uint32_t type;
} packed;

static_assert(sizeof(struct mb1_info) == 88, "the framebuffer follows");

static __init void read_memory_map(const struct mb1_info *mb)
{
    uint64_t at = mb->mmap;
    uint64_t end = at + mb->mmap_bytes;

    for (unsigned int i = 0; i < MAX_LOOKED_AT && at < end; i++) {
        struct mb1_mmap e;

        if (end - at < sizeof(e) || !boot_read_phys(&e, at, sizeof(e)) ||
            e.size < sizeof(e) - sizeof(e.size)) {
            log_warn("boot: the loader's memory map is cut short after %u entries", i);
            return;
        }
        boot_add_memory(e.start, e.len_bytes, e.type);
        at += sizeof(e.size) + (uint64_t)e.size;
    }
}

static __init void read_memory(const struct mb1_info *mb)
{
    if (mb->flags & MB1_MEMORY_MAP) {
        read_memory_map(mb);
    } else if (mb->flags & MB1_MEMORY) {
        boot_add_memory(0, mb->mem_lower_kib * 1024ull, E820_RAM);
        boot_add_memory(0x100000, mb->mem_upper_kib * 1024ull, E820_RAM);
    }
}

static __init void read_modules(struct boot_info *info, const struct mb1_info *mb)
{
    for (uint32_t i = 0; i < mb->nr_modules; i++) {
        struct mb1_module m;

        if (i == MAX_LOOKED_AT || !boot_read_phys(&m, mb->modules + i * sizeof(m), sizeof(m))) {
            log_warn("boot: the loader's list of %u modules is cut short after %u", mb->nr_modules,
                     i);
            return;
        }
        boot_add_module(info, m.start, m.end, m.string);
    }
}

__init void boot_read_multiboot1(struct boot_info *info, uint64_t paddr)
{
    struct mb1_info mb;
    struct mb1_framebuffer fb;

    info->protocol = "multiboot 1";
    info->video = BOOT_VIDEO_TEXT;
    if (!boot_read_phys(&mb, paddr, sizeof(mb))) {
        return;
    }
    if (mb.flags & MB1_LOADER_NAME) {
        boot_copy_string(info->loader, sizeof(info->loader), mb.loader_name, "the loader's name");
    }
    if (mb.flags & MB1_CMDLINE) {
        boot_copy_string(info->cmdline, sizeof(info->cmdline), mb.cmdline, "the command line");
    }
    if (mb.flags & MB1_MODULES) {
        read_modules(info, &mb);
    }
    if ((mb.flags & MB1_FRAMEBUFFER) && boot_read_phys(&fb, paddr + sizeof(mb), sizeof(fb))) {
        boot_set_framebuffer(info, &fb.fb, fb.rgb);
    }
    read_memory(&mb);
    boot_drop_file_names(info);
}
