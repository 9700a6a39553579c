/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: what each operation does and which status each mistake gets,
 * with one domain as lender and borrower.
 */
#include "lib/grant.h"
#include "lib/mm.h"

#define REF      8u /* the first entry that is not reserved */
#define VA       FREE_VA
#define HOST_RO  (GNTMAP_host_map | GNTMAP_readonly)
#define IS_PTE   (GNTMAP_host_map | GNTMAP_application_map | GNTMAP_contains_pte)
#define USED     (GTF_reading | GTF_writing)
#define NO_DOMID 99u

static const grant_table_v1 table = (grant_table_v1)GRANT_TABLE_VA;
static const grant_table_v2 table2 = (grant_table_v2)GRANT_TABLE_VA;
static uint64_t *pte;        /* the entry for VA */
static uint64_t pte_machine; /* where that is */
static uint8_t *page, *other;

static void lend(unsigned int flags)
{
    grant_entry_set(&table[REF], flags, 0, virt_to_mfn(page));
}

static void fill(uint8_t *at, unsigned int seed)
{
    for (unsigned int i = 0; i < PAGE_SIZE; i++) {
        at[i] = (uint8_t)(i * 7 + i / 256 + seed);
    }
}

TEST(the_table_has_a_frame_and_grows)
{
    struct gnttab_query_size size = { .dom = DOMID_SELF };
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 100000 };

    page = page_alloc();
    other = page_alloc();
    pt_map(kernel_l4, VA, 0);
    pte = pt_entry(kernel_l4, VA, 1);
    pte_machine = virt_to_machine(pte);
    grant_table_map(2);
    EXPECT(hyper_grant(GNTTABOP_query_size, &size, 1), 0);
    EXPECT(size.status, GNTST_okay);
    EXPECT(size.nr_frames, 2);
    EXPECT(size.max_nr_frames, 64);
    EXPECT(hyper_grant(GNTTABOP_setup_table, &setup, 1), 0);
    EXPECT(setup.status, GNTST_general_error);
    setup = (struct gnttab_setup_table){ .dom = NO_DOMID, .nr_frames = 1 };
    EXPECT(hyper_grant(GNTTABOP_setup_table, &setup, 1), 0);
    EXPECT(setup.status, GNTST_bad_domain);
}

/* Map and unmap at VA (is_pte: by its entry); the entry must have had these bits. */
static void map_shows(unsigned int flags, uint64_t wanted, unsigned int used)
{
    uint64_t at = flags & GNTMAP_contains_pte ? pte_machine : VA;
    grant_handle_t handle;

    EXPECT(grant_map(0, REF, flags, at, &handle), GNTST_okay);
    EXPECT(PTE_MFN(*pte), virt_to_mfn(page));
    EXPECT(*pte & (PTE_P | PTE_RW | PTE_US | PTE_PWT | PTE_PCD | PTE_PSE | PTE_NX | 0xe00), wanted);
    EXPECT(table[REF].flags & USED, used);
    EXPECT(grant_unmap(handle, at), GNTST_okay);
    EXPECT(*pte, 0);
    EXPECT(table[REF].flags & USED, 0);
}

TEST(mapping_is_by_address_or_by_entry)
{
    const uint64_t readable = PTE_P | PTE_US | PTE_NX, writable = readable | PTE_RW;

    lend(GTF_permit_access);
    map_shows(GNTMAP_host_map, writable, USED);
    map_shows(HOST_RO, readable, GTF_reading);
    map_shows(IS_PTE, writable, USED);
    map_shows(IS_PTE | GNTMAP_readonly, readable, GTF_reading);
    map_shows(GNTMAP_host_map | 1u << _GNTMAP_guest_avail0, writable | 1 << 9, USED);
    map_shows(GNTMAP_host_map | GNTMAP_guest_avail_mask, writable | 7 << 9, USED);
    lend(GTF_permit_access | GTF_readonly);
    map_shows(HOST_RO, readable, GTF_reading);
    /* A lender cannot ask for another kind of memory. */
    lend(GTF_permit_access | GTF_PWT | GTF_PCD | GTF_PAT);
    map_shows(GNTMAP_host_map, writable, USED);
    /* What was mapped there is replaced. */
    lend(GTF_permit_access);
    pt_map(kernel_l4, VA, pte_of(other, PTE_RW_PAGE));
    map_shows(GNTMAP_host_map, writable, USED);
}

