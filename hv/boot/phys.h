/* SPDX-License-Identifier: MIT */
/*
 * Reading what the loader left in memory: the low 4 GiB, mapped at their
 * physical addresses until memory management takes over.
 */
#pragma once

#include "lib/types.h"

#define BOOT_PHYS_END (1ull << 32)

/*
 * The @len_bytes bytes at @paddr, or NULL if they do not lie in what is mapped
 * or @paddr is 0, by which every protocol means "none".
 */
const void *boot_phys(uint64_t paddr, uint64_t len_bytes);

/* Copy @len_bytes bytes from @paddr, aligned or not.  False, and nothing copied: they are not
 * there. */
must_check bool boot_read_phys(void *dst, uint64_t paddr, size_t len_bytes);

/*
 * Copy the string at @paddr, cut after @size - 1 bytes; no string at all gives
 * "".  @what names it in the warning that tells of a cut.
 */
void boot_copy_string(char *dst, size_t size, uint64_t paddr, const char *what);
