/* SPDX-License-Identifier: MIT */
/*
 * What one must not learn or keep: memory of the dead is clean when another
 * gets it, answers hold nothing but the answer, and a call that fails keeps
 * nothing of the domain that it named.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/grant.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#include <xen/platform.h>
#include <xen/sysctl.h>

#define SECRET 0x5ec2e75ec2e75ec2ul
#define BATCH  128u

static struct child child, next;
static struct mmu_update requests[BATCH];
static xen_pfn_t frames[BATCH];

/* ---- memory ---- */

static void fill(void *page)
{
    for (unsigned int i = 0; i < PAGE_SIZE / 8; i++) {
        WRITE_ONCE(((uint64_t *)page)[i], SECRET);
    }
}

/* The secret is in all of its memory that it can write, and in frames of the hypervisor's. */
static void keep_secrets(uint64_t arg)
{
    (void)arg;
    grant_table_map(32);
    for (unsigned int i = 0; i < 32; i++) {
        fill((void *)(GRANT_TABLE_VA + i * PAGE_SIZE));
    }
    while (page_free_count()) {
        fill(page_alloc());
    }
    child_box[0] = 1;
}

/* Of frames @frames of @domid, mapped from FOREIGN_VA on: how many words are not zero. */
static unsigned int count_dirty(unsigned int domid, unsigned int nr)
{
    uint64_t *entry = pt_entry(kernel_l4, FOREIGN_VA, 1);
    unsigned int nr_dirty = 0;

    for (unsigned int i = 0; i < nr; i++) {
        requests[i].ptr = virt_to_machine(&entry[i]);
        requests[i].val = frames[i] << PAGE_SHIFT | PTE_RO_PAGE;
    }
    EXPECT(hypercall4(__HYPERVISOR_mmu_update, requests, nr, NULL, domid), 0);
    for (unsigned int i = 0; i < nr * (PAGE_SIZE / 8); i += 8) {
        nr_dirty += READ_ONCE(((uint64_t *)FOREIGN_VA)[i]) != 0;
    }
    for (unsigned int i = 0; i < nr; i++) {
        requests[i].val = 0;
    }
    EXPECT(hyper_mmu_update(requests, nr, NULL), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    return nr_dirty;
}

static unsigned int populate(unsigned int domid)
{
    struct xen_memory_reservation r = { .nr_extents = BATCH, .domid = (domid_t)domid };

    for (unsigned int i = 0; i < BATCH; i++) {
        frames[i] = CHILD_FIRST_PFN + i;
    }
    set_xen_guest_handle(r.extent_start, frames);
    return (unsigned int)hyper_memory(XENMEM_populate_physmap, &r);
}

/* All free memory is taken, and looked at. */
TEST(memory_of_the_dead_is_clean)
{
    struct xen_domctl op = { .u.max_mem.max_memkb = 1u << 20 };
    unsigned int nr, nr_dirty = 0, nr_seen = 0;
    static uint64_t *own[8];
    xen_pfn_t mfn;
    struct xen_memory_reservation give = { .nr_extents = 1, .domid = DOMID_SELF };

    EXPECT(foreign_map(FOREIGN_VA, 0, 0, DOMID_SELF), 0);
    for (unsigned int i = 0; i < 3; i++) {
        CHECK(child_create(&child, 1, keep_secrets, 0) == 0);
        child_unpause(&child);
        EXPECT(child_wait(&child), SHUTDOWN_poweroff);
        EXPECT(child.box[0], 1);
        EXPECT(child_destroy(&child), 0);
    }
    /* Also what a living one gives back. */
    set_xen_guest_handle(give.extent_start, &mfn);
    for (unsigned int i = 0; i < ARRAY_SIZE(own); i++) {
        own[i] = page_alloc();
        fill(own[i]);
        mfn = virt_to_mfn(own[i]);
        EXPECT(hyper_update_va(own[i], 0, UVMF_INVLPG), 0);
        EXPECT(hyper_memory(XENMEM_decrease_reservation, &give), 1);
    }
    CHECK(child_create_empty(&next, 1) == 0);
    EXPECT(domctl(&op, XEN_DOMCTL_max_mem, next.domid), 0);
    while ((nr = populate(next.domid)) > 0) {
        nr_dirty += count_dirty(next.domid, nr);
        nr_seen += nr;
    }
    print("  %u pages\n", nr_seen);
    CHECK(nr_seen > 8000);
    EXPECT(nr_dirty, 0);
    EXPECT(child_destroy(&next), 0);
}

/* The hypervisor's own, which a domain is shown: table, status words, shared_info. */
TEST(frames_that_the_hypervisor_shows_are_clean)
{
    struct gnttab_setup_table setup = { .nr_frames = 32, .frame_list = { frames } };
    unsigned int nr_dirty = 0;

    CHECK(child_create(&child, 1, keep_secrets, 0) == 0);
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child_destroy(&child), 0);
    for (unsigned int turn = 0; turn < 3; turn++) {
        CHECK(child_create_empty(&next, 1) == 0);
        setup.dom = (domid_t)next.domid;
        EXPECT(hyper_grant(GNTTABOP_setup_table, &setup, 1), 0);
        EXPECT(setup.status, GNTST_okay);
        /* The toolstack's two entries may be there. */
        nr_dirty += count_dirty(next.domid, 32);
        frames[0] = next.shared_info_mfn;
        count_dirty(next.domid, 1);
        for (unsigned int i = 0; i < PAGE_SIZE / 8; i++) {
            EXPECT(foreign_map(FOREIGN_VA, frames[0], PTE_RO_PAGE, next.domid), 0);
            nr_dirty += READ_ONCE(((uint64_t *)FOREIGN_VA)[i]) == SECRET;
        }
        EXPECT(foreign_map(FOREIGN_VA, 0, 0, DOMID_SELF), 0);
        mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
        EXPECT(child_destroy(&next), 0);
    }
    EXPECT(nr_dirty, 0);
}

