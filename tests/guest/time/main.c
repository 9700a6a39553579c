/* SPDX-License-Identifier: MIT */
/*
 * Clocks: system time goes forward on and across vCPUs, the times spent in each
 * run state add up to it, the wall clock is set and read, and that of another
 * domain is the same, with the offset that it was given.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#include <xen/platform.h>

TEST(system_time_goes_forward)
{
    uint64_t last = system_time();

    for (unsigned int i = 0; i < 200000; i++) {
        uint64_t now = system_time();

        if (now < last) {
            FAIL("%lu after %lu", now, last);
            return;
        }
        last = now;
    }
}

TEST(the_time_records_are_in_order)
{
    const struct vcpu_time_info *time = &event_vcpu_info()->time;
    uint64_t tsc = rdtsc();

    EXPECT(time->version & 1, 0);
    CHECK(time->version != 0);
    CHECK(time->tsc_to_system_mul != 0);
    CHECK(time->tsc_timestamp <= tsc);
    CHECK(system_time() < 3600000000000ul);
}

TEST(system_time_goes_on_while_blocked)
{
    uint64_t start = system_time();
    struct sched_poll poll = { .timeout = start + 50000000 };

    EXPECT(hyper_sched(SCHEDOP_poll, &poll), 0);
    CHECK(system_time() - start >= 50000000);
    CHECK(system_time() - start < 5000000000);
}

/* ---- across vCPUs ---- */

static volatile uint64_t latest;
static volatile unsigned int nr_backward, nr_done;

