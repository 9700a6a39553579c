/* SPDX-License-Identifier: MIT */
/*
 * Physical interrupts as a domain numbers them.  A pirq is mapped to a line of
 * irq/, then bound to an event channel, then delivers.
 *
 * A mapping is made and undone under the pirqs' lock; it is undone under the
 * event channels' lock, too, and so stays for whoever holds that.
 *
 * Delivery comes from interrupt context with the line's lock held and takes no
 * lock of ours: it reads .port, which is set before the line is let through and
 * cleared only after irq_guest_unbind() has seen the last interrupt out.
 */
#include "event/internal.h"

#include <xen/physdev.h>

#include "mm/heap.h"
#include "sys/log.h"

#define NR_PIRQS 1024u /* of each domain with interrupts */

struct pirq {
    struct irq_line *line; /* NULL: not mapped */
    evtchn_port_t port;    /* 0: not bound; read by delivery without a lock */
};

struct irq_domain {
    struct spinlock lock; /* LOCK_RANK_IRQ_DOM: mappings */
    struct pirq pirqs[NR_PIRQS];
};

int pirq_create(struct domain *d)
{
    if (!d->is_hardware) {
        return 0;
    }
    d->pirqs = heap_alloc(sizeof(*d->pirqs));
    if (d->pirqs == NULL) {
        return -ENOMEM;
    }
    spin_lock_init(&d->pirqs->lock, LOCK_RANK_IRQ_DOM);
    return 0;
}

void pirq_free(struct domain *d)
{
    heap_free(d->pirqs, sizeof(*d->pirqs));
    d->pirqs = NULL;
}

/* The pirq if it is mapped, or NULL.  Holds the lock of the event channels. */
static struct pirq *find(struct domain *d, unsigned int pirq)
{
    struct pirq *p = d->pirqs == NULL || pirq >= NR_PIRQS ? NULL : &d->pirqs->pirqs[pirq];

    return p == NULL || p->line == NULL ? NULL : p;
}

static bool has_right(struct domain *d, unsigned int gsi)
{
    bool has;

    spin_lock(&d->lock);
    has = rangeset_contains(&d->irqs, gsi, gsi);
    spin_unlock(&d->lock);
    return has;
}

int pirq_map_gsi(struct domain *d, unsigned int gsi, int *pirq)
{
    int rc = 0;

    if (gsi >= irq_nr_gsis() || (*pirq >= 0 && *pirq != (int)gsi)) {
        return -EINVAL;
    }
    if (d->pirqs == NULL) {
        return -EPERM;
    }
    if (!has_right(d, gsi)) {
        /* A kernel names all ISA interrupts when it starts; those of ours it can name, not bind. */
        *pirq = (int)gsi;
        return d->is_hardware ? 0 : -EPERM;
    }
    spin_lock(&d->pirqs->lock);
    if (d->pirqs->pirqs[gsi].line == NULL) {
        rc = irq_guest_map_gsi(gsi, d->id, gsi, &d->pirqs->pirqs[gsi].line);
    }
    spin_unlock(&d->pirqs->lock);
    *pirq = (int)gsi;
    return rc;
}

/* @nr free numbers in a row above the GSIs; the highest there are, so that GSIs added later find
 * room. */
static int choose_pirq(const struct irq_domain *t, unsigned int nr)
{
    unsigned int run = 0;

    for (unsigned int i = NR_PIRQS; i-- > irq_nr_gsis();) {
        run = t->pirqs[i].line == NULL ? run + 1 : 0;
        if (run == nr) {
            return (int)i;
        }
    }
    return -ENOSPC;
}

static int map_msi_locked(struct domain *d, const struct msi_request *rq, int *pirq)
{
    struct irq_line *lines[32];
    int first = *pirq >= 0 ? *pirq : choose_pirq(d->pirqs, rq->nr);
    int rc;

    if (first < 0) {
        return first;
    }
    for (unsigned int i = 0; i < rq->nr; i++) {
        if (first + i >= NR_PIRQS || d->pirqs->pirqs[first + i].line != NULL) {
            return -EEXIST;
        }
    }
    rc = irq_guest_map_msi(rq, d->id, (unsigned int)first, lines);
    for (unsigned int i = 0; rc == 0 && i < rq->nr; i++) {
        d->pirqs->pirqs[first + i].line = lines[i];
    }
    *pirq = first;
    return rc;
}

