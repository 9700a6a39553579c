/* SPDX-License-Identifier: MIT */
/* Hypercalls about running: sched_op, set_timer_op, vcpu_op. */
#include "hcall/hcall.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

#include "event/event.h"
#include "mm/heap.h"
#include "pv/pv.h"
#include "sys/log.h"
#include "time/time.h"

#define POLL_PORTS_MAX 128u         /* as many as one vCPU may poll */
#define TIMEOUT_MAX    (1ull << 62) /* what lies further ahead is never */

/* ------------------------------------------------------------- sched_op -- */

static long op_yield(struct guest_ptr arg)
{
    (void)arg;
    sched_yield();
    return 0;
}

static long op_block(struct guest_ptr arg)
{
    (void)arg;
    evtchn_block(current());
    return 0;
}

static long op_shutdown(struct guest_ptr arg)
{
    struct sched_shutdown s;

    if (copy_from_guest(&s, arg, sizeof(s)) != 0) {
        return -EFAULT;
    }
    if (s.reason > SHUTDOWN_MAX) {
        return -EINVAL;
    }
    log_info("d%u asks for shutdown, reason %u", current()->domain->id, s.reason);
    domain_shutdown(current()->domain, (uint8_t)s.reason);
    return 0;
}

static long op_poll(struct guest_ptr arg)
{
    evtchn_port_t ports[POLL_PORTS_MAX];
    struct sched_poll p;

    if (copy_from_guest(&p, arg, sizeof(p)) != 0) {
        return -EFAULT;
    }
    if (p.nr_ports > POLL_PORTS_MAX) {
        return -EINVAL;
    }
    if (copy_from_guest(ports, guest_ptr_of(p.ports), p.nr_ports * sizeof(ports[0])) != 0) {
        return -EFAULT;
    }
    return evtchn_poll(current(), ports, p.nr_ports, p.timeout);
}

static long op_shutdown_code(struct guest_ptr arg)
{
    struct sched_shutdown s;

    if (copy_from_guest(&s, arg, sizeof(s)) != 0) {
        return -EFAULT;
    }
    current()->domain->shutdown_code = (uint8_t)s.reason;
    return 0;
}

static long op_remote_shutdown(struct guest_ptr arg)
{
    struct sched_remote_shutdown s;
    struct domain *d;

    if (copy_from_guest(&s, arg, sizeof(s)) != 0) {
        return -EFAULT;
    }
    d = s.domain_id == DOMID_SELF ? NULL : domain_get(s.domain_id);
    if (d == NULL) {
        return -ESRCH;
    }
    if (!current()->domain->is_privileged) {
        domain_put(d);
        return -EPERM;
    }
    log_info("d%u shuts d%u down, reason %u", current()->domain->id, d->id, s.reason);
    domain_shutdown(d, (uint8_t)s.reason);
    domain_put(d);
    return 0;
}

static long op_watchdog(struct guest_ptr arg)
{
    struct sched_watchdog w;

    if (copy_from_guest(&w, arg, sizeof(w)) != 0) {
        return -EFAULT;
    }
    return domain_watchdog(current()->domain, w.id, w.timeout);
}

static const struct hcall_op sched_ops[] = {
    [SCHEDOP_yield] = { .fn = op_yield },
    [SCHEDOP_block] = { .fn = op_block },
    [SCHEDOP_shutdown] = { .fn = op_shutdown },
    [SCHEDOP_poll] = { .fn = op_poll },
    [SCHEDOP_remote_shutdown] = { .fn = op_remote_shutdown },
    [SCHEDOP_watchdog] = { .fn = op_watchdog },
    [SCHEDOP_shutdown_code] = { .fn = op_shutdown_code },
};

long hcall_sched_op(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    UNUSED(c, d, e, f);
    return hcall_dispatch(sched_ops, ARRAY_SIZE(sched_ops), (uint32_t)cmd, GUEST_PTR(arg));
}

