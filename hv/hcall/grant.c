/* SPDX-License-Identifier: MIT */
/*
 * grant_table_op: the caller's own table, and the dispatch.  Operations on lists
 * are in grant_map.c and grant_copy.c.
 */
#include "hcall/grant.h"

#include "sys/log.h"
#include "sys/softirq.h"

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
    struct gnttab_set_version op;
    long rc = 0;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.version == 2) {
        log_guest(current()->domain->id, "asks for grant tables of version 2; there is version 1");
        rc = -ENOSYS;
    } else if (op.version != 1) {
        rc = -EINVAL;
    }
    op.version = 1; /* the one in force, whatever was asked for */
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
    domain_put(d);
    op.version = 1;
    return copy_to_guest(arg, &op, sizeof(op));
}

/* ------------------------------------------------------------- dispatch -- */

/* Sub-operations on one argument. */
static long (*const single_ops[])(struct guest_ptr) = {
    [GNTTABOP_setup_table] = op_setup_table,
    [GNTTABOP_query_size] = op_query_size,
    [GNTTABOP_set_version] = op_set_version,
    [GNTTABOP_get_version] = op_get_version,
};

/* Sub-operations on lists. */
static const struct list_op {
    uint32_t (*fn)(struct guest_ptr list, uint32_t nr, long *rc);
    uint32_t size;
} list_ops[] = {
    [GNTTABOP_map_grant_ref] = { hcall_grant_map, sizeof(struct gnttab_map_grant_ref) },
    [GNTTABOP_unmap_grant_ref] = { hcall_grant_unmap, sizeof(struct gnttab_unmap_grant_ref) },
    [GNTTABOP_copy] = { hcall_grant_copy, sizeof(struct gnttab_copy) },
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
        uint32_t done = op->fn(GUEST_PTR(list), nr, &rc);

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

long hcall_grant_table_op(uint64_t cmd, uint64_t list, uint64_t nr, uint64_t d, uint64_t e,
                          uint64_t f)
{
    UNUSED(d, e, f);
    cmd = (uint32_t)cmd;
    nr = (uint32_t)nr;
    if (cmd < ARRAY_SIZE(list_ops) && list_ops[array_index_nospec(cmd, ARRAY_SIZE(list_ops))].fn) {
        return run_list(&list_ops[array_index_nospec(cmd, ARRAY_SIZE(list_ops))], cmd, list,
                        (uint32_t)nr);
    }
    if (cmd >= ARRAY_SIZE(single_ops) || single_ops[cmd] == NULL) {
        return -ENOSYS;
    }
    if (nr != 1) {
        return nr == 0 ? 0 : -EINVAL;
    }
    return single_ops[cmd](GUEST_PTR(list));
}
