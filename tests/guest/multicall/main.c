/* SPDX-License-Identifier: MIT */
/*
 * Batches of hypercalls: each entry has its own result, an error stops nothing,
 * and what may not be part of a batch is refused without harm.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

static struct multicall_entry calls[64];

static void set_call(unsigned int n, unsigned long op, unsigned long a, unsigned long b)
{
    calls[n] = (struct multicall_entry){ .op = op, .args = { a, b }, .result = 0x5555 };
}

TEST(results_are_told_for_each_entry)
{
    for (unsigned int i = 0; i < 64; i++) {
        set_call(i, __HYPERVISOR_xen_version, i & 1 ? XENVER_version : 77, 0);
    }
    EXPECT(hyper_multicall(calls, 64), 0);
    for (unsigned int i = 0; i < 64; i++) {
        EXPECT(calls[i].result, i & 1 ? 4 << 16 | 17 : -ENOSYS);
    }
}

TEST(an_unknown_call_stops_nothing)
{
    set_call(0, 1000, 0, 0);
    set_call(1, ~0ul, 0, 0);
    set_call(2, __HYPERVISOR_xen_version, XENVER_version, 0);
    EXPECT(hyper_multicall(calls, 3), 0);
    EXPECT(calls[0].result, -ENOSYS);
    EXPECT(calls[1].result, -ENOSYS);
    EXPECT(calls[2].result, 4 << 16 | 17);
}

TEST(arguments_are_the_entrys_own)
{
    uint64_t *page = page_alloc();
    struct mmu_update request = { .ptr = virt_to_machine(&page[9]), .val = 0x77 };
    unsigned int done = 99;

    calls[0] = (struct multicall_entry){
        .op = __HYPERVISOR_mmu_update,
        .args = { (unsigned long)&request, 1, (unsigned long)&done, DOMID_SELF },
    };
    EXPECT(hyper_multicall(calls, 1), 0);
    EXPECT(calls[0].result, 0);
    EXPECT(done, 1);
    EXPECT(page[9], 0x77);
    page_free(page);
}

TEST(a_batch_within_a_batch_is_refused)
{
    struct multicall_entry inner = { .op = __HYPERVISOR_xen_version, .result = 0x5555 };

    set_call(0, __HYPERVISOR_multicall, (unsigned long)&inner, 1);
    set_call(1, __HYPERVISOR_multicall, (unsigned long)calls, 2);
    set_call(2, __HYPERVISOR_xen_version, XENVER_version, 0);
    EXPECT(hyper_multicall(calls, 3), 0);
    EXPECT(calls[0].result, -EINVAL);
    EXPECT(calls[1].result, -EINVAL);
    EXPECT(calls[2].result, 4 << 16 | 17);
    EXPECT(inner.result, 0x5555);
}

TEST(a_batch_that_is_read_only_ends_with_an_error)
{
    struct multicall_entry *entries = page_alloc();

    entries[0].op = __HYPERVISOR_xen_version;
    page_make_ro(entries);
    EXPECT(hyper_multicall(entries, 1), -EFAULT);
    page_make_rw(entries);
    page_free(entries);
}

TEST(a_batch_that_ends_at_an_unmapped_page)
{
    struct multicall_entry *page = page_alloc(), *last;

    pt_map(kernel_l4, FREE_VA, pte_of(page, PTE_RW_PAGE));
    last = (struct multicall_entry *)(FREE_VA + PAGE_SIZE) - 1;
    last->op = __HYPERVISOR_xen_version;
    last->args[0] = XENVER_version;
    EXPECT(hyper_multicall(last, 1), 0);
    EXPECT(last->result, 4 << 16 | 17);
    last->result = 0x5555;
    EXPECT(hyper_multicall(last, 2), -EFAULT);
    EXPECT(last->result, 4 << 16 | 17); /* the first was carried out */
    EXPECT(hyper_update_va(FREE_VA, 0, UVMF_INVLPG), 0);
    page_free(page);
}

/* The entry's own memory loses its mapping while the batch is carried out. */
TEST(a_batch_that_unmaps_itself)
{
    struct multicall_entry *page = page_alloc(), *entries = (void *)FREE_VA;

    pt_map(kernel_l4, FREE_VA, pte_of(page, PTE_RW_PAGE));
    entries[0] = (struct multicall_entry){ .op = __HYPERVISOR_update_va_mapping,
                                           .args = { FREE_VA, 0, UVMF_INVLPG } };
    entries[1].op = __HYPERVISOR_xen_version;
    EXPECT(hyper_multicall(entries, 2), -EFAULT);
    page_free(page);
}

/* It leaves the batch: what follows is not carried out, and rax is the frame's. */
TEST(a_return_from_an_exception_ends_the_batch)
{
    unsigned long rax = __HYPERVISOR_multicall, list = (unsigned long)calls, nr = 3,
                  cs = FLAT_KERNEL_CS & ~3;

    set_call(0, __HYPERVISOR_xen_version, XENVER_version, 0);
    set_call(1, __HYPERVISOR_iret, 0, 0);
    set_call(2, __HYPERVISOR_xen_version, XENVER_version, 0);
    /* struct iret_context, from its end. */
    __asm__ volatile(
        "mov %%rsp, %%rdx\n\t"
        "push $%c[ss]; push %%rdx; push $2; push %[cs]; lea 1f(%%rip), %%rcx; push %%rcx\n\t"
        "push $0; push $0x22; push $0x11; push %[value]\n\t"
        "syscall; ud2\n"
        "1:"
        : "+a"(rax), "+D"(list), "+S"(nr)
        : [ss] "i"(FLAT_KERNEL_SS), [cs] "r"(cs), [value] "r"(-85ul)
        : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory");
    EXPECT(rax, -85);
    EXPECT(calls[0].result, 4 << 16 | 17);
    EXPECT(calls[1].result, -85);
    EXPECT(calls[2].result, 0x5555);
}

TEST(events_come_after_a_batch)
{
    long port = event_bind_ipi(0);
    struct evtchn_send send = { .port = (unsigned int)port };

    set_call(0, __HYPERVISOR_event_channel_op, EVTCHNOP_send, (unsigned long)&send);
    set_call(1, __HYPERVISOR_event_channel_op, EVTCHNOP_send, (unsigned long)&send);
    port_unmask((unsigned int)port);
    event_unmask();
    EXPECT(hyper_multicall(calls, 2), 0);
    EXPECT(calls[0].result, 0);
    EXPECT(calls[1].result, 0);
    EXPECT(port_is_pending((unsigned int)port), 0);
    event_mask();
    event_close((unsigned int)port);
}
