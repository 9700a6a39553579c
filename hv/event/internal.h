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
    uint16_t queue;       /* [q] FIFO_QUEUE() in which it is, or was last */
    uint8_t priority;     /* [e] */
    bool is_early;        /* [a] pending, but the guest has given no page for its word yet */
} aligned(32);            /* a power of two: found without a division */

#define EVTCHNS_PER_PAGE (PAGE_SIZE / sizeof(struct evtchn))
#define EVTCHN_2L_PORTS  (sizeof(((struct shared_info *)0)->evtchn_pending) * 8)

#define FIFO_WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define FIFO_PAGES          (EVTCHN_FIFO_NR_CHANNELS / FIFO_WORDS_PER_PAGE)

/* A queue's number, and what it is made from. */
#define FIFO_QUEUE(vcpu, priority) ((uint16_t)((vcpu) << 4 | (priority)))
#define FIFO_QUEUE_VCPU(queue)     ((queue) >> 4)
#define FIFO_QUEUE_PRIORITY(queue) ((queue) % EVTCHN_FIFO_MAX_QUEUES)
static_assert(DOMAIN_MAX_VCPUS * EVTCHN_FIFO_MAX_QUEUES <= 1u << 16, "queues fit evtchn.queue");

/* The FIFO ABI's event array: pages of the guest, held writable (fifo.c). */
struct evtchn_fifo {
    event_word_t *pages[FIFO_PAGES]; /* [e] set once, the lowest first; read without a lock */
    uint32_t nr_pages;               /* [e] */
};

/* All members: [e] holder of lock, unless noted. */
struct evtchn_table {
    struct spinlock lock;     /* LOCK_RANK_EVTCHN */
    uint32_t nr_ports;        /* [a] ports 1 .. nr_ports - 1 may be used */
    uint32_t first_free;      /* no free port below this one */
    uint32_t nr_polling;      /* [a] vCPUs asleep in a poll */
    uint32_t nr_used;         /* ports that are not free */
    uint32_t most_used;       /* the highest that nr_used has been */
    uint32_t nr_pages;        /* [c] entries of pages[] */
    uint32_t max_ports;       /* [c] what nr_ports may become: the toolstack's limit */
    bool is_leaving_fifo;     /* a reset is: no port or page is given meanwhile */
    uint64_t may_leave_ns;    /* the next such reset not before */
    struct evtchn **pages;    /* [c] entries: set once, and read without a lock */
    struct evtchn_fifo *fifo; /* read without a lock as well; NULL: two levels */
};

/* One vCPU's share. */
struct vcpu_events {
    evtchn_port_t virq_ports[NR_VIRQS];          /* [e] 0: unbound; read without a lock as well */
    evtchn_port_t poll_port;                     /* [a] the only port polled; 0: several */
    bool is_polling;                             /* [o] counted in nr_polling */
    struct spinlock queue_lock;                  /* LOCK_RANK_EVTCHN_QUEUE: the next two */
    evtchn_port_t tails[EVTCHN_FIFO_MAX_QUEUES]; /* the last port linked; 0: none */
    struct evtchn_fifo_control_block *control;   /* [e] the guest's; NULL: none yet */
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
    if (unlikely(page == NULL)) {
        return NULL;
    }
    page += port % EVTCHNS_PER_PAGE;
    if (page == NULL) {
        __builtin_unreachable(); /* so that nobody need look again */
    }
    return page;
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

/* Have @v, which sleeps or runs elsewhere, look at its events; and who polls for @port. */
void evtchn_wake(struct vcpu *v, evtchn_port_t port);
void evtchn_wake_pollers(const struct domain *d, evtchn_port_t port);

/* @v has an event.  Must it be woken?  Who does something for himself looks on his way out. */
static always_inline bool evtchn_upcall(const struct vcpu *v, struct vcpu_info *info)
{
    return __atomic_exchange_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST) == 0 &&
           (READ_ONCE(v->blocked) != VCPU_AWAKE || v != current());
}

/* The last step of all ways to raise an event: each call here is the last, and needs no frame. */
static always_inline void evtchn_tell(const struct domain *d, evtchn_port_t port, struct vcpu *v,
                                      bool must_wake)
{
    if (unlikely(must_wake)) {
        evtchn_wake(v, port);
    } else if (unlikely(READ_ONCE(d->evtchn->nr_polling) != 0)) {
        evtchn_wake_pollers(d, port);
    }
}

/* Two levels: the pending bit of @port is set: tell @v unless it is masked. */
static always_inline void evtchn_notify(const struct domain *d, const struct shared_info *s,
                                        evtchn_port_t port, struct vcpu *v)
{
    struct vcpu_info *info = READ_ONCE(v->info);

    evtchn_tell(d, port, v,
                !(READ_ONCE(s->evtchn_mask[port / 64]) >> (port % 64) & 1) &&
                    !bit_atomic_test_set(&info->evtchn_pending_sel, port / 64) &&
                    evtchn_upcall(v, info));
}

/* Queues: make @c pending. */
void fifo_raise(const struct evtchn_fifo *f, struct evtchn *c);

/* Make @c pending, and notify its vCPU unless it is masked.  Needs no lock. */
static always_inline void evtchn_raise(struct evtchn *c)
{
    const struct domain *d = c->owner;
    const struct evtchn_fifo *f = READ_ONCE(d->evtchn->fifo);
    struct shared_info *s = d->shared_info;
    evtchn_port_t port = c->port;

    if (f != NULL) {
        fifo_raise(f, c);
    } else if (!bit_atomic_test_set(s->evtchn_pending, port)) {
        evtchn_notify(d, s, port, d->vcpus[READ_ONCE(c->vcpu)]);
    }
}

/*
 * The rest of the FIFO ABI; each with the table locked.  Lower the mask of @c;
 * link it if it is pending; no longer pending; is it?
 */
void fifo_unmask(const struct evtchn_fifo *f, struct evtchn *c);
void fifo_relink(const struct evtchn_fifo *f, struct evtchn *c);
void fifo_clear(const struct evtchn_fifo *f, struct evtchn *c);
bool fifo_is_pending(const struct evtchn_fifo *f, const struct evtchn *c);

/* Is @port pending, whichever ABI the domain uses?  The table is locked. */
bool evtchn_is_pending(const struct domain *d, evtchn_port_t port);

/*
 * Go back to two levels, and give the guest's pages back, when no port is in use;
 * not locked.  -EAGAIN: ports are in use; -EBUSY: being done; -ERESTART: too soon
 * after the last time.
 */
int must_check fifo_leave(struct domain *d);

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
/* Why there was none to bind: -EPERM or -EINVAL.  Holds: nothing. */
int pirq_why_not(struct domain *d, uint32_t pirq);
void pirq_unbind(struct domain *d, uint32_t pirq);
/* Let the interrupt come where @v, which gets its events, ran last. */
void pirq_follow(struct domain *d, uint32_t pirq, const struct vcpu *v);
