/* SPDX-License-Identifier: MIT */
/*
 * What a domain builder does to another domain's memory: gives and takes it,
 * claims it, maps it, pins its tables, looks what frames are used for; and that
 * nothing of it is left in the end.
 */
#include "lib/child.h"

#include "event.h"
#include "hypercall.h"
#include "mm.h"

#include <xen/grant_table.h>
#include <xen/sysctl.h>

#define NR_PAGES 64u
#define NOWHERE  0xffffffffful /* a frame number beyond all RAM */

static struct child child;
static xen_pfn_t frames[NR_PAGES];
static struct trap_record record;
static uint64_t free_at_start;

/* ---- helpers ---- */

static struct xen_sysctl_physinfo physinfo(void)
{
    static struct xen_sysctl op;

    op.cmd = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    if (hypercall1(__HYPERVISOR_sysctl, &op)) {
        guest_die("no physinfo");
    }
    return op.u.physinfo;
}

static struct xen_domctl_getdomaininfo info(void)
{
    struct xen_domctl_getdomaininfo i;

    if (domctl_info(child.domid, &i)) {
        guest_die("no information about domain %u", child.domid);
    }
    return i;
}

static long reserve(unsigned int cmd, unsigned long nr, unsigned int order, unsigned int flags)
{
    struct xen_memory_reservation r = {
        .nr_extents = nr, .extent_order = order, .mem_flags = flags, .domid = (domid_t)child.domid
    };

    if (cmd == XENMEM_populate_physmap) {
        for (unsigned long i = 0; i < nr; i++) {
            frames[i] = CHILD_FIRST_PFN + (i << order);
        }
    }
    set_xen_guest_handle(r.extent_start, frames);
    return hyper_memory(cmd, &r);
}

static long claim(unsigned long nr)
{
    struct xen_memory_reservation r = { .nr_extents = nr, .domid = (domid_t)child.domid };

    return hyper_memory(XENMEM_claim_pages, &r);
}

static long max_mem_of(unsigned int domid, uint64_t nr_pages)
{
    struct xen_domctl op = { .u.max_mem.max_memkb = nr_pages * 4 };

    return domctl(&op, XEN_DOMCTL_max_mem, domid);
}

static long max_mem(uint64_t nr_pages)
{
    return max_mem_of(child.domid, nr_pages);
}

static long pin(unsigned int cmd, uint64_t mfn)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = mfn };

    return hypercall4(__HYPERVISOR_mmuext_op, &op, 1, NULL, child.domid);
}

static uint64_t frame_use(uint64_t mfn)
{
    struct xen_domctl op = { .u.getpageframeinfo3.num = 1 };
    xen_pfn_t word = mfn;

    set_xen_guest_handle(op.u.getpageframeinfo3.array, &word);
    EXPECT(domctl(&op, XEN_DOMCTL_getpageframeinfo3, child.domid), 0);
    return word;
}

static void nothing(uint64_t arg)
{
    (void)arg;
}

/* Map frame @mfn of domain @owner at FOREIGN_VA, or with no flags nothing. */
static long map(uint64_t mfn, uint64_t flags, unsigned int owner)
{
    long rc = foreign_map(FOREIGN_VA, mfn, flags, owner);

    return rc ? rc : mmuext(MMUEXT_INVLPG_LOCAL, FOREIGN_VA, 0);
}

/* ---- giving and taking ---- */

TEST(a_limit_cuts_a_list_short)
{
    free_at_start = physinfo().free_pages;
    EXPECT(child_create_empty(&child, 1), 0);
    EXPECT(max_mem(16), 0);
    EXPECT(reserve(XENMEM_populate_physmap, 32, 0, 0), 16);
    EXPECT(info().tot_pages, 16);
    EXPECT(info().max_pages, 16);
    for (unsigned int i = 0; i < 32; i++) {
        if (i < 16 ? MACHINE_TO_PHYS[frames[i]] != CHILD_FIRST_PFN + i
                   : frames[i] != CHILD_FIRST_PFN + i) {
            FAIL("extent %u is %lx", i, frames[i]);
        }
    }
    EXPECT(reserve(XENMEM_populate_physmap, 1, 0, 0), 0);
    EXPECT(reserve(XENMEM_increase_reservation, 1, 0, 0), 0);
}

