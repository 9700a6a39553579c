/* SPDX-License-Identifier: MIT */
/*
 * The frame table: one struct frame for each machine frame, 16 bytes.
 *
 * `ref` tells who owns the frame and how often it is referenced; `type` as
 * what it is used and how often.  Both are changed by compare-and-exchange
 * only.  All of paravirtual safety rests on the rules in pv/ (theory there);
 * mm/ stores an owner and never looks into it.
 *
 *   ref:   63..48 flags | 47..16 count of references | 15..0 owner's domid
 *   type:  63..60 type  | 59..48 flags | 47..32 nr (entries that hold references) |
 *          31..0  count of uses as that type; for type none, the flush clock
 *                 when the frame was last writable
 *
 * A frame with no reference is free (FRAME_FREE; `type` then holds the
 * allocator's links) or ours (FRAME_HV: image, tables, heap; its owner is
 * DOMID_XEN, or the domain that it is shared with).
 */
#pragma once

#include "abi/xen.h"
#include "lib/types.h"
#include "x86/layout.h"
#include "x86/uaccess.h"

struct frame {
    uint64_t ref;
    uint64_t type;
};

static_assert(sizeof(struct frame) == 16, "16 bytes a frame is the memory we promise");

#define FRAME_OWNER_MASK 0xffffull
#define FRAME_REF_ONE    (1ull << 16)
#define FRAME_REF_MASK   (0xffffffffull << 16)
#define FRAME_FREE       (1ull << 63) /* in the allocator's lists */
#define FRAME_HV         (1ull << 62) /* the hypervisor's own; guests may map it only where shared */
#define FRAME_DIRTY      (1ull << 61) /* free, and not yet scrubbed */
#define FRAME_ALLOCATED                                                                            \
    (1ull << 60) /* one reference is the one that keeps it allocated to its domain */
#define FRAME_SHARED_RO (1ull << 59) /* FRAME_HV: its owner may map it read-only */
#define FRAME_SHARED_RW (1ull << 58) /* FRAME_HV: its owner may map it writable */
#define FRAME_BROKEN    (1ull << 57) /* never use it */
#define FRAME_WRITTEN                                                                              \
    (1ull << 56) /* became writable, or was changed by us, since this was cleared */

enum frame_type {
    FT_NONE,
    FT_L1,
    FT_L2,
    FT_L3,
    FT_L4,
    FT_SEGDESC, /* GDT or LDT page */
    FT_WRITABLE,
};

#define FRAME_TYPE_SHIFT 60
#define FRAME_VALIDATED  (1ull << 59) /* entries checked; references held for all present ones */
#define FRAME_PINNED     (1ull << 58) /* one use is the guest's pin */
#define FRAME_RESIDUE    (1ull << 57) /* entries [0, nr) hold references, yet nobody uses it */
#define FRAME_QUEUED                                                                               \
    (1ull << 56) /* RESIDUE on the drain list: the count is the next frame's number */
#define FRAME_NR_SHIFT   32
#define FRAME_NR_MASK    (0xffffull << FRAME_NR_SHIFT)
#define FRAME_COUNT_MASK 0xffffffffull

/* The table is at LAYOUT_FRAME_TABLE; holes in RAM may have no backing: ask frame_valid() first. */
#ifdef MANSIO_HOST
extern struct frame *frame_table;
#else
#define frame_table ((struct frame *)LAYOUT_FRAME_TABLE)
#endif

extern uint64_t nr_frames_max; /* first frame number past the last RAM */

/* Bit n: the table has entries for frames [n * FRAME_GRAIN, (n + 1) * FRAME_GRAIN). */
#define FRAME_GRAIN 256ull
extern uint64_t *frame_backing;

static inline struct frame *frame_of(mfn_t mfn)
{
    return &frame_table[mfn.n];
}

/* frame_of() for a number that a guest gave and that was found good: not even in speculation
 * anything outside the table. */
static inline struct frame *frame_named(mfn_t mfn)
{
    return &frame_table[array_index_nospec(mfn.n, nr_frames_max)];
}

