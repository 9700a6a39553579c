/* SPDX-License-Identifier: MIT */
/*
 * The page allocator: buddies, with all of its state in the free frames' own
 * words of the frame table.
 *
 * A free block is a power of two of frames, aligned to its size.  Its first
 * frame, the head, describes it:
 *
 *   ref:   FRAME_FREE | FRAME_DIRTY if not scrubbed | stamp << 16 | order
 *   type:  number of the list's previous head << 32 | number of the next
 *
 * All its other frames have both words zero.  So a huge block is made or moved
 * by touching one frame, and frame_get() fails on every free frame: on heads
 * by FRAME_FREE, on the others for want of a reference.  Frame 0 is never free
 * and ends the lists.
 *
 * The stamp is the flush clock (x86/smp.h) when the block, or any part of it,
 * was last freed: a CPU that has not flushed since may still reach the frames
 * through its TLB, so whoever gets them first flushes it.  0: never mapped.
 *
 * Zones: zone z holds the frames [2^z, 2^(z+1)), so that an address limit is a
 * limit on zones, and the highest memory that will do is used first.  A block
 * lies in one zone by its alignment.
 *
 * Clean and dirty blocks have lists of their own.  A dirty block takes its clean
 * buddy in, which makes that dirty again, but only below MIXED_MERGE_ORDER, lest
 * one freed page makes a scrubbed GiB dirty.  A clean one never joins a dirty
 * one: scrubbing would not end.
 *
 * A domain that frees one frame and asks for one again gets the same one, with
 * its own bytes still in it: `recent` keeps the last frame that was freed alone.
 * It counts as free and dirty, and goes to the lists as soon as another frame
 * takes its place, an idle CPU scrubs, or a request finds no block.
 */
#include "mm/page_alloc.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "mm/phys.h"
#include "sys/cpu.h"
#include "sys/lock.h"
#include "sys/log.h"
#include "x86/smp.h"

#define NR_ZONES          32u
#define NR_ORDERS         (PAGE_ORDER_MAX + 1)
#define LOW_RESERVE_ZONES 12u /* frames below 2^12 are below 16 MiB */
#define MIXED_MERGE_ORDER 9u
#define SCRUB_STEP        1024u /* bytes that one step zeroes: an interrupt waits no longer than that */
#define SCRUB_BATCH_STEPS 256u

#define STAMP_SHIFT 16
#define STAMP_MASK  (0xffffffffull << STAMP_SHIFT)
#define ORDER_MASK  0xffffull

enum {
    CLEAN,
    DIRTY,
    NR_STATES
};

struct zone {
    uint32_t heads[NR_STATES][NR_ORDERS]; /* first frame of each list; 0: empty */
    uint32_t orders[NR_STATES];           /* bit o: list o has members */
};

static struct spinlock pages_lock = SPINLOCK_INIT(LOCK_RANK_PAGES);

/* All under pages_lock. */
static struct zone zones[NR_ZONES];
static uint32_t zones_with[NR_STATES]; /* bit z: zone z has blocks of that state */
static struct {
    uint64_t mfn;          /* 0: none; else its words are zero */
    const uint64_t *claim; /* who freed it: the claim of the frame's last owner */
    uint32_t stamp;
} recent;
static uint64_t nr_free, nr_dirty;
static uint64_t nr_claimed;  /* the sum of all claims */
static uint64_t nr_in_scrub; /* pages in the hands of pages_scrub_step(), in neither of the above */

/* What pages_scrub_step() is at; its CPU's own. */
struct scrub {
    uint64_t mfn; /* 0: nothing */
    size_t done_bytes;
};
static DEFINE_PER_CPU(struct scrub, scrub);

static uint64_t nr_total; /* constant after the start */

static inline unsigned int block_order(const struct frame *head)
{
    return (unsigned int)(head->ref & ORDER_MASK);
}

static inline uint32_t block_stamp(const struct frame *head)
{
    return (uint32_t)(head->ref >> STAMP_SHIFT);
}

static inline unsigned int block_state(const struct frame *head)
{
    return head->ref & FRAME_DIRTY ? DIRTY : CLEAN;
}

