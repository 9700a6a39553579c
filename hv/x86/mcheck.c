/* SPDX-License-Identifier: MIT */
/*
 * Machine checks (SDM vol. 3, chapter 16) and NMIs.
 *
 * An uncorrected error ends the machine: which memory or whose state is lost
 * cannot be told for certain.  Corrected ones raise nothing: they are looked for
 * at the start, now and then, and beside an exception.
 *
 * NMIs in ring 0 run on a stack of their own, which a second NMI would
 * overwrite.  The processor holds it back until the next IRET; so nothing
 * between here and the end of the handler may fault, and a machine check there
 * ends the machine.
 */
#include "x86/mcheck.h"

#include "abi/xen.h"
#include "sys/cpu.h"
#include "sys/log.h"
#include "sys/panic.h"
#include "x86/entry.h"
#include "x86/features.h"
#include "x86/insn.h"
#include "x86/lapic.h"
#include "x86/msr.h"

#define BANK_MSRS 4u

static bool is_stopping; /* a CPU panics: NMIs mean `stop` */

static unsigned int nr_banks(void)
{
    return cpu_has(FEATURE_MCA) ? rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS : 0;
}

static void log_bank(unsigned int bank, uint64_t status)
{
    uint32_t msr = MSR_MC0_CTL + BANK_MSRS * bank;
    uint64_t address = status & MC_STATUS_ADDR_VALID ? rdmsr(msr + 2) : 0;
    uint64_t misc = status & MC_STATUS_MISC_VALID ? rdmsr(msr + 3) : 0;

    log_err("Machine check, CPU %u bank %u: status %#lx (%s), address %#lx, misc %#lx", cpu_id(),
            bank, status, status & MC_STATUS_UNCORRECTED ? "uncorrected" : "corrected", address,
            misc);
}

/* Log and clear all banks that have something. */
static void report_banks(void)
{
    for (unsigned int i = 0; i < nr_banks(); i++) {
        uint32_t msr = MSR_MC0_STATUS + BANK_MSRS * i;
        uint64_t status = rdmsr(msr);

        if (status & MC_STATUS_VALID) {
            log_bank(i, status);
            wrmsr(msr, 0);
        }
    }
}

void mcheck_init_cpu(void)
{
    if (!cpu_has(FEATURE_MCA) || !cpu_has(FEATURE_MCE)) {
        return;
    }
    report_banks();
    if (rdmsr(MSR_MCG_CAP) & MCG_CAP_CTL) {
        wrmsr(MSR_MCG_CTL, ~0ull);
    }
    for (unsigned int i = 0; i < nr_banks(); i++) {
        wrmsr(MSR_MC0_CTL + BANK_MSRS * i, ~0ull);
    }
}

void mcheck_poll(void)
{
    report_banks();
}

/* All banks' statuses or-ed, and in *@worst the number of one that tells most. */
static uint64_t look_at_banks(unsigned int *worst)
{
    uint64_t seen = 0;

    *worst = 0;
    for (unsigned int i = 0; i < nr_banks(); i++) {
        uint64_t status = rdmsr(MSR_MC0_STATUS + BANK_MSRS * i);

        if (status & MC_STATUS_VALID) {
            *worst = seen == 0 || status & MC_STATUS_UNCORRECTED ? i : *worst;
            seen |= status;
        }
    }
    return seen;
}

void mcheck_exception(const struct cpu_user_regs *regs)
{
    uint64_t global = rdmsr(MSR_MCG_STATUS), seen;
    unsigned int worst;

    seen = look_at_banks(&worst);
    if (!(global & MCG_STATUS_RIPV) || seen & (MC_STATUS_CORRUPT | MC_STATUS_UNCORRECTED) ||
        this_cpu()->in_nmi) {
        uint32_t msr = MSR_MC0_CTL + BANK_MSRS * worst;
        uint64_t status = seen != 0 ? rdmsr(msr + 1) : 0;

        panic_at(regs, "the hardware failed: machine check, %#lx, bank %u: %#lx, address %#lx",
                 global, worst, status, status & MC_STATUS_ADDR_VALID ? rdmsr(msr + 2) : 0);
    }
    /* Our own code may hold the log's lock: then the banks keep it for the next time. */
    if (regs->cs & 3) {
        report_banks();
    }
    wrmsr(MSR_MCG_STATUS, 0);
}

void mcheck_nmi(const struct cpu_user_regs *regs)
{
    (void)regs;
    if (READ_ONCE(is_stopping)) {
        for (;;) {
            __asm__ volatile("cli; hlt");
        }
    }
    pv_nmi();
}

void mcheck_stop_others(void)
{
    WRITE_ONCE(is_stopping, true);
    lapic_nmi_others();
}
