/* SPDX-License-Identifier: MIT */
/* The heap of links against a plain array. */
/* sources: hv/lib/heap.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/heap.h"

#define NR 500u

static struct heap_node nodes[NR];
static struct heap heap;

/* Every node knows its parent, no parent has a larger key, ranks are right. Returns the count. */
static unsigned int check(const struct heap_node *n, const struct heap_node *parent)
{
    uint32_t left, right;

    if (!n) {
        return 0;
    }
    left = n->left ? n->left->rank : 0;
    right = n->right ? n->right->rank : 0;
    assert_ptr_equal(n->parent, parent);
    assert_true(!parent || parent->key <= n->key);
    assert_true(left >= right);
    assert_int_equal(n->rank, right + 1);
    return 1 + check(n->left, n) + check(n->right, n);
}

static void keys_come_out_in_order(void **state)
{
    uint64_t last = 0;

    srand(1);
    memset(nodes, 0, sizeof(nodes));
    for (unsigned int i = 0; i < NR; i++) {
        heap_insert(&heap, &nodes[i], (uint64_t)rand() % 1000);
        assert_true(heap_is_linked(&nodes[i]));
    }
    assert_int_equal(check(heap.root, NULL), NR);
    for (unsigned int i = 0; i < NR; i++) {
        struct heap_node *n = heap_first(&heap);

        assert_true(n->key >= last);
        last = n->key;
        heap_remove(&heap, n);
        assert_false(heap_is_linked(n));
    }
    assert_null(heap_first(&heap));
}

static void any_member_may_leave_at_any_time(void **state)
{
    unsigned int linked = 0;

    srand(2);
    memset(nodes, 0, sizeof(nodes));
    for (unsigned int step = 0; step < 20000; step++) {
        struct heap_node *n = &nodes[(unsigned int)rand() % NR];

        if (heap_is_linked(n)) {
            heap_remove(&heap, n);
            linked--;
        } else {
            heap_insert(&heap, n, (uint64_t)rand());
            linked++;
        }
        if (step % 64 == 0) {
            assert_int_equal(check(heap.root, NULL), linked);
        }
    }
    while (heap_first(&heap)) {
        heap_remove(&heap, heap_first(&heap));
    }
}

static void rising_keys_do_not_make_it_deep(void **state)
{
    unsigned int steps = 0;

    memset(nodes, 0, sizeof(nodes));
    for (unsigned int i = 0; i < NR; i++) {
        heap_insert(&heap, &nodes[i], i);
    }
    for (const struct heap_node *n = heap.root; n; n = n->right) {
        steps++;
    }
    assert_in_range(steps, 1, 9); /* log2(501) */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_out_in_order),
        cmocka_unit_test(any_member_may_leave_at_any_time),
        cmocka_unit_test(rising_keys_do_not_make_it_deep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