static inline unsigned int zone_of(uint64_t mfn)
{
    return bit_highest(mfn);
}

/* Make [mfn, mfn + 2^order) a free block and put it on its list. */
static void block_insert(uint64_t mfn, unsigned int order, unsigned int state, uint32_t stamp)
{
    struct zone *z = &zones[zone_of(mfn)];
    struct frame *head = frame_of(MFN(mfn));
    uint32_t next = z->heads[state][order];

    head->type = next;
    if (next) {
        frame_of(MFN(next))->type |= mfn << 32;
    } else {
        z->orders[state] |= 1u << order;
        zones_with[state] |= 1u << zone_of(mfn);
    }
    z->heads[state][order] = (uint32_t)mfn;
    nr_free += 1ull << order;
    nr_dirty += state == DIRTY ? 1ull << order : 0;
    WRITE_ONCE(head->ref, FRAME_FREE | (state == DIRTY ? FRAME_DIRTY : 0) |
                              (uint64_t)stamp << STAMP_SHIFT | order);
}

/* Take the block off its list; all its words are zero then. */
static void block_remove(uint64_t mfn)
{
    struct zone *z = &zones[zone_of(mfn)];
    struct frame *head = frame_of(MFN(mfn));
    unsigned int order = block_order(head), state = block_state(head);
    uint32_t next = (uint32_t)head->type, prev = (uint32_t)(head->type >> 32);

    if (next) {
        struct frame *n = frame_of(MFN(next));

        n->type = (uint32_t)n->type | (uint64_t)prev << 32;
    }
    if (prev) {
        struct frame *p = frame_of(MFN(prev));

        p->type = (p->type & ~0xffffffffull) | next;
    } else {
        z->heads[state][order] = next;
        if (!next) {
            z->orders[state] &= ~(1u << order);
            zones_with[state] &= z->orders[state] ? ~0u : ~(1u << zone_of(mfn));
        }
    }
    nr_free -= 1ull << order;
    nr_dirty -= state == DIRTY ? 1ull << order : 0;
    head->type = 0;
    WRITE_ONCE(head->ref, 0);
}

/* Is @mfn the head of a free block of @order that may merge with one of @state? */
static bool buddy_fits(uint64_t mfn, unsigned int order, unsigned int state)
{
    const struct frame *f;

    if (mfn == 0 || !frame_backed(MFN(mfn))) {
        return false;
    }
    f = frame_of(MFN(mfn));
    return (f->ref & (FRAME_FREE | ORDER_MASK)) == (FRAME_FREE | order) &&
           (block_state(f) == state || (state == DIRTY && order < MIXED_MERGE_ORDER));
}

/* Free a block whose words are zero, merging it with its buddies. */
static void block_free(uint64_t mfn, unsigned int order, unsigned int state, uint32_t stamp)
{
    while (order < PAGE_ORDER_MAX && buddy_fits(mfn ^ (1ull << order), order, state)) {
        uint64_t buddy = mfn ^ (1ull << order);
        const struct frame *f = frame_of(MFN(buddy));

        state |= block_state(f);
        stamp = max(stamp, block_stamp(f));
        block_remove(buddy);
        mfn &= ~(1ull << order);
        order++;
    }
    block_insert(mfn, order, state, stamp);
}

/*
 * Take 2^@order frames off the free block at @mfn, whose low end is used.  What
 * is over goes back on the lists.
 */
static void block_take(uint64_t mfn, unsigned int order, unsigned int *state, uint32_t *stamp)
{
    struct frame *head = frame_of(MFN(mfn));
    unsigned int have = block_order(head);

    *state = block_state(head);
    *stamp = block_stamp(head);
    block_remove(mfn);
    while (have > order) {
        have--;
        block_insert(mfn + (1ull << have), have, *state, *stamp);
    }
}

/* A block of at least @order in @z of the first of @nr_states states from @state on; 0: none. */
static uint64_t zone_find(const struct zone *z, unsigned int order, unsigned int state,
                          unsigned int nr_states)
{
    for (unsigned int i = 0; i < nr_states; i++, state ^= 1) {
        uint32_t orders = z->orders[state] >> order << order;

        if (orders) {
            return z->heads[state][bit_lowest(orders)];
        }
    }
    return 0;
}

