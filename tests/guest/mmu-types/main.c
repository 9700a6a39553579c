/* SPDX-License-Identifier: MIT */
/*
 * Page frames have one type at a time: what is a page table is never writable,
 * what is writable is never a page table, and nothing outside a domain's own
 * memory can be mapped by it.  Refused operations change nothing and keep no
 * reference.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#include <xen/grant_table.h>

#define VA(n) (FREE_VA + (n)*PAGE_SIZE)

static uint64_t *l1_of_va; /* the L1 table of VA(0) to VA(511) */

static void *new_table(void)
{
    void *page = page_alloc();

    if (page_make_ro(page)) {
        guest_die("cannot make a page read-only");
    }
    return page;
}

/* An entry less the bits that a hypervisor may set in it for its own ends. */
static uint64_t entry_of(unsigned int n)
{
    return READ_ONCE(l1_of_va[n]) & ~(PTE_G | 1ul << 52);
}

static long pin(unsigned int level, const void *table)
{
    return mmuext(MMUEXT_PIN_L1_TABLE + level - 1, virt_to_mfn(table), 0);
}

static long unpin(const void *table)
{
    return mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0);
}

static long set_entry(uint64_t *entry, uint64_t value)
{
    return mmu_update(virt_to_machine(entry), value);
}

static long map(unsigned int n, uint64_t pte)
{
    return hyper_update_va(VA(n), pte, UVMF_INVLPG);
}

static long pages_owned(void)
{
    domid_t self = DOMID_SELF;

    return hyper_memory(XENMEM_current_reservation, &self);
}

/* A page that is given back is gone at once if nothing refers to it, and only then. */
static bool is_free_of_references(void *page)
{
    uint64_t mfn = virt_to_mfn(page);
    long owned = pages_owned();
    struct xen_memory_reservation reservation = { .nr_extents = 1, .domid = DOMID_SELF };
    xen_pfn_t frame = mfn;

    set_xen_guest_handle(reservation.extent_start, &frame);
    if (hyper_update_va(page, 0, UVMF_INVLPG) ||
        hyper_memory(XENMEM_decrease_reservation, &reservation) != 1 ||
        pages_owned() != owned - 1) {
        return false;
    }
    frame = virt_to_pfn(page);
    if (hyper_memory(XENMEM_populate_physmap, &reservation) != 1) {
        return false;
    }
    ((uint64_t *)start_info->mfn_list)[virt_to_pfn(page)] = frame;
    return page_make_rw(page) == 0;
}

TEST(prepare)
{
    pt_map(kernel_l4, VA(0), 0);
    l1_of_va = pt_entry(kernel_l4, VA(0), 1);
    CHECK(l1_of_va);
}

TEST(a_page_table_is_not_mapped_writable)
{
    uint64_t value;
    struct trap_record record;

    EXPECT(map(0, pte_of(l1_of_va, PTE_RW_PAGE)), -EBUSY);
    EXPECT(set_entry(&l1_of_va[0], pte_of(l1_of_va, PTE_RW_PAGE)), -EBUSY);
    EXPECT(map(0, pte_of(kernel_l4, PTE_RW_PAGE)), -EBUSY);
    EXPECT(page_make_rw(kernel_l4), -EBUSY);
    EXPECT(map(0, pte_of(kernel_l4, PTE_RO_PAGE)), 0);
    CHECK(probe_read((void *)VA(0), &value, &record));
    CHECK(!probe_write((void *)VA(0), value, &record));
    EXPECT(record.regs.vector, 14);
    EXPECT(record.regs.error, 3);
    EXPECT(map(0, 0), 0);
}

TEST(a_writable_page_is_not_pinned)
{
    uint64_t *table = page_alloc();

    for (unsigned int level = 1; level <= 4; level++) {
        EXPECT(pin(level, table), -EINVAL);
    }
    page_make_ro(table);
    EXPECT(pin(1, table), 0);
    EXPECT(page_make_rw(table), -EBUSY);
    EXPECT(unpin(table), 0);
    EXPECT(page_make_rw(table), 0);
    CHECK(is_free_of_references(table));
    page_free(table);
}

