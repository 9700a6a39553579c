/* SPDX-License-Identifier: MIT */
/*
 * Small objects.  Each slab is one page: a header, then objects of one size
 * class.  Slabs with free objects form a list per class; a slab without any is
 * on no list, and one whose objects are all free goes back to the page
 * allocator unless it is the only one there.  Objects above the largest class are whole pages.
 *
 * Free objects form a list inside their slab.  Zeroing is done when an object
 * is given out: only then is it about to be touched anyway.
 */
#include "mm/heap.h"

#include "lib/bits.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/lock.h"

struct slab {
    struct list_node link; /* [heap_lock] in the class's list while nr_used < all */
    void *free;            /* [heap_lock] first free object, which points to the next */
    uint32_t nr_used;      /* [heap_lock] */
    uint32_t class;        /* constant */
};

/*
 * Object sizes: those below 64 follow the header directly, the others begin at
 * 64, so that they do not straddle more cache lines than need be.
 */
static const uint16_t class_bytes[] = { 16, 32, 64, 128, 192, 256, 384, 576, 960, 1344, 1984 };
#define NR_CLASSES ((uint32_t)ARRAY_SIZE(class_bytes))

static_assert(sizeof(struct slab) <= 48, "fits before the first object of every class");

static struct spinlock heap_lock = SPINLOCK_INIT(LOCK_RANK_HEAP);
static struct list_node slabs[NR_CLASSES]; /* [heap_lock] zero until first used */

static uint32_t class_of(size_t size)
{
    uint32_t c = 0;

    while (c < NR_CLASSES && class_bytes[c] < size) {
        c++;
    }
    return c;
}

static uint32_t first_object(uint32_t class)
{
    return class_bytes[class] < 64 ? 48 : 64;
}

/* Make @page a slab of @class and put it on the class's list. */
static struct slab *slab_create(void *page, uint32_t class)
{
    struct slab *s = page;
    uint32_t bytes = class_bytes[class];

    s->class = class;
    for (uint32_t at = first_object(class); at + bytes <= PAGE_SIZE; at += bytes) {
        void **object = (void **)((char *)page + at);

        *object = s->free;
        s->free = object;
    }
    list_add_head(&slabs[class], &s->link);
    return s;
}

/* An object of the class's first slab; NULL: there is none. */
static void *slab_take(uint32_t class)
{
    struct list_node *list = &slabs[class];
    struct slab *s;
    void **object;

    if (!list->next) {
        list_init(list);
    }
    if (list_is_empty(list)) {
        return NULL;
    }
    s = container_of(list->next, struct slab, link);
    object = s->free;
    s->free = *object;
    s->nr_used++;
    if (!s->free) {
        list_remove(&s->link);
    }
    return object;
}

static void *small_alloc(uint32_t class)
{
    void *object, *page;

    spin_lock(&heap_lock);
    object = slab_take(class);
    if (!object) {
        page = page_alloc_hv();
        if (page) {
            slab_create(page, class);
            object = slab_take(class);
        }
    }
    spin_unlock(&heap_lock);
    return object ? memset(object, 0, class_bytes[class]) : NULL;
}

static void small_free(void *p)
{
    struct slab *s = (struct slab *)((uintptr_t)p & PAGE_MASK);
    bool is_empty;

    spin_lock(&heap_lock);
    if (!s->free) {
        list_add_head(&slabs[s->class], &s->link);
    }
    *(void **)p = s->free;
    s->free = p;
    /* The last slab with room stays: what was freed is often wanted again. */
    is_empty = --s->nr_used == 0 && s->link.next != s->link.prev;
    if (is_empty) {
        list_remove(&s->link);
    }
    spin_unlock(&heap_lock);
    if (is_empty) {
        page_free_hv(s);
    }
}

/* Free @nr pages from @pages on, in aligned powers of two. */
static void free_pages(char *pages, uint64_t nr)
{
    uint64_t at = virt_to_mfn(pages).n, end = at + nr;

    while (at < end) {
        unsigned int order = min(bit_highest(end - at), bit_lowest(at));

        pages_free_hv(mfn_to_virt(MFN(at)), order);
        at += 1ull << order;
    }
}

/* Whole pages; what the power of two has too many goes back at once. */
static void *large_alloc(uint64_t nr)
{
    unsigned int order = bit_order_up(nr);
    char *pages = pages_alloc_hv(order);

    if (pages && nr < 1ull << order) {
        free_pages(pages + nr * PAGE_SIZE, (1ull << order) - nr);
    }
    return pages;
}

void *heap_alloc(size_t size)
{
    uint32_t class = class_of(size);

    if (class < NR_CLASSES) {
        return small_alloc(class);
    }
    return large_alloc(align_up(size, PAGE_SIZE) >> PAGE_SHIFT);
}

void heap_free(void *p, size_t size)
{
    if (!p) {
        return;
    }
    if (class_of(size) < NR_CLASSES) {
        small_free(p);
    } else {
        free_pages(p, align_up(size, PAGE_SIZE) >> PAGE_SHIFT);
    }
}