long hcall_set_timer_op(uint64_t at, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    UNUSED(b, c, d, e, f);
    if (at == 0 || at >= TIMEOUT_MAX) {
        vtimer_stop_singleshot(current());
        return 0;
    }
    return vtimer_set_singleshot(current(), at, false);
}

/* -------------------------------------------------------------- vcpu_op -- */

/* One caller at a time: page tables are exchanged under a vCPU that must not run meanwhile. */
static long give_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    long rc;

    if (v->is_initialised || __atomic_exchange_n(&v->is_claimed, true, __ATOMIC_SEQ_CST)) {
        return -EEXIST;
    }
    rc = pv_context_set(v, c);
    if (rc != 0) {
        __atomic_store_n(&v->is_claimed, false, __ATOMIC_SEQ_CST);
    }
    return rc;
}

static long vcpu_initialise(struct vcpu *v, struct guest_ptr arg)
{
    struct vcpu_guest_context *c;
    long rc = -EFAULT;

    if (v->info_mfn.n == MFN_INVALID.n && v->id >= XEN_LEGACY_MAX_VCPUS) {
        return -EINVAL; /* nowhere to say that an event waits */
    }
    c = heap_alloc(sizeof(*c));
    if (c == NULL) {
        return -ENOMEM;
    }
    if (copy_from_guest(c, arg, sizeof(*c)) == 0) {
        rc = give_context(v, c);
    }
    if (rc != 0) {
        log_guest(v->domain->id, "vCPU %u: its first state is refused (error %ld)", v->id, -rc);
    }
    heap_free(c, sizeof(*c));
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}

static long vcpu_up(struct vcpu *v, struct guest_ptr arg)
{
    (void)arg;
    if (!v->is_initialised) {
        return -EINVAL;
    }
    WRITE_ONCE(v->is_online, true);
    vcpu_wake(v);
    return 0;
}

static bool has_online_vcpu(const struct domain *d)
{
    struct vcpu *v;
    uint32_t i;

    for_each_vcpu(d, v, i) {
        if (READ_ONCE(v->is_online)) {
            return true;
        }
    }
    return false;
}

static long vcpu_down(struct vcpu *v, struct guest_ptr arg)
{
    (void)arg;
    WRITE_ONCE(v->is_online, false);
    if (!has_online_vcpu(v->domain)) {
        log_info("d%u has no vCPU left that runs: shut down", v->domain->id);
        domain_shutdown(v->domain, SHUTDOWN_poweroff);
    }
    sched_offline(&v->unit);
    return 0;
}

static long vcpu_is_up(struct vcpu *v, struct guest_ptr arg)
{
    (void)arg;
    return v->is_online;
}

static long vcpu_get_runstate(struct vcpu *v, struct guest_ptr arg)
{
    struct vcpu_runstate_info r;

    vcpu_runstate_get(v, &r);
    return copy_to_guest(arg, &r, sizeof(r));
}

static long vcpu_register_runstate(struct vcpu *v, struct guest_ptr arg)
{
    struct vcpu_register_runstate_memory_area a;
    struct vcpu_runstate_info r;

    if (copy_from_guest(&a, arg, sizeof(a)) != 0 || !pv_address_ok(a.addr.p)) {
        return -EFAULT;
    }
    v->runstate_guest = a.addr.p;
    vcpu_runstate_get(v, &r);
    if (a.addr.p != 0 && copy_to_guest(GUEST_PTR(a.addr.p), &r, sizeof(r)) != 0) {
        log_guest(v->domain->id, "vCPU %u: its run-state area is not mapped yet", v->id);
    }
    return 0;
}

static long vcpu_register_time(struct vcpu *v, struct guest_ptr arg)
{
    struct vcpu_register_time_memory_area a;

    if (copy_from_guest(&a, arg, sizeof(a)) != 0 || !pv_address_ok(a.addr.p)) {
        return -EFAULT;
    }
    v->time_info_guest = a.addr.p;
    v->time_generation = 0; /* so that the next switch to it fills the area */
    if (v == current()) {
        vcpu_time_changed(); /* Linux looks at once, and does without if it finds nothing */
    }
    return 0;
}