TEST(frames_are_taken_back)
{
    EXPECT(max_mem(NR_PAGES), 0);
    EXPECT(reserve(XENMEM_populate_physmap, NR_PAGES, 0, 0), 48);
    EXPECT(reserve(XENMEM_decrease_reservation, 40, 0, 0), 40);
    EXPECT(info().tot_pages, 24);
    EXPECT(reserve(XENMEM_decrease_reservation, 40, 0, 0), 0); /* they are nobody's */
    frames[0] = virt_to_mfn(&child);
    EXPECT(reserve(XENMEM_decrease_reservation, 1, 0, 0), 0); /* it is ours */
    frames[0] = NOWHERE;
    EXPECT(reserve(XENMEM_decrease_reservation, 1, 0, 0), 0);
    EXPECT(info().tot_pages, 24);
}

TEST(large_extents_come_and_go)
{
    EXPECT(max_mem(4096), 0);
    EXPECT(reserve(XENMEM_populate_physmap, 2, 9, 0), 2);
    EXPECT(frames[0] % 512, 0);
    EXPECT(MACHINE_TO_PHYS[frames[1] + 511], CHILD_FIRST_PFN + 1023);
    EXPECT(info().tot_pages, 24 + 1024);
    EXPECT(reserve(XENMEM_decrease_reservation, 2, 9, 0), 2);
    EXPECT(info().tot_pages, 24);
    EXPECT(reserve(XENMEM_populate_physmap, 1, 18, 0), 0); /* its limit is less */
    EXPECT(reserve(XENMEM_populate_physmap, 1, 0, XENMEMF_address_bits(12)), 0);
    EXPECT(reserve(XENMEM_populate_physmap, 1, 0, XENMEMF_exact_node(0)), 1);
    EXPECT(reserve(XENMEM_populate_physmap, 1, 0, XENMEMF_address_bits(30)), 1);
    EXPECT(info().tot_pages, 26);
}

TEST(domains_that_are_not_there_have_no_memory)
{
    unsigned int domid = child.domid;

    child.domid = 0x7ef0;
    EXPECT(reserve(XENMEM_populate_physmap, 1, 0, 0), 0);
    EXPECT(claim(10), -EINVAL);
    child.domid = domid;
}

/* ---- claims ---- */

TEST(a_claim_is_told_and_used_up)
{
    EXPECT(claim(26), -EINVAL); /* it has them */
    EXPECT(claim(4097), -EINVAL);
    EXPECT(claim(126), 0);
    EXPECT(info().outstanding_pages, 100);
    EXPECT(physinfo().outstanding_pages, 100);
    EXPECT(claim(226), -EINVAL); /* one at a time */
    EXPECT(reserve(XENMEM_populate_physmap, 30, 0, 0), 30);
    EXPECT(info().outstanding_pages, 70);
    EXPECT(reserve(XENMEM_decrease_reservation, 30, 0, 0), 30);
    EXPECT(info().outstanding_pages, 100); /* what it gives back it may have again */
    EXPECT(claim(0), 0);
    EXPECT(info().outstanding_pages, 0);
    EXPECT(physinfo().outstanding_pages, 0);
}

TEST(what_is_claimed_is_there_for_nobody_else)
{
    struct xen_memory_reservation r = { .nr_extents = 1, .extent_order = 9, .domid = DOMID_SELF };
    uint64_t nr_free = physinfo().free_pages;
    xen_pfn_t mine = 0;

    EXPECT(max_mem(1ul << 30), 0);
    EXPECT(max_mem_of(0, 1ul << 30), 0);
    EXPECT(claim(26 + nr_free + 1000), -ENOMEM);
    EXPECT(claim(26 + nr_free - 300), 0);
    set_xen_guest_handle(r.extent_start, &mine);
    EXPECT(hyper_memory(XENMEM_increase_reservation, &r), 0);
    EXPECT(reserve(XENMEM_populate_physmap, 1, 9, 0), 1);
    EXPECT(reserve(XENMEM_decrease_reservation, 1, 9, 0), 1);
    EXPECT(claim(0), 0);
    EXPECT(hyper_memory(XENMEM_increase_reservation, &r), 1);
    EXPECT(hyper_memory(XENMEM_decrease_reservation, &r), 1);
}

TEST(a_claim_ends_with_its_domain)
{
    EXPECT(claim(1000), 0);
    EXPECT(child_destroy(&child), 0);
    EXPECT(physinfo().outstanding_pages, 0);
}

/* ---- maps ---- */

static void read_map(uint64_t arg)
{
    struct e820 {
        uint64_t start, len;
        uint32_t type;
    } __attribute__((packed)) entries[4] = { { 0 } };
    struct xen_memory_map map = { .nr_entries = 4 };

    (void)arg;
    set_xen_guest_handle(map.buffer, entries);
    child_box[0] = (uint64_t)hyper_memory(XENMEM_memory_map, &map);
    child_box[1] = map.nr_entries;
    child_box[2] = entries[1].len;
    map.nr_entries = 1;
    child_box[3] = (uint64_t)hyper_memory(XENMEM_memory_map, &map);
    child_box[4] = map.nr_entries;
    child_box[5] = (uint64_t)hyper_memory(XENMEM_machine_memory_map, &map);
}

