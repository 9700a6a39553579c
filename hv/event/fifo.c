/* SPDX-License-Identifier: MIT */
/*
 * The FIFO ABI of event channels: 131,072 ports, and priorities.
 *
 * The guest gives pages for an array of words, one for each port: PENDING,
 * MASKED, LINKED, and the port that follows in a queue; and for each vCPU a
 * control block: heads of its 16 queues, and a bit for each that is not empty.
 * We append at the tail, which only we know; the guest takes from the head, in
 * its own copy of which it goes on as long as words are linked.  Taking a word
 * it clears LINKED and the link in one go, then looks at PENDING.
 *
 *   PENDING is set, then MASKED and LINKED are looked at; the guest clears one
 *   of these, then looks at PENDING.  So one of the two sees the other.
 *
 *   Who sets LINKED appends.  If the word at the tail is still linked, the new
 *   one is linked to it by the same compare-and-exchange that sees this; else
 *   the queue has run empty: the port becomes the head, and the queue ready.
 *
 *   A port that moves to another queue leaves its trace in the old one: it may
 *   be the tail there, and being linked elsewhere would look like a queue that
 *   is not empty.  So the old queue's lock is held while LINKED is set.  The
 *   two locks are taken one after the other: between them the port is linked,
 *   and nobody else will append it.
 *
 * The guest can write anything into these pages at any time.  Nothing that is
 * read from them is an index, a bound, or waited for: a word tells yes or no,
 * and whatever it says, only ports of this guest's own queues go astray.
 *
 * Raising takes no lock of the table: the array and the control blocks stay
 * until no port is in use, which lasts until every CPU has been at a safe place
 * (fifo_leave()).
 */
#include "event/internal.h"

#include "lib/string.h"
#include "mm/frame_use.h"
#include "mm/heap.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "time/time.h"
#include "x86/smp.h"

#define LINK_TRIES 64u /* a kernel that minds its business changes a word a few times at most */

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED  (1u << EVTCHN_FIFO_MASKED)
#define LINKED  (1u << EVTCHN_FIFO_LINKED)
#define LINK    ((event_word_t)EVTCHN_FIFO_LINK_MASK)

/* The word of @port, which is in range; NULL: the guest has given no page for it yet. */
static always_inline event_word_t *word_of(const struct evtchn_fifo *f, evtchn_port_t port)
{
    event_word_t *page = READ_ONCE(f->pages[port / FIFO_WORDS_PER_PAGE]);

    return unlikely(page == NULL) ? NULL : &page[port % FIFO_WORDS_PER_PAGE];
}

/* ------------------------------------------------------------- linking -- */

