/* SPDX-License-Identifier: MIT */
/*
 * The end of a domain.
 *
 *            domain_kill                 last step            last reference
 *   ALIVE ---------------> DYING ------------------> DEAD ------------------> over
 *
 * DYING: its vCPUs are off their CPUs for good, and its parts give back what
 * they hold, the latest made first, each in steps that may ask for another
 * turn.  DEAD: it owns nothing but what others still hold of it, each of them
 * with a reference: frames that they map, channels that they have not closed.
 * Until they let go it keeps its number.  When the last reference goes, nobody
 * can reach it, and all memory that was kept for it is freed.
 *
 * A part looks at .life under its own lock before it takes on anything new for
 * a domain.  .life is set before the first step, and each part's first step
 * takes that lock: so what was begun before is seen by the step, and what comes
 * later sees DYING.
 */
#include "domain/internal.h"

#include "sys/softirq.h"

/* Domains that are over, waiting for SOFTIRQ_DOMAIN; linked by .next. */
static struct spinlock dead_lock = SPINLOCK_INIT(LOCK_RANK_LEAF);
static struct domain *dead; /* [dead_lock] */

/* True for the first to kill it. */
static bool begin(struct domain *d)
{
    bool is_first;

    spin_lock(&d->lock);
    spin_lock(&d->page_lock);
    is_first = d->life == DOMAIN_ALIVE;
    if (is_first) {
        WRITE_ONCE(d->life, DOMAIN_DYING);
    }
    spin_unlock(&d->page_lock);
    spin_unlock(&d->lock);
    return is_first;
}

static unsigned int nr_parts(void)
{
    unsigned int nr = 0;

    while (domain_parts[nr] != NULL) {
        nr++;
    }
    return nr;
}

int domain_kill(struct domain *d)
{
    if (begin(d)) {
        domain_pause(d); /* never undone */
        d->nr_parts_left = nr_parts();
    }
    if (d->life == DOMAIN_DEAD) {
        return 0;
    }
    while (d->nr_parts_left > 0) {
        const struct domain_part *part = domain_parts[d->nr_parts_left - 1];
        int rc = part->destroy_step == NULL ? 0 : part->destroy_step(d);

        if (rc != 0) {
            return rc;
        }
        d->nr_parts_left--;
    }
    spin_lock(&d->lock);
    WRITE_ONCE(d->life, DOMAIN_DEAD);
    spin_unlock(&d->lock);
    domain_host_ops.raise_dom_exc();
    domain_put(d); /* the one it was created with */
    return 0;
}

void domain_bury(struct domain *d)
{
    spin_lock(&dead_lock);
    d->next = dead;
    dead = d;
    spin_unlock(&dead_lock);
    softirq_raise(SOFTIRQ_DOMAIN);
}

/* One a turn, so that a timer that is due meanwhile does not wait for all. */
void domain_softirq(void)
{
    struct domain *d;

    spin_lock(&dead_lock);
    d = dead;
    if (d != NULL) {
        dead = d->next;
        if (dead != NULL) {
            softirq_raise(SOFTIRQ_DOMAIN);
        }
    }
    spin_unlock(&dead_lock);
    if (d != NULL) {
        domain_free_contents(d);
        domain_leave(d);
        domain_host_ops.raise_dom_exc();
    }
}
