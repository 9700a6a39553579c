/* SPDX-License-Identifier: MIT */
/*
 * More than one vCPU: bringing them up and down, events between them, and
 * page-table changes of one that another must see at once.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

static unsigned int nr_cpus;

static void relax(void)
{
    hyper_sched(SCHEDOP_yield, NULL);
}

/* Wait until *@word is @value; false after five seconds. */
static bool wait_for(const volatile unsigned int *word, unsigned int value)
{
    uint64_t end = system_time() + 5000000000;

    while (*word != value) {
        if (system_time() > end) {
            return false;
        }
        relax();
    }
    return true;
}

/* Racing ends after so many turns or so much time, as a PC with fewer processors than vCPUs is
 * slow. */
#define RACE_TURNS 1000
#define RACE_NS    1500000000ul

static uint64_t race_end;

static bool is_racing(unsigned int turn)
{
    return turn < RACE_TURNS && system_time() < race_end;
}

static volatile unsigned int nr_ran;

static void just_run(void *arg)
{
    (void)arg;
    __atomic_fetch_add(&nr_ran, 1, __ATOMIC_SEQ_CST);
}

/* Run @fn on all other vCPUs and wait until they are down again. */
static void run_on_others(void (*fn)(void *), void *arg)
{
    for (unsigned int id = 1; id < nr_cpus; id++) {
        long rc = cpu_start(id, fn, arg);

        if (rc) {
            FAIL("vCPU %u does not start: %ld", id, rc);
        }
    }
}

static void wait_for_others(void)
{
    for (unsigned int id = 1; id < nr_cpus; id++) {
        cpu_wait_down(id);
    }
}

TEST(the_vcpus_are_counted)
{
    nr_cpus = cpu_count();
    CHECK(nr_cpus >= 2);
    EXPECT(hyper_vcpu(VCPUOP_is_up, 0, NULL), 1);
    EXPECT(hyper_vcpu(VCPUOP_is_up, 1, NULL), 0);
    EXPECT(hyper_vcpu(VCPUOP_is_up, nr_cpus, NULL), -ENOENT);
    EXPECT(hyper_vcpu(VCPUOP_is_up, 8191, NULL), -ENOENT);
    EXPECT(hyper_vcpu(VCPUOP_is_up, ~0u, NULL), -ENOENT);
}

TEST(an_uninitialised_vcpu_does_not_run)
{
    EXPECT(hyper_vcpu(VCPUOP_up, 1, NULL), -EINVAL);
    EXPECT(hyper_vcpu(VCPUOP_is_up, 1, NULL), 0);
}

TEST(a_bad_context_is_refused)
{
    static struct vcpu_guest_context context;

    EXPECT(hyper_vcpu(VCPUOP_initialise, 1, (void *)FREE_VA), -EFAULT);
    cpu_make_context(1, &context);
    EXPECT(hyper_vcpu(VCPUOP_initialise, nr_cpus, &context), -ENOENT);
    context.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(user_data));
    EXPECT(hyper_vcpu(VCPUOP_initialise, 1, &context), -EINVAL);
    cpu_make_context(1, &context);
    context.ctrlreg[3] = xen_pfn_to_cr3(1ul << 38);
    EXPECT(hyper_vcpu(VCPUOP_initialise, 1, &context), -EINVAL);
    cpu_make_context(1, &context);
    context.gdt_ents = 512;
    context.gdt_frames[0] = virt_to_mfn(kernel_l4);
    EXPECT(hyper_vcpu(VCPUOP_initialise, 1, &context), -EINVAL);
    EXPECT(hyper_vcpu(VCPUOP_is_up, 1, NULL), 0);
}

TEST(every_vcpu_runs_and_goes_down)
{
    run_on_others(just_run, NULL);
    CHECK(wait_for(&nr_ran, nr_cpus - 1));
    wait_for_others();
}

TEST(a_vcpu_comes_up_again_where_it_went_down)
{
    static struct vcpu_guest_context context;

    nr_ran = 0;
    for (unsigned int turn = 1; turn <= 5; turn++) {
        EXPECT(hyper_vcpu(VCPUOP_up, 1, NULL), 0);
        CHECK(wait_for(&nr_ran, turn));
        cpu_wait_down(1);
    }
    cpu_make_context(1, &context);
    EXPECT(hyper_vcpu(VCPUOP_initialise, 1, &context), -EEXIST);
}

