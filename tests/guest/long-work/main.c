/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls that take long, while a timer ticks: they are interrupted and go
 * on, their results and counters are those of one go, and the ticks come.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/grant.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define NR_REQUESTS 20000
#define FIRST_PFN   0x8000ul
#define NR_PAGES    20000
#define TICK_NS     1000000
#define LATE_NS     300000ul

static struct mmu_update requests[NR_REQUESTS];
static xen_pfn_t frames[NR_PAGES];
static struct multicall_entry calls[4];
static volatile unsigned int nr_ticks;
static volatile uint64_t due, latest; /* when the next tick is due; by how much one came too late */
static uint64_t *p2m;

static void tick(unsigned int port)
{
    uint64_t now = system_time();

    (void)port;
    nr_ticks++;
    latest = now - due > latest ? now - due : latest;
    due = now + TICK_NS;
    timer_set(due);
}

static void start_ticking(void)
{
    nr_ticks = 0;
    latest = 0;
    due = system_time() + TICK_NS;
    event_unmask();
    timer_set(due);
}

static void stop_ticking(const char *what, uint64_t since)
{
    uint64_t took = system_time() - since;

    timer_stop();
    event_mask();
    print("%s: %lu us, %u ticks, at most %lu us late\n", what, took / 1000, nr_ticks,
          latest / 1000);
    /* Where time counts instructions, so that nobody else's work is in it. */
    if (cpu_count() == 1 && !guest_option("oracle") && latest > LATE_NS) {
        FAIL("%s: a tick came %lu us late", what, latest / 1000);
    }
}

TEST(prepare)
{
    long port = event_bind_virq(VIRQ_TIMER, 0);

    CHECK(port > 0);
    p2m = (uint64_t *)start_info->mfn_list;
    event_set_handler((unsigned int)port, tick);
    hyper_vcpu(VCPUOP_stop_periodic_timer, 0, NULL);
    port_unmask((unsigned int)port);
    pt_map(kernel_l4, FREE_VA, 0);
}

/* Requests that put one of two pages into the entries of a table in turn. */
static void fill_requests(void *even, void *odd)
{
    uint64_t *l1 = pt_entry(kernel_l4, FREE_VA, 1);

    for (unsigned int i = 0; i < NR_REQUESTS; i++) {
        requests[i].ptr = virt_to_machine(&l1[i % 512]);
        requests[i].val = pte_of((i / 512) & 1 ? odd : even, PTE_RW_PAGE);
    }
}

static void clear_entries(void)
{
    for (unsigned int i = 0; i < 512; i++) {
        hyper_update_va(FREE_VA + i * PAGE_SIZE, 0, UVMF_INVLPG);
    }
}

TEST(a_long_batch_of_updates)
{
    void *even = page_alloc(), *odd = page_alloc();
    unsigned int done = 0;
    uint64_t start;

    fill_requests(even, odd);
    start_ticking();
    start = system_time();
    EXPECT(hyper_mmu_update(requests, NR_REQUESTS, &done), 0);
    stop_ticking("mmu_update", start);
    EXPECT(done, NR_REQUESTS);
    for (unsigned int i = NR_REQUESTS - 512; i < NR_REQUESTS; i++) {
        uint64_t pte = *pt_entry(kernel_l4, FREE_VA + (i % 512) * PAGE_SIZE, 1);

        EXPECT(PTE_MFN(pte), PTE_MFN(requests[i].val));
    }
    clear_entries();
    EXPECT(page_make_ro(even), 0);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(even), 0), 0); /* all mappings are counted */
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(even), 0), 0);
    page_make_rw(even);
    page_free(even);
    page_free(odd);
}

TEST(a_long_batch_that_fails_late)
{
    void *even = page_alloc(), *odd = page_alloc();
    unsigned int done = 0, bad = NR_REQUESTS - 100;

    fill_requests(even, odd);
    requests[bad].val = pte_of(kernel_l4, PTE_RW_PAGE);
    start_ticking();
    EXPECT(hyper_mmu_update(requests, NR_REQUESTS, &done), -EBUSY);
    stop_ticking("mmu_update that fails", system_time());
    EXPECT(done, bad);
    clear_entries();
    page_free(even);
    page_free(odd);
}

