/* SPDX-License-Identifier: MIT */
/*
 * The log of frames written: all that a child writes is told, by its own
 * mappings, by ours, through its page tables; what it leaves alone is not, and
 * the child does not see any of it.  Not for the oracle, which keeps no log of
 * paravirtual domains.
 */
#include "lib/child.h"

#include "event.h"
#include "grant.h"
#include "hypercall.h"
#include "mm.h"

#define NR_PAGES 64u

/* Words of the box. */
enum {
    COMMAND, /* the maker's: a number that is new, and 1 << 32 times what to do */
    DONE,    /* the child's: the number of the last one */
    RESULT,
    ARG,
};

enum {
    WRITE_PAGES = 1, /* pages 0 .. ARG - 1 get a new word */
    SUM_PAGES,
    READ_ENTRIES,   /* how many of its entries for the pages are read-only */
    REMAP,          /* page ARG gets its entry once more, by mmu_update */
    TABLE_AND_BACK, /* page ARG becomes a page table and plain memory again */
    HYPERCALL_INTO, /* page ARG gets an answer of ours */
    FAR_TABLE,      /* a table for FOREIGN_VA, where nothing else is: its address */
    MAP_GRANT,      /* the maker's grant ARG comes there */
    UNMAP_GRANT,    /* and goes */
    STOP,
};

static uint8_t pages[NR_PAGES][PAGE_SIZE] page_aligned;
static struct child child;
static uint8_t bitmap[CHILD_PAGES_MAX / 8];
static uint64_t serial;

/* ------------------------------------------------------------ the child's side -- */

static uint64_t *word(uint64_t page)
{
    return (uint64_t *)pages[page];
}

static uint64_t sum_pages(void)
{
    uint64_t sum = 0;

    for (unsigned int i = 0; i < NR_PAGES; i++) {
        sum += *word(i);
    }
    return sum;
}

static uint64_t table_and_back(void *page)
{
    uint64_t bad = 0;

    *(uint64_t *)page = 0;
    bad |= page_make_ro(page) != 0;
    bad |= mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0) != 0;
    bad |= mmu_update(virt_to_machine(page), 0x123ul << 52) != 0;
    /* A write to it is a change of the table, whatever the log did to the mapping. */
    *(volatile uint64_t *)page = 0x456ul << 52;
    bad |= *(volatile uint64_t *)page != 0x456ul << 52;
    bad |= mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0) != 0;
    bad |= page_make_rw(page) != 0;
    *(volatile uint64_t *)page = 7;
    return bad;
}

static uint64_t obey(uint64_t what, uint64_t arg)
{
    static grant_handle_t handle;
    uint64_t result = 0;

    switch (what) {
    case WRITE_PAGES:
        for (uint64_t i = 0; i < arg; i++) {
            ++*word(i);
        }
        return 0;
    case SUM_PAGES:
        return sum_pages();
    case READ_ENTRIES:
        for (unsigned int i = 0; i < NR_PAGES; i++) {
            result += !(*pt_entry(kernel_l4, (uint64_t)pages[i], 1) & PTE_RW);
        }
        return result;
    case REMAP:
        return (uint64_t)mmu_update(virt_to_machine(pt_entry(kernel_l4, (uint64_t)pages[arg], 1)) |
                                        MMU_PT_UPDATE_PRESERVE_AD,
                                    pte_of(pages[arg], PTE_RW_PAGE));
    case TABLE_AND_BACK:
        return table_and_back(pages[arg]);
    case FAR_TABLE:
        foreign_map(FOREIGN_VA, virt_to_mfn(pages[0]), PTE_RO_PAGE, DOMID_SELF);
        return (uint64_t)pt_entry(kernel_l4, FOREIGN_VA, 1);
    case MAP_GRANT:
        return (uint64_t)grant_map(0, (grant_ref_t)arg, GNTMAP_host_map | GNTMAP_readonly,
                                   FOREIGN_VA, &handle);
    case UNMAP_GRANT:
        return (uint64_t)grant_unmap(handle, FOREIGN_VA);
    default:
        return (uint64_t)hyper_version(XENVER_extraversion, pages[arg]);
    }
}

