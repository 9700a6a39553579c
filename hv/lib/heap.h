/* SPDX-License-Identifier: MIT */
/*
 * A priority queue whose links live in the members: the smallest key first.
 * Insert, remove of any member and remove of the first are O(log n) in the
 * worst case and allocate nothing.
 */
#pragma once

#include "lib/compiler.h"

struct heap_node {
    struct heap_node *left, *right, *parent;
    uint64_t key;
    uint32_t rank; /* length of the shortest way down to a missing child; 0: in no heap */
};

struct heap {
    struct heap_node *root;
};

/* Make @n insertable; zeroed memory is so already. */
static inline void heap_node_init(struct heap_node *n)
{
    n->rank = 0;
}

static inline bool heap_is_linked(const struct heap_node *n)
{
    return n->rank != 0;
}

/* The member with the smallest key; NULL of an empty heap. */
static inline struct heap_node *heap_first(const struct heap *h)
{
    return h->root;
}

/* Put in @n, which is in no heap, under @key. */
void heap_insert(struct heap *h, struct heap_node *n, uint64_t key);

/* Take out @n, which is in @h. */
void heap_remove(struct heap *h, struct heap_node *n);
