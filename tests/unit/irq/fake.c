/* SPDX-License-Identifier: MIT */
#include "irq/fake.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/pci.h"
#include "irq/encode.h"
#include "irq/irq.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/phys.h"
#include "sys/cpu.h"
#include "sys/lock.h"
#include "sys/log.h"
#include "time/time.h"
#include "time/timer.h"
#include "x86/insn.h"
#include "x86/lapic.h"

struct cpu host_cpu;
static struct cpu blocks[FAKE_CPUS];
struct cpu *cpus[NR_CPUS] = { &blocks[0], &blocks[1], &blocks[2], &blocks[3] };
struct acpi_info acpi_info;
uint64_t nr_frames_max = FAKE_RAM_FRAMES;
static uint64_t backing[1] = { 0xffff };
uint64_t *frame_backing = backing;

struct fake_ioapic fake_ioapics[FAKE_IOAPICS];
bool fake_has_msi, fake_has_msix, fake_msi_has_mask, fake_memory_on;
uint64_t fake_bar;
uint16_t fake_config[128];
uint32_t fake_msix_table[64][4];
uint64_t fake_now, fake_timer_ns;
unsigned int fake_eois, fake_deliveries, fake_last_pirq, fake_log_lines;
static struct timer *timer_set_last;

/* --- CPUs --- */

/* Copies are made when a variable is first seen, so that all begin as the template does. */
void *host_per_cpu(void *template, size_t size, unsigned int cpu)
{
    static struct {
        void *template, *copies[FAKE_CPUS];
    } seen[16];
    unsigned int i = 0;

    while (seen[i].template && seen[i].template != template) {
        i++;
    }
    if (!seen[i].template) {
        seen[i].template = template;
        for (unsigned int c = 0; c < FAKE_CPUS; c++) {
            seen[i].copies[c] = memcpy(malloc(size), template, size);
        }
    }
    return seen[i].copies[cpu];
}

void fake_be_cpu(unsigned int cpu)
{
    host_cpu = blocks[cpu];
}

void fake_reset(void)
{
    for (unsigned int c = 0; c < FAKE_CPUS; c++) {
        blocks[c].id = c;
        blocks[c].apic_id = c * 2;
    }
    fake_be_cpu(0);
    memset(fake_ioapics, 0, sizeof(fake_ioapics));
    memset(&acpi_info, 0, sizeof(acpi_info));
    fake_ioapics[0].address = 0xfec00000;
    fake_ioapics[0].version = 0x00170020;
    fake_ioapics[1].address = 0xfec10000;
    fake_ioapics[1].version = 0x00170020;
    acpi_info.nr_ioapics = 1;
    acpi_info.ioapics[0] = (struct acpi_ioapic){ .id = 1, .address = 0xfec00000 };
    memset(fake_config, 0, sizeof(fake_config));
    memset(fake_msix_table, 0xff, sizeof(fake_msix_table));
    fake_has_msi = fake_has_msix = fake_msi_has_mask = fake_memory_on = true;
    fake_bar = FAKE_MSIX_BAR;
    fake_now = 1000000000;
    fake_timer_ns = 0;
    fake_eois = fake_deliveries = fake_log_lines = 0;
}

void lapic_eoi(void)
{
    fake_eois++;
}

void outb(uint16_t port, uint8_t value)
{
}

/* --- IOAPICs, and what else is reached by memory --- */

void *map_mmio(paddr_t p, size_t len_bytes)
{
    for (unsigned int i = 0; i < FAKE_IOAPICS; i++) {
        if (p.a == fake_ioapics[i].address) {
            return &fake_ioapics[i];
        }
    }
    return p.a == FAKE_MSIX_BAR ? fake_msix_table : NULL;
}

/* The IOAPIC whose register @reg is; @index tells whether it is the index register. */
static struct fake_ioapic *ioapic_of(const volatile void *reg, bool *index)
{
    for (unsigned int i = 0; i < FAKE_IOAPICS; i++) {
        uintptr_t offset = (uintptr_t)reg - (uintptr_t)&fake_ioapics[i];

        if (offset == 0 || offset == 0x10) {
            *index = offset == 0;
            return &fake_ioapics[i];
        }
    }
    return NULL;
}

