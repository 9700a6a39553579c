/* SPDX-License-Identifier: MIT */
/*
 * Timers of a vCPU: never early, never lost, however odd the deadline.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

static unsigned int port;
static volatile unsigned int nr_ticks;
static volatile uint64_t last_tick;

static void tick(unsigned int p)
{
    (void)p;
    nr_ticks++;
    last_tick = system_time();
}

/* Sleep until @nr ticks came or five seconds passed. */
static bool sleep_for_ticks(unsigned int nr)
{
    uint64_t end = system_time() + 5000000000;

    while (nr_ticks < nr && system_time() < end) {
        event_mask();
        if (nr_ticks < nr) {
            hyper_sched(SCHEDOP_block, NULL);
        }
    }
    event_mask();
    return nr_ticks >= nr;
}

/* Pass time without the timer. */
static void wait_ns(uint64_t ns)
{
    uint64_t end = system_time() + ns;

    event_unmask();
    while (system_time() < end) {
        barrier();
    }
    event_mask();
}

TEST(prepare)
{
    long rc = event_bind_virq(VIRQ_TIMER, 0);

    CHECK(rc > 0);
    port = (unsigned int)rc;
    event_set_handler(port, tick);
    EXPECT(hyper_vcpu(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    port_unmask(port);
    event_unmask();
    event_mask();
}

TEST(a_timer_is_not_early)
{
    for (uint64_t delay = 1000; delay < 100000000; delay = delay * 3 / 2) {
        uint64_t deadline = system_time() + delay;

        nr_ticks = 0;
        EXPECT(timer_set(deadline), 0);
        CHECK(sleep_for_ticks(1));
        if (last_tick < deadline) {
            FAIL("delay %lu: %lu early", delay, deadline - last_tick);
        }
        EXPECT(nr_ticks, 1);
    }
}

TEST(a_past_deadline_fires_at_once)
{
    static const uint64_t deadlines[] = { 1, 1000, 1000000 };

    for (unsigned int i = 0; i < ARRAY_SIZE(deadlines); i++) {
        nr_ticks = 0;
        EXPECT(timer_set(deadlines[i]), 0);
        CHECK(sleep_for_ticks(1));
    }
}

/* The header has it that this is an error, Xen since 4.17 that it is none. */
TEST(a_past_deadline_that_must_not_be_past)
{
    struct vcpu_set_singleshot_timer timer = { .timeout_abs_ns = 1, .flags = VCPU_SSHOTTMR_future };

    long rc;

    nr_ticks = 0;
    rc = hyper_vcpu(VCPUOP_set_singleshot_timer, 0, &timer);
    wait_ns(1000000);
    CHECK((rc == 0 && nr_ticks == 1) || (rc == -ETIME && nr_ticks == 0));
}

TEST(a_stopped_timer_does_not_fire)
{
    nr_ticks = 0;
    EXPECT(timer_set(system_time() + 100000000), 0); /* far enough for a slow PC to get to stop */
    EXPECT(timer_stop(), 0);
    wait_ns(120000000);
    EXPECT(nr_ticks, 0);
    EXPECT(timer_stop(), 0);
}

TEST(a_later_call_replaces_an_earlier_one)
{
    nr_ticks = 0;
    EXPECT(timer_set(system_time() + 1000000000000), 0);
    EXPECT(timer_set(system_time() + 2000000), 0);
    CHECK(sleep_for_ticks(1));
    wait_ns(5000000);
    EXPECT(nr_ticks, 1);
}

TEST(far_deadlines_are_just_far)
{
    static const uint64_t deadlines[] = { 1ul << 62, (1ul << 63) - 1 };

    for (unsigned int i = 0; i < ARRAY_SIZE(deadlines); i++) {
        nr_ticks = 0;
        EXPECT(timer_set(deadlines[i]), 0);
        wait_ns(2000000);
        EXPECT(nr_ticks, 0);
        EXPECT(timer_stop(), 0);
    }
}

TEST(a_periodic_timer_ticks)
{
    struct vcpu_set_periodic_timer timer = { .period_ns = 2000000 };
    uint64_t start = system_time();

    nr_ticks = 0;
    EXPECT(hyper_vcpu(VCPUOP_set_periodic_timer, 0, &timer), 0);
    for (unsigned int i = 0; nr_ticks < 10 && i < 1000; i++) {
        wait_ns(1000000); /* it need not wake a vCPU that is blocked */
    }
    CHECK(nr_ticks >= 10);
    CHECK(system_time() - start >= 9 * 2000000ul);
    EXPECT(hyper_vcpu(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    event_unmask();
    event_mask();
    nr_ticks = 0;
    wait_ns(10000000);
    EXPECT(nr_ticks, 0);
    timer.period_ns = 999999;
    EXPECT(hyper_vcpu(VCPUOP_set_periodic_timer, 0, &timer), -EINVAL);
}

TEST(the_older_call_works_too)
{
    nr_ticks = 0;
    EXPECT(hypercall1(__HYPERVISOR_set_timer_op, system_time() + 3000000), 0);
    CHECK(sleep_for_ticks(1));
    nr_ticks = 0;
    EXPECT(hypercall1(__HYPERVISOR_set_timer_op, system_time() + 100000000), 0);
    EXPECT(hypercall1(__HYPERVISOR_set_timer_op, 0), 0);
    wait_ns(120000000);
    EXPECT(nr_ticks, 0);
}

/* A busy guest is interrupted as well. */
TEST(a_running_guest_gets_its_tick)
{
    uint64_t deadline = system_time() + 5000000;

    nr_ticks = 0;
    EXPECT(timer_set(deadline), 0);
    event_unmask();
    while (!nr_ticks && system_time() < deadline + 1000000000) {
        barrier();
    }
    event_mask();
    EXPECT(nr_ticks, 1);
    CHECK(last_tick >= deadline);
}
