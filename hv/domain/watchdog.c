/* SPDX-License-Identifier: MIT */
/*
 * Watchdogs: a domain that does not set one anew in time is shut down with
 * SHUTDOWN_watchdog, for its toolstack to do something about.
 */
#include "domain/domain.h"
#include "domain/part.h"

#include <xen/sched.h>

#include "mm/heap.h"
#include "sys/log.h"
#include "time/time.h"
#include "time/timer.h"

#define NR_WATCHDOGS  2u
#define NS_PER_SECOND 1000000000ull

struct watchdogs {
    struct timer timers[NR_WATCHDOGS];
    bool in_use[NR_WATCHDOGS]; /* [l] */
};

static void bite(struct timer *t)
{
    struct domain *d = t->data;

    log_warn("d%u: its watchdog was not set anew in time", d->id);
    domain_shutdown(d, SHUTDOWN_watchdog);
}

static int make(struct domain *d)
{
    struct watchdogs *w = heap_alloc(sizeof(*w));

    if (w == NULL) {
        return -ENOMEM;
    }
    for (unsigned int i = 0; i < NR_WATCHDOGS; i++) {
        timer_init(&w->timers[i], bite, d, cpu_id());
    }
    spin_lock(&d->lock);
    if (d->watchdogs == NULL) {
        d->watchdogs = w;
        w = NULL;
    }
    spin_unlock(&d->lock);
    heap_free(w, sizeof(*w));
    return 0;
}

static long set_locked(struct watchdogs *w, uint32_t id, uint32_t timeout_s)
{
    uint32_t i = id - 1;

    if (id == 0) {
        i = w->in_use[0] ? 1 : 0;
        if (w->in_use[i]) {
            return -ENOSPC;
        }
    } else if (id > NR_WATCHDOGS || !w->in_use[i]) {
        return -EINVAL;
    }
    w->in_use[i] = id == 0 || timeout_s != 0;
    if (w->in_use[i]) {
        timer_set(&w->timers[i], time_now() + timeout_s * NS_PER_SECOND);
    } else {
        timer_stop(&w->timers[i]);
    }
    return id == 0 ? (long)i + 1 : 0;
}

long domain_watchdog(struct domain *d, uint32_t id, uint32_t timeout_s)
{
    long rc;

    if (id > NR_WATCHDOGS) {
        return -EINVAL;
    }
    if (READ_ONCE(d->watchdogs) == NULL) {
        rc = make(d);
        if (rc != 0) {
            return rc;
        }
    }
    spin_lock(&d->lock);
    rc = set_locked(d->watchdogs, id, timeout_s);
    spin_unlock(&d->lock);
    return rc;
}

static int stop(struct domain *d)
{
    for (unsigned int i = 0; d->watchdogs != NULL && i < NR_WATCHDOGS; i++) {
        timer_kill(&d->watchdogs->timers[i]);
    }
    return 0;
}

static void free_all(struct domain *d)
{
    heap_free(d->watchdogs, sizeof(*d->watchdogs));
}

const struct domain_part watchdog_part = {
    .name = "watchdogs",
    .destroy_step = stop,
    .free = free_all,
};
