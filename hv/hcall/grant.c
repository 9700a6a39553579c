/* SPDX-License-Identifier: MIT */
/*
 * grant_table_op: the caller's own table, and the dispatch.  Operations on lists
 * are in grant_map.c and grant_copy.c.
 */
#include "hcall/grant.h"

#include "mm/phys.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/cache.h"

/* The domain a request names, with a reference; NULL: *@status is what to answer. */
static struct domain *table_owner(domid_t id, int16_t *status)
{
    long rc;
    struct domain *d = hcall_target(id, &rc);

    *status = rc == 0 ? GNTST_okay : rc == -ESRCH ? GNTST_bad_domain : GNTST_permission_denied;
    return d;
}

static int16_t list_frames(struct domain *d, const struct gnttab_setup_table *op)
{
    int rc = grant_grow(d, op->nr_frames);

    if (rc != 0) {
        return GNTST_general_error;
    }
    for (uint32_t i = 0; i < op->nr_frames; i++) {
        xen_pfn_t mfn = grant_frame(d, i).n;

        if (copy_elem_to_guest(guest_ptr_of(op->frame_list), i, &mfn, sizeof(mfn)) != 0) {
            return GNTST_bad_virt_addr;
        }
    }
    return GNTST_okay;
}

static long op_setup_table(struct guest_ptr arg)
{
    struct gnttab_setup_table op;
    struct domain *d;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    d = table_owner(op.dom, &op.status);
    if (d != NULL) {
        op.status = list_frames(d, &op);
        domain_put(d);
    }
    return copy_to_guest(arg, &op, sizeof(op));
}

static long op_query_size(struct guest_ptr arg)
{
    struct gnttab_query_size op;
    struct domain *d;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    d = table_owner(op.dom, &op.status);
    if (d != NULL) {
        grant_size(d, &op.nr_frames, &op.max_nr_frames);
        domain_put(d);
    }
    return copy_to_guest(arg, &op, sizeof(op));
}

static long op_set_version(struct guest_ptr arg)
{
    struct domain *d = current()->domain;
    struct gnttab_set_version op;
    long rc = -EINVAL;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.version == 1 || op.version == 2) {
        rc = grant_set_version(d, op.version);
    }
    op.version = grant_version(d); /* the one in force, whatever was asked for */
    return copy_to_guest(arg, &op, sizeof(op)) != 0 ? -EFAULT : rc;
}

static long op_get_version(struct guest_ptr arg)
{
    struct gnttab_get_version op;
    struct domain *d;
    int16_t status;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    d = table_owner(op.dom, &status);
    if (d == NULL) {
        return status == GNTST_bad_domain ? -ESRCH : -EPERM;
    }
    op.version = grant_version(d);
    domain_put(d);
    return copy_to_guest(arg, &op, sizeof(op));
}

static int16_t list_status_frames(struct domain *d, const struct gnttab_get_status_frames *op)
{
    uint32_t nr = grant_nr_status(d);

    if (op->nr_frames > nr) {
        log_guest(d->id, "%u frames of grant status are asked for, there are %u", op->nr_frames,
                  nr);
        return GNTST_general_error;
    }
    for (uint32_t i = 0; i < op->nr_frames; i++) {
        uint64_t mfn = grant_status_frame(d, i).n;

        if (copy_elem_to_guest(guest_ptr_of(op->frame_list), i, &mfn, sizeof(mfn)) != 0) {
            return GNTST_bad_virt_addr;
        }
    }
    return GNTST_okay;
}

static long op_get_status_frames(struct guest_ptr arg)
{
    struct gnttab_get_status_frames op;
    struct domain *d;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    d = table_owner(op.dom, &op.status);
    if (d != NULL) {
        op.status = list_status_frames(d, &op);
        domain_put(d);
    }
    return copy_to_guest(arg, &op, sizeof(op));
}

/* ------------------------------------------------- lists that are hardly used -- */

static long op_swap(struct guest_ptr at)
{
    struct gnttab_swap_grant_ref op;

    if (copy_from_guest(&op, at, sizeof(op)) != 0) {
        return -EFAULT;
    }
    op.status = grant_swap(current()->domain, op.ref_a, op.ref_b);
    return copy_to_guest(at, &op, sizeof(op));
}

/* Pages do not change their owner this way: Xen 4.17 takes none that its guest has mapped. */
static long op_transfer(struct guest_ptr at)
{
    struct gnttab_transfer op;

    if (copy_from_guest(&op, at, sizeof(op)) != 0) {
        return -EFAULT;
    }
    log_guest(current()->domain->id, "frame %#lx is not transferred to d%u: copy it instead",
              op.mfn, op.domid);
    op.status = GNTST_bad_page;
    return copy_to_guest(at, &op, sizeof(op));
}