TEST(a_mapping_is_the_page)
{
    grant_handle_t handle;
    struct trap_record record;

    lend(GTF_permit_access);
    CHECK(grant_map(0, REF, GNTMAP_host_map, VA, &handle) == GNTST_okay);
    WRITE_ONCE(page[5], 77);
    EXPECT(((volatile uint8_t *)VA)[5], 77);
    ((volatile uint8_t *)VA)[6] = 78;
    EXPECT(READ_ONCE(page[6]), 78);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    CHECK(!probe_write((void *)VA, 1, &record)); /* no stale translation either */
    CHECK(grant_map(0, REF, HOST_RO, VA, &handle) == GNTST_okay);
    EXPECT(((volatile uint8_t *)VA)[6], 78);
    CHECK(!probe_write((void *)VA, 1, &record));
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
}

static void map_refused(unsigned int domid, grant_ref_t ref, unsigned int flags, uint64_t at,
                        int status)
{
    grant_handle_t handle;
    long rc = grant_map(domid, ref, flags, at, &handle);

    if (rc != status) {
        FAIL("map of d%u's %u, flags %x, at %lx: %ld, not %d", domid, ref, flags, at, rc, status);
    }
    EXPECT(*pte, 0);
    if (ref < 1024) {
        EXPECT(table[ref].flags & USED, 0);
    }
}

TEST(mapping_refuses_bad_arguments)
{
    lend(GTF_permit_access);
    map_refused(DOMID_SELF, REF, GNTMAP_host_map, VA, GNTST_bad_domain);
    map_refused(NO_DOMID, REF, GNTMAP_host_map, VA, GNTST_bad_domain);
    map_refused(0, REF, 0, VA, GNTST_bad_gntref);
    map_refused(0, REF, GNTMAP_readonly, VA, GNTST_bad_gntref);
    map_refused(0, REF + 1, GNTMAP_host_map, VA, GNTST_general_error);
    map_refused(0, 1023, GNTMAP_host_map, VA, GNTST_general_error);
    map_refused(0, 1024, GNTMAP_host_map, VA, GNTST_bad_gntref);
    map_refused(0, ~0u, GNTMAP_host_map, VA, GNTST_bad_gntref);
    map_refused(0, REF, GNTMAP_host_map, VA + (1ul << 40), GNTST_general_error);
    map_refused(0, REF, GNTMAP_host_map, 0xffff830000000000, GNTST_general_error);
    map_refused(0, REF, GNTMAP_host_map, 0x900000000000, GNTST_general_error);
    map_refused(0, REF, IS_PTE, pte_machine + 4, GNTST_general_error);
    map_refused(0, REF, IS_PTE, virt_to_machine(other), GNTST_general_error);
    map_refused(0, REF, IS_PTE, virt_to_machine(pt_entry(kernel_l4, VA, 2)), GNTST_general_error);
    map_refused(0, REF, IS_PTE, 0x1000, GNTST_general_error);
    map_refused(0, REF, IS_PTE, 0xfff000000000, GNTST_general_error);
}

TEST(mapping_refuses_what_is_not_lent)
{
    lend(GTF_permit_access | GTF_readonly);
    map_refused(0, REF, GNTMAP_host_map, VA, GNTST_general_error);
    lend(GTF_permit_access | GTF_sub_page);
    map_refused(0, REF, GNTMAP_host_map, VA, GNTST_general_error);
    lend(GTF_accept_transfer);
    map_refused(0, REF, GNTMAP_host_map, VA, GNTST_general_error);
    lend(GTF_transitive);
    map_refused(0, REF, GNTMAP_host_map, VA, GNTST_general_error);
    grant_entry_set(&table[REF], GTF_permit_access, 5, virt_to_mfn(page));
    map_refused(0, REF, GNTMAP_host_map, VA, GNTST_general_error);
    grant_entry_set(&table[REF], GTF_permit_access, DOMID_SELF, virt_to_mfn(page));
    map_refused(0, REF, GNTMAP_host_map, VA, GNTST_general_error);
    grant_entry_set(&table[REF], GTF_permit_access, 0, 0xfffffff);
    map_refused(0, REF, GNTMAP_host_map, VA, GNTST_bad_page);
    grant_entry_set(&table[REF], GTF_permit_access, 0, 0xfee00);
    map_refused(0, REF, GNTMAP_host_map, VA, GNTST_bad_page);
    grant_entry_set(&table[REF], GTF_permit_access, 0, virt_to_mfn(pte));
    map_refused(0, REF, GNTMAP_host_map, VA, GNTST_general_error);
}

