/* SPDX-License-Identifier: MIT */
/*
 * Grants between domains: what one may do with another's pages, lenders and
 * borrowers that die, lie, and race; in the end every page is free again.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/grant.h"
#include "lib/mm.h"

#include <xen/sysctl.h>

#define REF      8u
#define VA       FREE_VA
#define TABLE_VA (FOREIGN_VA + 0x100000)
#define SEEN_VA  (FOREIGN_VA + 0x200000)
#define HOST_RO  (GNTMAP_host_map | GNTMAP_readonly)
#define USED     (GTF_reading | GTF_writing)

#define RACE_TURNS 2000
#define RACE_NS    1500000000ul

static struct child child;
static const grant_table_v1 own_table = (grant_table_v1)GRANT_TABLE_VA;
static const grant_table_v1 childs_table = (grant_table_v1)TABLE_VA;
static volatile uint8_t childs_page[2 * PAGE_SIZE] page_aligned;
static uint8_t *page, *other;
static uint64_t free_at_start;
static uint64_t race_end;

static void expect_free(void)
{
    uint64_t slack = guest_option("oracle") ? 1000 : 0, end = system_time() + 5000000000ul, now;

    while ((now = machine_free_pages()) + slack < free_at_start && system_time() < end) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    if (now + slack < free_at_start) {
        FAIL("%lu pages are not free again", free_at_start - now);
    }
}

static void idle_child(uint64_t arg)
{
    (void)arg;
}

/* A child that is not run, its table mapped; its page 0 of childs_page is lent by REF. */
static bool make_lender(child_fn *fn)
{
    EXPECT(child_create(&child, 1, fn, 0), 0);
    EXPECT(grant_table_map_of(child.domid, TABLE_VA), 0);
    grant_entry_set(&childs_table[REF], GTF_permit_access, 0, child_mfn(&child, childs_page));
    return !test_failed();
}

static void forget_table(void)
{
    EXPECT(foreign_map(TABLE_VA, 0, 0, DOMID_SELF), 0);
    mmuext(MMUEXT_INVLPG_LOCAL, TABLE_VA, 0);
}

/* The page is the guest's alone: it can be a page table. */
static void expect_untouched(uint8_t *at)
{
    for (unsigned int i = 0; i < PAGE_SIZE; i++) {
        at[i] = 0;
    }
    page_make_ro(at);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(at), 0), 0);
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(at), 0), 0);
    page_make_rw(at);
}

TEST(prepare)
{
    grant_handle_t handle;

    page = page_alloc();
    other = page_alloc();
    pt_map(kernel_l4, VA, 0);
    grant_table_map(1);
    /* Tables of the windows, and what the hypervisor keeps from a first child on. */
    CHECK(make_lender(idle_child));
    EXPECT(foreign_map(SEEN_VA, 0, 0, DOMID_SELF), 0);
    EXPECT(grant_map(child.domid, REF, HOST_RO, VA, &handle), GNTST_okay);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    forget_table();
    EXPECT(child_destroy(&child), 0);
    free_at_start = machine_free_pages();
}

TEST(a_page_of_another_domain_is_mapped_and_copied)
{
    volatile uint8_t *mapped = (volatile uint8_t *)VA, *seen = (volatile uint8_t *)SEEN_VA;
    struct gnttab_copy op = { .source = { .u.ref = REF, .offset = 100 },
                              .dest = { .u.gmfn = virt_to_mfn(other), .domid = DOMID_SELF },
                              .len = 8,
                              .flags = GNTCOPY_source_gref };
    grant_handle_t handle;

    CHECK(make_lender(idle_child));
    EXPECT(foreign_map(SEEN_VA, child_mfn(&child, childs_page), PTE_RW_PAGE, child.domid), 0);
    EXPECT(grant_map(child.domid, REF, GNTMAP_host_map, VA, &handle), GNTST_okay);
    EXPECT(childs_table[REF].flags, GTF_permit_access | USED);
    mapped[100] = 45;
    EXPECT(seen[100], 45);
    seen[101] = 46;
    EXPECT(mapped[101], 46);
    op.source.domid = (domid_t)child.domid;
    EXPECT(grant_copy(&op), GNTST_okay);
    EXPECT(other[0], 45);
    EXPECT(other[1], 46);
    EXPECT(childs_table[REF].flags, GTF_permit_access | USED);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(childs_table[REF].flags, GTF_permit_access);
    op.len = 4096;
    op.source.offset = 0;
    EXPECT(grant_copy(&op), GNTST_okay);
    EXPECT(other[100], 45);
    EXPECT(childs_table[REF].flags, GTF_permit_access);
    EXPECT(foreign_map(SEEN_VA, 0, 0, DOMID_SELF), 0);
    forget_table();
    EXPECT(child_destroy(&child), 0);
    expect_free();
}