int pirq_map_msi(struct domain *d, const struct msi_request *rq, int *pirq)
{
    int rc;

    if (d->pirqs == NULL) {
        return -EPERM;
    }
    if (rq->nr == 0 || rq->nr > 32) {
        return -EINVAL;
    }
    spin_lock(&d->pirqs->lock);
    rc = map_msi_locked(d, rq, pirq);
    spin_unlock(&d->pirqs->lock);
    return rc;
}

int pirq_unmap(struct domain *d, int pirq)
{
    struct irq_line *line = NULL;
    struct pirq *p;
    int rc = -EINVAL;

    if (d->pirqs == NULL || pirq < 0) {
        return -EINVAL;
    }
    spin_lock(&d->pirqs->lock);
    spin_lock(&d->evtchn->lock);
    p = find(d, (unsigned int)pirq);
    if (p != NULL && p->port != 0) {
        rc = -EBUSY;
    } else if (p != NULL) {
        line = p->line;
        p->line = NULL;
        rc = 0;
    }
    spin_unlock(&d->evtchn->lock);
    if (line != NULL) {
        irq_guest_unmap(line);
    }
    spin_unlock(&d->pirqs->lock);
    return rc;
}

int pirq_bind(struct domain *d, uint32_t pirq, uint32_t flags, evtchn_port_t port)
{
    struct pirq *p = find(d, pirq);

    (void)flags; /* sharing between domains is not offered; within one it needs nothing of us */
    if (p == NULL) {
        return -EINVAL;
    }
    if (p->port != 0) {
        return -EEXIST;
    }
    WRITE_ONCE(p->port, port);
    irq_guest_bind(p->line);
    return 0;
}

int pirq_why_not(struct domain *d, uint32_t pirq)
{
    return pirq < irq_nr_gsis() && !has_right(d, pirq) ? -EPERM : -EINVAL;
}

void pirq_unbind(struct domain *d, uint32_t pirq)
{
    struct pirq *p = find(d, pirq);

    if (p != NULL) {
        irq_guest_unbind(p->line);
        WRITE_ONCE(p->port, 0);
    }
}

void pirq_follow(struct domain *d, uint32_t pirq, const struct vcpu *v)
{
    struct pirq *p = find(d, pirq);

    if (p != NULL) {
        irq_set_cpu(p->line, READ_ONCE(v->unit.cpu));
    }
}

int pirq_eoi(struct domain *d, unsigned int pirq)
{
    struct pirq *p;

    spin_lock(&d->evtchn->lock);
    p = find(d, pirq);
    if (p != NULL) {
        irq_guest_eoi(p->line);
    }
    spin_unlock(&d->evtchn->lock);
    return p != NULL ? 0 : -EINVAL;
}

int pirq_status(struct domain *d, unsigned int pirq, uint32_t *flags)
{
    struct pirq *p;

    *flags = 0;
    if (pirq >= NR_PIRQS) {
        return -EINVAL;
    }
    spin_lock(&d->evtchn->lock);
    p = find(d, pirq);
    if (p != NULL && irq_guest_needs_eoi(p->line)) {
        *flags = XENIRQSTAT_needs_eoi;
    }
    spin_unlock(&d->evtchn->lock);
    return 0;
}

void pirq_deliver(uint16_t domid, unsigned int pirq)
{
    struct domain *d = domain_get(domid);
    evtchn_port_t port;

    if (d == NULL) {
        return;
    }
    port = READ_ONCE(d->pirqs->pirqs[pirq].port);
    if (port != 0) {
        evtchn_raise(evtchn_entry(d->evtchn, port));
    }
    domain_put(d);
}
