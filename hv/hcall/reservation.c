/* SPDX-License-Identifier: MIT */
/*
 * memory_op: frames given to a domain and taken back, by itself or by the
 * toolstack, and free memory claimed for it.
 *
 * A list of extents is done one by one and the answer is how many: fewer than
 * asked for when one fails, which leaves a sentence in the log.  How far it came
 * goes into the command when it restarts.  What is counted there are steps: an
 * extent or, where a large one is freed, 2 MiB of it.
 */
#include "hcall/memory_ops.h"

#include "domain/memory.h"
#include "mm/m2p.h"
#include "sys/log.h"
#include "sys/softirq.h"

#define STEP_ORDER_MAX 9u
#define FRAMES_A_BATCH 512u
#define ORDER_MAX_DOMU 9u
#define ORDER_MAX_DOM0 18u

struct extents {
    struct domain *d;
    struct guest_ptr list;
    unsigned int order;
    unsigned int step_order; /* of what is done in one go */
    unsigned int address_bits;
};

static long give_up(struct domain *d, mfn_t mfn, unsigned int order)
{
    for (uint64_t i = 0; i < 1ull << order; i++) {
        if (memory_free(d, MFN(mfn.n + i)) != 0) {
            log_guest(d->id, "frame %#lx cannot be given back", mfn.n + i);
        }
    }
    return -EFAULT;
}

static void log_no_memory(const struct extents *x)
{
    const struct domain *d = x->d;
    uint64_t nr = 1ull << x->order;

    if (d->life != DOMAIN_ALIVE) {
        log_guest(d->id, "gets no more memory: it is dying");
    } else if (d->nr_pages >= d->max_pages || nr > d->max_pages - d->nr_pages) {
        log_guest(d->id, "gets no %lu frames more: it has %lu, its limit is %lu", nr, d->nr_pages,
                  d->max_pages);
    } else {
        log_guest(d->id,
                  "gets no %lu frames in one piece, address bits %u: %lu are free, of which %lu "
                  "are claimed, %lu by itself",
                  nr, x->address_bits, pages_nr_free(), pages_nr_claimed(), memory_claimed(d));
    }
}

/*
 * Memory for an extent, zeroed.  What is more than a step must have been
 * scrubbed before: as long as there is none, whatever is dirty is scrubbed in
 * batches.  -ENOMEM, -ERESTART.
 */
static long alloc_extent(const struct extents *x, mfn_t *mfn)
{
    bool is_large = x->order > STEP_ORDER_MAX;

    for (;;) {
        *mfn = memory_alloc(x->d, x->order, x->address_bits,
                            ALLOC_ZERO | (is_large ? ALLOC_CLEAN : 0));
        if (!mfn_eq(*mfn, MFN_INVALID)) {
            return 0;
        }
        if (!is_large || pages_nr_free() < 1ull << x->order || !pages_scrub_batch()) {
            log_no_memory(x);
            return -ENOMEM;
        }
        if (preempt_pending()) {
            return -ERESTART;
        }
    }
}

/* Extent @i of the list: memory that the domain's frame numbers from list[i] on shall stand for. */
static long populate_one(const struct extents *x, uint64_t i)
{
    uint64_t pfn, mfn;
    mfn_t got;
    long rc;

    if (copy_elem_from_guest(&pfn, x->list, i, sizeof(pfn)) != 0) {
        return -EFAULT;
    }
    rc = alloc_extent(x, &got);
    if (rc != 0) {
        return rc;
    }
    m2p_set_run(got, 1ull << x->order, pfn);
    mfn = got.n;
    return copy_elem_to_guest(x->list, i, &mfn, sizeof(mfn)) == 0 ? 0
                                                                  : give_up(x->d, got, x->order);
}

static long increase_one(const struct extents *x, uint64_t i)
{
    mfn_t got;
    long rc = alloc_extent(x, &got);
    uint64_t mfn = got.n;

    if (rc != 0 || guest_ptr_null(x->list) ||
        copy_elem_to_guest(x->list, i, &mfn, sizeof(mfn)) == 0) {
        return rc;
    }
    return give_up(x->d, got, x->order);
}

/* Step @i: a part of an extent if these are large. */
static long decrease_one(const struct extents *x, uint64_t i)
{
    unsigned int steps_shift = x->order - x->step_order;
    uint64_t mfn;

    if (copy_elem_from_guest(&mfn, x->list, i >> steps_shift, sizeof(mfn)) != 0) {
        return -EFAULT;
    }
    mfn += (i & ((1ull << steps_shift) - 1)) << x->step_order;
    for (uint64_t k = 0; k < 1ull << x->step_order; k++) {
        if (memory_free(x->d, MFN(mfn + k)) != 0) {
            log_guest(x->d->id, "frame %#lx is not its own to give back", mfn + k);
            return -EINVAL;
        }
    }
    return 0;
}

/* Do @one for each step from the one on that @cmd tells; how many extents are done, or a restart.
 */
