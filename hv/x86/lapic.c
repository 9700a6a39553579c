/* SPDX-License-Identifier: MIT */
/*
 * The local APIC (SDM vol. 3, chapter 11).  Registers have the same numbers
 * in both modes: offset in the mapped page, or MSR 0x800 + offset / 16.
 */
#include "x86/lapic.h"

#include "sys/cpu.h"
#include "sys/log.h"
#include "x86/features.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/paging.h"
#include "x86/vectors.h"

#define REG_ID            0x020
#define REG_TPR           0x080
#define REG_EOI           0x0b0
#define REG_DFR           0x0e0
#define REG_SPURIOUS      0x0f0
#define SPURIOUS_ENABLE   0x100
#define REG_ESR           0x280
#define REG_ICR           0x300
#define ICR_NMI           0x00400
#define ICR_INIT          0x00500
#define ICR_STARTUP       0x00600
#define ICR_PENDING       0x01000
#define ICR_ASSERT        0x04000
#define ICR_ALL_OTHERS    0xc0000
#define REG_ICR_HIGH      0x310
#define REG_LVT_TIMER     0x320
#define LVT_MASKED        0x10000
#define TIMER_DEADLINE    0x40000
#define REG_LVT_PMU       0x340
#define REG_LVT_LINT0     0x350
#define REG_LVT_LINT1     0x360
#define LVT_NMI           0x00400
#define LVT_ACTIVE_LOW    0x02000
#define REG_LVT_ERROR     0x370
#define REG_TIMER_INITIAL 0x380
#define REG_TIMER_CURRENT 0x390
#define REG_TIMER_DIVIDE  0x3e0
#define DIVIDE_BY_1       0xb

#define PIC_MASTER_MASK 0x21 /* ports of the old interrupt controllers */
#define PIC_SLAVE_MASK  0xa1

#define XAPIC_MAX_ID  254u
#define PENDING_SPINS 100000u

/* Constant after lapic_init(). */
static bool is_x2apic;
static volatile uint32_t *registers;

static uint32_t reg_read(unsigned int reg)
{
    return is_x2apic ? (uint32_t)rdmsr(MSR_X2APIC_FIRST + reg / 16) : registers[reg / 4];
}

static void reg_write(unsigned int reg, uint32_t value)
{
    if (is_x2apic) {
        wrmsr(MSR_X2APIC_FIRST + reg / 16, value);
    } else {
        registers[reg / 4] = value;
    }
}

__init void lapic_init(paddr_t base, uint32_t max_apic_id)
{
    uint64_t msr = rdmsr(MSR_APIC_BASE);

    is_x2apic =
        (msr & APIC_BASE_X2APIC) != 0 || (max_apic_id > XAPIC_MAX_ID && cpu_has(FEATURE_X2APIC));
    if (!is_x2apic) {
        if (base.a == 0) {
            base = PADDR(msr & APIC_BASE_ADDRESS);
        }
        registers = paging_map_lasting(base, PAGE_SIZE, PAGE_HV_UC);
        if (registers == NULL) {
            panic("No room to map the local APIC.");
        }
    }
    /* Silence the old controllers while their line to us is still open, lest one hangs in it. */
    outb(PIC_MASTER_MASK, 0xff);
    outb(PIC_SLAVE_MASK, 0xff);
    log_info("Local APIC: %s, timer by %s", is_x2apic ? "x2APIC" : "xAPIC",
             lapic_timer_by_tsc() ? "TSC deadline" : "ticks");
}

void lapic_init_cpu(void)
{
    uint64_t msr = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

    wrmsr(MSR_APIC_BASE, msr);
    if (is_x2apic) {
        wrmsr(MSR_APIC_BASE, msr | APIC_BASE_X2APIC);
    } else {
        reg_write(REG_DFR, ~0u);
    }
    reg_write(REG_TPR, 0);
    reg_write(REG_SPURIOUS, SPURIOUS_ENABLE | VEC_SPURIOUS);
    reg_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
    lapic_timer_stop();
    reg_write(REG_LVT_LINT0, LVT_MASKED);
    reg_write(REG_LVT_LINT1, cpu_id() == 0 ? LVT_NMI : LVT_MASKED);
    reg_write(REG_LVT_PMU, LVT_MASKED | VEC_PMU);
    reg_write(REG_ESR, 0);
    reg_write(REG_LVT_ERROR, VEC_LAPIC_ERROR);

    /* What firmware left in service would hold all other interrupts back. */
    for (unsigned int i = 0; i < 256; i++) {
        reg_write(REG_EOI, 0);
    }
}

