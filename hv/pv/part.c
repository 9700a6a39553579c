/* SPDX-License-Identifier: MIT */
/* What a paravirtual domain holds by its vCPUs and page tables, and how it gives that back. */
#include "mm/frame_use.h"
#include "mm/heap.h"
#include "pv/mmu.h"
#include "pv/pv.h"

#include "domain/part.h"
/* Events are closed by now, so nobody writes there. */
static void drop_vcpu_info(struct vcpu *v)
{
    if (!mfn_eq(v->info_mfn, MFN_INVALID)) {
        WRITE_ONCE(v->info, &vcpu_info_none);
        frame_put_writable(frame_of(v->info_mfn));
        v->info_mfn = MFN_INVALID;
    }
}

static int destroy_step(struct domain *d)
{
    struct vcpu *v;
    uint32_t i;

    for_each_vcpu(d, v, i) {
        drop_vcpu_info(v);
    }
    return mmu_destroy_step(d);
}

static void free_part(struct domain *d)
{
    heap_free(d->cpuid_limits, PV_CPUID_WORDS * sizeof(uint32_t));
}

const struct domain_part pv_part = {
    .name = "page tables",
    .destroy_step = destroy_step,
    .free = free_part,
};
