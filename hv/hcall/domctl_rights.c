/* SPDX-License-Identifier: MIT */
/* domctl: which ports, device memory and interrupts a domain may use: never more than its giver. */
#include "hcall/domctl.h"

#include "sys/log.h"

#define PORTS       0x10000u
#define MAPPING_MAX 64u

/* Is all of @first .. @last in @set, which @lock guards? */
static bool has(const struct rangeset *set, struct spinlock *lock, uint64_t first, uint64_t last)
{
    bool is_in;

    spin_lock(lock);
    is_in = rangeset_contains(set, first, last);
    spin_unlock(lock);
    return is_in;
}

/* Change @set, whose lock is held. */
static int change(struct rangeset *set, uint64_t first, uint64_t last, bool is_given)
{
    return is_given ? rangeset_add(set, first, last) : rangeset_remove(set, first, last);
}

static long tell(const struct domain *d, const char *what, uint64_t first, uint64_t last, int rc)
{
    if (rc != 0) {
        log_warn("d%u: its right to %s %#lx to %#lx cannot be changed (error %d)", d->id, what,
                 first, last, -rc);
    }
    return rc;
}

long domctl_ioport_permission(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_ioport_permission *p = &op->u.ioport_permission;
    struct domain *giver = current()->domain;
    uint64_t first = p->first_port, last = first + p->nr_ports - 1;
    int rc = -EPERM;

    if (p->nr_ports == 0 || last >= PORTS) {
        return tell(d, "I/O ports", first, last, -EINVAL);
    }
    if (has(&giver->ioports, &giver->lock, first, last)) {
        spin_lock(&d->lock);
        rc = change(&d->ioports, first, last, p->allow_access != 0);
        spin_unlock(&d->lock);
    }
    return tell(d, "I/O ports", first, last, rc);
}

long domctl_iomem_permission(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_iomem_permission *p = &op->u.iomem_permission;
    struct domain *giver = current()->domain;
    uint64_t first = p->first_mfn, last = first + p->nr_mfns - 1;
    int rc = -EPERM;

    if (last < first) {
        return tell(d, "device memory, frames", first, last, -EINVAL);
    }
    if (has(&giver->iomem, &giver->pt_lock, first, last)) {
        spin_lock(&d->pt_lock);
        rc = change(&d->iomem, first, last, p->allow_access != 0);
        spin_unlock(&d->pt_lock);
    }
    return tell(d, "device memory, frames", first, last, rc);
}

long domctl_irq_permission(struct domain *d, struct xen_domctl *op)
{
    uint64_t irq = op->u.irq_permission.pirq;
    struct domain *giver = current()->domain;
    int rc = -EPERM;

    if (has(&giver->irqs, &giver->lock, irq, irq)) {
        spin_lock(&d->lock);
        rc = change(&d->irqs, irq, irq, op->u.irq_permission.allow_access != 0);
        spin_unlock(&d->lock);
    }
    return tell(d, "interrupt", irq, irq, rc);
}

/* A paravirtual domain maps its device memory itself: that it has the right is all there is to it.
 */
long domctl_memory_mapping(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_memory_mapping *m = &op->u.memory_mapping;
    struct domain *giver = current()->domain;
    uint64_t first = m->first_mfn, last = first + m->nr_mfns - 1;

    if (last < first || m->first_gfn + m->nr_mfns - 1 < m->first_gfn) {
        return tell(d, "device memory, frames", first, last, -EINVAL);
    }
    if (m->nr_mfns > MAPPING_MAX) {
        return -E2BIG; /* the tools try again with less */
    }
    if (!has(&giver->iomem, &giver->pt_lock, first, last) ||
        (m->add_mapping && !has(&d->iomem, &d->pt_lock, first, last))) {
        return tell(d, "device memory, frames", first, last, -EPERM);
    }
    return 0;
}
