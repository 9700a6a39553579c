/* SPDX-License-Identifier: MIT */
/* Hypercalls about a PV vCPU's own processor state: traps, callbacks, segments, debug registers,
 * iret. */
#include "hcall/hcall.h"

#include <xen/callback.h>
#include <xen/hvm/hvm_op.h>
#include <xen/nmi.h>

#include "lib/string.h"
#include "pv/pv.h"
#include "sys/log.h"

long hcall_set_trap_table(uint64_t list, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct vcpu *v = current();
    struct trap_info t;

    UNUSED(b, c, d, e, f);
    if (list == 0) {
        memset(v->pv.traps, 0, 256 * sizeof(v->pv.traps[0]));
        return 0;
    }
    /* At most as many as there are vectors: a list without an end is no list. */
    for (unsigned int i = 0; i <= 256; i++) {
        if (copy_elem_from_guest(&t, GUEST_PTR(list), i, sizeof(t)) != 0) {
            return -EFAULT;
        }
        if (t.address == 0) {
            return 0;
        }
        if (!pv_address_ok(t.address)) {
            return -EINVAL;
        }
        t.cs = (uint16_t)pv_fix_selector(t.cs);
        v->pv.traps[t.vector] = t;
    }
    return 0;
}

long hcall_stack_switch(uint64_t ss, uint64_t sp, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct vcpu *v = current();

    UNUSED(c, d, e, f);
    v->pv.kernel_ss = pv_fix_selector(ss);
    v->pv.kernel_sp = sp;
    return 0;
}

long hcall_fpu_taskswitch(uint64_t set, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    UNUSED(b, c, d, e, f);
    pv_set_ts(current(), (uint32_t)set != 0);
    return 0;
}

long hcall_set_debugreg(uint64_t reg, uint64_t val, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    UNUSED(c, d, e, f);
    return pv_set_debugreg(current(), (uint32_t)reg, val);
}

long hcall_get_debugreg(uint64_t reg, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    const struct vcpu *v = current();

    UNUSED(b, c, d, e, f);
    reg = (uint32_t)reg;
    if (reg > 7) {
        return -ENODEV;
    }
    return (long)v->pv.dr[reg == 4 || reg == 5 ? reg + 2 : reg];
}

long hcall_set_segment_base(uint64_t which, uint64_t base, uint64_t c, uint64_t d, uint64_t e,
                            uint64_t f)
{
    UNUSED(c, d, e, f);
    return pv_set_segment_base(current(), (uint32_t)which, base);
}

long hcall_iret(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    UNUSED(a, b, c, d, e, f);
    return pv_iret(current());
}

/* ------------------------------------------------------------ callbacks -- */

static struct pv_callback *callback_of(struct vcpu *v, uint16_t type)
{
    switch (type) {
    case CALLBACKTYPE_event:
        return &v->pv.event;
    case CALLBACKTYPE_failsafe:
        return &v->pv.failsafe;
    case CALLBACKTYPE_syscall:
        return &v->pv.syscall;
    case CALLBACKTYPE_syscall32:
        return &v->pv.syscall32;
    case CALLBACKTYPE_sysenter:
        return &v->pv.sysenter;
    default:
        return NULL;
    }
}

static int set_nmi(struct vcpu *v, uint64_t address)
{
    if (v->id != 0) {
        return -EINVAL;
    }
    v->pv.traps[2] = (struct trap_info){
        .vector = 2, .flags = 1u << 2, .cs = FLAT_KERNEL_CS, .address = address
    };
    return 0;
}

static long set_callback(struct vcpu *v, uint16_t type, uint16_t flags, uint64_t address)
{
    struct pv_callback *cb = callback_of(v, type);

    if (address != 0 && !pv_address_ok(address)) {
        return -EINVAL;
    }
    if (type == CALLBACKTYPE_nmi) {
        return set_nmi(v, address);
    }
    if (cb == NULL) {
        return -ENOSYS;
    }
    cb->address = address;
    cb->mask_events = (flags & CALLBACKF_mask_events) || type == CALLBACKTYPE_event;
    return 0;
}