/* Each in turn raises the common maximum; nobody may be behind what it has read before. */
static void race(void *arg)
{
    (void)arg;
    for (unsigned int i = 0; i < 50000; i++) {
        uint64_t seen = latest, now = system_time();

        if (now < seen) {
            __atomic_fetch_add(&nr_backward, 1, __ATOMIC_SEQ_CST);
        }
        while (now > seen && !__atomic_compare_exchange_n(&latest, &seen, now, false,
                                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            barrier();
        }
    }
    __atomic_fetch_add(&nr_done, 1, __ATOMIC_SEQ_CST);
}

TEST(system_time_goes_forward_across_vcpus)
{
    unsigned int nr = cpu_count();

    for (unsigned int id = 1; id < nr; id++) {
        EXPECT(cpu_start(id, race, NULL), 0);
    }
    race(NULL);
    for (unsigned int id = 1; id < nr; id++) {
        cpu_wait_down(id);
    }
    EXPECT(nr_done, nr);
    if (event_vcpu_info()->time.flags & XEN_PVCLOCK_TSC_STABLE_BIT) {
        EXPECT(nr_backward, 0);
    }
}

/* ---- run states ---- */

static struct vcpu_runstate_info runstate;

static uint64_t runstate_sum(const struct vcpu_runstate_info *info)
{
    return info->time[0] + info->time[1] + info->time[2] + info->time[3];
}

/* Blocked, or woken and not yet running. */
static uint64_t idle_time(const struct vcpu_runstate_info *info)
{
    return info->time[RUNSTATE_blocked] + info->time[RUNSTATE_runnable];
}

static void block_for(uint64_t ns)
{
    struct sched_poll poll = { .timeout = system_time() + ns };

    hyper_sched(SCHEDOP_poll, &poll);
}

TEST(run_state_times_add_up)
{
    struct vcpu_runstate_info first, now;
    uint64_t before, between[2], after;

    before = system_time();
    EXPECT(hyper_vcpu(VCPUOP_get_runstate_info, 0, &first), 0);
    between[0] = system_time();
    EXPECT(first.state, RUNSTATE_running);
    block_for(20000000);
    between[1] = system_time();
    EXPECT(hyper_vcpu(VCPUOP_get_runstate_info, 0, &now), 0);
    after = system_time();
    CHECK(idle_time(&now) - idle_time(&first) >= 19000000);
    CHECK(runstate_sum(&now) - runstate_sum(&first) <= after - before);
    CHECK(runstate_sum(&now) - runstate_sum(&first) >= between[1] - between[0]);
    CHECK(runstate_sum(&now) <= after);
    CHECK(now.state_entry_time <= after);
}

TEST(a_registered_run_state_area_is_kept_up)
{
    struct vcpu_register_runstate_memory_area area = { .addr.v = &runstate };
    uint64_t blocked;

    EXPECT(hyper_vcpu(VCPUOP_register_runstate_memory_area, 0, &area), 0);
    EXPECT(runstate.state, RUNSTATE_running);
    CHECK(runstate.state_entry_time > 0);
    blocked = idle_time(&runstate);
    block_for(20000000);
    EXPECT(runstate.state, RUNSTATE_running);
    CHECK(idle_time(&runstate) - blocked >= 19000000);
    EXPECT(runstate.state_entry_time >> 63, 0);
    EXPECT(hyper_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
    block_for(5000000);
    EXPECT(runstate.state_entry_time >> 63, 0);
    EXPECT(hyper_vm_assist(VMASST_CMD_disable, VMASST_TYPE_runstate_update_flag), 0);
}

TEST(an_unmapped_run_state_area_does_no_harm)
{
    struct vcpu_register_runstate_memory_area area = { .addr.v = (void *)FREE_VA };

    EXPECT(hyper_vcpu(VCPUOP_register_runstate_memory_area, 0, &area), 0);
    block_for(5000000);
    area.addr.v = NULL;
    EXPECT(hyper_vcpu(VCPUOP_register_runstate_memory_area, 0, &area), 0);
    block_for(5000000);
}

TEST(vcpu_info_moves_once)
{
    static struct vcpu_info moved[64] page_aligned;
    struct vcpu_register_vcpu_info info = { .mfn = virt_to_mfn(moved), .offset = 4096 - 32 };

    EXPECT(hyper_vcpu(VCPUOP_register_vcpu_info, 0, &info), -ENXIO); /* would cross */
    info.offset = 64;
    info.mfn = virt_to_mfn(kernel_l4);
    EXPECT(hyper_vcpu(VCPUOP_register_vcpu_info, 0, &info), -EINVAL);
    info.mfn = 1ul << 40;
    EXPECT(hyper_vcpu(VCPUOP_register_vcpu_info, 0, &info), -EINVAL);
    if (cpu_count() > 1) {
        info.mfn = virt_to_mfn(moved);
        EXPECT(hyper_vcpu(VCPUOP_register_vcpu_info, 1, &info), 0);
        EXPECT(hyper_vcpu(VCPUOP_register_vcpu_info, 1, &info), -EINVAL);
        EXPECT(moved[1].evtchn_upcall_mask, 1);
    }
}

static volatile bool is_up, may_go;

static void stay(void *arg)
{
    (void)arg;
    is_up = true;
    while (!may_go) {
        barrier();
    }
}

/* A writer on another CPU would go on with the old place. */
TEST(vcpu_info_of_a_vcpu_that_runs_does_not_move)
{
    static struct vcpu_info moved[64] page_aligned;
    struct vcpu_register_vcpu_info info = { .mfn = virt_to_mfn(moved) };

    if (cpu_count() < 3) {
        return;
    }
    EXPECT(cpu_start(2, stay, NULL), 0);
    while (!is_up) {
        barrier();
    }
    EXPECT(hyper_vcpu(VCPUOP_register_vcpu_info, 2, &info), -EINVAL);
    may_go = true;
    cpu_wait_down(2);
    EXPECT(hyper_vcpu(VCPUOP_register_vcpu_info, 2, &info), 0);
}

TEST(a_second_copy_of_the_time)
{
    static struct vcpu_time_info time page_aligned;
    struct vcpu_register_time_memory_area area = { .addr.v = &time };
    uint64_t ns;

    EXPECT(hyper_vcpu(VCPUOP_register_vcpu_time_memory_area, 0, &area), 0);
    CHECK(time.version != 0); /* at once, not only when the vCPU is next switched to */
    EXPECT(time.version & 1, 0);
    ns = time.system_time;
    CHECK(ns > 0 && ns <= system_time());
    area.addr.v = NULL;
    EXPECT(hyper_vcpu(VCPUOP_register_vcpu_time_memory_area, 0, &area), 0);
}

/* ---- wall clock ---- */

static uint64_t wall_seconds(void)
{
    return ((uint64_t)shared_info->wc_sec_hi << 32 | shared_info->wc_sec) +
           system_time() / 1000000000;
}

static long set_wall_clock(uint64_t seconds)
{
    struct xen_platform_op op = {
        .cmd = XENPF_settime64,
        .interface_version = XENPF_INTERFACE_VERSION,
        .u.settime64 = { .secs = seconds, .nsecs = 0, .system_time = system_time() },
    };

    return hypercall1(__HYPERVISOR_platform_op, &op);
}

TEST(the_wall_clock_is_set)
{
    struct xen_platform_op op = {
        .cmd = XENPF_settime64,
        .interface_version = XENPF_INTERFACE_VERSION,
        .u.settime64 = { .secs = 2000000000, .nsecs = 0, .system_time = system_time() },
    };
    uint32_t version = shared_info->wc_version;

    EXPECT(version & 1, 0);
    CHECK(wall_seconds() > 1600000000); /* after 2020 */
    EXPECT(hypercall1(__HYPERVISOR_platform_op, &op), 0);
    CHECK(wall_seconds() >= 2000000000 - 1 && wall_seconds() < 2000000000 + 60);
    CHECK(shared_info->wc_version != version);
    EXPECT(shared_info->wc_version & 1, 0);
    op.u.settime64.mbz = 1;
    EXPECT(hypercall1(__HYPERVISOR_platform_op, &op), -EINVAL);
    op.interface_version = 1;
    EXPECT(hypercall1(__HYPERVISOR_platform_op, &op), -EACCES);
}

/* ---- the clock of another domain ---- */

#define HOUR_S 3600l

/* Words of the child's box. */
enum {
    BOX_ROUND, /* written by its maker: what to answer next; 0: nothing yet */
    BOX_DONE,  /* by the child: the round that it has answered */
    BOX_WALL,  /* seconds since 1970 */
    BOX_VERSION,
    BOX_TIME_VERSION,
    BOX_SYSTEM_TIME,
    BOX_END = 99, /* a round */
};

static struct child child;

/* In the child: say what its clocks show whenever it is asked. */
static void show_clocks(uint64_t arg)
{
    uint64_t round = arg;

    while (round != BOX_END) {
        round = child_box[BOX_ROUND];
        if (round != child_box[BOX_DONE]) {
            child_box[BOX_WALL] = wall_seconds();
            child_box[BOX_VERSION] = shared_info->wc_version;
            child_box[BOX_TIME_VERSION] = event_vcpu_info()->time.version;
            child_box[BOX_SYSTEM_TIME] = system_time();
            child_box[BOX_DONE] = round;
        }
        hyper_sched(SCHEDOP_yield, NULL);
    }
}

static long set_offset(const struct child *c, long seconds)
{
    struct xen_domctl op = { .u.settimeoffset.time_offset_seconds = seconds };

    return domctl(&op, XEN_DOMCTL_settimeoffset, c->domid);
}

/* How far the child's wall clock is ahead of ours, in seconds; -1: it does not answer. */
static long ahead(struct child *c, uint64_t round)
{
    uint64_t end = system_time() + 10000000000ul;

    c->box[BOX_ROUND] = round;
    while (c->box[BOX_DONE] != round) {
        if (system_time() > end) {
            return -1;
        }
        hyper_sched(SCHEDOP_yield, NULL);
    }
    return (long)c->box[BOX_WALL] - (long)wall_seconds();
}

#define EXPECT_AHEAD(round, wanted)                                                                \
    do {                                                                                           \
        long ahead_ = ahead(&child, round);                                                        \
        if (ahead_ < (wanted)-2 || ahead_ > (wanted) + 2) {                                        \
            FAIL("the child's clock is ahead by %ld s, not %ld", ahead_, (long)(wanted));          \
        }                                                                                          \
    } while (0)

/* Its maker has cleared shared_info since the domain was made, as the toolstack does. */
TEST(a_new_domain_has_the_date)
{
    EXPECT(set_wall_clock(1900000000), 0);
    EXPECT(child_create(&child, 1, show_clocks, 0), 0);
    child_unpause(&child);
    EXPECT_AHEAD(1, 0);
    CHECK(child.box[BOX_WALL] >= 1900000000 - 1);
    CHECK(child.box[BOX_VERSION] != 0);
    EXPECT(child.box[BOX_VERSION] & 1, 0);
    CHECK(child.box[BOX_TIME_VERSION] != 0);
    EXPECT(child.box[BOX_TIME_VERSION] & 1, 0);
    CHECK(child.box[BOX_SYSTEM_TIME] != 0);
    CHECK(child.box[BOX_SYSTEM_TIME] <= system_time() + 1000000);
}

TEST(a_running_domain_follows_the_clock_that_is_set)
{
    CHECK(child.box);
    EXPECT(set_wall_clock(1950000000), 0);
    EXPECT_AHEAD(2, 0);
    CHECK(child.box[BOX_WALL] >= 1950000000 - 1);
}

TEST(a_running_domain_gets_its_offset)
{
    CHECK(child.box);
    EXPECT(set_offset(&child, -HOUR_S), 0);
    EXPECT_AHEAD(3, -HOUR_S);
    EXPECT(set_wall_clock(1960000000), 0);
    EXPECT_AHEAD(4, -HOUR_S);
    EXPECT(set_offset(&child, 0), 0);
    EXPECT_AHEAD(BOX_END, 0);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child_destroy(&child), 0);
}

/* The order of the toolstack: the offset, shared_info is cleared, the first vCPU gets its state. */
TEST(an_offset_from_before_the_start_is_kept)
{
    EXPECT(child_create_empty(&child, 1), 0);
    EXPECT(set_offset(&child, 2 * HOUR_S), 0);
    EXPECT(child_fill(&child, show_clocks, 0), 0);
    child_unpause(&child);
    EXPECT_AHEAD(1, 2 * HOUR_S);
    EXPECT_AHEAD(BOX_END, 2 * HOUR_S);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child_destroy(&child), 0);
}