TEST(unmapping_is_exact)
{
    grant_handle_t handle;

    lend(GTF_permit_access);
    EXPECT(grant_map(0, REF, GNTMAP_host_map, VA, &handle), GNTST_okay);
    EXPECT(grant_unmap(handle, 0), GNTST_okay); /* asks for nothing */
    EXPECT(table[REF].flags & USED, USED);
    EXPECT(grant_unmap(handle, VA + PAGE_SIZE), GNTST_general_error);
    EXPECT(grant_unmap(handle, 0x900000000000), GNTST_general_error);
    EXPECT(grant_unmap(handle + 1, VA), GNTST_bad_handle);
    EXPECT(grant_unmap(0x12345, VA), GNTST_bad_handle);
    EXPECT(grant_unmap(~0u, VA), GNTST_bad_handle);
    EXPECT(PTE_MFN(*pte), virt_to_mfn(page));
    EXPECT(table[REF].flags & USED, USED);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(grant_unmap(handle, VA), GNTST_bad_handle);
    EXPECT(grant_map(0, REF, IS_PTE, pte_machine, &handle), GNTST_okay);
    EXPECT(grant_unmap(handle, VA), GNTST_general_error);
    EXPECT(grant_unmap(handle, pte_machine), GNTST_okay);
    EXPECT(table[REF].flags & USED, 0);
}

TEST(a_device_mapping_is_apart)
{
    const unsigned int both = GNTMAP_host_map | GNTMAP_device_map;
    uint64_t bus = virt_to_machine(page);
    grant_handle_t handle;

    lend(GTF_permit_access);
    EXPECT(grant_map(0, REF, both, VA, &handle), GNTST_okay);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(table[REF].flags & USED, USED);
    EXPECT(grant_unmap_device(handle, 0, bus + 1), GNTST_bad_dev_addr);
    EXPECT(grant_unmap_device(handle, 0, bus), GNTST_okay);
    EXPECT(table[REF].flags & USED, 0);
    EXPECT(grant_unmap_device(handle, 0, bus), GNTST_bad_handle);
    EXPECT(grant_map(0, REF, both, VA, &handle), GNTST_okay);
    EXPECT(grant_unmap_device(handle, VA, bus), GNTST_okay);
    EXPECT(grant_map(0, REF, GNTMAP_device_map | GNTMAP_readonly, 0, &handle), GNTST_okay);
    EXPECT(table[REF].flags & USED, GTF_reading);
    EXPECT(grant_unmap_device(handle, 0, bus), GNTST_okay);
    EXPECT(table[REF].flags & USED, 0);
}

/* ----- lists: longer than what is done at once, and in two level-1 tables ----- */

#define NR_LISTED 40
#define VA_FAR    (VA + 0x200000)
#define VA_LIST   (VA + 0x400000)   /* a page that cannot be written to */
#define VA_NONE   (VA + 0x40000000) /* no table leads there */

enum kind {
    GOOD,
    NOT_LENT,
    NO_PLACE,
    NO_DOMAIN,
    DEVICE,
    ELSEWHERE,
    NR_KINDS
};

static const int16_t status_mapped[NR_KINDS] = {
    [NOT_LENT] = GNTST_general_error,
    [NO_PLACE] = GNTST_general_error,
    [NO_DOMAIN] = GNTST_bad_domain,
};
static const int16_t status_unmapped[NR_KINDS] = {
    [NOT_LENT] = GNTST_bad_handle,
    [NO_PLACE] = GNTST_bad_handle,
    [NO_DOMAIN] = GNTST_bad_handle,
    [ELSEWHERE] = GNTST_general_error,
};

static uint64_t listed_va(unsigned int i)
{
    return (i / 3 % 2 ? VA_FAR : VA) + i * PAGE_SIZE;
}

static struct gnttab_map_grant_ref listed_map(unsigned int i, enum kind kind)
{
    return (struct gnttab_map_grant_ref){
        .host_addr = kind == NO_PLACE ? VA_NONE : listed_va(i),
        .flags = kind == DEVICE ? GNTMAP_device_map : HOST_RO,
        .ref = kind == NOT_LENT ? REF + 1 : REF,
        .dom = kind == NO_DOMAIN ? NO_DOMID : 0,
        .status = 77,
        .handle = 0xabcdef,
    };
}

static struct gnttab_unmap_grant_ref listed_unmap(const struct gnttab_map_grant_ref *map,
                                                  enum kind kind)
{
    return (struct gnttab_unmap_grant_ref){
        .host_addr = kind == ELSEWHERE ? VA_NONE : map->host_addr,
        .dev_bus_addr = kind == DEVICE ? map->dev_bus_addr : 0,
        .handle = map->handle,
        .status = 77,
    };
}

