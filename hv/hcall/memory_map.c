/* SPDX-License-Identifier: MIT */
/*
 * memory_op: maps.  The machine's for dom0, the one that the toolstack gives a
 * domain, and where the machine-to-physical table is.
 */
#include "hcall/memory_ops.h"

#include "domain/memory.h"
#include "drivers/acpi.h"
#include "mm/heap.h"
#include "mm/m2p.h"
#include "sys/boot_info.h"
#include "sys/log.h"

#define MSI_FIRST 0xfee00000ull /* what is written there is an interrupt */
#define MSI_BYTES 0x100000ull

/* ------------------------------------------------------------ the machine's -- */

/* Where dom0 must not put devices, and the firmware may not say so: interrupt controllers, ours. */
static int tell_controllers(struct guest_ptr list, uint32_t at)
{
    struct e820_entry r = { .start = MSI_FIRST, .len = MSI_BYTES, .type = E820_RESERVED };

    for (uint32_t i = 0; i < acpi_info.nr_ioapics; i++) {
        const struct e820_entry io = { .start = acpi_info.ioapics[i].address,
                                       .len = PAGE_SIZE,
                                       .type = E820_RESERVED };

        if (copy_elem_to_guest(list, at++, &io, sizeof(io)) != 0) {
            return -EFAULT;
        }
    }
    return copy_elem_to_guest(list, at, &r, sizeof(r));
}

/* The machine's own map, our memory not cut out: dom0 lays its frames out over it. */
long memory_machine_map(uint64_t cmd, uint64_t arg)
{
    struct xen_memory_map map;

    (void)cmd;
    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    if (copy_from_guest(&map, GUEST_PTR(arg), sizeof(map)) != 0) {
        return -EFAULT;
    }
    if (guest_ptr_null(guest_ptr_of(map.buffer))) {
        map.nr_entries = 0;
    } else if (map.nr_entries < boot_info.nr_e820 + acpi_info.nr_ioapics + 1) {
        return -EINVAL;
    } else {
        map.nr_entries = boot_info.nr_e820 + acpi_info.nr_ioapics + 1;
        if (copy_to_guest(guest_ptr_of(map.buffer), boot_info.e820,
                          boot_info.nr_e820 * sizeof(boot_info.e820[0])) != 0 ||
            tell_controllers(guest_ptr_of(map.buffer), boot_info.nr_e820) != 0) {
            return -EFAULT;
        }
    }
    return copy_to_guest(GUEST_PTR(arg), &map, sizeof(map));
}

long memory_machphys_mapping(uint64_t cmd, uint64_t arg)
{
    struct xen_machphys_mapping m = { .v_start = MACH2PHYS_VIRT_START,
                                      .v_end = MACH2PHYS_VIRT_END,
                                      .max_mfn = nr_frames_max - 1 };

    (void)cmd;
    return copy_to_guest(GUEST_PTR(arg), &m, sizeof(m));
}

/* Where the M2P's memory is, in pieces of 2 MiB; a piece that is not there is told as the one
 * before. */
long memory_machphys_mfn_list(uint64_t cmd, uint64_t arg)
{
    struct xen_machphys_mfn_list l;
    xen_pfn_t mfn = 0;
    uint32_t i;

    (void)cmd;
    if (copy_from_guest(&l, GUEST_PTR(arg), sizeof(l)) != 0) {
        return -EFAULT;
    }
    for (i = 0; i < min((uint64_t)l.max_extents, m2p_nr_pieces()); i++) {
        mfn_t piece = m2p_piece(i);

        mfn = mfn_eq(piece, MFN_INVALID) ? mfn : piece.n;
        if (copy_elem_to_guest(guest_ptr_of(l.extent_start), i, &mfn, sizeof(mfn)) != 0) {
            return -EFAULT;
        }
    }
    l.nr_extents = i;
    return copy_to_guest(GUEST_PTR(arg), &l, sizeof(l));
}

/* Without an IOMMU no device has memory that guests must leave free for it. */
long memory_reserved_device_map(uint64_t cmd, uint64_t arg)
{
    struct xen_reserved_device_memory_map m;

    (void)cmd;
    if (copy_from_guest(&m, GUEST_PTR(arg), sizeof(m)) != 0) {
        return -EFAULT;
    }
    if (m.flags & ~XENMEM_RDM_ALL) {
        return -EINVAL;
    }
    m.nr_entries = 0;
    return copy_to_guest(GUEST_PTR(arg), &m, sizeof(m));
}

/* ------------------------------------------------------- a domain's own map -- */

#define MAP_ENTRIES_MAX 1024u

/* Let the toolstack say what @d is told: there is no more to it for a domain whose frames have no
 * addresses but those it gives them. */
static long set_domain_map(struct domain *d, const struct xen_memory_map *m)
{
    struct e820_entry *map = heap_alloc(m->nr_entries * sizeof(*map));

    if (map == NULL) {
        return -ENOMEM;
    }
    if (copy_from_guest(map, guest_ptr_of(m->buffer), m->nr_entries * sizeof(*map)) != 0) {
        heap_free(map, m->nr_entries * sizeof(*map));
        return -EFAULT;
    }
    memory_set_map(d, map, m->nr_entries);
    return 0;
}

long memory_set_domain_map(uint64_t cmd, uint64_t arg)
{
    struct xen_foreign_memory_map f;
    struct domain *d;
    long rc;

    (void)cmd;
    if (copy_from_guest(&f, GUEST_PTR(arg), sizeof(f)) != 0) {
        return -EFAULT;
    }
    if (f.map.nr_entries > MAP_ENTRIES_MAX) {
        log_guest(current()->domain->id, "a memory map of %u entries for d%u is too long",
                  f.map.nr_entries, f.domid);
        return -EINVAL;
    }
    d = hcall_target(f.domid, &rc);
    if (d == NULL) {
        return rc;
    }
    if (!current()->domain->is_privileged) {
        rc = -EPERM;
    } else if (f.map.nr_entries == 0) {
        memory_set_map(d, NULL, 0);
    } else {
        rc = set_domain_map(d, &f.map);
    }
    domain_put(d);
    return rc;
}

long memory_get_domain_map(uint64_t cmd, uint64_t arg)
{
    struct domain *d = current()->domain;
    struct xen_memory_map m;
    struct e820_entry e;
    uint32_t i;

    (void)cmd;
    if (!memory_map_entry(d, 0, &e)) {
        return -ENOSYS;
    }
    if (copy_from_guest(&m, GUEST_PTR(arg), sizeof(m)) != 0) {
        return -EFAULT;
    }
    for (i = 0; i < m.nr_entries && memory_map_entry(d, i, &e); i++) {
        if (copy_elem_to_guest(guest_ptr_of(m.buffer), i, &e, sizeof(e)) != 0) {
            return -EFAULT;
        }
    }
    m.nr_entries = i;
    return copy_to_guest(GUEST_PTR(arg), &m, sizeof(m));
}