static void serve(uint64_t arg)
{
    uint64_t done = 0;

    (void)arg;
    for (;;) {
        uint64_t command = child_box[COMMAND];

        if (command == done) {
            hyper_sched(SCHEDOP_yield, NULL);
            continue;
        }
        if (command >> 32 == STOP) {
            return;
        }
        child_box[RESULT] = obey(command >> 32, child_box[ARG]);
        barrier();
        child_box[DONE] = done = command;
    }
}

/* ------------------------------------------------------------ the maker's side -- */

static uint64_t ask(uint64_t what, uint64_t arg)
{
    uint64_t command = what << 32 | ++serial;

    child.box[ARG] = arg;
    barrier();
    child.box[COMMAND] = command;
    for (unsigned long i = 0; child.box[DONE] != command; i++) {
        hyper_sched(SCHEDOP_yield, NULL);
        if (i > 20000000) {
            guest_die("the child does not answer");
        }
    }
    return child.box[RESULT];
}

static long log_op(unsigned int what, unsigned int mode, uint32_t *nr)
{
    struct xen_domctl op = { .u.shadow_op = { .op = what, .mode = mode } };
    long rc;

    for (unsigned int i = 0; i < sizeof(bitmap); i++) {
        bitmap[i] = 0xff; /* what is not written is not in it */
    }
    op.u.shadow_op.pages = CHILD_PAGES_MAX;
    set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, bitmap);
    rc = domctl(&op, XEN_DOMCTL_shadow_op, child.domid);
    if (nr) {
        *nr = op.u.shadow_op.stats.dirty_count;
    }
    if (rc == 0 && op.u.shadow_op.pages != CHILD_PAGES_MAX) {
        FAIL("pages is %lu", (unsigned long)op.u.shadow_op.pages);
    }
    return rc;
}

static bool is_written(const volatile void *va)
{
    uint64_t pfn = ((uint64_t)va - VIRT_BASE) >> PAGE_SHIFT;

    return bitmap[pfn / 8] >> pfn % 8 & 1;
}

static unsigned int nr_written(void)
{
    unsigned int nr = 0;

    for (unsigned int i = 0; i < CHILD_PAGES_MAX; i++) {
        nr += bitmap[i / 8] >> i % 8 & 1;
    }
    return nr;
}

static void expect_written(unsigned int first, unsigned int end)
{
    for (unsigned int i = 0; i < NR_PAGES; i++) {
        if (is_written(pages[i]) != (i >= first && i < end)) {
            FAIL("page %u is %s", i, is_written(pages[i]) ? "written" : "not written");
        }
    }
}

TEST(no_log_is_kept_at_first)
{
    EXPECT(child_create(&child, 1, serve, 0), 0);
    child_unpause(&child);
    EXPECT(ask(SUM_PAGES, 0), 0);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_OFF, 0, NULL), -EINVAL);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), -EINVAL);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_PEEK, 0, NULL), -EINVAL);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION, 0, NULL), -EINVAL);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE, XEN_DOMCTL_SHADOW_ENABLE_TRANSLATE, NULL), -EINVAL);
}

TEST(what_is_written_is_told_and_nothing_else)
{
    uint32_t nr;

    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL), 0);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL), -EINVAL);
    ask(SUM_PAGES, 0); /* reading is not writing */
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, &nr), 0);
    expect_written(0, 0);
    EXPECT(is_written(child_box), 1);
    for (unsigned int round = 1; round < 4; round++) {
        ask(WRITE_PAGES, 10 * round);
        EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_PEEK, 0, &nr), 0);
        expect_written(0, 10 * round);
        EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, &nr), 0);
        expect_written(0, 10 * round);
        EXPECT(nr_written(), nr);
        if (nr > 10 * round + 16) {
            FAIL("%u pages are told", nr);
        }
    }
    EXPECT(ask(SUM_PAGES, 0), 10 + 20 + 30);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, &nr), 0);
    expect_written(0, 0);
}