TEST(a_long_batch_within_a_batch)
{
    void *even = page_alloc(), *odd = page_alloc();
    unsigned int done = 0;
    uint64_t start;

    fill_requests(even, odd);
    for (unsigned int i = 0; i < 4; i++) {
        calls[i] = (struct multicall_entry){ .op = __HYPERVISOR_xen_version, .result = 0x5555 };
    }
    calls[1] = (struct multicall_entry){
        .op = __HYPERVISOR_mmu_update,
        .args = { (unsigned long)requests, NR_REQUESTS, (unsigned long)&done, DOMID_SELF },
        .result = 0x5555,
    };
    start_ticking();
    start = system_time();
    EXPECT(hyper_multicall(calls, 4), 0);
    stop_ticking("mmu_update in a multicall", start);
    EXPECT(done, NR_REQUESTS);
    EXPECT(calls[0].result, 4 << 16 | 17);
    EXPECT(calls[1].result, 0);
    EXPECT(calls[2].result, 4 << 16 | 17);
    EXPECT(calls[3].result, 4 << 16 | 17);
    clear_entries();
    page_free(even);
    page_free(odd);
}

static long reserve(unsigned int cmd)
{
    struct xen_memory_reservation reservation = { .nr_extents = NR_PAGES, .domid = DOMID_SELF };

    set_xen_guest_handle(reservation.extent_start, frames);
    return hyper_memory(cmd, &reservation);
}

TEST(much_memory_goes_and_comes)
{
    uint64_t start;

    for (unsigned int i = 0; i < NR_PAGES; i++) {
        frames[i] = p2m[FIRST_PFN + i];
    }
    start_ticking();
    start = system_time();
    EXPECT(reserve(XENMEM_decrease_reservation), NR_PAGES);
    stop_ticking("decrease_reservation", start);
    for (unsigned int i = 0; i < NR_PAGES; i++) {
        frames[i] = FIRST_PFN + i;
    }
    start_ticking();
    start = system_time();
    EXPECT(reserve(XENMEM_populate_physmap), NR_PAGES);
    stop_ticking("populate_physmap", start);
    for (unsigned int i = 0; i < NR_PAGES; i++) {
        p2m[FIRST_PFN + i] = frames[i];
        if (MACHINE_TO_PHYS[frames[i]] != FIRST_PFN + i) {
            FAIL("frame %lx is not at %lx", frames[i], FIRST_PFN + i);
            return;
        }
    }
}

/* A tree of many tables, all but its leaves by now read-only: pinned, linked, loaded, and let go.
 */
#define NR_L1 300u

static uint64_t *tree_l1[NR_L1], *tree_l2, *tree_l3, *tree_l4, *tree_data;

static void make_tree(void)
{
    tree_l4 = page_alloc(), tree_l3 = page_alloc(), tree_l2 = page_alloc();
    tree_data = page_alloc();
    tree_l4[0] = pte_of(tree_l3, PTE_TABLE);
    for (unsigned int i = 1; i < 512; i++) { /* the kernel's, that it can be loaded */
        tree_l4[i] = i < 256 || i > 271 ? kernel_l4[i] : 0;
    }
    tree_l3[0] = pte_of(tree_l2, PTE_TABLE);
    for (unsigned int i = 0; i < NR_L1; i++) {
        tree_l1[i] = page_alloc();
        tree_l2[i] = pte_of(tree_l1[i], PTE_TABLE);
        for (unsigned int j = 0; j < 512; j++) {
            tree_l1[i][j] = pte_of(tree_data, PTE_RW_PAGE);
        }
        page_make_ro(tree_l1[i]);
    }
    page_make_ro(tree_l4);
    page_make_ro(tree_l3);
    page_make_ro(tree_l2);
}

static void free_tree(void)
{
    EXPECT(page_make_rw(tree_l4), 0);
    EXPECT(page_make_rw(tree_l3), 0);
    EXPECT(page_make_rw(tree_l2), 0);
    for (unsigned int i = 0; i < NR_L1; i++) {
        EXPECT(page_make_rw(tree_l1[i]), 0);
        page_free(tree_l1[i]);
    }
    EXPECT(page_make_ro(tree_data), 0);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(tree_data), 0), 0); /* nowhere writable */
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(tree_data), 0), 0);
    page_make_rw(tree_data);
}

#define TIMED(what, call)                                                                          \
    do {                                                                                           \
        uint64_t start_;                                                                           \
                                                                                                   \
        start_ticking();                                                                           \
        start_ = system_time();                                                                    \
        EXPECT(call, 0);                                                                           \
        stop_ticking(what, start_);                                                                \
    } while (0)

