/* SPDX-License-Identifier: MIT */
/*
 * A leftist heap.  Every node's left subtree has a rank no smaller than the
 * right one, so that the way down along right children is at most log2(n + 1)
 * long; merging two heaps walks only those ways.  Everything is a merge.
 *
 * A removal in the middle lowers ranks above it, but only while the lowered
 * child is the smaller one, so that ranks grow by one with each step up: that
 * walk is logarithmic too.
 */
#include "lib/heap.h"

static uint32_t rank(const struct heap_node *n)
{
    return n ? n->rank : 0;
}

/* Restore the order of @n's children and its rank. */
static void settle(struct heap_node *n)
{
    if (rank(n->left) < rank(n->right)) {
        struct heap_node *swap = n->left;

        n->left = n->right;
        n->right = swap;
    }
    n->rank = rank(n->right) + 1;
}

static struct heap_node *merge(struct heap_node *a, struct heap_node *b)
{
    struct heap_node *root = NULL, *parent = NULL;
    struct heap_node **link = &root;

    while (a && b) {
        if (b->key < a->key) {
            struct heap_node *swap = a;

            a = b;
            b = swap;
        }
        *link = a;
        a->parent = parent;
        parent = a;
        link = &a->right;
        a = a->right;
    }
    *link = a ? a : b;
    if (*link) {
        (*link)->parent = parent;
    }
    for (; parent; parent = parent->parent) {
        settle(parent);
    }
    return root;
}

void heap_insert(struct heap *h, struct heap_node *n, uint64_t key)
{
    *n = (struct heap_node){ .key = key, .rank = 1 };
    h->root = merge(h->root, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    struct heap_node *parent = n->parent;
    struct heap_node *rest = merge(n->left, n->right);

    if (rest) {
        rest->parent = parent;
    }
    if (!parent) {
        h->root = rest;
    } else if (parent->left == n) {
        parent->left = rest;
    } else {
        parent->right = rest;
    }
    for (; parent; parent = parent->parent) {
        uint32_t before = parent->rank;

        settle(parent);
        if (parent->rank == before) {
            break;
        }
    }
    n->rank = 0;
}
