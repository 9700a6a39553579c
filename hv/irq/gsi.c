/* SPDX-License-Identifier: MIT */
/*
 * Lines of IOAPIC pins.  There is one for each GSI that anyone has asked for,
 * from then on and for ever, as what a guest said of its wiring must stay.
 */
#include "abi/errno.h"
#include "irq/encode.h"
#include "irq/internal.h"
#include "sys/log.h"

static struct spinlock gsi_lock = SPINLOCK_INIT(LOCK_RANK_PCI);
static struct irq_line *gsi_lines[IRQ_GSI_MAX]; /* [gsi_lock for writing] each set once */

/* The line of @gsi; NULL: no such GSI, or no memory (*@rc tells). */
static struct irq_line *line_of(unsigned int gsi, int *rc)
{
    struct irq_line *line;

    *rc = -EINVAL;
    if (!ioapic_has_gsi(gsi)) {
        return NULL;
    }
    spin_lock(&gsi_lock);
    line = gsi_lines[gsi];
    if (!line) {
        *rc = -ENOMEM;
        line = line_alloc(IRQ_GSI);
        if (line) {
            line->gsi = gsi;
            ioapic_default_mode(gsi, &line->is_level, &line->is_active_low);
            gsi_lines[gsi] = line;
        }
    }
    spin_unlock(&gsi_lock);
    return line;
}

/* This CPU if an IOAPIC reaches it, else the boot CPU. */
static unsigned int first_cpu(void)
{
    return this_cpu()->apic_id <= IRQ_DEST_MAX ? cpu_id() : 0;
}

/* Take @line, which is free, for @user; it stays masked. */
static int take(struct irq_line *line, enum irq_user user) REQUIRES(line->lock)
{
    int rc = line_take_vector(line, first_cpu());

    if (rc == 0) {
        line->user = (uint8_t)user;
        line->is_masked = true;
        ioapic_program(line);
    }
    return rc;
}

int irq_request_gsi(unsigned int gsi, void (*fn)(void *), void *arg)
{
    int rc;
    struct irq_line *line = line_of(gsi, &rc);

    if (!line) {
        return rc;
    }
    spin_lock(&line->lock);
    rc = -EBUSY;
    if (line->user == IRQ_FREE) {
        line->fn = fn;
        line->arg = arg;
        rc = take(line, IRQ_OURS);
        if (rc == 0) {
            line_update_mask(line);
        }
    }
    spin_unlock(&line->lock);
    return rc;
}

int irq_gsi_setup(unsigned int gsi, bool level, bool active_low)
{
    int rc;
    struct irq_line *line = line_of(gsi, &rc);

    if (!line) {
        return rc;
    }
    spin_lock(&line->lock);
    rc = -EEXIST;
    if (line->user != IRQ_OURS && !line->is_set_up) {
        rc = 0;
        line->is_set_up = true;
        line->is_level = level;
        line->is_active_low = active_low;
        line->in_service = line->in_service && level;
        if (line->user == IRQ_GUEST) {
            /* Masked while it changes, as the polarity alone may make an edge. */
            line->is_masked = true;
            ioapic_program(line);
            line_update_mask(line);
        }
    }
    spin_unlock(&line->lock);
    return rc;
}

int irq_guest_map_gsi(unsigned int gsi, uint16_t domid, unsigned int pirq, struct irq_line **line)
{
    int rc;
    struct irq_line *l = line_of(gsi, &rc);

    if (!l) {
        return rc;
    }
    spin_lock(&l->lock);
    rc = -EBUSY;
    if (l->user == IRQ_FREE) {
        l->domid = domid;
        l->pirq = pirq;
        rc = take(l, IRQ_GUEST);
    } else if (l->user == IRQ_GUEST && l->domid == domid && l->pirq == pirq) {
        rc = 0;
    }
    spin_unlock(&l->lock);
    if (rc == 0) {
        *line = l;
    }
    return rc;
}

static void dump_line(const struct irq_line *line)
{
    static const char *const users[] = { "free", "ours", "guest" };

    log_info("GSI %u: %s, d%u pirq %u, vector %#x on CPU %u, %s active %s%s%s%s, %lu interrupts, "
             "%lu storms",
             line->gsi, users[line->user], line->domid, line->pirq, line->vector, line->cpu,
             line->is_level ? "level" : "edge", line->is_active_low ? "low" : "high",
             line->is_bound ? ", bound" : "", line->in_service ? ", in service" : "",
             line->is_masked ? ", masked" : "", line->count, line->nr_storms);
}

/* Without locks: a picture, not a proof. */
void gsi_dump(void)
{
    for (unsigned int gsi = 0; gsi < IRQ_GSI_MAX; gsi++) {
        const struct irq_line *line = READ_ONCE(gsi_lines[gsi]);

        if (line && line->user != IRQ_FREE) {
            dump_line(line);
        }
    }
}
