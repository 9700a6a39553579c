/* SPDX-License-Identifier: MIT */
/*
 * IOAPICs (82093AA; later ones differ in the number of pins only).  Each has a
 * pair of registers, index and data, behind which lie its own few registers
 * and a redirection entry of two words for each pin.
 *
 * The tables that describe them are the firmware's word: what overlaps, does
 * not answer or lies out of range is named in the log and left out.
 */
#include "abi/errno.h"
#include "drivers/acpi.h"
#include "irq/encode.h"
#include "irq/internal.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "x86/insn.h"

#define IOAPIC_LEN   0x20
#define IOAPIC_INDEX 0x00
#define IOAPIC_DATA  0x10

#define REG_ID          0
#define REG_VERSION     1
#define VERSION_PINS(v) (((v) >> 16 & 0xff) + 1)
#define REG_ARBITRATION 2
#define REG_ENTRY(pin)  (0x10 + 2 * (pin))

#define NR_ISA_IRQS 16

struct ioapic {
    paddr_t base;           /* [c] */
    volatile uint8_t *regs; /* [ioapic_lock] */
    unsigned int first_gsi; /* [c] */
    unsigned int nr_pins;   /* [c] */
};

static struct ioapic ioapics[ACPI_MAX_IOAPICS];
static unsigned int nr_ioapics, nr_gsis;
static struct spinlock ioapic_lock = SPINLOCK_INIT(LOCK_RANK_IOAPIC);

static uint32_t read_reg(const struct ioapic *io, uint32_t reg) REQUIRES(ioapic_lock)
{
    mmio_write32(io->regs + IOAPIC_INDEX, reg);
    return mmio_read32(io->regs + IOAPIC_DATA);
}

static void write_reg(const struct ioapic *io, uint32_t reg, uint32_t value) REQUIRES(ioapic_lock)
{
    mmio_write32(io->regs + IOAPIC_INDEX, reg);
    mmio_write32(io->regs + IOAPIC_DATA, value);
}

static const struct ioapic *find(unsigned int gsi)
{
    for (unsigned int i = 0; i < nr_ioapics; i++) {
        if (gsi - ioapics[i].first_gsi < ioapics[i].nr_pins) {
            return &ioapics[i];
        }
    }
    return NULL;
}

unsigned int irq_nr_gsis(void)
{
    return nr_gsis;
}

bool ioapic_has_gsi(unsigned int gsi)
{
    return find(gsi) != NULL;
}

/* Mask all pins.  Edge mode first: that also ends a level interrupt that firmware has left in
 * service. */
static __init void silence(const struct ioapic *io)
{
    spin_lock(&ioapic_lock);
    for (unsigned int pin = 0; pin < io->nr_pins; pin++) {
        write_reg(io, REG_ENTRY(pin), (uint32_t)RTE_MASKED);
        write_reg(io, REG_ENTRY(pin) + 1, 0);
    }
    spin_unlock(&ioapic_lock);
}

/* Does the range of @io's GSIs meet that of another one? */
static __init bool overlaps(const struct ioapic *io)
{
    for (unsigned int i = 0; i < nr_ioapics; i++) {
        const struct ioapic *other = &ioapics[i];

        if (io->first_gsi < other->first_gsi + other->nr_pins &&
            other->first_gsi < io->first_gsi + io->nr_pins) {
            return true;
        }
    }
    return false;
}

/* What is wrong with @io, whose registers are mapped; NULL: nothing. */
static __init const char *fault_of(struct ioapic *io)
{
    uint32_t version;

    spin_lock(&ioapic_lock);
    version = read_reg(io, REG_VERSION);
    spin_unlock(&ioapic_lock);
    if (version == UINT32_MAX || version == 0) {
        return "does not answer";
    }
    io->nr_pins = VERSION_PINS(version);
    if (io->first_gsi >= IRQ_GSI_MAX) {
        return "its GSIs are above those supported";
    }
    io->nr_pins = min(io->nr_pins, IRQ_GSI_MAX - io->first_gsi);
    return overlaps(io) ? "its GSIs are another IOAPIC's as well" : NULL;
}

