/* SPDX-License-Identifier: MIT */
/* A machine for the tests of irq/: CPUs, IOAPICs that work like ones, a PCI device, and a guest
 * that counts. */
#pragma once

#include "drivers/acpi.h"
#include "lib/types.h"

#define FAKE_CPUS       4u
#define FAKE_IOAPICS    2u
#define FAKE_PINS       24u
#define FAKE_MSIX_BAR   0xe0000000ull
#define FAKE_RAM_FRAMES 0x1000ull /* the first 16 MiB */

struct fake_ioapic {
    uint32_t address;
    uint32_t version; /* its register; all ones: nothing answers */
    uint32_t index;
    uint64_t entries[256];
    unsigned int nr_writes; /* of entries' words */
};
extern struct fake_ioapic fake_ioapics[FAKE_IOAPICS];

/* The device at 0000:00:04.0. */
extern bool fake_has_msi, fake_has_msix, fake_msi_has_mask, fake_memory_on;
extern uint64_t fake_bar;
extern uint16_t fake_config[128]; /* words at offset 2 * n */
extern uint32_t fake_msix_table[64][4];
#define FAKE_MSI_AT      0x50u
#define FAKE_MSI_MASK_AT 0x60u
#define FAKE_MSIX_AT     0x70u

extern uint64_t fake_now;
extern uint64_t fake_timer_ns; /* deadline of the last timer set; 0: none */
extern unsigned int fake_eois, fake_deliveries, fake_last_pirq, fake_log_lines;

/* Forget all devices and counts (lines and vectors stay), then one IOAPIC with GSIs 0 to 23. */
void fake_reset(void);

/* Be CPU @cpu from now on. */
void fake_be_cpu(unsigned int cpu);

/* Run the timer set last. */
void fake_run_timer(void);
