/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls that take long, while a timer ticks: they are interrupted and go
 * on, their results and counters are those of one go, and the ticks come.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define NR_REQUESTS 20000
#define FIRST_PFN   0x8000ul
#define NR_PAGES    20000
#define TICK_NS     1000000

static struct mmu_update requests[NR_REQUESTS];
static xen_pfn_t frames[NR_PAGES];
static struct multicall_entry calls[4];
static volatile unsigned int nr_ticks;
static uint64_t *p2m;

static void tick(unsigned int port)
{
    (void)port;
    nr_ticks++;
    timer_set(system_time() + TICK_NS);
}

static void start_ticking(void)
{
    nr_ticks = 0;
    event_unmask();
    timer_set(system_time() + TICK_NS);
}

static void stop_ticking(const char *what, uint64_t since)
{
    uint64_t took = system_time() - since;

    timer_stop();
    event_mask();
    print("%s: %lu us, %u ticks\n", what, took / 1000, nr_ticks);
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

/* A tree of many tables: pinned and unpinned whole, with every reference. */
TEST(a_large_tree_is_pinned)
{
    enum {
        NR_L1 = 300
    };
    static uint64_t *l1[NR_L1];
    uint64_t *l4 = page_alloc(), *l3 = page_alloc(), *l2 = page_alloc(), start;
    void *data = page_alloc();

    l4[0] = pte_of(l3, PTE_TABLE);
    l3[0] = pte_of(l2, PTE_TABLE);
    for (unsigned int i = 0; i < NR_L1; i++) {
        l1[i] = page_alloc();
        l2[i] = pte_of(l1[i], PTE_TABLE);
        for (unsigned int j = 0; j < 512; j++) {
            l1[i][j] = pte_of(data, PTE_RW_PAGE);
        }
        page_make_ro(l1[i]);
    }
    page_make_ro(l4);
    page_make_ro(l3);
    page_make_ro(l2);
    for (unsigned int turn = 0; turn < 3; turn++) {
        start_ticking();
        start = system_time();
        EXPECT(mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(l4), 0), 0);
        stop_ticking("pin", start);
        EXPECT(page_make_rw(l1[0]), -EBUSY);
        start_ticking();
        start = system_time();
        EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l4), 0), 0);
        stop_ticking("unpin", start);
    }
    EXPECT(page_make_rw(l4), 0);
    EXPECT(page_make_rw(l3), 0);
    EXPECT(page_make_rw(l2), 0);
    for (unsigned int i = 0; i < NR_L1; i++) {
        EXPECT(page_make_rw(l1[i]), 0);
        page_free(l1[i]);
    }
    EXPECT(page_make_ro(data), 0);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(data), 0), 0); /* nowhere writable */
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(data), 0), 0);
    page_make_rw(data);
}