/* ---- answers ---- */

/* An argument, and what pointers in it lead to.  The bytes behind each are to stay what they are.
 */
static uint8_t argument[2 * PAGE_SIZE] page_aligned, answer[4 * PAGE_SIZE] page_aligned;

static bool is_hypervisors(uint64_t word)
{
    return word >= 0xffff800000000000 && word < 0xffff880000000000;
}

/* Where an address of the hypervisor's begins; @nr: nowhere. */
static unsigned int find_address(const uint8_t *bytes, unsigned int nr)
{
    for (unsigned int i = 0; i + 8 <= nr; i += 4) {
        uint64_t word;

        __builtin_memcpy(&word, &bytes[i], 8);
        if (is_hypervisors(word)) {
            return i;
        }
    }
    return nr;
}

enum filling {
    ZEROES,
    POINTERS,
    NUMBERS,
    NR_FILLINGS
};

static void prepare(enum filling filling)
{
    uint64_t *words = (uint64_t *)argument;

    for (unsigned int i = 0; i < PAGE_SIZE / 8; i++) {
        words[i] = filling == ZEROES ? 0 : filling == NUMBERS && i % 2 ? 8 : (uint64_t)answer;
    }
    if (filling == NUMBERS) {
        words[0] = DOMID_SELF | 1ul << 32;
    }
    __builtin_memset(answer, 0, sizeof(answer));
}

struct where {
    unsigned int call, cmd;
    enum filling filling;
};

/* child_box[0]: how many calls told too much; then which, and the address. */
static void look(const struct where *w)
{
    unsigned int at = find_address(argument, PAGE_SIZE);
    uint64_t *words = (uint64_t *)(at < PAGE_SIZE ? &argument[at] : &answer[0]);

    if (at == PAGE_SIZE) {
        at = find_address(answer, sizeof(answer));
        words = (uint64_t *)&answer[at];
    }
    if (at < sizeof(answer)) {
        unsigned int n = (unsigned int)child_box[0]++;

        child_box[1 + 2 * (n % 8)] = (uint64_t)w->call << 32 | w->cmd << 8 | w->filling;
        child_box[2 + 2 * (n % 8)] = *words;
    }
}

static void ask(unsigned int call, unsigned int cmd)
{
    for (unsigned int filling = 0; filling < NR_FILLINGS; filling++) {
        struct where w = { call, cmd, filling };
        bool is_vcpu_op = call == __HYPERVISOR_vcpu_op,
             is_grant = call == __HYPERVISOR_grant_table_op;

        prepare(filling);
        hypercall3(call, cmd, is_vcpu_op ? 0 : (uint64_t)argument,
                   is_vcpu_op ? (uint64_t)argument : is_grant);
        child_box[40]++;
        look(&w);
    }
}

static const struct {
    unsigned int call, first, last;
    uint64_t without; /* what would end the child, or take away what it stands on */
} questions[] = {
    { __HYPERVISOR_xen_version, 0, 12, 1u << XENVER_platform_parameters },
    { __HYPERVISOR_memory_op, 0, 28, 1u << XENMEM_machphys_mapping },
    { __HYPERVISOR_event_channel_op, 0, 14, 0 },
    { __HYPERVISOR_grant_table_op, 2, 12, 0 },
    { __HYPERVISOR_physdev_op, 5, 32, 0 },
    { __HYPERVISOR_vcpu_op, 4, 11, 1u << VCPUOP_register_vcpu_info },
    { __HYPERVISOR_hvm_op, 0, 30, 0 },
    { __HYPERVISOR_callback_op, 1, 2, 0 },
};