TEST(a_list_of_mappings_goes_on_after_a_bad_one)
{
    static struct gnttab_map_grant_ref maps[NR_LISTED];
    static struct gnttab_unmap_grant_ref unmaps[NR_LISTED];

    lend(GTF_permit_access);
    pt_map(kernel_l4, VA_FAR, 0);
    for (unsigned int i = 0; i < NR_LISTED; i++) {
        maps[i] = listed_map(i, i % NR_KINDS);
    }
    EXPECT(hyper_grant(GNTTABOP_map_grant_ref, maps, NR_LISTED), 0);
    for (unsigned int i = 0; i < NR_LISTED; i++) {
        enum kind kind = i % NR_KINDS;
        bool is_mapped = kind == GOOD || kind == ELSEWHERE;

        EXPECT(maps[i].status, status_mapped[kind]);
        EXPECT(PTE_MFN(*pt_entry(kernel_l4, listed_va(i), 1)), is_mapped ? virt_to_mfn(page) : 0);
        unmaps[i] = listed_unmap(&maps[i], kind);
    }
    EXPECT(hyper_grant(GNTTABOP_unmap_grant_ref, unmaps, NR_LISTED), 0);
    EXPECT(table[REF].flags & USED, GTF_reading);
    for (unsigned int i = 0; i < NR_LISTED; i++) {
        EXPECT(unmaps[i].status, status_unmapped[i % NR_KINDS]);
        if (i % NR_KINDS == ELSEWHERE) {
            EXPECT(grant_unmap(maps[i].handle, maps[i].host_addr), GNTST_okay);
        }
        EXPECT(*pt_entry(kernel_l4, listed_va(i), 1), 0);
    }
    EXPECT(table[REF].flags & USED, 0);
}

/* Who cannot be told of a handle does not get it. */
TEST(a_list_that_cannot_be_written_to_maps_nothing)
{
    struct gnttab_map_grant_ref *maps = (void *)other;

    if (guest_option("oracle")) { /* which leaves it mapped */
        return;
    }
    lend(GTF_permit_access);
    pt_map(kernel_l4, VA_LIST, virt_to_machine(other) | PTE_RO_PAGE);
    for (unsigned int i = 0; i < NR_LISTED; i++) {
        maps[i] = listed_map(i, GOOD);
    }
    EXPECT(hyper_grant(GNTTABOP_map_grant_ref, (void *)VA_LIST, NR_LISTED), -EFAULT);
    EXPECT(*pte, 0);
    EXPECT(table[REF].flags & USED, 0);
    pt_map(kernel_l4, VA_LIST, 0);
}

/* The guest may lose the entry by an ordinary update: the handle keeps the page. */
TEST(a_handle_outlives_its_entry)
{
    grant_handle_t handle;

    lend(GTF_permit_access);
    EXPECT(grant_map(0, REF, GNTMAP_host_map, VA, &handle), GNTST_okay);
    EXPECT(hyper_update_va(VA, 0, UVMF_INVLPG), 0);
    EXPECT(grant_unmap(handle, VA), GNTST_general_error);
    EXPECT(table[REF].flags & USED, USED);
    EXPECT(hyper_update_va(VA, pte_of(other, PTE_RW_PAGE), UVMF_INVLPG), 0);
    EXPECT(grant_unmap(handle, VA), GNTST_general_error);
    EXPECT(hyper_update_va(VA, pte_of(page, PTE_RO_PAGE), UVMF_INVLPG), 0);
    EXPECT(grant_unmap(handle, VA), GNTST_general_error); /* not as it was mapped */
    EXPECT(hyper_update_va(VA, pte_of(page, PTE_RW_PAGE), UVMF_INVLPG), 0);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(table[REF].flags & USED, 0);
}

TEST(an_entry_counts_its_users)
{
    grant_handle_t first, second;

    lend(GTF_permit_access);
    EXPECT(grant_map(0, REF, HOST_RO, VA, &first), GNTST_okay);
    EXPECT(grant_map(0, REF, GNTMAP_host_map, VA + PAGE_SIZE, &second), GNTST_okay);
    EXPECT(table[REF].flags & USED, USED);
    EXPECT(grant_unmap(second, VA + PAGE_SIZE), GNTST_okay);
    EXPECT(table[REF].flags & USED, GTF_reading);
    EXPECT(grant_unmap(first, VA), GNTST_okay);
    EXPECT(table[REF].flags & USED, 0);
}

