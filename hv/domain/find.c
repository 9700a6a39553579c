/* SPDX-License-Identifier: MIT */
/*
 * Finding domains by number, and the memory of struct domain.
 *
 * A table of two levels leads from numbers to domains; its second level comes
 * page by page.  Readers use it without a lock, so the domain that an entry
 * led to may end at any moment.  Three rules make that safe:
 *
 *   1. The memory of a struct domain is never anything else.  A domain that is
 *      over goes to a pool, from which the next one is made, and its .refs is
 *      touched by counting alone: zero while it is being made, in the pool, or
 *      about to go there.
 *   2. domain_get() takes a reference only where there is one: it raises a
 *      count that is not zero, never a zero.
 *   3. Having one, it looks whether the table still leads there under that
 *      number.  If not, the domain was exchanged for another between the two
 *      steps, and the reference, a good one to somebody else, is given back.
 *
 * An entry is set while the count is zero still, so a number is taken before
 * the domain that will have it is complete, and found only when it is: the
 * first count of one is the moment it begins to exist.  The last reference
 * may be dropped by anybody, with any lock held: what follows, the freeing, is
 * left to a softirq.
 */
#include "domain/internal.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/page_alloc.h"

#define IDS_PER_PAGE (PAGE_SIZE / sizeof(struct domain *))
#define NR_ID_PAGES  (DOMID_FIRST_RESERVED / IDS_PER_PAGE + 1)

static struct spinlock domlist_lock = SPINLOCK_INIT(LOCK_RANK_DOMLIST);
static struct domain **id_pages[NR_ID_PAGES];    /* entries written under domlist_lock */
static BITMAP(taken, NR_ID_PAGES *IDS_PER_PAGE); /* entries in use; written under domlist_lock */
static uint16_t nr_in_page[NR_ID_PAGES];         /* likewise, how many of a page */
static uint32_t end_of_ids; /* [domlist_lock] to write: of the pages there are */
static domid_t last_given;  /* [domlist_lock] the last number we chose */
static struct domain *pool; /* [domlist_lock] linked by .next */

/* Pages stay. */
static struct domain **entry_of(unsigned int id)
{
    struct domain **page = READ_ONCE(id_pages[id / IDS_PER_PAGE]);

    return page == NULL ? NULL : &page[id % IDS_PER_PAGE];
}

static struct domain *peek(unsigned int id)
{
    struct domain **entry = entry_of(id);

