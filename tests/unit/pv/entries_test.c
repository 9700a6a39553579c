/* SPDX-License-Identifier: MIT */
/* Single rules of page tables and descriptors, and what they answer; exchanges of frames. */
/* sources: hv/pv/types.c hv/pv/entry.c hv/pv/update.c hv/pv/pin.c hv/pv/descriptors.c
 * hv/mm/page_alloc.c hv/mm/heap.c hv/mm/frame.c hv/mm/frame_use.c hv/domain/memory.c
 * hv/lib/rangeset.c tests/unit/mm/machine.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include <cmocka.h>

#include "domain/memory.h"
#include "mm/m2p.h"
#include "mm/machine.h"
#include "pv/descriptors.h"
#include "pv/mmu.h"
#include "pv/types.h"
#include "x86/paging.h"

int pt_budget = 2048;

#define DEVICE_MFN    (MACHINE_FRAMES + 77)
#define READ_ONLY_MFN (MACHINE_FRAMES + 78)
#define TABLE         (PTE_P | PTE_RW | PTE_US | PTE_A)
#define PAGE          (PTE_P | PTE_US | PTE_A)

static struct domain *guest, *poor; /* the second has no devices */
static struct frame *l4, *l3, *l2, *l1, *data, *foreign;

static struct frame *new_frame(struct domain *d)
{
    return frame_of(memory_alloc(d, 0, 0, ALLOC_ZERO));
}

static uint64_t to(const struct frame *f, uint64_t flags)
{
    return frame_mfn(f).n << PAGE_SHIFT | flags;
}

static uint64_t at(const struct frame *f, unsigned int slot)
{
    return frame_mfn(f).n << PAGE_SHIFT | slot * 8;
}

static int update(uint64_t ptr, uint64_t val)
{
    struct mmu_rights rights = { guest, guest->id };
    struct mmu_update request = { ptr, val };
    uint32_t done = 7;
    int rc = mmu_update_batch(&rights, &request, 1, &done);

    assert_int_equal(done, rc == 0);
    return rc;
}

/* A tree of one table a level, pinned and loaded: slot 5 everywhere. */
static int set_up(void **state)
{
    machine_init();
    mmu_init();
    guest = machine_domain(1, 1);
    poor = machine_domain(2, 1);
    host_cpu.curr = guest->vcpus[0];
    assert_int_equal(rangeset_add(&guest->iomem, DEVICE_MFN, DEVICE_MFN), 0);
    rangeset_init(&guest->iomem_ro, guest->iomem.alloc, 8);
    assert_int_equal(rangeset_add(&guest->iomem_ro, READ_ONLY_MFN, READ_ONLY_MFN), 0);
    l4 = new_frame(guest);
    l3 = new_frame(guest);
    l2 = new_frame(guest);
    l1 = new_frame(guest);
    data = new_frame(guest);
    foreign = new_frame(poor);
    pt_of(l4)[5] = to(l3, TABLE);
    pt_of(l3)[5] = to(l2, TABLE);
    pt_of(l2)[5] = to(l1, TABLE);
    assert_int_equal(mmu_pin(guest, frame_mfn(l4), 4), 0);
    assert_int_equal(mmu_set_kernel_table(guest->vcpus[0], frame_mfn(l4)), 0);
    return 0;
}