/* Let @port follow the word at a tail, if that is still linked. */
static bool link_behind(event_word_t *tail, evtchn_port_t port)
{
    event_word_t old = READ_ONCE(*tail);

    for (unsigned int i = 0; i < LINK_TRIES && old & LINKED; i++) {
        if (__atomic_compare_exchange_n(tail, &old, (old & ~LINK) | port, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

/* @port, which is LINKED, becomes the last of its queue.  True: and the first. */
static bool append(const struct evtchn_fifo *f, struct vcpu_events *e, unsigned int priority,
                   evtchn_port_t port)
{
    evtchn_port_t tail = e->tails[priority];

    e->tails[priority] = port;
    if (tail != 0 && tail != port && link_behind(word_of(f, tail), port)) {
        return false;
    }
    WRITE_ONCE(e->control->head[priority], port);
    return true;
}

/* Hold the lock of the vCPU in whose queue @c is or was, if it is not linked; then it is. */
static struct vcpu_events *begin_link(const struct evtchn *c, event_word_t *word, uint16_t old)
    NO_THREAD_SAFETY
{
    struct vcpu_events *e = c->owner->vcpus[FIFO_QUEUE_VCPU(old)]->events;

    spin_lock(&e->queue_lock);
    /* A queue that has changed since: somebody has linked it after it was pending. */
    if (c->queue == old && !(__atomic_fetch_or(word, LINKED, __ATOMIC_SEQ_CST) & LINKED)) {
        return e;
    }
    spin_unlock(&e->queue_lock);
    return NULL;
}

/* From @old, whose lock is held, to @new, whose lock then is. */
static noinline void move(struct evtchn *c, uint16_t old, uint16_t new) NO_THREAD_SAFETY
{
    struct vcpu_events *from = c->owner->vcpus[FIFO_QUEUE_VCPU(old)]->events;
    evtchn_port_t *tail = &from->tails[FIFO_QUEUE_PRIORITY(old)];

    *tail = *tail == c->port ? 0 : *tail;
    WRITE_ONCE(c->queue, new);
    spin_unlock(&from->queue_lock);
    spin_lock(&c->owner->vcpus[FIFO_QUEUE_VCPU(new)]->events->queue_lock);
}

/* @c is pending and, a moment ago, neither masked nor linked.  Must its vCPU be woken? */
static always_inline bool link(const struct evtchn_fifo *f, struct evtchn *c, event_word_t *word,
                               struct vcpu *v) NO_THREAD_SAFETY
{
    uint16_t old = READ_ONCE(c->queue), new = FIFO_QUEUE(v->id, READ_ONCE(c->priority));
    uint32_t ready = 1u << FIFO_QUEUE_PRIORITY(new);
    struct vcpu_events *e = v->events;
    bool is_first;

    if (unlikely(READ_ONCE(e->control) == NULL)) {
        log_guest(c->owner->id, "event %u waits: vCPU %u has no control block", c->port, v->id);
        return false;
    }
    if (begin_link(c, word, old) == NULL) {
        return false;
    }
    if (unlikely(new != old)) {
        move(c, old, new);
    }
    is_first = append(f, e, FIFO_QUEUE_PRIORITY(new), c->port);
    spin_unlock(&e->queue_lock);
    return is_first && !(__atomic_fetch_or(&e->control->ready, ready, __ATOMIC_SEQ_CST) & ready) &&
           evtchn_upcall(v, READ_ONCE(v->info));
}

/* ------------------------------------------------------------ delivery -- */

/* There is no word yet: note it here.  Either we see the page, or who adds it sees the note. */
static noinline void raise_early(const struct evtchn_fifo *f, struct evtchn *c)
{
    __atomic_store_n(&c->is_early, true, __ATOMIC_SEQ_CST);
    if (word_of(f, c->port) != NULL) {
        fifo_raise(f, c);
    } else {
        evtchn_tell(c->owner, c->port, NULL, false);
    }
}

void fifo_raise(const struct evtchn_fifo *f, struct evtchn *c)
{
    struct vcpu *v = c->owner->vcpus[READ_ONCE(c->vcpu)];
    event_word_t *word = word_of(f, c->port);

    if (unlikely(word == NULL)) {
        raise_early(f, c);
        return;
    }
    __atomic_or_fetch(word, PENDING, __ATOMIC_SEQ_CST);
    evtchn_tell(c->owner, c->port, v,
                !(READ_ONCE(*word) & (MASKED | LINKED)) && link(f, c, word, v));
}

void fifo_relink(const struct evtchn_fifo *f, struct evtchn *c)
{
    event_word_t *word = word_of(f, c->port);

    if (word != NULL && (READ_ONCE(*word) & (PENDING | MASKED | LINKED)) == PENDING) {
        fifo_raise(f, c);
    }
}

void fifo_unmask(const struct evtchn_fifo *f, struct evtchn *c)
{
    event_word_t *word = word_of(f, c->port);

    if (word != NULL) {
        __atomic_and_fetch(word, ~MASKED, __ATOMIC_SEQ_CST);
        fifo_relink(f, c);
    }
}

void fifo_clear(const struct evtchn_fifo *f, struct evtchn *c)
{
    event_word_t *word = word_of(f, c->port);

    c->is_early = false;
    if (word != NULL) {
        __atomic_and_fetch(word, ~PENDING, __ATOMIC_SEQ_CST);
    }
}

bool fifo_is_pending(const struct evtchn_fifo *f, const struct evtchn *c)
{
    const event_word_t *word = word_of(f, c->port);

    return word == NULL ? READ_ONCE(c->is_early) : READ_ONCE(*word) & PENDING;
}

/* ------------------------------------------------- the guest's own pages -- */

/* The page at @mfn, held writable; NULL: the guest cannot write there itself. */
static void *hold_page(struct domain *d, mfn_t mfn)
{
    if (!frame_valid(mfn) || !frame_get_writable(frame_named(mfn), d->id, &d->dirty_cpus, 0)) {
        log_guest(d->id, "frame %#lx cannot hold its events", mfn.n);
        return NULL;
    }
    return mfn_to_virt(mfn);
}

static void put_page(void *page)
{
    frame_put_writable(frame_of(virt_to_mfn(page)));
}

/* What is pending in the two-level bits stays so. */
static void carry_over(struct domain *d)
{
    uint64_t *pending = d->shared_info->evtchn_pending;
    size_t port = 0;

    while ((port = bitmap_next_set(pending, EVTCHN_2L_PORTS, port)) < EVTCHN_2L_PORTS) {
        struct evtchn *c = evtchn_find(d, (evtchn_port_t)port);

        bit_atomic_clear(pending, port++);
        if (c != NULL) {
            c->is_early = true;
        }
    }
}

/* Use @block for @v from now on; @f if the domain has no array yet. */
static int set_control(struct vcpu *v, struct evtchn_fifo_control_block *block,
                       struct evtchn_fifo **f)
{
    struct domain *d = v->domain;
    struct evtchn_table *t = d->evtchn;
    int rc = 0;

    spin_lock(&t->lock);
    if (t->is_leaving_fifo || READ_ONCE(d->life) != DOMAIN_ALIVE) {
        rc = -EBUSY;
    } else if (v->events->control != NULL) {
        rc = -EINVAL;
    } else {
        WRITE_ONCE(v->events->control, block);
        if (t->fifo == NULL) {
            carry_over(d);
            WRITE_ONCE(t->nr_ports, t->max_ports);
            __atomic_store_n(&t->fifo, *f, __ATOMIC_RELEASE);
            *f = NULL;
        }
    }
    spin_unlock(&t->lock);
    return rc;
}

int evtchn_init_control(struct domain *d, uint32_t vcpu, mfn_t mfn, uint32_t offset)
{
    struct vcpu *v = domain_vcpu(d, vcpu);
    struct evtchn_fifo *f;
    char *page;
    int rc;

    if (v == NULL) {
        return -ENOENT;
    }
    if (offset > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block) ||
        offset % sizeof(uint64_t) != 0) {
        log_guest(d->id, "vCPU %u: no control block fits offset %#x", vcpu, offset);
        return -EINVAL;
    }
    page = hold_page(d, mfn);
    if (page == NULL) {
        return -EINVAL;
    }
    f = heap_alloc(sizeof(*f));
    rc = f == NULL ? -ENOMEM : set_control(v, (void *)(page + offset), &f);
    heap_free(f, sizeof(*f));
    if (rc != 0) {
        put_page(page);
        log_guest(d->id, "vCPU %u: no control block for events (error %d)", vcpu, rc);
    }
    return rc;
}

/* The ports whose words are in page @nr: raise those that waited for it. */
static void raise_waiting(struct domain *d, uint32_t nr)
{
    evtchn_port_t first = nr * (uint32_t)FIFO_WORDS_PER_PAGE;

    for (evtchn_port_t port = first; port < first + FIFO_WORDS_PER_PAGE; port++) {
        struct evtchn *c = evtchn_find(d, port);

        if (c != NULL && __atomic_exchange_n(&c->is_early, false, __ATOMIC_SEQ_CST)) {
            evtchn_raise(c);
        }
    }
}

int evtchn_expand_array(struct domain *d, mfn_t mfn)
{
    struct evtchn_table *t = d->evtchn;
    void *page;
    int rc = 0;

    if (READ_ONCE(t->fifo) == NULL) {
        log_guest(d->id, "an array for its events, yet no control block");
        return -EOPNOTSUPP;
    }
    page = hold_page(d, mfn);
    if (page == NULL) {
        return -EINVAL;
    }
    spin_lock(&t->lock);
    if (t->fifo == NULL || t->is_leaving_fifo) {
        rc = -EOPNOTSUPP;
    } else if (t->fifo->nr_pages == FIFO_PAGES) {
        rc = -ENOSPC;
    } else {
        __atomic_store_n(&t->fifo->pages[t->fifo->nr_pages], page, __ATOMIC_SEQ_CST);
        raise_waiting(d, t->fifo->nr_pages++);
    }
    spin_unlock(&t->lock);
    if (rc != 0) {
        put_page(page);
        log_guest(d->id, "no page more for its events (error %d)", rc);
    }
    return rc;
}

int evtchn_set_priority(struct domain *d, evtchn_port_t port, uint32_t priority)
{
    struct evtchn_table *t = d->evtchn;
    struct evtchn *c;
    int rc = 0;

    spin_lock(&t->lock);
    c = evtchn_entry(t, port);
    if (c == NULL || (t->fifo != NULL && priority > EVTCHN_FIFO_PRIORITY_MIN)) {
        rc = -EINVAL;
    } else if (t->fifo == NULL) {
        rc = -ENOSYS;
    } else {
        WRITE_ONCE(c->priority, (uint8_t)priority);
    }
    spin_unlock(&t->lock);
    return rc;
}

/* Nobody uses @f or a control block any more.  Two levels begin with no bit that would hide an
 * event. */
static void release(struct domain *d, struct evtchn_fifo *f)
{
    struct vcpu *v;
    uint32_t i;

    memset(d->shared_info->evtchn_pending, 0, sizeof(d->shared_info->evtchn_pending));
    for_each_vcpu(d, v, i) {
        struct vcpu_events *e = v->events;

        WRITE_ONCE(v->info->evtchn_pending_sel, 0);
        if (e->control != NULL) {
            put_page((void *)((uintptr_t)e->control & ~(PAGE_SIZE - 1)));
        }
        e->control = NULL;
        memset(e->tails, 0, sizeof(e->tails));
    }
    for (i = 0; i < f->nr_pages; i++) {
        put_page(f->pages[i]);
    }
    heap_free(f, sizeof(*f));
}

/* All CPUs are disturbed each time: a domain that does so in a loop waits in its own time. */
#define LEAVE_PAUSE_NS 10000000ull

/*
 * *@f: the queues to release, if this call has begun to leave them.  Only the call that
 * got them may go on: the flag alone may be that of another vCPU's reset.
 */
static int begin_leaving(struct evtchn_table *t, struct evtchn_fifo **f)
{
    int rc = 0;

    *f = NULL;
    spin_lock(&t->lock);
    if (t->is_leaving_fifo) {
        rc = -EBUSY;
    } else if (t->fifo != NULL && time_now() < t->may_leave_ns) {
        rc = -ERESTART;
    } else if (t->nr_used != 0) {
        rc = -EAGAIN;
    } else {
        *f = t->fifo;
        t->is_leaving_fifo = t->fifo != NULL;
    }
    spin_unlock(&t->lock);
    return rc;
}

int fifo_leave(struct domain *d)
{
    struct evtchn_table *t = d->evtchn;
    struct evtchn_fifo *f;
    int rc = begin_leaving(t, &f);

    if (f == NULL) {
        return rc;
    }
    cpu_quiesce();
    spin_lock(&t->lock);
    ASSERT(t->is_leaving_fifo && t->fifo == f);
    t->may_leave_ns = time_now() + LEAVE_PAUSE_NS;
    WRITE_ONCE(t->fifo, NULL);
    WRITE_ONCE(t->nr_ports, min(t->max_ports, (uint32_t)EVTCHN_2L_PORTS));
    spin_unlock(&t->lock);
    release(d, f);
    spin_lock(&t->lock);
    t->is_leaving_fifo = false;
    spin_unlock(&t->lock);
    return 0;
}