/* ---- events ---- */

static long port_of[MAX_CPUS];
static volatile unsigned int nr_events[MAX_CPUS];
static volatile unsigned int nr_ready, is_over;

static void note_event(unsigned int port)
{
    unsigned int id = this_cpu()->id;

    if (port != (unsigned int)port_of[id]) {
        FAIL("port %u came to vCPU %u", port, id);
    }
    __atomic_fetch_add(&nr_events[id], 1, __ATOMIC_SEQ_CST);
}

static void sleep_for_events(void *arg)
{
    (void)arg;
    event_mask();
    __atomic_fetch_add(&nr_ready, 1, __ATOMIC_SEQ_CST);
    while (!is_over) {
        hyper_sched(SCHEDOP_block, NULL);
        event_mask();
    }
}

TEST(events_wake_the_vcpu_they_are_for)
{
    nr_ready = is_over = 0;
    for (unsigned int id = 1; id < nr_cpus; id++) {
        port_of[id] = event_bind_ipi(id);
        CHECK(port_of[id] > 0);
        event_set_handler((unsigned int)port_of[id], note_event);
        port_unmask((unsigned int)port_of[id]);
    }
    run_on_others(sleep_for_events, NULL);
    CHECK(wait_for(&nr_ready, nr_cpus - 1));
    race_end = system_time() + 2 * RACE_NS;
    for (unsigned int turn = 1; turn <= 100 && is_racing(turn); turn++) {
        for (unsigned int id = 1; id < nr_cpus; id++) {
            EXPECT(event_send((unsigned int)port_of[id]), 0);
        }
        for (unsigned int id = 1; id < nr_cpus; id++) {
            CHECK(wait_for(&nr_events[id], turn));
        }
    }
    is_over = 1;
    for (unsigned int id = 1; id < nr_cpus; id++) {
        event_send((unsigned int)port_of[id]);
    }
    wait_for_others();
    for (unsigned int id = 1; id < nr_cpus; id++) {
        EXPECT(event_close((unsigned int)port_of[id]), 0);
    }
}

/* An event whose port moves follows it. */
TEST(a_moved_port_is_delivered_at_its_new_place)
{
    struct evtchn_bind_vcpu bind = { .vcpu = 1 };
    long a = event_alloc_unbound(DOMID_SELF, DOMID_SELF);
    struct evtchn_bind_interdomain pair = { .remote_dom = DOMID_SELF, .remote_port = (unsigned)a };

    EXPECT(hyper_event(EVTCHNOP_bind_interdomain, &pair), 0);
    port_clear(pair.local_port);
    bind.port = pair.local_port;
    EXPECT(hyper_event(EVTCHNOP_bind_vcpu, &bind), 0);
    event_set_cpu(pair.local_port, 1);
    port_of[1] = pair.local_port;
    nr_events[1] = 0;
    event_set_handler(pair.local_port, note_event);
    port_unmask(pair.local_port);

    nr_ready = is_over = 0;
    EXPECT(cpu_start(1, sleep_for_events, NULL), 0);
    CHECK(wait_for(&nr_ready, 1));
    EXPECT(event_send((unsigned int)a), 0);
    CHECK(wait_for(&nr_events[1], 1));
    is_over = 1;
    event_send((unsigned int)a);
    cpu_wait_down(1);
    EXPECT(event_close(pair.local_port), 0);
    EXPECT(event_close((unsigned int)a), 0);
}

TEST(a_virtual_timer_on_each_vcpu)
{
    struct vcpu_set_singleshot_timer timer = { .timeout_abs_ns = 1 };

    EXPECT(hyper_vcpu(VCPUOP_set_singleshot_timer, 1, &timer), -EINVAL); /* not the caller's */
    for (unsigned int id = 0; id < nr_cpus; id++) {
        long port = event_bind_virq(VIRQ_TIMER, id);

        CHECK(port > 0);
        EXPECT(event_bind_virq(VIRQ_TIMER, id), -EEXIST);
        EXPECT(event_close((unsigned int)port), 0);
    }
}

/* ---- page tables ---- */

static volatile unsigned int phase, nr_seen;
static uint64_t *shared_word = (uint64_t *)FREE_VA;