TEST(a_second_writable_mapping_counts_too)
{
    uint64_t *table = new_table();

    EXPECT(map(0, pte_of(table, PTE_RW_PAGE)), 0);
    EXPECT(pin(1, table), -EINVAL);
    EXPECT(map(0, 0), 0);
    EXPECT(pin(1, table), 0);
    EXPECT(unpin(table), 0);
    page_make_rw(table);
    page_free(table);
}

TEST(pin_and_unpin_rhyme)
{
    uint64_t *table = new_table();

    EXPECT(unpin(table), -EINVAL);
    EXPECT(pin(1, table), 0);
    EXPECT(pin(1, table), -EINVAL);
    EXPECT(pin(2, table), -EINVAL);
    EXPECT(unpin(table), 0);
    EXPECT(unpin(table), -EINVAL);
    for (unsigned int level = 1; level <= 4; level++) {
        EXPECT(pin(level, table), 0);
        EXPECT(unpin(table), 0);
    }
    page_make_rw(table);
    __builtin_memset(table, 0, PAGE_SIZE);
    CHECK(is_free_of_references(table));
    page_free(table);
}

TEST(a_failed_pin_keeps_no_reference)
{
    uint64_t *table = page_alloc();
    void *data = page_alloc();

    for (unsigned int i = 0; i < 511; i++) {
        table[i] = pte_of(data, PTE_RW_PAGE);
    }
    table[511] = pte_of(kernel_l4, PTE_RW_PAGE);
    page_make_ro(table);
    for (unsigned int i = 0; i < 100; i++) {
        EXPECT(pin(1, table), -EBUSY);
    }
    EXPECT(page_make_rw(table), 0);
    CHECK(is_free_of_references(table));
    CHECK(is_free_of_references(data));
    page_free(table);
    page_free(data);
}

TEST(a_failed_pin_of_a_tree_keeps_no_reference)
{
    uint64_t *l4 = page_alloc(), *l3 = page_alloc(), *l2 = page_alloc(), *l1 = page_alloc();

    l4[0] = pte_of(l3, PTE_TABLE);
    l4[511] = pte_of(l2, PTE_TABLE); /* is an L2 already */
    l3[0] = pte_of(l2, PTE_TABLE);
    l2[0] = pte_of(l1, PTE_TABLE);
    page_make_ro(l4);
    page_make_ro(l3);
    page_make_ro(l2);
    page_make_ro(l1);
    for (unsigned int i = 0; i < 20; i++) {
        EXPECT(pin(4, l4), -EINVAL);
    }
    EXPECT(page_make_rw(l4), 0);
    EXPECT(page_make_rw(l3), 0);
    EXPECT(page_make_rw(l2), 0);
    EXPECT(page_make_rw(l1), 0);
    CHECK(is_free_of_references(l1));
    CHECK(is_free_of_references(l2));
    CHECK(is_free_of_references(l3));
    CHECK(is_free_of_references(l4));
    page_free(l1);
    page_free(l2);
    page_free(l3);
    page_free(l4);
}

TEST(a_table_has_one_level)
{
    uint64_t *table = new_table();

    EXPECT(pin(1, table), 0);
    EXPECT(set_entry(&kernel_l4[20], pte_of(table, PTE_TABLE)), -EINVAL);
    EXPECT(unpin(table), 0);
    EXPECT(set_entry(&kernel_l4[20], pte_of(table, PTE_TABLE)), 0);
    EXPECT(pin(1, table), -EINVAL);
    EXPECT(pin(2, table), -EINVAL);
    EXPECT(pin(3, table), 0);
    EXPECT(set_entry(&kernel_l4[20], 0), 0);
    EXPECT(page_make_rw(table), -EBUSY);
    EXPECT(unpin(table), 0);
    EXPECT(page_make_rw(table), 0);
    page_free(table);
}

