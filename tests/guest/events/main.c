/* SPDX-License-Identifier: MIT */
/*
 * Event channels of the two-level kind: binding, sending, masking, polling,
 * blocking and closing, and the refusals of each.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

static unsigned int counts[4096];

static void count(unsigned int port)
{
    counts[port]++;
}

/* A port to ourselves, open and counted. */
static unsigned int open_ipi(void)
{
    long port = event_bind_ipi(0);

    if (port <= 0) {
        guest_die("bind_ipi: %ld", port);
    }
    counts[port] = 0;
    event_set_handler((unsigned int)port, count);
    port_unmask((unsigned int)port);
    return (unsigned int)port;
}

static void close_port(unsigned int port)
{
    port_mask(port);
    port_clear(port);
    EXPECT(event_close(port), 0);
}

static long bind_vcpu(unsigned int port, unsigned int cpu)
{
    struct evtchn_bind_vcpu bind = { .port = port, .vcpu = cpu };

    return hyper_event(EVTCHNOP_bind_vcpu, &bind);
}

static long status_of(unsigned int port, struct evtchn_status *status)
{
    *status = (struct evtchn_status){ .dom = DOMID_SELF, .port = port };
    return hyper_event(EVTCHNOP_status, status);
}

static long bind_interdomain(unsigned int remote_dom, unsigned int remote_port)
{
    struct evtchn_bind_interdomain bind = { .remote_dom = (domid_t)remote_dom,
                                            .remote_port = remote_port };
    long rc = hyper_event(EVTCHNOP_bind_interdomain, &bind);

    return rc ? rc : (long)bind.local_port;
}

TEST(a_virq_is_bound_once_and_where_it_may)
{
    long port = event_bind_virq(VIRQ_TIMER, 0);

    CHECK(port > 0);
    EXPECT(event_bind_virq(VIRQ_TIMER, 0), -EEXIST);
    EXPECT(event_bind_virq(VIRQ_TIMER, 77), -ENOENT);
    EXPECT(event_bind_virq(VIRQ_DOM_EXC, 1), -EINVAL);
    EXPECT(event_bind_virq(NR_VIRQS, 0), -EINVAL);
    EXPECT(event_bind_virq(~0u, 0), -EINVAL);
    EXPECT(event_send((unsigned int)port), -EINVAL);
    EXPECT(bind_vcpu((unsigned int)port, 0), -EINVAL);
    close_port((unsigned int)port);
    port = event_bind_virq(VIRQ_TIMER, 0);
    CHECK(port > 0);
    close_port((unsigned int)port);
}

TEST(a_global_virq_may_move)
{
    long port = event_bind_virq(VIRQ_DOM_EXC, 0);

    CHECK(port > 0);
    EXPECT(event_bind_virq(VIRQ_DOM_EXC, 0), -EEXIST);
    EXPECT(bind_vcpu((unsigned int)port, 0), 0);
    EXPECT(bind_vcpu((unsigned int)port, 99), -ENOENT);
    close_port((unsigned int)port);
}

TEST(an_ipi_arrives_once_a_send)
{
    unsigned int port = open_ipi();

    event_unmask();
    for (unsigned int i = 1; i <= 10; i++) {
        EXPECT(event_send(port), 0);
        EXPECT(counts[port], i);
    }
    event_mask();
    EXPECT(event_bind_ipi(99), -ENOENT);
    EXPECT(bind_vcpu(port, 0), -EINVAL);
    close_port(port);
}

TEST(a_masked_upcall_waits)
{
    unsigned int port = open_ipi();

    EXPECT(event_send(port), 0);
    EXPECT(counts[port], 0);
    EXPECT(event_vcpu_info()->evtchn_upcall_pending, 1);
    EXPECT(port_is_pending(port), 1);
    event_unmask();
    EXPECT(counts[port], 1);
    event_mask();
    close_port(port);
}

