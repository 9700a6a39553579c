/* SPDX-License-Identifier: MIT */
/*
 * Event channels: binding, sending, closing.
 *
 * A send takes no lock.  It reads .peer of its own end, once, and raises what
 * that points to.  This is safe because entries never move and their pages stay
 * as long as their domain, whose end (evtchn_destroy_step()) first cuts every
 * .peer that leads to it, and then waits until each CPU has come to a safe
 * place: no send lasts that long.  Whoever goes by .peer to lock the far end's
 * table is safe by the same rule.  A send that races with a close of either end
 * may raise the far port a moment too late, when it is free or somebody else's:
 * an event for nothing, which every kernel bears.
 *
 * Changes are made under the lock of the table; .peer of an interdomain channel
 * under those of both domains, the lower address first.
 */
#include "event/internal.h"

#include "domain/part.h"
#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/smp.h"

#define CLOSE_BATCH 64u /* ports closed before others get their turn */

/* ------------------------------------------------------------ the table -- */

static struct evtchn *make_page(struct domain *d, uint32_t nr)
{
    struct evtchn *page = page_alloc_hv();

    if (page == NULL) {
        log_guest(d->id, "no memory for more than %u event channels", d->evtchn->nr_used);
        return NULL;
    }
    for (uint32_t i = 0; i < EVTCHNS_PER_PAGE; i++) {
        page[i].owner = d;
        page[i].port = nr * (uint32_t)EVTCHNS_PER_PAGE + i;
    }
    __atomic_store_n(&d->evtchn->pages[nr], page, __ATOMIC_RELEASE);
    return page;
}

/* The lowest free entry: looks at one word a page until it comes to one with room. */
static int find_free(struct domain *d, struct evtchn **c)
{
    struct evtchn_table *t = d->evtchn;
    evtchn_port_t p = t->first_free;

    while (p < t->nr_ports) {
        struct evtchn *page = t->pages[p / EVTCHNS_PER_PAGE];

        if (page == NULL) {
            page = make_page(d, p / (uint32_t)EVTCHNS_PER_PAGE);
            if (page == NULL) {
                return -ENOMEM;
            }
        }
        *c = &page[p % EVTCHNS_PER_PAGE];
        if (page->nr_used == EVTCHNS_PER_PAGE) {
            p = (p | (EVTCHNS_PER_PAGE - 1)) + 1;
        } else if ((*c)->state == EVTCHN_FREE) {
            return 0;
        } else {
            p++;
        }
    }
    log_guest(d->id, "all of its %u event channels are in use", t->nr_ports - 1);
    return -ENOSPC;
}

static void count_used(struct evtchn *c, int change)
{
    struct evtchn *first = c - c->port % EVTCHNS_PER_PAGE;
    struct evtchn_table *t = c->owner->evtchn;

    first->nr_used = (uint8_t)(first->nr_used + change);
    t->nr_used += (uint32_t)change;
    t->most_used = max(t->most_used, t->nr_used);
}

int evtchn_take(struct domain *d, enum evtchn_state state, uint32_t vcpu, struct evtchn **c)
{
    int rc;

    if (READ_ONCE(d->life) != DOMAIN_ALIVE) {
        return -EINVAL; /* its end closes what it has, and nothing may follow */
    }
    if (domain_vcpu(d, vcpu) == NULL || d->vcpus[0] == NULL) {
        return -ENOENT;
    }
    if (d->evtchn->is_leaving_fifo) {
        log_guest(d->id, "no event channel is given while all are closed");
        return -EBUSY;
    }
    rc = find_free(d, c);
    if (rc == 0) {
        d->evtchn->first_free = (*c)->port + 1;
        WRITE_ONCE((*c)->vcpu, (uint16_t)vcpu);
        WRITE_ONCE((*c)->priority, EVTCHN_FIFO_PRIORITY_DEFAULT);
        (*c)->state = (uint8_t)state;
        count_used(*c, 1);
    }
    return rc;
}

void evtchn_free_entry(struct evtchn *c)
{
    struct domain *d = c->owner;

    WRITE_ONCE(c->peer, NULL);
    c->state = EVTCHN_FREE;
    c->number = 0;
    WRITE_ONCE(c->vcpu, 0);
    if (d->evtchn->fifo != NULL) {
        fifo_clear(d->evtchn->fifo, c);
    } else {
        bit_atomic_clear(d->shared_info->evtchn_pending, c->port);
        bit_atomic_clear(d->shared_info->evtchn_mask, c->port);
    }
    d->evtchn->first_free = min(d->evtchn->first_free, c->port);
    count_used(c, -1);
}

