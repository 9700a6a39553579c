/* SPDX-License-Identifier: MIT */
/*
 * A hundred domains at once: making the last costs what the first did, and
 * nothing is left of them.
 *
 * Where time counts instructions, so does the time stamp counter: costs are
 * differences of two readings.  A timer interrupt of the hypervisor's own is
 * now and then part of one, so that medians of a few are compared.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#include <xen/sysctl.h>

#define NR  100u
#define FEW 9u /* the first and the last, of which the medians count */

static struct child children[NR], empty;
static struct xen_domctl_getdomaininfo infos[NR + 2];

struct counts {
    uint64_t free_pages, claimed, own_pages;
    long nr_domains;
};

static struct counts before;

static struct counts counts(void)
{
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_physinfo,
                            .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    struct xen_domctl_getdomaininfo self;
    struct counts c = { 0 };

    EXPECT(hypercall1(__HYPERVISOR_sysctl, &s), 0);
    c.free_pages = s.u.physinfo.free_pages;
    c.claimed = s.u.physinfo.outstanding_pages;
    EXPECT(domctl_info(0, &self), 0);
    c.own_pages = self.tot_pages;
    s = (struct xen_sysctl){ .cmd = XEN_SYSCTL_getdomaininfolist,
                             .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    s.u.getdomaininfolist.max_domains = ARRAY_SIZE(infos);
    set_xen_guest_handle(s.u.getdomaininfolist.buffer, infos);
    EXPECT(hypercall1(__HYPERVISOR_sysctl, &s), 0);
    c.nr_domains = s.u.getdomaininfolist.num_domains;
    return c;
}

static void live(uint64_t arg)
{
    child_box[0] = arg;
    for (;;) {
        hyper_sched(SCHEDOP_block, NULL);
    }
}

/* ---- costs ---- */

enum cost {
    CREATE,
    BUILD,
    NR_COSTS
};
static const char *const names[] = { "createdomain and max_vcpus", "with memory" };
static uint64_t costs[NR_COSTS][NR];

static uint64_t median(const uint64_t *values)
{
    uint64_t sorted[FEW];

    for (unsigned int i = 0; i < FEW; i++) {
        unsigned int at = i;

        for (; at && sorted[at - 1] > values[i]; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = values[i];
    }
    return sorted[FEW / 2];
}

static void compare(enum cost which)
{
    uint64_t first = median(costs[which]), last = median(&costs[which][NR - FEW]);

    print("%s: %lu at first, %lu in the end\n", names[which], first, last);
    if (last * 10 > first * 11 || last * 11 < first * 10) {
        FAIL("%s: %lu at first, %lu in the end", names[which], first, last);
    }
}

/* ---- */

static void make_all(void)
{
    for (unsigned int i = 0; i < NR; i++) {
        uint64_t start = rdtsc();

        CHECK(child_create_empty(&empty, 1) == 0);
        costs[CREATE][i] = rdtsc() - start;
        EXPECT(child_destroy(&empty), 0);
        start = rdtsc();
        CHECK(child_create(&children[i], 1, live, i + 1) == 0);
        costs[BUILD][i] = rdtsc() - start;
    }
    EXPECT(counts().nr_domains, NR + 1);
}

static void run_all(void)
{
    for (unsigned int i = 0; i < NR; i++) {
        child_unpause(&children[i]);
    }
    for (unsigned int i = 0; i < NR; i++) {
        for (uint64_t end = system_time() + 20000000000ul;
             !children[i].box[0] && system_time() < end;) {
            hyper_sched(SCHEDOP_yield, NULL);
        }
        EXPECT(children[i].box[0], i + 1);
    }
}

static void destroy_all(void)
{
    for (unsigned int i = 0; i < NR; i++) {
        EXPECT(child_destroy(&children[i]), 0);
    }
}

static void compare_all(void)
{
    for (unsigned int which = 0; !guest_option("oracle") && which < NR_COSTS; which++) {
        compare(which); /* the other's clock is the host's */
    }
}

/* The first time the hypervisor's own tables grow, which are kept for as many another time. */
TEST(the_last_of_a_hundred_costs_what_the_first_did)
{
    make_all();
    run_all();
    destroy_all();
    compare_all();
    before = counts();
    EXPECT(before.nr_domains, 1);
}

TEST(a_hundred_leave_nothing)
{
    uint64_t slack = guest_option("oracle") ? 1000 : 0;
    struct counts now;

    make_all();
    run_all();
    destroy_all();
    compare_all();
    now = counts();
    if (now.free_pages > before.free_pages + slack || now.free_pages + slack < before.free_pages) {
        FAIL("%lu free pages, not %lu", now.free_pages, before.free_pages);
    }
    EXPECT(now.claimed, before.claimed);
    EXPECT(now.own_pages, before.own_pages);
    EXPECT(now.nr_domains, 1);
}
