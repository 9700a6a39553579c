/* SPDX-License-Identifier: MIT */
/*
 * Moving a vCPU's vcpu_info from shared_info into a page of the guest's own.
 *
 * The page is held as writable memory for the life of the domain, so it cannot
 * become a page table while we write to it.  Nothing may be lost on the way:
 * whoever raises an event meanwhile sets bits in the old place, so after the
 * change all selectors count as pending, and the guest finds out by itself.
 */
#include "pv/pv.h"

#include "lib/string.h"
#include "mm/frame_use.h"
#include "mm/phys.h"
#include "sys/log.h"

static int check(const struct vcpu *v, mfn_t mfn, uint32_t offset)
{
    if (offset > PAGE_SIZE - sizeof(struct vcpu_info)) {
        return -ENXIO;
    }
    if (offset % sizeof(uint64_t) != 0) {
        return -EINVAL;
    }
    if (v != current() && READ_ONCE(v->is_online)) {
        log_guest(v->domain->id, "vCPU %u is online: only itself can move its vcpu_info", v->id);
        return -EINVAL; /* its CPU may be writing the time to the old place */
    }
    return mfn_eq(v->info_mfn, MFN_INVALID) && frame_valid(mfn) ? 0 : -EINVAL;
}

static void move(struct vcpu *v, struct vcpu_info *to)
{
    const struct vcpu_info *from = v->info;

    memcpy(to, from, sizeof(*to));
    __atomic_store_n(&v->info, to, __ATOMIC_SEQ_CST);
    WRITE_ONCE(to->evtchn_pending_sel, ~0ul);
    WRITE_ONCE(to->evtchn_upcall_pending, 1);
}

int pv_register_vcpu_info(struct vcpu *v, mfn_t mfn, uint32_t offset)
{
    struct domain *d = v->domain;
    int rc = check(v, mfn, offset);

    if (rc != 0) {
        return rc;
    }
    if (!frame_get_writable(frame_named(mfn), d->id, &d->dirty_cpus, 0)) {
        log_guest(d->id, "vCPU %u: frame %#lx cannot hold its vcpu_info", v->id, mfn.n);
        return -EINVAL;
    }
    spin_lock(&d->lock);
    if (mfn_eq(v->info_mfn, MFN_INVALID)) {
        v->info_mfn = mfn;
        move(v, (struct vcpu_info *)((char *)mfn_to_virt(mfn) + offset));
    } else {
        rc = -EINVAL;
    }
    spin_unlock(&d->lock);
    if (rc != 0) {
        frame_put_writable(frame_of(mfn));
    }
    return rc;
}
