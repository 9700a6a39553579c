/* SPDX-License-Identifier: MIT */
/*
 * The rules for single page-table entries, and what each entry holds.
 *
 * A level-1 entry that maps RAM holds a reference to the frame, and a use of it
 * as writable memory if it is writable.  What it holds can be told from the
 * entry alone, so that it can be dropped without knowing how it came about:
 *
 *   frame                         readable       writable
 *   RAM of a domain               reference      reference and writable use
 *   ours, shared with the owner   reference      reference, if FRAME_SHARED_RW
 *   not RAM                       nothing        nothing (iomem_ro: made read-only)
 *
 * Cache attributes: only a domain with rights to device memory may choose
 * others than write-back, for device memory and for its RAM alike (its drivers
 * map RAM so).  That domain can then see old contents of its own RAM by its own
 * doing.  It cannot make us see them: a frame that was writable past the caches
 * is flushed from them before it becomes a table (FRAME_UNCACHED), and before
 * it goes to somebody else.
 */
#include "pv/types.h"

#include "pv/mmu.h"
#include "x86/features.h"

uint64_t pt_reserved_bits = PTE_ADDRESS;

__init void mmu_init(void)
{
    pt_reserved_bits = PTE_ADDRESS & ~((1ull << cpu_features.phys_bits) - 1);
}

int pt_refuse_bits(struct pt_ctx *c, uint64_t e, unsigned int level)
{
    if (level > 1 && (e & PTE_PS)) {
        return pt_refuse(c, "large pages are not for paravirtual guests", e);
    }
    /* Where RAM or a device could lie, but none can be, nobody has rights. */
    return pt_refuse_as(c, level == 1 ? -EPERM : -EINVAL,
                        "an entry has bits set that must be clear", e);
}

/* Device memory: not RAM, and the domain has the right. */
static int get_device(struct pt_ctx *c, uint64_t e)
{
    mfn_t mfn = pte_mfn(e);

    if (c->owner != c->d->id && c->owner != DOMID_IO) {
        return pt_refuse(c, "a frame of another domain is not RAM", mfn.n);
    }
    if (rangeset_contains(&c->d->iomem, mfn.n, mfn.n)) {
        return 0;
    }
    if (rangeset_contains(&c->d->iomem_ro, mfn.n, mfn.n)) {
        return PT_READ_ONLY;
    }
    return pt_refuse_as(c, -EPERM, "no right to map this frame, which is not RAM", mfn.n);
}

/* A frame of ours, referenced already. */
static int get_shared(struct pt_ctx *c, struct frame *f, uint64_t e)
{
    uint64_t ref = READ_ONCE(f->ref);

    if ((e & PT_CACHE_BITS) ||
        !(ref & (e & PTE_RW ? FRAME_SHARED_RW : FRAME_SHARED_RO | FRAME_SHARED_RW))) {
        frame_put(f);
        return pt_refuse_as(c, -EBUSY, "the hypervisor does not share this frame that way", e);
    }
    return 0;
}

/* Why cannot @f become writable?  It may only be waiting to be drained. */
static int refuse_writable(struct pt_ctx *c, struct frame *f)
{
    uint64_t word = READ_ONCE(f->type);

    if ((word & FRAME_RESIDUE) && c->owner == c->d->id) {
        if (!(word & FRAME_QUEUED)) {
            pt_queue_residue(c->d, f);
        }
        return -ERESTART;
    }
    return pt_refuse_as(c, -EBUSY, "a page table or descriptor page may not be writable",
                        frame_mfn(f).n);
}

int pt_get_writable(struct pt_ctx *c, struct frame *f, uint64_t e)
{
    uint64_t flags = (e & PT_CACHE_BITS ? FRAME_UNCACHED : 0) | c->use_flags;
    int rc;

    if (likely(frame_use_writable(f, flags & FRAME_FOREIGN ? &cpus_online : &c->d->dirty_cpus,
                                  flags))) {
        return 0;
    }
    rc = refuse_writable(c, f);
    frame_put(f);
    return rc;
}

int pt_get_l1_target_slow(struct pt_ctx *c, uint64_t e)
{
    mfn_t mfn = pte_mfn(e);
    struct frame *f;

    if (unlikely(!frame_valid(mfn))) {
        return get_device(c, e);
    }
    f = frame_named(mfn);
    if (unlikely(!frame_get(f, c->owner))) {
        return pt_refuse_as(c, -EBUSY, "a mapped frame belongs to another domain or to nobody",
                            mfn.n);
    }
    if (unlikely(READ_ONCE(f->ref) & FRAME_HV)) {
        return get_shared(c, f, e);
    }
    if (unlikely((e & PT_CACHE_BITS) && rangeset_is_empty(&c->d->iomem))) {
        frame_put(f);
        return pt_refuse(c, "cache attributes are for domains with devices", e);
    }
    return e & PTE_RW ? pt_get_writable(c, f, e) : 0;
}