/* A page that others may write to is no page table; it can be one when they are done. */
TEST(a_lent_page_keeps_its_type)
{
    uint64_t *fresh = page_alloc();
    grant_handle_t handle;

    grant_entry_set(&table[REF], GTF_permit_access, 0, virt_to_mfn(fresh));
    EXPECT(grant_map(0, REF, GNTMAP_host_map, VA, &handle), GNTST_okay);
    page_make_ro(fresh);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(fresh), 0) != 0, 1);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(fresh), 0), 0);
    EXPECT(grant_map(0, REF, GNTMAP_host_map, VA, &handle), GNTST_general_error);
    EXPECT(table[REF].flags & USED, 0);
    EXPECT(grant_map(0, REF, HOST_RO, VA, &handle), GNTST_okay);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(fresh), 0), 0);
    page_make_rw(fresh);
    page_free(fresh);
}

TEST(replacing_moves_an_entry)
{
    grant_handle_t handle;

    lend(GTF_permit_access);
    EXPECT(grant_map(0, REF, GNTMAP_host_map, VA, &handle), GNTST_okay);
    pt_map(kernel_l4, VA + PAGE_SIZE, pte_of(other, PTE_RO_PAGE));
    EXPECT(grant_replace(handle, VA, 0x900000000000), GNTST_general_error);
    EXPECT(grant_replace(handle, 0, VA + PAGE_SIZE), GNTST_okay); /* asks for nothing */
    EXPECT(table[REF].flags & USED, USED);
    EXPECT(grant_replace(handle, VA, VA + PAGE_SIZE), GNTST_okay);
    EXPECT(PTE_MFN(pte[0]), virt_to_mfn(other));
    EXPECT(pte[1], 0);
    EXPECT(table[REF].flags & USED, 0);
    EXPECT(hyper_update_va(VA, 0, UVMF_INVLPG), 0);
    EXPECT(grant_map(0, REF, IS_PTE, pte_machine, &handle), GNTST_okay);
    EXPECT(grant_replace(handle, pte_machine, VA + PAGE_SIZE), GNTST_general_error);
    EXPECT(grant_replace(handle, pte_machine, 0), GNTST_okay);
    EXPECT(*pte, 0);
}

/* ---- copies ---- */

static struct gnttab_copy copy_of(unsigned int flags, uint64_t source, uint64_t dest,
                                  unsigned int len)
{
    return (struct gnttab_copy){
        .source = { .u.gmfn = source, .domid = flags & GNTCOPY_source_gref ? 0 : DOMID_SELF },
        .dest = { .u.gmfn = dest, .domid = flags & GNTCOPY_dest_gref ? 0 : DOMID_SELF },
        .len = (uint16_t)len,
        .flags = (uint16_t)flags,
    };
}

TEST(copies_are_true_whatever_their_place)
{
    static const uint16_t places[][3] = {
        { 0, 0, 4096 }, { 1, 0, 4095 },    { 0, 1, 4095 },    { 3, 5, 1001 },
        { 4095, 0, 1 }, { 0, 4095, 1 },    { 4096, 4096, 0 }, { 8, 16, 64 },
        { 1, 2, 3 },    { 2048, 0, 2048 }, { 100, 200, 0 },   { 4088, 4088, 8 },
    };
    struct gnttab_copy op = copy_of(GNTCOPY_source_gref, REF, virt_to_mfn(other), 0);

    lend(GTF_permit_access | GTF_readonly);
    for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
        op.source.offset = places[i][0];
        op.dest.offset = places[i][1];
        op.len = places[i][2];
        fill(page, i);
        fill(other, i + 100);
        EXPECT(grant_copy(&op), GNTST_okay);
        for (unsigned int j = 0; j < PAGE_SIZE; j++) {
            unsigned int at = j - op.dest.offset;
            uint8_t wanted =
                at < op.len ? page[op.source.offset + at] : (uint8_t)(j * 7 + j / 256 + i + 100);

            CHECK(other[j] == wanted);
        }
    }
    EXPECT(table[REF].flags & USED, 0);
}

TEST(a_list_of_copies_goes_on_after_a_bad_one)
{
    static struct gnttab_copy list[40];

    lend(GTF_permit_access);
    fill(page, 3);
    for (unsigned int i = 0; i < ARRAY_SIZE(list); i++) {
        list[i] = copy_of(GNTCOPY_source_gref, i % 3 == 2 ? REF + 1 : REF, virt_to_mfn(other), 16);
        list[i].source.offset = list[i].dest.offset = (uint16_t)(i * 16);
        list[i].status = 77;
    }
    for (unsigned int i = 0; i < PAGE_SIZE; i++) {
        other[i] = 0;
    }
    EXPECT(hyper_grant(GNTTABOP_copy, list, ARRAY_SIZE(list)), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(list); i++) {
        EXPECT(list[i].status, i % 3 == 2 ? GNTST_general_error : GNTST_okay);
        EXPECT(other[i * 16 + 5], i % 3 == 2 ? 0 : page[i * 16 + 5]);
    }
    EXPECT(table[REF].flags & USED, 0);
}

