/* SPDX-License-Identifier: MIT */
/* Event channels of the two-level kind, and the clock. */
#pragma once

#include "guest.h"

typedef void event_handler(unsigned int port);

void event_init(void);     /* once */
void event_dispatch(void); /* the upcall */

/* Whose upcall takes @port: vCPU 0's unless said otherwise; binding for a vCPU says so. */
void event_set_cpu(unsigned int port, unsigned int cpu);
void event_set_handler(unsigned int port, event_handler *handler);

struct vcpu_info *event_vcpu_info(void); /* this vCPU's */
void event_mask(void);                   /* this vCPU's upcalls */
void event_unmask(void);                 /* and take what is pending */

void port_mask(unsigned int port);
void port_unmask(unsigned int port);
bool port_is_pending(unsigned int port);
void port_clear(unsigned int port);

/* These return the port or an error. */
long event_bind_virq(unsigned int virq, unsigned int cpu);
long event_bind_ipi(unsigned int cpu);
long event_alloc_unbound(unsigned int dom, unsigned int remote);
long event_close(unsigned int port);
long event_send(unsigned int port);

/* Nanoseconds since the hypervisor started, and the raw counter. */
uint64_t system_time(void);

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* Have VIRQ_TIMER raised on this vCPU at @deadline_ns of system_time(). */
long timer_set(uint64_t deadline_ns);
long timer_stop(void);
