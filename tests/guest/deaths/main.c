/* SPDX-License-Identifier: MIT */
/*
 * A domain is destroyed in the midst of whatever it does, by both of its vCPUs:
 * half-made page tables, memory that comes and goes, queues of events, pages of
 * ours that it maps.  It goes each time, we get our time meanwhile, and nothing
 * of it or of ours is left in use.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/grant.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#include <xen/sysctl.h>

#define LENT      8u /* our entry of the grant table from which on pages are lent */
#define NR_LENT   4u
#define NR_TABLES 24u
#define NR_VAS    64u
#define NR_TURNS  3u /* deaths of each kind: the first leaves what is kept for others */
#define MIDST_NS  3000000ul
#define WAIT_NS   10000000000ul

enum {
    TURNS,
    SUCCESSES,
    IS_STARTED
}; /* words of child_box: each turn of a vCPU, what went well */

static struct child child;
static const grant_table_v1 table = (grant_table_v1)GRANT_TABLE_VA;
static uint8_t *lent[NR_LENT];

static void turn_done(bool is_success)
{
    __atomic_fetch_add(&child_box[SUCCESSES], is_success, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&child_box[TURNS], 1, __ATOMIC_SEQ_CST);
}

static unsigned int my_id(void)
{
    return this_cpu()->id;
}

static void *pages_of_tables[NR_TABLES + 2];

static void one_page_each(void)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(pages_of_tables); i++) {
        pages_of_tables[i] = page_alloc();
    }
}

/* ---- what it does: made ready by the first vCPU, then done by both for ever ---- */

/* A tree of three levels, whole and in parts, by both at once. */
static void ready_tree(void)
{
    uint64_t *l3 = pages_of_tables[0], *l2 = pages_of_tables[1];
    void *data = page_alloc();

    l3[7] = pte_of(l2, PTE_TABLE);
    for (unsigned int i = 0; i < NR_TABLES; i++) {
        uint64_t *l1 = pages_of_tables[2 + i];

        l2[i * 21] = pte_of(l1, PTE_TABLE);
        for (unsigned int j = 0; j < 512; j++) {
            l1[j] = pte_of(data, j % 2 ? PTE_RW_PAGE : PTE_RO_PAGE);
        }
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(pages_of_tables); i++) {
        page_make_ro(pages_of_tables[i]);
    }
}

static void pin_trees(void)
{
    static unsigned int turn[2];
    unsigned int at = turn[my_id()]++ % 5;
    void *page = pages_of_tables[at < 2 ? at : 2 + turn[my_id()] % NR_TABLES];
    long rc = mmuext(at == 0   ? MMUEXT_PIN_L3_TABLE
                     : at == 1 ? MMUEXT_PIN_L2_TABLE
                               : MMUEXT_PIN_L1_TABLE,
                     virt_to_mfn(page), 0);

    if (turn[my_id()] % 3 != my_id()) {
        mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0);
    }
    turn_done(rc == 0);
}

/* Whole batches of updates, of entries that the other changes too. */
static struct mmu_update requests[2][2048];

static void ready_updates(void)
{
    void *page = page_alloc();

    pt_map(kernel_l4, FREE_VA, 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(requests[0]); i++) {
        requests[0][i].ptr = virt_to_machine(pt_entry(kernel_l4, FREE_VA, 1)) + i % 512 * 8;
        requests[1][i].ptr = requests[0][i].ptr;
        requests[0][i].val = pte_of(page, i & 512 ? PTE_RW_PAGE : 0);
        requests[1][i].val = pte_of(page, PTE_RO_PAGE);
    }
}

static void update_much(void)
{
    turn_done(hyper_mmu_update(requests[my_id()], ARRAY_SIZE(requests[0]), NULL) == 0);
}

/* Memory: given back, asked for, exchanged, beyond all limits. */
static xen_pfn_t balloon[2][256];

static void ready_balloon(void)
{
    for (unsigned int i = 0; i < 2 * ARRAY_SIZE(balloon[0]); i++) {
        void *page = page_alloc();

        balloon[i / 256][i % 256] = virt_to_mfn(page);
        hyper_update_va(page, 0, UVMF_INVLPG);
    }
}

