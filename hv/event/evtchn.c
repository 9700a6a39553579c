/* SPDX-License-Identifier: MIT */
/*
 * Event channels: binding, sending, closing, and the two-level delivery ABI.
 *
 * Delivery, top down: a bit for each port in shared_info.evtchn_pending; if it
 * was clear and the port is not masked, the bit for its word in the notified
 * vCPU's evtchn_pending_sel; if that was clear, its evtchn_upcall_pending; and
 * then the vCPU is woken, or poked if it runs elsewhere.  Each step is an
 * atomic set, and the guest clears them in the opposite order, so no edge is
 * lost without any lock between hypervisor and guest.
 *
 * A send looks at its own end under its own domain's lock only.  That is enough
 * to keep the other end in place: closing either end of an interdomain channel
 * takes the locks of both.
 */
#include "event/internal.h"

#include "lib/bits.h"
#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "sys/log.h"
#include "x86/smp.h"

/* ------------------------------------------------------------ delivery -- */

static noinline void wake(struct vcpu *v)
{
    if (READ_ONCE(v->blocked) != VCPU_AWAKE) {
        __atomic_store_n(&v->blocked, VCPU_AWAKE, __ATOMIC_SEQ_CST);
        vcpu_wake(v);
    } else if (READ_ONCE(v->unit.state) == UNIT_RUNNING) {
        cpu_poke(READ_ONCE(v->unit.cpu));
    }
}

/* A vCPU that does something for itself is awake, and looks on its way out. */
static always_inline void kick(struct vcpu *v)
{
    if (READ_ONCE(v->blocked) != VCPU_AWAKE || v != current()) {
        wake(v);
    }
}

void evtchn_kick(struct vcpu *v)
{
    kick(v);
}

static void wake_pollers(struct domain *d, evtchn_port_t port)
{
    struct vcpu *v;
    uint32_t i;

    for_each_vcpu(d, v, i) {
        evtchn_port_t polled = READ_ONCE(v->events->poll_port);

        if (READ_ONCE(v->blocked) == VCPU_POLLING && (polled == 0 || polled == port)) {
            evtchn_kick(v);
        }
    }
}

/* The pending bit of @port is set: tell the vCPU if it is not masked. */
static always_inline void notify(const struct shared_info *s, evtchn_port_t port, struct vcpu *v)
{
    struct vcpu_info *info;

    if (READ_ONCE(s->evtchn_mask[port / 64]) >> (port % 64) & 1) {
        return;
    }
    info = READ_ONCE(v->info);
    if (!bit_atomic_test_set(&info->evtchn_pending_sel, port / 64) &&
        __atomic_exchange_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST) == 0) {
        kick(v);
    }
}

static always_inline void set_pending(struct domain *d, const struct evtchn_table *t,
                                      evtchn_port_t port, uint32_t vcpu)
{
    struct shared_info *s = d->shared_info;

    if (bit_atomic_test_set(s->evtchn_pending, port)) {
        return;
    }
    notify(s, port, d->vcpus[vcpu]);
    if (unlikely(READ_ONCE(t->nr_polling) != 0)) {
        wake_pollers(d, port);
    }
}

void evtchn_set_pending(struct domain *d, evtchn_port_t port, uint32_t vcpu)
{
    set_pending(d, d->evtchn, port, vcpu);
}

void evtchn_block(struct vcpu *v)
{
    WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
    __atomic_store_n(&v->blocked, VCPU_BLOCKED, __ATOMIC_SEQ_CST); /* pairs with mark_pending() */
    if (evtchn_upcall_due(v)) {
        WRITE_ONCE(v->blocked, VCPU_AWAKE);
    } else {
        sched_block();
    }
}

bool evtchn_is_blocked(const struct vcpu *v)
{
    return READ_ONCE(v->blocked) != VCPU_AWAKE;
}

static bool any_pending(const struct domain *d, const evtchn_port_t *ports, uint32_t nr)
{
    for (uint32_t i = 0; i < nr; i++) {
        if (bit_test(d->shared_info->evtchn_pending, ports[i])) {
            return true;
        }
    }
    return false;
}

