/* SPDX-License-Identifier: MIT */
/*
 * What guests are given to read the time by.  The record has a version that is
 * odd while it changes: a reader that meets an odd one, or another one after
 * reading than before, reads again.  It must be even when we are done, or that
 * reader never ends.
 */
#include "abi/xen.h"
#include "time/time.h"

static_assert(sizeof(struct vcpu_time_info) == 32, "half a vcpu_info");

void time_fill_guest(struct vcpu_time_info *info, const struct time_scale *s, bool is_stable)
{
    uint32_t version = READ_ONCE(info->version) & ~1u; /* the guest may have written anything */

    WRITE_ONCE(info->version, version + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* with the guest's reading of version first */
    WRITE_ONCE(info->tsc_timestamp, s->base_tsc);
    WRITE_ONCE(info->system_time, s->base_ns);
    WRITE_ONCE(info->tsc_to_system_mul, s->mul);
    WRITE_ONCE(info->tsc_shift, s->shift);
    WRITE_ONCE(info->flags, is_stable ? XEN_PVCLOCK_TSC_STABLE_BIT : 0);
    __atomic_store_n(&info->version, version + 2, __ATOMIC_RELEASE);
}
