/* SPDX-License-Identifier: MIT */
/*
 * memory_op acquire_resource: the toolstack learns the numbers of frames of
 * ours that belong to another domain, such as those of its grant table, and
 * maps them like any frame of that domain.
 */
#include "hcall/memory_ops.h"

#include "grant/grant.h"
#include "sys/log.h"
#include "sys/softirq.h"

#define FRAMES_A_BATCH 32u

/* How many frames the resource may have; 0: there is no such one. */
static uint32_t resource_size(struct domain *d, const struct xen_mem_acquire_resource *r)
{
    uint32_t nr, max_nr;

    if (r->type != XENMEM_resource_grant_table) {
        return 0;
    }
    grant_size(d, &nr, &max_nr);
    switch (r->id) {
    case XENMEM_resource_grant_table_id_shared:
        return max_nr;
    case XENMEM_resource_grant_table_id_status:
        return grant_nr_status(d);
    default:
        return 0;
    }
}

/* Frames from @r->frame + @at on; how many of them, or an error. */
static long tell_frames(struct domain *d, const struct xen_mem_acquire_resource *r, uint32_t at)
{
    uint32_t n = min(r->nr_frames - at, FRAMES_A_BATCH);
    uint32_t first = (uint32_t)r->frame + at;
    xen_pfn_t mfns[FRAMES_A_BATCH];
    bool is_status = r->id == XENMEM_resource_grant_table_id_status; /* all of them are there */
    long rc = is_status ? 0 : grant_grow(d, first + n);

    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < n; i++) {
        mfns[i] = (is_status ? grant_status_frame(d, first + i) : grant_frame(d, first + i)).n;
    }
    return copy_to_guest(guest_ptr_add(guest_ptr_of(r->frame_list), at * sizeof(mfns[0])), mfns,
                         n * sizeof(mfns[0])) == 0
               ? (long)n
               : -EFAULT;
}

static long tell_all(struct domain *d, const struct xen_mem_acquire_resource *r, uint64_t cmd,
                     uint64_t arg)
{
    uint64_t at = cmd >> MEMOP_EXTENT_SHIFT;

    if (at > r->nr_frames) {
        return -EINVAL;
    }
    while (at < r->nr_frames) {
        long rc = tell_frames(d, r, (uint32_t)at);

        if (rc < 0) {
            return rc;
        }
        at += (uint64_t)rc;
        if (at < r->nr_frames && preempt_pending()) {
            const uint64_t args[] = { XENMEM_acquire_resource | at << MEMOP_EXTENT_SHIFT, arg };

            return hcall_restart(args, ARRAY_SIZE(args));
        }
    }
    return 0;
}

static long acquire(struct domain *d, struct xen_mem_acquire_resource *r, uint64_t cmd,
                    uint64_t arg)
{
    uint32_t size = resource_size(d, r);

    if (size == 0) {
        log_guest(d->id, "has no resource of type %u, id %u", r->type, r->id);
        return -EINVAL;
    }
    if (guest_ptr_null(guest_ptr_of(r->frame_list))) {
        if (r->nr_frames != 0) {
            return -EINVAL;
        }
        r->nr_frames = size;
        return copy_to_guest(GUEST_PTR(arg), r, sizeof(*r));
    }
    if (r->frame > size || r->nr_frames > size - r->frame) {
        log_guest(d->id, "resource of type %u: frames %#lx+%u are wanted of %u", r->type, r->frame,
                  r->nr_frames, size);
        return -EINVAL;
    }
    return tell_all(d, r, cmd, arg);
}

long memory_acquire_resource(uint64_t cmd, uint64_t arg)
{
    struct xen_mem_acquire_resource r;
    struct domain *d;
    long rc;

    if (copy_from_guest(&r, GUEST_PTR(arg), sizeof(r)) != 0) {
        return -EFAULT;
    }
    if (r.pad != 0) {
        return -EINVAL;
    }
    d = hcall_target(r.domid, &rc);
    if (d == NULL) {
        return rc;
    }
    /* A domain gets at its own by the operations that are for it. */
    rc = d == current()->domain ? -EPERM : acquire(d, &r, cmd, arg);
    domain_put(d);
    return rc;
}
