/* SPDX-License-Identifier: MIT */
/*
 * domctl: the frames of a domain: its limit, what they are used for, and which
 * were written (shadow_op, whose log is kept without shadows).
 */
#include "hcall/domctl.h"

#include "guest/guest.h"
#include "pv/mmu.h"
#include "sys/log.h"
#include "sys/softirq.h"

#define FRAMEINFO_MAX 1024u

long domctl_max_mem(struct domain *d, struct xen_domctl *op)
{
    spin_lock(&d->page_lock);
    d->max_pages = op->u.max_mem.max_memkb >> (PAGE_SHIFT - 10);
    spin_unlock(&d->page_lock);
    return 0;
}

/* ------------------------------------------------------- what frames are used for -- */

long domctl_getpageframeinfo3(struct domain *d, struct xen_domctl *op)
{
    struct guest_ptr list = guest_ptr_of(op->u.getpageframeinfo3.array);
    uint64_t nr = op->u.getpageframeinfo3.num;

    if (nr > FRAMEINFO_MAX) {
        log_guest(d->id, "tell of at most %u frames at a time, not %lu", FRAMEINFO_MAX, nr);
        return -E2BIG;
    }
    for (uint64_t i = 0; i < nr; i++) {
        struct mmu_frame_use use;
        uint64_t word;

        if (copy_elem_from_guest(&word, list, i, sizeof(word)) != 0) {
            return -EFAULT;
        }
        if (!mmu_frame_use(d, MFN(word), &use)) {
            word = XEN_DOMCTL_PFINFO_XTAB;
        } else {
            word = (uint64_t)use.level << XEN_DOMCTL_PFINFO_LTAB_SHIFT;
            word |= use.is_pinned ? XEN_DOMCTL_PFINFO_LPINTAB : 0;
        }
        if (copy_elem_to_guest(list, i, &word, sizeof(word)) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

/* ------------------------------------------------------------ which were written -- */

static enum mmu_log_op log_op_of(const struct domain *d, const struct xen_domctl_shadow_op *s)
{
    switch (s->op) {
    case XEN_DOMCTL_SHADOW_OP_OFF:
        return MMU_LOG_STOP;
    case XEN_DOMCTL_SHADOW_OP_ENABLE:
        return s->mode == XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY ? MMU_LOG_START : MMU_LOG_NONE;
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
        return MMU_LOG_START;
    case XEN_DOMCTL_SHADOW_OP_PEEK:
        return MMU_LOG_PEEK;
    case XEN_DOMCTL_SHADOW_OP_CLEAN:
        /* Of a domain that has stopped, what is sent now is sent for the last time. */
        return (s->mode & XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL) || d->is_shut_down ? MMU_LOG_FINAL
                                                                               : MMU_LOG_CLEAN;
    default:
        return MMU_LOG_NONE;
    }
}

/* Set the bits in the caller's bitmap of @pages; neighbours come one after the other mostly. */
static long set_bits(struct guest_ptr bitmap, uint64_t pages, const struct mmu_log_list *l)
{
    for (uint32_t i = 0; i < l->nr;) {
        uint64_t byte_at = l->pfns[i] / 8;
        uint8_t bits, new = 0;

        for (; i < l->nr && l->pfns[i] / 8 == byte_at; i++) {
            new |= l->pfns[i] < pages ? (uint8_t)(1u << l->pfns[i] % 8) : 0;
        }
        if (new == 0) {
            continue;
        }
        if (copy_elem_from_guest(&bits, bitmap, byte_at, 1) != 0) {
            return -EFAULT;
        }
        bits |= new;
        if (copy_elem_to_guest(bitmap, byte_at, &bits, 1) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

static long log_steps(struct domain *d, struct xen_domctl_shadow_op *s, bool has_bitmap)
{
    struct mmu_log_list l;
    bool is_more;

    do {
        is_more = mmu_log_step(d, &l);
        if (has_bitmap && set_bits(guest_ptr_of(s->dirty_bitmap), s->pages, &l) != 0) {
            if (is_more) {
                mmu_log_end(d);
            }
            return -EFAULT;
        }
        if (is_more && preempt_pending()) {
            return -ERESTART;
        }
    } while (is_more);
    s->stats.fault_count = l.nr_faults;
    s->stats.dirty_count = l.nr_written;
    return 0;
}

long domctl_shadow_op(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_shadow_op *s = &op->u.shadow_op;
    enum mmu_log_op what = log_op_of(d, s);
    bool has_bitmap = what == MMU_LOG_CLEAN || what == MMU_LOG_PEEK || what == MMU_LOG_FINAL;
    bool is_new;
    long rc;

    has_bitmap = has_bitmap && !guest_ptr_null(guest_ptr_of(s->dirty_bitmap));
    if (what == MMU_LOG_NONE || d == current()->domain) {
        log_guest(d->id,
                  "shadow operation %u, mode %#x: not offered: only the log of frames "
                  "written, of another domain",
                  s->op, s->mode);
        return -EINVAL;
    }
    rc = mmu_log_begin(d, what, &is_new);
    if (rc != 0) {
        return rc;
    }
    if (is_new && has_bitmap &&
        clear_guest(guest_ptr_of(s->dirty_bitmap), (s->pages + 7) / 8) != 0) {
        mmu_log_end(d);
        return -EFAULT;
    }
    return log_steps(d, s, has_bitmap);
}
