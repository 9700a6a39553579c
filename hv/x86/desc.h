/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables.  Each CPU has a GDT of its own in a window of 16 pages:
 * the running guest's GDT frames in pages 0 to 13, in page 14 the flat
 * segments that the guest ABI promises, ours, and the TSS.  Next to it lies a
 * window of 16 pages for the running guest's LDT.  The IDT is one for all, and
 * constant.  Read by assembly as well.
 */
#pragma once

#define GDT_GUEST_PAGES 14
#define GDT_OWN_OFFSET  0xe000 /* page 14; FIRST_RESERVED_GDT_BYTE of the ABI */

#define SEL_HV_CS     0xe008
#define SEL_HV_SS     0xe010 /* SYSCALL wants it right after CS */
#define SEL_STAR_USER 0xe023 /* SYSRET: CS32; + 8 the stack; + 16 CS64 */
#define SEL_TSS       0xe040
#define SEL_LDT       0xe050
#define GDT_OWN_BYTES 0x60

#ifndef __ASSEMBLY__
#include "abi/xen.h"
#include "lib/types.h"
#include "x86/layout.h"

#define LDT_PAGES 16u

/* The near area: code stubs for all CPUs, then a stretch for each. */
#define NEAR_STUBS          LAYOUT_NEAR
#define NEAR_STUB_BYTES     128ul
#define NEAR_CPU_FIRST      (LAYOUT_NEAR + 0x200000)
#define NEAR_CPU_BYTES      0x40000ul
#define NEAR_CPU(cpu)       (NEAR_CPU_FIRST + (cpu)*NEAR_CPU_BYTES)
#define NEAR_CPU_BLOCK(cpu) (NEAR_CPU(cpu) + 0x8000)
#define NEAR_CPU_GDT(cpu)   (NEAR_CPU(cpu) + 0x20000)
#define NEAR_CPU_LDT(cpu)   (NEAR_CPU(cpu) + 0x30000)

/* Which stack of the TSS's list an exception uses; 0: the usual one. */
enum {
    IST_NONE,
    IST_NMI,
    IST_MC,
    IST_DF,
    IST_DB
};

struct tss {
    uint32_t reserved0;
    uint64_t rsp0; /* end of the register frame in the running vCPU */
    uint64_t rsp1, rsp2;
    uint64_t reserved1;
    uint64_t ist[7]; /* ist[IST_NMI - 1] and so on */
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_bitmap; /* past the limit: no ports for ring 3 */
} packed;

static_assert(sizeof(struct tss) == 104, "task state of the 64-bit architecture");

struct cpu;

/* Fill the IDT, and load it while still on the entry code's segments (code selector @cs).  Once. */
void idt_init_early(uint16_t cs);

/* The IDT's final form; idt_page() is read-only from paging_seal() on. */
void idt_init(void);
const void *idt_page(void);

/*
 * Make descriptors, TSS and the windows of @cpu, whose block and struct cpu
 * are mapped.  -ENOMEM.
 */
int must_check desc_init_cpu(struct cpu *cpu);

/* Load them on this CPU, with segment registers and the SYSCALL and SYSENTER entries. */
void desc_load(void);

/*
 * Show the guest GDT of @nr frames in this CPU's window, empty descriptors in
 * what is left of it.  Only what differs is rewritten.  @nr is at most GDT_GUEST_PAGES.
 */
void gdt_window_set(const mfn_t *frames, unsigned int nr);

/* Page @page of the LDT window; the caller holds what keeps @mfn a descriptor page. */
void ldt_window_map(unsigned int page, mfn_t mfn);

/* Unmap all of the LDT window. */
void ldt_window_clear(void);

/* Make the LDT @nr descriptors long (its pages are mapped one by one); 0: none. */
void ldt_load(unsigned int nr);

/*
 * Is @va in this CPU's LDT window?  Then *@page and *@offset tell where in it:
 * a fault there means that the guest used a selector of a page not yet mapped.
 */
bool ldt_window_hit(uint64_t va, unsigned int *page, unsigned int *offset);
#endif