/* The best block for a request; 0: none. */
static uint64_t find_block(unsigned int order, unsigned int address_bits, unsigned int flags)
{
    unsigned int top = address_bits ? address_bits - PAGE_SHIFT : NR_ZONES;
    unsigned int state = flags & ALLOC_ZERO ? CLEAN : DIRTY;
    unsigned int nr_states = flags & ALLOC_CLEAN ? 1 : NR_STATES;
    uint64_t with = zones_with[state] | (nr_states == 1 ? 0 : zones_with[state ^ 1]);

    with &= (1ull << min(top, NR_ZONES)) - 1;
    if (!(flags & ALLOC_LOW_OK) && top > LOW_RESERVE_ZONES) {
        with = with >> LOW_RESERVE_ZONES << LOW_RESERVE_ZONES;
    }
    while (with) {
        unsigned int z = bit_highest(with);
        uint64_t mfn = zone_find(&zones[z], order, state, nr_states);

        if (mfn) {
            return mfn;
        }
        with ^= 1ull << z;
    }
    return 0;
}

/* The recent frame goes to the lists like any other. */
static void recent_evict(void)
{
    uint64_t mfn = recent.mfn;

    if (mfn) {
        recent.mfn = 0;
        recent.claim = NULL;
        nr_free--;
        nr_dirty--;
        block_free(mfn, 0, DIRTY, recent.stamp);
    }
}

static void recent_set(uint64_t mfn, const uint64_t *claim, uint32_t stamp)
{
    recent_evict();
    recent.mfn = mfn;
    recent.claim = claim;
    recent.stamp = stamp;
    nr_free++;
    nr_dirty++;
}

/* The recent frame, for its last owner; 0: another one's, or above the limit. */
static uint64_t recent_take(unsigned int address_bits, const uint64_t *claim, uint32_t *stamp)
{
    uint64_t mfn = recent.mfn;

    if (recent.claim != claim || (address_bits && mfn >> (address_bits - PAGE_SHIFT))) {
        return 0;
    }
    *stamp = recent.stamp;
    recent.mfn = 0;
    recent.claim = NULL;
    nr_free--;
    nr_dirty--;
    return mfn;
}

void pages_forget(const uint64_t *claim)
{
    if (READ_ONCE(recent.claim) == claim) {
        spin_lock(&pages_lock);
        recent_evict();
        spin_unlock(&pages_lock);
    }
}

/* Flush the CPUs that may have mappings of frames freed at @stamp in their TLBs. */
static void flush_stale(uint32_t stamp)
{
    struct cpumask stale;
    unsigned int cpu;

    if (stamp == 0) {
        return;
    }
    cpumask_zero(&stale);
    cpumask_for_each(cpu, &cpus_online) {
        if (!tlb_flushed_since(cpus[cpu], stamp)) {
            cpumask_set(&stale, cpu);
        }
    }
    if (!cpumask_empty(&stale)) {
        tlb_flush_mask(&stale);
    }
}

static void zero_frames(uint64_t mfn, unsigned int order)
{
    for (uint64_t i = 0; i < 1ull << order; i++) {
        memset(mfn_to_virt(MFN(mfn + i)), 0, PAGE_SIZE);
    }
}

/* Are @nr frames free that nobody else has claimed?  Pages being scrubbed are back in a moment. */
static bool claims_allow(uint64_t nr, uint64_t claim)
{
    return nr + nr_claimed - claim <= nr_free + nr_in_scrub;
}

static void claim_use(uint64_t *claim, uint64_t nr)
{
    nr = min(nr, *claim);
    WRITE_ONCE(*claim, *claim - nr);
    nr_claimed -= nr;
}

bool pages_claim(uint64_t *claim, uint64_t nr)
{
    bool ok;

    spin_lock(&pages_lock);
    claim_use(claim, *claim);
    ok = claims_allow(nr, 0);
    if (ok) {
        WRITE_ONCE(*claim, nr);
        nr_claimed += nr;
    }
    spin_unlock(&pages_lock);
    return ok;
}

