/* SPDX-License-Identifier: MIT */
/* The page allocator and the heap: blocks, limits, scrubbing, and that nothing is lost. */
/* sources: hv/mm/page_alloc.c hv/mm/heap.c hv/mm/frame.c hv/mm/frame_use.c hv/domain/memory.c
 * hv/lib/rangeset.c tests/unit/mm/machine.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "domain/memory.h"
#include "mm/heap.h"
#include "mm/machine.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"

static uint64_t random_state = 88172645463325252ull;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool is_zero(mfn_t mfn, unsigned int order)
{
    const uint64_t *p = mfn_to_virt(mfn);

    for (uint64_t i = 0; i < (PAGE_SIZE << order) / 8; i++) {
        if (p[i]) {
            return false;
        }
    }
    return true;
}

static void gives_aligned_zeroed_blocks_below_the_limit(void **state)
{
    static const struct {
        unsigned int order, bits;
    } cases[] = { { 0, 0 }, { 3, 0 }, { 9, 0 }, { 0, 24 }, { 4, 24 }, { 9, 24 }, { 2, 20 } };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t before = pages_nr_free();
        mfn_t mfn = pages_alloc(cases[i].order, cases[i].bits, ALLOC_ZERO);

        assert_true(frame_valid(mfn));
        assert_int_equal(mfn.n & ((1u << cases[i].order) - 1), 0);
        assert_true(!cases[i].bits ||
                    mfn.n + (1u << cases[i].order) <= 1ull << (cases[i].bits - 12));
        assert_true(is_zero(mfn, cases[i].order));
        assert_int_equal(pages_nr_free(), before - (1u << cases[i].order));
        for (uint64_t n = 0; n < 1u << cases[i].order; n++) {
            assert_int_equal(frame_of(mfn)[n].ref, 0);
            assert_int_equal(frame_of(mfn)[n].type, 0);
        }
        pages_free(mfn, cases[i].order);
        assert_int_equal(pages_nr_free(), before);
    }
}

static void keeps_the_lowest_16_mib_for_those_who_ask(void **state)
{
    static mfn_t got[MACHINE_FRAMES];
    size_t n = 0;

    while (got[n] = pages_alloc(0, 0, 0), frame_valid(got[n])) {
        assert_true(got[n].n >= 4096);
        n++;
    }
    assert_int_equal(n, MACHINE_FRAMES - 4096);
    got[n] = pages_alloc(0, 0, ALLOC_LOW_OK);
    assert_true(frame_valid(got[n]) && got[n].n < 4096);
    for (size_t i = 0; i <= n; i++) {
        pages_free(got[i], 0);
    }
    got[0] = pages_alloc(11, 0, 0);
    assert_true(frame_valid(got[0])); /* all came together again */
    pages_free(got[0], 11);
}

static void nobody_gets_a_reference_to_a_free_frame(void **state)
{
    for (uint64_t i = 16; i < MACHINE_FRAMES; i++) {
        assert_false(frame_get(frame_of(MFN(i)), 0));
        assert_false(frame_get(frame_of(MFN(i)), DOMID_XEN));
    }
}

static void scrubs_until_all_is_clean_and_then_gives_clean_memory(void **state)
{
    mfn_t mfn;

    while (pages_scrub_step()) {
    }
    assert_int_equal(pages_nr_dirty(), 0);
    mfn = pages_alloc(5, 0, 0);
    assert_true(is_zero(mfn, 5));
    memset(mfn_to_virt(mfn), 1, PAGE_SIZE << 5);
    pages_free(mfn, 5);
    assert_int_not_equal(pages_nr_dirty(), 0);
    mfn = pages_alloc(5, 0, ALLOC_ZERO);
    assert_true(is_zero(mfn, 5));
    pages_free(mfn, 5);
}

static void flushes_before_a_freed_frame_is_given_out(void **state)
{
    mfn_t mfn = pages_alloc(0, 0, 0);
    unsigned int before;

    pages_free(mfn, 0);
    before = machine_flushes;
    mfn = pages_alloc(0, 0, 0);
    assert_int_equal(machine_flushes, before + 1);
    pages_free(mfn, 0);
}

static void what_was_only_ours_needs_no_flush(void **state)
{
    void *page = page_alloc_hv();
    unsigned int before = machine_flushes;

    for (unsigned int i = 0; i < 10; i++) {
        page_free_hv(page);
        page = page_alloc_hv();
    }
    assert_int_equal(machine_flushes, before);
    page_free_hv(page);
}