static long reserve(unsigned int cmd, xen_pfn_t *frames, unsigned long nr)
{
    struct xen_memory_reservation r = { .nr_extents = nr, .domid = DOMID_SELF };

    set_xen_guest_handle(r.extent_start, frames);
    return hyper_memory(cmd, &r);
}

static void inflate_and_deflate(void)
{
    xen_pfn_t *frames = balloon[my_id()], more[16] = { 0 };
    struct xen_memory_exchange x = {
        .in = { .nr_extents = 16, .domid = DOMID_SELF },
        .out = { .nr_extents = 16, .domid = DOMID_SELF },
    };
    long nr = reserve(XENMEM_decrease_reservation, frames, 256);

    if (nr == 256) {
        nr = reserve(XENMEM_populate_physmap, frames, 256);
    }
    reserve(XENMEM_increase_reservation, more, 16); /* the other's, if it comes in between */
    reserve(XENMEM_decrease_reservation, more, 16);
    set_xen_guest_handle(x.in.extent_start, frames);
    set_xen_guest_handle(x.out.extent_start, frames);
    hyper_memory(XENMEM_exchange, &x);
    turn_done(nr == 256);
}

/* Pages of ours and its own, mapped until there are no more handles, or given back at random. */
static void ready_borrowing(void)
{
    grant_table_map(1);
    pt_map(kernel_l4, FREE_VA, 0);
    for (unsigned int i = 0; i < NR_LENT; i++) {
        grant_entry_set(&table[LENT + i], GTF_permit_access, 0, virt_to_mfn(page_alloc()));
    }
}

static void borrow(void)
{
    static grant_handle_t handles[2][NR_VAS];
    static unsigned int turn[2];
    unsigned int at = turn[my_id()]++ % NR_VAS, half = turn[my_id()] / NR_VAS;
    uint64_t va = FREE_VA + (my_id() * NR_VAS + at) * PAGE_SIZE;
    long rc;

    if (half % 3 == 1 && at % 2) {
        rc = grant_unmap(handles[my_id()][at], va);
    } else {
        rc = grant_map(0, LENT + at % NR_LENT,
                       at % 3 ? GNTMAP_host_map : GNTMAP_host_map | GNTMAP_readonly, va,
                       &handles[my_id()][at]);
    }
    turn_done(rc == GNTST_okay);
}

/* The table grows, changes its version, and what is in it is copied. */
static void change_tables(void)
{
    static xen_pfn_t frames[64];
    static uint64_t status[8];
    static unsigned int turn;
    struct gnttab_setup_table setup = { .dom = DOMID_SELF,
                                        .nr_frames = 1 + turn++ % 70,
                                        .frame_list = { frames } };
    struct gnttab_get_status_frames get = { .dom = DOMID_SELF,
                                            .nr_frames = 1 + turn % 9,
                                            .frame_list = { status } };
    struct gnttab_copy copy = { .source = { .u.ref = LENT, .domid = 0 },
                                .dest = { .u.gmfn = virt_to_mfn(pages_of_tables[0]),
                                          .domid = DOMID_SELF },
                                .len = 4096,
                                .flags = GNTCOPY_source_gref };

    hyper_grant(GNTTABOP_setup_table, &setup, 1);
    grant_set_version(1 + turn / 3 % 2);
    hyper_grant(GNTTABOP_get_status_frames, &get, 1);
    turn_done(grant_copy(&copy) == GNTST_okay);
}

/* Ports until there are no more, queues, resets. */
static void open_ports(void)
{
    struct evtchn_init_control init = { .control_gfn = virt_to_mfn(pages_of_tables[my_id()]),
                                        .vcpu = my_id() };
    struct evtchn_expand_array expand = { .array_gfn = virt_to_mfn(pages_of_tables[2]) };
    struct evtchn_reset reset = { .dom = DOMID_SELF };
    bool is_open = false;
    long port;

    hyper_event(EVTCHNOP_init_control, &init);
    hyper_event(EVTCHNOP_expand_array, &expand);
    while ((port = event_bind_ipi(1 - my_id())) > 0) {
        is_open = true;
        event_send((unsigned int)port);
        event_alloc_unbound(DOMID_SELF, 0);
    }
    hyper_event(EVTCHNOP_reset, &reset);
    turn_done(is_open);
}

