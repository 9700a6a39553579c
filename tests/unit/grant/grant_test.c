/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: random requests against the model, and uses of entries while
 * their lender changes them at the same time on another processor.
 */
/* sources: hv/grant/grant.c hv/grant/pin.c hv/grant/track.c hv/grant/version.c
 * hv/mm/page_alloc.c hv/mm/heap.c hv/mm/frame.c hv/mm/frame_use.c hv/domain/memory.c
 * hv/lib/rangeset.c tests/unit/mm/machine.c tests/unit/grant/model.c
 * tests/unit/grant/threads.c */
/* libs: -lpthread */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "domain/memory.h"
#include "grant/internal.h"
#include "grant/model.h"
#include "grant/threads.h"
#include "mm/machine.h"
#include "mm/phys.h"
#include "domain/part.h"

static uint32_t random32(void *state)
{
    uint64_t *s = state;

    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return (uint32_t)(*s >> 11);
}

static void random_requests_keep_to_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t numbers = seed * 88172645463325252ull;

        model_begin(random32, &numbers);
        for (unsigned int i = 0; i < 1500; i++) {
            model_step();
        }
        model_end();
    }
    assert_in_range(model_counts.mapped, 200, 30000);
    assert_in_range(model_counts.pinned, 100, 30000);
    assert_in_range(model_counts.refused, 500, 30000);
    assert_in_range(model_counts.changed, 20, 30000);
    assert_in_range(model_counts.swapped, 20, 30000);
    assert_in_range(model_counts.died, 20, 30000);
}

/* ---- a lender at work at the same time ---- */

#define TURNS 20000

static struct domain *lender, *borrower;
static uint64_t frames[4];
static bool is_over;

static void make_pair(void)
{
    static const struct domain_config config = { .max_grant_frames = 2, .max_maptrack_frames = 2 };

    lender = machine_domain(1, 1);
    borrower = machine_domain(2, 1);
    lender->refs = borrower->refs = 10;
    assert_int_equal(grant_part.create(lender, &config), 0);
    assert_int_equal(grant_part.create(borrower, &config), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(frames); i++) {
        frames[i] = memory_alloc(lender, 0, 0, ALLOC_ZERO).n;
    }
}

static void free_pair(void)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(frames); i++) {
        assert_int_equal(memory_free(lender, MFN(frames[i])), 0);
    }
    grant_part.free(lender);
    grant_part.free(borrower);
    machine_domain_free(lender);
    machine_domain_free(borrower);
}

/* All frames have the one reference that keeps them allocated, and no use. */
static void expect_nothing_left(void)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(frames); i++) {
        const struct frame *f = frame_of(MFN(frames[i]));

        assert_int_equal((f->ref & FRAME_REF_MASK) / FRAME_REF_ONE, 1);
        assert_int_equal(frame_type(f) == FT_WRITABLE ? (uint32_t)f->type : 0, 0);
    }
    for (uint32_t ref = 0; ref < GRANT_V1_PER_FRAME; ref++) {
        assert_int_equal(*grant_active(lender->grant, ref), 0);
    }
}

static void *lie(void *arg)
{
    const struct grant_table *t = lender->grant;
    uint64_t random = 4711;

    (void)arg;
    while (!READ_ONCE(is_over)) {
        uint32_t ref = random32(&random) % 4, what = random32(&random);
        uint16_t flags = what % 5 == 0   ? 0
                         : what % 3 == 0 ? GTF_permit_access | GTF_readonly
                                         : GTF_permit_access;
        uint64_t frame = frames[(what >> 8) % ARRAY_SIZE(frames)];

        if (t->max_version == 1) {
            volatile struct grant_entry_v1 *e = grant_entry_v1(t, ref);

            e->domid = what % 11 == 0 ? 3 : 2;
            e->frame = (uint32_t)frame;
            e->flags = flags;
        } else {
            volatile union grant_entry_v2 *e = grant_entry_v2(t, ref);

            e->hdr.domid = what % 11 == 0 ? 3 : 2;
            e->full_page.frame = frame;
            e->hdr.flags = flags;
        }
    }
    return NULL;
}

static void *borrow(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    uintptr_t nr_good = 0;

    for (unsigned int i = 0; i < TURNS; i++) {
        uint32_t ref = random32(&random) % 4;
        bool is_write = random32(&random) % 2;
        int64_t mfn = grant_pin(lender, ref, 2, is_write, NULL);

        if (mfn >= 0) {
            nr_good++;
            assert_int_equal(grant_active_mfn(*grant_active(lender->grant, ref)).n, mfn);
            assert_true(!is_write || frame_type(frame_of(MFN((uint64_t)mfn))) == FT_WRITABLE);
            grant_unpin(lender, ref, is_write);
        }
    }
    return (void *)nr_good;
}