TEST(a_page_is_lent_to_one_domain)
{
    grant_handle_t handle;

    CHECK(make_lender(idle_child));
    grant_entry_set(&childs_table[REF], GTF_permit_access, child.domid + 1,
                    child_mfn(&child, childs_page));
    EXPECT(grant_map(child.domid, REF, GNTMAP_host_map, VA, &handle), GNTST_general_error);
    /* Nor can a lender lend what is not its own. */
    grant_entry_set(&childs_table[REF], GTF_permit_access, 0, virt_to_mfn(page));
    EXPECT(grant_map(child.domid, REF, GNTMAP_host_map, VA, &handle), GNTST_bad_page);
    EXPECT(childs_table[REF].flags & USED, 0);
    forget_table();
    EXPECT(child_destroy(&child), 0);
    expect_free();
}

/* ---- deaths ---- */

TEST(a_lender_that_dies_stays_until_it_gets_its_page_back)
{
    volatile uint8_t *mapped = (volatile uint8_t *)VA;
    struct xen_domctl op = { 0 };
    grant_handle_t handle, another;

    CHECK(make_lender(idle_child));
    EXPECT(grant_map(child.domid, REF, GNTMAP_host_map, VA, &handle), GNTST_okay);
    mapped[7] = 99;
    forget_table();
    EXPECT(domctl(&op, XEN_DOMCTL_destroydomain, child.domid), 0);
    EXPECT(mapped[7], 99);
    mapped[8] = 100;
    EXPECT(grant_map(child.domid, REF, HOST_RO, VA + PAGE_SIZE, &another) < 0 ||
               grant_unmap(another, VA + PAGE_SIZE) == GNTST_okay,
           1);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(child_destroy(&child), 0); /* waits until it has gone */
    expect_free();
}

static void borrow_and_die(uint64_t ref)
{
    grant_handle_t handle;

    pt_map(kernel_l4, VA, 0);
    for (unsigned int i = 0; i < 200; i++) {
        child_box[0] += grant_map(0, (grant_ref_t)ref, GNTMAP_host_map, VA + i % 3 * PAGE_SIZE,
                                  &handle) == GNTST_okay;
    }
    /* What it may not: an entry that is for another domain, the table of another one. */
    child_box[1] =
        (uint64_t)grant_map(0, (grant_ref_t)ref + 1, HOST_RO, VA + 4 * PAGE_SIZE, &handle);
    child_box[2] = (uint64_t)grant_table_map_of(0, SEEN_VA);
    child_box[3] = READ_ONCE(*(volatile uint64_t *)VA);
    WRITE_ONCE(*(volatile uint64_t *)VA, 0x1234);
}

TEST(a_borrower_that_dies_gives_back)
{
    *(volatile uint64_t *)page = 0x5678;
    EXPECT(child_create(&child, 1, borrow_and_die, REF), 0);
    grant_entry_set(&own_table[REF], GTF_permit_access, child.domid, virt_to_mfn(page));
    grant_entry_set(&own_table[REF + 1], GTF_permit_access, child.domid + 1, virt_to_mfn(page));
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child.box[0] >= 100, 1); /* there is a limit for one entry */
    EXPECT((long)child.box[1], GNTST_general_error);
    EXPECT((long)child.box[2], GNTST_permission_denied);
    EXPECT(child.box[3], 0x5678);
    EXPECT(*(volatile uint64_t *)page, 0x1234);
    EXPECT(own_table[REF].flags, GTF_permit_access | USED);
    EXPECT(child_destroy(&child), 0);
    EXPECT(own_table[REF].flags, GTF_permit_access);
    expect_untouched(page);
    expect_free();
}

