/* SPDX-License-Identifier: MIT */
/*
 * First C code: fill boot_info from what the loader left, and go on with
 * hv_main(), which does not ask any more how the machine was started.
 */
#include "boot/start.h"

#include "boot/fill.h"
#include "boot/layout.h"
#include "sys/image.h"
#include "sys/log.h"
#include "sys/start.h"
#include "x86/layout.h"

#include <xen/arch-x86/hvm/start_info.h>

static_assert(BOOT_LINK_VA == LAYOUT_IMAGE, "the image is linked where the address space has it");

struct boot_info boot_info;

static const struct {
    uint32_t magic; /* what eax holds at the entry */
    void (*read)(struct boot_info *info, uint64_t paddr);
} protocols[] __initconst = {
    { 0x2BADB002, boot_read_multiboot1 },
    { 0x36d76289, boot_read_multiboot2 },
    { XEN_HVM_START_MAGIC_VALUE, boot_read_pvh },
};

static __init bool has_ram(void)
{
    for (uint32_t i = 0; i < boot_info.nr_e820; i++) {
        if (boot_info.e820[i].type == E820_RAM) {
            return true;
        }
    }
    return false;
}

__init noreturn void boot_start(uint32_t magic, uint64_t info_paddr, uint64_t image_paddr)
{
    boot_info.image_start = PADDR(image_paddr);
    boot_info.image_end = PADDR(image_paddr + (uint64_t)(__image_end - __image_start));
    boot_info.protocol = "no known protocol";
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        if (protocols[i].magic == magic) {
            protocols[i].read(&boot_info, info_paddr);
        }
    }
    boot_finish_memory(&boot_info);
    hv_main();
}

static __init void report_memory(void)
{
    static const char *const names[] __initconst = {
        [E820_RAM] = "RAM",      [E820_RESERVED] = "reserved", [E820_ACPI] = "ACPI",
        [E820_NVS] = "ACPI NVS", [E820_UNUSABLE] = "bad",
    };

    for (uint32_t i = 0; i < boot_info.nr_e820; i++) {
        const struct e820_entry *e = &boot_info.e820[i];
        const char *name = e->type < ARRAY_SIZE(names) ? names[e->type] : NULL;

        log_info("boot: memory %#lx-%#lx %s (%u)", e->start, e->start + e->len - 1,
                 name ? name : "of another type", e->type);
    }
}

static __init void report_screen(void)
{
    if (boot_info.video == BOOT_VIDEO_FRAMEBUFFER) {
        log_info("boot: screen %ux%u, %u bits a pixel, at %#lx", boot_info.fb.width,
                 boot_info.fb.height, boot_info.fb.bits_per_pixel, boot_info.fb.base.a);
    } else {
        log_info("boot: %s", boot_info.video == BOOT_VIDEO_TEXT ? "text screen" : "no screen");
    }
}

__init void boot_check(void)
{
    uint64_t efi_status;
    const char *complaint = boot_efi_complaint(&efi_status);

    log_info("boot: %s, loader \"%s\", %s, image at %#lx-%#lx", boot_info.protocol,
             boot_info.loader, boot_info.efi_system_table.a ? "EFI" : "BIOS",
             boot_info.image_start.a, boot_info.image_end.a - 1);
    log_info("boot: command line \"%s\"", boot_info.cmdline);
    for (uint32_t i = 0; i < boot_info.nr_modules; i++) {
        const struct boot_module *m = &boot_info.modules[i];

        log_info("boot: module %u: %lu bytes at %#lx \"%s\"", i, m->len_bytes, m->start.a,
                 m->cmdline);
    }
    report_memory();
    report_screen();
    if (complaint) {
        panic("boot: EFI: %s (status %#lx)", complaint, efi_status);
    }
    if (!has_ram()) {
        panic("boot: the loader (%s, \"%s\") gave no memory map: start Mansio by multiboot, "
              "multiboot2 or PVH",
              boot_info.protocol, boot_info.loader);
    }
}