/* Timers that are due, all the time; areas that the hypervisor writes, anywhere. */
static void ring_alarms(void)
{
    static uint8_t area[PAGE_SIZE] page_aligned;
    static unsigned int turn;
    struct vcpu_register_runstate_memory_area runstate = {
        .addr.p = (turn % 2 ? 0 : FREE_VA) + (uint64_t)area + turn % PAGE_SIZE
    };
    struct vcpu_register_time_memory_area time = { .addr.p = (uint64_t)area + turn % PAGE_SIZE };
    struct vcpu_set_periodic_timer period = { .period_ns = 1000000 + turn % 100 };
    struct vcpu_set_singleshot_timer single = { .timeout_abs_ns = 1 + turn++ };

    hyper_vcpu(VCPUOP_register_runstate_memory_area, my_id(), &runstate);
    hyper_vcpu(VCPUOP_register_vcpu_time_memory_area, my_id(), &time);
    hyper_vcpu(VCPUOP_set_periodic_timer, my_id(), &period);
    turn_done(hyper_vcpu(VCPUOP_set_singleshot_timer, my_id(), &single) == 0);
    timer_set(1);
    hyper_sched(SCHEDOP_yield, NULL);
}

/* One vCPU goes down, the other raises it and gives it states, good and bad. */
static void rise_and_fall(void)
{
    static struct vcpu_guest_context context;
    struct vcpu_register_vcpu_info info = { .mfn = virt_to_mfn(pages_of_tables[3]), .offset = 64 };

    if (my_id() == 1) {
        turn_done(true);
        hyper_vcpu(VCPUOP_down, 1, NULL);
        return;
    }
    hyper_vcpu(VCPUOP_initialise, 1, &context);
    hyper_vcpu(VCPUOP_register_vcpu_info, 1, &info);
    turn_done(hyper_vcpu(VCPUOP_up, 1, NULL) == 0);
    hyper_sched(SCHEDOP_yield, NULL);
}

/* Faults, instructions that are carried out, tables of segments. */
static void do_wrong(void *arg)
{
    __asm__ volatile("wrmsr" ::"a"(0), "d"(0), "c"(arg));
}

static void fault(void)
{
    struct trap_record record;
    uint64_t value, gdt = virt_to_mfn(pages_of_tables[4]);

    probe_read((void *)0xffff830000000000, &value, &record);
    probe_read((void *)(FREE_VA + 0x40000000), &value, &record);
    page_make_ro(pages_of_tables[4]);
    hyper_set_gdt(&gdt, 512);
    mmuext(MMUEXT_SET_LDT, (uint64_t)pages_of_tables[4], 512);
    turn_done(trap_try(do_wrong, (void *)0x1234, &record));
}

/* Long lists of calls; what they say on the console is nobody's. */
static struct multicall_entry calls[2][512];

static void ready_batches(void)
{
    for (unsigned int i = 0; i < 2 * 512; i++) {
        calls[i / 512][i % 512] = (struct multicall_entry){
            .op = i % 5 == 4 ? __HYPERVISOR_console_io : __HYPERVISOR_xen_version,
            .args = { 0, i % 5 == 4 ? 64 : 0, (unsigned long)calls },
        };
    }
}

static void call_much(void)
{
    turn_done(hyper_multicall(calls[my_id()], 512) == 0);
}

static const struct deed {
    const char *name;
    void (*make_ready)(void); /* or NULL */
    void (*fn)(void);
} deeds[] = {
    { "pins trees", ready_tree, pin_trees },
    { "updates entries", ready_updates, update_much },
    { "balloons", ready_balloon, inflate_and_deflate },
    { "borrows", ready_borrowing, borrow },
    { "changes its grant tables", NULL, change_tables },
    { "opens ports", NULL, open_ports },
    { "rings alarms", NULL, ring_alarms },
    { "raises and fells a vCPU", NULL, rise_and_fall },
    { "faults", NULL, fault },
    { "calls in batches", ready_batches, call_much },
};

