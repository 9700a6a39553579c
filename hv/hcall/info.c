/* SPDX-License-Identifier: MIT */
/* Domains and sets of CPUs, as the toolstack's structures have them. */
#include "hcall/info.h"

#include "domain/memory.h"
#include "event/event.h"
#include "lib/string.h"
#include "x86/features.h"

/* What the vCPUs together are, and how many, and how long they ran. */
static uint32_t vcpu_flags(const struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    uint32_t flags = XEN_DOMINF_blocked, i;
    struct vcpu *v;

    for_each_vcpu(d, v, i) {
        info->max_vcpu_id = v->id;
        info->cpu_time += sched_time_used(&v->unit);
        if (!v->is_online) {
            continue;
        }
        info->nr_online_vcpus++;
        if (!evtchn_is_blocked(v)) {
            flags &= ~XEN_DOMINF_blocked;
        }
        if (v->unit.state == UNIT_RUNNING) {
            flags |= XEN_DOMINF_running;
        }
    }
    return info->nr_online_vcpus == 0 ? 0 : flags;
}

void info_domain(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    memset(info, 0, sizeof(*info));
    info->domain = d->id;
    info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    info->flags = vcpu_flags(d, info);
    info->flags |= d->life == DOMAIN_DEAD ? XEN_DOMINF_dying : 0;
    info->flags |= READ_ONCE(d->is_parked) ? XEN_DOMINF_shutdown : 0;
    info->flags |= d->pause_by_toolstack != 0 ? XEN_DOMINF_paused : 0;
    info->flags |= d->is_debugged ? XEN_DOMINF_debugged : 0;
    info->flags |= d->is_xenstore ? XEN_DOMINF_xs_domain : 0;
    info->flags |= (uint32_t)(READ_ONCE(d->is_parked) ? d->shutdown_code : SHUTDOWN_CODE_NONE)
                   << XEN_DOMINF_shutdownshift;
    info->cpupool = sched_group_pool(&d->sched);
    info->gpaddr_bits = cpu_features.phys_bits;
    info->tot_pages = d->nr_pages;
    info->max_pages = d->max_pages;
    info->outstanding_pages = memory_claimed(d);
    info->shared_info_frame = d->shared_info_mfn.n;
    memcpy(info->handle, d->handle, sizeof(info->handle));
}

/* The number of bits is the caller's: any. */
static uint32_t bitmap_bytes(const struct xenctl_bitmap *bitmap)
{
    return bitmap->nr_bits / 8 + (bitmap->nr_bits % 8 != 0);
}

int info_cpumask_out(const struct xenctl_bitmap *to, const struct cpumask *mask)
{
    uint32_t bytes = bitmap_bytes(to);

    for (uint32_t i = 0; i < bytes; i++) {
        uint8_t byte = i < sizeof(mask->bits) ? ((const uint8_t *)mask->bits)[i] : 0;

        if (i == bytes - 1 && to->nr_bits % 8 != 0) {
            byte &= (uint8_t)((1u << to->nr_bits % 8) - 1);
        }
        if (copy_elem_to_guest(guest_ptr_of(to->bitmap), i, &byte, 1) != 0) {
            return -EFAULT;
        }
        if (i >= sizeof(mask->bits)) {
            break; /* no CPU has such a number, and nobody reads further than it asked */
        }
    }
    return 0;
}

int info_cpumask_in(const struct xenctl_bitmap *from, struct cpumask *mask)
{
    uint32_t bytes = min(bitmap_bytes(from), (uint32_t)sizeof(mask->bits));

    cpumask_zero(mask);
    if (from->nr_bits == 0 || guest_ptr_null(guest_ptr_of(from->bitmap))) {
        return -EINVAL;
    }
    if (copy_from_guest(mask->bits, guest_ptr_of(from->bitmap), bytes) != 0) {
        return -EFAULT;
    }
    if (from->nr_bits % 8 != 0 && bytes == bitmap_bytes(from)) {
        ((uint8_t *)mask->bits)[bytes - 1] &= (uint8_t)((1u << from->nr_bits % 8) - 1);
    }
    return 0;
}