TEST(its_entries_are_read_only_and_serve_all_the_same)
{
    EXPECT(ask(READ_ENTRIES, 0), NR_PAGES);
    EXPECT(ask(REMAP, 5), 0);
    EXPECT(ask(READ_ENTRIES, 0), NR_PAGES - 1);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(5, 6);
    EXPECT(ask(TABLE_AND_BACK, 6), 0);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(6, 7);
    if ((long)ask(HYPERCALL_INTO, 7) < 0) {
        FAIL("the hypervisor cannot write to what the log made read-only");
    }
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(7, 8);
}

/* They change its table like any other update. */
TEST(grants_that_it_maps_are_told)
{
    grant_table_v1 entries = (grant_table_v1)GRANT_TABLE_VA;
    const void *table = (const void *)ask(FAR_TABLE, 0);

    grant_table_map(1);
    grant_entry_set(&entries[9], GTF_permit_access | GTF_readonly, child.domid,
                    virt_to_mfn(pages[0]));
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    EXPECT(ask(MAP_GRANT, 9), 0);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    EXPECT(is_written(table), true);
    EXPECT(ask(UNMAP_GRANT, 9), 0);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    EXPECT(is_written(table), true);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    EXPECT(is_written(table), false);
}

TEST(what_others_write_is_told)
{
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    EXPECT(foreign_map(FOREIGN_VA, child_mfn(&child, pages[20]), PTE_RO_PAGE, child.domid), 0);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(0, 0);
    EXPECT(foreign_map(FOREIGN_VA, child_mfn(&child, pages[21]), PTE_RW_PAGE, child.domid), 0);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(21, 22);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(21, 22); /* it still is writable for us */
    EXPECT(foreign_map(FOREIGN_VA, 0, 0, child.domid), 0);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(21, 22); /* it was, since then */
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(0, 0);
}

TEST(the_last_question_gives_the_tables_back)
{
    ask(WRITE_PAGES, 3);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL, NULL), 0);
    expect_written(0, 3);
    EXPECT(ask(READ_ENTRIES, 0), 0);
    /* It goes on nevertheless: what is writable may have been written. */
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(0, NR_PAGES);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(0, 0);
    EXPECT(ask(READ_ENTRIES, 0), NR_PAGES);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_OFF, 0, NULL), 0);
    EXPECT(ask(READ_ENTRIES, 0), 0);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_PEEK, 0, NULL), -EINVAL);
}

TEST(a_bitmap_that_cannot_be_written_is_an_error_and_no_harm)
{
    struct xen_domctl op = { .u.shadow_op = { .op = XEN_DOMCTL_SHADOW_OP_CLEAN } };

    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL), 0);
    op.u.shadow_op.pages = CHILD_PAGES_MAX;
    set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, (uint8_t *)FOREIGN_VA);
    EXPECT(domctl(&op, XEN_DOMCTL_shadow_op, child.domid), -EFAULT);
    ask(WRITE_PAGES, 2);
    EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
    expect_written(0, 2);
}

/* Who interrupts it and writes nothing back must not leave the domain paused half-way. */
TEST(an_operation_that_cannot_be_written_is_done_and_leaves_nobody_paused)
{
    struct xen_domctl *op = page_alloc();
    struct sched_poll poll;

    for (unsigned int i = 0; i < 20; i++) {
        *op = (struct xen_domctl){ .cmd = XEN_DOMCTL_shadow_op,
                                   .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
                                   .domain = (domid_t)child.domid };
        op->u.shadow_op.op =
            i % 2 ? XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY : XEN_DOMCTL_SHADOW_OP_OFF;
        EXPECT(page_make_ro(op), 0);
        timer_set(system_time() + i * 5000);
        EXPECT(hypercall1(__HYPERVISOR_domctl, op), -EFAULT);
        EXPECT(page_make_rw(op), 0);
        poll = (struct sched_poll){ .timeout = system_time() + 1000000 };
        hyper_sched(SCHEDOP_poll, &poll);
        ask(WRITE_PAGES, 1);
        EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_PEEK, 0, NULL), i % 2 ? 0 : -EINVAL);
    }
    timer_stop();
}

