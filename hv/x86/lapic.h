/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: acknowledging, interrupts to other CPUs, the local timer.
 * Memory-mapped (xAPIC) or by MSRs (x2APIC), the same on all CPUs.
 */
#pragma once

#include "lib/types.h"

/*
 * Choose the mode: x2APIC if firmware has switched it on already or a CPU's
 * APIC id (@max_apic_id) asks for it, else xAPIC with its registers at @base
 * (from the MADT; 0: where the processor says).  Boot CPU, once.
 */
void lapic_init(paddr_t base, uint32_t max_apic_id);

/* Switch this CPU's on: spurious and error vectors; masked is all but the boot CPU's NMI pin. */
void lapic_init_cpu(void);

/* NMIs reach this CPU by its local pin @lint, 0 or 1, and not by the other; without this call the
 * boot CPU takes them by pin 1. */
void lapic_wire_nmi(unsigned int lint, bool is_active_low);

bool lapic_is_x2apic(void);
uint32_t lapic_id(void); /* this CPU's APIC id */

/* This CPU's interrupt in service is done. */
void lapic_eoi(void);

/* Interrupt @vector for the CPU with @apic_id. */
void lapic_send(uint32_t apic_id, unsigned int vector);
/* To start another CPU: INIT, and then start-up at the page @page (physical address >> 12). */
void lapic_send_init(uint32_t apic_id);
void lapic_send_startup(uint32_t apic_id, unsigned int page);
/* NMI to all but this CPU. */
void lapic_nmi_others(void);

/* Log what the error interrupt is about. */
void lapic_report_error(void);

/*
 * The local timer raises VEC_TIMER once.  With FEATURE_TSC_DEADLINE it is set
 * in values of the TSC, else in its own ticks, whose rate must be measured.
 */
bool lapic_timer_by_tsc(void);
void lapic_timer_set_tsc(uint64_t tsc);     /* at this value of the TSC; past ones fire at once */
void lapic_timer_set_ticks(uint32_t ticks); /* after this many ticks, at least 1 */
void lapic_timer_stop(void);

/* For calibration: count down from the largest number, without an interrupt, until
 * lapic_timer_stop(). */
void lapic_timer_start_counting(void);
uint32_t lapic_timer_left(void);
