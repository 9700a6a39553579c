/* SPDX-License-Identifier: MIT */
/* Grant tables. */
#include "grant.h"

#include "child.h"
#include "mm.h"

#define MAX_FRAMES 64u

static long list_frames(unsigned int domid, unsigned int nr, xen_pfn_t *frames)
{
    struct gnttab_setup_table op = { .dom = (domid_t)domid,
                                     .nr_frames = nr,
                                     .frame_list = { frames } };
    long rc = hyper_grant(GNTTABOP_setup_table, &op, 1);

    return rc ? rc : op.status;
}

void grant_table_map(unsigned int nr)
{
    static xen_pfn_t frames[MAX_FRAMES];
    long rc = list_frames(DOMID_SELF, nr, frames);

    if (rc) {
        guest_die("setup_table: %ld\n", rc);
    }
    for (unsigned int i = 0; i < nr; i++) {
        pt_map(kernel_l4, GRANT_TABLE_VA + i * PAGE_SIZE, frames[i] << PAGE_SHIFT | PTE_RW_PAGE);
    }
}

long grant_table_map_of(unsigned int domid, uint64_t va)
{
    xen_pfn_t frame;
    long rc = list_frames(domid, 1, &frame);

    return rc ? rc : foreign_map(va, frame, PTE_RW_PAGE, domid);
}

void grant_entry_set(volatile struct grant_entry_v1 *e, unsigned int flags, unsigned int domid,
                     uint64_t mfn)
{
    e->flags = 0;
    e->frame = (uint32_t)mfn;
    e->domid = (domid_t)domid;
    e->flags = (uint16_t)flags;
}

long grant_map(unsigned int domid, grant_ref_t ref, unsigned int flags, uint64_t at,
               grant_handle_t *handle)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = at, .flags = flags, .ref = ref, .dom = (domid_t)domid, .status = 77
    };
    long rc = hyper_grant(GNTTABOP_map_grant_ref, &op, 1);

    *handle = op.handle;
    return rc ? rc : op.status;
}

long grant_unmap_device(grant_handle_t handle, uint64_t at, uint64_t bus_address)
{
    struct gnttab_unmap_grant_ref op = {
        .host_addr = at, .dev_bus_addr = bus_address, .handle = handle, .status = 77
    };
    long rc = hyper_grant(GNTTABOP_unmap_grant_ref, &op, 1);

    return rc ? rc : op.status;
}

long grant_unmap(grant_handle_t handle, uint64_t at)
{
    return grant_unmap_device(handle, at, 0);
}

long grant_replace(grant_handle_t handle, uint64_t at, uint64_t by)
{
    struct gnttab_unmap_and_replace op = {
        .host_addr = at, .new_addr = by, .handle = handle, .status = 77
    };
    long rc = hyper_grant(GNTTABOP_unmap_and_replace, &op, 1);

    return rc ? rc : op.status;
}

long grant_copy(const struct gnttab_copy *op)
{
    struct gnttab_copy copy = *op;
    long rc;

    copy.status = 77;
    rc = hyper_grant(GNTTABOP_copy, &copy, 1);
    return rc ? rc : copy.status;
}

long grant_set_version(unsigned int version)
{
    struct gnttab_set_version op = { .version = version };

    return hyper_grant(GNTTABOP_set_version, &op, 1);
}