TEST(a_large_tree_is_pinned)
{
    make_tree();
    for (unsigned int turn = 0; turn < 3; turn++) {
        TIMED("pin", mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(tree_l4), 0));
        EXPECT(page_make_rw(tree_l1[0]), -EBUSY);
        TIMED("unpin", mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(tree_l4), 0));
    }
}

static long load_cr3(const void *l4)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(xen_pfn_to_cr3(virt_to_mfn(l4))) : "memory");
    return 0;
}

/* What is loaded without a pin is checked when it is loaded, and let go when another is. */
TEST(a_large_tree_is_loaded)
{
    TIMED("new_baseptr", mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(tree_l4), 0));
    TIMED("new_baseptr, back", mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(kernel_l4), 0));
    TIMED("new_user_baseptr", mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(tree_l4), 0));
    TIMED("new_user_baseptr, back", mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0));
    TIMED("cr3", load_cr3(tree_l4));
    TIMED("cr3, back", load_cr3(kernel_l4));
}

TEST(a_large_tree_is_linked)
{
    uint64_t at = virt_to_machine(&kernel_l4[200]);

    TIMED("an entry of level 4", mmu_update(at, pte_of(tree_l3, PTE_TABLE)));
    TIMED("its end", mmu_update(at, 0));
    free_tree();
}

/* ---- what others make long ---- */

static struct child child;

static long domctl_child(unsigned int cmd, struct xen_domctl op)
{
    return domctl(&op, cmd, child.domid);
}

TEST(a_domain_of_many_pages_is_destroyed)
{
    struct xen_memory_reservation r = { .nr_extents = NR_PAGES };
    uint64_t start;

    EXPECT(child_create_empty(&child, 1), 0);
    EXPECT(domctl_child(XEN_DOMCTL_max_mem,
                        (struct xen_domctl){ .u.max_mem.max_memkb = NR_PAGES * 4 }),
           0);
    for (unsigned int i = 0; i < NR_PAGES; i++) {
        frames[i] = i;
    }
    r.domid = (domid_t)child.domid;
    set_xen_guest_handle(r.extent_start, frames);
    EXPECT(hyper_memory(XENMEM_populate_physmap, &r), NR_PAGES);
    start_ticking();
    start = system_time();
    EXPECT(child_destroy(&child), 0);
    stop_ticking("destroydomain", start);
}

TEST(a_domain_of_many_vcpus_is_made_and_destroyed)
{
    uint64_t start;

    start_ticking();
    start = system_time();
    EXPECT(child_create_empty(&child, 500), 0);
    stop_ticking("max_vcpus", start);
    start_ticking();
    start = system_time();
    EXPECT(child_destroy(&child), 0);
    stop_ticking("destroydomain with 500 vCPUs", start);
}

TEST(large_extents_come_and_go)
{
    struct xen_memory_reservation r = { .nr_extents = 30, .extent_order = 9 };
    uint64_t start;

    EXPECT(child_create_empty(&child, 1), 0);
    EXPECT(domctl_child(XEN_DOMCTL_max_mem, (struct xen_domctl){ .u.max_mem.max_memkb = 1u << 20 }),
           0);
    for (unsigned int turn = 0; turn < 2; turn++) {
        for (unsigned int i = 0; i < r.nr_extents; i++) {
            frames[i] = i << r.extent_order;
        }
        r.domid = (domid_t)child.domid;
        set_xen_guest_handle(r.extent_start, frames);
        start_ticking();
        start = system_time();
        EXPECT(hyper_memory(XENMEM_populate_physmap, &r), r.nr_extents);
        stop_ticking("populate_physmap in pieces", start);
        start_ticking();
        start = system_time();
        EXPECT(hyper_memory(XENMEM_decrease_reservation, &r), r.nr_extents);
        stop_ticking("decrease_reservation in pieces", start);
        r.nr_extents = 2;
        r.extent_order = 13;
    }
    EXPECT(child_destroy(&child), 0);
}

