/* SPDX-License-Identifier: MIT */
/* The page that tells a paravirtual dom0 what it has been given: <xen/xen.h>, struct start_info. */
#pragma once

#include "builder/dom0.h"
#include "sys/boot_info.h"

/*
 * Fill @page, which is zero, for the domain laid out by @l.  @shared_info is
 * the machine address of its shared page.
 */
void start_info_fill(void *page, const struct dom0_layout *l, const struct kernel_image *img,
                     paddr_t shared_info, const char *cmdline, const struct boot_info *boot);

/*
 * Put together the kernel's command line in @line of @size bytes: the module's
 * own, what stands behind ` -- ` in the hypervisor's, and what we add to it.
 * What does not fit is cut off, with a sentence in the log.
 */
void start_info_cmdline(char *line, size_t size, const struct boot_info *boot);