/* The trigger mode is left alone: an NMI is always taken at its edge (SDM vol. 3, 11.5.1). */
__init void lapic_wire_nmi(unsigned int lint, bool is_active_low)
{
    uint32_t value = LVT_NMI | (is_active_low ? LVT_ACTIVE_LOW : 0);

    reg_write(REG_LVT_LINT0, lint == 0 ? value : LVT_MASKED);
    reg_write(REG_LVT_LINT1, lint == 1 ? value : LVT_MASKED);
}

bool lapic_is_x2apic(void)
{
    return is_x2apic;
}

uint32_t lapic_id(void)
{
    return is_x2apic ? reg_read(REG_ID) : reg_read(REG_ID) >> 24;
}

void lapic_eoi(void)
{
    reg_write(REG_EOI, 0);
}

/* The MSR form orders nothing by itself: what the other CPU shall see is stored before. */
static void icr_write(uint32_t apic_id, uint32_t command)
{
    if (is_x2apic) {
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_X2APIC_FIRST + REG_ICR / 16, (uint64_t)apic_id << 32 | command);
        return;
    }
    for (unsigned int i = 0; reg_read(REG_ICR) & ICR_PENDING && i < PENDING_SPINS; i++) {
        cpu_relax();
    }
    reg_write(REG_ICR_HIGH, apic_id << 24);
    reg_write(REG_ICR, command);
}

void lapic_send(uint32_t apic_id, unsigned int vector)
{
    icr_write(apic_id, ICR_ASSERT | vector);
}

void lapic_send_init(uint32_t apic_id)
{
    icr_write(apic_id, ICR_ASSERT | ICR_INIT);
}

void lapic_send_startup(uint32_t apic_id, unsigned int page)
{
    icr_write(apic_id, ICR_ASSERT | ICR_STARTUP | page);
}

void lapic_nmi_others(void)
{
    if (is_x2apic || registers != NULL) {
        icr_write(0, ICR_ASSERT | ICR_NMI | ICR_ALL_OTHERS);
    }
}

void lapic_report_error(void)
{
    reg_write(REG_ESR, 0);
    log_warn("Local APIC of CPU %u reports error %#x.", cpu_id(), reg_read(REG_ESR));
}

bool lapic_timer_by_tsc(void)
{
    return cpu_has(FEATURE_TSC_DEADLINE);
}

void lapic_timer_set_tsc(uint64_t tsc)
{
    wrmsr(MSR_TSC_DEADLINE, tsc != 0 ? tsc : 1);
}

void lapic_timer_set_ticks(uint32_t ticks)
{
    reg_write(REG_TIMER_INITIAL, ticks != 0 ? ticks : 1);
}

void lapic_timer_stop(void)
{
    if (lapic_timer_by_tsc()) {
        reg_write(REG_LVT_TIMER, TIMER_DEADLINE | VEC_TIMER);
        /* The mode must be in force before a deadline is written: the SDM's fence for xAPIC mode.
         */
        __asm__ volatile("mfence" ::: "memory");
        wrmsr(MSR_TSC_DEADLINE, 0);
    } else {
        reg_write(REG_TIMER_INITIAL, 0);
        reg_write(REG_LVT_TIMER, VEC_TIMER);
    }
}

void lapic_timer_start_counting(void)
{
    reg_write(REG_LVT_TIMER, LVT_MASKED | VEC_TIMER);
    reg_write(REG_TIMER_INITIAL, ~0u);
}

uint32_t lapic_timer_left(void)
{
    return reg_read(REG_TIMER_CURRENT);
}