/* ---- races ---- */

static void begin_race(void)
{
    race_end = system_time() + RACE_NS;
}

static bool is_racing(unsigned int turn)
{
    return turn < RACE_TURNS && system_time() < race_end;
}

/* The lender changes its entry all the time; its own page table is among what it offers. */
static void lie(uint64_t arg)
{
    volatile struct grant_entry_v1 *e = (grant_table_v1)GRANT_TABLE_VA + REF;
    const uint32_t frames[] = { (uint32_t)virt_to_mfn((void *)childs_page),
                                (uint32_t)virt_to_mfn((void *)(childs_page + PAGE_SIZE)),
                                (uint32_t)virt_to_mfn(kernel_l4), 0xfffffff };
    static const uint16_t flags[] = { GTF_permit_access, 0, GTF_permit_access | GTF_readonly,
                                      GTF_permit_access | USED, 0xffff };
    unsigned int i;

    (void)arg;
    grant_table_map(1);
    child_box[1] = 1;
    for (i = 0; child_box[2] == 0; i++) {
        e->flags = flags[i % ARRAY_SIZE(flags)];
        e->frame = frames[i / 3 % ARRAY_SIZE(frames)];
        e->domid = i % 7 == 0 ? 5 : 0;
        e->flags = flags[i / 2 % ARRAY_SIZE(flags)];
    }
    e->flags = 0;
    child_box[0] = i;
}

TEST(a_lender_that_lies_harms_itself_at_most)
{
    struct gnttab_copy op = { .source = { .u.gmfn = virt_to_mfn(other), .domid = DOMID_SELF },
                              .dest = { .u.ref = REF },
                              .len = 64,
                              .flags = GNTCOPY_dest_gref };
    unsigned int nr_mapped = 0, nr_copied = 0, turn;

    EXPECT(child_create(&child, 1, lie, 0), 0);
    op.dest.domid = (domid_t)child.domid;
    child_unpause(&child);
    begin_race();
    while (child.box[1] == 0 && is_racing(0)) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    begin_race();
    for (turn = 0; is_racing(turn); turn++) {
        grant_handle_t handle;

        nr_copied += grant_copy(&op) == GNTST_okay;
        if (grant_map(child.domid, REF, turn % 2 ? HOST_RO : GNTMAP_host_map, VA, &handle) ==
            GNTST_okay) {
            nr_mapped++;
            (void)READ_ONCE(*(volatile uint64_t *)VA);
            EXPECT(grant_unmap(handle, VA), GNTST_okay);
        }
        if (turn % 8 == 0) {
            hyper_sched(SCHEDOP_yield, NULL);
        }
    }
    child.box[2] = 1;
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    print("  %u turns, %u mapped, %u copied, %lu lies\n", turn, nr_mapped, nr_copied, child.box[0]);
    EXPECT(child_destroy(&child), 0);
    expect_free();
}

static volatile unsigned int round_nr, arrived, nr_won;
static volatile bool is_over;
static grant_handle_t raced;

static void unmap_too(void *arg)
{
    (void)arg;
    for (unsigned int seen = 0; !is_over;) {
        if (round_nr == seen) {
            hyper_sched(SCHEDOP_yield, NULL);
            continue;
        }
        seen = round_nr;
        if (grant_unmap(raced, VA) == GNTST_okay) {
            __atomic_fetch_add(&nr_won, 1, __ATOMIC_SEQ_CST);
        }
        __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    }
}

/* Run @fn on the other vCPUs but the last-but-one and later ones. */
static unsigned int start_others(void (*fn)(void *))
{
    unsigned int nr = cpu_count() > 3 ? 3 : cpu_count();

    is_over = false;
    for (unsigned int id = 1; id < nr; id++) {
        EXPECT(cpu_start(id, fn, NULL), 0);
    }
    return nr - 1;
}

