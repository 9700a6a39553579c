/* SPDX-License-Identifier: MIT */
/*
 * A machine of some thousand frames for tests of memory management: RAM is an
 * array, CPUs are structs, and what the processor would do is noted.
 */
#pragma once

#include "domain/domain.h"
#include "mm/frame.h"

#define MACHINE_FRAMES 8192ul
#define MACHINE_CPUS   4u

/* All RAM but frames 0 .. 15 free, all CPUs online, nothing flushed. */
void machine_init(void);

/* The flush clock and CPUs' TLBs as the code under test sees them. */
extern uint32_t machine_clock;
extern unsigned int machine_flushes;
/* What happens elsewhere while CPUs flush; NULL: nothing. */
extern void (*machine_while_flushing)(void);
/* What happens elsewhere once the M2P entry of @mfn has changed; NULL: nothing. */
extern void (*machine_after_m2p)(mfn_t mfn);

/* preempt_pending() says yes once when this falls from 1 to 0; 0: never. */
extern unsigned int machine_preempt_in;
extern unsigned int machine_preempts;

/* What cr3_load() got last. */
extern uint64_t machine_cr3;

/* The last refusal that was logged, or "". */
extern char machine_refusal[256];

/* A domain with memory accounts, known to domain_get(). */
struct domain *machine_domain(domid_t id, uint32_t nr_vcpus);

/* The end of one that owns no frame any more. */
void machine_domain_free(struct domain *d);
