/* SPDX-License-Identifier: MIT */
/*
 * Ways by which guests have got the better of hypervisors, from the public
 * record: each must end in an error, and the guest and the hypervisor go on.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define FIRST_PFN 0x8000ul

static struct trap_record record;

static long current(void)
{
    domid_t self = DOMID_SELF;

    return hyper_memory(XENMEM_current_reservation, &self);
}

static long set_entry(uint64_t *entry, uint64_t value)
{
    return mmu_update(virt_to_machine(entry), value);
}

/* A change of flags alone must be checked as a new entry is (superpage bit, 2015). */
TEST(flags_are_checked_in_an_unchanged_entry)
{
    uint64_t *l1, *l2, *l3;

    pt_map(kernel_l4, FREE_VA, 0);
    l1 = pt_entry(kernel_l4, FREE_VA, 1);
    l2 = pt_entry(kernel_l4, FREE_VA, 2);
    l3 = pt_entry(kernel_l4, FREE_VA, 3);
    CHECK(set_entry(l2, *l2 | PTE_PSE) < 0);
    CHECK(set_entry(l3, *l3 | PTE_PSE) < 0);
    CHECK(set_entry(l2, *l2 | 1ul << 51) < 0);
    EXPECT(set_entry(l1, pte_of(l1, PTE_RO_PAGE)), 0);
    CHECK(set_entry(l1, pte_of(l1, PTE_RW_PAGE)) < 0);
    CHECK(mmu_update(virt_to_machine(l1) | MMU_PT_UPDATE_PRESERVE_AD, pte_of(l1, PTE_RW_PAGE)) < 0);
    CHECK(!probe_write((uint64_t *)FREE_VA + 1, pte_of(l1, PTE_RW_PAGE), &record));
    CHECK(!probe_write((uint64_t *)l1, pte_of(l1, PTE_RW_PAGE), &record)); /* emulated: refused */
    EXPECT(set_entry(l1, 0), 0);
}

/* A table that maps itself, first read-only, then by a change of one bit writable (2016). */
TEST(a_linear_table_does_not_become_writable)
{
    long rc = set_entry(&kernel_l4[30], pte_of(kernel_l4, PTE_RO_PAGE));
    uint64_t self = 30ul << 39 | 30ul << 30 | 30ul << 21 | 30ul << 12;

    CHECK(set_entry(&kernel_l4[30], pte_of(kernel_l4, PTE_TABLE)) < 0);
    CHECK(mmu_update(virt_to_machine(&kernel_l4[30]) | MMU_PT_UPDATE_PRESERVE_AD,
                     pte_of(kernel_l4, PTE_TABLE)) < 0);
    if (rc == 0) {
        CHECK(!probe_write((uint64_t *)self, 0, &record));
        EXPECT(set_entry(&kernel_l4[30], 0), 0);
    }
}

/* The place for results is counted on from where the caller says it was (2017). */
TEST(an_exchange_writes_nowhere_else)
{
    static xen_pfn_t in[1], out[1];
    struct xen_memory_exchange op = {
        .in = { .nr_extents = 1, .domid = DOMID_SELF },
        .out = { .nr_extents = 1, .domid = DOMID_SELF },
    };

    in[0] = ((uint64_t *)start_info->mfn_list)[FIRST_PFN];
    set_xen_guest_handle(op.in.extent_start, in);
    set_xen_guest_handle(op.out.extent_start, (xen_pfn_t *)0xffff830000000000);
    CHECK(hyper_memory(XENMEM_exchange, &op) < 0);
    set_xen_guest_handle(op.out.extent_start, out);
    op.nr_exchanged = (0xffff830000000000 - (uint64_t)out) / 8;
    CHECK(hyper_memory(XENMEM_exchange, &op) < 0);
    set_xen_guest_handle(op.out.extent_start, (xen_pfn_t *)8);
    op.nr_exchanged = 0xffff830000000000 / 8 - 1;
    CHECK(hyper_memory(XENMEM_exchange, &op) < 0);
    EXPECT(MACHINE_TO_PHYS[in[0]], FIRST_PFN);
    EXPECT(current(), start_info->nr_pages);
}

/* What a vCPU uses is given back under it. */
TEST(a_gdt_that_is_given_back)
{
    uint64_t *gdt = page_alloc(), mfn = virt_to_mfn(gdt);
    struct xen_memory_reservation reservation = { .nr_extents = 1, .domid = DOMID_SELF };
    long before = current();

    page_make_ro(gdt);
    EXPECT(hyper_set_gdt(&mfn, 512), 0);
    EXPECT(hyper_update_va(gdt, 0, UVMF_INVLPG), 0);
    set_xen_guest_handle(reservation.extent_start, &mfn);
    hyper_memory(XENMEM_decrease_reservation, &reservation);
    EXPECT(current(), before); /* still there: it is loaded */
    EXPECT(hyper_set_gdt(NULL, 0), 0);
    EXPECT(current(), before - 1);
}

TEST(a_pinned_table_that_is_given_back)
{
    uint64_t *l1 = page_alloc(), mfn = virt_to_mfn(l1);
    struct xen_memory_reservation reservation = { .nr_extents = 1, .domid = DOMID_SELF };
    long before = current();

    EXPECT(hyper_update_va(l1, 0, UVMF_INVLPG), 0);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), 0);
    set_xen_guest_handle(reservation.extent_start, &mfn);
    hyper_memory(XENMEM_decrease_reservation, &reservation);
    EXPECT(current(), before);
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
    EXPECT(current(), before - 1);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0) < 0);
}