int evtchn_poll(struct vcpu *v, const evtchn_port_t *ports, uint32_t nr, uint64_t timeout_ns)
{
    struct domain *d = v->domain;

    for (uint32_t i = 0; i < nr; i++) {
        if (ports[i] >= d->evtchn->nr_ports) {
            return -EINVAL;
        }
    }
    __atomic_fetch_add(&d->evtchn->nr_polling, 1, __ATOMIC_SEQ_CST);
    WRITE_ONCE(v->events->poll_port, nr == 1 ? ports[0] : 0);
    __atomic_store_n(&v->blocked, VCPU_POLLING,
                     __ATOMIC_SEQ_CST); /* pairs with evtchn_set_pending() */
    if (any_pending(d, ports, nr) || evtchn_upcall_due(v)) {
        WRITE_ONCE(v->blocked, VCPU_AWAKE);
        __atomic_fetch_sub(&d->evtchn->nr_polling, 1, __ATOMIC_SEQ_CST);
        return 0;
    }
    v->events->is_polling = true;
    if (timeout_ns != 0) {
        timer_set(&v->events->poll, timeout_ns);
    }
    sched_block();
    return 0;
}

void evtchn_poll_over(struct vcpu *v)
{
    if (v->events->is_polling) {
        v->events->is_polling = false;
        timer_stop(&v->events->poll);
        __atomic_fetch_sub(&v->domain->evtchn->nr_polling, 1, __ATOMIC_SEQ_CST);
    }
}

/* ------------------------------------------------------------ the table -- */

static struct evtchn *slot(struct evtchn_table *t, evtchn_port_t port)
{
    struct evtchn *page = t->pages[port / EVTCHNS_PER_PAGE];

    return page == NULL ? NULL : &page[port % EVTCHNS_PER_PAGE];
}