TEST(an_upper_entry_must_name_a_table)
{
    uint64_t *writable = page_alloc();
    uint64_t *entry = pt_entry(kernel_l4, VA(0), 2) + 1;

    EXPECT(set_entry(entry, pte_of(writable, PTE_TABLE)), -EINVAL);
    EXPECT(*entry, 0);
    page_free(writable);
}

TEST(large_pages_are_refused)
{
    uint64_t *l2 = pt_entry(kernel_l4, VA(0), 2), *l3 = pt_entry(kernel_l4, VA(0), 3);
    void *data = page_alloc();

    EXPECT(set_entry(l2 + 1, pte_of(data, PTE_TABLE | PTE_PSE)), -EINVAL);
    EXPECT(set_entry(l3 + 1, pte_of(data, PTE_TABLE | PTE_PSE)), -EINVAL);
    EXPECT(set_entry(l2, *l2 | PTE_PSE), -EINVAL);
    EXPECT(set_entry(&kernel_l4[20], pte_of(data, PTE_TABLE | PTE_PSE)), -EINVAL);
    page_free(data);
}

TEST(reserved_address_bits_are_refused)
{
    void *data = page_alloc();

    EXPECT(map(0, pte_of(data, PTE_RW_PAGE) | 1ul << 51), -EPERM);
    EXPECT(set_entry(&kernel_l4[20], 1ul << 51 | PTE_TABLE), -EINVAL);
    EXPECT(map(0, pte_of(data, PTE_RO_PAGE | PTE_NX) | 7ul << 9 | 0x7ful << 52), 0);
    EXPECT(map(0, 0), 0);
    page_free(data);
}

TEST(the_hypervisors_slots_are_refused)
{
    uint64_t *l3 = new_table();

    for (unsigned int slot = 256; slot < 272; slot++) {
        EXPECT(set_entry(&kernel_l4[slot], pte_of(l3, PTE_TABLE)), -EINVAL);
        EXPECT(set_entry(&kernel_l4[slot], 0), -EINVAL);
    }
    EXPECT(set_entry(&kernel_l4[255], pte_of(l3, PTE_TABLE)), 0);
    EXPECT(set_entry(&kernel_l4[272], pte_of(l3, PTE_TABLE)), 0);
    EXPECT(set_entry(&kernel_l4[255], 0), 0);
    EXPECT(set_entry(&kernel_l4[272], 0), 0);
    page_make_rw(l3);
    page_free(l3);
}

TEST(what_a_new_l4_has_in_the_hypervisors_slots_is_ignored)
{
    uint64_t *l4 = page_alloc(), *secret = page_alloc();

    for (unsigned int slot = 256; slot < 272; slot++) {
        l4[slot] = pte_of(secret, PTE_TABLE);
    }
    page_make_ro(l4);
    EXPECT(pin(4, l4), 0);
    for (unsigned int slot = 256; slot < 272; slot++) {
        CHECK(l4[slot] != pte_of(secret, PTE_TABLE));
    }
    EXPECT(unpin(l4), 0);
    page_make_rw(l4);
    CHECK(is_free_of_references(l4));
    page_free(secret);
    page_free(l4);
}

/* An L4 that names itself would let the guest see its tables; never may it write them. */
TEST(a_table_does_not_map_itself_writable)
{
    EXPECT(set_entry(&kernel_l4[20], pte_of(kernel_l4, PTE_TABLE)), -EINVAL);
    EXPECT(kernel_l4[20], 0);
}