TEST(a_domain_is_told_the_map_it_was_given)
{
    struct xen_foreign_memory_map f = { .map.nr_entries = 2 };
    uint32_t entries[10] = { 0, 0, 0x100000, 0, 1, 0x100000, 0, 0x123000, 0, 1 };

    EXPECT(hyper_memory(XENMEM_memory_map, &f.map), -ENOSYS); /* we were given none */
    EXPECT(child_create(&child, 1, read_map, 0), 0);
    f.domid = (domid_t)child.domid;
    set_xen_guest_handle(f.map.buffer, entries);
    f.map.nr_entries = 100000;
    EXPECT(hyper_memory(XENMEM_set_memory_map, &f), -EINVAL);
    f.map.nr_entries = 2;
    EXPECT(hyper_memory(XENMEM_set_memory_map, &f), 0);
    EXPECT(hyper_memory(XENMEM_set_memory_map, &f), 0);
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child.box[0], 0);
    EXPECT(child.box[1], 2);
    EXPECT(child.box[2], 0x123000);
    EXPECT(child.box[3], 0);
    EXPECT(child.box[4], 1);
    EXPECT(child.box[5], -EPERM);
    EXPECT(child_destroy(&child), 0);
}

/* ---- frames of the hypervisor's ---- */

TEST(its_grant_table_is_acquired_and_mapped)
{
    struct xen_mem_acquire_resource r = { .type = XENMEM_resource_grant_table };
    xen_pfn_t mfns[2] = { 0, 0 };
    uint64_t word;

    EXPECT(child_create(&child, 1, nothing, 0), 0);
    r.domid = (domid_t)child.domid;
    EXPECT(hyper_memory(XENMEM_acquire_resource, &r), 0);
    CHECK(r.nr_frames >= 2);
    EXPECT(hyper_memory(XENMEM_acquire_resource, &r), -EINVAL); /* a number, and no list */
    set_xen_guest_handle(r.frame_list, mfns);
    r.nr_frames = 2;
    EXPECT(hyper_memory(XENMEM_acquire_resource, &r), 0);
    CHECK(mfns[0] != 0 && mfns[1] != 0 && mfns[0] != mfns[1]);
    EXPECT(map(mfns[1], PTE_RW_PAGE, child.domid), 0);
    CHECK(probe_write((uint64_t *)FOREIGN_VA, 77, &record));
    CHECK(probe_read((uint64_t *)FOREIGN_VA, &word, &record));
    EXPECT(word, 77);
    EXPECT(map(0, 0, 0), 0);
    r.frame = 100000;
    CHECK(hyper_memory(XENMEM_acquire_resource, &r) < 0);
    r.frame = 0;
    r.type = 77;
    CHECK(hyper_memory(XENMEM_acquire_resource, &r) < 0);
    r.type = XENMEM_resource_grant_table;
    r.pad = 1;
    EXPECT(hyper_memory(XENMEM_acquire_resource, &r), -EINVAL);
    r.pad = 0;
    r.domid = DOMID_SELF;
    CHECK(hyper_memory(XENMEM_acquire_resource, &r) < 0);
}

TEST(its_shared_info_is_mapped)
{
    uint64_t word;

    EXPECT(map(child.shared_info_mfn, PTE_RW_PAGE, child.domid), 0);
    CHECK(probe_read((uint64_t *)FOREIGN_VA, &word, &record));
    EXPECT(map(0, 0, 0), 0);
}

TEST(the_machine_to_physical_table_is_mapped_read_only)
{
    xen_pfn_t piece = 0;
    struct xen_machphys_mfn_list l = { .max_extents = 1 };
    uint64_t mfn = virt_to_mfn(&child), word = 0;

    set_xen_guest_handle(l.extent_start, &piece);
    EXPECT(hyper_memory(XENMEM_machphys_mfn_list, &l), 0);
    EXPECT(l.nr_extents, 1);
    CHECK(mfn < 262144);
    piece += mfn / 512;
    CHECK(map(piece, PTE_RW_PAGE, DOMID_XEN) < 0);
    EXPECT(map(piece, PTE_RO_PAGE, DOMID_XEN), 0);
    CHECK(probe_read((uint64_t *)FOREIGN_VA + mfn % 512, &word, &record));
    EXPECT(word, virt_to_pfn(&child));
    EXPECT(map(0, 0, 0), 0);
}