/* Keeps a translation of FREE_VA in the TLB; reads again after each change. */
static void watch_word(void *arg)
{
    unsigned int turn = 0;

    (void)arg;
    __atomic_fetch_add(&nr_ready, 1, __ATOMIC_SEQ_CST);
    while (!is_over) {
        uint64_t before = READ_ONCE(*shared_word);

        if (phase != turn) {
            turn = phase;
            if (READ_ONCE(*shared_word) != turn) {
                FAIL("vCPU %u reads %lu (%lu before) in turn %u", this_cpu()->id,
                     READ_ONCE(*shared_word), before, turn);
            }
            __atomic_fetch_add(&nr_seen, 1, __ATOMIC_SEQ_CST);
        }
    }
}

static long remap(unsigned int kind, const void *page, const uint64_t *all_cpus)
{
    uint64_t pte = pte_of(page, PTE_RW_PAGE);
    struct mmuext_op op = { .cmd = MMUEXT_INVLPG_MULTI, .arg1.linear_addr = FREE_VA };
    long rc;

    switch (kind % 5) {
    case 0:
        return hyper_update_va(FREE_VA, pte, UVMF_INVLPG | UVMF_ALL);
    case 1:
        return hyper_update_va(FREE_VA, pte, UVMF_TLB_FLUSH | (uint64_t)all_cpus);
    case 2:
        rc = hyper_update_va(FREE_VA, pte, UVMF_NONE);
        return rc ? rc : mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0);
    case 3:
        rc = hyper_update_va(FREE_VA, pte, UVMF_NONE);
        return rc ? rc : mmuext(MMUEXT_INVLPG_ALL, FREE_VA, 0);
    default:
        rc = hyper_update_va(FREE_VA, pte, UVMF_NONE);
        set_xen_guest_handle(op.arg2.vcpumask, (const void *)all_cpus);
        return rc ? rc : hyper_mmuext(&op, 1, NULL);
    }
}

TEST(flushes_reach_every_vcpu)
{
    static uint64_t all_cpus = ~0ul;
    uint64_t *pages[2] = { page_alloc(), page_alloc() };

    pt_map(kernel_l4, FREE_VA, pte_of(pages[0], PTE_RW_PAGE));
    phase = nr_ready = is_over = 0;
    run_on_others(watch_word, NULL);
    CHECK(wait_for(&nr_ready, nr_cpus - 1));
    race_end = system_time() + 2 * RACE_NS;
    for (unsigned int turn = 1; turn <= 100 && is_racing(turn) && !test_failed(); turn++) {
        uint64_t *page = pages[turn & 1];

        page[0] = turn;
        nr_seen = 0;
        EXPECT(remap(turn, page, &all_cpus), 0);
        phase = turn;
        CHECK(wait_for(&nr_seen, nr_cpus - 1));
    }
    is_over = 1;
    wait_for_others();
    EXPECT(hyper_update_va(FREE_VA, 0, UVMF_INVLPG | UVMF_ALL), 0);
    page_free(pages[0]);
    page_free(pages[1]);
}

/* Writes through a translation that should be gone; the fault is what is wanted. */
static volatile unsigned int nr_faults, go;

static void write_stale(void *arg)
{
    struct trap_record record;
    uint64_t *table = arg;

    if (!probe_write(&table[1], 0, &record)) {
        FAIL("the first write faults");
    }
    __atomic_fetch_add(&nr_ready, 1, __ATOMIC_SEQ_CST);
    while (!go) {
        barrier();
    }
    if (probe_write(&table[1], pte_of(kernel_l4, PTE_TABLE), &record)) {
        FAIL("vCPU %u writes to a page table", this_cpu()->id);
    } else {
        __atomic_fetch_add(&nr_faults, 1, __ATOMIC_SEQ_CST);
    }
}

/* The guest asks for no flush at all: a new page table must be out of reach all the same. */
TEST(no_vcpu_writes_to_a_new_page_table)
{
    uint64_t *table = page_alloc();

    nr_ready = go = nr_faults = 0;
    run_on_others(write_stale, table);
    CHECK(wait_for(&nr_ready, nr_cpus - 1));
    EXPECT(hyper_update_va(table, pte_of(table, PTE_RO_PAGE), UVMF_NONE), 0);
    EXPECT(mmuext(MMUEXT_PIN_L2_TABLE, virt_to_mfn(table), 0), 0);
    go = 1;
    CHECK(wait_for(&nr_faults, nr_cpus - 1));
    wait_for_others();
    EXPECT(table[1], 0);
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0), 0);
    page_make_rw(table);
    page_free(table);
}

