/* SPDX-License-Identifier: MIT */
/*
 * Event channels against a model: random operations of two domains, by two
 * levels and by queues, between which they change; after each, what is told of
 * ports is compared, and now and then all upcalls are taken: they must bring
 * what is pending and open, each once, and nothing else.
 */
/* sources: hv/event/evtchn.c hv/event/fifo.c hv/event/deliver.c hv/event/virq.c
 * tests/unit/event/fake.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "event/fake.h"
#include "domain/part.h"

enum {
    NR_PORTS = 300, /* of the model; both domains may have so many */
    NR_DOMAINS = 2
};

struct model_port {
    uint32_t status; /* EVTCHNSTAT_ */
    domid_t dom;     /* whom it awaits, or the other end's */
    evtchn_port_t port;
    uint32_t vcpu, number;
    bool is_pending;
};

static struct {
    struct domain *d;
    bool has_queues, has_control[FAKE_VCPUS];
    struct model_port ports[NR_PORTS];
} model[NR_DOMAINS];

static unsigned int me, other; /* who acts, and upon whom */

static struct model_port *model_port(unsigned int dom, evtchn_port_t port)
{
    assert_in_range(port, 1, NR_PORTS - 1);
    return &model[dom].ports[port];
}

static bool is_open(unsigned int dom, evtchn_port_t port)
{
    return port < NR_PORTS && port != 0 && model[dom].ports[port].status != EVTCHNSTAT_closed;
}

static void act_as(unsigned int dom)
{
    me = dom;
    other = (dom + fake_below(2)) % NR_DOMAINS;
    host_cpu.curr = model[dom].d->vcpus[fake_below(FAKE_VCPUS)];
}

/* The lowest free port is what must be given. */
static evtchn_port_t lowest_free(unsigned int dom)
{
    evtchn_port_t port = 1;

    while (port < NR_PORTS && model[dom].ports[port].status != EVTCHNSTAT_closed) {
        port++;
    }
    return port;
}

/* @rc and @port are what an operation answered that makes a port of @dom. */
static struct model_port *made(unsigned int dom, int rc, evtchn_port_t port, uint32_t status)
{
    evtchn_port_t free_port = lowest_free(dom);

