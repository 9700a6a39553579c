/* SPDX-License-Identifier: MIT */
/* Sets of ranges against a bitmap. */
/* sources: hv/lib/rangeset.c hv/lib/string.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/errno.h"
#include "lib/rangeset.h"

static long balance; /* bytes allocated and not freed */
static bool out_of_memory;

static void *test_alloc(size_t bytes)
{
    if (out_of_memory) {
        return NULL;
    }
    balance += (long)bytes;
    return malloc(bytes);
}

static void test_free_sized(void *p, size_t bytes)
{
    balance -= (long)bytes;
    free(p);
}

static const struct rangeset_alloc alloc = { test_alloc, test_free_sized };

static void ranges_that_touch_become_one(void **state)
{
    struct range room[4];
    struct rangeset s;

    rangeset_init_fixed(&s, room, 4);
    assert_int_equal(rangeset_add(&s, 10, 19), 0);
    assert_int_equal(rangeset_add(&s, 30, 39), 0);
    assert_int_equal(s.nr, 2);
    assert_int_equal(rangeset_add(&s, 20, 29), 0);
    assert_int_equal(s.nr, 1);
    assert_true(rangeset_contains(&s, 10, 39));
    assert_false(rangeset_contains(&s, 9, 10));
    assert_false(rangeset_contains(&s, 39, 40));
}

static void the_ends_of_the_number_range_work(void **state)
{
    struct range room[2];
    struct rangeset s;

    rangeset_init_fixed(&s, room, 2);
    assert_int_equal(rangeset_add(&s, 0, UINT64_MAX), 0);
    assert_true(rangeset_contains(&s, UINT64_MAX, UINT64_MAX));
    assert_int_equal(rangeset_remove(&s, 5, 5), 0);
    assert_true(rangeset_contains(&s, 6, UINT64_MAX));
    assert_true(rangeset_contains(&s, 0, 4));
    assert_false(rangeset_contains(&s, 5, 5));
    assert_int_equal(rangeset_remove(&s, 0, UINT64_MAX), 0);
    assert_true(rangeset_is_empty(&s));
}

static void a_full_set_stays_as_it_is(void **state)
{
    struct range room[2];
    struct rangeset s;

    rangeset_init_fixed(&s, room, 2);
    assert_int_equal(rangeset_add(&s, 0, 9), 0);
    assert_int_equal(rangeset_add(&s, 20, 29), 0);
    assert_int_equal(rangeset_add(&s, 40, 49), -ENOSPC);
    assert_int_equal(rangeset_remove(&s, 5, 6), -ENOSPC);
    assert_true(rangeset_contains(&s, 0, 9));
    assert_int_equal(rangeset_add(&s, 5, 4), -EINVAL);
    assert_int_equal(rangeset_remove(&s, 5, 4), -EINVAL);
    assert_int_equal(s.nr, 2);
}

static void no_memory_leaves_it_as_it_is(void **state)
{
    struct rangeset s;

    rangeset_init(&s, &alloc, 100);
    out_of_memory = true;
    assert_int_equal(rangeset_add(&s, 1, 1), -ENOMEM);
    assert_true(rangeset_is_empty(&s));
    out_of_memory = false;
    rangeset_destroy(&s);
}

#define NR_BITS 256

static void it_agrees_with_a_bitmap(void **state)
{
    bool bits[NR_BITS] = { false };
    struct rangeset s;

    srand(3);
    rangeset_init(&s, &alloc, NR_BITS);
    for (unsigned int step = 0; step < 20000; step++) {
        uint64_t first = (uint64_t)rand() % NR_BITS;
        uint64_t last = min(first + (uint64_t)rand() % 12, NR_BITS - 1ul);
        bool add = rand() % 2, all = true, any = false;

        for (uint64_t i = first; i <= last; i++) {
            all &= bits[i];
            any |= bits[i];
            bits[i] = add;
        }
        assert_int_equal(rangeset_contains(&s, first, last), all);
        assert_int_equal(rangeset_overlaps(&s, first, last), any);
        assert_int_equal(add ? rangeset_add(&s, first, last) : rangeset_remove(&s, first, last), 0);
        for (uint32_t i = 1; i < s.nr; i++) {
            assert_true(s.ranges[i - 1].last + 1 < s.ranges[i].first);
        }
    }
    for (uint64_t i = 0; i < NR_BITS; i++) {
        assert_int_equal(rangeset_contains(&s, i, i), bits[i]);
    }
    rangeset_destroy(&s);
    assert_int_equal(balance, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_that_touch_become_one),
        cmocka_unit_test(the_ends_of_the_number_range_work),
        cmocka_unit_test(a_full_set_stays_as_it_is),
        cmocka_unit_test(no_memory_leaves_it_as_it_is),
        cmocka_unit_test(it_agrees_with_a_bitmap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