static long for_extents(uint64_t cmd, uint64_t arg, const struct extents *x, uint64_t nr,
                        long (*one)(const struct extents *, uint64_t))
{
    uint64_t i = cmd >> MEMOP_EXTENT_SHIFT, batch = FRAMES_A_BATCH >> x->step_order;
    unsigned int steps_shift = x->order - x->step_order;
    uint64_t end = nr << steps_shift, begin = i;

    for (; i < end; i++) {
        bool is_preempted = i != begin && (batch == 0 || i % batch == 0) && preempt_pending();
        long rc = is_preempted ? -ERESTART : one(x, i);

        if (rc == -ERESTART) {
            const uint64_t args[] = { (cmd & MEMOP_CMD_MASK) | i << MEMOP_EXTENT_SHIFT, arg };

            return hcall_restart(args, ARRAY_SIZE(args));
        }
        if (rc != 0) {
            break;
        }
    }
    return (long)(i >> steps_shift);
}

/* What the flags ask for beyond an address width, which is not to be had: a sentence, else NULL. */
static const char *flags_refused(const struct xen_memory_reservation *r)
{
    uint32_t node = XENMEMF_get_node(r->mem_flags);

    if (r->mem_flags & XENMEMF_populate_on_demand) {
        return "memory on demand is not for paravirtual domains";
    }
    if ((r->mem_flags & XENMEMF_exact_node_request) && !(r->mem_flags & XENMEMF_vnode) &&
        node != 0 && node != 0xff) {
        return "the machine has one node of memory, and the request is for another one only";
    }
    return NULL;
}

/* How many extents the answer counts before anything is done. */
static long begun(uint64_t cmd, const struct xen_memory_reservation *r, unsigned int step_order)
{
    return (long)((cmd >> MEMOP_EXTENT_SHIFT) >>
                  (r->extent_order - min(r->extent_order, step_order)));
}

static long change_checked(uint64_t cmd, uint64_t arg, const struct xen_memory_reservation *r,
                           struct extents *x, long (*one)(const struct extents *, uint64_t))
{
    const char *why = flags_refused(r);

    if (x->address_bits != 0 && x->address_bits <= PAGE_SHIFT) {
        log_guest(x->d->id, "asks for frames below 2^%u bytes", x->address_bits);
        return -EINVAL;
    }
    if (why != NULL) {
        log_guest(x->d->id, "reservation with flags %#x: %s", r->mem_flags, why);
        return begun(cmd, r, x->step_order);
    }
    return for_extents(cmd, arg, x, r->nr_extents, one);
}

static long change(uint64_t cmd, uint64_t arg, unsigned int step_order,
                   long (*one)(const struct extents *, uint64_t))
{
    bool is_privileged = current()->domain->is_privileged;
    uint64_t start = cmd >> MEMOP_EXTENT_SHIFT;
    struct xen_memory_reservation r;
    struct extents x;
    long rc;

    if (copy_from_guest(&r, GUEST_PTR(arg), sizeof(r)) != 0 ||
        r.nr_extents > (~0ull >> (MEMOP_EXTENT_SHIFT + ORDER_MAX_DOM0)) ||
        !guest_range_ok(guest_ptr_of(r.extent_start), r.nr_extents * sizeof(xen_pfn_t)) ||
        r.extent_order > (is_privileged ? ORDER_MAX_DOM0 : ORDER_MAX_DOMU) ||
        begun(cmd, &r, step_order) >= (long)r.nr_extents) {
        return (long)start;
    }
    x.d = hcall_target(r.domid, &rc);
    if (x.d == NULL) {
        log_guest(current()->domain->id, "may not change, or does not find, d%u's memory", r.domid);
        return begun(cmd, &r, step_order);
    }
    x.list = guest_ptr_of(r.extent_start);
    x.order = r.extent_order;
    x.step_order = min(x.order, step_order);
    x.address_bits = XENMEMF_get_address_bits(r.mem_flags);
    rc = change_checked(cmd, arg, &r, &x, one);
    domain_put(x.d);
    return rc;
}

long memory_increase(uint64_t cmd, uint64_t arg)
{
    return change(cmd, arg, ORDER_MAX_DOM0, increase_one);
}

long memory_decrease(uint64_t cmd, uint64_t arg)
{
    return change(cmd, arg, STEP_ORDER_MAX, decrease_one);
}

long memory_populate(uint64_t cmd, uint64_t arg)
{
    return change(cmd, arg, ORDER_MAX_DOM0, populate_one);
}

long memory_claim_pages(uint64_t cmd, uint64_t arg)
{
    struct xen_memory_reservation r;
    struct domain *d;
    long rc;

    (void)cmd;
    if (copy_from_guest(&r, GUEST_PTR(arg), sizeof(r)) != 0) {
        return -EFAULT;
    }
    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    if (!guest_ptr_null(guest_ptr_of(r.extent_start)) || r.extent_order != 0 || r.mem_flags != 0) {
        return -EINVAL;
    }
    d = r.domid == DOMID_SELF ? NULL : domain_get(r.domid);
    if (d == NULL) {
        return -EINVAL;
    }
    rc = memory_claim(d, r.nr_extents);
    if (rc != 0) {
        log_warn("d%u: a claim of %lu frames in all fails (%ld): it has %lu, may have %lu, has "
                 "claimed %lu; %lu are free, of which %lu are claimed",
                 d->id, r.nr_extents, rc, d->nr_pages, d->max_pages, memory_claimed(d),
                 pages_nr_free(), pages_nr_claimed());
    }
    domain_put(d);
    return rc;
}
