/* SPDX-License-Identifier: MIT */
/*
 * memory_op exchange: a domain gives extents of one size back and gets as much
 * memory in extents of another.  Both are cut into steps of the least common
 * size, each done whole or not at all; how many went in is told, so that a call
 * that restarts goes on behind them.
 */
#include "hcall/memory_ops.h"

#include "domain/memory.h"
#include "mm/m2p.h"
#include "sys/softirq.h"

#define CHUNK_ORDER_MAX 9u /* frames of one step: 2^9 */
#define CHUNK_EXTENTS   (1u << CHUNK_ORDER_MAX)

/* Frame numbers of one step, one array for in and out; a step never sleeps, so one for each CPU
 * will do. */
static DEFINE_PER_CPU(uint64_t *, chunk);

struct exchange {
    struct domain *d;
    struct xen_memory_exchange x;
    uint32_t nr_in, nr_out; /* extents of one step */
};

static long exchange_step(struct exchange *e, uint64_t in_at)
{
    uint64_t *in = *this_cpu_ptr(chunk), *out = in + CHUNK_EXTENTS, *pfns = out + CHUNK_EXTENTS;
    struct memory_blocks give = { .mfns = in, .nr = e->nr_in, .order = e->x.in.extent_order };
    struct memory_blocks take = { .mfns = out, .nr = e->nr_out, .order = e->x.out.extent_order };
    uint64_t out_at = in_at / e->nr_in * e->nr_out;
    struct guest_ptr in_list = guest_ptr_add(guest_ptr_of(e->x.in.extent_start), in_at * 8);
    struct guest_ptr out_list = guest_ptr_add(guest_ptr_of(e->x.out.extent_start), out_at * 8);
    long rc;

    if (copy_from_guest(in, in_list, e->nr_in * 8ul) != 0 ||
        copy_from_guest(pfns, out_list, e->nr_out * 8ul) != 0) {
        return -EFAULT;
    }
    rc = memory_exchange(e->d, &give, &take, XENMEMF_get_address_bits(e->x.out.mem_flags));
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < e->nr_out; i++) {
        m2p_set_run(MFN(out[i]), 1ull << take.order, pfns[i]);
    }
    /* They are the domain's now, told or not: its M2P says which they are. */
    return copy_to_guest(out_list, out, e->nr_out * 8ul);
}

static long exchange_check(struct exchange *e)
{
    const struct xen_memory_reservation *in = &e->x.in, *out = &e->x.out;
    unsigned int order = max(in->extent_order, out->extent_order);

    if (in->extent_order > CHUNK_ORDER_MAX || out->extent_order > CHUNK_ORDER_MAX) {
        return -EPERM;
    }
    if (in->domid != out->domid || in->nr_extents > (~0ull >> 16) ||
        out->nr_extents > (~0ull >> 16) ||
        in->nr_extents << in->extent_order != out->nr_extents << out->extent_order ||
        e->x.nr_exchanged > in->nr_extents) {
        return -EINVAL;
    }
    if (!guest_range_ok(guest_ptr_of(in->extent_start), in->nr_extents * 8) ||
        !guest_range_ok(guest_ptr_of(out->extent_start), out->nr_extents * 8)) {
        return -EFAULT;
    }
    e->nr_in = 1u << (order - in->extent_order);
    e->nr_out = 1u << (order - out->extent_order);
    return e->x.nr_exchanged % e->nr_in != 0 || in->nr_extents % e->nr_in != 0 ? -EINVAL : 0;
}

static long exchange_all(struct exchange *e)
{
    while (e->x.nr_exchanged < e->x.in.nr_extents) {
        long rc = exchange_step(e, e->x.nr_exchanged);

        if (rc != 0) {
            return rc;
        }
        e->x.nr_exchanged += e->nr_in;
        if (e->x.nr_exchanged < e->x.in.nr_extents && preempt_pending()) {
            return -ERESTART;
        }
    }
    return 0;
}

long memory_op_exchange(uint64_t cmd, uint64_t arg)
{
    struct guest_ptr p = GUEST_PTR(arg);
    struct exchange e;
    uint64_t before;
    long rc;

    (void)cmd;
    if (copy_from_guest(&e.x, p, sizeof(e.x)) != 0) {
        return -EFAULT;
    }
    rc = exchange_check(&e);
    if (rc != 0) {
        return rc;
    }
    if (*this_cpu_ptr(chunk) == NULL) {
        *this_cpu_ptr(chunk) = pages_alloc_hv(2);
        if (*this_cpu_ptr(chunk) == NULL) {
            return -ENOMEM;
        }
    }
    e.d = hcall_target(e.x.in.domid, &rc);
    if (e.d == NULL) {
        return rc;
    }
    before = e.x.nr_exchanged;
    rc = exchange_all(&e);
    domain_put(e.d);
    if (e.x.nr_exchanged != before &&
        copy_to_guest(guest_ptr_add(p, offsetof(struct xen_memory_exchange, nr_exchanged)),
                      &e.x.nr_exchanged, sizeof(e.x.nr_exchanged)) != 0) {
        return -EFAULT;
    }
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}
