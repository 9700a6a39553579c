/* SPDX-License-Identifier: MIT */
/* Lists, bits, wide products. */
/* sources: hv/lib/string.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/bits.h"
#include "lib/div.h"
#include "lib/list.h"
#include "lib/string.h"

struct item {
    int n;
    struct list_node link;
};

static void lists_keep_their_order(void **state)
{
    struct list_node head = LIST_INIT(head), other = LIST_INIT(other);
    struct item a = { .n = 1 }, b = { .n = 2 }, c = { .n = 3 }, *e, *next;
    int sum = 0;

    assert_null(list_first(&head, struct item, link));
    list_init(&a.link);
    assert_false(list_is_linked(&a.link));
    list_add_tail(&head, &b.link);
    list_add_head(&head, &a.link);
    list_add_tail(&other, &c.link);
    list_join(&head, &other);
    assert_true(list_is_empty(&other));
    list_for_each(e, &head, link) {
        sum = sum * 10 + e->n;
    }
    assert_int_equal(sum, 123);
    assert_ptr_equal(list_last(&head, struct item, link), &c);
    list_for_each_safe(e, next, &head, link)
    {
        list_remove(&e->link);
        list_remove(&e->link);
    }
    assert_true(list_is_empty(&head));
}

static void bitmaps_are_searched_over_words(void **state)
{
    BITMAP(map, 200) = { 0 };

    assert_int_equal(bitmap_next_set(map, 200, 0), 200);
    assert_false(bit_atomic_test_set(map, 130));
    assert_true(bit_atomic_test_set(map, 130));
    bit_set(map, 199);
    assert_int_equal(bitmap_next_set(map, 200, 0), 130);
    assert_int_equal(bitmap_next_set(map, 200, 131), 199);
    assert_int_equal(bitmap_next_set(map, 199, 131), 199);
    assert_int_equal(bitmap_next_clear(map, 200, 130), 131);
    map[0] = ~0ull;
    assert_int_equal(bitmap_next_clear(map, 200, 0), 64);
    assert_int_equal(bitmap_next_clear(map, 64, 0), 64);
    assert_true(bit_atomic_test_clear(map, 130));
    assert_false(bit_test(map, 130));
    assert_int_equal(bitmap_next_set(map, 200, 200), 200);
}

static void orders_and_places_of_bits(void **state)
{
    assert_int_equal(bit_lowest(0x50), 4);
    assert_int_equal(bit_highest(0x50), 6);
    assert_int_equal(bit_count(0xf0f0), 8);
    assert_int_equal(bit_order_up(1), 0);
    assert_int_equal(bit_order_up(5), 3);
    assert_int_equal(bit_order_up(8), 3);
    assert_int_equal(bit_order_up(1ull << 63), 63);
}

static void products_keep_their_upper_half(void **state)
{
    assert_int_equal(mul_frac32(1ull << 63, 0x80000000), 1ull << 62);
    assert_int_equal(mul_shift64(~0ull, ~0ull, 64), ~0ull - 1);
    assert_int_equal(mul_div64(3000000000000000000ull, 1000, 3000), 1000000000000000000ull);
}

static void strings_are_copied_within_bounds(void **state)
{
    char small[4];

    assert_true(string_copy(small, "abc", sizeof(small)));
    assert_false(string_copy(small, "abcd", sizeof(small)));
    assert_string_equal(small, "abc");
    assert_true(string_starts("no-flag", "no-"));
    assert_false(string_starts("n", "no-"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_keep_their_order),
        cmocka_unit_test(bitmaps_are_searched_over_words),
        cmocka_unit_test(orders_and_places_of_bits),
        cmocka_unit_test(products_keep_their_upper_half),
        cmocka_unit_test(strings_are_copied_within_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
