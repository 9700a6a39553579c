/* SPDX-License-Identifier: MIT */
/*
 * Giving memory back and getting it: counts, contiguity, address limits, and
 * that a frame in use is not given away.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define FIRST_PFN 0x8000ul /* from here on nothing is mapped */

static uint64_t *p2m;

static long reserve(unsigned int cmd, xen_pfn_t *frames, unsigned long nr, unsigned int order,
                    unsigned int flags)
{
    struct xen_memory_reservation reservation = {
        .nr_extents = nr, .extent_order = order, .mem_flags = flags, .domid = DOMID_SELF
    };

    set_xen_guest_handle(reservation.extent_start, frames);
    return hyper_memory(cmd, &reservation);
}

static long current(void)
{
    domid_t self = DOMID_SELF;

    return hyper_memory(XENMEM_current_reservation, &self);
}

/* Free @nr pages from @pfn on; their p2m entries become invalid. */
static long give_back(uint64_t pfn, unsigned long nr)
{
    static xen_pfn_t frames[512];

    for (unsigned long i = 0; i < nr; i++) {
        frames[i] = p2m[pfn + i];
        p2m[pfn + i] = ~0ul;
    }
    return reserve(XENMEM_decrease_reservation, frames, nr, 0, 0);
}

static long get_again(uint64_t pfn, unsigned long nr, unsigned int flags)
{
    static xen_pfn_t frames[512];
    long done;

    for (unsigned long i = 0; i < nr; i++) {
        frames[i] = pfn + i;
    }
    done = reserve(XENMEM_populate_physmap, frames, nr, 0, flags);
    for (long i = 0; i < done; i++) {
        p2m[pfn + (uint64_t)i] = frames[i];
    }
    return done;
}

TEST(counts_are_told)
{
    domid_t self = DOMID_SELF, zero = 0;

    p2m = (uint64_t *)start_info->mfn_list;
    EXPECT(current(), start_info->nr_pages);
    EXPECT(hyper_memory(XENMEM_current_reservation, &zero), start_info->nr_pages);
    CHECK(hyper_memory(XENMEM_maximum_reservation, &self) >= (long)start_info->nr_pages);
    CHECK(hyper_memory(XENMEM_maximum_ram_page, NULL) > 0x30000);
}

TEST(the_m2p_agrees_with_the_p2m)
{
    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++) {
        if (MACHINE_TO_PHYS[p2m[pfn]] != pfn) {
            FAIL("pfn %lx is frame %lx whose entry is %lx", pfn, p2m[pfn],
                 MACHINE_TO_PHYS[p2m[pfn]]);
            return;
        }
    }
}

TEST(pages_go_and_come)
{
    uint64_t old = p2m[FIRST_PFN];

    EXPECT(give_back(FIRST_PFN, 100), 100);
    EXPECT(current(), start_info->nr_pages - 100);
    CHECK(MACHINE_TO_PHYS[old] != FIRST_PFN);
    CHECK(hyper_update_va(user_data, old << PAGE_SHIFT | PTE_RW_PAGE, UVMF_INVLPG) < 0);
    EXPECT(get_again(FIRST_PFN, 100, 0), 100);
    EXPECT(current(), start_info->nr_pages);
    for (uint64_t pfn = FIRST_PFN; pfn < FIRST_PFN + 100; pfn++) {
        EXPECT(MACHINE_TO_PHYS[p2m[pfn]], pfn);
    }
}

/* It is the domain's until its last use ends. */
TEST(a_frame_in_use_is_given_back_later)
{
    xen_pfn_t frame = p2m[FIRST_PFN];

    pt_map(kernel_l4, FREE_VA, frame << PAGE_SHIFT | PTE_RW_PAGE);
    *(volatile uint64_t *)FREE_VA = 0x4321;
    EXPECT(give_back(FIRST_PFN, 1), 1);
    EXPECT(current(), start_info->nr_pages);
    EXPECT(*(volatile uint64_t *)FREE_VA, 0x4321);
    EXPECT(hyper_update_va(FREE_VA, 0, UVMF_INVLPG), 0);
    EXPECT(current(), start_info->nr_pages - 1);
    EXPECT(get_again(FIRST_PFN, 1, 0), 1);
    EXPECT(current(), start_info->nr_pages);
}

