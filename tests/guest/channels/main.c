/* SPDX-License-Identifier: MIT */
/*
 * Event channels between domains, as the toolstack, backends and frontends use
 * them: made on behalf of another, bound, closed from either end, and cut by the
 * death of either side; rights; limits; floods; VIRQs given to another.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

static struct child child;

/* Words of child_box. */
enum {
    TURN,     /* the maker says: go on (counts up) */
    ANSWERED, /* the child says: done (counts up) */
    PORT,
    RESULT, /* and the following */
};

static long status_of(unsigned int dom, unsigned int port, struct evtchn_status *status)
{
    *status = (struct evtchn_status){ .dom = (domid_t)dom, .port = port };
    return hyper_event(EVTCHNOP_status, status);
}

static long bind_interdomain(unsigned int dom, unsigned int port)
{
    struct evtchn_bind_interdomain bind = { .remote_dom = (domid_t)dom, .remote_port = port };
    long rc = hyper_event(EVTCHNOP_bind_interdomain, &bind);

    return rc ? rc : (long)bind.local_port;
}

static long reset_of(unsigned int dom)
{
    struct evtchn_reset reset = { .dom = (domid_t)dom };

    return hyper_event(EVTCHNOP_reset, &reset);
}

static void relax(void)
{
    hyper_sched(SCHEDOP_yield, NULL);
}

static bool wait_until(const volatile uint64_t *word, uint64_t at_least)
{
    uint64_t end = system_time() + 10000000000;

    while (*word < at_least) {
        if (system_time() > end) {
            return false;
        }
        relax();
    }
    return true;
}

/* Let the child take its next turn, and wait until it has. */
static bool next_turn(void)
{
    uint64_t turn = child.box[TURN] + 1;

    child.box[TURN] = turn;
    return wait_until(&child.box[ANSWERED], turn);
}

/* The child's side: wait for turn @turn; say that it is done. */
static void turn_begins(uint64_t turn)
{
    while (child_box[TURN] < turn) {
        relax();
    }
}

static void turn_ends(uint64_t turn)
{
    child_box[ANSWERED] = turn;
}

static void bury(void)
{
    EXPECT(child_destroy(&child), 0);
}

/* ---- made on behalf of another ---- */

static void bind_to_maker(uint64_t port)
{
    long mine;

    turn_begins(1);
    child_box[RESULT] = (uint64_t)status_of(0, 1, &(struct evtchn_status){ 0 });
    child_box[RESULT + 1] = (uint64_t)event_alloc_unbound(0, DOMID_SELF);
    child_box[RESULT + 2] = (uint64_t)reset_of(0);
    child_box[RESULT + 3] = (uint64_t)bind_interdomain(0, (unsigned int)port + 1000);
    mine = bind_interdomain(0, (unsigned int)port);
    child_box[PORT] = (uint64_t)mine;
    child_box[RESULT + 4] = mine > 0 && port_is_pending((unsigned int)mine);
    turn_ends(1);
    turn_begins(2);
    child_box[RESULT] = (uint64_t)event_send((unsigned int)mine);
    turn_ends(2);
    turn_begins(3);
    child_box[RESULT] = (uint64_t)event_close((unsigned int)mine);
    turn_ends(3);
    turn_begins(4);
}