int evtchn_take(struct domain *d, enum evtchn_state state, uint32_t vcpu, evtchn_port_t *port)
{
    struct evtchn_table *t = d->evtchn;

    for (evtchn_port_t p = t->first_free; p < t->nr_ports; p++) {
        struct evtchn *c = slot(t, p);

        if (c == NULL) {
            c = page_alloc_hv();
            if (c == NULL) {
                log_guest(d->id, "no memory for its event channels");
                return -ENOMEM;
            }
            t->pages[p / EVTCHNS_PER_PAGE] = c;
            c = slot(t, p);
        }
        if (c->state == EVTCHN_FREE) {
            t->first_free = p + 1;
            c->state = state;
            c->vcpu = vcpu;
            *port = p;
            return 0;
        }
    }
    log_guest(d->id, "all of its %u event channels are in use", t->nr_ports - 1);
    return -ENOSPC;
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
    int rc;

    spin_lock(&d->evtchn->lock);
    rc = evtchn_take(d, EVTCHN_UNBOUND, 0, port);
    if (rc == 0) {
        evtchn_find(d, *port)->remote_id = remote == DOMID_SELF ? current()->domain->id : remote;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

static int bind_ends(struct domain *d, struct domain *rd, evtchn_port_t remote_port,
                     evtchn_port_t *port)
{
    struct evtchn *there = evtchn_find(rd, remote_port), *here;
    int rc;

    if (there == NULL || there->state != EVTCHN_UNBOUND || there->remote_id != d->id) {
        return -EINVAL;
    }
    rc = evtchn_take(d, EVTCHN_INTERDOMAIN, 0, port);
    if (rc != 0) {
        return rc;
    }
    here = evtchn_find(d, *port);
    here->remote = rd;
    here->remote_port = remote_port;
    there->state = EVTCHN_INTERDOMAIN;
    there->remote = domain_get(d->id);
    there->remote_port = *port;
    /* What was sent before the channel was whole must not be lost. */
    evtchn_set_pending(d, *port, here->vcpu);
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
    rc = bind_ends(d, rd, remote_port, port); /* keeps our reference to rd */
    unlock_two(d, rd);
    if (rc != 0) {
        domain_put(rd);
    }
    return rc;
}

/* VIRQs that each vCPU binds for itself; the others belong to the domain. */
static bool virq_is_per_vcpu(uint32_t virq)
{
    return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU;
}

int evtchn_bind_virq(struct domain *d, uint32_t virq, uint32_t vcpu, evtchn_port_t *port)
{
    struct vcpu *v = domain_vcpu(d, vcpu);
    int rc;

    if (virq >= NR_VIRQS || (!virq_is_per_vcpu(virq) && vcpu != 0)) {
        return -EINVAL;
    }
    if (v == NULL) {
        return -ENOENT;
    }
    spin_lock(&d->evtchn->lock);
    rc = -EEXIST;
    if (v->events->virq_ports[virq] == 0) {
        rc = evtchn_take(d, EVTCHN_VIRQ, vcpu, port);
    }
    if (rc == 0) {
        evtchn_find(d, *port)->number = virq;
        v->events->virq_ports[virq] = *port;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_bind_ipi(struct domain *d, uint32_t vcpu, evtchn_port_t *port)
{
    int rc;

    if (domain_vcpu(d, vcpu) == NULL) {
        return -ENOENT;
    }
    spin_lock(&d->evtchn->lock);
    rc = evtchn_take(d, EVTCHN_IPI, vcpu, port);
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_bind_pirq(struct domain *d, uint32_t pirq, uint32_t flags, evtchn_port_t *port)
{
    int rc;

    spin_lock(&d->evtchn->lock);
    rc = evtchn_take(d, EVTCHN_PIRQ, 0, port);
    if (rc == 0) {
        evtchn_find(d, *port)->number = pirq;
        rc = pirq_bind(d, pirq, flags, *port);
        if (rc != 0) {
            evtchn_find(d, *port)->state = EVTCHN_FREE;
            d->evtchn->first_free = min(d->evtchn->first_free, *port);
        }
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_bind_vcpu(struct domain *d, evtchn_port_t port, uint32_t vcpu)
{
    struct evtchn *c;
    int rc = 0;

    if (domain_vcpu(d, vcpu) == NULL) {
        return -ENOENT;
    }
    spin_lock(&d->evtchn->lock);
    c = evtchn_find(d, port);
    if (c == NULL || c->state == EVTCHN_IPI ||
        (c->state == EVTCHN_VIRQ && virq_is_per_vcpu(c->number))) {
        rc = -EINVAL;
    } else {
        WRITE_ONCE(c->vcpu, vcpu);
        if (c->state == EVTCHN_PIRQ) {
            pirq_follow(d, c->number, domain_vcpu(d, vcpu));
        }
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

/* ------------------------------------------------------------- closing -- */

static void free_slot(struct domain *d, struct evtchn *c, evtchn_port_t port)
{
    bit_atomic_clear(d->shared_info->evtchn_pending, port);
    bit_atomic_clear(d->shared_info->evtchn_mask, port);
    *c = (struct evtchn){ .state = EVTCHN_FREE };
    d->evtchn->first_free = min(d->evtchn->first_free, port);
}

/* The far end of an interdomain channel is free to be bound again. */
static void unbind_far_end(struct domain *d, struct evtchn *c)
{
    struct evtchn *there = evtchn_find(c->remote, c->remote_port);

    there->state = EVTCHN_UNBOUND;
    there->remote = NULL;
    there->remote_id = d->id;
}

/* Close @port; @rd is the domain whose lock is held beside ours, or NULL.  1: @rd is not the right
 * one. */
static int close_locked(struct domain *d, evtchn_port_t port, struct domain *rd,
                        struct domain **needed)
{
    struct evtchn *c = evtchn_find(d, port);

    if (c == NULL) {
        return -EINVAL;
    }
    switch (c->state) {
    case EVTCHN_INTERDOMAIN:
        if (c->remote != rd) {
            *needed = domain_get(c->remote->id);
            return 1;
        }
        unbind_far_end(d, c);
        break;
    case EVTCHN_VIRQ:
        d->vcpus[virq_is_per_vcpu(c->number) ? c->vcpu : 0]->events->virq_ports[c->number] = 0;
        break;
    case EVTCHN_PIRQ:
        pirq_unbind(d, c->number);
        break;
    default:
        break;
    }
    free_slot(d, c, port);
    return 0;
}

int evtchn_close(struct domain *d, evtchn_port_t port)
{
    struct domain *rd = NULL;
    int rc;

    for (;;) {
        struct domain *needed = NULL;

        lock_two(d, rd != NULL ? rd : d);
        rc = close_locked(d, port, rd, &needed);
        unlock_two(d, rd != NULL ? rd : d);
        if (rd != NULL) {
            domain_put(rd);
            if (rc == 0) {
                /* The two ends held a reference each. */
                domain_put(rd);
                domain_put(d);
            }
        }
        if (rc != 1) {
            return rc;
        }
        rd = needed;
    }
}

int evtchn_reset(struct domain *d)
{
    for (evtchn_port_t p = 1; p < d->evtchn->nr_ports; p++) {
        int rc = d->evtchn->pages[p / EVTCHNS_PER_PAGE] == NULL ? -EINVAL : evtchn_close(d, p);

        if (rc != 0 && rc != -EINVAL) {
            return rc;
        }
    }
    return 0;
}

/* ------------------------------------------------------------- sending -- */

/* What is no event to the domain itself.  Holds its table's lock. */
static noinline long send_to_peer(const struct evtchn *c)
{
    const struct evtchn *there;

    if (c->state == EVTCHN_UNBOUND) {
        return 0; /* nobody hears it yet */
    }
    if (c->state != EVTCHN_INTERDOMAIN) { /* free ones are no channel, others not for sending */
        return -EINVAL;
    }
    there = slot(c->remote->evtchn, c->remote_port);
    evtchn_set_pending(c->remote, c->remote_port, READ_ONCE(there->vcpu));
    return 0;
}

long evtchn_send(struct domain *d, evtchn_port_t port)
{
    struct evtchn_table *t = d->evtchn;
    struct evtchn *c;
    long rc = 0;

    spin_lock(&t->lock);
    if (!evtchn_entry(t, port, &c)) {
        rc = -EINVAL;
    } else if (likely(c->state == EVTCHN_IPI)) {
        set_pending(d, t, port, c->vcpu);
    } else {
        rc = send_to_peer(c);
    }
    spin_unlock(&t->lock);
    return rc;
}

/* Ports that are free have bits, too; those for which there is no memory yet have never been in
 * use. */
int evtchn_unmask(struct domain *d, evtchn_port_t port)
{
    struct evtchn *c;
    int rc = -EINVAL;

    spin_lock(&d->evtchn->lock);
    if (evtchn_entry(d->evtchn, port, &c)) {
        rc = 0;
        if (bit_atomic_test_clear(d->shared_info->evtchn_mask, port) &&
            bit_test(d->shared_info->evtchn_pending, port)) {
            notify(d->shared_info, port, d->vcpus[c->vcpu]);
        }
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

static void describe(const struct evtchn *c, struct evtchn_status *s)
{
    s->vcpu = c->vcpu;
    switch (c->state) {
    case EVTCHN_UNBOUND:
        s->status = EVTCHNSTAT_unbound;
        s->u.unbound.dom = c->remote_id;
        break;
    case EVTCHN_INTERDOMAIN:
        s->status = EVTCHNSTAT_interdomain;
        s->u.interdomain.dom = c->remote->id;
        s->u.interdomain.port = c->remote_port;
        break;
    case EVTCHN_PIRQ:
        s->status = EVTCHNSTAT_pirq;
        s->u.pirq = c->number;
        break;
    case EVTCHN_VIRQ:
        s->status = EVTCHNSTAT_virq;
        s->u.virq = c->number;
        break;
    default:
        s->status = EVTCHNSTAT_ipi;
        break;
    }
}

int evtchn_status(struct domain *d, struct evtchn_status *status)
{
    struct evtchn *c;

    if (status->port >= d->evtchn->nr_ports) {
        return -EINVAL;
    }
    spin_lock(&d->evtchn->lock);
    c = evtchn_find(d, status->port);
    if (c == NULL) {
        status->status = EVTCHNSTAT_closed;
        status->vcpu = 0;
    } else {
        describe(c, status);
    }
    spin_unlock(&d->evtchn->lock);
    return 0;
}

/* --------------------------------------------------------------- virqs -- */

void evtchn_raise_virq(struct vcpu *v, uint32_t virq)
{
    struct domain *d = v->domain;
    evtchn_port_t port;

    spin_lock(&d->evtchn->lock);
    port = v->events->virq_ports[virq];
    if (port != 0) {
        set_pending(d, d->evtchn, port, slot(d->evtchn, port)->vcpu);
    }
    spin_unlock(&d->evtchn->lock);
}

void evtchn_raise_global_virq(uint32_t virq)
{
    struct domain *d = domain_get(0);

    if (d != NULL) {
        if (d->vcpus[0] != NULL) {
            evtchn_raise_virq(d->vcpus[0], virq);
        }
        domain_put(d);
    }
}

/* ------------------------------------------------------------ creation -- */

static int evtchn_create(struct domain *d, const struct domain_config *config)
{
    struct evtchn_table *t = heap_alloc(sizeof(*t));

    if (t == NULL) {
        return -ENOMEM;
    }
    spin_lock_init(&t->lock, LOCK_RANK_EVTCHN);
    t->nr_ports = min(config->max_evtchn_port, (uint32_t)EVTCHN_2L_PORTS - 1) + 1;
    t->first_free = 1;
    t->pages[0] = page_alloc_hv();
    if (t->pages[0] == NULL) {
        heap_free(t, sizeof(*t));
        return -ENOMEM;
    }
    t->pages[0][0].state = EVTCHN_RESERVED;
    d->evtchn = t;
    return pirq_create(d);
}

static int evtchn_vcpu_create(struct vcpu *v)
{
    v->events = heap_alloc(sizeof(*v->events));
    return v->events == NULL ? -ENOMEM : vtimer_vcpu_create(v);
}

const struct domain_part evtchn_part = {
    .name = "event channels",
    .create = evtchn_create,
    .vcpu_create = evtchn_vcpu_create,
};
