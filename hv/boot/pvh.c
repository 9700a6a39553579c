/* SPDX-License-Identifier: MIT */
/*
 * PVH: the start of another hypervisor's guest, or of QEMU's -kernel.  The
 * layouts are in <xen/arch-x86/hvm/start_info.h>.  Its command lines never have
 * a file name in front.
 */
#include "boot/fill.h"

#include "boot/phys.h"
#include "sys/log.h"

#include <xen/arch-x86/hvm/start_info.h>

#define MAX_LOOKED_AT 1024u

static __init void read_memory_map(const struct hvm_start_info *start)
{
    for (uint32_t i = 0; i < start->memmap_entries; i++) {
        struct hvm_memmap_table_entry e;

        if (i == MAX_LOOKED_AT || start->memmap_paddr == 0 ||
            !boot_read_phys(&e, start->memmap_paddr + i * sizeof(e), sizeof(e))) {
            log_warn("boot: the loader's memory map is cut short after %u entries", i);
            return;
        }
        boot_add_memory(e.addr, e.size, e.type);
    }
}

static __init void read_modules(struct boot_info *info, const struct hvm_start_info *start)
{
    for (uint32_t i = 0; i < start->nr_modules; i++) {
        struct hvm_modlist_entry m;

        if (i == MAX_LOOKED_AT || start->modlist_paddr == 0 ||
            !boot_read_phys(&m, start->modlist_paddr + i * sizeof(m), sizeof(m))) {
            log_warn("boot: the loader's list of %u modules is cut short after %u",
                     start->nr_modules, i);
            return;
        }
        boot_add_module(info, m.paddr, m.paddr + m.size, m.cmdline_paddr);
    }
}

__init void boot_read_pvh(struct boot_info *info, uint64_t paddr)
{
    struct hvm_start_info start;

    /* Version 0 ends before the memory map, version 1 has it. */
    info->protocol = "PVH";
    if (!boot_read_phys(&start, paddr, offsetof(struct hvm_start_info, memmap_paddr)) ||
        start.magic != XEN_HVM_START_MAGIC_VALUE) {
        return;
    }
    boot_copy_string(info->cmdline, sizeof(info->cmdline), start.cmdline_paddr, "the command line");
    info->rsdp = PADDR(start.rsdp_paddr);
    read_modules(info, &start);
    if (start.version >= 1 && boot_read_phys(&start, paddr, sizeof(start))) {
        read_memory_map(&start);
    }
}