static void copy_gives(unsigned int flags, uint64_t source, uint64_t dest, int status)
{
    struct gnttab_copy op = copy_of(flags, source, dest, 64);
    long rc = grant_copy(&op);

    if (rc != status) {
        FAIL("copy with flags %u from %lx to %lx: %ld, not %d", flags, source, dest, rc, status);
    }
    EXPECT(table[REF].flags & USED, 0);
}

TEST(copies_refuse_what_is_not_lent_or_owned)
{
    uint64_t own = virt_to_mfn(other), l1 = virt_to_mfn(pte);

    lend(GTF_permit_access);
    copy_gives(0, own, own, GNTST_okay);
    copy_gives(GNTCOPY_source_gref | GNTCOPY_dest_gref, REF, REF, GNTST_okay);
    copy_gives(GNTCOPY_dest_gref, own, REF, GNTST_okay);
    copy_gives(GNTCOPY_source_gref, REF + 1, own, GNTST_general_error);
    copy_gives(GNTCOPY_source_gref, 99999, own, GNTST_bad_gntref);
    copy_gives(0, 0xfffffff, own, GNTST_bad_page);
    copy_gives(0, 0xffffffffffff, own, GNTST_bad_page);
    copy_gives(0, own, 0xfffffff, GNTST_bad_page);
    copy_gives(0, own, 1ul << 63 | REF, GNTST_bad_page);
    copy_gives(0, own, ~0ul, GNTST_bad_page);
    copy_gives(0, l1, own, GNTST_okay);
    copy_gives(0, own, l1, GNTST_general_error);
    grant_entry_set(&table[REF], GTF_permit_access, 0, l1);
    copy_gives(GNTCOPY_dest_gref, own, REF, GNTST_general_error);
    grant_entry_set(&table[REF], GTF_permit_access, 0, 0xfffffff);
    copy_gives(GNTCOPY_source_gref, REF, own, GNTST_bad_page);
    lend(GTF_permit_access | GTF_readonly);
    copy_gives(GNTCOPY_dest_gref, own, REF, GNTST_general_error);
    grant_entry_set(&table[REF], GTF_permit_access, 3, virt_to_mfn(page));
    copy_gives(GNTCOPY_source_gref, REF, own, GNTST_general_error);
}

TEST(copies_refuse_other_domains_and_page_ends)
{
    uint64_t own = virt_to_mfn(other);
    struct gnttab_copy op = copy_of(0, own, own, 64);

    op.source.domid = 0; /* frames are named by DOMID_SELF only */
    EXPECT(grant_copy(&op), GNTST_permission_denied);
    op.source.domid = NO_DOMID;
    EXPECT(grant_copy(&op), GNTST_bad_domain);
    op = copy_of(GNTCOPY_source_gref, REF, own, 64);
    op.source.domid = NO_DOMID;
    EXPECT(grant_copy(&op), GNTST_bad_domain);
    op = copy_of(0, own, own, 4097);
    EXPECT(grant_copy(&op), GNTST_bad_copy_arg);
    op = copy_of(0, own, own, 4096);
    op.source.offset = 1;
    EXPECT(grant_copy(&op), GNTST_bad_copy_arg);
    op = copy_of(0, own, own, 65535);
    op.dest.offset = 65535;
    EXPECT(grant_copy(&op), GNTST_bad_copy_arg);
    op = copy_of(0, own, own, 0);
    op.source.offset = 4097;
    EXPECT(grant_copy(&op), GNTST_bad_copy_arg);
}

/* ---- the rest ---- */

TEST(entries_swap_while_nobody_uses_them)
{
    struct gnttab_swap_grant_ref op = { .ref_a = REF, .ref_b = REF + 1 };
    grant_handle_t handle;

    lend(GTF_permit_access);
    grant_entry_set(&table[REF + 1], 0, 3, 5);
    EXPECT(hyper_grant(GNTTABOP_swap_grant_ref, &op, 1), 0);
    EXPECT(op.status, GNTST_okay);
    EXPECT(table[REF].domid, 3);
    EXPECT(table[REF].frame, 5);
    EXPECT(table[REF + 1].flags, GTF_permit_access);
    EXPECT(table[REF + 1].frame, virt_to_mfn(page));
    EXPECT(grant_map(0, REF + 1, GNTMAP_host_map, VA, &handle), GNTST_okay);
    EXPECT(hyper_grant(GNTTABOP_swap_grant_ref, &op, 1), 0);
    EXPECT(op.status, GNTST_eagain);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    op.ref_b = 99999;
    EXPECT(hyper_grant(GNTTABOP_swap_grant_ref, &op, 1), 0);
    EXPECT(op.status, GNTST_bad_gntref);
    op.ref_b = op.ref_a;
    EXPECT(hyper_grant(GNTTABOP_swap_grant_ref, &op, 1), 0);
    EXPECT(op.status, GNTST_okay);
}