TEST(a_long_exchange)
{
    static xen_pfn_t out[4096];
    struct xen_memory_exchange x = {
        .in = { .nr_extents = ARRAY_SIZE(out), .domid = DOMID_SELF },
        .out = { .nr_extents = ARRAY_SIZE(out), .domid = DOMID_SELF },
    };
    uint64_t start;

    for (unsigned int i = 0; i < ARRAY_SIZE(out); i++) {
        frames[i] = p2m[FIRST_PFN + i];
        out[i] = FIRST_PFN + i;
    }
    set_xen_guest_handle(x.in.extent_start, frames);
    set_xen_guest_handle(x.out.extent_start, out);
    start_ticking();
    start = system_time();
    EXPECT(hyper_memory(XENMEM_exchange, &x), 0);
    stop_ticking("exchange", start);
    EXPECT(x.nr_exchanged, ARRAY_SIZE(out));
    for (unsigned int i = 0; i < ARRAY_SIZE(out); i++) {
        p2m[FIRST_PFN + i] = out[i];
    }
}

/* ---- grants ---- */

#define NR_GRANTS 4096u

static struct gnttab_map_grant_ref maps[NR_GRANTS];
static struct gnttab_unmap_grant_ref unmaps[NR_GRANTS];
static struct gnttab_copy copies[NR_GRANTS];

TEST(many_grants_at_once)
{
    uint8_t *page = page_alloc(), *other = page_alloc();
    grant_table_v1 table = (grant_table_v1)GRANT_TABLE_VA;
    uint64_t start;

    grant_table_map(1);
    grant_entry_set(&table[8], GTF_permit_access, 0, virt_to_mfn(page));
    for (unsigned int i = 0; i < NR_GRANTS; i++) {
        pt_map(kernel_l4, FREE_VA + i * PAGE_SIZE, 0);
        maps[i] = (struct gnttab_map_grant_ref){ .host_addr = FREE_VA + i * PAGE_SIZE,
                                                 .flags = GNTMAP_host_map,
                                                 .ref = 8 };
        copies[i] =
            (struct gnttab_copy){ .source = { .u.ref = 8 },
                                  .dest = { .u.gmfn = virt_to_mfn(other), .domid = DOMID_SELF },
                                  .len = PAGE_SIZE,
                                  .flags = GNTCOPY_source_gref };
    }
    start_ticking();
    start = system_time();
    EXPECT(hyper_grant(GNTTABOP_map_grant_ref, maps, NR_GRANTS), 0);
    stop_ticking("map_grant_ref", start);
    for (unsigned int i = 0; i < NR_GRANTS; i++) {
        unmaps[i].host_addr = maps[i].host_addr;
        unmaps[i].handle = maps[i].handle;
    }
    start_ticking();
    start = system_time();
    EXPECT(hyper_grant(GNTTABOP_copy, copies, NR_GRANTS), 0);
    stop_ticking("copy", start);
    start_ticking();
    start = system_time();
    EXPECT(hyper_grant(GNTTABOP_unmap_grant_ref, unmaps, NR_GRANTS), 0);
    stop_ticking("unmap_grant_ref", start);
    EXPECT(copies[NR_GRANTS - 1].status, GNTST_okay);
    EXPECT(table[8].flags, GTF_permit_access);
}

/* ---- much of what is short ---- */

static struct multicall_entry short_calls[20000];
static struct mmuext_op flushes[20000];

TEST(many_short_calls)
{
    uint64_t start;

    for (unsigned int i = 0; i < ARRAY_SIZE(short_calls); i++) {
        short_calls[i].op = __HYPERVISOR_xen_version;
        flushes[i].cmd = i % 16 ? MMUEXT_INVLPG_LOCAL : MMUEXT_TLB_FLUSH_ALL;
    }
    start_ticking();
    start = system_time();
    EXPECT(hyper_multicall(short_calls, ARRAY_SIZE(short_calls)), 0);
    stop_ticking("multicall", start);
    start_ticking();
    start = system_time();
    EXPECT(hyper_mmuext(flushes, ARRAY_SIZE(flushes), NULL), 0);
    stop_ticking("mmuext_op", start);
}

/* The last: all ports are closed, that of the clock as well. */
TEST(a_reset_of_many_ports)
{
    struct evtchn_reset reset = { .dom = DOMID_SELF };
    unsigned int nr = 0;
    uint64_t start, took;
    long port;

    while (nr < 4000 && (port = event_bind_ipi(0)) > 0) {
        event_send((unsigned int)port);
        nr++;
    }
    CHECK(nr > 3000);
    start = system_time();
    EXPECT(hyper_event(EVTCHNOP_reset, &reset), 0);
    took = system_time() - start;
    print("reset: %lu us\n", took / 1000);
}
