/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked lists whose links live in the members.  The head is a node
 * like the others; a node that is in no list points at itself, so taking it
 * out twice does no harm.
 */
#pragma once

#include "lib/compiler.h"

struct list_node {
    struct list_node *next, *prev;
};

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }

static inline void list_init(struct list_node *n)
{
    n->next = n->prev = n;
}

static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

/* Put @n before @at; before the head is at the end of the list. */
static inline void list_insert_before(struct list_node *at, struct list_node *n)
{
    n->next = at;
    n->prev = at->prev;
    at->prev->next = n;
    at->prev = n;
}

static inline void list_add_head(struct list_node *head, struct list_node *n)
{
    list_insert_before(head->next, n);
}

static inline void list_add_tail(struct list_node *head, struct list_node *n)
{
    list_insert_before(head, n);
}

static inline void list_remove(struct list_node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* Whether @n, once initialised, is in a list. */
static inline bool list_is_linked(const struct list_node *n)
{
    return n->next != n;
}

/* Move all of @from to the end of @head; leaves @from empty. */
static inline void list_join(struct list_node *head, struct list_node *from)
{
    if (!list_is_empty(from)) {
        from->next->prev = head->prev;
        head->prev->next = from->next;
        from->prev->next = head;
        head->prev = from->prev;
        list_init(from);
    }
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The first or last entry; NULL of an empty list. */
#define list_first(head, type, member)                                                             \
    (list_is_empty(head) ? NULL : list_entry((head)->next, type, member))
#define list_last(head, type, member)                                                              \
    (list_is_empty(head) ? NULL : list_entry((head)->prev, type, member))

/* Each entry @e in order; @e must stay in the list during its turn. */
#define list_for_each(e, head, member)                                                             \
    for (e = list_entry((head)->next, __typeof__(*e), member); &e->member != (head);               \
         e = list_entry(e->member.next, __typeof__(*e), member))

/* The same, but @e may leave the list or be freed in its turn. */
#define list_for_each_safe(e, next_e, head, member)                                                \
    for (e = list_entry((head)->next, __typeof__(*e), member),                                     \
        next_e = list_entry(e->member.next, __typeof__(*e), member);                               \
         &e->member != (head);                                                                     \
         e = next_e, next_e = list_entry(next_e->member.next, __typeof__(*e), member))