static const struct deed *deed;

static void do_for_ever(void *arg)
{
    (void)arg;
    event_mask();
    for (;;) {
        deed->fn();
    }
}

static void live(uint64_t nr)
{
    deed = &deeds[nr];
    user_init();
    one_page_each();
    if (deed->make_ready) {
        deed->make_ready();
    }
    child_box[IS_STARTED] = (uint64_t)cpu_start(1, do_for_ever, NULL) + 1;
    do_for_ever(NULL);
}

/* ---- what becomes of it ---- */

static void lend_to(unsigned int domid)
{
    for (unsigned int i = 0; i < NR_LENT; i++) {
        grant_entry_set(&table[LENT + i], GTF_permit_access, domid, virt_to_mfn(lent[i]));
    }
}

/* What was lent is ours alone: it can be a page table. */
static void expect_given_back(void)
{
    for (unsigned int i = 0; i < NR_LENT; i++) {
        EXPECT(table[LENT + i].flags, GTF_permit_access);
        page_make_ro(lent[i]);
        EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(lent[i]), 0), 0);
        EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(lent[i]), 0), 0);
        page_make_rw(lent[i]);
    }
}

static void wait_for_turns(uint64_t nr)
{
    uint64_t end = system_time() + WAIT_NS;

    while ((child.box[TURNS] < nr || !child.box[IS_STARTED]) && system_time() < end) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
}

static void live_and_die(unsigned int nr, unsigned int turn)
{
    uint64_t end;

    CHECK(child_create(&child, 2, live, nr) == 0);
    lend_to(child.domid);
    child_unpause(&child);
    wait_for_turns(8);
    end = system_time() + MIDST_NS * (turn + 1) + turn * 12345;
    while (system_time() < end) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    if (turn + 1 == NR_TURNS) {
        print("  %s: %lu turns, %lu go well\n", deeds[nr].name, child.box[TURNS],
              child.box[SUCCESSES]);
    }
    if (child.box[TURNS] < 8 || child.box[IS_STARTED] != 1 || !child.box[SUCCESSES]) {
        FAIL("a domain that %s: %lu turns, %lu of them well, start %ld", deeds[nr].name,
             child.box[TURNS], child.box[SUCCESSES], (long)child.box[IS_STARTED] - 1);
    }
    EXPECT(child_destroy(&child), 0);
}

TEST(whatever_it_does_it_goes_and_leaves_nothing)
{
    uint64_t slack = guest_option("oracle") ? 1000 : 0;

    grant_table_map(1);
    for (unsigned int i = 0; i < NR_LENT; i++) {
        lent[i] = page_alloc();
    }
    for (unsigned int nr = 0; nr < ARRAY_SIZE(deeds); nr++) {
        uint64_t before = 0, after;

        for (unsigned int turn = 0; turn < NR_TURNS && !test_failed(); turn++) {
            live_and_die(nr, turn);
            if (turn == 0) {
                before = machine_free_pages();
            }
        }
        after = machine_free_pages();
        if (after + slack < before) {
            FAIL("a domain that %s leaves %lu pages", deeds[nr].name, before - after);
        }
        for (unsigned int i = 0; i < NR_LENT; i++) {
            __builtin_memset(lent[i], 0, PAGE_SIZE);
        }
        expect_given_back();
    }
}

/* ---- others at work on it ---- */

static struct child patient;
static volatile unsigned int nr_operations;

