/* SPDX-License-Identifier: MIT */
/*
 * Domains share the processors as the toolstack says: weights and caps, where
 * vCPUs may run, CPU pools with policies of their own; and what of it is refused.
 */
#include "lib/child.h"

#include <xen/sysctl.h>

#include "event.h"
#include "hypercall.h"
#include "mm.h"

#define MS      1000000ul
#define NR_SPIN 3u
#define NO_POOL 77u
#define NO_CPU  200u
#define POLICY  XEN_SCHEDULER_CREDIT2

static struct child spinners[NR_SPIN];
static unsigned int nr_pcpus;
static uint64_t bits_hard, bits_soft;
/*
 * How far from its share, in thousandths, a domain may be.  With one processor
 * the clock counts instructions; with several it is the host's, which has
 * others to serve.
 */
static unsigned int slack;

/* ---- calls ---- */

static struct xen_sysctl sysctl;

static long do_sysctl(uint32_t cmd)
{
    sysctl.cmd = cmd;
    sysctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall1(__HYPERVISOR_sysctl, &sysctl);
}

/* CPU pools; the mask that comes back is in bits_hard. */
static long pool(uint32_t what, uint32_t id, uint32_t sched, uint32_t domid, uint32_t cpu)
{
    sysctl.u.cpupool_op = (struct xen_sysctl_cpupool_op){
        .op = what, .cpupool_id = id, .sched_id = sched, .domid = domid, .cpu = cpu
    };
    bits_hard = 0;
    sysctl.u.cpupool_op.cpumap.nr_bits = 64;
    set_xen_guest_handle(sysctl.u.cpupool_op.cpumap.bitmap, (uint8_t *)&bits_hard);
    return do_sysctl(XEN_SYSCTL_cpupool_op);
}

static long pool_info(uint32_t id)
{
    return pool(XEN_SYSCTL_CPUPOOL_OP_INFO, id, 0, 0, 0);
}

static uint64_t cpu_time(const struct child *c)
{
    struct xen_domctl_getdomaininfo info;

    EXPECT(domctl_info(c->domid, &info), 0);
    return info.cpu_time;
}

static long share(unsigned int domid, uint32_t policy, uint32_t what, uint16_t weight, uint16_t cap)
{
    struct xen_domctl op = { .u.scheduler_op = {
                                 .sched_id = policy, .cmd = what, .u.credit2 = { weight, cap } } };
    long rc = domctl(&op, XEN_DOMCTL_scheduler_op, domid);

    bits_hard = op.u.scheduler_op.u.credit2.weight;
    bits_soft = op.u.scheduler_op.u.credit2.cap;
    return rc;
}

static long affinity(unsigned int domid, uint32_t vcpu, uint32_t flags, bool is_set,
                     unsigned int nr_bits)
{
    struct xen_domctl op = { .u.vcpuaffinity = { .vcpu = vcpu, .flags = flags } };

    op.u.vcpuaffinity.cpumap_hard.nr_bits = op.u.vcpuaffinity.cpumap_soft.nr_bits = nr_bits;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, (uint8_t *)&bits_hard);
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, (uint8_t *)&bits_soft);
    return domctl(&op, is_set ? XEN_DOMCTL_setvcpuaffinity : XEN_DOMCTL_getvcpuaffinity, domid);
}

static uint32_t where(const struct child *c)
{
    struct xen_domctl op = { .u.getvcpuinfo.vcpu = 0 };

    EXPECT(domctl(&op, XEN_DOMCTL_getvcpuinfo, c->domid), 0);
    return op.u.getvcpuinfo.cpu;
}

static void sleep_ns(uint64_t ns)
{
    struct sched_poll poll = { .timeout = system_time() + ns };

    hyper_sched(SCHEDOP_poll, &poll);
}

/* ---- children ---- */

static void spin(uint64_t arg)
{
    (void)arg;
    for (;;) {
        child_box[0]++;
    }
}