TEST(a_child_binds_to_its_maker)
{
    struct evtchn_status status;
    long port = event_alloc_unbound(DOMID_SELF, 1);

    CHECK(port > 0);
    EXPECT(event_close((unsigned int)port), 0);
    EXPECT(child_create(&child, 1, bind_to_maker, (uint64_t)port), 0);
    EXPECT(event_alloc_unbound(DOMID_SELF, child.domid), port);
    child_unpause(&child);
    CHECK(next_turn());
    EXPECT(child.box[RESULT], -EPERM);
    EXPECT(child.box[RESULT + 1], -EPERM);
    EXPECT(child.box[RESULT + 2], -EPERM);
    EXPECT(child.box[RESULT + 3], -EINVAL);
    CHECK((long)child.box[PORT] > 0);
    EXPECT(child.box[RESULT + 4], 1);

    EXPECT(status_of(DOMID_SELF, (unsigned int)port, &status), 0);
    EXPECT(status.status, EVTCHNSTAT_interdomain);
    EXPECT(status.u.interdomain.dom, child.domid);
    EXPECT(status.u.interdomain.port, child.box[PORT]);
    EXPECT(status_of(child.domid, (unsigned int)child.box[PORT], &status), 0);
    EXPECT(status.status, EVTCHNSTAT_interdomain);
    EXPECT(status.u.interdomain.dom, 0);
    EXPECT(status.u.interdomain.port, port);

    port_clear((unsigned int)port);
    CHECK(next_turn());
    EXPECT(child.box[RESULT], 0);
    EXPECT(port_is_pending((unsigned int)port), 1);
    port_clear((unsigned int)port);

    CHECK(next_turn());
    EXPECT(child.box[RESULT], 0);
    EXPECT(status_of(DOMID_SELF, (unsigned int)port, &status), 0);
    EXPECT(status.status, EVTCHNSTAT_unbound);
    EXPECT(status.u.unbound.dom, child.domid);
    EXPECT(event_send((unsigned int)port), 0); /* to nobody */
    child.box[TURN]++;
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    bury();
    EXPECT(event_close((unsigned int)port), 0);
}

/* ---- the toolstack makes the child's end ---- */

static volatile unsigned int nr_events;

static void count_event(unsigned int port)
{
    (void)port;
    nr_events++;
}

static void answer_events(uint64_t port)
{
    event_set_handler((unsigned int)port, count_event);
    port_unmask((unsigned int)port);
    for (unsigned int turn = 1; turn <= 20; turn++) {
        event_mask();
        while (nr_events < turn) {
            hyper_sched(SCHEDOP_block, NULL);
            event_mask();
        }
        child_box[ANSWERED] = turn;
        event_send((unsigned int)port);
    }
}

TEST(a_channel_made_for_a_child_carries_events_both_ways)
{
    long theirs, ours;

    EXPECT(child_create(&child, 1, answer_events, 1), 0);
    theirs = event_alloc_unbound(child.domid, DOMID_SELF);
    EXPECT(theirs, 1); /* its first */
    ours = bind_interdomain(child.domid, (unsigned int)theirs);
    CHECK(ours > 0);
    EXPECT(port_is_pending((unsigned int)ours), 1);
    port_clear((unsigned int)ours);
    child_unpause(&child);
    for (unsigned int i = 1; i <= 20; i++) {
        EXPECT(event_send((unsigned int)ours), 0);
        CHECK(wait_until(&child.box[ANSWERED], i));
        while (!port_is_pending((unsigned int)ours)) {
            relax();
        }
        port_clear((unsigned int)ours);
    }
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(event_send((unsigned int)ours), 0); /* it does not run, yet is there */
    bury();
    EXPECT(event_send((unsigned int)ours), 0);
    EXPECT(event_close((unsigned int)ours), 0);
}

TEST(what_a_paused_domain_is_sent_waits)
{
    long theirs, ours;

    EXPECT(child_create(&child, 1, answer_events, 1), 0);
    theirs = event_alloc_unbound(child.domid, DOMID_SELF);
    ours = bind_interdomain(child.domid, (unsigned int)theirs);
    for (unsigned int i = 0; i < 1000; i++) {
        EXPECT(event_send((unsigned int)ours), 0);
    }
    child_unpause(&child);
    CHECK(wait_until(&child.box[ANSWERED], 1));
    bury();
    EXPECT(event_close((unsigned int)ours), 0);
}

/* ---- death ---- */

TEST(death_unbinds_the_other_ends)
{
    static long ours[200];
    struct evtchn_status status;

    EXPECT(child_create(&child, 1, answer_events, 1), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(ours); i++) {
        long theirs = event_alloc_unbound(child.domid, DOMID_SELF);

        ours[i] = bind_interdomain(child.domid, (unsigned int)theirs);
        CHECK(ours[i] > 0);
    }
    bury();
    for (unsigned int i = 0; i < ARRAY_SIZE(ours); i++) {
        EXPECT(status_of(DOMID_SELF, (unsigned int)ours[i], &status), 0);
        EXPECT(status.status, EVTCHNSTAT_unbound);
        EXPECT(status.u.unbound.dom, child.domid);
        EXPECT(event_send((unsigned int)ours[i]), 0);
        EXPECT(event_close((unsigned int)ours[i]), 0);
    }
    EXPECT(event_alloc_unbound(child.domid, DOMID_SELF), -ESRCH);
    EXPECT(bind_interdomain(child.domid, 1), -ESRCH);
}