    return entry == NULL ? NULL : __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

/* Rule 2. */
static bool count_up(struct domain *d)
{
    uint32_t refs = READ_ONCE(d->refs);

    do {
        if (refs == 0) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&d->refs, &refs, refs + 1, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    return true;
}

static always_inline struct domain *find(unsigned int id)
{
    struct domain **entry = entry_of(id);
    struct domain *d = entry == NULL ? NULL : __atomic_load_n(entry, __ATOMIC_ACQUIRE);

    if (d == NULL || !count_up(d)) {
        return NULL;
    }
    if (unlikely(__atomic_load_n(entry, __ATOMIC_ACQUIRE) != d)) { /* rule 3 */
        domain_put(d);
        return NULL;
    }
    return d;
}

struct domain *domain_get(domid_t id)
{
    static_assert(NR_ID_PAGES * IDS_PER_PAGE == DOMID_MASK + 1ul, "any masked number has a place");

    if (likely(id < DOMID_FIRST_RESERVED)) {
        return find(id & DOMID_MASK); /* the mask is for speculation */
    }
    if (id != DOMID_SELF) {
        return NULL;
    }
    domain_hold(current()->domain);
    return current()->domain;
}

struct domain *domain_held(domid_t id)
{
    return id < DOMID_FIRST_RESERVED ? peek(id) : NULL;
}

/* The first number at or after @id that was taken a moment ago; end_of_ids or more: none. */
static unsigned int next_taken(unsigned int id)
{
    while (id < READ_ONCE(end_of_ids)) {
        unsigned int end = (unsigned int)align_up(id + 1, IDS_PER_PAGE);

        if (READ_ONCE(nr_in_page[id / IDS_PER_PAGE]) != 0) {
            id = (unsigned int)bitmap_next_set(taken, end, id);
            if (id < end) {
                break;
            }
        }
        id = end;
    }
    return id;
}

struct domain *domain_get_next(domid_t id)
{
    for (unsigned int i = next_taken(id); i < READ_ONCE(end_of_ids); i = next_taken(i + 1)) {
        struct domain *d = find(i);

        if (d != NULL) {
            return d;
        }
    }
    return NULL;
}

void domain_put(struct domain *d)
{
    if (unlikely(__atomic_sub_fetch(&d->refs, 1, __ATOMIC_SEQ_CST) == 0)) {
        domain_bury(d);
    }
}

/* ------------------------------------------------------------ numbers -- */

static bool is_free(unsigned int id)
{
    return peek(id) == NULL;
}

/* The lowest free number above the last one, beginning anew after the highest; 0: none. */
static unsigned int choose_id(void) REQUIRES(domlist_lock)
{
    unsigned int id = last_given;

    for (unsigned int i = 1; i < DOMID_FIRST_RESERVED; i++) {
        id = id + 1 < DOMID_FIRST_RESERVED ? id + 1 : 1;
        if (is_free(id)) {
            last_given = (domid_t)id;
            return id;
        }
    }
    return 0;
}

static int enter(struct domain *d, unsigned int id) REQUIRES(domlist_lock)
{
    struct domain **page = id_pages[id / IDS_PER_PAGE];

    if (page == NULL) {
        page = page_alloc_hv();
        if (page == NULL) {
            return -ENOMEM;
        }
        __atomic_store_n(&id_pages[id / IDS_PER_PAGE], page, __ATOMIC_RELEASE);
        WRITE_ONCE(end_of_ids, max(end_of_ids, (uint32_t)align_up(id + 1, IDS_PER_PAGE)));
    }
    d->id = (domid_t)id;
    __atomic_store_n(&page[id % IDS_PER_PAGE], d, __ATOMIC_RELEASE);
    bit_set(taken, id);
    WRITE_ONCE(nr_in_page[id / IDS_PER_PAGE], nr_in_page[id / IDS_PER_PAGE] + 1);
    return 0;
}

/* A struct domain that is zero; its count is so already, and stays untouched. */
static struct domain *take_struct(void) REQUIRES(domlist_lock)
{
    struct domain *d = pool;

    if (d == NULL) {
        return heap_alloc(sizeof(*d));
    }
    pool = d->next;
    static_assert(offsetof(struct domain, refs) == 0, "what follows it is cleared");
    memset((char *)d + sizeof(d->refs), 0, sizeof(*d) - sizeof(d->refs));
    return d;
}

int domain_enter(domid_t id, struct domain **dp)
{
    unsigned int wanted = id;
    struct domain *d = NULL;
    int rc = -ENOMEM;

    spin_lock(&domlist_lock);
    if (id == DOMID_INVALID) {
        wanted = choose_id();
    } else if (!is_free(id)) {
        rc = -EEXIST;
        goto unlock;
    }
    if (wanted == 0 && id == DOMID_INVALID) {
        goto unlock;
    }
    d = take_struct();
    if (d == NULL) {
        goto unlock;
    }
    rc = enter(d, wanted);
    if (rc != 0) {
        d->next = pool;
        pool = d;
    }
unlock:
    spin_unlock(&domlist_lock);
    *dp = d;
    return rc;
}

void domain_leave(struct domain *d)
{
    unsigned int page = d->id / IDS_PER_PAGE;

    spin_lock(&domlist_lock);
    __atomic_store_n(&id_pages[page][d->id % IDS_PER_PAGE], NULL, __ATOMIC_SEQ_CST);
    bit_clear(taken, d->id);
    WRITE_ONCE(nr_in_page[page], nr_in_page[page] - 1);
    d->next = pool;
    pool = d;
    spin_unlock(&domlist_lock);
}