static void random_blocks_never_overlap_nor_get_lost(void **state)
{
    enum {
        SLOTS = 300
    };
    static struct {
        mfn_t mfn;
        unsigned int order;
        bool used;
    } slots[SLOTS];
    static uint8_t taken[MACHINE_FRAMES];
    uint64_t before = pages_nr_free();

    for (unsigned int step = 0; step < 20000; step++) {
        unsigned int i = random64() % SLOTS;

        if (slots[i].used) {
            memset(taken + slots[i].mfn.n, 0, 1u << slots[i].order);
            pages_free(slots[i].mfn, slots[i].order);
            slots[i].used = false;
        } else {
            slots[i].order = random64() % 7;
            slots[i].mfn = pages_alloc(slots[i].order, 0, random64() % 4);
            slots[i].used = frame_valid(slots[i].mfn);
            for (uint64_t n = 0; slots[i].used && n < 1u << slots[i].order; n++) {
                assert_int_equal(taken[slots[i].mfn.n + n]++, 0);
            }
        }
        if (random64() % 16 == 0) {
            pages_scrub_step();
        }
    }
    for (unsigned int i = 0; i < SLOTS; i++) {
        if (slots[i].used) {
            pages_free(slots[i].mfn, slots[i].order);
        }
    }
    assert_int_equal(pages_nr_free(), before);
}

static void what_is_claimed_is_for_its_owner_alone(void **state)
{
    uint64_t nr_free = pages_nr_free(), mine = 0, others = 0;
    mfn_t a, b;

    assert_false(pages_claim(&mine, nr_free + 1));
    assert_int_equal(mine, 0);
    assert_true(pages_claim(&mine, nr_free - 3));
    assert_false(pages_claim(&others, 4));
    assert_true(pages_claim(&others, 2));
    assert_int_equal(pages_nr_claimed(), nr_free - 1);
    assert_false(frame_valid(pages_alloc(1, 0, 0))); /* one page is nobody's */
    a = pages_alloc(0, 0, 0);
    assert_true(frame_valid(a));
    b = pages_alloc_claimed(1, 0, 0, &others);
    assert_true(frame_valid(b));
    assert_int_equal(others, 0);
    assert_false(frame_valid(pages_alloc_claimed(0, 0, 0, &others)));
    pages_free(b, 1);
    pages_claim_more(&others, 2); /* it has none: nothing to add to */
    assert_int_equal(others, 0);
    pages_claim_more(&mine, 2);
    assert_int_equal(mine, nr_free - 1);
    assert_true(pages_claim(&mine, 0));
    assert_int_equal(pages_nr_claimed(), 0);
    pages_free(a, 0);
    assert_int_equal(pages_nr_free(), nr_free);
}

static void only_clean_memory_is_given_where_that_is_asked(void **state)
{
    mfn_t mfn;

    while (pages_scrub_batch()) {
    }
    mfn = pages_alloc(4, 0, ALLOC_ZERO | ALLOC_CLEAN);
    assert_true(frame_valid(mfn));
    assert_true(is_zero(mfn, 4));
    pages_free(mfn, 4);
    mfn = pages_alloc(11, 0, ALLOC_ZERO | ALLOC_CLEAN); /* half of all, a part of which is dirty */
    if (frame_valid(mfn)) {
        assert_true(is_zero(mfn, 11));
        pages_free(mfn, 11);
    }
}

static void a_list_in_any_order_is_freed_whole(void **state)
{
    enum {
        NR = 600
    };
    static uint64_t mfns[NR];
    uint64_t before = pages_nr_free();
    mfn_t block;

    for (unsigned int round = 0; round < 20; round++) {
        block = pages_alloc(9, 0, 0);
        assert_true(frame_valid(block));
        for (unsigned int i = 0; i < NR; i++) {
            mfns[i] = i < 512 ? block.n + i : pages_alloc(0, 0, 0).n;
        }
        for (unsigned int i = 0; i < round * 30; i++) {
            unsigned int a = random64() % NR, b = random64() % NR;
            uint64_t x = mfns[a];

            mfns[a] = mfns[b];
            mfns[b] = x;
        }
        pages_free_list(mfns, NR);
        assert_int_equal(pages_nr_free(), before);
    }
}