static void stop_others(unsigned int nr)
{
    is_over = true;
    for (unsigned int id = 1; id <= nr; id++) {
        cpu_wait_down(id);
    }
}

TEST(a_handle_is_given_back_once)
{
    unsigned int nr, turn;

    round_nr = 0;
    nr = start_others(unmap_too);
    grant_entry_set(&own_table[REF], GTF_permit_access, 0, virt_to_mfn(page));
    begin_race();
    for (turn = 0; turn < 300 && is_racing(turn); turn++) {
        CHECK(grant_map(0, REF, GNTMAP_host_map, VA, &raced) == GNTST_okay);
        arrived = nr_won = 0;
        round_nr++;
        if (grant_unmap(raced, VA) == GNTST_okay) {
            __atomic_fetch_add(&nr_won, 1, __ATOMIC_SEQ_CST);
        }
        while (arrived < nr) {
            hyper_sched(SCHEDOP_yield, NULL);
        }
        CHECK(nr_won == 1);
    }
    stop_others(nr);
    EXPECT(own_table[REF].flags, GTF_permit_access);
    expect_untouched(page);
}

static void rewrite_entry(void *arg)
{
    (void)arg;
    for (unsigned int i = 0; !is_over; i++) {
        hyper_update_va(VA, i % 3 == 0 ? 0 : pte_of(other, i % 3 == 1 ? PTE_RW_PAGE : PTE_RO_PAGE),
                        UVMF_INVLPG);
        if (i % 16 == 0) {
            hyper_sched(SCHEDOP_yield, NULL);
        }
    }
}

/* Another vCPU writes to the entry meanwhile: then the page is mapped again by hand, and given
 * back. */
TEST(an_entry_may_be_rewritten_at_any_time)
{
    unsigned int nr = start_others(rewrite_entry), nr_lost = 0, turn;

    grant_entry_set(&own_table[REF], GTF_permit_access, 0, virt_to_mfn(page));
    begin_race();
    for (turn = 0; is_racing(turn); turn++) {
        grant_handle_t handle;

        CHECK(grant_map(0, REF, GNTMAP_host_map, VA, &handle) == GNTST_okay);
        if (grant_unmap(handle, VA) == GNTST_okay) {
            continue;
        }
        nr_lost++;
        CHECK(own_table[REF].flags == (GTF_permit_access | USED));
        EXPECT(hyper_update_va(VA + PAGE_SIZE, pte_of(page, PTE_RW_PAGE), UVMF_INVLPG), 0);
        CHECK(grant_unmap(handle, VA + PAGE_SIZE) == GNTST_okay);
    }
    stop_others(nr);
    print("  %u turns, %u lost\n", turn, nr_lost);
    EXPECT(hyper_update_va(VA, 0, UVMF_INVLPG), 0);
    EXPECT(own_table[REF].flags, GTF_permit_access);
    expect_untouched(page);
    expect_untouched(other);
}

static volatile unsigned int nr_changes;

static void change_version(void *arg)
{
    (void)arg;
    for (unsigned int i = 0; !is_over; i++) {
        if (grant_set_version(1 + i % 2) == 0) {
            __atomic_fetch_add(&nr_changes, 1, __ATOMIC_SEQ_CST);
        }
        hyper_sched(SCHEDOP_yield, NULL);
    }
}

TEST(versions_change_under_users_of_a_reserved_entry)
{
    unsigned int nr, turn;

    grant_entry_set(&own_table[1], GTF_permit_access, 0, virt_to_mfn(page));
    nr_changes = 0;
    nr = start_others(change_version);
    begin_race();
    for (turn = 0; is_racing(turn); turn++) {
        grant_handle_t handle;

        CHECK(grant_map(0, 1, turn % 2 ? HOST_RO : GNTMAP_host_map, VA, &handle) == GNTST_okay);
        CHECK(grant_unmap(handle, VA) == GNTST_okay);
    }
    stop_others(nr);
    print("  %u turns, %u changes\n", turn, nr_changes);
    EXPECT(grant_set_version(1), 0);
    EXPECT(own_table[1].flags, GTF_permit_access);
    EXPECT(own_table[1].frame, virt_to_mfn(page));
    expect_untouched(page);
}