static void ask_everything(uint64_t arg)
{
    (void)arg;
    for (unsigned int i = 0; i < ARRAY_SIZE(questions); i++) {
        for (unsigned int cmd = questions[i].first; cmd <= questions[i].last; cmd++) {
            if (!(questions[i].without >> cmd & 1)) {
                ask(questions[i].call, cmd);
            }
        }
    }
}

/* Two calls are left out that tell where the hypervisor's range begins, as they must. */
TEST(answers_hold_no_address_of_the_hypervisors)
{
    CHECK(child_create(&child, 1, ask_everything, 0) == 0);
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    print("  %lu calls\n", child.box[40]);
    CHECK(child.box[40] > 300);
    for (unsigned int i = 0; i < child.box[0] && i < 8; i++) {
        uint64_t w = child.box[1 + 2 * i];

        FAIL("call %lu %lu with %lu tells %lx", w >> 32, w >> 8 & 0xffffff, w & 0xff,
             child.box[2 + 2 * i]);
    }
    EXPECT(child_destroy(&child), 0);
}

/* Texts end with zeroes, not with what was in the buffer that they were made in. */
TEST(texts_have_nothing_behind_them)
{
    static const struct {
        unsigned int cmd, size;
    } texts[] = {
        { XENVER_extraversion, 16 }, { XENVER_compile_info, 64 },  { XENVER_capabilities, 1024 },
        { XENVER_changeset, 64 },    { XENVER_commandline, 1024 },
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(texts); i++) {
        unsigned int n = 0;

        __builtin_memset(answer, 0xa5, sizeof(answer));
        EXPECT(hyper_version(texts[i].cmd, answer), 0);
        while (answer[n]) {
            n++;
        }
        CHECK(n < texts[i].size);
        for (; n < texts[i].size; n++) {
            if (answer[n] != 0 && answer[n] != 0xa5) {
                FAIL("text %u: byte %u is %x", texts[i].cmd, n, answer[n]);
            }
        }
        EXPECT(answer[1024], 0xa5);
    }
}

/* Nor is every text for everybody. */
static void read_texts(uint64_t arg)
{
    static char text[1024];

    (void)arg;
    child_box[0] = (uint64_t)hyper_version(XENVER_commandline, text);
    __builtin_memcpy((void *)&child_box[1], text, 16);
    child_box[3] = (uint64_t)hyper_version(XENVER_build_id, text);
}

TEST(the_command_line_is_not_for_everybody)
{
    CHECK(child_create(&child, 1, read_texts, 0) == 0);
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child.box[0], 0);
    CHECK(__builtin_memcmp((const void *)&child.box[1], "<denied>", 9) == 0);
    EXPECT(child.box[3], -EPERM);
    EXPECT(child_destroy(&child), 0);
}

/* ---- references ---- */

static struct xen_domctl op;

static void try_domctls(unsigned int domid)
{
    for (unsigned int cmd = 0; cmd < 90; cmd++) {
        for (unsigned int filling = 0; filling < 3; filling++) {
            __builtin_memset(&op, filling == 0 ? 0 : filling == 1 ? 0xff : 1, sizeof(op));
            if (cmd != XEN_DOMCTL_destroydomain && cmd != XEN_DOMCTL_unpausedomain) {
                domctl(&op, cmd, domid);
            }
        }
    }
}

static void try_memory(unsigned int domid)
{
    static union {
        domid_t id;
        struct xen_memory_reservation reservation;
        struct xen_memory_exchange exchange;
        struct xen_foreign_memory_map map;
        struct xen_mem_acquire_resource resource;
        uint8_t bytes[128];
    } arg;

    for (unsigned int cmd = 0; cmd < 30; cmd++) {
        /* Its number is at one of these places; all else is bad. */
        static const uint8_t places[] = { 0, 16, 20, 24, 48 };

        for (unsigned int i = 0; i < ARRAY_SIZE(places) * 2; i++) {
            __builtin_memset(&arg, i % 2 ? 0x7f : 0, sizeof(arg));
            __builtin_memcpy(&arg.bytes[places[i / 2]], &domid, 2);
            hyper_memory(cmd, &arg);
        }
    }
    for (unsigned int type = 0; type < 4; type++) {
        for (unsigned int id = 0; id < 4; id++) {
            arg.resource = (struct xen_mem_acquire_resource){
                .domid = (domid_t)domid, .type = (uint16_t)type, .id = id, .nr_frames = 3
            };
            arg.resource.frame_list.p = (void *)(id % 2 ? FREE_VA : 0);
            hyper_memory(XENMEM_acquire_resource, &arg);
            arg.resource.frame = 1ul << 40;
            hyper_memory(XENMEM_acquire_resource, &arg);
        }
    }
}

