/* SPDX-License-Identifier: MIT */
/*
 * The borders of the image's parts, set by the linker script.  All but those
 * inside read-only data are page aligned; addresses are those the image was
 * linked at.
 */
#pragma once

#include "lib/types.h"

extern const char __image_start[], __image_end[];
extern const char __init_start[], __init_end[]; /* given back after the start */
extern const char __init_text_end[];            /* code up to here, then constants, ... */
extern const char __init_rodata_end[];          /* ... up to here, then data */
extern const char __text_start[], __text_end[];
extern const char __rodata_start[], __rodata_end[];
extern char __data_start[], __data_end[]; /* __data_end: not page aligned, bss follows */
extern char __bss_start[], __bss_end[];
extern char __percpu_start[], __percpu_end[]; /* what each CPU's data begins as */
extern const int32_t __extable_start[],
    __extable_end[]; /* pairs: faulting address, fixup; self-relative */
extern const uint8_t __build_id_start[], __build_id_end[]; /* an ELF note: the hash of the image */
extern const char __alt_start[], __alt_end[];

/*
 * Page tables of the image at its link address, made by the entry code and
 * kept: slot 257 of a top-level table points to image_l3, entry 0 of that to
 * image_l2, and entries 0 and 1 of that to the two halves of image_l1.
 */
extern uint64_t image_l3[512], image_l2[512], image_l1[1024];
