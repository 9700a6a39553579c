/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's address space, the same in every page table.  The guest ABI
 * reserves slots 256 to 271 of the top level (<xen/arch-x86/xen-x86_64.h>,
 * HYPERVISOR_VIRT_START and _END) for us.
 */
#pragma once

#define LAYOUT_HV_START   0xffff800000000000ul
#define LAYOUT_HV_END     0xffff880000000000ul
#define LAYOUT_SLOT_FIRST 256
#define LAYOUT_SLOT_LAST  271

#define LAYOUT_M2P           0xffff800000000000ul /* slot 256; guests read it */
#define LAYOUT_IMAGE         0xffff808000000000ul /* slot 257; as in boot/mansio.lds */
#define LAYOUT_NEAR          0xffff808040000000ul /* image + 1 GiB: per-CPU blocks, stubs, GDT windows */
#define LAYOUT_NEAR_END      0xffff808078000000ul /* still within 2 GiB of all the image */
#define LAYOUT_MMIO          0xffff808080000000ul /* device mappings */
#define LAYOUT_MMIO_END      0xffff80c000000000ul
#define LAYOUT_WORKSPACE     0xffff80c000000000ul /* while dom0 is built; up to slot 258 */
#define LAYOUT_FRAME_TABLE   0xffff810000000000ul /* slot 258 */
#define LAYOUT_DIRECT_MAP    0xffff820000000000ul /* slots 260 to 271 */
#define LAYOUT_DIRECT_MAP_TB 6                    /* TiB that it reaches */
