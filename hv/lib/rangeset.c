/* SPDX-License-Identifier: MIT */
/*
 * Sets of numbers as a sorted array of ranges, searched by halving.  A change
 * replaces a run of neighbouring ranges by none, one or two others, so both
 * adding and removing come down to splice().
 */
#include "lib/rangeset.h"

#include "abi/errno.h"
#include "lib/string.h"

#define FIRST_ROOM 8u

void rangeset_init_fixed(struct rangeset *s, struct range *array, uint32_t nr)
{
    *s = (struct rangeset){ .ranges = array, .max = nr, .limit = nr };
}

void rangeset_init(struct rangeset *s, const struct rangeset_alloc *alloc, uint32_t limit)
{
    *s = (struct rangeset){ .limit = limit, .alloc = alloc };
}

void rangeset_destroy(struct rangeset *s)
{
    s->nr = 0;
    if (s->alloc && s->ranges) {
        s->alloc->free(s->ranges, s->max * sizeof(struct range));
        s->ranges = NULL;
        s->max = 0;
    }
}

static int make_room(struct rangeset *s, uint32_t nr)
{
    uint32_t room = s->max ? s->max : FIRST_ROOM;
    struct range *bigger;

    if (nr <= s->max) {
        return 0;
    }
    if (nr > s->limit) {
        return -ENOSPC;
    }
    while (room < nr) {
        room *= 2;
    }
    room = min(room, s->limit);
    bigger = s->alloc->alloc(room * sizeof(struct range));
    if (!bigger) {
        return -ENOMEM;
    }
    if (s->ranges) {
        memcpy(bigger, s->ranges, s->nr * sizeof(struct range));
        s->alloc->free(s->ranges, s->max * sizeof(struct range));
    }
    s->ranges = bigger;
    s->max = room;
    return 0;
}

/* Index of the first range that ends at @n or above; s->nr if there is none. */
static uint32_t find(const struct rangeset *s, uint64_t n)
{
    uint32_t low = 0, high = s->nr;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (s->ranges[mid].last < n) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Put the @nr ranges at @with in the place of those from index @from up to @to. */
static int splice(struct rangeset *s, uint32_t from, uint32_t to, const struct range *with,
                  uint32_t nr)
{
    uint32_t new_nr = s->nr - (to - from) + nr;
    int rc = make_room(s, new_nr);

    if (rc) {
        return rc;
    }
    if (s->nr > to) {
        memmove(&s->ranges[from + nr], &s->ranges[to], (s->nr - to) * sizeof(struct range));
    }
    for (uint32_t i = 0; i < nr; i++) {
        s->ranges[from + i] = with[i];
    }
    s->nr = new_nr;
    return 0;
}

int rangeset_add(struct rangeset *s, uint64_t first, uint64_t last)
{
    struct range whole = { first, last };
    uint32_t from, to;

    if (first > last) {
        return -EINVAL;
    }
    from = find(s, first ? first - 1 : 0); /* one that ends just below is continued */
    for (to = from; to < s->nr; to++) {
        if (last != UINT64_MAX && s->ranges[to].first > last + 1) {
            break;
        }
        whole.first = min(whole.first, s->ranges[to].first);
        whole.last = max(whole.last, s->ranges[to].last);
    }
    return splice(s, from, to, &whole, 1);
}

int rangeset_remove(struct rangeset *s, uint64_t first, uint64_t last)
{
    struct range kept[2];
    uint32_t from, to, nr = 0;

    if (first > last) {
        return -EINVAL;
    }
    from = find(s, first);
    for (to = from; to < s->nr && s->ranges[to].first <= last; to++) {
        if (s->ranges[to].first < first) {
            kept[nr++] = (struct range){ s->ranges[to].first, first - 1 };
        }
        if (s->ranges[to].last > last) {
            kept[nr++] = (struct range){ last + 1, s->ranges[to].last };
        }
    }
    return from == to ? 0 : splice(s, from, to, kept, nr);
}

bool rangeset_contains(const struct rangeset *s, uint64_t first, uint64_t last)
{
    uint32_t i = find(s, first);

    return first <= last && i < s->nr && s->ranges[i].first <= first && s->ranges[i].last >= last;
}

bool rangeset_overlaps(const struct rangeset *s, uint64_t first, uint64_t last)
{
    uint32_t i = find(s, first);

    return first <= last && i < s->nr && s->ranges[i].first <= last;
}