/* Its pages of words are held; they must not outlive it. */
static void use_queues(uint64_t port)
{
    struct evtchn_init_control init = { .control_gfn = virt_to_mfn(page_alloc()) };
    event_word_t *words = page_alloc();
    struct evtchn_expand_array expand = { .array_gfn = virt_to_mfn(words) };

    child_box[RESULT] = (uint64_t)hyper_event(EVTCHNOP_init_control, &init);
    child_box[RESULT + 1] = (uint64_t)hyper_event(EVTCHNOP_expand_array, &expand);
    child_box[ANSWERED] = 1;
    for (;;) {
        uint32_t word = READ_ONCE(words[port]);

        child_box[RESULT] |= word;
        __atomic_store_n(&words[port], 0, __ATOMIC_SEQ_CST);
    }
}

TEST(death_ends_queues)
{
    for (unsigned int turn = 0; turn < 3; turn++) {
        long theirs, ours;

        EXPECT(child_create(&child, 1, use_queues, 1), 0);
        theirs = event_alloc_unbound(child.domid, DOMID_SELF);
        ours = bind_interdomain(child.domid, (unsigned int)theirs);
        CHECK(ours > 0);
        child_unpause(&child);
        CHECK(wait_until(&child.box[ANSWERED], 1));
        EXPECT(child.box[RESULT + 1], 0);
        for (unsigned int i = 0; i < 1000; i++) {
            EXPECT(event_send((unsigned int)ours), 0);
        }
        bury();
        EXPECT(event_send((unsigned int)ours), 0);
        EXPECT(event_close((unsigned int)ours), 0);
    }
}

/* ---- limits ---- */

static long create_with_limit(unsigned int max_port)
{
    struct xen_domctl op = { .u.createdomain = { .flags = 0,
                                                 .max_vcpus = 1,
                                                 .max_evtchn_port = (int)max_port,
                                                 .max_grant_frames = 1,
                                                 .max_maptrack_frames = 1,
                                                 .grant_opts = XEN_DOMCTL_GRANT_version(1),
                                                 .arch.emulation_flags = 0 } };
    long rc = domctl(&op, XEN_DOMCTL_createdomain, 0);

    child = (struct child){ .domid = op.domain };
    if (rc == 0) {
        op.u.max_vcpus.max = 1;
        rc = domctl(&op, XEN_DOMCTL_max_vcpus, child.domid);
    }
    return rc;
}

static long destroy_empty(void)
{
    struct xen_domctl op = { 0 };
    long rc;

    do {
        rc = domctl(&op, XEN_DOMCTL_destroydomain, child.domid);
    } while (rc == -ERESTART);
    return rc;
}

TEST(a_domain_keeps_to_its_limit)
{
    static const unsigned int limits[] = { 1, 127, 128, 1023 };

    for (unsigned int i = 0; i < ARRAY_SIZE(limits); i++) {
        unsigned int nr = 0;
        long rc;

        EXPECT(create_with_limit(limits[i]), 0);
        while ((rc = event_alloc_unbound(child.domid, 0)) > 0) {
            nr++;
        }
        EXPECT(rc, -ENOSPC);
        EXPECT(nr, limits[i]);
        EXPECT(status_of(child.domid, 1u << 18, &(struct evtchn_status){ 0 }), -EINVAL);
        EXPECT(reset_of(child.domid), 0); /* it is paused */
        EXPECT(event_alloc_unbound(child.domid, 0), 1);
        EXPECT(destroy_empty(), 0);
    }
}

/* ---- a flood ---- */

static void flood(uint64_t port)
{
    while (child_box[TURN] == 0) {
        for (unsigned int i = 0; i < 1000; i++) {
            event_send((unsigned int)port);
        }
        child_box[ANSWERED]++;
    }
}