/* Write back what the caches hold of a frame of the caller's own. */
static long op_cache_flush(struct guest_ptr at)
{
    struct gnttab_cache_flush op;
    mfn_t mfn;

    if (copy_from_guest(&op, at, sizeof(op)) != 0) {
        return -EFAULT;
    }
    if ((op.op & ~(GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL)) ||
        op.offset + op.length > (int)PAGE_SIZE) {
        return -EINVAL;
    }
    if (op.op == 0 || op.length == 0) {
        return 0;
    }
    if (!(op.op & GNTTAB_CACHE_CLEAN)) {
        return -EOPNOTSUPP;
    }
    mfn = paddr_to_mfn(PADDR(op.a.dev_bus_addr));
    if (!frame_valid(mfn) || !frame_get(frame_named(mfn), current()->domain->id)) {
        log_guest(current()->domain->id, "frame %#lx is not its own to flush", mfn.n);
        return -EINVAL;
    }
    cache_flush_page(mfn_to_virt(mfn));
    frame_put(frame_of(mfn));
    return 0;
}

/* An operation on one element, as one on lists. */
static uint32_t first_of_list(long (*fn)(struct guest_ptr), void *list, long *rc)
{
    *rc = fn(GUEST_PTR(list));
    return *rc == 0;
}

static uint32_t list_swap(void *list, uint32_t nr, long *rc)
{
    return first_of_list(op_swap, list, rc);
}

static uint32_t list_transfer(void *list, uint32_t nr, long *rc)
{
    return first_of_list(op_transfer, list, rc);
}

static uint32_t list_cache_flush(void *list, uint32_t nr, long *rc)
{
    return first_of_list(op_cache_flush, list, rc);
}

/* ------------------------------------------------------------- dispatch -- */

/* Sub-operations on one argument. */
static long (*const single_ops[])(struct guest_ptr) = {
    [GNTTABOP_setup_table] = op_setup_table,
    [GNTTABOP_query_size] = op_query_size,
    [GNTTABOP_set_version] = op_set_version,
    [GNTTABOP_get_version] = op_get_version,
    [GNTTABOP_get_status_frames] = op_get_status_frames,
};

/* Sub-operations on lists. */
struct list_op {
    uint32_t (*fn)(void *list, uint32_t nr, long *rc);
    uint32_t size;
};

static const struct list_op list_ops[] = {
    [GNTTABOP_unmap_and_replace] = { hcall_grant_replace, sizeof(struct gnttab_unmap_and_replace) },
    [GNTTABOP_swap_grant_ref] = { list_swap, sizeof(struct gnttab_swap_grant_ref) },
    [GNTTABOP_transfer] = { list_transfer, sizeof(struct gnttab_transfer) },
    [GNTTABOP_cache_flush] = { list_cache_flush, sizeof(struct gnttab_cache_flush) },
};

static always_inline long run_list(const struct list_op *op, uint64_t cmd, uint64_t list,
                                   uint32_t nr)
{
    long rc = 0;

    if ((int32_t)nr < 0) {
        return -EINVAL;
    }
    if (!guest_range_ok(GUEST_PTR(list), (uint64_t)nr * op->size)) {
        return -EFAULT;
    }
    while (nr > 0) {
        uint32_t done = op->fn(user_addr(list), nr, &rc);

        nr -= done;
        list += (uint64_t)done * op->size;
        if (unlikely(rc != 0)) {
            break;
        }
        if (nr > 0 && preempt_pending()) {
            rc = -ERESTART;
            break;
        }
    }
    if (unlikely(rc == -ERESTART)) {
        const uint64_t args[] = { cmd, list, nr };

        return hcall_restart(args, ARRAY_SIZE(args));
    }
    return rc;
}

static noinline long seldom(uint64_t cmd, uint64_t list, uint32_t nr)
{
    uint64_t i = array_index_nospec(cmd, ARRAY_SIZE(list_ops));

    if (cmd < ARRAY_SIZE(list_ops) && list_ops[i].fn != NULL) {
        return run_list(&list_ops[i], cmd, list, nr);
    }
    i = array_index_nospec(cmd, ARRAY_SIZE(single_ops));
    if (cmd >= ARRAY_SIZE(single_ops) || single_ops[i] == NULL) {
        return -ENOSYS;
    }
    /* As Xen has it: one looks at no count, for another none is nothing to do. */
    if (nr != 1 && cmd != GNTTABOP_get_version) {
        return nr == 0 && cmd == GNTTABOP_set_version ? 0 : -EINVAL;
    }
    return single_ops[i](GUEST_PTR(list));
}

/* What backends do all day is called directly. */
long hcall_grant_table_op(uint64_t cmd, uint64_t list, uint64_t nr, uint64_t d, uint64_t e,
                          uint64_t f)
{
    static const struct list_op map = { hcall_grant_map, sizeof(struct gnttab_map_grant_ref) },
                                unmap = { hcall_grant_unmap,
                                          sizeof(struct gnttab_unmap_grant_ref) },
                                copy = { hcall_grant_copy, sizeof(struct gnttab_copy) };

    cmd = (uint32_t)cmd;
    if (cmd == GNTTABOP_map_grant_ref) {
        return run_list(&map, cmd, list, (uint32_t)nr);
    }
    if (cmd == GNTTABOP_unmap_grant_ref) {
        return run_list(&unmap, cmd, list, (uint32_t)nr);
    }
    if (cmd == GNTTABOP_copy) {
        return run_list(&copy, cmd, list, (uint32_t)nr);
    }
    return seldom(cmd, list, (uint32_t)nr);
}