TEST(a_domain_with_a_log_dies_like_any_other)
{
    child.box[COMMAND] = (uint64_t)STOP << 32;
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child_destroy(&child), 0);
}

/* ---- a copy that follows two writers ---- */

/* Write here and there for ever, now and then by a mapping that goes again. */
static void scribble(void *arg)
{
    uint64_t random = 88172645463325252ul + (uint64_t)arg;
    uint64_t va = FREE_VA + (uint64_t)arg * 4 * PAGE_SIZE;

    pt_map(kernel_l4, va, 0);
    for (;;) {
        uint8_t *page;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        page = pages[random % NR_PAGES];
        if (random >> 32 & 31) {
            ((volatile uint64_t *)page)[random >> 40 & 511] = random;
            if (!(random >> 50 & 7)) {
                hyper_sched(SCHEDOP_yield, NULL);
            }
            continue;
        }
        hyper_update_va(va, pte_of(page, PTE_RW_PAGE), UVMF_INVLPG);
        ((volatile uint64_t *)va)[random >> 40 & 511] = ~random;
        hyper_update_va(va, 0, UVMF_INVLPG);
    }
}

static void scribble_on_two(uint64_t arg)
{
    child_box[DONE] = (uint64_t)cpu_start(1, scribble, (void *)1);
    (void)arg;
    scribble(NULL);
}

static uint64_t copies[NR_PAGES][PAGE_SIZE / 8];

static const uint64_t *view(unsigned int page)
{
    return (const uint64_t *)(FOREIGN_VA + page * PAGE_SIZE);
}

static unsigned int copy_written(void)
{
    unsigned int nr = 0;

    for (unsigned int i = 0; i < NR_PAGES; i++) {
        if (is_written(pages[i])) {
            __builtin_memcpy(copies[i], view(i), PAGE_SIZE);
            nr++;
        }
    }
    return nr;
}

static bool is_copy_true(void)
{
    for (unsigned int i = 0; i < NR_PAGES * PAGE_SIZE / 8; i++) {
        if (copies[i / 512][i % 512] != view(i / 512)[i % 512]) {
            FAIL("page %u was written and is not told", i / 512);
            return false;
        }
    }
    return true;
}

static void let_it_run(void)
{
    uint64_t end = system_time() + 2000000;

    while (system_time() < end) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
}

TEST(a_copy_is_true_in_the_end)
{
    struct xen_domctl op = { 0 };

    EXPECT(child_create(&child, 2, scribble_on_two, 0), 0);
    for (unsigned int i = 0; i < NR_PAGES; i++) {
        EXPECT(foreign_map(FOREIGN_VA + i * PAGE_SIZE, child_mfn(&child, pages[i]), PTE_RO_PAGE,
                           child.domid),
               0);
    }
    mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0);
    child_unpause(&child);
    for (unsigned int turn = 0; turn < 10; turn++) {
        unsigned int nr = 0;

        let_it_run();
        EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL), 0);
        __builtin_memset(bitmap, 0xff, sizeof(bitmap));
        copy_written(); /* all */
        for (unsigned int round = 0; round < 10; round++) {
            let_it_run();
            EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL), 0);
            nr += copy_written();
        }
        EXPECT(domctl(&op, XEN_DOMCTL_pausedomain, child.domid), 0);
        EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN, turn % 2 ? XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL : 0,
                      NULL),
               0);
        copy_written();
        CHECK(is_copy_true() && nr > 0);
        EXPECT(log_op(XEN_DOMCTL_SHADOW_OP_OFF, 0, NULL), 0);
        EXPECT(domctl(&op, XEN_DOMCTL_unpausedomain, child.domid), 0);
    }
    for (unsigned int i = 0; i < NR_PAGES; i++) {
        EXPECT(foreign_map(FOREIGN_VA + i * PAGE_SIZE, 0, 0, DOMID_SELF), 0);
    }
    EXPECT(child.box[DONE], 0);
    EXPECT(child_destroy(&child), 0);
}