void pages_claim_more(uint64_t *claim, uint64_t nr)
{
    if (READ_ONCE(*claim) == 0) {
        return;
    }
    spin_lock(&pages_lock);
    if (*claim != 0 && claims_allow(nr, 0)) {
        WRITE_ONCE(*claim, *claim + nr);
        nr_claimed += nr;
    }
    spin_unlock(&pages_lock);
}

uint64_t pages_nr_claimed(void)
{
    return READ_ONCE(nr_claimed);
}

mfn_t pages_alloc(unsigned int order, unsigned int address_bits, unsigned int flags)
{
    uint64_t none = 0;

    return pages_alloc_claimed(order, address_bits, flags, &none);
}

/* Take what a request is given off the lists; 0: there is none.  @state and @stamp are its. */
static uint64_t take_frames(unsigned int order, unsigned int address_bits, unsigned int flags,
                            const uint64_t *claim, unsigned int *state, uint32_t *stamp)
{
    uint64_t mfn = 0;

    if ((flags & ALLOC_OWN) && order == 0) {
        mfn = recent_take(address_bits, claim, stamp);
        if (mfn) {
            return mfn; /* what is in it is its owner's, so that it is as good as clean */
        }
    }
    mfn = find_block(order, address_bits, flags);
    if (!mfn && recent.mfn && !(flags & ALLOC_CLEAN)) {
        recent_evict();
        mfn = find_block(order, address_bits, flags);
    }
    if (mfn) {
        block_take(mfn, order, state, stamp);
    }
    return mfn;
}

mfn_t pages_alloc_claimed(unsigned int order, unsigned int address_bits, unsigned int flags,
                          uint64_t *claim)
{
    unsigned int state = CLEAN;
    uint32_t stamp = 0;
    uint64_t mfn;

    if (order > PAGE_ORDER_MAX || (address_bits && address_bits <= PAGE_SHIFT + order)) {
        return MFN_INVALID;
    }
    spin_lock(&pages_lock);
    mfn = claims_allow(1ull << order, *claim)
              ? take_frames(order, address_bits, flags, claim, &state, &stamp)
              : 0;
    if (mfn) {
        claim_use(claim, 1ull << order);
    }
    spin_unlock(&pages_lock);
    if (!mfn) {
        return MFN_INVALID;
    }
    flush_stale(stamp);
    if ((flags & ALLOC_ZERO) && state == DIRTY) {
        zero_frames(mfn, order);
    }
    return MFN(mfn);
}

static void clear_words(struct frame *f)
{
    ASSERT((f->ref & (FRAME_REF_MASK | FRAME_FREE)) == 0);
    f->ref = 0;
    f->type = 0;
}

static void free_frames(mfn_t mfn, unsigned int order, uint32_t stamp)
{
    ASSERT(mfn.n != 0 && (mfn.n & ((1ull << order) - 1)) == 0);
    for (uint64_t i = 0; i < 1ull << order; i++) {
        clear_words(frame_of(mfn) + i);
    }
    spin_lock(&pages_lock);
    block_free(mfn.n, order, DIRTY, stamp);
    spin_unlock(&pages_lock);
}

void pages_free(mfn_t mfn, unsigned int order)
{
    free_frames(mfn, order, tlb_clock());
}

void pages_free_one(uint64_t mfn, const uint64_t *claim)
{
    clear_words(frame_of(MFN(mfn)));
    spin_lock(&pages_lock);
    recent_set(mfn, claim, tlb_clock());
    spin_unlock(&pages_lock);
}

void pages_free_list(const uint64_t *mfns, uint32_t nr)
{
    uint32_t stamp = tlb_clock(), i = 0;

    for (uint32_t n = 0; n < nr; n++) {
        clear_words(frame_of(MFN(mfns[n])));
    }
    spin_lock(&pages_lock);
    while (i < nr) {
        uint32_t run = 1;
        unsigned int order;

        while (i + run < nr && mfns[i + run] == mfns[i] + run) {
            run++;
        }
        /* As large blocks as the run is made of. */
        for (uint32_t end = i + run; i < end; i += 1u << order) {
            order = min(bit_highest(end - i), bit_lowest(mfns[i]));
            block_free(mfns[i], order, DIRTY, stamp);
        }
    }
    spin_unlock(&pages_lock);
}