TEST(odd_operations_answer_as_ever)
{
    struct gnttab_cache_flush flush = { .a.dev_bus_addr = virt_to_machine(page), .length = 64 };
    struct gnttab_transfer transfer = { .mfn = virt_to_mfn(page), .domid = 0, .ref = REF };
    static const struct {
        uint32_t op;
        uint16_t offset, length;
        int answer;
    } flushes[] = {
        { GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL, 0, 64, 0 },
        { GNTTAB_CACHE_CLEAN, 0, 64, 0 },
        { GNTTAB_CACHE_INVAL, 0, 64, -EOPNOTSUPP },
        { 4, 0, 64, -EINVAL },
        { 0, 0, 64, 0 },
        { GNTTAB_CACHE_CLEAN, 0, 0, 0 },
        { GNTTAB_CACHE_CLEAN, 1, 4096, -EINVAL },
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(flushes); i++) {
        flush.op = flushes[i].op;
        flush.offset = flushes[i].offset;
        flush.length = flushes[i].length;
        EXPECT(hyper_grant(GNTTABOP_cache_flush, &flush, 1), flushes[i].answer);
    }
    EXPECT(hyper_grant(GNTTABOP_transfer, &transfer, 1), 0);
    EXPECT(transfer.status, GNTST_bad_page);
    EXPECT(hyper_grant(GNTTABOP_dump_table, &transfer, 1), -ENOSYS);
    EXPECT(hyper_grant(13, &transfer, 1), -ENOSYS);
    EXPECT(hyper_grant(GNTTABOP_map_grant_ref, 0x900000000000, 1), -EFAULT);
    EXPECT(hyper_grant(GNTTABOP_unmap_grant_ref, &transfer, 0x80000000), -EINVAL);
    EXPECT(hyper_grant(GNTTABOP_query_size, &transfer, 2), -EINVAL);
}

/* ---- version 2 ---- */

static void entry2(unsigned int ref, unsigned int flags, uint64_t mfn)
{
    table2[ref].hdr.flags = 0;
    table2[ref].full_page.frame = mfn;
    table2[ref].hdr.domid = 0;
    table2[ref].hdr.flags = (uint16_t)flags;
}

static volatile grant_status_t *map_status(void)
{
    uint64_t frame = 0;
    struct gnttab_get_status_frames op = { .nr_frames = 1,
                                           .dom = DOMID_SELF,
                                           .frame_list = { &frame } };

    EXPECT(hyper_grant(GNTTABOP_get_status_frames, &op, 1), 0);
    EXPECT(op.status, GNTST_okay);
    pt_map(kernel_l4, VA + 8 * PAGE_SIZE, frame << PAGE_SHIFT | PTE_RO_PAGE);
    op.nr_frames = 2;
    EXPECT(hyper_grant(GNTTABOP_get_status_frames, &op, 1), 0);
    EXPECT(op.status, GNTST_general_error);
    return (volatile grant_status_t *)(VA + 8 * PAGE_SIZE);
}

TEST(a_version_comes_with_an_empty_table)
{
    struct gnttab_get_status_frames op = { .nr_frames = 1, .dom = DOMID_SELF };
    grant_handle_t handle;

    EXPECT(hyper_grant(GNTTABOP_get_status_frames, &op, 1), 0);
    EXPECT(op.status, GNTST_general_error);
    EXPECT(grant_set_version(0), -EINVAL);
    EXPECT(grant_set_version(3), -EINVAL);
    EXPECT(grant_set_version(1), 0);
    lend(GTF_permit_access);
    EXPECT(grant_map(0, REF, GNTMAP_host_map, VA, &handle), GNTST_okay);
    EXPECT(grant_set_version(2), -EBUSY);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(grant_set_version(2), 0);
    EXPECT(grant_set_version(2), 0);
    EXPECT(table2[REF].hdr.flags, 0);
    EXPECT(table2[REF / 2].full_page.frame, 0);
    EXPECT(grant_set_version(1), 0);
    EXPECT(table[REF].flags, 0);
}