static bool start_spinners(unsigned int nr)
{
    for (unsigned int i = 0; i < nr; i++) {
        long rc = child_create(&spinners[i], 1, spin, 0);

        if (rc) {
            FAIL("child %u: error %ld", i, rc);
            return false;
        }
        child_unpause(&spinners[i]);
    }
    return true;
}

static void end_spinners(unsigned int nr)
{
    for (unsigned int i = 0; i < nr; i++) {
        EXPECT(child_destroy(&spinners[i]), 0);
    }
}

static void pin(const struct child *c, uint64_t cpus)
{
    bits_hard = cpus;
    EXPECT(affinity(c->domid, 0, XEN_VCPUAFFINITY_HARD, true, 64), 0);
}

/* ---- tests ---- */

TEST(the_pool_has_all_processors)
{
    EXPECT(pool_info(0), 0);
    EXPECT(sysctl.u.cpupool_op.sched_id, POLICY);
    EXPECT(sysctl.u.cpupool_op.cpupool_id, 0);
    EXPECT(sysctl.u.cpupool_op.n_dom, 1);
    nr_pcpus = 0;
    for (uint64_t left = bits_hard; left; left &= left - 1) {
        nr_pcpus++;
    }
    EXPECT(bits_hard, (1ul << nr_pcpus) - 1);
    slack = guest_option("oracle") ? 900 : nr_pcpus == 1 ? 10 : 500;
    EXPECT(pool_info(1), -ENOENT);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0, 0, 0, 0), 0);
    EXPECT(bits_hard, 0);
    EXPECT(pool(0, 0, 0, 0, 0), -ENOSYS);
    EXPECT(pool(8, 0, 0, 0, 0), -ENOSYS);
    EXPECT(do_sysctl(XEN_SYSCTL_sched_id), 0);
    EXPECT(sysctl.u.sched_id.sched_id, POLICY);
}

TEST(weight_and_cap_are_kept_and_told)
{
    CHECK(start_spinners(1));
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), 0);
    EXPECT(bits_hard, 256);
    EXPECT(bits_soft, 0);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_putinfo, 512, 40), 0);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_putinfo, 0, 40), 0);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), 0);
    EXPECT(bits_hard, 512);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_putinfo, 65535, 100), 0);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_putinfo, 600, 101), -EINVAL);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_putinfo, 600, 0xffff), -EINVAL);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_putinfo, 512, 40), 0);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), 0);
    EXPECT(bits_hard, 512);
    EXPECT(bits_soft, 40);
    EXPECT(share(spinners[0].domid, XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0),
           -EINVAL);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_getvcpuinfo, 0, 0), -EINVAL);
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_putvcpuinfo, 0, 0), -EINVAL);
    EXPECT(share(spinners[0].domid, POLICY, 4, 0, 0), -EINVAL);
    EXPECT(share(999, POLICY, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), -ESRCH);
    end_spinners(1);
}

TEST(affinity_is_checked)
{
    unsigned int domid;
    uint64_t all;

    CHECK(start_spinners(1));
    domid = spinners[0].domid;
    EXPECT(affinity(domid, 0, XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT, false, nr_pcpus), 0);
    all = (1ul << nr_pcpus) - 1;
    EXPECT(bits_hard & all, all);
    EXPECT(bits_soft & all, all);
    bits_hard = bits_soft = 1;
    EXPECT(affinity(domid, 0, XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT, true, 64), 0);
    EXPECT(bits_hard, 1);
    EXPECT(bits_soft, 1);
    EXPECT(affinity(domid, 1, XEN_VCPUAFFINITY_HARD, true, 64), -EINVAL);
    EXPECT(affinity(domid, 0, 0, true, 64), -EINVAL);
    EXPECT(affinity(domid, 0, 8, true, 64), 0);
    EXPECT(affinity(domid, 0, XEN_VCPUAFFINITY_HARD, true, 0), -EINVAL);
    bits_hard = 0;
    EXPECT(affinity(domid, 0, XEN_VCPUAFFINITY_HARD, true, 64), -EINVAL);
    bits_hard = 1ul << 63;
    EXPECT(affinity(domid, 0, XEN_VCPUAFFINITY_HARD, true, 64), -EINVAL);
    bits_hard = 1ul << 63 | 1;
    EXPECT(affinity(domid, 0, XEN_VCPUAFFINITY_HARD, true, 64), 0);
    EXPECT(bits_hard, 1);
    bits_soft = 0;
    EXPECT(affinity(domid, 0, XEN_VCPUAFFINITY_SOFT, true, 64), 0);
    EXPECT(bits_soft, 0);
    end_spinners(1);
}

