/* SPDX-License-Identifier: MIT */
/*
 * Where the image lies: numbers that the linker script, the entry code and the
 * C code of boot/ share.
 */
#pragma once

#define BOOT_LINK_VA    0xffff808000000000 /* the image's home: slot 257 of every top-level table */
#define BOOT_LOAD_PADDR 0x200000           /* where loaders put it that do not choose themselves */
#define BOOT_ALIGN      0x200000           /* what a loader that chooses must align it to */
#define BOOT_IMAGE_MAX  0x400000           /* what the entry code's page tables can map */