/* Whatever a toolstack may do for a domain, until there is none. */
static void operate(void *arg)
{
    static xen_pfn_t frames[64], list[2];
    struct xen_memory_reservation r = { .domid = (domid_t)patient.domid };
    struct gnttab_setup_table setup = { .dom = (domid_t)patient.domid,
                                        .nr_frames = 2,
                                        .frame_list = { list } };
    struct xen_domctl_getdomaininfo info;
    struct mmuext_op pin = { .cmd = MMUEXT_PIN_L1_TABLE };

    (void)arg;
    set_xen_guest_handle(r.extent_start, frames);
    while (domctl_info(patient.domid, &info) == 0) {
        long nr;

        for (unsigned int i = 0; i < ARRAY_SIZE(frames); i++) {
            frames[i] = CHILD_FIRST_PFN + i;
        }
        r.nr_extents = ARRAY_SIZE(frames);
        nr = hyper_memory(XENMEM_populate_physmap, &r);
        nr_operations += nr > 0;
        if (nr > 0) {
            pin.arg1.mfn = frames[0];
            hypercall4(__HYPERVISOR_mmuext_op, &pin, 1, NULL, patient.domid);
            r.nr_extents = (unsigned long)nr / 2;
            hyper_memory(XENMEM_decrease_reservation, &r);
        }
        hyper_grant(GNTTABOP_setup_table, &setup, 1);
        event_alloc_unbound(patient.domid, 0);
    }
}

TEST(it_goes_while_others_work_on_it)
{
    struct xen_domctl op = { .u.max_mem.max_memkb = 1u << 18 };
    uint64_t before = 0, after;

    if (cpu_count() < 2) {
        return;
    }
    for (unsigned int turn = 0; turn < 40 && !test_failed(); turn++) {
        uint64_t end;

        CHECK(child_create_empty(&patient, 1) == 0);
        EXPECT(domctl(&op, XEN_DOMCTL_max_mem, patient.domid), 0);
        nr_operations = 0;
        EXPECT(cpu_start(1, operate, NULL), 0);
        end = system_time() + WAIT_NS;
        while (nr_operations < 3 + turn % 5 && system_time() < end) {
            barrier();
        }
        EXPECT(child_destroy(&patient), 0);
        cpu_wait_down(1);
        if (turn == 0) {
            before = machine_free_pages();
        }
    }
    after = machine_free_pages();
    if (after + (guest_option("oracle") ? 1000 : 0) < before) {
        FAIL("%lu pages are gone", before - after);
    }
}

/* ---- one vCPU begun by two ---- */

#define NR_BEGUN 6u

static void *top_table;
static volatile unsigned int nr_arrived;

static void begin_vcpus(void *arg)
{
    static struct vcpu_guest_context contexts[2];
    struct vcpu_guest_context *context = &contexts[my_id()];

    (void)arg;
    event_mask();
    for (unsigned int id = 2; id < 2 + NR_BEGUN; id++) {
        cpu_make_context(id, context);
        context->ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(top_table));
        __atomic_fetch_add(&nr_arrived, 1, __ATOMIC_SEQ_CST);
        for (unsigned int i = 0; nr_arrived < 2 * (id - 1); i++) {
            if (i % 4096 == 4095) {
                hyper_sched(SCHEDOP_yield, NULL);
            }
        }
        if (hyper_vcpu(VCPUOP_initialise, id, context) == 0) {
            __atomic_fetch_add(&child_box[id], 1, __ATOMIC_SEQ_CST);
        }
    }
    __atomic_fetch_add(&child_box[1], 1, __ATOMIC_SEQ_CST);
}

/* The table is not in use before: it is checked by the first of the two, in many steps. */
static void begin_by_two(uint64_t arg)
{
    uint64_t *l4;

    (void)arg;
    user_init();
    one_page_each();
    ready_tree();
    l4 = page_alloc();
    top_table = l4;
    for (unsigned int i = 1; i < 512; i++) {
        l4[i] = i < 256 || i > 271 ? kernel_l4[i] : 0;
    }
    l4[0] = pte_of(pages_of_tables[0], PTE_TABLE);
    page_make_ro(l4);
    cpu_start(1, begin_vcpus, NULL);
    begin_vcpus(NULL);
    while (child_box[1] < 2) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
}

TEST(a_vcpu_is_begun_once)
{
    for (unsigned int turn = 0; turn < 5; turn++) {
        CHECK(child_create(&child, 2 + NR_BEGUN, begin_by_two, turn) == 0);
        child_unpause(&child);
        EXPECT(child_wait(&child), SHUTDOWN_poweroff);
        for (unsigned int id = 2; id < 2 + NR_BEGUN; id++) {
            EXPECT(child.box[id], 1);
        }
        EXPECT(child_destroy(&child), 0);
    }
}