TEST(a_masked_port_waits)
{
    unsigned int port = open_ipi();

    event_unmask();
    port_mask(port);
    EXPECT(event_send(port), 0);
    EXPECT(counts[port], 0);
    EXPECT(port_is_pending(port), 1);
    port_unmask(port);
    EXPECT(counts[port], 1);
    event_mask();
    close_port(port);
}

TEST(a_channel_to_ourselves)
{
    struct evtchn_status status;
    long a = event_alloc_unbound(DOMID_SELF, DOMID_SELF), b;

    CHECK(a > 0);
    EXPECT(status_of((unsigned int)a, &status), 0);
    EXPECT(status.status, EVTCHNSTAT_unbound);
    EXPECT(event_send((unsigned int)a), 0); /* to nobody */
    b = bind_interdomain(DOMID_SELF, (unsigned int)a);
    CHECK(b > 0 && b != a);
    EXPECT(port_is_pending((unsigned int)b), 1); /* so that no edge is lost */
    port_clear((unsigned int)b);
    EXPECT(bind_interdomain(DOMID_SELF, (unsigned int)a), -EINVAL);
    EXPECT(event_send((unsigned int)a), 0);
    EXPECT(port_is_pending((unsigned int)b), 1);
    EXPECT(port_is_pending((unsigned int)a), 0);
    EXPECT(event_send((unsigned int)b), 0);
    EXPECT(port_is_pending((unsigned int)a), 1);
    EXPECT(status_of((unsigned int)a, &status), 0);
    EXPECT(status.status, EVTCHNSTAT_interdomain);
    EXPECT(status.u.interdomain.port, b);
    close_port((unsigned int)b);
    EXPECT(status_of((unsigned int)a, &status), 0);
    EXPECT(status.status, EVTCHNSTAT_unbound);
    close_port((unsigned int)a);
}

TEST(status_tells_every_kind)
{
    struct evtchn_status status;
    unsigned int ipi = open_ipi();
    long virq = event_bind_virq(VIRQ_DEBUG, 0);

    EXPECT(status_of(ipi, &status), 0);
    EXPECT(status.status, EVTCHNSTAT_ipi);
    EXPECT(status.vcpu, 0);
    EXPECT(status_of((unsigned int)virq, &status), 0);
    EXPECT(status.status, EVTCHNSTAT_virq);
    EXPECT(status.u.virq, VIRQ_DEBUG);
    close_port(ipi);
    close_port((unsigned int)virq);
    EXPECT(status_of(ipi, &status), 0);
    EXPECT(status.status, EVTCHNSTAT_closed);
    EXPECT(status_of(1u << 20, &status), -EINVAL);
}

TEST(ports_that_are_none)
{
    struct evtchn_unmask unmask = { .port = 1u << 20 };

    EXPECT(event_close(0), -EINVAL);
    EXPECT(event_close(4095), -EINVAL);
    EXPECT(event_close(~0u), -EINVAL);
    EXPECT(event_send(0), -EINVAL);
    EXPECT(event_send(1u << 20), -EINVAL);
    EXPECT(event_send(4095), -EINVAL);
    EXPECT(bind_vcpu(4095, 0), -EINVAL);
    EXPECT(hyper_event(EVTCHNOP_unmask, &unmask), -EINVAL);
    EXPECT(bind_interdomain(DOMID_SELF, 4095), -EINVAL);
    EXPECT(bind_interdomain(77, 1), -ESRCH);
    EXPECT(event_alloc_unbound(77, DOMID_SELF), -ESRCH);
}

TEST(a_closed_port_is_given_again)
{
    static long ports[1000];
    unsigned int nr_distinct = 0;
    long first = event_alloc_unbound(DOMID_SELF, DOMID_SELF);

    close_port((unsigned int)first);
    for (unsigned int turn = 0; turn < 2; turn++) {
        nr_distinct = 0;
        for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
            ports[i] = event_alloc_unbound(DOMID_SELF, DOMID_SELF);
            nr_distinct += ports[i] > 0 && (i == 0 || ports[i] != ports[i - 1]);
        }
        EXPECT(nr_distinct, ARRAY_SIZE(ports));
        EXPECT(ports[0], first);
        for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
            EXPECT(event_close((unsigned int)ports[i]), 0);
        }
    }
}

