/* SPDX-License-Identifier: MIT */
/*
 * physdev_op: I/O privilege, and the hardware domain's interrupts and PCI
 * devices.  Refused: pirq_eoi_gmfn (the guest then asks by irq_status_query
 * and tells each end of interrupt), restore_msi, the old manage_pci forms.
 */
#include "hcall/hcall.h"

#include <xen/physdev.h>

#include "drivers/acpi.h"
#include "drivers/pci.h"
#include "event/event.h"
#include "irq/irq.h"
#include "lib/bits.h"
#include "mm/page_alloc.h"
#include "sys/log.h"

#define REMOVED_ORDER 1u /* of pages, for 65536 bits */

static long op_irq_status_query(struct guest_ptr arg)
{
    struct physdev_irq_status_query op;
    int rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    rc = pirq_status(current()->domain, op.irq, &op.flags);
    return rc != 0 ? rc : copy_to_guest(arg, &op, sizeof(op));
}

static long op_set_iopl(struct guest_ptr arg)
{
    struct physdev_set_iopl op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.iopl > 3) {
        return -EINVAL;
    }
    current()->pv.iopl = op.iopl;
    return 0;
}

static long op_set_iobitmap(struct guest_ptr arg)
{
    struct physdev_set_iobitmap op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.nr_ports > 65536 || !guest_range_ok(guest_ptr_of(op.bitmap), op.nr_ports / 8)) {
        return -EINVAL;
    }
    current()->pv.iobmp = (uintptr_t)op.bitmap.p;
    current()->pv.iobmp_limit = op.nr_ports;
    return 0;
}

static long op_apic_read(struct guest_ptr arg)
{
    struct physdev_apic op;
    int rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    rc = irq_ioapic_read(PADDR(op.apic_physbase), op.reg, &op.value);
    return copy_to_guest(arg, &op, sizeof(op)) != 0 ? -EFAULT : rc;
}

/* IOAPICs are ours: what a guest writes is accepted and dropped, as it programs lines by other
 * means. */
static long op_apic_write(struct guest_ptr arg)
{
    struct physdev_apic op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return irq_ioapic_read(PADDR(op.apic_physbase), op.reg, &op.value);
}

static long op_alloc_irq_vector(struct guest_ptr arg)
{
    struct physdev_irq op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    op.vector = op.irq; /* the guest has no use for a vector of ours */
    return copy_to_guest(arg, &op, sizeof(op));
}

static long op_eoi(struct guest_ptr arg)
{
    struct physdev_eoi op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return pirq_eoi(current()->domain, op.irq);
}

/* The kinds of message interrupts differ in how they name the device and in how many there are. */
static int map_msi(struct domain *d, struct physdev_map_pirq *op)
{
    struct msi_request rq = {
        .segment = op->type == MAP_PIRQ_TYPE_MSI ? 0 : (uint16_t)((uint32_t)op->bus >> 16),
        .bus = op->bus & 0xff,
        .devfn = op->devfn & 0xff,
        .is_msix = op->table_base != 0,
        .entry = op->type == MAP_PIRQ_TYPE_MULTI_MSI ? 0 : (uint16_t)op->entry_nr,
        .nr = op->type == MAP_PIRQ_TYPE_MULTI_MSI ? (uint16_t)op->entry_nr : 1,
        .table_base = PADDR(op->table_base),
    };

    if (op->index != -1) {
        return -EINVAL; /* which interrupt it becomes is our choice */
    }
    return pirq_map_msi(d, &rq, &op->pirq);
}

static int map_pirq(struct domain *d, struct physdev_map_pirq *op)
{
    switch (op->type) {
    case MAP_PIRQ_TYPE_GSI:
        return op->index < 0 ? -EINVAL : pirq_map_gsi(d, (unsigned int)op->index, &op->pirq);
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
    case MAP_PIRQ_TYPE_MULTI_MSI:
        return map_msi(d, op);
    default:
        return -EINVAL;
    }
}

static long op_map_pirq(struct guest_ptr arg)
{
    struct physdev_map_pirq op;
    int rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.domid != DOMID_SELF && op.domid != current()->domain->id) {
        log_guest(current()->domain->id, "interrupts of other domains cannot be mapped (d%u)",
                  op.domid);
        return -ESRCH;
    }
    rc = map_pirq(current()->domain, &op);
    return copy_to_guest(arg, &op, sizeof(op)) != 0 ? -EFAULT : rc;
}

static long op_unmap_pirq(struct guest_ptr arg)
{
    struct physdev_unmap_pirq op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.domid != DOMID_SELF && op.domid != current()->domain->id) {
        return -ESRCH;
    }
    return pirq_unmap(current()->domain, op.pirq);
}