TEST(a_running_vcpu_goes_where_it_is_sent)
{
    CHECK(start_spinners(1));
    for (unsigned int i = 0; i < 2 * nr_pcpus; i++) {
        pin(&spinners[0], 1ul << i % nr_pcpus);
        for (unsigned int wait = 0; wait < 200 && where(&spinners[0]) != i % nr_pcpus; wait++) {
            sleep_ns(10 * MS);
        }
        EXPECT(where(&spinners[0]), i % nr_pcpus);
    }
    end_spinners(1);
}

/* All on one processor, which dom0 has no need of while it sleeps. */
TEST(weights_hold)
{
    uint64_t used[NR_SPIN], total = 0;

    CHECK(start_spinners(NR_SPIN));
    for (unsigned int i = 0; i < NR_SPIN; i++) {
        EXPECT(share(spinners[i].domid, POLICY, XEN_DOMCTL_SCHEDOP_putinfo, 128 << i, 0), 0);
        pin(&spinners[i], 1ul << (nr_pcpus - 1));
    }
    sleep_ns(100 * MS);
    for (unsigned int i = 0; i < NR_SPIN; i++) {
        used[i] = cpu_time(&spinners[i]);
    }
    sleep_ns(3000 * MS);
    for (unsigned int i = 0; i < NR_SPIN; i++) {
        used[i] = cpu_time(&spinners[i]) - used[i];
        total += used[i];
    }
    print("of 1000: %lu, %lu, %lu\n", used[0] * 1000 / total, used[1] * 1000 / total,
          used[2] * 1000 / total);
    for (unsigned int i = 0; i < NR_SPIN; i++) {
        uint64_t wanted = total * (1ul << i) / 7;

        CHECK(used[i] > wanted * (1000 - slack) / 1000);
        CHECK(used[i] < wanted * (1000 + slack) / 1000);
    }
    end_spinners(NR_SPIN);
}

TEST(a_cap_holds)
{
    uint64_t used;

    CHECK(start_spinners(1));
    EXPECT(share(spinners[0].domid, POLICY, XEN_DOMCTL_SCHEDOP_putinfo, 256, 30), 0);
    sleep_ns(50 * MS);
    used = cpu_time(&spinners[0]);
    sleep_ns(2000 * MS);
    used = cpu_time(&spinners[0]) - used;
    print("used %lu of 600 ms\n", used / MS);
    CHECK(used > 600 * MS * (1000 - slack) / 1000);
    CHECK(used < 600 * MS * (1000 + slack) / 1000);
    end_spinners(1);
}

/* More vCPUs than processors: each gets as much as the next one. */
TEST(one_more_than_processors_share_alike)
{
    unsigned int nr = nr_pcpus < NR_SPIN ? nr_pcpus + 1 : NR_SPIN;
    uint64_t used[NR_SPIN], least = ~0ul, most = 0;

    CHECK(start_spinners(nr));
    for (unsigned int i = 0; i < nr; i++) {
        used[i] = cpu_time(&spinners[i]);
    }
    sleep_ns(2000 * MS);
    for (unsigned int i = 0; i < nr; i++) {
        used[i] = cpu_time(&spinners[i]) - used[i];
        least = used[i] < least ? used[i] : least;
        most = used[i] > most ? used[i] : most;
    }
    print("least %lu ms, most %lu ms\n", least / MS, most / MS);
    CHECK(least > most * (1000 - slack) / 1000);
    end_spinners(nr);
}