static void entries_answer_as_the_interface_says(void **state)
{
    const struct {
        const struct frame *table;
        uint64_t val;
        int rc;
    } cases[] = {
        { l1, to(data, PAGE | PTE_RW), 0 },
        { l1, to(data, PAGE | PTE_RW | PTE_PCD), 0 },
        { l1, to(data, PAGE | PTE_NX | 0x7full << 52 | 7ull << 9), 0 },
        { l1, to(l2, PAGE), 0 },
        { l1, to(l2, PAGE | PTE_RW), -EBUSY },
        { l1, to(l1, PAGE | PTE_RW), -EBUSY },
        { l1, to(foreign, PAGE), -EBUSY },
        { l1, PAGE | 3ull << PAGE_SHIFT, -EBUSY }, /* the hypervisor's */
        { l1, PAGE | 1ull << 45, -EPERM },
        { l1, PAGE | PTE_RW | DEVICE_MFN << PAGE_SHIFT, 0 },
        { l1, PAGE | PTE_RW | PTE_PCD | DEVICE_MFN << PAGE_SHIFT, 0 },
        { l1, PAGE | (DEVICE_MFN + 9) << PAGE_SHIFT, -EPERM },
        { l1, 0xdead0000 & ~PTE_P, 0 },
        { l2, to(data, TABLE | PTE_PS), -EINVAL },
        { l2, to(data, TABLE | PTE_PCD), -EINVAL },
        { l2, to(l2, TABLE), -EINVAL },
        { l2, to(l3, TABLE), -EINVAL },
        { l2, to(foreign, TABLE), -EINVAL },
        { l2, DEVICE_MFN << PAGE_SHIFT | TABLE, -EINVAL },
        { l2, 1ull << 45 | TABLE, -EINVAL },
        { l3, to(l1, TABLE), -EINVAL },
        { l3, to(l2, TABLE), 0 },
        { l4, to(l4, TABLE), -EINVAL },
        { l4, to(l3, TABLE | PTE_PS), -EINVAL },
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t *entry = &pt_of(cases[i].table)[9], refs = data->ref;
        int rc = update(at(cases[i].table, 9), cases[i].val);

        if (rc != cases[i].rc) {
            fail_msg("case %u: %d, not %d", i, rc, cases[i].rc);
        }
        if (rc == 0 && (cases[i].val & PTE_P)) {
            assert_int_equal(*entry, cases[i].val);
        }
        assert_int_equal(update(at(cases[i].table, 9), 0), 0);
        assert_int_equal(*entry, 0);
        assert_int_equal(data->ref, refs);
    }
}

static void a_stored_entry_is_for_ring_3_and_not_global(void **state)
{
    assert_int_equal(update(at(l1, 1), to(data, PTE_P | PTE_G)), 0);
    assert_int_equal(pt_of(l1)[1], to(data, PTE_P | PTE_US));
    assert_int_equal(update(at(l1, 1), 0), 0);
}

static void some_device_memory_is_shown_but_never_writable(void **state)
{
    assert_int_equal(update(at(l1, 1), READ_ONLY_MFN << PAGE_SHIFT | PAGE | PTE_RW), 0);
    assert_int_equal(pt_of(l1)[1], READ_ONLY_MFN << PAGE_SHIFT | PAGE);
    assert_int_equal(update(at(l1, 1), READ_ONLY_MFN << PAGE_SHIFT | PAGE | PTE_RW | PTE_D), 0);
    assert_int_equal(pt_of(l1)[1] & PTE_RW, 0);
    assert_int_equal(update(at(l1, 1), 0), 0);
}

static void a_poor_domain_has_no_cache_attributes(void **state)
{
    struct frame *table = new_frame(poor);

    pt_of(table)[0] = to(foreign, PAGE | PTE_RW | PTE_PWT);
    assert_int_equal(mmu_pin(poor, frame_mfn(table), 1), -EINVAL);
    assert_int_equal(mmu_drain(poor), 0);
    pt_of(table)[0] &= ~PTE_PWT;
    assert_int_equal(mmu_pin(poor, frame_mfn(table), 1), 0);
    assert_int_equal(mmu_unpin(poor, frame_mfn(table)), 0);
    assert_int_equal(mmu_drain(poor), 0);
    assert_int_equal(memory_free(poor, frame_mfn(table)), 0);
}

static void the_hypervisors_slots_are_filled_and_closed(void **state)
{
    for (unsigned int i = LAYOUT_SLOT_FIRST; i <= LAYOUT_SLOT_LAST; i++) {
        assert_int_equal(pt_of(l4)[i], hv_l4[i]);
        assert_int_equal(update(at(l4, i), 0), -EINVAL);
        assert_int_equal(update(at(l4, i), to(l3, TABLE)), -EINVAL);
    }
}