static long op_setup_gsi(struct guest_ptr arg)
{
    struct physdev_setup_gsi op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return op.gsi < 0 ? -EINVAL : irq_gsi_setup((unsigned int)op.gsi, op.triggering, op.polarity);
}

static long op_mmcfg_reserved(struct guest_ptr arg)
{
    struct physdev_pci_mmcfg_reserved op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.flags & ~XEN_PCI_MMCFG_RESERVED) {
        return -EINVAL;
    }
    for (uint32_t i = 0; i < acpi_info.nr_segments; i++) {
        if (acpi_info.segments[i].base == op.address &&
            acpi_info.segments[i].segment == op.segment) {
            return 0; /* the window is in use already: dom0 only confirms it */
        }
    }
    return -ENODEV;
}

/* Devices of segment 0 that dom0 has taken out, a bit for each; NULL: none yet. */
static uint64_t *removed;

static long note_removed(unsigned int bit)
{
    uint64_t *none = NULL, *bits = READ_ONCE(removed);

    if (bits == NULL) {
        bits = pages_alloc_hv(REMOVED_ORDER);
        if (bits == NULL) {
            return -ENOMEM;
        }
        if (!__atomic_compare_exchange_n(&removed, &none, bits, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST)) {
            pages_free_hv(bits, REMOVED_ORDER);
            bits = none;
        }
    }
    return bit_atomic_test_set(bits, bit) ? -ENODEV : 0;
}

static long op_pci_device_add(struct guest_ptr arg)
{
    struct physdev_pci_device_add op;
    struct pci_address a;

    if (copy_from_guest(&op, arg, offsetof(struct physdev_pci_device_add, optarr)) != 0) {
        return -EFAULT;
    }
    a = (struct pci_address){ .segment = op.seg, .bus = op.bus, .devfn = op.devfn };
    log_debug("PCI device " PCI_FMT, PCI_ARGS(a));
    if (a.segment == 0 && READ_ONCE(removed) != NULL) {
        bit_atomic_clear(removed, a.bus << 8 | a.devfn);
    }
    return 0;
}

static long op_pci_device_remove(struct guest_ptr arg)
{
    struct physdev_pci_device op;
    struct pci_address a;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0) {
        return -EFAULT;
    }
    a = (struct pci_address){ .segment = op.seg, .bus = op.bus, .devfn = op.devfn };
    if (a.segment != 0) {
        return 0; /* of those nothing is kept */
    }
    return pci_exists(a) ? note_removed(a.bus << 8 | a.devfn) : -ENODEV;
}

/* What pciback does around giving a device away; nothing has to be kept here yet for it to stay
 * right. */
static long op_msix(struct guest_ptr arg)
{
    struct physdev_pci_device op;

    return copy_from_guest(&op, arg, sizeof(op)) != 0 ? -EFAULT : 0;
}

static long op_dbgp(struct guest_ptr arg)
{
    struct physdev_dbgp_op op;

    return copy_from_guest(&op, arg, sizeof(op)) != 0 ? -EFAULT : 0;
}

static const struct hcall_op ops[] = {
    [PHYSDEVOP_irq_status_query] = { .fn = op_irq_status_query },
    [PHYSDEVOP_set_iopl] = { .fn = op_set_iopl },
    [PHYSDEVOP_set_iobitmap] = { .fn = op_set_iobitmap },
    [PHYSDEVOP_apic_read] = { .fn = op_apic_read, .for_privileged = true },
    [PHYSDEVOP_apic_write] = { .fn = op_apic_write, .for_privileged = true },
    [PHYSDEVOP_alloc_irq_vector] = { .fn = op_alloc_irq_vector, .for_privileged = true },
    [PHYSDEVOP_eoi] = { .fn = op_eoi },
    [PHYSDEVOP_map_pirq] = { .fn = op_map_pirq },
    [PHYSDEVOP_unmap_pirq] = { .fn = op_unmap_pirq },
    [PHYSDEVOP_setup_gsi] = { .fn = op_setup_gsi, .for_privileged = true },
    [PHYSDEVOP_pci_mmcfg_reserved] = { .fn = op_mmcfg_reserved, .for_privileged = true },
    [PHYSDEVOP_pci_device_add] = { .fn = op_pci_device_add, .for_privileged = true },
    [PHYSDEVOP_pci_device_remove] = { .fn = op_pci_device_remove, .for_privileged = true },
    [PHYSDEVOP_dbgp_op] = { .fn = op_dbgp, .for_privileged = true },
    [PHYSDEVOP_prepare_msix] = { .fn = op_msix, .for_privileged = true },
    [PHYSDEVOP_release_msix] = { .fn = op_msix, .for_privileged = true },
};

long hcall_physdev_op(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    UNUSED(c, d, e, f);
    return hcall_dispatch(ops, ARRAY_SIZE(ops), (uint32_t)cmd, GUEST_PTR(arg));
}
