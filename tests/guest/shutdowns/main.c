/* SPDX-License-Identifier: MIT */
/*
 * Domains that end in the wrong place: by a watchdog on a CPU where another domain runs,
 * and between two vCPUs.  No CPU waits there for another one, or for itself: each domain
 * is shut down, and can be destroyed.
 */
#include "lib/child.h"

#include <xen/sysctl.h>

#include "event.h"
#include "hypercall.h"
#include "mm.h"

#define MS       1000000ul
#define NR_TURNS 4u
#define FAR_CPU  9u /* in another run queue than CPU 1 */

static void pin(const struct child *c, uint32_t vcpu, unsigned int cpu)
{
    static uint64_t mask;
    struct xen_domctl op = { .u.vcpuaffinity = { .vcpu = vcpu, .flags = XEN_VCPUAFFINITY_HARD } };

    mask = 1ul << cpu;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = 64;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, (uint8_t *)&mask);
    EXPECT(domctl(&op, XEN_DOMCTL_setvcpuaffinity, c->domid), 0);
}

static unsigned int nr_pcpus(void)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo,
                             .interface_version = XEN_SYSCTL_INTERFACE_VERSION };

    EXPECT(hypercall1(__HYPERVISOR_sysctl, &op), 0);
    return op.u.physinfo.nr_cpus;
}

static bool wait_for_box(const struct child *c)
{
    uint64_t end = system_time() + 5000 * MS;

    while (c->box[0] == 0 && system_time() < end) {
    }
    return c->box[0] != 0;
}

/* ---- two watchdogs ---- */

#define NR_EACH    8u /* domains whose watchdogs are set on a CPU; the last one runs on */
#define NR_BATTLES 3u

static struct child watched[2][NR_EACH];

/* At the same time on both CPUs, one domain after the other there. */
static void set_watchdog(bool runs_on, uint64_t ns)
{
    struct sched_watchdog w = { .timeout = 1 };

    while (system_time() < ns) {
    }
    child_box[0] = (uint64_t)hyper_sched(SCHEDOP_watchdog, &w);
    while (runs_on) {
    }
    event_mask();
    for (;;) {
        struct sched_poll poll = { .timeout = 1ul << 61 };

        hyper_sched(SCHEDOP_poll, &poll);
    }
}

static void set_watchdog_and_sleep(uint64_t ns)
{
    set_watchdog(false, ns);
}

static void set_watchdog_and_compute(uint64_t ns)
{
    set_watchdog(true, ns);
}

/*
 * A domain's timer is on the CPU where it was set.  Both CPUs are busy with timers of
 * sleeping domains when they come to that of the domain that runs on the other CPU.
 */
TEST(two_watchdogs_end_where_the_other_domain_runs)
{
    if (nr_pcpus() > 3) {
        return; /* takes seconds */
    }
    pin(&(struct child){ .domid = 0 }, 0, 0);
    for (unsigned int turn = 0; turn < NR_BATTLES && !test_failed(); turn++) {
        uint64_t at = system_time() + 1500 * MS;

        for (unsigned int i = 0; i < 2 * NR_EACH; i++) {
            struct child *c = &watched[i % 2][i / 2];
            bool is_last = i / 2 == NR_EACH - 1;

            CHECK(child_create(c, 1, is_last ? set_watchdog_and_compute : set_watchdog_and_sleep,
                               at) == 0);
            pin(c, 0, 1 + i % 2);
        }
        CHECK(system_time() < at);
        for (unsigned int i = 0; i < 2 * NR_EACH; i++) {
            child_unpause(&watched[i % 2][i / 2]);
        }
        for (unsigned int i = 0; i < 2 * NR_EACH; i++) {
            CHECK(wait_for_box(&watched[i % 2][i / 2]));
        }
        for (unsigned int cpu = 0; cpu < 2; cpu++) {
            pin(&watched[cpu][NR_EACH - 1], 0, 2 - cpu);
        }
        for (unsigned int i = 0; i < 2 * NR_EACH; i++) {
            EXPECT(child_wait(&watched[i % 2][i / 2]), SHUTDOWN_watchdog);
            EXPECT(child_destroy(&watched[i % 2][i / 2]), 0);
        }
    }
}

/* ---- a crash between two vCPUs ---- */

static void start_a_vcpu_that_cannot_begin(uint64_t arg)
{
    static struct vcpu_guest_context context;

    (void)arg;
    cpu_make_context(1, &context);
    context.user_regs.ds = 7; /* of an LDT that it does not have */
    context.failsafe_callback_eip = 0;
    child_box[1] = (uint64_t)hyper_vcpu(VCPUOP_initialise, 1, &context);
    child_box[2] = (uint64_t)hyper_vcpu(VCPUOP_up, 1, NULL);
    child_box[0] = 1;
    for (;;) {
    }
}

static long set_ratelimit(unsigned int us)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_scheduler_op,
                             .interface_version = XEN_SYSCTL_INTERFACE_VERSION,
                             .u.scheduler_op = { .sched_id = XEN_SCHEDULER_CREDIT2,
                                                 .cmd = XEN_SYSCTL_SCHEDOP_putinfo } };

    op.u.scheduler_op.u.sched_credit2.ratelimit_us = us;
    return hypercall1(__HYPERVISOR_sysctl, &op);
}

/*
 * The second vCPU waits while the first one computes.  When the first one must leave for
 * another queue, its CPU takes the second one, which crashes the domain at once.
 */
TEST(a_vcpu_crashes_where_another_one_leaves)
{
    static struct child child, *c = &child;

    if (nr_pcpus() <= FAR_CPU) {
        return;
    }
    EXPECT(set_ratelimit(500000), 0);
    for (unsigned int turn = 0; turn < NR_TURNS && !test_failed(); turn++) {
        CHECK(child_create(c, 2, start_a_vcpu_that_cannot_begin, 0) == 0);
        pin(c, 0, 1);
        pin(c, 1, 1);
        child_unpause(c);
        CHECK(wait_for_box(c));
        pin(c, 0, FAR_CPU);
        EXPECT(c->box[1], 0);
        EXPECT(c->box[2], 0);
        EXPECT(child_wait(c), SHUTDOWN_crash);
        EXPECT(child_destroy(c), 0);
    }
    EXPECT(set_ratelimit(1000), 0);
}