/* Does the table have an entry for @mfn? */
static inline bool frame_backed(mfn_t mfn)
{
    uint64_t grain = array_index_nospec(mfn.n, nr_frames_max) / FRAME_GRAIN;

    return mfn.n < nr_frames_max && (frame_backing[grain / 64] >> (grain % 64) & 1);
}

/* Is @mfn RAM that the table describes?  Entries for holes are FRAME_BROKEN. */
static inline bool frame_valid(mfn_t mfn)
{
    return frame_backed(mfn) && !(READ_ONCE(frame_named(mfn)->ref) & FRAME_BROKEN);
}

static inline mfn_t frame_mfn(const struct frame *f)
{
    return MFN((uint64_t)(f - frame_table));
}

static inline domid_t frame_owner(const struct frame *f)
{
    return (domid_t)(READ_ONCE(f->ref) & FRAME_OWNER_MASK);
}

static inline enum frame_type frame_type(const struct frame *f)
{
    return (enum frame_type)(READ_ONCE(f->type) >> FRAME_TYPE_SHIFT);
}

/* Is @ref of a frame of @owner that is in use, has none of the flags @bits, and has room for one
 * more? */
static inline bool frame_ref_ok(uint64_t ref, uint64_t bits, domid_t owner)
{
    return (ref & (bits | FRAME_OWNER_MASK)) == owner &&
           (uint32_t)(ref / FRAME_REF_ONE) - 1 < UINT32_MAX - 1;
}

static inline bool must_check frame_get_but(struct frame *f, uint64_t bits, domid_t owner)
{
    uint64_t old = READ_ONCE(f->ref);

    do {
        if (unlikely(!frame_ref_ok(old, bits, owner))) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&f->ref, &old, old + FRAME_REF_ONE, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return true;
}

/*
 * Take a reference to @f if @owner owns it and it is in use.
 * False: another owner, free, broken, or the count is full.
 */
static inline bool must_check frame_get(struct frame *f, domid_t owner)
{
    return frame_get_but(f, FRAME_FREE | FRAME_BROKEN, owner);
}

/* The same for no frame of ours. */
static inline bool must_check frame_get_plain(struct frame *f, domid_t owner)
{
    return frame_get_but(f, FRAME_FREE | FRAME_BROKEN | FRAME_HV, owner);
}

/* @f, which somebody holds, is not what it was. */
static inline void frame_mark_written(struct frame *f)
{
    if (!(READ_ONCE(f->ref) & FRAME_WRITTEN)) {
        __atomic_or_fetch(&f->ref, FRAME_WRITTEN, __ATOMIC_SEQ_CST);
    }
}

/* The last reference went: tell the owner's account and free the frame (mm/frame.c). */
void frame_release(struct frame *f);

/* Drop a reference: true, it was the last one, and the caller must frame_release(). */
static inline bool must_check frame_unref(struct frame *f)
{
    uint64_t old = __atomic_fetch_sub(&f->ref, FRAME_REF_ONE, __ATOMIC_SEQ_CST);

    return (uint32_t)(old / FRAME_REF_ONE) == 1;
}

/* Drop a reference. */
static inline void frame_put(struct frame *f)
{
    if (unlikely(frame_unref(f))) {
        frame_release(f);
    }
}

/*
 * Let domain @owner map our @page, writable or not: the frame gets the owner
 * and one reference, which is ours.
 */
void frame_share(void *page, domid_t owner, bool is_writable);

/*
 * Take our reference back.  The page is freed with the last mapping that the
 * domain has of it: do not touch it afterwards.
 */
void frame_unshare(void *page);

/* Make the table from the RAM in boot_info; holes get no memory.  Once, at start. */
void frame_table_init(void);

/* Tell RAM from holes and free RAM from ours; after the last early allocation.  Once, at start. */
void frame_table_mark_owners(void);

/*
 * What mm/ tells the layer above when a domain's last reference to a frame
 * goes and it is about to be freed.  Supplied by main.c.
 */
struct frame_owner_ops {
    void (*released)(domid_t owner, mfn_t mfn);
};
extern const struct frame_owner_ops frame_owner_ops;