/* ---- its own frames ---- */

TEST(a_batch_says_how_far_it_came)
{
    struct mmu_update requests[5];
    uint32_t done = 99;

    pt_map(kernel_l4, FOREIGN_VA, 0);
    for (unsigned int i = 0; i < 5; i++) {
        requests[i].ptr = virt_to_machine(pt_entry(kernel_l4, FOREIGN_VA + i * PAGE_SIZE, 1));
        requests[i].val = child.p2m[CHILD_FIRST_PFN + i] << PAGE_SHIFT | PTE_RW_PAGE;
    }
    requests[3].val = virt_to_mfn(&child) << PAGE_SHIFT | PTE_RW_PAGE; /* not the child's */
    CHECK(hypercall4(__HYPERVISOR_mmu_update, requests, 5, &done, child.domid) < 0);
    EXPECT(done, 3);
    for (unsigned int i = 0; i < 5; i++) {
        EXPECT(*pt_entry(kernel_l4, FOREIGN_VA + i * PAGE_SIZE, 1) & PTE_P, i < 3);
        requests[i].val = 0;
    }
    EXPECT(hyper_mmu_update(requests, 5, &done), 0);
    EXPECT(done, 5);
    EXPECT(hypercall4(__HYPERVISOR_mmu_update, requests, 5, &done, 0x7ef0), -ESRCH);
}

TEST(machine_to_physical_entries_are_set_for_it)
{
    uint64_t mfn = child_mfn(&child, frames), pfn = MACHINE_TO_PHYS[mfn];
    struct mmu_update r = { .ptr = mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, .val = 0x4321 };

    CHECK(hyper_mmu_update(&r, 1, NULL) < 0); /* it is not ours */
    EXPECT(MACHINE_TO_PHYS[mfn], pfn);
    EXPECT(hypercall4(__HYPERVISOR_mmu_update, &r, 1, NULL, child.domid), 0);
    EXPECT(MACHINE_TO_PHYS[mfn], 0x4321);
    r.val = pfn;
    EXPECT(hypercall4(__HYPERVISOR_mmu_update, &r, 1, NULL, child.domid), 0);
}

TEST(its_tables_are_pinned_and_told)
{
    uint64_t mfn; /* of zeroes, and not mapped by its owner */

    EXPECT(max_mem(child.nr_pages + 1), 0);
    EXPECT(reserve(XENMEM_populate_physmap, 1, 0, 0), 1);
    mfn = frames[0];
    EXPECT(frame_use(mfn), XEN_DOMCTL_PFINFO_NOTAB);
    EXPECT(map(mfn, PTE_RW_PAGE, child.domid), 0);
    CHECK(pin(MMUEXT_PIN_L1_TABLE, mfn) < 0); /* we can write to it */
    EXPECT(map(0, 0, 0), 0);
    EXPECT(pin(MMUEXT_PIN_L2_TABLE, mfn), 0);
    CHECK(pin(MMUEXT_PIN_L2_TABLE, mfn) < 0);
    EXPECT(frame_use(mfn), XEN_DOMCTL_PFINFO_L2TAB | XEN_DOMCTL_PFINFO_LPINTAB);
    CHECK(map(mfn, PTE_RW_PAGE, child.domid) < 0);
    EXPECT(map(mfn, PTE_RO_PAGE, child.domid), 0);
    EXPECT(pin(MMUEXT_UNPIN_TABLE, mfn), 0);
    CHECK(pin(MMUEXT_UNPIN_TABLE, mfn) < 0);
    EXPECT(map(mfn, PTE_RW_PAGE, child.domid), 0);
    EXPECT(map(0, 0, 0), 0);
    EXPECT(frame_use(NOWHERE), XEN_DOMCTL_PFINFO_XTAB);
    EXPECT(frame_use(virt_to_mfn(&child)), XEN_DOMCTL_PFINFO_XTAB);
    CHECK(pin(MMUEXT_PIN_L1_TABLE, virt_to_mfn(frames)) < 0); /* ours */
}

TEST(too_many_frames_are_not_told_at_once)
{
    struct xen_domctl op = { .u.getpageframeinfo3.num = 1025 };

    set_xen_guest_handle(op.u.getpageframeinfo3.array, frames);
    EXPECT(domctl(&op, XEN_DOMCTL_getpageframeinfo3, child.domid), -E2BIG);
}

