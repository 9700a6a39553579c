/* SPDX-License-Identifier: MIT */
/* domctl: the state of a domain's processors, saved and restored. */
#include "hcall/domctl.h"

#include "guest/guest.h"
#include "mm/heap.h"
#include "pv/pv.h"
#include "sys/log.h"
#include "x86/fpu.h"

#define XSTATE_HEADER 16u /* xcr0 and xcr0_accum, before the area */

static long no_vcpu(const struct domain *d, uint32_t id)
{
    log_warn("d%u: there is no vCPU %u", d->id, id);
    return -ESRCH;
}

long domctl_getvcpucontext(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpucontext *a = &op->u.vcpucontext;
    struct vcpu *v = domain_vcpu(d, a->vcpu);
    struct vcpu_guest_context *c;
    long rc;

    if (v == NULL) {
        return -EINVAL;
    }
    if (!v->is_initialised) {
        return -ENODATA;
    }
    c = heap_alloc(sizeof(*c));
    if (c == NULL) {
        return -ENOMEM;
    }
    vcpu_pause(v);
    pv_context_get(v, c);
    vcpu_unpause(v);
    rc = copy_to_guest(guest_ptr_of(a->ctxt), c, sizeof(*c));
    heap_free(c, sizeof(*c));
    return rc;
}

long domctl_get_ext_vcpucontext(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_ext_vcpucontext *e = &op->u.ext_vcpucontext;
    struct vcpu *v = domain_vcpu(d, e->vcpu);

    if (v == NULL || v == current()) {
        return no_vcpu(d, e->vcpu);
    }
    pv_ext_context_get(v, e);
    return 0;
}

long domctl_set_ext_vcpucontext(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_ext_vcpucontext *e = &op->u.ext_vcpucontext;
    struct vcpu *v = domain_vcpu(d, e->vcpu);
    long rc;

    if (v == NULL) {
        return no_vcpu(d, e->vcpu);
    }
    vcpu_pause(v);
    rc = pv_ext_context_set(v, e);
    vcpu_unpause(v);
    return rc;
}

/* ------------------------------------------------------------------ FPU -- */

/* The header, then the area. */
static long put_xstate(struct vcpu *v, struct guest_ptr to, uint64_t accum, size_t bytes)
{
    const uint64_t header[] = { v->pv.xcr0, accum };

    if (copy_to_guest(to, header, sizeof(header)) != 0) {
        return -EFAULT;
    }
    return bytes == 0 ? 0 : copy_to_guest(guest_ptr_add(to, XSTATE_HEADER), v->fpu, bytes);
}

long domctl_getvcpuextstate(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpuextstate *x = &op->u.vcpuextstate;
    struct vcpu *v = domain_vcpu(d, x->vcpu);
    uint64_t accum, room = x->size;
    size_t bytes;
    long rc = 0;

    if (v == NULL) {
        return no_vcpu(d, x->vcpu);
    }
    vcpu_pause(v);
    accum = pv_xstate_components(v);
    bytes = accum == 0 ? 0 : fpu_bytes_of(accum);
    x->xfeature_mask = fpu_xcr0_allowed();
    x->size = XSTATE_HEADER + bytes;
    if (!guest_ptr_null(guest_ptr_of(x->buffer)) && room != 0) {
        rc = room < x->size ? -EINVAL : put_xstate(v, guest_ptr_of(x->buffer), accum, bytes);
    }
    vcpu_unpause(v);
    return rc;
}

static long set_xstate(struct vcpu *v, const uint64_t *buffer, size_t bytes)
{
    const struct pv_xstate x = { .xcr0 = buffer[0],
                                 .xcr0_accum = buffer[1],
                                 .area = (const char *)buffer + XSTATE_HEADER,
                                 .bytes = bytes - XSTATE_HEADER };
    long rc;

    vcpu_pause(v);
    rc = pv_xstate_set(v, &x);
    vcpu_unpause(v);
    if (rc != 0) {
        log_warn("d%u: vCPU %u cannot have %lu bytes of FPU state with components %#lx of %#lx; "
                 "this machine has %#lx, and CPUID shows it %#lx",
                 v->domain->id, v->id, x.bytes, x.xcr0, x.xcr0_accum, fpu_xcr0_allowed(),
                 pv_cpuid_xcr0(v));
    }
    return rc;
}

long domctl_setvcpuextstate(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpuextstate *x = &op->u.vcpuextstate;
    struct vcpu *v = domain_vcpu(d, x->vcpu);
    uint64_t *buffer;
    long rc = -EFAULT;

    if (v == NULL) {
        return no_vcpu(d, x->vcpu);
    }
    if (x->size < XSTATE_HEADER || x->size > XSTATE_HEADER + fpu_area_bytes()) {
        return -EINVAL;
    }
    if (x->size == XSTATE_HEADER) {
        return 0; /* of a machine without */
    }
    buffer = heap_alloc(x->size);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    if (copy_from_guest(buffer, guest_ptr_of(x->buffer), x->size) == 0) {
        rc = set_xstate(v, buffer, x->size);
    }
    heap_free(buffer, x->size);
    return rc;
}

/* ----------------------------------------------------------------- MSRs -- */

long domctl_get_vcpu_msrs(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpu_msrs *m = &op->u.vcpu_msrs;
    struct vcpu *v = domain_vcpu(d, m->vcpu);
    struct xen_domctl_vcpu_msr msrs[PV_MSRS_MAX];
    uint32_t room = m->msr_count;

    if (v == NULL) {
        return no_vcpu(d, m->vcpu);
    }
    if (guest_ptr_null(guest_ptr_of(m->msrs))) {
        m->msr_count = PV_MSRS_MAX;
        return 0;
    }
    vcpu_pause(v);
    m->msr_count = pv_msrs_get(v, msrs);
    vcpu_unpause(v);
    if (m->msr_count > room) {
        return -ENOBUFS;
    }
    return copy_to_guest(guest_ptr_of(m->msrs), msrs, m->msr_count * sizeof(msrs[0]));
}

/* On an error the count tells which one it is. */
long domctl_set_vcpu_msrs(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_vcpu_msrs *m = &op->u.vcpu_msrs;
    struct vcpu *v = domain_vcpu(d, m->vcpu);
    struct xen_domctl_vcpu_msr msrs[PV_MSRS_MAX];
    uint32_t i;
    long rc = 0;

    if (v == NULL) {
        return no_vcpu(d, m->vcpu);
    }
    if (m->msr_count > PV_MSRS_MAX) {
        return -EINVAL;
    }
    if (copy_from_guest(msrs, guest_ptr_of(m->msrs), m->msr_count * sizeof(msrs[0])) != 0) {
        return -EFAULT;
    }
    vcpu_pause(v);
    for (i = 0; i < m->msr_count && rc == 0; i++) {
        rc = pv_msr_set(v, &msrs[i]);
    }
    vcpu_unpause(v);
    if (rc != 0) {
        m->msr_count = i - 1;
        log_warn("d%u: vCPU %u cannot have MSR %#x with %#lx", d->id, v->id, msrs[i - 1].index,
                 msrs[i - 1].value);
    }
    return rc;
}