static void accessed_and_dirty_are_kept_on_request_only(void **state)
{
    assert_int_equal(update(at(l1, 1), to(data, PAGE | PTE_RW | PTE_D)), 0);
    assert_int_equal(update(at(l1, 1) | MMU_PT_UPDATE_PRESERVE_AD, to(data, PTE_P | PTE_US)), 0);
    assert_int_equal(pt_of(l1)[1], to(data, PAGE | PTE_D));
    assert_int_equal(frame_type(data), FT_NONE);
    assert_int_equal(update(at(l1, 1), to(data, PTE_P | PTE_US)), 0);
    assert_int_equal(pt_of(l1)[1], to(data, PTE_P | PTE_US));
    assert_int_equal(update(at(l1, 1), 0), 0);
}

static void requests_of_unknown_kind_are_refused(void **state)
{
    for (unsigned int cmd = 4; cmd < 8; cmd++) {
        assert_int_equal(update(at(l1, 1) | cmd, 0), -ENOSYS);
    }
}

static void the_m2p_is_the_owners_to_set(void **state)
{
    assert_int_equal(update(at(data, 0) | MMU_MACHPHYS_UPDATE, 123), 0);
    assert_int_equal(m2p_get(frame_mfn(data)), 123);
    assert_int_equal(update(at(foreign, 0) | MMU_MACHPHYS_UPDATE, 123), -EINVAL);
    assert_int_equal(update(3ull << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 123), -EINVAL);
    assert_int_equal(update(DEVICE_MFN << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 123), -EINVAL);
}

static void writes_to_tables_of_any_width_are_merged(void **state)
{
    uint64_t va = 5ull << 39 | 5ull << 30 | 5ull << 21 | 7ull << 12, want = to(data, PAGE);
    struct vcpu *v = guest->vcpus[0];

    assert_int_equal(update(at(l1, 7), to(l1, PAGE)), 0); /* the table sees itself */
    for (unsigned int bytes = 1; bytes <= 8; bytes *= 2) {
        uint64_t mask = bytes == 8 ? ~0ull : (1ull << bytes * 8) - 1;

        /* From the top down, so that the entry becomes present with its last part. */
        for (unsigned int i = 8; i > 0; i -= bytes) {
            uint64_t old = 0, shift = (i - bytes) * 8;
            bool swapped = false;

            assert_int_equal(mmu_write_table(v, va + 30 * 8 + i - bytes, &old, want >> shift & mask,
                                             bytes, &swapped),
                             0);
            assert_true(swapped);
        }
        assert_int_equal(pt_of(l1)[30], want);
        assert_int_equal(update(at(l1, 30), 0), 0);
    }
    assert_int_equal(update(at(l1, 7), 0), 0);
}

static void a_write_that_expects_another_value_gets_the_true_one(void **state)
{
    uint64_t va = 5ull << 39 | 5ull << 30 | 5ull << 21 | 7ull << 12, old = 1;
    bool swapped = true;

    assert_int_equal(update(at(l1, 7), to(l1, PAGE)), 0);
    assert_int_equal(update(at(l1, 30), to(data, PAGE)), 0);
    assert_int_equal(mmu_write_table(guest->vcpus[0], va + 30 * 8, &old, 0, 8, &swapped), 0);
    assert_false(swapped);
    assert_int_equal(old, to(data, PAGE));
    assert_int_equal(mmu_write_table(guest->vcpus[0], va + (1 << 12), &old, 0, 8, &swapped),
                     -EFAULT);
    assert_int_equal(update(at(l1, 30), 0), 0);
    assert_int_equal(update(at(l1, 7), 0), 0);
}

static void processor_notes_an_access(void)
{
    pt_of(l1)[30] |= PTE_A;
}

/* Between taking what the new value needs and the exchange: @data was a table, so CPUs must flush.
 */