TEST(what_is_not_ours_is_not_given_back)
{
    xen_pfn_t frames[3] = { p2m[FIRST_PFN], 1ul << 45, p2m[FIRST_PFN + 1] };

    EXPECT(reserve(XENMEM_decrease_reservation, frames, 3, 0, 0), 1);
    EXPECT(current(), start_info->nr_pages - 1);
    EXPECT(get_again(FIRST_PFN, 1, 0), 1);
    frames[0] = 0xb8;
    EXPECT(reserve(XENMEM_decrease_reservation, frames, 1, 0, 0), 0);
    frames[0] = 0x100; /* low memory that is not this domain's, or nobody's */
    while (MACHINE_TO_PHYS[frames[0]] < start_info->nr_pages) {
        frames[0]++;
    }
    EXPECT(reserve(XENMEM_decrease_reservation, frames, 1, 0, 0), 0);
    EXPECT(current(), start_info->nr_pages);
}

TEST(more_than_the_maximum_is_refused)
{
    static xen_pfn_t frames[8] = { 0x30000, 0x30001, 0x30002, 0x30003 };

    EXPECT(reserve(XENMEM_populate_physmap, frames, 4, 0, 0), 0);
    EXPECT(reserve(XENMEM_increase_reservation, frames, 4, 0, 0), 0);
    EXPECT(give_back(FIRST_PFN, 2), 2);
    for (unsigned int i = 0; i < 4; i++) {
        frames[i] = FIRST_PFN + i;
    }
    EXPECT(reserve(XENMEM_populate_physmap, frames, 4, 0, 0), 2);
    p2m[FIRST_PFN] = frames[0];
    p2m[FIRST_PFN + 1] = frames[1];
    EXPECT(current(), start_info->nr_pages);
}

TEST(orders_beyond_reason_are_refused)
{
    xen_pfn_t frame = FIRST_PFN;

    EXPECT(reserve(XENMEM_populate_physmap, &frame, 1, 30, 0), 0);
    EXPECT(reserve(XENMEM_populate_physmap, &frame, 1, 64, 0), 0);
    EXPECT(reserve(XENMEM_populate_physmap, &frame, 1, ~0u, 0), 0);
    EXPECT(reserve(XENMEM_decrease_reservation, &frame, 1, 60, 0), 0);
    EXPECT(reserve(XENMEM_populate_physmap, &frame, ~0ul, 0, 0), 0);
    EXPECT(reserve(XENMEM_populate_physmap, &frame, 1ul << 58, 0, 0), 0);
    EXPECT(current(), start_info->nr_pages);
}

TEST(a_large_extent_is_contiguous_and_aligned)
{
    xen_pfn_t frame = FIRST_PFN;

    EXPECT(give_back(FIRST_PFN, 512), 512);
    EXPECT(reserve(XENMEM_populate_physmap, &frame, 1, 9, 0), 1);
    EXPECT(frame & 511, 0);
    for (uint64_t i = 0; i < 512; i++) {
        p2m[FIRST_PFN + i] = frame + i;
        EXPECT(MACHINE_TO_PHYS[frame + i], FIRST_PFN + i);
    }
    EXPECT(reserve(XENMEM_decrease_reservation, &frame, 1, 9, 0), 1);
    EXPECT(current(), start_info->nr_pages - 512);
    EXPECT(get_again(FIRST_PFN, 512, 0), 512);
}

/* ---- exchange ---- */

static xen_pfn_t in_frames[64], out_frames[64];

static long exchange(unsigned long nr_in, unsigned int in_order, unsigned long nr_out,
                     unsigned int out_order, unsigned int flags, unsigned long *done)
{
    struct xen_memory_exchange op = {
        .in = { .nr_extents = nr_in, .extent_order = in_order, .domid = DOMID_SELF },
        .out = { .nr_extents = nr_out,
                 .extent_order = out_order,
                 .domid = DOMID_SELF,
                 .mem_flags = flags },
    };
    long rc;

    set_xen_guest_handle(op.in.extent_start, in_frames);
    set_xen_guest_handle(op.out.extent_start, out_frames);
    rc = hyper_memory(XENMEM_exchange, &op);
    *done = op.nr_exchanged;
    return rc;
}

