/* SPDX-License-Identifier: MIT */
/*
 * First C code: fill boot_info from what the loader left, and go on with
 * hv_main(), which does not ask any more how the machine was started.
 */
#include "boot/start.h"

#include "sys/boot_info.h"
#include "sys/image.h"
#include "sys/start.h"
#include "boot/layout.h"
#include "x86/layout.h"

static_assert(BOOT_LINK_VA == LAYOUT_IMAGE, "the image is linked where the address space has it");

struct boot_info boot_info;

__init noreturn void boot_start(uint32_t magic, uint64_t info_paddr, uint64_t image_paddr)
{
    (void)magic;
    (void)info_paddr;
    boot_info.image_start = PADDR(image_paddr);
    boot_info.image_end = PADDR(image_paddr + (uint64_t)(__image_end - __image_start));
    hv_main();
}