static __init void add(const struct acpi_ioapic *a)
{
    struct ioapic *io = &ioapics[nr_ioapics];
    const char *fault = "no room to map it";

    *io = (struct ioapic){ .base = PADDR(a->address), .first_gsi = a->first_gsi };
    io->regs = map_mmio(io->base, IOAPIC_LEN);
    if (io->regs) {
        fault = fault_of(io);
    }
    if (fault) {
        log_warn("IOAPIC %u at %#x, GSI %u: %s; not used", a->id, a->address, a->first_gsi, fault);
        return;
    }
    silence(io);
    nr_ioapics++;
    nr_gsis = max(nr_gsis, io->first_gsi + io->nr_pins);
    log_info("IOAPIC %u at %#x: GSIs %u to %u", a->id, a->address, io->first_gsi,
             io->first_gsi + io->nr_pins - 1);
}

__init unsigned int ioapic_init(void)
{
    nr_ioapics = nr_gsis = 0;
    for (unsigned int i = 0; i < acpi_info.nr_ioapics; i++) {
        add(&acpi_info.ioapics[i]);
    }
    return nr_ioapics;
}

void ioapic_default_mode(unsigned int gsi, bool *is_level, bool *is_active_low)
{
    *is_level = *is_active_low = gsi >= NR_ISA_IRQS;
    for (unsigned int i = 0; i < acpi_info.nr_overrides; i++) {
        const struct acpi_override *o = &acpi_info.overrides[i];

        if (o->gsi == gsi) {
            *is_level = o->is_level;
            *is_active_low = o->is_active_low;
            return;
        }
    }
}

static uint64_t entry_of(const struct irq_line *line)
{
    return rte_encode(line->vector, line_dest(line), line->is_level, line->is_active_low,
                      line->is_masked);
}

static void write_low(const struct irq_line *line)
{
    const struct ioapic *io = find(line->gsi);

    spin_lock(&ioapic_lock);
    write_reg(io, REG_ENTRY(line->gsi - io->first_gsi), (uint32_t)entry_of(line));
    spin_unlock(&ioapic_lock);
}

static void write_high(const struct irq_line *line)
{
    const struct ioapic *io = find(line->gsi);

    spin_lock(&ioapic_lock);
    write_reg(io, REG_ENTRY(line->gsi - io->first_gsi) + 1, (uint32_t)(entry_of(line) >> 32));
    spin_unlock(&ioapic_lock);
}

/* The destination first: the low word may unmask. */
void ioapic_program(const struct irq_line *line)
{
    write_high(line);
    write_low(line);
}

static void set_mask(struct irq_line *line, bool is_masked)
{
    line->is_masked = is_masked;
    write_low(line);
}

/*
 * One word, so there is no moment with a wrong mixture.  An interrupt that has
 * been sent and not yet acknowledged does no harm: its acknowledgement finds
 * the entry by the vector, which stays.
 */
static bool aim(struct irq_line *line)
{
    write_high(line);
    return true;
}

const struct irq_source irq_gsi_source = { .name = "GSI", .set_mask = set_mask, .aim = aim };

int irq_ioapic_read(paddr_t base, uint32_t reg, uint32_t *value)
{
    for (unsigned int i = 0; i < nr_ioapics; i++) {
        const struct ioapic *io = &ioapics[i];

        if (io->base.a != base.a) {
            continue;
        }
        if (reg > REG_ARBITRATION && (reg < REG_ENTRY(0) || reg >= REG_ENTRY(io->nr_pins))) {
            return -EINVAL;
        }
        spin_lock(&ioapic_lock);
        *value = read_reg(io, reg);
        spin_unlock(&ioapic_lock);
        return 0;
    }
    return -EINVAL;
}