static void a_domain_gets_lists_of_frames_from_whatever_is_left(void **state)
{
    enum {
        NR = 64
    };
    static uint64_t mfns[MACHINE_FRAMES], again[NR];
    struct domain *d = machine_domain(7, 1);
    uint64_t before = pages_nr_free();
    uint32_t n = 0, got;

    /* All there is; then every other frame of the first half. */
    do {
        got = memory_alloc_list(d, &mfns[n], NR, 0);
        n += got;
    } while (got == NR);
    assert_int_equal(d->nr_pages, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(frame_owner(frame_of(MFN(mfns[i]))), 7);
        assert_true(is_zero(MFN(mfns[i]), 0));
    }
    for (uint32_t i = 0; i < n / 2; i += 2) {
        assert_int_equal(memory_free_list(d, &(uint64_t){ mfns[i] }, 1), 1);
    }
    assert_int_equal(memory_alloc_list(d, again, NR, 0), NR);
    d->max_pages = d->nr_pages + 5;
    assert_int_equal(memory_alloc_list(d, again, NR, 0), 5);
    assert_int_equal(memory_free_list(d, &(uint64_t){ MACHINE_FRAMES + 5 }, 1), 0);
    d->life = DOMAIN_DYING;
    assert_int_equal(memory_alloc_list(d, again, NR, 0), 0);
    while (memory_destroy_step(d) == -ERESTART) {
    }
    assert_int_equal(d->nr_pages, 0);
    machine_domain_free(d);
    assert_true(pages_nr_free() >= before - 1); /* a slab may stay */
}

/* --- the last frame that was freed alone --- */

static uint64_t get_one(struct domain *d)
{
    uint64_t mfn;

    assert_int_equal(memory_alloc_list(d, &mfn, 1, 0), 1);
    return mfn;
}

static void free_one_with(struct domain *d, uint64_t mfn, int byte)
{
    memset(mfn_to_virt(MFN(mfn)), byte, PAGE_SIZE);
    assert_int_equal(memory_free_list(d, &(uint64_t){ mfn }, 1), 1);
}

static void who_freed_a_frame_alone_gets_it_again_and_nobody_else_sees_what_is_in_it(void **state)
{
    struct domain *a = machine_domain(8, 1), *b = machine_domain(9, 1);
    uint64_t mine = get_one(a), other, free = pages_nr_free(), dirty = pages_nr_dirty();
    uint8_t *bytes = mfn_to_virt(MFN(mine));

    free_one_with(a, mine, 0x77);
    assert_int_equal(pages_nr_free(), free + 1);
    assert_int_equal(pages_nr_dirty(), dirty + 1);
    assert_int_equal(get_one(a), mine);
    assert_int_equal(bytes[5], 0x77);
    assert_int_equal(pages_nr_free(), free);

    /* Another asks first, and takes all there is. */
    free_one_with(a, mine, 0x77);
    do {
        assert_int_equal(memory_alloc_list(b, &other, 1, 0), 1);
        assert_true(is_zero(MFN(other), 0));
    } while (other != mine);
    assert_int_equal(memory_free_list(b, &other, 1), 1);
    assert_int_equal(bytes[5], 0);

    /* Its owner ends, and what has its accounts' place is another. */
    assert_int_equal(get_one(b), mine);
    free_one_with(b, mine, 0x66);
    b->life = DOMAIN_DYING;
    while (memory_destroy_step(b) == -ERESTART) {
    }
    machine_domain_free(b);
    b = machine_domain(9, 1);
    do {
        assert_int_equal(memory_alloc_list(b, &other, 1, 0), 1);
        assert_true(is_zero(MFN(other), 0));
    } while (other != mine);
    b->life = a->life = DOMAIN_DYING;
    while (memory_destroy_step(b) == -ERESTART || memory_destroy_step(a) == -ERESTART) {
    }
    machine_domain_free(a);
    machine_domain_free(b);
}

static void a_frame_freed_alone_is_scrubbed_and_joins_its_buddies(void **state)
{
    struct domain *d = machine_domain(8, 1);
    uint64_t mfn = get_one(d), free = pages_nr_free();

    free_one_with(d, mfn, 0x77);
    /* It is above this limit, so that its owner gets another one, zeroed. */
    assert_int_not_equal(memory_alloc_list(d, &mfn, 1, 24), 0);
    assert_true(mfn < 1u << 12 && is_zero(MFN(mfn), 0));
    assert_int_equal(memory_free(d, MFN(mfn)), 0);
    while (pages_scrub_batch()) {
    }
    assert_int_equal(pages_nr_dirty(), 0);
    assert_int_equal(pages_nr_free(), free + 1);
    assert_true(is_zero(MFN(get_one(d)), 0));
    d->life = DOMAIN_DYING;
    while (memory_destroy_step(d) == -ERESTART) {
    }
    machine_domain_free(d);
}

/* Another CPU's decrease_reservation, once a frame of the region is on its way. */
static struct {
    struct domain *d;
    uint64_t mfn; /* the first frame of the region */
    uint32_t first, nr;
} rival;

