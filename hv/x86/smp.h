/* SPDX-License-Identifier: MIT */
/*
 * What CPUs ask of each other: interrupts between processors, TLB flushes,
 * calls.
 *
 * The flush clock: a counter that every full flush of a CPU's guest mappings
 * advances; cpu->flush_stamp is its value at that CPU's last flush.  A frame
 * that stops being writable notes the clock (frame.type); whoever then gives
 * it another type must first flush the CPUs that have not flushed since.
 */
#pragma once

#include "sys/cpu.h"

/* Serve flush requests of other CPUs: called while waiting for a lock or an answer. */
void cpu_poll_requests(void);

/* The same, and run their calls: while waiting for anything with no lock held. */
void cpu_poll_calls(void);

/* Wake @cpu by an interrupt that does nothing else. */
void cpu_poke(unsigned int cpu);

/* The flush clock now.  What the caller did before is done: its last change was a locked one. */
uint32_t tlb_clock(void);

/* Must @cpu flush before a frame stamped @stamp may change its type? */
static inline bool tlb_flushed_since(const struct cpu *cpu, uint32_t stamp)
{
    return READ_ONCE(cpu->flush_stamp) > stamp;
}

/* When the clock has come to its end: set it back.  Part of SOFTIRQ_CALL. */
void tlb_clock_rewind(void);

/* Flush this CPU's guest (non-global) mappings. */
void tlb_flush_local(void);

/* Flush one page, in every CPU's current address space that is in @m; this CPU included if it is.
 */
void tlb_flush_page_mask(const struct cpumask *m, uint64_t va);

/* Flush guest mappings on the CPUs in @m and wait until done.  May be called with locks held. */
void tlb_flush_mask(const struct cpumask *m);

/* Flush everything, our own global mappings included, on every CPU.  Seldom. */
void tlb_flush_global_all(void);

/* Load CR3 (machine address of an L4), flushing guest mappings; keeps cpu->cr3 and the flush clock.
 */
void cr3_load(uint64_t cr3);

/* Run @fn(@arg) on all CPUs in @m at their next safe place, and wait.  No locks may be held. */
void cpu_call_mask(const struct cpumask *m, void (*fn)(void *), void *arg);

/* Wait until everything that CPUs do now is over; no lock is held. */
void cpu_quiesce(void);

/* SOFTIRQ_CALL: run what other CPUs want run here. */
void cpu_call_softirq(void);

/*
 * Start the CPUs with these APIC ids (the boot CPU's own among them is left
 * out), @max_cpus in all at most; returns when all that will come are online
 * and in hv_ap_main().  Boot CPU, before paging_seal().
 */
void smp_start(const uint32_t *apic_ids, unsigned int nr, unsigned int max_cpus);

/* What a started CPU does, on its own stack, set up and online.  Supplied by main.c. */
noreturn void hv_ap_main(void);