static void a_write_that_the_processor_beats_leaves_no_trace(void **state)
{
    uint64_t va = 5ull << 39 | 5ull << 30 | 5ull << 21 | 7ull << 12;
    uint64_t was = to(l2, PAGE & ~PTE_A), old = was, want = to(data, PAGE | PTE_RW);
    bool swapped = true;

    assert_int_equal(mmu_pin(guest, frame_mfn(data), 1), 0);
    assert_int_equal(mmu_unpin(guest, frame_mfn(data)), 0);
    assert_int_equal(mmu_drain(guest), 0);
    cpumask_set(&guest->dirty_cpus, 0);
    assert_int_equal(update(at(l1, 7), to(l1, PAGE)), 0);
    assert_int_equal(update(at(l1, 30), was), 0);

    machine_while_flushing = processor_notes_an_access;
    assert_int_equal(mmu_write_table(guest->vcpus[0], va + 30 * 8, &old, want, 8, &swapped), 0);
    machine_while_flushing = NULL;
    assert_false(swapped);
    assert_int_equal(old, was | PTE_A);
    assert_int_equal(pt_of(l1)[30], was | PTE_A);
    assert_int_equal(frame_type(data), FT_NONE);
    assert_int_equal((data->ref & FRAME_REF_MASK) / FRAME_REF_ONE, 1);

    assert_int_equal(mmu_write_table(guest->vcpus[0], va + 30 * 8, &old, want, 8, &swapped), 0);
    assert_true(swapped);
    assert_int_equal(frame_type(data), FT_WRITABLE);
    assert_int_equal((data->ref & FRAME_REF_MASK) / FRAME_REF_ONE, 2);
    assert_int_equal(update(at(l1, 30), 0), 0);
    assert_int_equal(update(at(l1, 7), 0), 0);
}

static void descriptors_give_no_privilege(void **state)
{
    static const struct {
        uint64_t in, out;
        bool is_ok;
    } cases[] = {
        { 0, 0, true },
        { 0x0000890000000067, 0, false },                 /* task state */
        { 0x0000820000000067, 0, false },                 /* LDT */
        { 0x00008e0000000000, 0, false },                 /* interrupt gate */
        { 0x00008f0000000000, 0, false },                 /* trap gate */
        { 0x0000050000000067, 0x0000050000000067, true }, /* not present: whatever it likes */
        { 0x00af9a000000ffff, 0x00affa000000ffff, true }, /* code, DPL 0 */
        { 0x00cf92000000ffff, 0x00cff2000000ffff, true }, /* data, DPL 0 */
        { 0x00cfb2000000ffff, 0x00cff2000000ffff, true }, /* data, DPL 1 */
        { 0x0000ec0000000000, 0x00008c0000000000, true }, /* call gate, DPL 3 */
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t d = cases[i].in;

        assert_int_equal(pv_fix_descriptor(&d), cases[i].is_ok);
        if (cases[i].is_ok) {
            assert_int_equal(d, cases[i].out);
        }
    }
}

static void a_gdt_cannot_be_written_while_in_use(void **state)
{
    struct frame *gdt = new_frame(guest);
    uint64_t mfn = frame_mfn(gdt).n;

    assert_int_equal(update(at(l1, 1), to(gdt, PAGE | PTE_RW)), 0);
    assert_int_equal(pv_set_gdt(guest->vcpus[0], &mfn, 512), -EINVAL);
    assert_int_equal(update(at(l1, 1), to(gdt, PAGE)), 0);
    assert_int_equal(pv_set_gdt(guest->vcpus[0], &mfn, 512), 0);
    assert_int_equal(update(at(l1, 1), to(gdt, PAGE | PTE_RW)), -EBUSY);
    assert_int_equal(pv_update_descriptor(guest, at(gdt, 3), 0x00cf92000000ffff), 0);
    assert_int_equal(pt_of(gdt)[3], 0x00cff2000000ffff);
    assert_int_equal(pv_update_descriptor(guest, at(gdt, 3), 0x0000890000000067), -EINVAL);
    assert_int_equal(pv_update_descriptor(guest, at(l1, 3), 0), -EINVAL);
    assert_int_equal(pv_update_descriptor(guest, at(foreign, 3), 0), -EINVAL);
    assert_int_equal(pv_set_gdt(guest->vcpus[0], NULL, 0), 0);
    assert_int_equal(update(at(l1, 1), to(gdt, PAGE | PTE_RW)), 0);
    assert_int_equal(update(at(l1, 1), 0), 0);
}