TEST(batches_stop_at_the_first_error_and_say_where)
{
    void *data = page_alloc();
    unsigned int done = 99;
    struct mmu_update requests[4];

    for (unsigned int i = 0; i < 4; i++) {
        requests[i].ptr = virt_to_machine(&l1_of_va[i]);
        requests[i].val = pte_of(data, PTE_RW_PAGE);
    }
    requests[2].val = pte_of(kernel_l4, PTE_RW_PAGE);
    EXPECT(hyper_mmu_update(requests, 4, &done), -EBUSY);
    EXPECT(done, 2);
    EXPECT(!!l1_of_va[0] + !!l1_of_va[1], 2);
    EXPECT(!!l1_of_va[2] + !!l1_of_va[3], 0);
    for (unsigned int i = 0; i < 4; i++) {
        requests[i].val = 0;
    }
    EXPECT(hyper_mmu_update(requests, 4, &done), 0);
    EXPECT(done, 4);
    EXPECT(l1_of_va[0] | l1_of_va[1], 0);
    page_free(data);
}

TEST(mmu_update_writes_ordinary_memory_too)
{
    uint64_t *page = page_alloc();

    EXPECT(mmu_update(virt_to_machine(&page[7]), 0x1234567812345678), 0);
    EXPECT(page[7], 0x1234567812345678);
    page_free(page);
}

TEST(accessed_and_dirty_survive_where_asked)
{
    uint64_t *page = page_alloc();

    EXPECT(map(0, pte_of(page, PTE_P | PTE_RW | PTE_US)), 0);
    *(volatile uint64_t *)VA(0) = 1;
    EXPECT(l1_of_va[0] & (PTE_A | PTE_D), PTE_A | PTE_D);
    EXPECT(mmu_update(virt_to_machine(&l1_of_va[0]) | MMU_PT_UPDATE_PRESERVE_AD,
                      pte_of(page, PTE_P | PTE_US)),
           0);
    EXPECT(entry_of(0), pte_of(page, PTE_P | PTE_US | PTE_A | PTE_D));
    EXPECT(set_entry(&l1_of_va[0], pte_of(page, PTE_P | PTE_US)), 0);
    EXPECT(entry_of(0), pte_of(page, PTE_P | PTE_US));
    EXPECT(map(0, 0), 0);
    page_free(page);
}

TEST(entries_get_the_user_bit)
{
    uint64_t *page = page_alloc();

    EXPECT(map(0, pte_of(page, PTE_P | PTE_RW)), 0);
    EXPECT(entry_of(0), pte_of(page, PTE_P | PTE_RW | PTE_US));
    EXPECT(map(0, 0), 0);
    page_free(page);
}

TEST(update_va_mapping_wants_an_l1_table)
{
    void *data = page_alloc();
    uint64_t pte = pte_of(data, PTE_RW_PAGE);

    EXPECT(hyper_update_va(0x7f0000000000, pte, 0), -EINVAL);
    EXPECT(hyper_update_va(VA(512), pte, 0), -EINVAL);
    EXPECT(hyper_update_va(0xffff800000000000, pte, 0), -EINVAL);
    EXPECT(hyper_update_va(0xffff87fffffff000, pte, 0), -EINVAL);
    EXPECT(hyper_update_va(0x800000000000, pte, 0), -EINVAL);
    page_free(data);
}

TEST(base_pointers_must_be_top_tables)
{
    uint64_t *l1 = new_table(), *writable = page_alloc();

    EXPECT(pin(1, l1), 0);
    EXPECT(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(l1), 0), -EINVAL);
    EXPECT(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(writable), 0), -EINVAL);
    EXPECT(mmuext(MMUEXT_NEW_BASEPTR, 1ul << 40, 0), -EINVAL);
    EXPECT(mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(l1), 0), -EINVAL);
    EXPECT(mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(writable), 0), -EINVAL);
    EXPECT(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
    EXPECT(mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(user_l4), 0), 0);
    EXPECT(unpin(l1), 0);
    page_make_rw(l1);
    page_free(l1);
    page_free(writable);
}

