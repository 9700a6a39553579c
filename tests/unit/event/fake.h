/* SPDX-License-Identifier: MIT */
/* What lies below event channels, for tests of theirs: memory, domains, CPUs. */
#pragma once

#include "event/internal.h"

#define FAKE_FRAMES 256u
#define FAKE_VCPUS  3u

/* RAM of guests; frame n is at fake_ram + n * PAGE_SIZE. */
extern uint8_t *fake_ram;
extern struct frame fake_frames[FAKE_FRAMES];

extern unsigned int fake_quiesced; /* how often all CPUs were waited for */

/* Called when they are; may be NULL: the last that a CPU does before its safe place. */
extern void (*fake_on_quiesce)(void);

/* preempt_pending() says yes once when this falls from 1 to 0; 0: never. */
extern unsigned int fake_preempt_in;

void fake_init(void);

/*
 * A thread that stands for CPU @cpu, 1 to FAKE_CPUS - 1: from its first safe
 * place on whoever waits for all CPUs waits for its next one, until it has left.
 */
#define FAKE_CPUS 4u
void fake_safe_place(unsigned int cpu);
void fake_cpu_leaves(unsigned int cpu);

/* A domain with FAKE_VCPUS vCPUs, known to domain_get(); and its end. */
struct domain *fake_domain(domid_t id, uint32_t max_port);
void fake_domain_end(struct domain *d);

/* Frames are given out in order, all to whoever asks; fake_init() takes them back. */
uint64_t fake_frame(const struct domain *d);
static inline void *fake_page(uint64_t mfn)
{
    return fake_ram + mfn * PAGE_SIZE;
}

uint64_t fake_random(void);
static inline unsigned int fake_below(unsigned int n)
{
    return (unsigned int)(fake_random() % n);
}

/*
 * A kernel's side.  Take what @v has, as long as its upcall is pending; @take is
 * told each event.
 */
void fake_upcall(struct vcpu *v, void (*take)(struct domain *d, evtchn_port_t port));
event_word_t *fake_word(struct domain *d, evtchn_port_t port); /* NULL: it has no page */
void fake_mask(struct domain *d, evtchn_port_t port);
bool fake_is_masked(struct domain *d, evtchn_port_t port);

/* A clock that goes on by so much with each look. */
extern uint64_t fake_now, fake_tick_ns;