static void an_exchange_is_all_or_nothing(void **state)
{
    uint64_t in[4], out[1], pages = guest->nr_pages;
    struct memory_blocks give = { in, 4, 0 }, take = { out, 1, 2 };

    for (unsigned int i = 0; i < 4; i++) {
        in[i] = frame_mfn(new_frame(guest)).n;
    }
    assert_int_equal(update(at(l1, 1), in[3] << PAGE_SHIFT | PAGE), 0);
    assert_int_equal(memory_exchange(guest, &give, &take, 0), -EINVAL);
    for (unsigned int i = 0; i < 4; i++) {
        assert_int_equal(frame_of(MFN(in[i]))->ref & ~FRAME_REF_MASK,
                         FRAME_ALLOCATED | FRAME_WRITTEN | guest->id);
    }
    assert_int_equal(update(at(l1, 1), 0), 0);
    assert_int_equal(memory_exchange(guest, &give, &take, 13), -ENOMEM);
    assert_int_equal(memory_exchange(guest, &give, &take, 25), 0);
    assert_int_equal(guest->nr_pages, pages + 4);
    assert_int_equal(out[0] % 4, 0);
    assert_true(out[0] + 4 <= 1ull << 13);
    for (unsigned int i = 0; i < 4; i++) {
        assert_int_equal(frame_of(MFN(out[0] + i))->ref,
                         FRAME_ALLOCATED | FRAME_WRITTEN | FRAME_REF_ONE | guest->id);
        assert_int_equal(memory_free(guest, MFN(in[i])), -EINVAL);
        assert_int_equal(memory_free(guest, MFN(out[0] + i)), 0);
    }
    assert_int_equal(guest->nr_pages, pages);
}

static void what_is_shared_to_be_read_is_never_written_for_a_guest(void **state)
{
    void *page = page_alloc_hv();
    struct frame *f = frame_of(virt_to_mfn(page));

    frame_share(page, guest->id, false);
    assert_int_equal(update(at(l1, 1), to(f, PAGE)), 0);
    assert_int_equal(update(at(l1, 1), to(f, PAGE | PTE_RW)), -EBUSY);
    assert_int_equal(update(at(f, 1), 0), -EINVAL);
    assert_int_equal(pv_update_descriptor(guest, at(f, 1), 0), -EINVAL);
    assert_int_equal(mmu_pin(guest, frame_mfn(f), 1), -EINVAL);
    assert_false(frame_get_writable(f, guest->id, &guest->dirty_cpus, 0));
    frame_unshare(page);
    assert_false(f->ref & FRAME_FREE);
    assert_int_equal(update(at(l1, 1), 0), 0);
    assert_true(f->ref & FRAME_FREE || !(f->ref & FRAME_REF_MASK));
}

/* With a TiB of RAM the links of free frames reach into the bits of the type. */
static void a_free_frame_is_no_table_whatever_its_words_look_like(void **state)
{
    mfn_t mfn = pages_alloc(0, 0, 0);
    struct frame *f = frame_of(mfn);
    uint64_t *memory = pt_of(f);

    memory[1] = 0;
    *f = (struct frame){ .ref = FRAME_FREE | guest->id,
                         .type = frame_type_word(FT_L1, FRAME_VALIDATED | FRAME_PINNED, 0, 1) };
    assert_int_equal(update(at(f, 1), to(data, PAGE)), -EINVAL);
    assert_int_equal(memory[1], 0);
    assert_int_equal(mmu_unpin(guest, mfn), -EINVAL);
    assert_int_equal(mmu_pin(guest, mfn, 1), -EINVAL);
    *f = (struct frame){ 0 };
    pages_free(mfn, 0);
}