static void borrow_from_a_liar(uint32_t version)
{
    unsigned long liar, borrowers[2];
    uintptr_t nr_good = 0;

    make_pair();
    lender->grant->max_version = version;
    assert_int_equal(grant_set_version(lender, version), 0);
    is_over = false;
    liar = thread_start(lie, NULL);
    for (uintptr_t i = 0; i < 2; i++) {
        borrowers[i] = thread_start(borrow, (void *)(i + 99));
    }
    for (unsigned int i = 0; i < 2; i++) {
        nr_good += (uintptr_t)thread_join(borrowers[i]);
    }
    WRITE_ONCE(is_over, true);
    thread_join(liar);
    assert_true(nr_good > 0);
    expect_nothing_left();
    free_pair();
}

static void a_lender_may_change_its_entries_at_any_time(void **state)
{
    (void)state;
    borrow_from_a_liar(1);
}

static void so_it_may_in_version_2(void **state)
{
    (void)state;
    borrow_from_a_liar(2);
}

/* Handles are taken and given back by several processors at once. */
static void *map_and_unmap(void *arg)
{
    uint64_t random = (uintptr_t)arg;

    for (unsigned int i = 0; i < TURNS; i++) {
        uint32_t flags = GNTMAP_host_map | (random32(&random) % 2 ? GNTMAP_readonly : 0);
        uint32_t ref = 1 + random32(&random) % 3;
        grant_handle_t handle;
        struct grant_mapping m;
        int64_t mfn;

        mfn = grant_map_begin(borrower, lender, ref, flags, &handle);
        assert_int_equal(mfn, frames[ref]);
        grant_map_end(borrower, (grant_handle_t[]){ handle, GRANT_NO_HANDLE }, 2);
        assert_int_equal(grant_unmap_begin(borrower, handle, &m), GNTST_okay);
        assert_int_equal(m.ref, ref);
        assert_int_equal(m.mfn.n, frames[ref]);
        grant_unmap_end(borrower, &m, 1); /* after all it stays */
        assert_int_equal(grant_unmap_begin(borrower, handle, &m), GNTST_okay);
        __atomic_fetch_add(&lender->refs, 1, __ATOMIC_SEQ_CST);
        m.left = 0;
        grant_unmap_end(borrower, &m, 1);
    }
    return NULL;
}

static void *change_versions(void *arg)
{
    uintptr_t nr_changes = 0;

    (void)arg;
    for (uint32_t i = 0; !READ_ONCE(is_over); i++) {
        nr_changes += grant_set_version(lender, 1 + i % 2) == 0;
    }
    return (void *)nr_changes;
}

/* The entries are reserved ones, which keep what they say through changes of the version. */
static void versions_change_under_borrowers(void **state)
{
    unsigned long borrowers[3], changer;
    void *nr_changes;

    (void)state;
    make_pair();
    for (uint32_t ref = 1; ref < 4; ref++) {
        *grant_entry_v1(lender->grant, ref) = (struct grant_entry_v1){
            .flags = GTF_permit_access, .domid = 2, .frame = (uint32_t)frames[ref]
        };
    }
    assert_true(grant_tracks_grow(borrower)); /* nobody here waits for a lock */
    is_over = false;
    changer = thread_start(change_versions, NULL);
    for (uintptr_t i = 0; i < 3; i++) {
        borrowers[i] = thread_start(map_and_unmap, (void *)(i + 7));
    }
    for (unsigned int i = 0; i < 3; i++) {
        thread_join(borrowers[i]);
    }
    WRITE_ONCE(is_over, true);
    nr_changes = thread_join(changer);
    assert_true((uintptr_t)nr_changes > 0);
    expect_nothing_left();
    assert_int_equal(grant_set_version(lender, 1), 0);
    assert_int_equal(grant_entry_v1(lender->grant, 1)->flags, GTF_permit_access);
    assert_int_equal(grant_tracks_used(borrower->grant), 0);
    free_pair();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_requests_keep_to_the_model),
        cmocka_unit_test(a_lender_may_change_its_entries_at_any_time),
        cmocka_unit_test(so_it_may_in_version_2),
        cmocka_unit_test(versions_change_under_borrowers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