TEST(pools_are_made_and_removed)
{
    uint32_t id;

    EXPECT(
        pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, XEN_SYSCTL_CPUPOOL_PAR_ANY, XEN_SCHEDULER_CREDIT, 0, 0),
        0);
    id = sysctl.u.cpupool_op.cpupool_id;
    EXPECT(id, 1);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, id, XEN_SCHEDULER_CREDIT, 0, 0), -EEXIST);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, 9, 99, 0, 0), -ENOENT);
    EXPECT(pool_info(1), 0);
    EXPECT(sysctl.u.cpupool_op.sched_id, XEN_SCHEDULER_CREDIT);
    EXPECT(sysctl.u.cpupool_op.n_dom, 0);
    EXPECT(bits_hard, 0);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, 5, XEN_SCHEDULER_CREDIT2, 0, 0), 0);
    EXPECT(pool_info(2), 0);
    EXPECT(sysctl.u.cpupool_op.cpupool_id, 5);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 5, 0, 0, 0), 0);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 5, 0, 0, 0), -ENOENT);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 0, 0, 0, 0), -EBUSY);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, id, 0, 0, 0), -ENODEV);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, NO_POOL, 0, 0, 0), -ENOENT);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, id, 0, 0, NO_CPU), -EINVAL);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, id, 0, 0, XEN_SYSCTL_CPUPOOL_PAR_ANY), -ENODEV);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, id, 0, 0, 0), -EADDRNOTAVAIL);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, NO_POOL, 0, 0, 0), -ENOENT);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, 0, 0, NO_CPU), -EINVAL);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, id, 0, 999, 0), -ESRCH);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, id, 0, 0, 0), -EPERM);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, id, 0, 0, 0), 0);
    if (nr_pcpus == 1) {
        EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, 0, 0, 0), -EBUSY);
    }
}

static long tune_credit(uint32_t id, uint32_t tslice_ms, uint32_t ratelimit_us)
{
    sysctl.u.scheduler_op = (struct xen_sysctl_scheduler_op){ .cpupool_id = id,
                                                              .sched_id = XEN_SCHEDULER_CREDIT,
                                                              .cmd = XEN_SYSCTL_SCHEDOP_putinfo };
    sysctl.u.scheduler_op.u.sched_credit.tslice_ms = tslice_ms;
    sysctl.u.scheduler_op.u.sched_credit.ratelimit_us = ratelimit_us;
    return do_sysctl(XEN_SYSCTL_scheduler_op);
}

TEST(a_pool_is_tuned)
{
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, 1, XEN_SCHEDULER_CREDIT, 0, 0), 0);
    EXPECT(tune_credit(1, 0, 0), -EINVAL);
    EXPECT(tune_credit(1, 1001, 0), -EINVAL);
    EXPECT(tune_credit(1, 5, 99), -EINVAL);
    EXPECT(tune_credit(1, 5, 5001), -EINVAL);
    EXPECT(tune_credit(0, 5, 0), -EINVAL);
    EXPECT(tune_credit(NO_POOL, 5, 0), -ESRCH);
    EXPECT(tune_credit(1, 5, 200), 0);
    sysctl.u.scheduler_op.u.sched_credit.tslice_ms = 0;
    sysctl.u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    EXPECT(do_sysctl(XEN_SYSCTL_scheduler_op), 0);
    EXPECT(sysctl.u.scheduler_op.u.sched_credit.tslice_ms, 5);
    EXPECT(sysctl.u.scheduler_op.u.sched_credit.ratelimit_us, 200);
    sysctl.u.scheduler_op.cmd = 2;
    EXPECT(do_sysctl(XEN_SYSCTL_scheduler_op), -EINVAL);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 1, 0, 0, 0), 0);
}

static uint32_t pool_of(const struct child *c)
{
    struct xen_domctl_getdomaininfo info;

    EXPECT(domctl_info(c->domid, &info), 0);
    return info.cpupool;
}

