/* SPDX-License-Identifier: MIT */
/*
 * Random page-table operations against a model.
 *
 * A handful of pages are mapped, linked into one another as tables, pinned and
 * rewritten in random order.  The model below keeps for each page its type and
 * how often it is used as such, by the rules of the ABI; so it knows for each
 * operation whether it may succeed, and the hypervisor must be of the same
 * opinion.  No page can then be a page table and writable at once.  In the end
 * everything is undone, and each page must be free of references.
 *
 * Tables of level 4 are left out: a page that was one has entries of the
 * hypervisor's in it for ever after.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define NR_PAGES   12
#define NR_ENTRIES 6  /* of each table that are used */
#define NR_SLOTS   16 /* of the window through which pages are mapped */
#define NR_STEPS   30000

enum type {
    TYPE_NONE,
    TYPE_L1,
    TYPE_L2,
    TYPE_L3,
    TYPE_L4,
    TYPE_WRITABLE
};

struct entry {
    int target; /* page, or -1 */
    bool is_writable;
};

struct page {
    uint64_t *va;
    enum type type;
    unsigned int count; /* uses as that type */
    unsigned int nr_read_only;
    bool is_pinned;
    bool is_home_writable; /* at its own address */
    struct entry entries[NR_ENTRIES];
};

static struct page pages[NR_PAGES];
static struct entry slots[NR_SLOTS];
static uint64_t *window;
static uint64_t seed; /* from the word `seed=`, if there is one */

static unsigned int random_below(unsigned int n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned int)(seed >> 33) % n;
}

/* ---- the model ---- */

static bool get_type(int n, enum type type);
static void put_type(int n);

static bool is_table(enum type type)
{
    return type >= TYPE_L1 && type <= TYPE_L3;
}

/* Take what an entry of a table of @type needs. */
static bool get_entry(const struct entry *entry, enum type type)
{
    if (entry->target < 0) {
        return true;
    }
    if (type > TYPE_L1) {
        return get_type(entry->target, type - 1);
    }
    return !entry->is_writable || get_type(entry->target, TYPE_WRITABLE);
}

static void put_entry(const struct entry *entry, enum type type)
{
    if (entry->target >= 0 && (type > TYPE_L1 || entry->is_writable)) {
        put_type(entry->target);
    }
}

static bool validate(struct page *page)
{
    for (unsigned int i = 0; i < NR_ENTRIES; i++) {
        if (!get_entry(&page->entries[i], page->type)) {
            while (i--) {
                put_entry(&page->entries[i], page->type);
            }
            return false;
        }
    }
    return true;
}

static bool get_type(int n, enum type type)
{
    struct page *page = &pages[n];

    if (page->count > 0) {
        page->count += page->type == type;
        return page->type == type;
    }
    page->type = type;
    page->count = 1;
    if (is_table(type) && !validate(page)) {
        page->count = 0;
        return false;
    }
    return true;
}

static void put_type(int n)
{
    struct page *page = &pages[n];

    if (--page->count == 0 && is_table(page->type)) {
        for (unsigned int i = 0; i < NR_ENTRIES; i++) {
            put_entry(&page->entries[i], page->type);
        }
    }
}

/* ---- the operations: what the model says, what the hypervisor says ---- */

static uint64_t pte(const struct entry *entry, bool is_upper)
{
    if (entry->target < 0) {
        return 0;
    }
    return pte_of(pages[entry->target].va,
                  is_upper || entry->is_writable ? PTE_TABLE : PTE_RO_PAGE);
}

static struct entry random_entry(void)
{
    return (struct entry){
        .target = (int)random_below(NR_PAGES + 2) - 2 < 0 ? -1 : (int)random_below(NR_PAGES),
        .is_writable = random_below(3) == 0,
    };
}

/* For whoever looks into a disagreement: the page, what it refers to, and so on. */
static void describe(int n, unsigned int depth)
{
    const struct page *page = &pages[n];

    print("%u: page %d type %d count %u home %s\n", depth, n, (int)page->type, page->count,
          page->is_home_writable ? "writable" : "read-only");
    for (unsigned int i = 0; i < NR_ENTRIES; i++) {
        int target = page->entries[i].target;

        print("%u: page %d entry %u is %lx, page %d %s\n", depth, n, i, page->va[i], target,
              page->entries[i].is_writable ? "writable" : "read-only");
        if (target >= 0 && depth < 2) {
            describe(target, depth + 1);
        }
    }
}

static void agree(const char *what, int n, bool wanted, long rc)
{
    if (wanted != (rc == 0)) {
        FAIL("%s, page %d (type %d, count %u): %ld", what, n, (int)pages[n].type, pages[n].count,
             rc);
        describe(n, 0);
    }
}

static void do_home(int n)
{
    struct page *page = &pages[n];
    bool wanted;

    if (page->is_home_writable) {
        agree("make read-only", n, true, page_make_ro(page->va));
        put_type(n);
        page->is_home_writable = false;
    } else {
        wanted = get_type(n, TYPE_WRITABLE);
        agree("make writable", n, wanted, page_make_rw(page->va));
        page->is_home_writable = wanted;
    }
}

static void do_map(int n)
{
    unsigned int slot = random_below(NR_SLOTS);
    struct entry entry = random_entry();
    bool wanted;

    (void)n;
    wanted = get_entry(&entry, TYPE_L1);
    agree("map", entry.target < 0 ? 0 : entry.target, wanted,
          hyper_update_va(FREE_VA + slot * PAGE_SIZE, pte(&entry, false), UVMF_INVLPG));
    if (wanted) {
        put_entry(&slots[slot], TYPE_L1);
        slots[slot] = entry;
    }
}

