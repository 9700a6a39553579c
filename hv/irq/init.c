/* SPDX-License-Identifier: MIT */
/*
 * Start-up of interrupts.  The old interrupt controllers (8259A) are silenced
 * for ever; as even a masked one can raise its spurious interrupt, they are
 * first given vectors of their own.
 */
#include "irq/internal.h"
#include "sys/log.h"
#include "x86/insn.h"
#include "x86/vectors.h"

#define PIC_MASTER     0x20 /* command port; data is the next one */
#define PIC_SLAVE      0xa0
#define PIC_INIT       0x11 /* ICW1: cascade, edge, ICW4 follows */
#define PIC_SLAVE_LINE 2
#define PIC_8086       0x01 /* ICW4 */
#define PIC_ALL_MASKED 0xff

static __init void pic_silence(uint16_t port, uint8_t first_vector, uint8_t cascade)
{
    outb(port + 1, PIC_ALL_MASKED);
    outb(port, PIC_INIT);
    outb(port + 1, first_vector);
    outb(port + 1, cascade);
    outb(port + 1, PIC_8086);
    outb(port + 1, PIC_ALL_MASKED);
}

__init void irq_init(void)
{
    pic_silence(PIC_MASTER, VEC_PIC_FIRST, 1u << PIC_SLAVE_LINE);
    pic_silence(PIC_SLAVE, VEC_PIC_FIRST + 8, PIC_SLAVE_LINE);
    if (ioapic_init() == 0) {
        log_warn("no IOAPIC is to be found in the ACPI tables: devices without MSI get no "
                 "interrupts");
    }
}

void irq_dump(void)
{
    gsi_dump();
    msi_dump();
}
