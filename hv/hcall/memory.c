/* SPDX-License-Identifier: MIT */
/*
 * memory_op: what a domain owns, and what the machine has.  Here are the table
 * and the short questions.
 */
#include "hcall/memory_ops.h"

static long op_maximum_ram_page(uint64_t cmd, uint64_t arg)
{
    (void)cmd, (void)arg;
    return (long)(nr_frames_max - 1);
}

enum account {
    ACCOUNT_PAGES,
    ACCOUNT_LIMIT,
    ACCOUNT_MAX_PFN
};

static long tell_account(uint64_t arg, enum account which)
{
    struct domain *d;
    domid_t id;
    long rc;

    if (copy_from_guest(&id, GUEST_PTR(arg), sizeof(id)) != 0) {
        return -EFAULT;
    }
    d = hcall_target(id, &rc);
    if (d == NULL) {
        return rc;
    }
    if (which == ACCOUNT_PAGES) {
        rc = (long)d->nr_pages;
    } else if (which == ACCOUNT_LIMIT) {
        rc = (long)d->max_pages;
    } else {
        rc = (long)max(READ_ONCE(d->shared_info->arch.max_pfn), 1ul) - 1;
    }
    domain_put(d);
    return rc;
}

static long op_current_reservation(uint64_t cmd, uint64_t arg)
{
    (void)cmd;
    return tell_account(arg, ACCOUNT_PAGES);
}

static long op_maximum_reservation(uint64_t cmd, uint64_t arg)
{
    (void)cmd;
    return tell_account(arg, ACCOUNT_LIMIT);
}

static long op_maximum_gpfn(uint64_t cmd, uint64_t arg)
{
    (void)cmd;
    return tell_account(arg, ACCOUNT_MAX_PFN);
}

/* No frames are shared between domains. */
static long op_no_sharing(uint64_t cmd, uint64_t arg)
{
    (void)cmd, (void)arg;
    return 0;
}

static long op_get_vnumainfo(uint64_t cmd, uint64_t arg)
{
    (void)cmd, (void)arg;
    return -EOPNOTSUPP;
}

static memory_op_fn *const ops[] = {
    [XENMEM_increase_reservation] = memory_increase,
    [XENMEM_decrease_reservation] = memory_decrease,
    [XENMEM_populate_physmap] = memory_populate,
    [XENMEM_exchange] = memory_op_exchange,
    [XENMEM_maximum_ram_page] = op_maximum_ram_page,
    [XENMEM_current_reservation] = op_current_reservation,
    [XENMEM_maximum_reservation] = op_maximum_reservation,
    [XENMEM_maximum_gpfn] = op_maximum_gpfn,
    [XENMEM_machphys_mfn_list] = memory_machphys_mfn_list,
    [XENMEM_memory_map] = memory_get_domain_map,
    [XENMEM_set_memory_map] = memory_set_domain_map,
    [XENMEM_machine_memory_map] = memory_machine_map,
    [XENMEM_claim_pages] = memory_claim_pages,
    [XENMEM_reserved_device_memory_map] = memory_reserved_device_map,
    [XENMEM_acquire_resource] = memory_acquire_resource,
    [XENMEM_machphys_mapping] = memory_machphys_mapping,
    [XENMEM_get_sharing_freed_pages] = op_no_sharing,
    [XENMEM_get_sharing_shared_pages] = op_no_sharing,
    [XENMEM_get_vnumainfo] = op_get_vnumainfo,
};

long hcall_memory_op(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    uint64_t op = cmd & MEMOP_CMD_MASK, i = array_index_nospec(op, ARRAY_SIZE(ops));

    UNUSED(c, d, e, f);
    if (op >= ARRAY_SIZE(ops) || ops[i] == NULL) {
        return -ENOSYS;
    }
    return ops[i](cmd, arg);
}