    if (free_port == NR_PORTS) {
        assert_int_equal(rc, -ENOSPC);
        return NULL;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(port, free_port);
    model[dom].ports[port] = (struct model_port){ .status = status };
    return &model[dom].ports[port];
}

/* ---- operations ---- */

static void alloc_unbound(void)
{
    domid_t remote = (domid_t)fake_below(NR_DOMAINS);
    evtchn_port_t port = 0;
    int rc = evtchn_alloc_unbound(model[me].d, remote, &port);
    struct model_port *p = made(me, rc, port, EVTCHNSTAT_unbound);

    if (p != NULL) {
        p->dom = remote;
    }
}

static void bind_interdomain(void)
{
    evtchn_port_t there = fake_below(NR_PORTS), here = 0;
    int rc = evtchn_bind_interdomain(model[me].d, (domid_t)other, there, &here);
    struct model_port *p;

    if (!is_open(other, there) || model[other].ports[there].status != EVTCHNSTAT_unbound ||
        model[other].ports[there].dom != me) {
        assert_int_equal(rc, -EINVAL);
        return;
    }
    p = made(me, rc, here, EVTCHNSTAT_interdomain);
    if (p != NULL) {
        p->dom = (domid_t)other;
        p->port = there;
        p->is_pending = true;
        model[other].ports[there].status = EVTCHNSTAT_interdomain;
        model[other].ports[there].dom = (domid_t)me;
        model[other].ports[there].port = here;
    }
}

static void bind_ipi(void)
{
    uint32_t vcpu = fake_below(FAKE_VCPUS + 1);
    evtchn_port_t port = 0;
    int rc = evtchn_bind_ipi(model[me].d, vcpu, &port);
    struct model_port *p;

    if (vcpu == FAKE_VCPUS) {
        assert_int_equal(rc, -ENOENT);
        return;
    }
    p = made(me, rc, port, EVTCHNSTAT_ipi);
    if (p != NULL) {
        p->vcpu = vcpu;
    }
}

static evtchn_port_t bound_virq(uint32_t virq, uint32_t vcpu)
{
    for (evtchn_port_t port = 1; port < NR_PORTS; port++) {
        const struct model_port *p = &model[me].ports[port];

        if (p->status == EVTCHNSTAT_virq && p->number == virq &&
            (virq != VIRQ_TIMER || p->vcpu == vcpu)) {
            return port;
        }
    }
    return 0;
}

static void bind_virq(void)
{
    uint32_t virq = fake_below(2) ? VIRQ_TIMER : VIRQ_CONSOLE;
    uint32_t vcpu = fake_below(FAKE_VCPUS);
    evtchn_port_t port = 0;
    int rc = evtchn_bind_virq(model[me].d, virq, vcpu, &port);

    if (virq == VIRQ_CONSOLE && vcpu != 0) {
        assert_int_equal(rc, -EINVAL);
    } else if (bound_virq(virq, vcpu) != 0) {
        assert_int_equal(rc, -EEXIST);
    } else {
        struct model_port *p = made(me, rc, port, EVTCHNSTAT_virq);

        if (p != NULL) {
            p->number = virq;
            p->vcpu = vcpu;
        }
    }
}

static void raise_virq(void)
{
    uint32_t virq = fake_below(2) ? VIRQ_TIMER : VIRQ_CONSOLE;
    uint32_t vcpu = virq == VIRQ_TIMER ? fake_below(FAKE_VCPUS) : 0;
    evtchn_port_t port = bound_virq(virq, vcpu);

    evtchn_raise_virq(model[me].d->vcpus[vcpu], virq);
    if (port != 0) {
        model_port(me, port)->is_pending = true;
    }
}

static void bind_pirq(void)
{
    uint32_t pirq = fake_below(6);
    evtchn_port_t port = 0;
    int rc = evtchn_bind_pirq(model[me].d, pirq, 0, &port);
    struct model_port *p;

    if (pirq >= 4 && lowest_free(me) != NR_PORTS) {
        assert_int_equal(rc, -EINVAL);
        return;
    }
    p = made(me, rc, port, EVTCHNSTAT_pirq);
    if (p != NULL) {
        p->number = pirq;
    }
}

static void bind_vcpu(void)
{
    evtchn_port_t port = fake_below(NR_PORTS);
    uint32_t vcpu = fake_below(FAKE_VCPUS);
    int rc = evtchn_bind_vcpu(model[me].d, port, vcpu);
    const struct model_port *p = &model[me].ports[port];

    if (!is_open(me, port) || p->status == EVTCHNSTAT_ipi ||
        (p->status == EVTCHNSTAT_virq && p->number == VIRQ_TIMER)) {
        assert_int_equal(rc, -EINVAL);
    } else {
        assert_int_equal(rc, 0);
        model_port(me, port)->vcpu = vcpu;
    }
}

static void send(void)
{
    evtchn_port_t port = fake_below(NR_PORTS);
    long rc = evtchn_send(model[me].d, port);
    const struct model_port *p = &model[me].ports[port];

    if (!is_open(me, port) || p->status == EVTCHNSTAT_virq || p->status == EVTCHNSTAT_pirq) {
        assert_int_equal(rc, -EINVAL);
        return;
    }
    assert_int_equal(rc, 0);
    if (p->status == EVTCHNSTAT_ipi) {
        model_port(me, port)->is_pending = true;
    } else if (p->status == EVTCHNSTAT_interdomain) {
        model_port(p->dom, p->port)->is_pending = true;
    }
}

static void model_close(unsigned int dom, evtchn_port_t port)
{
    struct model_port *p = model_port(dom, port);

    if (p->status == EVTCHNSTAT_interdomain) {
        struct model_port *far = model_port(p->dom, p->port);

        far->status = EVTCHNSTAT_unbound;
        far->dom = (domid_t)dom;
    }
    *p = (struct model_port){ .status = EVTCHNSTAT_closed };
}

static void close_port(void)
{
    evtchn_port_t port = fake_below(NR_PORTS);
    int rc = evtchn_close(model[me].d, port);

    assert_int_equal(rc, is_open(me, port) ? 0 : -EINVAL);
    if (rc == 0) {
        model_close(me, port);
    }
}

static void mask(void)
{
    fake_mask(model[me].d, 1 + fake_below(NR_PORTS - 1));
}

static void unmask(void)
{
    evtchn_port_t port = 1 + fake_below(NR_PORTS - 1);

    if (is_open(me, port)) {
        assert_int_equal(evtchn_unmask(model[me].d, port), 0);
        assert_false(fake_is_masked(model[me].d, port));
    } else if (evtchn_unmask(model[me].d, port) != 0) {
        assert_null(evtchn_entry(model[me].d->evtchn, port));
    }
}

static void set_priority(void)
{
    evtchn_port_t port = fake_below(NR_PORTS);
    unsigned int priority = fake_below(18);
    int rc = evtchn_set_priority(model[me].d, port, priority);

    if (is_open(me, port)) {
        assert_int_equal(rc, !model[me].has_queues ? -ENOSYS : priority > 15 ? -EINVAL : 0);
    }
}

/* All vCPUs at once, as a kernel that starts does it; the array's page may come later. */
static void use_queues(void)
{
    struct domain *d = model[me].d;

    if (!model[me].has_queues && fake_below(20) == 0) {
        for (uint32_t i = 0; i < FAKE_VCPUS; i++) {
            assert_int_equal(evtchn_init_control(d, i, MFN(fake_frame(d)), fake_below(500) * 8), 0);
        }
        model[me].has_queues = true;
    } else if (model[me].has_queues && d->evtchn->fifo->nr_pages == 0) {
        assert_int_equal(evtchn_expand_array(d, MFN(fake_frame(d))), 0);
    }
}

static void reset(void)
{
    int rc;

    if (fake_below(200) != 0) {
        return;
    }
    fake_preempt_in = fake_below(3);
    do {
        rc = evtchn_reset(model[me].d);
    } while (rc == -ERESTART);
    assert_int_equal(rc, 0);
    for (evtchn_port_t port = 1; port < NR_PORTS; port++) {
        if (is_open(me, port)) {
            model_close(me, port);
        }
    }
    model[me].has_queues = false;
}

/* ---- what must hold ---- */

static void taken(struct domain *d, evtchn_port_t port)
{
    struct model_port *p = model_port(d->id, port);

    if (p->status != EVTCHNSTAT_closed) {
        assert_true(p->is_pending);
        p->is_pending = false;
    }
}

static bool has_words(unsigned int dom)
{
    return !model[dom].has_queues || model[dom].d->evtchn->fifo->nr_pages != 0;
}

/* All upcalls: afterwards nothing is pending but what is masked. */
static void take_all(void)
{
    for (unsigned int i = 0; i < FAKE_VCPUS; i++) {
        fake_upcall(model[me].d->vcpus[i], taken);
    }
    for (evtchn_port_t port = 1; port < NR_PORTS && has_words(me); port++) {
        if (is_open(me, port) && !fake_is_masked(model[me].d, port)) {
            assert_false(model[me].ports[port].is_pending);
        }
    }
}

static void check_port(unsigned int dom, evtchn_port_t port)
{
    const struct model_port *p = &model[dom].ports[port];
    struct evtchn_status s = { .dom = (domid_t)dom, .port = port };

    assert_int_equal(evtchn_status(model[dom].d, &s), 0);
    assert_int_equal(s.status, p->status);
    if (p->status == EVTCHNSTAT_closed) {
        return;
    }
    assert_int_equal(s.vcpu, p->vcpu);
    if (p->status == EVTCHNSTAT_unbound) {
        assert_int_equal(s.u.unbound.dom, p->dom);
    } else if (p->status == EVTCHNSTAT_interdomain) {
        assert_int_equal(s.u.interdomain.dom, p->dom);
        assert_int_equal(s.u.interdomain.port, p->port);
    } else if (p->status != EVTCHNSTAT_ipi) {
        assert_int_equal(s.u.virq, p->number);
    }
    spin_lock(&model[dom].d->evtchn->lock);
    assert_int_equal(evtchn_is_pending(model[dom].d, port), p->is_pending);
    spin_unlock(&model[dom].d->evtchn->lock);
}

static void check_all(void)
{
    for (unsigned int dom = 0; dom < NR_DOMAINS; dom++) {
        uint32_t nr_used = 0;

        for (evtchn_port_t port = 1; port < NR_PORTS; port++) {
            check_port(dom, port);
            nr_used += is_open(dom, port);
        }
        assert_int_equal(model[dom].d->evtchn->nr_used, nr_used);
        assert_int_equal(model[dom].d->refs, 1);
    }
}

static void make(unsigned int dom)
{
    memset(&model[dom], 0, sizeof(model[dom]));
    model[dom].d = fake_domain((domid_t)dom, NR_PORTS - 1);
    model[dom].d->pause_by_toolstack = 1;
}

/* A domain dies, and another gets its number. */
static void die(void)
{
    if (fake_below(300) != 0) {
        return;
    }
    host_cpu.curr = model[1 - me].d->vcpus[0];
    for (evtchn_port_t port = 1; port < NR_PORTS; port++) {
        if (is_open(me, port)) {
            model_close(me, port);
        }
    }
    fake_domain_end(model[me].d);
    make(me);
}

static void (*const operations[])(void) = {
    alloc_unbound, bind_interdomain,
    bind_ipi,      bind_virq,
    raise_virq,    bind_pirq,
    bind_vcpu,     send,
    send,          send,
    close_port,    mask,
    unmask,        set_priority,
    use_queues,    reset,
    die,           bind_interdomain,
};

static void check_frames(void)
{
    for (unsigned int i = 0; i < FAKE_FRAMES; i++) {
        assert_int_equal(fake_frames[i].type & FRAME_COUNT_MASK, 0);
        assert_true((fake_frames[i].ref & FRAME_REF_MASK) <= FRAME_REF_ONE);
    }
}

static void random_operations_agree_with_the_model(void **state)
{
    const char *steps = getenv("EVENT_STEPS");
    unsigned long nr = steps ? strtoul(steps, NULL, 0) : 30;

    for (unsigned long run = 0; run < nr; run++) {
        fake_init();
        make(0);
        make(1);
        for (unsigned int i = 0; i < 2000; i++) {
            act_as(fake_below(NR_DOMAINS));
            operations[fake_below(ARRAY_SIZE(operations))]();
            if (i % 16 == 0) {
                take_all();
            }
            if (i % 32 == 0) {
                check_all();
            }
        }
        host_cpu.curr = model[1].d->vcpus[0];
        fake_domain_end(model[0].d);
        fake_domain_end(model[1].d);
        check_frames();
    }
}

/* ---- single behaviours ---- */

static struct domain *a, *b;

static int two_domains(void **state)
{
    fake_init();
    a = fake_domain(0, 5000);
    b = fake_domain(1, 1023);
    host_cpu.curr = a->vcpus[0];
    return 0;
}

static int none(void **state)
{
    fake_domain_end(a);
    fake_domain_end(b);
    return 0;
}

static void a_reset_asks_for_turns(void **state)
{
    evtchn_port_t port;
    unsigned int turns = 0;

    for (unsigned int i = 0; i < 1000; i++) {
        assert_int_equal(evtchn_bind_ipi(a, 0, &port), 0);
    }
    do {
        fake_preempt_in = 1;
        turns++;
    } while (evtchn_reset(a) == -ERESTART);
    assert_in_range(turns, 10, 30);
    assert_int_equal(a->evtchn->nr_used, 0);
}

static void anothers_channels_are_reset_while_it_is_paused(void **state)
{
    assert_int_equal(evtchn_reset(b), -EINVAL);
    b->pause_by_toolstack = 1;
    assert_int_equal(evtchn_reset(b), 0);
}

static void death_waits_for_senders(void **state)
{
    fake_quiesced = 0;
    b->life = DOMAIN_DYING;
    while (evtchn_part.destroy_step(b) == -ERESTART) {
    }
    assert_int_not_equal(fake_quiesced, 0);
}

static struct evtchn *late;
static uint64_t late_frame;

/* A send that has read where it goes before that was closed. */
static void send_late(void)
{
    assert_int_equal(fake_frames[late_frame].type & FRAME_COUNT_MASK, 1);
    evtchn_raise(late);
}

static void check_late_sends(bool is_death)
{
    struct domain *d = fake_domain(2, 1023);
    evtchn_port_t port;

    host_cpu.curr = d->vcpus[0];
    late_frame = fake_frame(d);
    assert_int_equal(evtchn_init_control(d, 0, MFN(fake_frame(d)), 0), 0);
    assert_int_equal(evtchn_expand_array(d, MFN(late_frame)), 0);
    assert_int_equal(evtchn_bind_ipi(d, 0, &port), 0);
    late = evtchn_entry(d->evtchn, port);
    fake_quiesced = 0;
    fake_on_quiesce = send_late;
    if (is_death) {
        fake_domain_end(d);
    } else {
        while (evtchn_reset(d) == -ERESTART) {
        }
    }
    fake_on_quiesce = NULL;
    assert_int_not_equal(fake_quiesced, 0);
    assert_int_equal(fake_frames[late_frame].type & FRAME_COUNT_MASK, 0);
    if (!is_death) {
        fake_domain_end(d);
    }
}

static void a_reset_keeps_the_pages_for_late_sends(void **state)
{
    check_late_sends(false);
}

static void death_keeps_the_pages_for_late_sends(void **state)
{
    check_late_sends(true);
}

static void the_dying_get_no_port(void **state)
{
    evtchn_port_t port = 77, theirs;

    assert_int_equal(evtchn_alloc_unbound(a, 1, &theirs), 0);
    b->life = DOMAIN_DYING;
    assert_int_equal(evtchn_alloc_unbound(b, 0, &port), -EINVAL);
    assert_int_equal(evtchn_bind_interdomain(b, 0, theirs, &port), -EINVAL);
    assert_int_equal(port, 77);
    assert_int_equal(evtchn_set_virq_handler(VIRQ_DOM_EXC, b), 0);
    assert_int_equal(evtchn_bind_virq(a, VIRQ_DOM_EXC, 0, &port), 0);
    evtchn_raise_global_virq(VIRQ_DOM_EXC); /* still dom0's */
    assert_true(bit_test(a->shared_info->evtchn_pending, port));
}

/* Four thousand ports of one page's words each, and back: ports above are none. */
static void high_ports_end_with_the_queues(void **state)
{
    evtchn_port_t port = 0;

    assert_int_equal(evtchn_init_control(a, 0, MFN(fake_frame(a)), 0), 0);
    for (unsigned int i = 0; i < 4500; i++) {
        assert_int_equal(evtchn_bind_ipi(a, 0, &port), 0);
    }
    assert_int_equal(port, 4500);
    assert_int_equal(evtchn_send(a, port), 0);
    while (evtchn_reset(a) == -ERESTART) {
    }
    assert_int_equal(evtchn_send(a, port), -EINVAL);
    assert_int_equal(evtchn_unmask(a, port), -EINVAL);
    assert_int_equal(evtchn_poll(a->vcpus[0], &port, 1, 0), -EINVAL);
}

/* All CPUs are disturbed by it. */
static void resets_of_queues_are_seldom(void **state)
{
    uint64_t tick_ns = fake_tick_ns, frame = fake_frame(a);

    assert_int_equal(evtchn_init_control(a, 0, MFN(frame), 0), 0);
    while (evtchn_reset(a) == -ERESTART) {
    }
    assert_null(a->evtchn->fifo);
    fake_tick_ns = 0;
    assert_int_equal(evtchn_reset(a), 0);
    assert_int_equal(evtchn_init_control(a, 0, MFN(frame), 0), 0);
    for (unsigned int i = 0; i < 10; i++) {
        assert_int_equal(evtchn_reset(a), -ERESTART);
        fake_now += 1000000;
    }
    assert_int_equal(evtchn_reset(a), 0);
    assert_null(a->evtchn->fifo);
    fake_tick_ns = tick_ns;
}

static void a_frame_of_another_holds_no_events(void **state)
{
    uint64_t theirs = fake_frame(b);

    assert_int_equal(evtchn_init_control(a, 0, MFN(theirs), 0), -EINVAL);
    assert_int_equal(evtchn_init_control(a, 0, MFN(FAKE_FRAMES), 0), -EINVAL);
    assert_int_equal(evtchn_init_control(a, 0, MFN(~0ull), 0), -EINVAL);
    assert_int_equal(evtchn_init_control(a, 0, MFN(fake_frame(a)), PAGE_SIZE - 64), -EINVAL);
    assert_int_equal(evtchn_init_control(a, 0, MFN(fake_frame(a)), ~7u), -EINVAL);
    assert_int_equal(evtchn_init_control(a, 0, MFN(fake_frame(a)), PAGE_SIZE - 72), 0);
    assert_int_equal(evtchn_expand_array(a, MFN(theirs)), -EINVAL);
}

/* Woken before it has left its CPU, it never comes back to one. */
static void polls_that_never_slept_are_counted_once(void **state)
{
    evtchn_port_t port;

    assert_int_equal(evtchn_bind_ipi(a, 0, &port), 0);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(evtchn_poll(a->vcpus[0], &port, 1, 0), 0);
        assert_int_equal(a->evtchn->nr_polling, 1);
        evtchn_kick(a->vcpus[0]);
    }
    evtchn_poll_over(a->vcpus[0]);
    assert_int_equal(a->evtchn->nr_polling, 0);
}

#define two_domain_test(f) cmocka_unit_test_setup_teardown(f, two_domains, none)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_the_model),
        two_domain_test(a_reset_asks_for_turns),
        two_domain_test(anothers_channels_are_reset_while_it_is_paused),
        two_domain_test(death_waits_for_senders),
        two_domain_test(a_reset_keeps_the_pages_for_late_sends),
        two_domain_test(death_keeps_the_pages_for_late_sends),
        two_domain_test(the_dying_get_no_port),
        two_domain_test(high_ports_end_with_the_queues),
        two_domain_test(resets_of_queues_are_seldom),
        two_domain_test(polls_that_never_slept_are_counted_once),
        two_domain_test(a_frame_of_another_holds_no_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
