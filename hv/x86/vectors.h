/* SPDX-License-Identifier: MIT */
/*
 * Who has which of the 256 interrupt vectors.  Read by assembly as well.
 *
 *   0x00 .. 0x1f  exceptions
 *   0x20 .. 0x2f  the old interrupt controllers: masked, spurious ones end here
 *   0x30 .. 0xef  devices (irq/), but for two that guests know as software
 *                 interrupts: 0x80, open to them, and 0x82
 *   0xf0 .. 0xff  the processors' own
 */
#pragma once

#define VEC_PIC_FIRST    0x20
#define VEC_PIC_LAST     0x2f
#define VEC_DEVICE_FIRST 0x30
#define VEC_INT80        0x80
#define VEC_INT82        0x82
#define VEC_DEVICE_LAST  0xef
#define VEC_OWN_FIRST    0xf0
#define VEC_TIMER        0xf0 /* the local timer */
#define VEC_FLUSH        0xf1 /* another CPU wants a TLB flush */
#define VEC_POKE         0xf2 /* look at what is asked for */
#define VEC_PMU          0xf4
#define VEC_LAPIC_ERROR  0xfe
#define VEC_SPURIOUS     0xff

/* Not vectors, but in entry_vector like one: how the guest came in. */
#define VEC_SYSCALL  0x100 /* SYSCALL; the frame may be left by SYSRET */
#define VEC_SYSENTER 0x200
#define VEC_BOUNCED  0x400 /* beside VEC_SYSCALL: the frame enters the guest kernel */