static void do_pin(int n)
{
    enum type level = (enum type)(1 + random_below(3));
    bool wanted = false;

    if (get_type(n, level)) {
        wanted = !pages[n].is_pinned;
        if (!wanted) {
            put_type(n);
        }
    }
    agree("pin", n, wanted, mmuext(MMUEXT_PIN_L1_TABLE + level - 1, virt_to_mfn(pages[n].va), 0));
    pages[n].is_pinned |= wanted;
}

static void do_unpin(int n)
{
    bool wanted = pages[n].is_pinned;

    agree("unpin", n, wanted, mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(pages[n].va), 0));
    if (wanted) {
        pages[n].is_pinned = false;
        put_type(n);
    }
}

/* By hypercall: checked if the page is a table, else a write to memory. */
static void do_update(int n)
{
    struct page *page = &pages[n];
    unsigned int i = random_below(NR_ENTRIES);
    struct entry entry = random_entry();
    bool is_now_table = page->count > 0 && is_table(page->type);
    bool is_upper = is_now_table ? page->type > TYPE_L1 : random_below(2);
    bool wanted = true;

    if (is_now_table) {
        wanted = get_entry(&entry, page->type);
    } else if (is_upper) {
        entry.is_writable = true; /* as it will read should the page become an L1 */
    }
    agree("update", n, wanted, mmu_update(virt_to_machine(&page->va[i]), pte(&entry, is_upper)));
    if (wanted) {
        if (is_now_table) {
            put_entry(&page->entries[i], page->type);
            entry.is_writable |= is_upper;
        }
        page->entries[i] = entry;
    }
}

static void write_zero(void *arg)
{
    WRITE_ONCE(*(uint64_t *)arg, 0);
}

/* By an instruction: works where mapped writable, and on L1 tables by emulation. */
static void do_write(int n)
{
    struct page *page = &pages[n];
    unsigned int i = random_below(NR_ENTRIES);
    bool is_now_l1 = page->count > 0 && page->type == TYPE_L1;
    struct trap_record record;
    bool is_done = !trap_try(write_zero, &page->va[i], &record);

    agree("write", n, page->is_home_writable || is_now_l1, is_done ? 0 : -1);
    if (is_done) {
        if (is_now_l1) {
            put_entry(&page->entries[i], TYPE_L1);
        }
        page->entries[i].target = -1;
    }
}

static void check_memory(int n)
{
    struct page *page = &pages[n];

    for (unsigned int i = 0; i < NR_ENTRIES; i++) {
        int target = page->entries[i].target;
        uint64_t mfn = target < 0 ? 0 : virt_to_mfn(pages[target].va);

        if (PTE_MFN(page->va[i]) != mfn) {
            FAIL("page %d entry %u reads %lx, not frame %lx", n, i, page->va[i], mfn);
        }
    }
}

TEST(random_operations)
{
    static void (*const operations[])(int) = {
        do_home, do_home, do_map, do_map, do_pin, do_unpin, do_update, do_update, do_write,
    };

    /* Xen leaves a bit in entries of level 1 that it refuses at level 2: some seeds meet it. */
    seed = 88172645463325252ull * guest_option_number("seed=", 2);
    pt_map(kernel_l4, FREE_VA, 0);
    window = pt_entry(kernel_l4, FREE_VA, 1);
    for (int n = 0; n < NR_PAGES; n++) {
        pages[n].va = page_alloc();
        pages[n].is_home_writable = true;
        pages[n].type = TYPE_WRITABLE;
        pages[n].count = 1;
        for (unsigned int i = 0; i < NR_ENTRIES; i++) {
            pages[n].entries[i].target = -1;
        }
    }
    for (unsigned int i = 0; i < NR_SLOTS; i++) {
        slots[i].target = -1;
    }
    for (unsigned int step = 0; step < NR_STEPS && !test_failed(); step++) {
        int n = (int)random_below(NR_PAGES);

        operations[random_below(ARRAY_SIZE(operations))](n);
        check_memory(n);
        if (test_failed()) {
            print("in step %u\n", step);
        }
    }
}

TEST(nothing_is_left)
{
    domid_t self = DOMID_SELF;

    for (unsigned int i = 0; i < NR_SLOTS; i++) {
        EXPECT(hyper_update_va(FREE_VA + i * PAGE_SIZE, 0, UVMF_INVLPG), 0);
    }
    for (int n = 0; n < NR_PAGES; n++) {
        if (pages[n].is_pinned) {
            EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(pages[n].va), 0), 0);
        }
    }
    for (int n = 0; n < NR_PAGES; n++) {
        xen_pfn_t frame = virt_to_mfn(pages[n].va);
        struct xen_memory_reservation reservation = { .nr_extents = 1, .domid = DOMID_SELF };

        set_xen_guest_handle(reservation.extent_start, &frame);
        EXPECT(hyper_update_va(pages[n].va, 0, UVMF_INVLPG), 0);
        EXPECT(hyper_memory(XENMEM_decrease_reservation, &reservation), 1);
        /* A frame with a reference left would stay the domain's. */
        EXPECT(hyper_memory(XENMEM_current_reservation, &self), start_info->nr_pages - n - 1);
    }
}