static long vcpu_set_periodic(struct vcpu *v, struct guest_ptr arg)
{
    struct vcpu_set_periodic_timer t;

    if (copy_from_guest(&t, arg, sizeof(t)) != 0) {
        return -EFAULT;
    }
    return t.period_ns == 0 ? -EINVAL : vtimer_set_periodic(v, t.period_ns);
}

static long vcpu_stop_periodic(struct vcpu *v, struct guest_ptr arg)
{
    (void)arg;
    return vtimer_set_periodic(v, 0);
}

static long vcpu_set_singleshot(struct vcpu *v, struct guest_ptr arg)
{
    struct vcpu_set_singleshot_timer t;

    if (v != current()) {
        return -EINVAL;
    }
    if (copy_from_guest(&t, arg, sizeof(t)) != 0) {
        return -EFAULT;
    }
    return vtimer_set_singleshot(v, t.timeout_abs_ns, t.flags & VCPU_SSHOTTMR_future);
}

static long vcpu_stop_singleshot(struct vcpu *v, struct guest_ptr arg)
{
    (void)arg;
    if (v != current()) {
        return -EINVAL;
    }
    vtimer_stop_singleshot(v);
    return 0;
}

static long vcpu_register_info(struct vcpu *v, struct guest_ptr arg)
{
    struct vcpu_register_vcpu_info i;

    if (copy_from_guest(&i, arg, sizeof(i)) != 0) {
        return -EFAULT;
    }
    return pv_register_vcpu_info(v, MFN(i.mfn), i.offset);
}

static long vcpu_send_nmi(struct vcpu *v, struct guest_ptr arg)
{
    if (!guest_ptr_null(arg)) {
        return -EINVAL;
    }
    pv_send_nmi(v);
    return 0;
}

static const struct {
    long (*fn)(struct vcpu *v, struct guest_ptr arg);
} vcpu_ops[] = {
    [VCPUOP_initialise] = { .fn = vcpu_initialise },
    [VCPUOP_up] = { .fn = vcpu_up },
    [VCPUOP_down] = { .fn = vcpu_down },
    [VCPUOP_is_up] = { .fn = vcpu_is_up },
    [VCPUOP_get_runstate_info] = { .fn = vcpu_get_runstate },
    [VCPUOP_register_runstate_memory_area] = { .fn = vcpu_register_runstate },
    [VCPUOP_set_periodic_timer] = { .fn = vcpu_set_periodic },
    [VCPUOP_stop_periodic_timer] = { .fn = vcpu_stop_periodic },
    [VCPUOP_set_singleshot_timer] = { .fn = vcpu_set_singleshot },
    [VCPUOP_stop_singleshot_timer] = { .fn = vcpu_stop_singleshot },
    [VCPUOP_register_vcpu_info] = { .fn = vcpu_register_info },
    [VCPUOP_send_nmi] = { .fn = vcpu_send_nmi },
    [VCPUOP_register_vcpu_time_memory_area] = { .fn = vcpu_register_time },
};

long hcall_vcpu_op(uint64_t cmd, uint64_t id, uint64_t arg, uint64_t d, uint64_t e, uint64_t f)
{
    struct vcpu *v = domain_vcpu(current()->domain, (uint32_t)id);
    uint64_t i = array_index_nospec((uint32_t)cmd, ARRAY_SIZE(vcpu_ops));

    UNUSED(d, e, f);
    if (v == NULL) {
        return -ENOENT;
    }
    if ((uint32_t)cmd >= ARRAY_SIZE(vcpu_ops) || vcpu_ops[i].fn == NULL) {
        return -ENOSYS;
    }
    return vcpu_ops[i].fn(v, GUEST_PTR(arg));
}