/* An unpinned table that is loaded stays a table until another one is. */
TEST(a_loaded_table_stays_a_table)
{
    uint64_t *l4 = page_alloc();
    uint64_t old = virt_to_mfn(kernel_l4);

    for (unsigned int i = 0; i < 512; i++) {
        l4[i] = i < 256 || i > 271 ? kernel_l4[i] : 0;
    }
    page_make_ro(l4);
    EXPECT(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(l4), 0), 0);
    EXPECT(page_make_rw(l4), -EBUSY);
    EXPECT(pin(4, l4), 0);
    EXPECT(unpin(l4), 0);
    EXPECT(page_make_rw(l4), -EBUSY);
    EXPECT(mmuext(MMUEXT_NEW_BASEPTR, old, 0), 0);
    EXPECT(page_make_rw(l4), 0);
    CHECK(is_free_of_references(l4));
    page_free(l4);
}

/* The guest asks for no flush: the hypervisor must not rely on one. */
TEST(no_stale_writable_translation_of_a_table)
{
    uint64_t *table = page_alloc();
    struct trap_record record;

    for (unsigned int i = 0; i < 8; i++) {
        table[0] = 0;
        WRITE_ONCE(table[1], 0); /* the translation is in the TLB now */
        EXPECT(hyper_update_va(table, pte_of(table, PTE_RO_PAGE), UVMF_NONE), 0);
        EXPECT(pin(2, table), 0);
        CHECK(!probe_write(&table[1], pte_of(kernel_l4, PTE_TABLE), &record));
        EXPECT(table[1], 0);
        EXPECT(unpin(table), 0);
        EXPECT(page_make_rw(table), 0);
    }
    page_free(table);
}

TEST(machine_to_physical_entries_of_others_are_not_ours_to_set)
{
    void *page = page_alloc();
    uint64_t mfn = virt_to_mfn(page), pfn = virt_to_pfn(page);

    EXPECT(MACHINE_TO_PHYS[mfn], pfn);
    EXPECT(mmu_update(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 0x4321), 0);
    EXPECT(MACHINE_TO_PHYS[mfn], 0x4321);
    EXPECT(mmu_update(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, pfn), 0);
    EXPECT(mmu_update(1ul << 45 | MMU_MACHPHYS_UPDATE, pfn), -EINVAL);
    page_free(page);
}

TEST(the_machine_to_physical_table_is_read_only)
{
    struct trap_record record;

    CHECK(!probe_write((void *)(uintptr_t)&MACHINE_TO_PHYS[virt_to_mfn(user_data)], 0, &record));
    EXPECT(record.regs.vector, 14);
}

TEST(the_rest_of_the_hypervisors_range_is_unreadable)
{
    struct trap_record record;
    uint64_t value;

    for (uint64_t va = 0xffff808000000000; va < 0xffff880000000000; va += 1ul << 30) {
        if (probe_read((void *)va, &value, &record)) {
            FAIL("read %lx at %lx", value, va);
            return;
        }
    }
}

/* ---- writes to tables that the hypervisor carries out ---- */

TEST(a_direct_write_is_carried_out)
{
    uint64_t *page = page_alloc();
    uint64_t a = pte_of(page, PTE_RW_PAGE), old = 0, b = pte_of(page, PTE_RO_PAGE);
    uint8_t was;

    WRITE_ONCE(l1_of_va[5], a);
    EXPECT(entry_of(5), a);
    old = __atomic_exchange_n(&l1_of_va[5], b, __ATOMIC_SEQ_CST);
    EXPECT(old & ~(PTE_G | 1ul << 52), a);
    EXPECT(entry_of(5), b);
    old = READ_ONCE(l1_of_va[5]);
    CHECK(__atomic_compare_exchange_n(&l1_of_va[5], &old, a, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST));
    old = 5;
    CHECK(!__atomic_compare_exchange_n(&l1_of_va[5], &old, b, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST));
    EXPECT(old, l1_of_va[5]);
    __asm__ volatile("lock btrq $1, %0; setc %1" : "+m"(l1_of_va[5]), "=r"(was)::"cc");
    EXPECT(was, 1);
    EXPECT(entry_of(5), b);
    __asm__ volatile("lock andb $0xfb, %0" : "+m"(*(uint8_t *)&l1_of_va[5]));
    EXPECT(entry_of(5), b); /* the user bit comes back */
    __asm__ volatile("lock orb $2, %0" : "+m"(*(uint8_t *)&l1_of_va[5]));
    EXPECT(entry_of(5), a);
    WRITE_ONCE(l1_of_va[5], 0);
    EXPECT(l1_of_va[5], 0);
    CHECK(is_free_of_references(page));
    page_free(page);
}

