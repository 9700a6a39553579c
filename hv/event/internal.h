/* SPDX-License-Identifier: MIT */
/* The table of a domain's event channels, shared by this folder's files. */
#pragma once

#include "event/event.h"
#include "time/timer.h"
#include "x86/uaccess.h"

/*
 *            alloc_unbound            bind_interdomain
 *   FREE ------------------> UNBOUND -----------------> INTERDOMAIN
 *     |  ------------------> VIRQ, IPI, PIRQ                |
 *     ^  <-- close --- any              the other end's close --> UNBOUND
 */
enum evtchn_state {
    EVTCHN_FREE,
    EVTCHN_UNBOUND,     /* the domain .remote_id may bind to it */
    EVTCHN_INTERDOMAIN, /* its other end is .remote_port of .remote */
    EVTCHN_PIRQ,        /* .number is the pirq */
    EVTCHN_VIRQ,        /* .number is the virq */
    EVTCHN_IPI,         /* from the domain to itself */
    EVTCHN_RESERVED,    /* port 0 */
};

struct evtchn {
    uint8_t state; /* enum evtchn_state; changed with the lock, read by pirq delivery without */
    domid_t remote_id;
    uint32_t vcpu; /* whom it notifies */
    uint32_t number;
    evtchn_port_t remote_port;
    struct domain *remote; /* holds a reference */
} aligned(32);             /* a power of two: found without a division */

#define EVTCHNS_PER_PAGE (PAGE_SIZE / sizeof(struct evtchn))
#define EVTCHN_2L_PORTS  (sizeof(((struct shared_info *)0)->evtchn_pending) * 8)
#define EVTCHN_PAGES     ((EVTCHN_2L_PORTS + EVTCHNS_PER_PAGE - 1) / EVTCHNS_PER_PAGE)

/* All members: [e] holder of lock, unless noted. */
struct evtchn_table {
    struct spinlock lock; /* LOCK_RANK_EVTCHN */
    uint32_t nr_ports;    /* [c] ports 1 .. nr_ports - 1 may be used */
    uint32_t first_free;  /* no free port below this one */
    uint32_t nr_polling;  /* [a] vCPUs asleep in a poll */
    struct evtchn *pages[EVTCHN_PAGES];
};

/* One vCPU's share. */
struct vcpu_events {
    evtchn_port_t virq_ports[NR_VIRQS]; /* [e] 0: unbound */
    evtchn_port_t poll_port;            /* [a] the only port polled; 0: several */
    bool is_polling;                    /* [o] counted in nr_polling */
    struct timer singleshot;
    struct timer periodic;
    struct timer poll;
    uint64_t period_ns;       /* [o] 0: none */
    uint64_t periodic_due_ns; /* [timer's CPU] */
};

/* The entry of @port, free or not, goes to *@c, if it is a port and there is memory for it.  Holds
 * the table's lock. */
static always_inline bool evtchn_entry(const struct evtchn_table *t, evtchn_port_t port,
                                       struct evtchn **c)
{
    struct evtchn *page;

    if (unlikely(port >= t->nr_ports)) {
        return false;
    }
    port = (evtchn_port_t)array_index_nospec(port, t->nr_ports);
    page = t->pages[port / EVTCHNS_PER_PAGE];
    *c = &page[port % EVTCHNS_PER_PAGE];
    return likely(page != NULL);
}

/* The channel of @port, or NULL when there is none in use.  Holds the table's lock. */
static inline struct evtchn *evtchn_find(struct domain *d, evtchn_port_t port)
{
    struct evtchn *c;

    return evtchn_entry(d->evtchn, port, &c) && c->state != EVTCHN_FREE &&
                   c->state != EVTCHN_RESERVED
               ? c
               : NULL;
}

/* A free port, made @state, notifying vCPU @vcpu.  -ENOSPC, -ENOMEM. */
int must_check evtchn_take(struct domain *d, enum evtchn_state state, uint32_t vcpu,
                           evtchn_port_t *port);

/* Make @port pending; @vcpu is notified unless it is masked.  Needs no lock. */
void evtchn_set_pending(struct domain *d, evtchn_port_t port, uint32_t vcpu);

/* Parts made by the files beside evtchn.c. */
int must_check vtimer_vcpu_create(struct vcpu *v);
int must_check pirq_create(struct domain *d);
/* A pirq gets its channel, or loses it. */
int must_check pirq_bind(struct domain *d, uint32_t pirq, uint32_t flags, evtchn_port_t port);
void pirq_unbind(struct domain *d, uint32_t pirq);
/* Let the interrupt come where @v, which gets its events, ran last. */
void pirq_follow(struct domain *d, uint32_t pirq, const struct vcpu *v);