static void a_limit_is_a_limit(void **state)
{
    guest->max_pages = guest->nr_pages + 3;
    assert_int_equal(memory_alloc(guest, 2, 0, 0).n, MFN_INVALID.n);
    guest->max_pages++;
    mfn_t got = memory_alloc(guest, 2, 0, 0);

    assert_true(frame_valid(got));
    assert_int_equal(memory_alloc(guest, 0, 0, 0).n, MFN_INVALID.n);
    guest->max_pages = ~0ull;
    for (unsigned int i = 0; i < 4; i++) {
        assert_int_equal(memory_free(guest, MFN(got.n + i)), 0);
    }
}

/* --- another CPU makes a frame writable while it is made a table --- */

static struct frame *contended;
static bool writer_stops;

static int writer(void *arg)
{
    uint64_t *page = pt_of(contended), n = 0;

    while (!__atomic_load_n(&writer_stops, __ATOMIC_ACQUIRE)) {
        if (frame_get_writable(contended, guest->id, &cpus_online, FRAME_FOREIGN)) {
            __atomic_store_n(&page[0], ++n << PAGE_SHIFT, __ATOMIC_SEQ_CST);
            __atomic_store_n(&page[0], 0, __ATOMIC_SEQ_CST);
            frame_put_writable(contended);
        }
    }
    return 0;
}

static void nobody_writes_to_what_is_a_table(void **state)
{
    unsigned int pinned = 0;
    thrd_t thread;

    contended = new_frame(guest);
    assert_int_equal(thrd_create(&thread, writer, NULL), thrd_success);
    for (unsigned int i = 0; i < 200000; i++) {
        if (mmu_pin(guest, frame_mfn(contended), 1) != 0) {
            continue;
        }
        pinned++;
        for (unsigned int k = 0; k < 20; k++) {
            assert_int_equal(__atomic_load_n(&pt_of(contended)[0], __ATOMIC_SEQ_CST), 0);
        }
        assert_int_equal(mmu_unpin(guest, frame_mfn(contended)), 0);
        assert_int_equal(mmu_drain(guest), 0);
    }
    __atomic_store_n(&writer_stops, true, __ATOMIC_RELEASE);
    thrd_join(thread, NULL);
    assert_int_not_equal(pinned, 0);
    assert_int_equal(contended->ref, FRAME_ALLOCATED | FRAME_WRITTEN | FRAME_REF_ONE | guest->id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_answer_as_the_interface_says),
        cmocka_unit_test(a_stored_entry_is_for_ring_3_and_not_global),
        cmocka_unit_test(some_device_memory_is_shown_but_never_writable),
        cmocka_unit_test(a_poor_domain_has_no_cache_attributes),
        cmocka_unit_test(the_hypervisors_slots_are_filled_and_closed),
        cmocka_unit_test(accessed_and_dirty_are_kept_on_request_only),
        cmocka_unit_test(requests_of_unknown_kind_are_refused),
        cmocka_unit_test(the_m2p_is_the_owners_to_set),
        cmocka_unit_test(writes_to_tables_of_any_width_are_merged),
        cmocka_unit_test(a_write_that_expects_another_value_gets_the_true_one),
        cmocka_unit_test(a_write_that_the_processor_beats_leaves_no_trace),
        cmocka_unit_test(descriptors_give_no_privilege),
        cmocka_unit_test(a_gdt_cannot_be_written_while_in_use),
        cmocka_unit_test(an_exchange_is_all_or_nothing),
        cmocka_unit_test(what_is_shared_to_be_read_is_never_written_for_a_guest),
        cmocka_unit_test(a_free_frame_is_no_table_whatever_its_words_look_like),
        cmocka_unit_test(a_limit_is_a_limit),
        cmocka_unit_test(nobody_writes_to_what_is_a_table),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
