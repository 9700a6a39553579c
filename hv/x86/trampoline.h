/* SPDX-License-Identifier: MIT */
/* The first steps of the other CPUs: code to be copied below 1 MiB, and the words in it to be set.
 */
#pragma once

#include "lib/compiler.h"

extern const char trampoline_start[], trampoline_end[];

/* 32-bit words that hold distances from the start: add where the copy is. */
extern const char trampoline_gdt_base[], trampoline_jump_32[], trampoline_jump_64[];

/* 32-bit word: the page tables to use. */
extern const char trampoline_cr3[];

/* What trampoline.S jumps to, on the CPU's own block. */
noreturn void smp_ap_main(void);

/* What it looks at: the CPUs' APIC ids by number, and how many. */
extern uint32_t smp_apic_ids[], smp_nr_cpus;