static void lock_two(struct domain *a, struct domain *b) NO_THREAD_SAFETY
{
    struct spinlock *la = &a->evtchn->lock, *lb = &b->evtchn->lock;

    spin_lock(la < lb ? la : lb);
    if (la != lb) {
        spin_lock(la < lb ? lb : la);
    }
}

static void unlock_two(struct domain *a, struct domain *b) NO_THREAD_SAFETY
{
    spin_unlock(&a->evtchn->lock);
    if (a != b) {
        spin_unlock(&b->evtchn->lock);
    }
}

/* ------------------------------------------------------------- binding -- */

int evtchn_alloc_unbound(struct domain *d, domid_t remote, evtchn_port_t *port)
{
    struct evtchn *c;
    int rc;

    spin_lock(&d->evtchn->lock);
    rc = evtchn_take(d, EVTCHN_UNBOUND, 0, &c);
    if (rc == 0) {
        c->number = remote == DOMID_SELF ? current()->domain->id : remote;
        *port = c->port;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

static int bind_ends(struct domain *d, struct domain *rd, evtchn_port_t remote_port,
                     evtchn_port_t *port)
{
    struct evtchn *there = evtchn_find(rd, remote_port), *here;
    int rc;

    if (there == NULL || there->state != EVTCHN_UNBOUND || there->number != d->id) {
        return -EINVAL;
    }
    rc = evtchn_take(d, EVTCHN_INTERDOMAIN, 0, &here);
    if (rc != 0) {
        return rc;
    }
    there->state = EVTCHN_INTERDOMAIN;
    WRITE_ONCE(here->peer, there);
    WRITE_ONCE(there->peer, here);
    *port = here->port;
    /* What was sent before the channel was whole must not be lost. */
    evtchn_raise(here);
    return 0;
}

int evtchn_bind_interdomain(struct domain *d, domid_t remote, evtchn_port_t remote_port,
                            evtchn_port_t *port)
{
    struct domain *rd = domain_get(remote);
    int rc;

    if (rd == NULL) {
        return -ESRCH;
    }
    lock_two(d, rd);
    rc = bind_ends(d, rd, remote_port, port);
    unlock_two(d, rd);
    domain_put(rd);
    return rc;
}

int evtchn_bind_virq(struct domain *d, uint32_t virq, uint32_t vcpu, evtchn_port_t *port)
{
    struct vcpu *v = domain_vcpu(d, vcpu);
    struct evtchn *c;
    int rc = -EEXIST;

    if (virq >= NR_VIRQS || (!virq_is_per_vcpu(virq) && vcpu != 0)) {
        return -EINVAL;
    }
    if (v == NULL) {
        return -ENOENT;
    }
    virq = (uint32_t)array_index_nospec(virq, NR_VIRQS);
    spin_lock(&d->evtchn->lock);
    if (v->events->virq_ports[virq] == 0) {
        rc = evtchn_take(d, EVTCHN_VIRQ, vcpu, &c);
    }
    if (rc == 0) {
        c->number = virq;
        *port = c->port;
        WRITE_ONCE(v->events->virq_ports[virq], c->port);
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_bind_ipi(struct domain *d, uint32_t vcpu, evtchn_port_t *port)
{
    struct evtchn *c;
    int rc;

    spin_lock(&d->evtchn->lock);
    rc = evtchn_take(d, EVTCHN_IPI, vcpu, &c);
    if (rc == 0) {
        *port = c->port;
        WRITE_ONCE(c->peer, c);
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_bind_pirq(struct domain *d, uint32_t pirq, uint32_t flags, evtchn_port_t *port)
{
    struct evtchn *c;
    int rc;

    spin_lock(&d->evtchn->lock);
    rc = evtchn_take(d, EVTCHN_PIRQ, 0, &c);
    if (rc == 0) {
        c->number = pirq;
        *port = c->port;
        rc = pirq_bind(d, pirq, flags, c->port);
        if (rc != 0) {
            evtchn_free_entry(c);
        }
    }
    spin_unlock(&d->evtchn->lock);
    return rc == -EINVAL ? pirq_why_not(d, pirq) : rc;
}

/* Its vCPU has changed, or its mask: if it is pending and not masked, that vCPU must hear of it. */
static void tell_if_pending(struct evtchn *c)
{
    struct domain *d = c->owner;

    if (d->evtchn->fifo != NULL) {
        fifo_relink(d->evtchn->fifo, c);
    } else if (bit_test(d->shared_info->evtchn_pending, c->port)) {
        evtchn_notify(d, d->shared_info, c->port, d->vcpus[c->vcpu]);
    }
}

int evtchn_bind_vcpu(struct domain *d, evtchn_port_t port, uint32_t vcpu)
{
    const struct vcpu *v = domain_vcpu(d, vcpu);
    struct evtchn *c;
    int rc = 0;

    if (v == NULL) {
        return -ENOENT;
    }
    spin_lock(&d->evtchn->lock);
    c = evtchn_find(d, port);
    if (c == NULL || c->state == EVTCHN_IPI ||
        (c->state == EVTCHN_VIRQ && virq_is_per_vcpu(c->number))) {
        rc = -EINVAL;
    } else {
        /* Who raises it sees the new one, or is seen by us below. */
        __atomic_store_n(&c->vcpu, (uint16_t)v->id, __ATOMIC_SEQ_CST);
        if (c->state == EVTCHN_PIRQ) {
            pirq_follow(d, c->number, v);
        }
        tell_if_pending(c);
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

/* ------------------------------------------------------------- closing -- */

/* Lock the table of @c, and that of its far end, which then stays what it is. */
static struct domain *lock_ends(struct evtchn *c) NO_THREAD_SAFETY
{
    for (;;) {
        const struct evtchn *peer = READ_ONCE(c->peer);
        struct domain *rd = peer == NULL ? c->owner : peer->owner;

        lock_two(c->owner, rd);
        if (c->peer == peer) {
            return rd;
        }
        unlock_two(c->owner, rd);
    }
}

/* Both tables are locked. */
static int close_locked(struct domain *d, struct evtchn *c)
{
    switch (c->state) {
    case EVTCHN_FREE:
    case EVTCHN_RESERVED:
        return -EINVAL;
    case EVTCHN_INTERDOMAIN:
        c->peer->state = EVTCHN_UNBOUND;
        c->peer->number = d->id;
        WRITE_ONCE(c->peer->peer, NULL);
        break;
    case EVTCHN_VIRQ:
        WRITE_ONCE(
            d->vcpus[virq_is_per_vcpu(c->number) ? c->vcpu : 0]->events->virq_ports[c->number], 0);
        break;
    case EVTCHN_PIRQ:
        pirq_unbind(d, c->number);
        break;
    default:
        break;
    }
    evtchn_free_entry(c);
    return 0;
}

int evtchn_close(struct domain *d, evtchn_port_t port)
{
    struct evtchn *c = evtchn_entry(d->evtchn, port);
    struct domain *rd;
    int rc;

    if (c == NULL) {
        return -EINVAL;
    }
    rd = lock_ends(c);
    rc = close_locked(d, c);
    unlock_two(d, rd);
    return rc;
}

/* Close some of the ports that are in use.  True: no more are. */
static bool close_batch(struct domain *d)
{
    const struct evtchn_table *t = d->evtchn;
    uint32_t left = CLOSE_BATCH;

    for (uint32_t nr = 0; nr < t->nr_pages; nr++) {
        struct evtchn *page = READ_ONCE(t->pages[nr]);
        uint32_t in_use = page == NULL ? 0 : READ_ONCE(page->nr_used);

        for (uint32_t i = 0; in_use != 0 && i < EVTCHNS_PER_PAGE; i++) {
            if (READ_ONCE(page[i].state) == EVTCHN_FREE) {
                continue;
            }
            in_use--;
            if (evtchn_close(d, page[i].port) == 0 && --left == 0) {
                return false;
            }
        }
    }
    return true;
}

int evtchn_reset(struct domain *d)
{
    if (d != current()->domain && READ_ONCE(d->pause_by_toolstack) == 0) {
        log_warn("d%u: its event channels cannot be reset while it runs", d->id);
        return -EINVAL;
    }
    while (!close_batch(d)) {
        if (preempt_pending()) {
            return -ERESTART;
        }
    }
    return fifo_leave(d);
}

/* ------------------------------------------------------------- sending -- */

long evtchn_send(struct domain *d, evtchn_port_t port)
{
    const struct evtchn *c = evtchn_entry(d->evtchn, port);
    struct evtchn *peer;

    if (unlikely(c == NULL)) {
        return -EINVAL;
    }
    peer = READ_ONCE(c->peer);
    if (unlikely(peer == NULL)) {
        return c->state == EVTCHN_UNBOUND ? 0 : -EINVAL; /* nobody hears it yet, or never */
    }
    evtchn_raise(peer);
    return 0;
}

/*
 * Ports that are free have bits, too; those for which there is no memory yet
 * have never been in use.  Locked, as a port that is free does not keep the
 * guest's pages from being given back.
 */
int evtchn_unmask(struct domain *d, evtchn_port_t port)
{
    struct evtchn_table *t = d->evtchn;
    struct evtchn *c;

    spin_lock(&t->lock);
    c = evtchn_entry(t, port);
    if (c != NULL && t->fifo != NULL) {
        fifo_unmask(t->fifo, c);
    } else if (c != NULL && bit_atomic_test_clear(d->shared_info->evtchn_mask, c->port)) {
        tell_if_pending(c);
    }
    spin_unlock(&t->lock);
    return c != NULL ? 0 : -EINVAL;
}

bool evtchn_is_pending(const struct domain *d, evtchn_port_t port)
{
    const struct evtchn_table *t = d->evtchn;
    const struct evtchn *c = evtchn_entry(t, port);

    if (c == NULL) {
        return false;
    }
    return t->fifo != NULL ? fifo_is_pending(t->fifo, c)
                           : bit_test(d->shared_info->evtchn_pending, c->port);
}

static void describe(const struct evtchn *c, struct evtchn_status *s)
{
    static const uint8_t kinds[] = {
        [EVTCHN_FREE] = EVTCHNSTAT_closed,     [EVTCHN_RESERVED] = EVTCHNSTAT_closed,
        [EVTCHN_UNBOUND] = EVTCHNSTAT_unbound, [EVTCHN_INTERDOMAIN] = EVTCHNSTAT_interdomain,
        [EVTCHN_PIRQ] = EVTCHNSTAT_pirq,       [EVTCHN_VIRQ] = EVTCHNSTAT_virq,
        [EVTCHN_IPI] = EVTCHNSTAT_ipi,
    };

    s->status = kinds[c->state];
    s->vcpu = c->vcpu;
    switch (c->state) {
    case EVTCHN_UNBOUND:
        s->u.unbound.dom = (domid_t)c->number;
        break;
    case EVTCHN_INTERDOMAIN:
        s->u.interdomain.dom = c->peer->owner->id;
        s->u.interdomain.port = c->peer->port;
        break;
    case EVTCHN_PIRQ:
        s->u.pirq = c->number;
        break;
    case EVTCHN_VIRQ:
        s->u.virq = c->number;
        break;
    default:
        break;
    }
}

int evtchn_status(struct domain *d, struct evtchn_status *status)
{
    static const struct evtchn never_used = { .state = EVTCHN_FREE };
    const struct evtchn *c = evtchn_entry(d->evtchn, status->port);

    if (status->port >= READ_ONCE(d->evtchn->nr_ports)) {
        return -EINVAL;
    }
    spin_lock(&d->evtchn->lock);
    describe(c == NULL ? &never_used : c, status);
    spin_unlock(&d->evtchn->lock);
    return 0;
}

static void show_port(struct domain *d, const struct evtchn *c)
{
    static const char *const words[] = { [EVTCHNSTAT_closed] = "closed",
                                         [EVTCHNSTAT_unbound] = "awaits domain",
                                         [EVTCHNSTAT_interdomain] = "to domain",
                                         [EVTCHNSTAT_pirq] = "interrupt",
                                         [EVTCHNSTAT_virq] = "virq",
                                         [EVTCHNSTAT_ipi] = "ipi" };
    struct evtchn_status s = { 0 };
    bool is_pending;

    spin_lock(&d->evtchn->lock);
    describe(c, &s);
    is_pending = evtchn_is_pending(d, c->port);
    spin_unlock(&d->evtchn->lock);
    log_info("  %5u v%u: %s %u%s", c->port, s.vcpu, words[s.status],
             s.status == EVTCHNSTAT_pirq || s.status == EVTCHNSTAT_virq ? s.u.virq
                                                                        : s.u.unbound.dom,
             is_pending ? ", pending" : "");
}

void evtchn_show(struct domain *d)
{
    const struct evtchn_table *t = d->evtchn;

    log_info("d%u: %u of %u event channels in use, %u at most, %s", d->id, t->nr_used,
             t->nr_ports - 1, t->most_used, t->fifo != NULL ? "queues" : "two levels");
    for (uint32_t nr = 0; nr < t->nr_pages; nr++) {
        const struct evtchn *page = READ_ONCE(t->pages[nr]);

        for (uint32_t i = 0; page != NULL && i < EVTCHNS_PER_PAGE; i++) {
            if (page[i].state != EVTCHN_FREE && page[i].state != EVTCHN_RESERVED) {
                show_port(d, &page[i]);
            }
        }
    }
}

/* ------------------------------------------------------ life and death -- */

static int evtchn_create(struct domain *d, const struct domain_config *config)
{
    struct evtchn_table *t = heap_alloc(sizeof(*t));
    struct evtchn *first;

    if (t == NULL) {
        return -ENOMEM;
    }
    spin_lock_init(&t->lock, LOCK_RANK_EVTCHN);
    t->max_ports = min(config->max_evtchn_port, (uint32_t)EVTCHN_FIFO_NR_CHANNELS - 1) + 1;
    t->nr_ports = min(t->max_ports, (uint32_t)EVTCHN_2L_PORTS);
    t->nr_pages = (t->max_ports + (uint32_t)EVTCHNS_PER_PAGE - 1) / EVTCHNS_PER_PAGE;
    t->first_free = 1;
    t->pages = heap_alloc(t->nr_pages * sizeof(t->pages[0]));
    d->evtchn = t;
    first = t->pages == NULL ? NULL : make_page(d, 0);
    if (first == NULL) {
        return -ENOMEM;
    }
    first->state = EVTCHN_RESERVED;
    first->nr_used = 1;
    return pirq_create(d);
}

static int evtchn_vcpu_create(struct vcpu *v)
{
    v->events = heap_alloc(sizeof(*v->events));
    if (v->events == NULL) {
        return -ENOMEM;
    }
    spin_lock_init(&v->events->queue_lock, LOCK_RANK_EVTCHN_QUEUE);
    vtimer_vcpu_create(v);
    return 0;
}

/*
 * Nobody sends to @d after this: its ports are closed, its timers and the
 * interrupts bound to it stopped, and sends that were under way are over.
 */
static int evtchn_destroy_step(struct domain *d)
{
    struct vcpu *v;
    uint32_t i;

    /* Whoever saw the domain alive under the lock is done when it has been ours. */
    spin_lock(&d->evtchn->lock);
    spin_unlock(&d->evtchn->lock);
    virq_forget_handler(d);
    if (!close_batch(d)) {
        return -ERESTART;
    }
    for_each_vcpu(d, v, i) {
        vtimer_vcpu_stop(v);
    }
    cpu_quiesce();
    return fifo_leave(d) == 0 ? 0 : -ERESTART;
}

static void evtchn_vcpu_free(struct vcpu *v)
{
    heap_free(v->events, sizeof(*v->events));
    v->events = NULL;
}

static void evtchn_free(struct domain *d)
{
    struct evtchn_table *t = d->evtchn;

    pirq_free(d);
    if (t == NULL) {
        return;
    }
    for (uint32_t i = 0; t->pages != NULL && i < t->nr_pages; i++) {
        if (t->pages[i] != NULL) {
            page_free_hv(t->pages[i]);
        }
    }
    heap_free(t->pages, t->nr_pages * sizeof(t->pages[0]));
    heap_free(t, sizeof(*t));
    d->evtchn = NULL;
}

const struct domain_part evtchn_part = {
    .name = "event channels",
    .create = evtchn_create,
    .vcpu_create = evtchn_vcpu_create,
    .destroy_step = evtchn_destroy_step,
    .vcpu_free = evtchn_vcpu_free,
    .free = evtchn_free,
};