static void rival_frees(mfn_t mfn)
{
    uint64_t mfns[8];

    if (mfn.n == rival.mfn) {
        machine_after_m2p = NULL;
        for (uint32_t i = 0; i < rival.nr; i++) {
            mfns[i] = rival.mfn + rival.first + i;
        }
        assert_int_equal(memory_free_list(rival.d, mfns, rival.nr), rival.nr);
    }
}

static void frames_freed_elsewhere_while_a_domain_dies_are_skipped(void **state)
{
    static const struct {
        uint32_t first, nr;
    } cases[] = { { 1, 1 }, { 1, 8 }, { 60, 1 }, { 127, 1 }, { 124, 8 }, { 500, 8 } };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct domain *d = machine_domain(7, 1);
        mfn_t mfn = memory_alloc(d, 9, 0, ALLOC_ZERO);
        uint64_t free = pages_nr_free();

        assert_true(frame_valid(mfn));
        /* This one is not freed at once, so that there is a moment between the list and its end. */
        assert_true(frame_get(frame_of(mfn), 7));
        d->life = DOMAIN_DYING;
        rival.d = d;
        rival.mfn = mfn.n;
        rival.first = cases[i].first;
        rival.nr = cases[i].nr;
        machine_after_m2p = rival_frees;
        while (memory_destroy_step(d) == -ERESTART) {
        }
        assert_null(machine_after_m2p);
        assert_int_equal(pages_nr_free(), free + 511);
        frame_put(frame_of(mfn));
        assert_int_equal(d->nr_pages, 0);
        assert_int_equal(pages_nr_free(), free + 512);
        machine_domain_free(d);
    }
}

static void heap_objects_are_zeroed_aligned_and_apart(void **state)
{
    enum {
        SLOTS = 500
    };
    static struct {
        uint8_t *p;
        size_t size;
    } slots[SLOTS];
    uint64_t before = pages_nr_free();

    for (unsigned int step = 0; step < 20000; step++) {
        unsigned int i = random64() % SLOTS;

        if (slots[i].p) {
            for (size_t n = 0; n < slots[i].size; n++) {
                assert_int_equal(slots[i].p[n], (uint8_t)i);
            }
            heap_free(slots[i].p, slots[i].size);
            slots[i].p = NULL;
            continue;
        }
        slots[i].size = 1 + random64() % (random64() % 8 ? 300 : 20000);
        slots[i].p = heap_alloc(slots[i].size);
        assert_non_null(slots[i].p);
        assert_int_equal((uintptr_t)slots[i].p % (slots[i].size < 64 ? 16 : 64), 0);
        assert_true(slots[i].size < PAGE_SIZE || (uintptr_t)slots[i].p % PAGE_SIZE == 0);
        for (size_t n = 0; n < slots[i].size; n++) {
            assert_int_equal(slots[i].p[n], 0);
        }
        memset(slots[i].p, (int)i, slots[i].size);
    }
    for (unsigned int i = 0; i < SLOTS; i++) {
        heap_free(slots[i].p, slots[i].size);
    }
    /* A slab of each of the 11 sizes may be kept. */
    assert_in_range(pages_nr_free(), before - 11, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_aligned_zeroed_blocks_below_the_limit),
        cmocka_unit_test(keeps_the_lowest_16_mib_for_those_who_ask),
        cmocka_unit_test(nobody_gets_a_reference_to_a_free_frame),
        cmocka_unit_test(flushes_before_a_freed_frame_is_given_out),
        cmocka_unit_test(what_was_only_ours_needs_no_flush),
        cmocka_unit_test(random_blocks_never_overlap_nor_get_lost),
        cmocka_unit_test(scrubs_until_all_is_clean_and_then_gives_clean_memory),
        cmocka_unit_test(what_is_claimed_is_for_its_owner_alone),
        cmocka_unit_test(only_clean_memory_is_given_where_that_is_asked),
        cmocka_unit_test(a_list_in_any_order_is_freed_whole),
        cmocka_unit_test(a_domain_gets_lists_of_frames_from_whatever_is_left),
        cmocka_unit_test(who_freed_a_frame_alone_gets_it_again_and_nobody_else_sees_what_is_in_it),
        cmocka_unit_test(a_frame_freed_alone_is_scrubbed_and_joins_its_buddies),
        cmocka_unit_test(frames_freed_elsewhere_while_a_domain_dies_are_skipped),
        cmocka_unit_test(heap_objects_are_zeroed_aligned_and_apart),
    };

    machine_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