TEST(a_flood_leaves_us_time)
{
    uint64_t start, turns = 0;
    long theirs, ours;

    EXPECT(child_create(&child, 1, flood, 1), 0);
    theirs = event_alloc_unbound(child.domid, DOMID_SELF);
    ours = bind_interdomain(child.domid, (unsigned int)theirs);
    CHECK(ours > 0);
    event_set_handler((unsigned int)ours, count_event);
    port_unmask((unsigned int)ours);
    event_unmask();
    child_unpause(&child);
    CHECK(wait_until(&child.box[ANSWERED], 3));
    start = system_time();
    while (system_time() < start + 200000000) {
        turns++;
    }
    event_mask();
    CHECK(turns > 1000);
    CHECK(nr_events > 0);
    /* Closed under its feet. */
    EXPECT(event_close((unsigned int)ours), 0);
    child.box[TURN] = 1;
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    bury();
}

/* ---- VIRQs ---- */

static long set_virq_handler(unsigned int domid, unsigned int virq)
{
    struct xen_domctl op = { .u.set_virq_handler.virq = virq };

    return domctl(&op, XEN_DOMCTL_set_virq_handler, domid);
}

static void hear_virq(uint64_t virq)
{
    long port = event_bind_virq((unsigned int)virq, 0);

    child_box[PORT] = (uint64_t)port;
    turn_begins(1);
    child_box[RESULT] = port_is_pending((unsigned int)port);
    turn_ends(1);
}

/* Raises VIRQ_DOM_EXC. */
static void make_and_kill(void)
{
    EXPECT(create_with_limit(10), 0);
    EXPECT(destroy_empty(), 0);
}

TEST(a_virq_goes_where_it_is_told)
{
    static struct child other;
    long port = event_bind_virq(VIRQ_DOM_EXC, 0);

    CHECK(port > 0);
    EXPECT(child_create(&child, 1, hear_virq, VIRQ_DOM_EXC), 0);
    EXPECT(set_virq_handler(child.domid, VIRQ_TIMER), -EINVAL);
    EXPECT(set_virq_handler(child.domid, NR_VIRQS), -EINVAL);
    EXPECT(set_virq_handler(child.domid, VIRQ_DOM_EXC), 0);
    child_unpause(&child);
    CHECK(wait_until(&child.box[PORT], 1));
    port_clear((unsigned int)port);
    other = child;
    make_and_kill();
    child = other;
    EXPECT(port_is_pending((unsigned int)port), 0);
    CHECK(next_turn());
    EXPECT(child.box[RESULT], 1);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    bury();
    port_clear((unsigned int)port);
    make_and_kill(); /* its handler is dead: ours again */
    EXPECT(port_is_pending((unsigned int)port), 1);
    EXPECT(event_close((unsigned int)port), 0);
}

/* ---- all at once ---- */

static void churn(uint64_t nr)
{
    uint32_t state = (uint32_t)nr * 2654435761u + 1;

    while (child_box[TURN] == 0) {
        unsigned int port;

        state = state * 1664525 + 1013904223;
        port = 1 + (state >> 16) % 30;
        switch ((state >> 8) % 4) {
        case 0:
            bind_interdomain(0, port);
            break;
        case 1:
            event_close(port);
            break;
        default:
            event_send(port);
            break;
        }
        child_box[ANSWERED]++;
    }
}

TEST(binding_closing_and_death_race)
{
    for (unsigned int turn = 0; turn < 2; turn++) {
        EXPECT(child_create(&child, 1, churn, turn), 0);
        child_unpause(&child);
        for (unsigned int i = 0; i < 3000; i++) {
            unsigned int port = 1 + i % 30;

            if (i % 5 == 0) {
                event_close(port);
            } else if (i % 5 == 1) {
                event_alloc_unbound(DOMID_SELF, child.domid);
            } else {
                event_send(port);
            }
            if (i % 512 == 0) {
                relax();
            }
        }
        CHECK(wait_until(&child.box[ANSWERED], 50));
        bury(); /* in the middle of it */
        EXPECT(reset_of(DOMID_SELF), 0);
    }
}
