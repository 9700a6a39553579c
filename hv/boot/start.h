/* SPDX-License-Identifier: MIT */
/* What the entry code calls, and what remains to be said when there is a console. */
#pragma once

#include "lib/types.h"

/*
 * Called once, on the boot stack, the low 4 GiB mapped at their physical
 * addresses.  @magic tells the protocol, @info_paddr is what the loader passed,
 * @image_paddr where it put the image.
 */
noreturn void boot_start(uint32_t magic, uint64_t info_paddr, uint64_t image_paddr);

/* Reports what boot_info holds; panics if the loader left out what nothing can be done without. */
void boot_check(void);
