/* SPDX-License-Identifier: MIT */
/*
 * HPET (IA-PC HPET specification 1.0a), ACPI power management timer (ACPI
 * 4.8.2.1) and PIT (8254).  Only their counters are of use here: no interrupt
 * of theirs is wanted, so the HPET's comparators are silenced.
 */
#include "drivers/platform_clock.h"

#include "drivers/acpi.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "x86/insn.h"

/* Does @read come to another count?  The slowest clock steps every 840 ns. */
static bool moves(uint64_t (*read)(void))
{
    uint64_t start = read();

    for (int i = 0; i < 10000; i++) {
        if (read() != start) {
            return true;
        }
    }
    return false;
}

/* --- HPET --- */

#define HPET_LEN           1024
#define HPET_CAPABILITIES  0x000 /* 64 bits: period in fs above bit 32 */
#define HPET_CAP_64BIT     (1u << 13)
#define HPET_CAP_TIMERS(c) (((c) >> 8 & 0x1f) + 1)
#define HPET_MAX_PERIOD    100000000u /* fs; no slower one conforms */
#define HPET_CONFIG        0x010
#define HPET_CFG_ENABLE    1u
#define HPET_CFG_LEGACY    2u
#define HPET_COUNTER       0x0f0
#define HPET_TIMER(n)      (0x100 + 0x20 * (n))
#define HPET_TIMER_IRQ     4u

static volatile uint8_t *hpet;
static uint64_t hpet_hz_, hpet_mask_;

static uint32_t hpet_read32(unsigned int reg)
{
    return mmio_read32(hpet + reg);
}

static void hpet_write32(unsigned int reg, uint32_t value)
{
    mmio_write32(hpet + reg, value);
}

static uint64_t hpet_read(void)
{
    return hpet_mask_ > UINT32_MAX ? mmio_read64(hpet + HPET_COUNTER) : hpet_read32(HPET_COUNTER);
}

static uint64_t hpet_mask(void)
{
    return hpet_mask_;
}

static uint64_t hpet_hz(void)
{
    return hpet_hz_;
}

static bool hpet_start(void)
{
    uint32_t caps, period;

    if (acpi_info.hpet.a == 0) {
        return false;
    }
    hpet = map_mmio(acpi_info.hpet, HPET_LEN);
    if (!hpet) {
        return false;
    }
    caps = hpet_read32(HPET_CAPABILITIES);
    period = hpet_read32(HPET_CAPABILITIES + 4);
    if (period == 0 || period > HPET_MAX_PERIOD) {
        log_warn("HPET at %#lx says that its period is %u fs: not used", acpi_info.hpet.a, period);
        return false;
    }
    hpet_hz_ = (1000000000000000ull + period / 2) / period;
    hpet_mask_ = caps & HPET_CAP_64BIT ? UINT64_MAX : UINT32_MAX;
    for (unsigned int n = 0; n < HPET_CAP_TIMERS(caps); n++) {
        hpet_write32(HPET_TIMER(n), hpet_read32(HPET_TIMER(n)) & ~HPET_TIMER_IRQ);
    }
    hpet_write32(HPET_CONFIG, (hpet_read32(HPET_CONFIG) & ~HPET_CFG_LEGACY) | HPET_CFG_ENABLE);
    return moves(hpet_read);
}

/* --- ACPI power management timer --- */

#define PM_TIMER_HZ 3579545

static volatile uint32_t *pm_timer_mmio;

static uint64_t pm_timer_mask(void)
{
    return acpi_info.pm_timer.bits >= 32 ? UINT32_MAX : 0xffffff;
}

static uint64_t pm_timer_read(void)
{
    uint32_t raw =
        pm_timer_mmio ? mmio_read32(pm_timer_mmio) : inl((uint16_t)acpi_info.pm_timer.address);

    return raw & pm_timer_mask();
}

static uint64_t pm_timer_hz(void)
{
    return PM_TIMER_HZ;
}

static bool pm_timer_start(void)
{
    const struct acpi_register *r = &acpi_info.pm_timer;

    if (r->bits == 0 || r->address == 0) {
        return false;
    }
    if (r->space == ACPI_SPACE_MEMORY) {
        pm_timer_mmio = map_mmio(PADDR(r->address), sizeof(uint32_t));
        return pm_timer_mmio && moves(pm_timer_read);
    }
    return r->space == ACPI_SPACE_IO && r->address < 0xfffd && moves(pm_timer_read);
}

/* --- PIT --- */

#define PIT_COUNTER0 0x40
#define PIT_COMMAND  0x43
#define PIT_LATCH0   0x00
#define PIT_RATE0    0x34 /* counter 0, low byte then high byte, rate generator */
#define PIT_HZ       1193182

static uint64_t pit_read(void)
{
    uint32_t left;

    outb(PIT_COMMAND, PIT_LATCH0);
    left = inb(PIT_COUNTER0);
    left |= (uint32_t)inb(PIT_COUNTER0) << 8;
    return -left & 0xffff; /* it counts down */
}

static uint64_t pit_mask(void)
{
    return 0xffff;
}

static uint64_t pit_hz(void)
{
    return PIT_HZ;
}

static bool pit_start(void)
{
    outb(PIT_COMMAND, PIT_RATE0);
    outb(PIT_COUNTER0, 0);
    outb(PIT_COUNTER0, 0);
    return moves(pit_read);
}

const struct platform_clock platform_clocks[] = {
    { "hpet", "HPET", hpet_start, hpet_read, hpet_mask, hpet_hz },
    { "acpi", "ACPI PM timer", pm_timer_start, pm_timer_read, pm_timer_mask, pm_timer_hz },
    { "pit", "PIT", pit_start, pit_read, pit_mask, pit_hz },
    { NULL, NULL, NULL, NULL, NULL, NULL },
};