TEST(a_bad_direct_write_faults)
{
    struct trap_record record;

    CHECK(!probe_write(&l1_of_va[5], pte_of(kernel_l4, PTE_RW_PAGE), &record));
    EXPECT(record.regs.vector, 14);
    EXPECT(record.regs.error, 3);
    EXPECT(record.cr2, &l1_of_va[5]);
    EXPECT(l1_of_va[5], 0);
}

TEST(a_direct_write_to_an_upper_table_faults)
{
    struct trap_record record;
    uint64_t *l2 = pt_entry(kernel_l4, VA(0), 2);

    CHECK(!probe_write(l2 + 3, 0, &record));
    EXPECT(record.regs.vector, 14);
    CHECK(!probe_write(&kernel_l4[30], 0, &record));
}

/* ---- frames that are not the domain's ---- */

static bool is_ours(uint64_t mfn)
{
    uint64_t pfn = MACHINE_TO_PHYS[mfn];

    return pfn < start_info->nr_pages && ((uint64_t *)start_info->mfn_list)[pfn] == mfn;
}

/* The frame of our own grant table, which may be mapped. */
static xen_pfn_t grant_frame(void)
{
    xen_pfn_t frame = ~0ul;
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };

    set_xen_guest_handle(setup.frame_list, &frame);
    hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, &setup, 1);
    return frame;
}

/* RAM above the first megabyte: what the domain has, and no other frame, can be mapped. */
TEST(no_frame_of_another_is_mapped)
{
    unsigned int nr_bad = 0, nr_refused = 0;
    uint64_t granted = grant_frame();

    for (uint64_t mfn = 0x100; mfn < 0x3ffe0; mfn++) {
        uint64_t pfn;
        struct trap_record record;

        if (mfn == start_info->shared_info >> PAGE_SHIFT || mfn == granted ||
            (probe_read(&MACHINE_TO_PHYS[mfn], &pfn, &record) && is_ours(mfn))) {
            continue;
        }
        if (map(0, mfn << PAGE_SHIFT | PTE_RW_PAGE) == 0) {
            print("frame %lx is mapped\n", mfn);
            nr_bad++;
        } else {
            nr_refused++;
        }
    }
    EXPECT(nr_bad, 0);
    CHECK(nr_refused > 0x10000);
    EXPECT(map(0, 0), 0);
}

TEST(device_memory_of_the_hypervisor_is_refused)
{
    EXPECT(map(0, 0xfee00000 | PTE_RW_PAGE), -EPERM);
    EXPECT(map(0, 0xfec00000 | PTE_RW_PAGE), 0);
    EXPECT(l1_of_va[0] & PTE_RW, 0); /* read-only all the same */
    EXPECT(map(0, 0xfec00000 | PTE_RO_PAGE), 0);
    EXPECT(map(0, 0xb8000 | PTE_RW_PAGE), 0);
    EXPECT(map(0, 0), 0);
}

TEST(foreign_domains_are_checked)
{
    struct mmu_update request = { .ptr = virt_to_machine(&l1_of_va[0]), .val = 0 };

    EXPECT(hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, 77), -ESRCH);
    EXPECT(hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, 78ul << 16), -ESRCH);
    EXPECT(hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, DOMID_IO), 0);
    EXPECT(hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, DOMID_XEN), 0);
    request.val = pte_of(user_data, PTE_RW_PAGE);
    EXPECT(hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, DOMID_XEN), -EBUSY);
    EXPECT(map(0, 0), 0);
}
