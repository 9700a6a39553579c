/* SPDX-License-Identifier: MIT */
/* The table of a domain's event channels, shared by this folder's files. */
#pragma once

#include "event/event.h"
#include "lib/bits.h"
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
    EVTCHN_UNBOUND,     /* the domain .number may bind to it */
    EVTCHN_INTERDOMAIN, /* its other end is .peer */
    EVTCHN_PIRQ,        /* .number is the pirq */
    EVTCHN_VIRQ,        /* .number is the virq */
    EVTCHN_IPI,         /* from the domain to itself: its own .peer */
    EVTCHN_RESERVED,    /* port 0 */
};

/*
 * One end.  [c] from the making of its page on; [e] changed with the owner's
 * table locked (.peer: both owners' tables), read without a lock as well.
 */
struct evtchn {
    struct evtchn *peer;  /* [e] what a send raises; NULL: nothing */
    struct domain *owner; /* [c] */
    evtchn_port_t port;   /* [c] */
    uint32_t number;      /* [e] what .state says */
    uint16_t vcpu;        /* [e] whom it notifies: one that there is */
    uint8_t state;        /* [e] enum evtchn_state */
    uint8_t nr_used;      /* [e] of a page's first entry: how many of the page are not free */
} aligned(32);            /* a power of two: found without a division */

#define EVTCHNS_PER_PAGE (PAGE_SIZE / sizeof(struct evtchn))
#define EVTCHN_2L_PORTS  (sizeof(((struct shared_info *)0)->evtchn_pending) * 8)

/* All members: [e] holder of lock, unless noted. */
struct evtchn_table {
    struct spinlock lock;  /* LOCK_RANK_EVTCHN */
    uint32_t nr_ports;     /* [a] ports 1 .. nr_ports - 1 may be used */
    uint32_t first_free;   /* no free port below this one */
    uint32_t nr_polling;   /* [a] vCPUs asleep in a poll */
    uint32_t nr_used;      /* ports that are not free */
    uint32_t most_used;    /* the highest that nr_used has been */
    uint32_t nr_pages;     /* [c] entries of pages[] */
    struct evtchn **pages; /* [c] entries: set once, and read without a lock */
};

/* One vCPU's share. */
struct vcpu_events {
    evtchn_port_t virq_ports[NR_VIRQS]; /* [e] 0: unbound; read without a lock as well */
    evtchn_port_t poll_port;            /* [a] the only port polled; 0: several */
    bool is_polling;                    /* [o] counted in nr_polling */
    struct timer singleshot;
    struct timer periodic;
    struct timer poll;
    uint64_t period_ns;       /* [o] 0: none */
    uint64_t periodic_due_ns; /* [timer's CPU] */
};

/* The entry of @port, free or not; NULL: it is no port, or none near it has ever been in use. */
static always_inline struct evtchn *evtchn_entry(const struct evtchn_table *t, evtchn_port_t port)
{
    uint32_t nr_ports = READ_ONCE(t->nr_ports);
    struct evtchn *page;

    if (unlikely(port >= nr_ports)) {
        return NULL;
    }
    port = (evtchn_port_t)array_index_nospec(port, nr_ports);
    page = READ_ONCE(t->pages[port / EVTCHNS_PER_PAGE]);
    return unlikely(page == NULL) ? NULL : &page[port % EVTCHNS_PER_PAGE];
}

/* The channel of @port, or NULL when there is none in use. */
static inline struct evtchn *evtchn_find(struct domain *d, evtchn_port_t port)
{
    struct evtchn *c = evtchn_entry(d->evtchn, port);

    return c == NULL || c->state == EVTCHN_FREE || c->state == EVTCHN_RESERVED ? NULL : c;
}

/*
 * A free port, made @state, notifying vCPU @vcpu; the lowest there is.  -ENOSPC,
 * -ENOMEM, -EINVAL the domain dies, -ENOENT it has no vCPU yet.
 */
int must_check evtchn_take(struct domain *d, enum evtchn_state state, uint32_t vcpu,
                           struct evtchn **c);

/* Give back what evtchn_take() gave. */
void evtchn_free_entry(struct evtchn *c);

/* VIRQs that each vCPU binds for itself; the others belong to the domain. */
static inline bool virq_is_per_vcpu(uint32_t virq)
{
    return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU;
}

/* Wake @v, or have it look at its events: it is not the one that runs here, awake. */
void evtchn_wake(struct vcpu *v);
void evtchn_wake_pollers(struct domain *d, evtchn_port_t port);

/* The pending bit of @port is set: tell the vCPU unless it is masked. */
static always_inline void evtchn_notify(const struct shared_info *s, evtchn_port_t port,
                                        struct vcpu *v)
{
    struct vcpu_info *info;

    if (READ_ONCE(s->evtchn_mask[port / 64]) >> (port % 64) & 1) {
        return;
    }
    info = READ_ONCE(v->info);
    if (!bit_atomic_test_set(&info->evtchn_pending_sel, port / 64) &&
        __atomic_exchange_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST) == 0 &&
        /* Who does something for himself is awake, and looks on his way out. */
        (READ_ONCE(v->blocked) != VCPU_AWAKE || v != current())) {
        evtchn_wake(v);
    }
}

/* Make @c pending, and notify its vCPU unless it is masked.  Needs no lock. */
static always_inline void evtchn_raise(struct evtchn *c)
{
    struct domain *d = c->owner;
    struct shared_info *s = d->shared_info;
    evtchn_port_t port = c->port;

    if (bit_atomic_test_set(s->evtchn_pending, port)) {
        return;
    }
    evtchn_notify(s, port, d->vcpus[READ_ONCE(c->vcpu)]);
    if (unlikely(READ_ONCE(d->evtchn->nr_polling) != 0)) {
        evtchn_wake_pollers(d, port);
    }
}

/* The domain dies: whatever VIRQs it handles for others go back to dom0. */
void virq_forget_handler(const struct domain *d);

/* Parts made by the files beside evtchn.c. */
void vtimer_vcpu_create(struct vcpu *v);
/* No timer of @v runs or will run any more; @v does not run. */
void vtimer_vcpu_stop(struct vcpu *v);
int must_check pirq_create(struct domain *d);
void pirq_free(struct domain *d);
/* A pirq gets its channel, or loses it. */
int must_check pirq_bind(struct domain *d, uint32_t pirq, uint32_t flags, evtchn_port_t port);
void pirq_unbind(struct domain *d, uint32_t pirq);
/* Let the interrupt come where @v, which gets its events, ran last. */
void pirq_follow(struct domain *d, uint32_t pirq, const struct vcpu *v);