/*
 * Take a dirty page to zero; false: there is none.  Whoever needs the lock for
 * something urgent goes first: idle CPUs that queue for it, one page after the
 * other, would make him wait for all of them each time.
 */
static bool scrub_begin(struct scrub *s)
{
    unsigned int state;
    uint32_t stamp;

    if (READ_ONCE(nr_dirty) == 0) {
        return false;
    }
    if (!spin_trylock(&pages_lock)) {
        return true;
    }
    recent_evict();
    if (zones_with[DIRTY]) {
        const struct zone *z = &zones[bit_highest(zones_with[DIRTY])];

        s->mfn = z->heads[DIRTY][bit_lowest(z->orders[DIRTY])];
        block_take(s->mfn, 0, &state, &stamp);
        nr_in_scrub++;
    }
    spin_unlock(&pages_lock);
    if (!s->mfn) {
        return false;
    }

    /* Stale TLB entries of the last owner could write to it until they are flushed. */
    flush_stale(stamp);
    s->done_bytes = 0;
    return true;
}

static void scrub_end(struct scrub *s)
{
    if (spin_trylock(&pages_lock)) {
        nr_in_scrub--;
        block_free(s->mfn, 0, CLEAN, 0);
        spin_unlock(&pages_lock);
        s->mfn = 0;
    }
}

bool pages_scrub_step(void)
{
    struct scrub *s = this_cpu_ptr(scrub);

    if (!s->mfn) {
        return scrub_begin(s);
    }
    if (s->done_bytes < PAGE_SIZE) {
        memset((char *)mfn_to_virt(MFN(s->mfn)) + s->done_bytes, 0, SCRUB_STEP);
        s->done_bytes += SCRUB_STEP;
    }
    if (s->done_bytes == PAGE_SIZE) {
        scrub_end(s);
    }
    return true;
}

bool pages_scrub_batch(void)
{
    for (unsigned int i = 0; i < SCRUB_BATCH_STEPS; i++) {
        if (!pages_scrub_step()) {
            return false;
        }
    }
    return true;
}

/* Under the lock, or a page between two counts would be in neither. */
static uint64_t sum_with_scrub(const uint64_t *count)
{
    uint64_t sum;

    spin_lock(&pages_lock);
    sum = *count + nr_in_scrub;
    spin_unlock(&pages_lock);
    return sum;
}

uint64_t pages_nr_free(void)
{
    return sum_with_scrub(&nr_free);
}

uint64_t pages_nr_dirty(void)
{
    return sum_with_scrub(&nr_dirty);
}

uint64_t pages_nr_total(void)
{
    return nr_total;
}

void pages_add_boot_memory(mfn_t first, uint64_t nr)
{
    uint64_t at = first.n, end = at + nr;

    spin_lock(&pages_lock);
    while (at < end) {
        unsigned int order = min(bit_highest(end - at), bit_lowest(at));

        order = min(order, PAGE_ORDER_MAX);
        block_free(at, order, DIRTY, 0);
        at += 1ull << order;
    }
    spin_unlock(&pages_lock);
}

__init void pages_set_total(uint64_t nr)
{
    nr_total = nr;
}

void *pages_alloc_hv(unsigned int order)
{
    mfn_t mfn = pages_alloc(order, 0, ALLOC_ZERO | ALLOC_LOW_OK);

    if (mfn_eq(mfn, MFN_INVALID)) {
        return NULL;
    }
    for (uint64_t i = 0; i < 1ull << order; i++) {
        WRITE_ONCE(frame_of(mfn)[i].ref, FRAME_HV | DOMID_XEN);
    }
    return mfn_to_virt(mfn);
}

void pages_free_hv(void *pages, unsigned int order)
{
    mfn_t mfn = virt_to_mfn(pages);
    bool was_shared = frame_of(mfn)->ref != (FRAME_HV | DOMID_XEN);

    /* What no guest has mapped is in nobody's TLB. */
    free_frames(mfn, order, was_shared ? tlb_clock() : 0);
}

void *page_alloc_hv(void)
{
    return pages_alloc_hv(0);
}

void page_free_hv(void *page)
{
    pages_free_hv(page, 0);
}
