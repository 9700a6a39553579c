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
#define LIST_BATCH     64u /* single frames done in one go */
#define ORDER_MAX_DOMU 9u
#define ORDER_MAX_DOM0 18u

struct extents {
    struct domain *d;
    struct guest_ptr list;
    unsigned int order;
    unsigned int step_order; /* of what is done in one go */
    unsigned int address_bits;
};

static void give_up(struct domain *d, mfn_t mfn, unsigned int order)
{
    for (uint64_t i = 0; i < 1ull << order; i++) {
        if (memory_free(d, MFN(mfn.n + i)) != 0) {
            log_guest(d->id, "frame %#lx cannot be given back", mfn.n + i);
        }
    }
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
    bool is_large = x->order > STEP_ORDER_MAX, is_dirty_left = is_large;

    for (;;) {
        *mfn = memory_alloc(x->d, x->order, x->address_bits,
                            ALLOC_ZERO | (is_large ? ALLOC_CLEAN : 0));
        if (!mfn_eq(*mfn, MFN_INVALID)) {
            return 0;
        }
        if (!is_dirty_left || pages_nr_free() < 1ull << x->order) {
            log_no_memory(x);
            return -ENOMEM;
        }
        is_dirty_left = pages_scrub_batch();
        if (is_dirty_left && preempt_pending()) {
            return -ERESTART;
        }
    }
}

/* What a function of this type is called for: steps @i to @i + @nr.  How many it did, fewer when
 * one failed, or -ERESTART for none. */
typedef long steps_fn(const struct extents *x, uint64_t i, uint32_t nr);

/* Tell the caller of the frames @mfns that x->d got for entries from @i on; if it cannot be told,
 * they go back. */
static long tell_frames(const struct extents *x, uint64_t i, uint64_t *mfns, uint32_t nr)
{
    struct guest_ptr at = guest_ptr_add(x->list, i * sizeof(mfns[0]));

    if (guest_ptr_null(x->list) || copy_to_guest(at, mfns, nr * sizeof(mfns[0])) == 0) {
        return nr;
    }
    for (uint32_t k = 0; k < nr; k++) {
        give_up(x->d, MFN(mfns[k]), x->order);
    }
    return 0;
}

/* One extent, or @nr single frames; their M2P entries are for the caller to set. */
static long alloc_some(const struct extents *x, uint64_t *mfns, uint32_t nr)
{
    uint32_t got;
    mfn_t mfn;
    long rc;

    if (x->order == 0) {
        got = memory_alloc_list(x->d, mfns, nr, x->address_bits);
        if (got < nr) {
            log_no_memory(x);
        }
        return got;
    }
    rc = alloc_extent(x, &mfn);
    mfns[0] = mfn.n;
    return rc == 0 ? 1 : rc;
}

/* Memory that the domain's frame numbers from each entry of the list on shall stand for. */
static long populate_some(const struct extents *x, uint64_t i, uint32_t nr)
{
    uint64_t pfns[LIST_BATCH], mfns[LIST_BATCH];
    long got;

    if (copy_from_guest(pfns, guest_ptr_add(x->list, i * sizeof(pfns[0])), nr * sizeof(pfns[0])) !=
        0) {
        return nr == 1 ? 0 : populate_some(x, i, 1); /* the list may end with its memory */
    }
    got = alloc_some(x, mfns, nr);
    for (long k = 0; k < got; k++) {
        m2p_set_run(MFN(mfns[k]), 1ull << x->order, pfns[k]);
    }
    return got <= 0 ? got : tell_frames(x, i, mfns, (uint32_t)got);
}

static long increase_some(const struct extents *x, uint64_t i, uint32_t nr)
{
    uint64_t mfns[LIST_BATCH];
    long got = alloc_some(x, mfns, nr);

    return got <= 0 ? got : tell_frames(x, i, mfns, (uint32_t)got);
}

static uint32_t free_list(struct domain *d, uint64_t *mfns, uint32_t nr)
{
    uint32_t done = memory_free_list(d, mfns, nr);

    if (done < nr) {
        log_guest(d->id, "frame %#lx is not its own to give back", mfns[done]);
    }
    return done;
}

/* A part of an extent if these are large. */
static long decrease_step(const struct extents *x, uint64_t i)
{
    unsigned int steps_shift = x->order - x->step_order;
    uint64_t first, mfns[LIST_BATCH];

    if (copy_elem_from_guest(&first, x->list, i >> steps_shift, sizeof(first)) != 0) {
        return 0;
    }
    first += (i & ((1ull << steps_shift) - 1)) << x->step_order;
    for (uint64_t k = 0; k < 1ull << x->step_order;) {
        uint32_t n = (uint32_t)min((1ull << x->step_order) - k, (uint64_t)LIST_BATCH);

        for (uint32_t j = 0; j < n; j++) {
            mfns[j] = first + k++;
        }
        if (free_list(x->d, mfns, n) != n) {
            return 0;
        }
    }
    return 1;
}

static long decrease_some(const struct extents *x, uint64_t i, uint32_t nr)
{
    uint64_t mfns[LIST_BATCH];

    if (x->order != 0) {
        return decrease_step(x, i);
    }
    if (copy_from_guest(mfns, guest_ptr_add(x->list, i * sizeof(mfns[0])), nr * sizeof(mfns[0])) !=
        0) {
        return nr == 1 ? 0 : decrease_some(x, i, 1);
    }
    return free_list(x->d, mfns, nr);
}

/* Do @some for the steps from the one on that @cmd tells; how many extents are done, or a restart.
 */
static long for_extents(uint64_t cmd, uint64_t arg, const struct extents *x, uint64_t nr,
                        steps_fn *some)
{
    unsigned int steps_shift = x->order - x->step_order;
    uint64_t i = cmd >> MEMOP_EXTENT_SHIFT, end = nr << steps_shift;

    for (;;) {
        uint32_t n = x->order == 0 ? (uint32_t)min(end - i, (uint64_t)LIST_BATCH) : 1;
        long done = some(x, i, n);

        i += done > 0 ? (uint64_t)done : 0;
        if (done == -ERESTART || (done == n && i < end && preempt_pending())) {
            const uint64_t args[] = { (cmd & MEMOP_CMD_MASK) | i << MEMOP_EXTENT_SHIFT, arg };

            return hcall_restart(args, ARRAY_SIZE(args));
        }
        if (done != n || i == end) {
            return (long)(i >> steps_shift);
        }
    }
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
                           struct extents *x, steps_fn *some)
{
    const char *why = flags_refused(r);

    if (why != NULL) {
        log_guest(x->d->id, "reservation with flags %#x: %s", r->mem_flags, why);
        return begun(cmd, r, x->step_order);
    }
    return for_extents(cmd, arg, x, r->nr_extents, some);
}

static long change(uint64_t cmd, uint64_t arg, unsigned int step_order, steps_fn *some)
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
    rc = change_checked(cmd, arg, &r, &x, some);
    domain_put(x.d);
    return rc;
}

long memory_increase(uint64_t cmd, uint64_t arg)
{
    return change(cmd, arg, ORDER_MAX_DOM0, increase_some);
}

long memory_decrease(uint64_t cmd, uint64_t arg)
{
    return change(cmd, arg, STEP_ORDER_MAX, decrease_some);
}

long memory_populate(uint64_t cmd, uint64_t arg)
{
    return change(cmd, arg, ORDER_MAX_DOM0, populate_some);
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