/* Xen may want to be asked again. */
static long remove_cpu(uint32_t id, uint32_t cpu)
{
    long rc = -EAGAIN;

    for (unsigned int i = 0; rc == -EAGAIN && i < 100; i++) {
        rc = pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, id, 0, 0, cpu);
        if (rc == -EAGAIN) {
            sleep_ns(MS);
        }
    }
    return rc;
}

/* A running domain goes to a pool of policy @policy and back; its processor comes from pool 0. */
static void visit(uint32_t policy)
{
    uint32_t last = nr_pcpus - 1;
    uint64_t used;

    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, 1, policy, 0, 0), 0);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 1, 0, spinners[0].domid, 0), -ENOENT);
    EXPECT(remove_cpu(0, last), 0);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0, 0, 0, 0), 0);
    EXPECT(bits_hard, 1ul << last);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 1, 0, 0, XEN_SYSCTL_CPUPOOL_PAR_ANY), 0);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 1, 0, spinners[0].domid, 0), 0);
    EXPECT(pool_of(&spinners[0]), 1);
    EXPECT(pool_info(1), 0);
    EXPECT(sysctl.u.cpupool_op.n_dom, 1);
    EXPECT(bits_hard, 1ul << last);
    used = cpu_time(&spinners[0]);
    sleep_ns(100 * MS);
    EXPECT(where(&spinners[0]), last);
    used = cpu_time(&spinners[0]) - used;
    if (used < 50 * MS) {
        FAIL("policy %u: ran for %lu us only", policy, used / 1000);
    }
    bits_hard = 1;
    EXPECT(affinity(spinners[0].domid, 0, XEN_VCPUAFFINITY_HARD, true, 64), -EINVAL);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 1, 0, 0, last), -EBUSY);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 1, 0, 0, 0), -EBUSY);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 0, 0, spinners[0].domid, 0), 0);
    EXPECT(remove_cpu(1, XEN_SYSCTL_CPUPOOL_PAR_ANY), 0);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 1, 0, 0, 0), 0);
    EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, 0, 0, last), 0);
}

TEST(a_running_domain_visits_pools_of_all_policies)
{
    if (nr_pcpus == 1) {
        return;
    }
    CHECK(start_spinners(1));
    visit(XEN_SCHEDULER_CREDIT);
    visit(XEN_SCHEDULER_CREDIT2);
    if (!guest_option("oracle")) { /* Debian's has not got them */
        visit(XEN_SCHEDULER_RTDS);
        visit(XEN_SCHEDULER_NULL);
    }
    end_spinners(1);
}

/* Processors go and come under vCPUs that run, the one that asks included. */
TEST(processors_leave_and_return_under_load)
{
    if (nr_pcpus == 1 || guest_option("oracle")) {
        return;
    }
    CHECK(start_spinners(NR_SPIN));
    for (unsigned int i = 0; i < 6 * nr_pcpus; i++) {
        uint32_t cpu = i % nr_pcpus;

        EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, 0, 0, cpu), 0);
        EXPECT(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, 0, 0, cpu), 0);
    }
    end_spinners(NR_SPIN);
}

TEST(pauses_under_load_lose_nobody)
{
    struct xen_domctl op = { 0 };
    uint64_t before;

    CHECK(start_spinners(NR_SPIN));
    for (unsigned int i = 0; i < 300; i++) {
        EXPECT(domctl(&op, XEN_DOMCTL_pausedomain, spinners[i % NR_SPIN].domid), 0);
        EXPECT(domctl(&op, XEN_DOMCTL_unpausedomain, spinners[i % NR_SPIN].domid), 0);
    }
    for (unsigned int i = 0; i < NR_SPIN; i++) {
        before = cpu_time(&spinners[i]);
        for (unsigned int wait = 0; wait < 100 && cpu_time(&spinners[i]) == before; wait++) {
            sleep_ns(10 * MS);
        }
        CHECK(cpu_time(&spinners[i]) != before);
    }
    end_spinners(NR_SPIN);
}