/* Many hands on one table: pins and unpins of which one at a time can succeed. */
static volatile unsigned int nr_pinned, nr_unpinned;

static void pin_and_unpin(void *arg)
{
    for (unsigned int i = 0; is_racing(i); i++) {
        if (mmuext(MMUEXT_PIN_L1_TABLE, (uint64_t)arg, 0) == 0) {
            __atomic_fetch_add(&nr_pinned, 1, __ATOMIC_SEQ_CST);
        }
        if (mmuext(MMUEXT_UNPIN_TABLE, (uint64_t)arg, 0) == 0) {
            __atomic_fetch_add(&nr_unpinned, 1, __ATOMIC_SEQ_CST);
        }
    }
}

TEST(pins_and_unpins_from_all_sides_balance)
{
    uint64_t *table = page_alloc();

    page_make_ro(table);
    nr_pinned = nr_unpinned = 0;
    race_end = system_time() + RACE_NS;
    run_on_others(pin_and_unpin, (void *)virt_to_mfn(table));
    pin_and_unpin((void *)virt_to_mfn(table));
    wait_for_others();
    CHECK(nr_pinned > 0);
    if (nr_pinned != nr_unpinned) {
        EXPECT(nr_pinned, nr_unpinned + 1);
        EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0), 0);
    }
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0), -EINVAL);
    EXPECT(page_make_rw(table), 0);
    page_free(table);
}

/* One side maps a page writable, the other makes it a table: never both. */
static uint64_t *contested;
static volatile unsigned int nr_both;

static void map_contested(void *arg)
{
    uint64_t va = FREE_VA + this_cpu()->id * PAGE_SIZE;

    (void)arg;
    for (unsigned int i = 0; is_racing(i); i++) {
        if (hyper_update_va(va, pte_of(contested, PTE_RW_PAGE), UVMF_INVLPG) == 0) {
            if (mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(contested), 0) == 0) {
                nr_both++;
            }
            hyper_update_va(va, 0, UVMF_INVLPG);
        }
    }
}

TEST(writable_and_table_at_once_never)
{
    contested = page_alloc();
    page_make_ro(contested);
    pt_map(kernel_l4, FREE_VA, 0);
    nr_both = 0;
    race_end = system_time() + RACE_NS;
    run_on_others(map_contested, NULL);
    for (unsigned int i = 0; is_racing(i); i++) {
        if (mmuext(MMUEXT_PIN_L2_TABLE, virt_to_mfn(contested), 0) == 0) {
            if (page_make_rw(contested) == 0) {
                nr_both++;
            }
            mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(contested), 0);
        }
    }
    wait_for_others();
    EXPECT(nr_both, 0);
    EXPECT(page_make_rw(contested), 0);
    page_free(contested);
}

/* All change entries of one L1 table, by all three ways. */
static void change_entries(void *arg)
{
    unsigned int id = this_cpu()->id;
    uint64_t va = FREE_VA + id * PAGE_SIZE, *entry = pt_entry(kernel_l4, va, 1);
    void *page = arg;

    for (unsigned int i = 0; is_racing(i); i++) {
        if (hyper_update_va(va, pte_of(page, PTE_RW_PAGE), UVMF_INVLPG) ||
            mmu_update(virt_to_machine(entry), pte_of(page, PTE_RO_PAGE))) {
            FAIL("vCPU %u cannot change its entry", id);
        }
        WRITE_ONCE(*entry, 0);
        if (READ_ONCE(*entry) != 0) {
            FAIL("vCPU %u: its entry is %lx", id, READ_ONCE(*entry));
        }
    }
}

TEST(entries_of_one_table_from_all_sides)
{
    void *page = page_alloc();

    pt_map(kernel_l4, FREE_VA, 0);
    race_end = system_time() + RACE_NS;
    run_on_others(change_entries, page);
    change_entries(page);
    wait_for_others();
    EXPECT(page_make_ro(page), 0);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0); /* no mapping is left */
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
    page_make_rw(page);
    page_free(page);
}