TEST(reserved_entries_are_carried_over_in_use)
{
    volatile grant_status_t *status;
    grant_handle_t handle;

    grant_entry_set(&table[1], GTF_permit_access, 0, virt_to_mfn(page));
    grant_entry_set(&table[2], GTF_permit_access | GTF_readonly, 4, virt_to_mfn(other));
    EXPECT(grant_map(0, 1, GNTMAP_host_map, VA, &handle), GNTST_okay);
    EXPECT(grant_set_version(2), 0);
    status = map_status();
    EXPECT(table2[1].hdr.flags, GTF_permit_access);
    EXPECT(table2[1].full_page.frame, virt_to_mfn(page));
    EXPECT(status[1], USED);
    EXPECT(table2[2].hdr.flags, GTF_permit_access | GTF_readonly);
    EXPECT(table2[2].hdr.domid, 4);
    EXPECT(status[2], 0);
    EXPECT(hyper_update_va(VA + 8 * PAGE_SIZE, 0, UVMF_INVLPG), 0);
    EXPECT(grant_set_version(1), 0);
    EXPECT(table[1].flags, GTF_permit_access | USED);
    EXPECT(table[1].frame, virt_to_mfn(page));
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(table[1].flags, GTF_permit_access);
    EXPECT(grant_set_version(2), 0);
    entry2(3, GTF_permit_access, 0x123456789abc);
    EXPECT(grant_set_version(1), -ERANGE);
    entry2(3, 0, 0);
    EXPECT(grant_set_version(1), 0);
}

TEST(version_2_keeps_the_bits_apart)
{
    volatile grant_status_t *status;
    grant_handle_t handle;

    EXPECT(grant_set_version(2), 0);
    status = map_status();
    entry2(20, GTF_permit_access, virt_to_mfn(page));
    EXPECT(grant_map(0, 20, GNTMAP_host_map, VA, &handle), GNTST_okay);
    EXPECT(table2[20].hdr.flags, GTF_permit_access);
    EXPECT(status[20], USED);
    EXPECT(grant_set_version(1), -EBUSY);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(status[20], 0);
    EXPECT(grant_map(0, 20, HOST_RO, VA, &handle), GNTST_okay);
    EXPECT(status[20], GTF_reading);
    EXPECT(grant_unmap(handle, VA), GNTST_okay);
    EXPECT(grant_map(0, 511, GNTMAP_host_map, VA, &handle), GNTST_general_error);
    EXPECT(grant_map(0, 512, GNTMAP_host_map, VA, &handle), GNTST_bad_gntref);
    entry2(20, GTF_permit_access, 0x100000000 + virt_to_mfn(page));
    EXPECT(grant_map(0, 20, GNTMAP_host_map, VA, &handle), GNTST_bad_page);
    EXPECT(status[20], 0);
}

TEST(a_part_of_a_page_is_only_for_copies)
{
    struct gnttab_copy op = copy_of(GNTCOPY_source_gref, 21, virt_to_mfn(other), 200);
    grant_handle_t handle;

    fill(page, 9);
    entry2(21, 0, virt_to_mfn(page));
    table2[21].sub_page.page_off = 100;
    table2[21].sub_page.length = 200;
    table2[21].hdr.flags = GTF_permit_access | GTF_sub_page;
    EXPECT(grant_map(0, 21, GNTMAP_host_map, VA, &handle), GNTST_general_error);
    EXPECT(grant_copy(&op), GNTST_general_error);
    op.source.offset = 100;
    EXPECT(grant_copy(&op), GNTST_okay);
    EXPECT(other[0], page[100]);
    EXPECT(other[199], page[299]);
    op.len = 201;
    EXPECT(grant_copy(&op), GNTST_general_error);
    op.len = 20;
    op.source.offset = 99;
    EXPECT(grant_copy(&op), GNTST_general_error);
    op = copy_of(GNTCOPY_dest_gref, virt_to_mfn(other), 21, 200);
    op.dest.offset = 101;
    EXPECT(grant_copy(&op), GNTST_general_error);
    op.dest.offset = 100;
    EXPECT(grant_copy(&op), GNTST_okay);
    /* Through this domain to itself: not done. */
    entry2(22, 0, 0);
    table2[22].transitive.gref = 20;
    table2[22].hdr.flags = GTF_transitive;
    EXPECT(grant_map(0, 22, GNTMAP_host_map, VA, &handle), GNTST_general_error);
    op = copy_of(GNTCOPY_source_gref, 22, virt_to_mfn(other), 20);
    EXPECT(grant_copy(&op), GNTST_general_error);
}