static void fill_in_frames(void)
{
    for (unsigned int i = 0; i < 64; i++) {
        in_frames[i] = p2m[FIRST_PFN + i];
        out_frames[i] = FIRST_PFN + i;
    }
}

TEST(an_exchange_makes_pages_contiguous)
{
    unsigned long done;

    fill_in_frames();
    EXPECT(exchange(64, 0, 1, 6, XENMEMF_address_bits(32), &done), 0);
    EXPECT(done, 64);
    EXPECT(out_frames[0] & 63, 0);
    CHECK(out_frames[0] < 1ul << 20);
    for (uint64_t i = 0; i < 64; i++) {
        p2m[FIRST_PFN + i] = out_frames[0] + i;
        EXPECT(MACHINE_TO_PHYS[out_frames[0] + i], FIRST_PFN + i);
    }
    EXPECT(current(), start_info->nr_pages);
}

TEST(an_exchange_the_other_way)
{
    unsigned long done;

    fill_in_frames();
    EXPECT(exchange(1, 6, 64, 0, 0, &done), 0);
    EXPECT(done, 1);
    for (uint64_t i = 0; i < 64; i++) {
        p2m[FIRST_PFN + i] = out_frames[i];
        EXPECT(MACHINE_TO_PHYS[out_frames[i]], FIRST_PFN + i);
    }
}

TEST(a_failed_exchange_changes_nothing)
{
    unsigned long done;

    fill_in_frames();
    in_frames[63] = virt_to_mfn(user_data);
    EXPECT(exchange(64, 0, 1, 6, 0, &done), -EINVAL);
    EXPECT(done, 0);
    for (uint64_t i = 0; i < 63; i++) {
        EXPECT(MACHINE_TO_PHYS[in_frames[i]], FIRST_PFN + i);
    }
    fill_in_frames();
    EXPECT(exchange(64, 0, 1, 6, XENMEMF_address_bits(13), &done), -ENOMEM);
    EXPECT(done, 0);
    EXPECT(exchange(64, 0, 2, 6, 0, &done), -EINVAL);
    CHECK(exchange(1ul << 62, 0, 1ul << 56, 6, 0, &done) < 0);
    for (uint64_t i = 0; i < 64; i++) {
        EXPECT(MACHINE_TO_PHYS[p2m[FIRST_PFN + i]], FIRST_PFN + i);
    }
    EXPECT(current(), start_info->nr_pages);
}

/* ---- what the machine has ---- */

TEST(the_machines_memory_map)
{
    static struct {
        uint64_t start, size;
        uint32_t type;
    } __attribute__((packed)) map[128];
    struct xen_memory_map op = { .nr_entries = ARRAY_SIZE(map) };
    uint64_t ram = 0;

    set_xen_guest_handle(op.buffer, map);
    EXPECT(hyper_memory(XENMEM_machine_memory_map, &op), 0);
    CHECK(op.nr_entries > 2 && op.nr_entries < 128);
    for (unsigned int i = 0; i < op.nr_entries; i++) {
        ram += map[i].type == 1 ? map[i].size : 0;
    }
    CHECK(ram > 1000ul << 20 && ram <= 1024ul << 20);
    op.nr_entries = 1;
    EXPECT(hyper_memory(XENMEM_machine_memory_map, &op), -EINVAL);
}

TEST(the_place_of_the_m2p)
{
    struct xen_machphys_mapping mapping;

    EXPECT(hyper_memory(XENMEM_machphys_mapping, &mapping), 0);
    EXPECT(mapping.v_start, 0xffff800000000000);
    CHECK(mapping.v_end > mapping.v_start && mapping.v_end <= 0xffff804000000000);
    CHECK(mapping.max_mfn >= 0x3ffdf);
}
