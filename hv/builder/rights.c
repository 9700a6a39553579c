/* SPDX-License-Identifier: MIT */
/*
 * dom0 owns the devices.  Not its are those the hypervisor runs by: interrupt
 * controllers, the clocks that time is kept by, and its own serial ports.
 * What is denied reads as all ones, as if nothing were there; IOAPICs may be
 * looked at.
 *
 * The HPET stays mappable: its driver in Linux maps it without looking whether
 * that worked, and reads only until a program opens the device.
 */
#include "builder/rights.h"

#include "drivers/acpi.h"
#include "drivers/uart.h"
#include "irq/irq.h"
#include "lib/rangeset.h"
#include "x86/features.h"

#define LAST_PORT      0xffffu
#define MSI_FIRST      0xfee00000ull /* writes there are interrupts; the local APICs' registers, too */
#define MSI_LAST       0xfeefffffull
#define ISA_TIMER      0u /* of the PIT */
#define ISA_CASCADE    2u
#define PM_TIMER_PORTS 4u

static const struct {
    uint16_t first, last;
} our_ports[] = {
    { 0x20, 0x21 },   /* 8259, first */
    { 0x40, 0x43 },   /* PIT */
    { 0x61, 0x61 },   /* gate of the PIT's third counter */
    { 0xa0, 0xa1 },   /* 8259, second */
    { 0x4d0, 0x4d1 }, /* 8259, edge or level */
};

static int __init grant_ports(struct domain *d)
{
    const struct acpi_register *pm = &acpi_info.pm_timer;
    int rc = rangeset_add(&d->ioports, 0, LAST_PORT);

    for (unsigned int i = 0; i < ARRAY_SIZE(our_ports) && rc == 0; i++) {
        rc = rangeset_remove(&d->ioports, our_ports[i].first, our_ports[i].last);
    }
    for (unsigned int i = 0; i < NR_UARTS && rc == 0; i++) {
        if (uart_is_present(i)) {
            rc = rangeset_remove(&d->ioports, uart_base(i), uart_base(i) + UART_PORTS - 1);
        }
    }
    if (rc == 0 && pm->bits && pm->space == ACPI_SPACE_IO) {
        rc = rangeset_remove(&d->ioports, pm->address, pm->address + PM_TIMER_PORTS - 1);
    }
    return rc;
}

static int __init grant_memory(struct domain *d)
{
    uint64_t last = (1ull << cpu_features.phys_bits >> PAGE_SHIFT) - 1;
    int rc = rangeset_add(&d->iomem, 0, last);

    if (rc == 0) {
        rc = rangeset_remove(&d->iomem, MSI_FIRST >> PAGE_SHIFT, MSI_LAST >> PAGE_SHIFT);
    }
    if (rc == 0 && acpi_info.lapic.a) {
        rc = rangeset_remove(&d->iomem, acpi_info.lapic.a >> PAGE_SHIFT,
                             acpi_info.lapic.a >> PAGE_SHIFT);
    }
    for (uint32_t i = 0; i < acpi_info.nr_ioapics && rc == 0; i++) {
        uint64_t frame = acpi_info.ioapics[i].address >> PAGE_SHIFT;

        rc = rangeset_remove(&d->iomem, frame, frame);
        if (rc == 0) {
            rc = rangeset_add(&d->iomem_ro, frame, frame);
        }
    }
    return rc;
}

/* The GSI that ISA interrupt @isa_irq arrives at. */
static uint32_t __init gsi_of(uint32_t isa_irq)
{
    for (uint32_t i = 0; i < acpi_info.nr_overrides; i++) {
        if (acpi_info.overrides[i].isa_irq == isa_irq) {
            return acpi_info.overrides[i].gsi;
        }
    }
    return isa_irq;
}

static int __init grant_irqs(struct domain *d)
{
    const uint32_t ours[] = { ISA_TIMER, gsi_of(ISA_TIMER), ISA_CASCADE };
    int rc = rangeset_add(&d->irqs, 0, IRQ_GSI_MAX - 1);

    for (unsigned int i = 0; i < ARRAY_SIZE(ours) && rc == 0; i++) {
        rc = rangeset_remove(&d->irqs, ours[i], ours[i]);
    }
    for (unsigned int i = 0; i < NR_UARTS && rc == 0; i++) {
        if (uart_is_present(i)) {
            rc = rangeset_remove(&d->irqs, uart_irq(i), uart_irq(i));
        }
    }
    return rc;
}

int __init rights_grant_all(struct domain *d)
{
    /* Without its lock: nobody uses a domain before the first guest runs. */
    int rc = grant_ports(d);

    if (rc == 0) {
        rc = grant_memory(d);
    }
    return rc ? rc : grant_irqs(d);
}