TEST(calls_on_its_behalf_are_not_all_to_be_had)
{
    CHECK(pin(MMUEXT_NEW_BASEPTR, child_mfn(&child, frames)) < 0);
    CHECK(pin(MMUEXT_UNPIN_TABLE, NOWHERE) < 0);
    EXPECT(hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, FOREIGN_VA,
                      child_mfn(&child, frames) << PAGE_SHIFT | PTE_RO_PAGE, UVMF_INVLPG,
                      child.domid),
           0);
    EXPECT(hyper_update_va(FOREIGN_VA, 0, UVMF_INVLPG), 0);
}

/* Pages that were given away while others mapped them have been read and written (2017). */
TEST(a_frame_that_we_map_is_not_exchanged)
{
    struct xen_memory_exchange x = { .in = { .nr_extents = 1, .domid = (domid_t)child.domid },
                                     .out = { .nr_extents = 1, .domid = (domid_t)child.domid } };
    xen_pfn_t in, out = 0x1234;
    long pages = (long)info().tot_pages;

    EXPECT(max_mem((uint64_t)pages + 1), 0);
    EXPECT(reserve(XENMEM_populate_physmap, 1, 0, 0), 1);
    in = frames[0];
    set_xen_guest_handle(x.in.extent_start, &in);
    set_xen_guest_handle(x.out.extent_start, &out);
    EXPECT(map(in, PTE_RO_PAGE, child.domid), 0);
    CHECK(hyper_memory(XENMEM_exchange, &x) < 0);
    EXPECT(x.nr_exchanged, 0);
    EXPECT(out, 0x1234);
    EXPECT(frame_use(in), XEN_DOMCTL_PFINFO_NOTAB);
    EXPECT(map(0, 0, 0), 0);
    EXPECT(info().tot_pages, pages + 1);
    frames[0] = in;
    EXPECT(reserve(XENMEM_decrease_reservation, 1, 0, 0), 1);
    EXPECT(info().tot_pages, pages);
}

TEST(a_frame_that_we_map_is_free_when_we_let_go)
{
    uint64_t word, mfn;
    long pages = (long)info().tot_pages;

    EXPECT(reserve(XENMEM_populate_physmap, 1, 0, 0), 1);
    mfn = frames[0];
    EXPECT(map(mfn, PTE_RW_PAGE, child.domid), 0);
    CHECK(probe_write((uint64_t *)FOREIGN_VA, 99, &record));
    EXPECT(reserve(XENMEM_decrease_reservation, 1, 0, 0), 1);
    EXPECT(info().tot_pages, pages + 1);
    CHECK(pin(MMUEXT_PIN_L1_TABLE, mfn) < 0);
    for (unsigned int i = 0; i < 20; i++) {
        frames[0] = CHILD_FIRST_PFN;
        if (reserve(XENMEM_populate_physmap, 1, 0, 0) == 1 && frames[0] == mfn) {
            FAIL("the frame is somebody's again");
        }
    }
    CHECK(probe_read((uint64_t *)FOREIGN_VA, &word, &record));
    EXPECT(word, 99);
    EXPECT(map(0, 0, 0), 0);
    EXPECT(info().tot_pages, pages);
    CHECK(map(mfn, PTE_RO_PAGE, child.domid) < 0);
}

TEST(a_frame_that_we_map_outlives_its_domain)
{
    uint64_t word, mfn = child_mfn(&child, frames);
    struct xen_domctl op = { 0 };
    long rc;

    EXPECT(map(mfn, PTE_RW_PAGE, child.domid), 0);
    CHECK(probe_write((uint64_t *)FOREIGN_VA, 4711, &record));
    EXPECT(domctl(&op, XEN_DOMCTL_destroydomain, child.domid), 0);
    CHECK(probe_read((uint64_t *)FOREIGN_VA, &word, &record));
    EXPECT(word, 4711);
    EXPECT(info().tot_pages, 2); /* its box is the other one */
    CHECK(info().flags & XEN_DOMINF_dying);
    CHECK(foreign_map(FOREIGN_VA + PAGE_SIZE, child.p2m[CHILD_FIRST_PFN], PTE_RO_PAGE,
                      child.domid) < 0);
    EXPECT(reserve(XENMEM_populate_physmap, 1, 0, 0), 0);
    EXPECT(map(0, 0, 0), 0);
    rc = child_destroy(&child); /* unmaps the box */
    CHECK(rc == 0 || rc == -ESRCH);
}

TEST(all_memory_is_free_again)
{
    uint64_t now = physinfo().free_pages;

    /* What is kept for the next domain is no leak. */
    if (now + 64 < free_at_start || now > free_at_start + 64) {
        FAIL("%lu pages were free, %lu are", free_at_start, now);
    }
}