/* A page that holds a vCPU's shared state goes away with events still to come. */
TEST(a_vcpu_info_that_is_given_back)
{
    struct vcpu_info *moved = page_alloc();
    uint64_t mfn = virt_to_mfn(moved);
    struct vcpu_register_vcpu_info info = { .mfn = mfn, .offset = 128 };
    struct xen_memory_reservation reservation = { .nr_extents = 1, .domid = DOMID_SELF };
    long before = current(), port;

    if (cpu_count() < 2) {
        return;
    }
    EXPECT(hyper_vcpu(VCPUOP_register_vcpu_info, 1, &info), 0);
    EXPECT(hyper_update_va(moved, 0, UVMF_INVLPG), 0);
    set_xen_guest_handle(reservation.extent_start, &mfn);
    hyper_memory(XENMEM_decrease_reservation, &reservation);
    EXPECT(current(), before); /* the hypervisor holds on to it */
    port = event_bind_ipi(1);
    CHECK(port > 0);
    port_unmask((unsigned int)port);
    EXPECT(event_send((unsigned int)port), 0);
    EXPECT(event_close((unsigned int)port), 0);
}

/* The same of pages that hold queues of events: they stay until a reset. */
TEST(event_pages_that_are_given_back)
{
    void *pages[] = { page_alloc(), page_alloc() };
    xen_pfn_t frames[] = { virt_to_mfn(pages[0]), virt_to_mfn(pages[1]) };
    struct evtchn_init_control init = { .control_gfn = frames[0], .offset = 1024 };
    struct evtchn_expand_array expand = { .array_gfn = frames[1] };
    struct evtchn_reset reset = { .dom = DOMID_SELF };
    struct xen_memory_reservation reservation = { .nr_extents = 2, .domid = DOMID_SELF };
    long before = current(), port;

    EXPECT(hyper_event(EVTCHNOP_init_control, &init), 0);
    EXPECT(hyper_event(EVTCHNOP_expand_array, &expand), 0);
    EXPECT(hyper_update_va(pages[0], 0, UVMF_INVLPG), 0);
    EXPECT(hyper_update_va(pages[1], 0, UVMF_INVLPG), 0);
    set_xen_guest_handle(reservation.extent_start, frames);
    hyper_memory(XENMEM_decrease_reservation, &reservation);
    EXPECT(current(), before);
    for (unsigned int i = 0; i < 100; i++) {
        port = event_bind_ipi(0);
        CHECK(port > 0);
        EXPECT(event_send((unsigned int)port), 0);
    }
    EXPECT(hyper_event(EVTCHNOP_reset, &reset), 0);
    EXPECT(current(), before - 2);
}

/* A mask of vCPUs that cannot be read; the entry is changed or not, nothing else. */
TEST(a_flush_of_vcpus_that_are_none)
{
    uint64_t none[2] = { ~0ul, ~0ul }, pte = pte_of(user_data, PTE_RW_PAGE);
    struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_MULTI };

    CHECK(hyper_update_va(user_data, pte, UVMF_TLB_FLUSH | 0xffff830000000000) <= 0);
    EXPECT(hyper_update_va(user_data, pte, UVMF_TLB_FLUSH | (uint64_t)none), 0);
    set_xen_guest_handle(op.arg2.vcpumask, (const void *)FREE_VA);
    CHECK(hyper_mmuext(&op, 1, NULL) <= 0);
    set_xen_guest_handle(op.arg2.vcpumask, (const void *)none);
    EXPECT(hyper_mmuext(&op, 1, NULL), 0);
    EXPECT(mmuext(MMUEXT_INVLPG_LOCAL, 0xffff830000000000, 0), 0);
    EXPECT(mmuext(MMUEXT_INVLPG_ALL, 0x800000000000, 0), 0);
}

/* System calls with flags that the entry must clear: nested task, trap, alignment. */
user_code static void user_odd_flags(void)
{
    __asm__ volatile("pushf; orl $0x44100, (%rsp); popf; syscall; ud2");
}

TEST(odd_flags_at_a_system_call)
{
    struct regs regs;

    for (unsigned int i = 0; i < 10; i++) {
        user_regs(&regs, user_odd_flags);
        user_run(&regs);
        while (regs.vector == 1) { /* the step over popf */
            hyper_set_debugreg(6, 0);
            user_run(&regs);
        }
        EXPECT(regs.vector, ENTRY_SYSCALL);
        EXPECT(regs.rflags & 0x44100, 0x44100);
    }
}

/* Instructions that are carried out are read twice: by the processor and by its helper. */
static void run_at_page_end(void *arg)
{
    ((void (*)(void))arg)();
}

TEST(an_instruction_that_ends_in_an_unmapped_page)
{
    uint8_t *page = page_alloc();
    uint64_t va = FREE_VA + 0x200000;

    pt_map(kernel_l4, va, pte_of(page, PTE_RW_PAGE));
    page[4094] = 0x66; /* a prefix, then the rest is missing */
    page[4095] = 0xed;
    CHECK(trap_try(run_at_page_end, (void *)(va + 4095), &record)); /* in, then runs on */
    EXPECT(record.regs.vector == 14 || record.regs.vector == 13, 1);
    page[4094] = 0x0f;
    page[4095] = 0x0f;
    CHECK(trap_try(run_at_page_end, (void *)(va + 4095), &record));
    EXPECT(record.regs.vector, 14);
    EXPECT(record.cr2, va + 4096);
    EXPECT(hyper_update_va(va, 0, UVMF_INVLPG), 0);
    page_free(page);
}