static void try_events(unsigned int domid)
{
    struct evtchn_bind_interdomain bind = { .remote_dom = (domid_t)domid, .remote_port = 99 };
    struct evtchn_alloc_unbound alloc = { .dom = (domid_t)domid, .remote_dom = 0x7ff0 };
    struct evtchn_status status = { .dom = (domid_t)domid, .port = ~0u };
    struct evtchn_reset reset = { .dom = (domid_t)domid };
    struct sched_remote_shutdown shutdown = { .domain_id = (domid_t)domid, .reason = 77 };

    hyper_event(EVTCHNOP_bind_interdomain, &bind);
    bind.remote_port = ~0u;
    hyper_event(EVTCHNOP_bind_interdomain, &bind);
    hyper_event(EVTCHNOP_alloc_unbound, &alloc);
    hyper_event(EVTCHNOP_status, &status);
    hyper_event(EVTCHNOP_reset, &reset);
    hyper_sched(SCHEDOP_remote_shutdown, &shutdown);
}

static void try_grants(unsigned int domid)
{
    struct gnttab_map_grant_ref map = { .dom = (domid_t)domid, .host_addr = FREE_VA };
    static uint32_t words[16];
    struct gnttab_copy copy = { .source = { .u.ref = 5, .domid = (domid_t)domid },
                                .dest = { .u.gmfn = virt_to_mfn(answer), .domid = DOMID_SELF },
                                .len = 4097,
                                .flags = GNTCOPY_source_gref };
    grant_handle_t handle;

    for (unsigned int i = 0; i < 64; i++) {
        grant_map(domid, i * 97, i, FREE_VA, &handle);
        copy.flags = (uint16_t)i;
        copy.len = (uint16_t)(i * 131);
        grant_copy(&copy);
        copy.dest.domid = (domid_t)(i % 2 ? DOMID_SELF : domid);
    }
    hyper_grant(GNTTABOP_map_grant_ref, &map, 1);
    for (unsigned int cmd = 2; cmd < 13; cmd++) {
        for (unsigned int i = 0; i < 3; i++) {
            static const uint32_t rests[] = { 0, 1, ~0u };

            for (unsigned int j = 1; j < ARRAY_SIZE(words); j++) {
                words[j] = rests[i];
            }
            words[0] = domid;
            hyper_grant(cmd, words, 1);
        }
    }
}

static void try_tables(unsigned int domid)
{
    struct mmu_update request = { .ptr = virt_to_machine(kernel_l4) | 7, .val = 0 };
    struct mmuext_op ext = { 0 };

    hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, domid);
    hypercall4(__HYPERVISOR_mmu_update, (void *)FREE_VA, 5, NULL, domid);
    hypercall4(__HYPERVISOR_mmu_update, &request, 0, NULL, domid);
    hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, domid | (domid + 1) << 16);
    request.ptr = virt_to_machine(kernel_l4);
    request.val = PTE_RO_PAGE | 1ul << 45;
    hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, domid | (domid + 1) << 16);
    for (unsigned int cmd = 0; cmd < 24; cmd++) {
        if (cmd != MMUEXT_NEW_BASEPTR && cmd != MMUEXT_NEW_USER_BASEPTR && cmd != MMUEXT_SET_LDT) {
            ext.cmd = cmd;
            ext.arg1.mfn = 1ul << 40;
            hypercall4(__HYPERVISOR_mmuext_op, &ext, 1, NULL, domid);
        }
    }
    hypercall4(__HYPERVISOR_mmuext_op, (void *)FREE_VA, 1, NULL, domid);
    hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, FREE_VA, 0x123, 0, domid);
}

TEST(calls_that_fail_keep_nothing)
{
    uint64_t slack = guest_option("oracle") ? 1000 : 0, before = 0, after;

    pt_map(kernel_l4, FREE_VA, 0);
    for (unsigned int turn = 0; turn < 3; turn++) {
        unsigned int domid;

        CHECK(child_create_empty(&child, 2) == 0);
        domid = child.domid;
        for (unsigned int i = 0; i < 3; i++) {
            try_domctls(domid);
            try_memory(domid);
            try_events(domid);
            try_grants(domid);
            try_tables(domid);
        }
        EXPECT(child_destroy(&child), 0);
        if (turn == 0) {
            before = machine_free_pages();
        }
    }
    after = machine_free_pages();
    if (after + slack < before) {
        FAIL("%lu pages are gone", before - after);
    }
}
