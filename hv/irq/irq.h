/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices.  An irq line is a GSI (IOAPIC pin) or an MSI / MSI-X
 * entry; it has a vector on one CPU, and goes either to a driver of ours or to
 * a guest, as a number (pirq) of that guest's.
 *
 * Delivery to a guest: edge and MSI are acknowledged at once; a level line
 * stays in service towards the IOAPIC (masked) until irq_guest_eoi().
 */
#pragma once

#include "lib/types.h"

struct irq_line;

#define IRQ_GSI_MAX 256u

/*
 * Silence the old interrupt controllers, take up the IOAPICs that the ACPI
 * tables name with all pins masked.  Once, on the boot CPU; needs mappings.
 */
void irq_init(void);

/* A device's interrupt has come with @vector: acknowledge and deliver it.  Interrupts off. */
void irq_dispatch(unsigned int vector);

/* Log every line in use: for the debug keys. */
void irq_dump(void);

/* What a line calls when it goes to a guest.  Supplied by main.c (event/ delivers). */
struct irq_guest_ops {
    /*
     * Interrupt @pirq of domain @domid has come; interrupts off, no lock held
     * but the line's (LOCK_RANK_IRQ).  Not called any more once
     * irq_guest_unbind() or irq_guest_unmap() has returned.
     */
    void (*deliver)(uint16_t domid, unsigned int pirq);
};
extern const struct irq_guest_ops irq_guest_ops;

unsigned int irq_nr_gsis(void); /* GSIs 0 .. n-1 of all IOAPICs */

/*
 * Interrupts for ourselves: @fn runs with interrupts off and no lock held, for
 * ever.  -EINVAL no such GSI, -EBUSY taken, -ENOSPC no vector, -ENOMEM.
 */
int must_check irq_request_gsi(unsigned int gsi, void (*fn)(void *), void *arg);

/*
 * Trigger and polarity of a GSI as the guest's ACPI says.  0; -EINVAL no such
 * GSI; -ENOMEM; -EEXIST set before, or ours, and kept.
 */
int must_check irq_gsi_setup(unsigned int gsi, bool level, bool active_low);

/*
 * Give GSI @gsi to domain @domid as @pirq, masked until irq_guest_unmask.
 * -EBUSY ours, another domain's or another pirq; -EINVAL no such GSI; -ENOSPC no vector; -ENOMEM;
 * 0 also when mapped so before.
 */
int must_check irq_guest_map_gsi(unsigned int gsi, uint16_t domid, unsigned int pirq,
                                 struct irq_line **line);

struct msi_request {
    uint16_t segment;
    uint8_t bus, devfn;
    bool is_msix;
    uint16_t entry;     /* MSI-X entry; MSI: 0 */
    uint16_t nr;        /* MSI: how many vectors in a row; else 1 */
    paddr_t table_base; /* MSI-X: what the guest says the table's BAR is, checked against the BAR */
};

#define IRQ_MSI_MAX 32u /* largest .nr */

/*
 * Make the MSI entries of @rq lines of @domid with pirqs @pirq, @pirq + 1 ...
 * and store them in @line[0 .. nr - 1].  The capability is programmed by us,
 * masked until bound.  Takes LOCK_RANK_PCI.
 * -ENODEV no such device or capability, or its memory is not to be reached;
 * -EINVAL; -EEXIST in use; -ENOSPC no vectors, or fewer than .nr in the device; -ENOMEM.
 */
int must_check irq_guest_map_msi(const struct msi_request *rq, uint16_t domid, unsigned int pirq,
                                 struct irq_line **line);

/* Undo a mapping.  The line is masked, no interrupt of it is delivered afterwards.  Takes
 * LOCK_RANK_PCI. */
void irq_guest_unmap(struct irq_line *line);

/* Let interrupts through (the pirq got an event channel), or stop them. */
void irq_guest_bind(struct irq_line *line);
void irq_guest_unbind(struct irq_line *line);

/* The guest has handled a level interrupt. */
void irq_guest_eoi(struct irq_line *line);

/* Does the guest have to say so (level)? */
bool irq_guest_needs_eoi(const struct irq_line *line);

/* Move a line to @cpu, where its guest's vCPU runs.  A wish: where its vector is taken it stays
 * away. */
void irq_set_cpu(struct irq_line *line, unsigned int cpu);

/* Virtual IOAPIC register window for dom0 (PHYSDEVOP_apic_read).  -EINVAL no such IOAPIC or
 * register. */
int must_check irq_ioapic_read(paddr_t base, uint32_t reg, uint32_t *value);