TEST(ports_run_out_with_an_error)
{
    long rc = 0;
    unsigned int nr = 0;

    for (; nr < 5000; nr++) {
        rc = event_alloc_unbound(DOMID_SELF, DOMID_SELF);
        if (rc < 0) {
            break;
        }
    }
    EXPECT(rc, -ENOSPC);
    CHECK(nr > 4000 && nr < 4096);
    for (unsigned int port = 1; port < 4096; port++) {
        struct evtchn_status status;

        if (status_of(port, &status) == 0 && status.status == EVTCHNSTAT_unbound) {
            event_close(port);
        }
    }
}

/* ---- waiting ---- */

static long poll(evtchn_port_t *ports, unsigned int nr, uint64_t timeout)
{
    struct sched_poll poll = { .nr_ports = nr, .timeout = timeout };

    set_xen_guest_handle(poll.ports, ports);
    return hyper_sched(SCHEDOP_poll, &poll);
}

TEST(a_poll_ends_by_a_masked_port)
{
    evtchn_port_t port = open_ipi();

    port_mask(port);
    EXPECT(event_send(port), 0);
    EXPECT(poll(&port, 1, 0), 0);
    EXPECT(counts[port], 0);
    close_port(port);
}

TEST(a_poll_ends_by_its_timeout)
{
    evtchn_port_t port = open_ipi();
    uint64_t start = system_time();

    EXPECT(poll(&port, 1, start + 2000000), 0);
    CHECK(system_time() >= start + 2000000);
    start = system_time();
    EXPECT(poll(NULL, 0, start + 1000000), 0);
    CHECK(system_time() >= start + 1000000);
    EXPECT(poll(&port, 1, 1), 0); /* long past */
    close_port(port);
}

TEST(bad_polls_are_refused)
{
    static evtchn_port_t ports[200];

    EXPECT(poll(ports, 129, 0), -EINVAL);
    EXPECT(poll(ports, ~0u, 0), -EINVAL);
    ports[0] = 1u << 20;
    EXPECT(poll(ports, 1, 0), -EINVAL);
    EXPECT(poll((evtchn_port_t *)FREE_VA, 1, 0), -EFAULT);
}

TEST(block_does_not_lose_what_is_pending)
{
    unsigned int port = open_ipi();

    event_mask();
    EXPECT(event_send(port), 0);
    EXPECT(hyper_sched(SCHEDOP_block, NULL), 0);
    EXPECT(counts[port], 1);
    EXPECT(event_vcpu_info()->evtchn_upcall_mask, 0);
    event_mask();
    close_port(port);
}

TEST(block_ends_by_the_timer)
{
    long port = event_bind_virq(VIRQ_TIMER, 0);
    uint64_t deadline;

    hyper_vcpu(VCPUOP_stop_periodic_timer, 0, NULL);
    event_set_handler((unsigned int)port, count);
    port_unmask((unsigned int)port);
    for (unsigned int i = 0; i < 20; i++) {
        event_mask();
        counts[port] = 0;
        deadline = system_time() + 200000;
        EXPECT(timer_set(deadline), 0);
        while (!READ_ONCE(counts[port])) {
            hyper_sched(SCHEDOP_block, NULL);
        }
        CHECK(system_time() >= deadline);
    }
    event_mask();
    close_port((unsigned int)port);
}

TEST(a_reset_closes_everything)
{
    struct evtchn_reset reset = { .dom = DOMID_SELF };
    struct evtchn_status status;
    unsigned int port = open_ipi();

    EXPECT(hyper_event(EVTCHNOP_reset, &reset), 0);
    EXPECT(status_of(port, &status), 0);
    EXPECT(status.status, EVTCHNSTAT_closed);
}

TEST(unknown_operations)
{
    static uint8_t zero[64];

    EXPECT(hyper_event(99, zero), -ENOSYS);
    EXPECT(hyper_sched(99, zero), -ENOSYS);
}
