/* SPDX-License-Identifier: MIT */
/*
 * Virtual CPUs.
 *
 * The struct begins with what the entry code needs: the CPU's block (whose
 * address is also the top of its stack) and the register frame that hardware
 * and entry.S push into while the vCPU runs.  While it does not run, the frame
 * is its registers; on a CPU, they are there whenever the hypervisor runs.
 *
 * Who may touch a member:
 *   [c]  constant from vcpu_create() on
 *   [o]  the CPU that runs it, or anyone while it is known not to run (paused,
 *        offline, or on the way through context switch)
 *   [a]  anyone, atomically
 *   [d]  holder of domain->lock
 *   [e]  holder of domain->evtchn's lock
 */
#pragma once

#include "abi/xen.h"
#include "lib/types.h"
#include "sched/sched.h"
#include "sys/cpu.h"
#include <xen/vcpu.h>

struct domain;

/* Bits of vcpu->exit_work: what must be looked at before the guest goes on. */
#define EXIT_IDLE 1u /* [c] always set of idle vCPUs: they leave to the idle loop */
#define EXIT_NMI  2u /* [a] an NMI waits */
#define EXIT_MCE  4u /* [a] a machine check waits */

/* Numbers of the ABI's processor state. */
#define PV_GDT_FRAMES 14u /* then follow the hypervisor's own descriptors */
#define PV_LDT_FRAMES 16u

enum vcpu_block {
    VCPU_AWAKE,
    VCPU_BLOCKED, /* until an unmasked event */
    VCPU_POLLING, /* until one of its ports is pending, or its poll timer */
};

struct pv_callback {
    uint64_t address; /* 0: none */
    bool mask_events;
};

/* A paravirtual vCPU's processor state beyond its registers.  All [o] unless noted. */
struct pv_vcpu {
    struct trap_info *traps; /* 256 entries, by vector; address 0: none */
    struct pv_callback event, failsafe, syscall, syscall32, sysenter;
    uint64_t kernel_ss, kernel_sp;
    uint64_t cr3_kernel;     /* machine address of the L4; holds a use of it; 0 none */
    uint64_t cr3_user;       /* likewise; 0: none */
    uint64_t fs_base;        /* valid while not running */
    uint64_t gs_base_kernel; /* likewise: the inactive one is in MSR_KERNEL_GS_BASE while running */
    uint64_t gs_base_user;
    uint16_t ds, es, fs, gs; /* selectors; valid while not running */
    uint32_t gdt_entries;
    mfn_t
        gdt_frames[PV_GDT_FRAMES]; /* the first (gdt_entries + 511) / 512 hold a segdesc use each */
    uint64_t ldt_base;
    uint32_t ldt_entries;
    uint32_t ldt_mapped; /* bit n: page n of the LDT window is mapped and holds a segdesc use */
    mfn_t ldt_frames[PV_LDT_FRAMES];
    uint64_t cr0, cr4;    /* as the guest sees them: CR0_TS; CR4 bits that are the guest's */
    uint64_t xcr0;        /* the guest's; 0: no XSAVE here */
    uint32_t tsc_aux;     /* MSR_TSC_AUX, where there is one */
    uint64_t dr[8];       /* debug registers 0-3, 6, 7 */
    uint32_t iopl;        /* virtual: 0 .. 3 */
    uint32_t iobmp_limit; /* ports covered by the guest's bitmap */
    uint64_t iobmp;       /* guest virtual address of it */
    bool nmi_masked;      /* from delivery of an NMI or #MC to the next iret */
    uint32_t held;        /* EXIT_NMI and EXIT_MCE that came meanwhile */
};

struct vcpu {
    struct cpu
        *cpu; /* [o] where it runs or ran last; top of that CPU's stack.  First, for entry.S */
    struct cpu_user_regs regs; /* [o] at offset 8, so that hardware's pushes are aligned */
    uint32_t exit_work;        /* EXIT_ bits */
    uint8_t in_kernel;         /* [o] PV: guest-kernel mode (its page table and GS are active) */
    bool is_idle;              /* [c] */
    bool is_claimed;           /* [a] VCPUOP_initialise works on it, or has done so */
    bool is_initialised;       /* [d] VCPUOP_initialise or the toolstack gave it a context */
    bool is_online;            /* [d] VCPUOP_up; not _down */
    struct vcpu_info
        *info; /* [a] the guest's, through the direct map; changed by register_vcpu_info only */
    struct domain *domain;  /* [c] */
    uint32_t id;            /* [c] */
    uint32_t pause_count;   /* [a] */
    uint8_t blocked;        /* [a] enum vcpu_block: why it sleeps of its own will */
    struct sched_unit unit; /* sched/ */

    struct pv_vcpu pv;

    void *fpu;      /* [c] XSAVE or FXSAVE area, contents [o] */
    mfn_t info_mfn; /* [d] frame registered for vcpu_info, held writable; MFN_INVALID: in
                       shared_info */

    struct vcpu_runstate_info runstate; /* [o] and the scheduler at state changes */
    uint64_t runstate_guest;            /* [d] guest virtual address to copy it to; 0: none */
    uint64_t time_info_guest;           /* [d] secondary vcpu_time_info; 0: none */
    uint32_t time_generation;           /* [o] of the time scale last written to info->time */

    struct vcpu_events *events; /* [c] event/: virqs, poll, timers of this vCPU */
} aligned(64);

static_assert(offsetof(struct vcpu, regs) == 8, "entry.S, and the hardware's 16-byte alignment");

/* The vCPU this CPU runs (the idle one included). */
static always_inline struct vcpu *current(void)
{
    return this_cpu()->curr;
}