static long callback_register(struct guest_ptr arg)
{
    struct callback_register r;

    if (copy_from_guest(&r, arg, sizeof(r)) != 0) {
        return -EFAULT;
    }
    return set_callback(current(), r.type, r.flags, r.address);
}

static long callback_unregister(struct guest_ptr arg)
{
    struct callback_unregister u;

    if (copy_from_guest(&u, arg, sizeof(u)) != 0) {
        return -EFAULT;
    }
    if (u.type == CALLBACKTYPE_event || u.type == CALLBACKTYPE_failsafe ||
        u.type == CALLBACKTYPE_syscall) {
        return -EINVAL; /* a kernel cannot be without */
    }
    return set_callback(current(), u.type, 0, 0);
}

static const struct hcall_op callback_ops[] = {
    [CALLBACKOP_register] = { .fn = callback_register },
    [CALLBACKOP_unregister] = { .fn = callback_unregister },
};

long hcall_callback_op(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    UNUSED(c, d, e, f);
    return hcall_dispatch(callback_ops, ARRAY_SIZE(callback_ops), (uint32_t)cmd, GUEST_PTR(arg));
}

/* The older way to name the three callbacks. */
long hcall_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall, uint64_t d,
                         uint64_t e, uint64_t f)
{
    struct vcpu *v = current();

    UNUSED(d, e, f);
    if (!pv_address_ok(event) || !pv_address_ok(failsafe) || !pv_address_ok(syscall)) {
        return -EINVAL;
    }
    v->pv.event = (struct pv_callback){ event, true };
    v->pv.failsafe = (struct pv_callback){ failsafe, false };
    v->pv.syscall = (struct pv_callback){ syscall, false };
    return 0;
}

long hcall_nmi_op(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct xennmi_callback cb;

    UNUSED(c, d, e, f);
    switch ((uint32_t)cmd) {
    case XENNMI_register_callback:
        if (copy_from_guest(&cb, GUEST_PTR(arg), sizeof(cb)) != 0) {
            return -EFAULT;
        }
        return set_callback(current(), CALLBACKTYPE_nmi, 0, cb.handler_address);
    case XENNMI_unregister_callback:
        return set_callback(current(), CALLBACKTYPE_nmi, 0, 0);
    default:
        return -ENOSYS;
    }
}

/* No domain is of the hardware-assisted kind, and so none has parameters. */
long hcall_hvm_op(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct xen_hvm_param param;

    UNUSED(c, d, e, f);
    if ((uint32_t)cmd != HVMOP_set_param && (uint32_t)cmd != HVMOP_get_param) {
        return -ENOSYS;
    }
    return copy_from_guest(&param, GUEST_PTR(arg), sizeof(param)) != 0 ? -EFAULT : -EINVAL;
}

/* Performance counters are not shared out; kernels go on without. */
long hcall_xenpmu_op(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    UNUSED(a, b, c, d, e, f);
    return -EOPNOTSUPP;
}

long hcall_vm_assist(uint64_t cmd, uint64_t type, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct domain *dom = current()->domain;

    UNUSED(c, d, e, f);
    if (type >= 32 || !(PV_VM_ASSISTS >> type & 1)) {
        return type == VMASST_TYPE_m2p_strict ? 0 : -EINVAL; /* strict it is in any case */
    }
    switch ((uint32_t)cmd) {
    case VMASST_CMD_enable:
        __atomic_fetch_or(&dom->vm_assist, 1u << type, __ATOMIC_SEQ_CST);
        return 0;
    case VMASST_CMD_disable:
        __atomic_fetch_and(&dom->vm_assist, ~(1u << type), __ATOMIC_SEQ_CST);
        return 0;
    default:
        return -ENOSYS;
    }
}