static uint32_t ioapic_read(const struct fake_ioapic *io)
{
    if (io->version == UINT32_MAX) {
        return UINT32_MAX;
    }
    if (io->index >= 0x10) {
        return (uint32_t)(io->entries[(io->index - 0x10) / 2] >> (io->index % 2 * 32));
    }
    return io->index == 1 ? io->version : io->index;
}

uint32_t mmio_read32(const volatile void *reg)
{
    bool index;
    struct fake_ioapic *io = ioapic_of(reg, &index);

    return io ? ioapic_read(io) : *(const volatile uint32_t *)reg;
}

void mmio_write32(volatile void *reg, uint32_t value)
{
    bool index;
    struct fake_ioapic *io = ioapic_of(reg, &index);

    if (!io) {
        *(volatile uint32_t *)reg = value;
    } else if (index) {
        io->index = value;
    } else if (io->index >= 0x10) {
        uint64_t *e = &io->entries[(io->index - 0x10) / 2];
        unsigned int shift = io->index % 2 * 32;

        *e = (*e & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
        io->nr_writes++;
    }
}

/* --- the PCI device --- */

static bool is_it(struct pci_address a)
{
    return a.segment == 0 && a.bus == 0 && a.devfn == 0x20;
}

bool pci_exists(struct pci_address a)
{
    return is_it(a);
}

uint32_t pci_read(struct pci_address a, unsigned int reg, unsigned int size)
{
    if (reg == PCI_COMMAND) {
        return fake_memory_on ? 2 : 0;
    }
    return fake_config[reg / 2] | (size == 4 ? (uint32_t)fake_config[reg / 2 + 1] << 16 : 0);
}

void pci_write(struct pci_address a, unsigned int reg, unsigned int size, uint32_t value)
{
    fake_config[reg / 2] = (uint16_t)value;
    if (size == 4) {
        fake_config[reg / 2 + 1] = (uint16_t)(value >> 16);
    }
}

bool pci_get_msi(struct pci_address a, struct pci_msi *msi)
{
    *msi = (struct pci_msi){ .at = FAKE_MSI_AT,
                             .max_vectors = 8,
                             .is_64bit = true,
                             .has_mask = fake_msi_has_mask,
                             .data_at = FAKE_MSI_AT + 12,
                             .mask_at = FAKE_MSI_MASK_AT };
    return is_it(a) && fake_has_msi;
}

bool pci_get_msix(struct pci_address a, struct pci_msix *msix)
{
    *msix = (struct pci_msix){ .at = FAKE_MSIX_AT, .nr_entries = 64 };
    return is_it(a) && fake_has_msix;
}

bool pci_get_memory_bar(struct pci_address a, unsigned int index, paddr_t *base)
{
    *base = PADDR(fake_bar);
    return fake_bar != 0;
}

/* --- the rest --- */

uint64_t time_now(void)
{
    return fake_now;
}

void timer_init(struct timer *t, void (*fn)(struct timer *), void *data, unsigned int cpu)
{
    *t = (struct timer){ .fn = fn, .data = data, .cpu = cpu };
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
    timer_set_last = t;
    fake_timer_ns = deadline_ns;
}

void timer_stop(struct timer *t)
{
    fake_timer_ns = 0;
}

void fake_run_timer(void)
{
    fake_now = fake_timer_ns;
    fake_timer_ns = 0;
    timer_set_last->fn(timer_set_last);
}

void *heap_alloc(size_t size)
{
    return calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    free(p);
}

void spin_lock_wait(struct spinlock *lock)
{
    panic("a lock is taken twice");
}

void log_print(enum log_level level, const char *fmt, ...)
{
    fake_log_lines++;
}

void log_guest(unsigned int domid, const char *fmt, ...)
{
    fake_log_lines++;
}

noreturn void panic(const char *fmt, ...)
{
    __builtin_trap();
}

static void deliver(uint16_t domid, unsigned int pirq)
{
    fake_deliveries++;
    fake_last_pirq = pirq;
}

const struct irq_guest_ops irq_guest_ops = { .deliver = deliver };
