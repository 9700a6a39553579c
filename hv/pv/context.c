/* SPDX-License-Identifier: MIT */
/*
 * A PV vCPU comes to a CPU and leaves it, and the parts of its processor state
 * that only change then or by hypercall: segments and their bases, debug
 * registers, FPU, virtual control bits.
 *
 * GS: in guest-kernel mode GS_BASE is the kernel's and KERNEL_GS_BASE the
 * user's, in guest-user mode the other way round; pv_toggle_mode() swaps.  The
 * hypervisor has no use for GS.
 */
#include "pv/internal.h"

#include "event/event.h"
#include "lib/bits.h"
#include "pv/descriptors.h"
#include "pv/mmu.h"
#include "sys/log.h"
#include "x86/cpu.h"
#include "x86/features.h"
#include "x86/fpu.h"
#include "x86/guest_state.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/paging.h"
#include "x86/regs.h"
#include "x86/safe.h"
#include "x86/smp.h"

#define DR7_ENABLED  0xfful /* any of the four breakpoints */
#define DR7_RESERVED 0xd800ul
#define DR7_GD       (1ul << 13)

static DEFINE_PER_CPU(uint32_t, tsc_aux); /* what the register holds */

/* ------------------------------------------------------------- segments -- */

void pv_segments_note(struct vcpu *v)
{
    v->pv.ds = segment_read_ds();
    v->pv.es = segment_read_es();
    v->pv.fs = segment_read_fs();
    v->pv.gs = segment_read_gs();
}

static void save_segments(struct vcpu *v)
{
    uint64_t active = rdmsr(MSR_GS_BASE), inactive = rdmsr(MSR_KERNEL_GS_BASE);

    pv_segments_note(v);
    v->pv.fs_base = rdmsr(MSR_FS_BASE);
    v->pv.gs_base_kernel = v->in_kernel ? active : inactive;
    v->pv.gs_base_user = v->in_kernel ? inactive : active;
}

/* Selectors first, since loading one changes the base.  False: one could not be loaded and is null
 * now. */
static bool load_segments(struct vcpu *v)
{
    int rc = segment_load_ds(v->pv.ds);

    rc |= segment_load_es(v->pv.es);
    rc |= segment_load_fs(v->pv.fs);
    rc |= segment_load_gs(v->pv.gs);
    wrmsr(MSR_FS_BASE, v->pv.fs_base);
    wrmsr(MSR_GS_BASE, v->in_kernel ? v->pv.gs_base_kernel : v->pv.gs_base_user);
    wrmsr(MSR_KERNEL_GS_BASE, v->in_kernel ? v->pv.gs_base_user : v->pv.gs_base_kernel);
    return rc == 0;
}

int pv_set_segment_base(struct vcpu *v, unsigned int which, uint64_t value)
{
    (void)v;
    if (which == SEGBASE_GS_USER_SEL) {
        if (segment_load_gs_inactive((uint16_t)pv_fix_selector(value)) != 0) {
            return 0; /* it is null now, which is all that the guest may know */
        }
        return 0;
    }
    if (!pv_address_ok(value)) {
        return -EINVAL;
    }
    switch (which) {
    case SEGBASE_FS:
        wrmsr(MSR_FS_BASE, value);
        return 0;
    case SEGBASE_GS_USER: /* the caller is the guest's kernel */
        wrmsr(MSR_KERNEL_GS_BASE, value);
        return 0;
    case SEGBASE_GS_KERNEL:
        wrmsr(MSR_GS_BASE, value);
        return 0;
    default:
        return -EINVAL;
    }
}

/* ------------------------------------------------------ debug registers -- */

static void load_debug(const struct vcpu *v)
{
    write_dr0(v->pv.dr[0]);
    write_dr1(v->pv.dr[1]);
    write_dr2(v->pv.dr[2]);
    write_dr3(v->pv.dr[3]);
    write_dr6(DR6_DEFAULT);
    write_dr7(v->pv.dr[7]);
}

static int set_dr7(struct vcpu *v, uint64_t value)
{
    if (value >> 32 != 0) {
        return -EINVAL;
    }
    value = (value & ~DR7_RESERVED) | DR7_DEFAULT;
    if (value & DR7_GD) {
        return -EPERM;
    }
    for (unsigned int i = 0; i < 4; i++) {
        unsigned int kind = value >> (16 + 4 * i) & 3;

        /* Kind 2 is I/O, which would see ours. */
        if ((value >> (2 * i) & 3) && kind == 2) {
            return -EPERM;
        }
    }
    v->pv.dr[7] = value;
    if (v != current()) {
        return 0;
    }
    if (value & DR7_ENABLED) {
        load_debug(v);
    } else {
        write_dr7(DR7_DEFAULT);
    }
    return 0;
}

int pv_set_debugreg(struct vcpu *v, unsigned int reg, uint64_t value)
{
    switch (reg) {
    case 0 ... 3:
        if (!pv_address_ok(value)) {
            return -EPERM;
        }
        v->pv.dr[reg] = value;
        if (v == current() && (v->pv.dr[7] & DR7_ENABLED)) {
            load_debug(v);
        }
        return 0;
    case 6:
        if (value >> 32 != 0) {
            return -EINVAL;
        }
        v->pv.dr[6] = (value & 0xe00f) | DR6_DEFAULT;
        return 0;
    case 7:
        return set_dr7(v, value);
    default:
        return -ENODEV;
    }
}

/* -------------------------------------------------------- control bits -- */

void pv_set_ts(struct vcpu *v, bool is_set)
{
    if (is_set) {
        v->pv.cr0 |= CR0_TS;
        write_cr0(read_cr0() | CR0_TS);
    } else {
        v->pv.cr0 &= ~(uint64_t)CR0_TS;
        clts();
    }
}

void pv_load_cr4(const struct vcpu *v)
{
    uint64_t cr4 = cpu_features.cr4 | v->pv.cr4 | (v->domain->is_tsc_emulated ? CR4_TSD : 0);

    if (cr4 != read_cr4()) {
        write_cr4(cr4);
    }
}

/* ------------------------------------------------------ coming and going -- */

void pv_leave(struct sched_unit *u)
{
    struct vcpu *v = container_of(u, struct vcpu, unit);

    if (u->is_idle) {
        return;
    }
    save_segments(v);
    clts();
    fpu_save(v->fpu);
    if (v->pv.dr[7] & DR7_ENABLED) {
        write_dr7(DR7_DEFAULT);
    }
    ldt_window_clear();
    /* Whoever comes next loads its own tables; until then nothing of this guest's is left in the
     * TLB. */
    cr3_load(paging_hv_cr3());
    cpumask_clear(&v->domain->dirty_cpus, cpu_id());
}

/* The kernel's address space is loaded first: what we publish is in it. */
static void load_address_space(struct vcpu *v)
{
    cpumask_set(&v->domain->dirty_cpus, cpu_id());
    cr3_load(v->pv.cr3_kernel);
    vcpu_publish(v);
    if (!v->in_kernel) {
        cr3_load(v->pv.cr3_user);
    }
}

static void load_descriptors(const struct vcpu *v)
{
    gdt_window_set(v->pv.gdt_frames, (v->pv.gdt_entries + 511) / 512);
    for (uint32_t left = v->pv.ldt_mapped; left != 0; left &= left - 1) {
        unsigned int page = bit_lowest(left);

        ldt_window_map(page, v->pv.ldt_frames[page]);
    }
    ldt_load(v->pv.ldt_entries);
}

/* RDTSCP and RDPID tell it to any program: nobody sees another's. */
static void load_tsc_aux(const struct vcpu *v)
{
    uint32_t *loaded = this_cpu_ptr(tsc_aux);

    if (*loaded != v->pv.tsc_aux) {
        *loaded = v->pv.tsc_aux;
        wrmsr(MSR_TSC_AUX, v->pv.tsc_aux);
    }
}

void pv_set_tsc_aux(struct vcpu *v, uint32_t value)
{
    v->pv.tsc_aux = value;
    load_tsc_aux(v);
}

void pv_enter(struct sched_unit *u)
{
    struct vcpu *v = container_of(u, struct vcpu, unit);

    v->cpu = this_cpu();
    cpu_set_curr(v);
    if (u->is_idle) {
        return;
    }
    evtchn_poll_over(v);
    features_owner_enters(v->domain->id);
    load_address_space(v);
    load_descriptors(v);
    if (fpu_restore(v->fpu) != 0) {
        log_guest(v->domain->id, "vCPU %u: its FPU state was not valid, it has a fresh one", v->id);
    }
    if (v->pv.xcr0 != 0) {
        fpu_set_guest_xcr0(v->pv.xcr0);
    }
    load_tsc_aux(v);
    if (v->pv.cr0 & CR0_TS) {
        write_cr0(read_cr0() | CR0_TS);
    }
    pv_load_cr4(v);
    if (v->pv.dr[7] & DR7_ENABLED) {
        load_debug(v);
    }
    if (!load_segments(v)) {
        pv_failsafe(v);
    }
}

/* --------------------------------------------------- a context as a whole -- */

static void set_callbacks(struct vcpu *v, const struct vcpu_guest_context *c)
{
    v->pv.event = (struct pv_callback){ c->event_callback_eip, true };
    v->pv.failsafe = (struct pv_callback){ c->failsafe_callback_eip, true };
    v->pv.syscall = (struct pv_callback){ c->syscall_callback_eip, false };
    if (c->flags & VGCF_failsafe_disables_events) {
        v->pv.failsafe.mask_events = true;
    }
    if (c->flags & VGCF_syscall_disables_events) {
        v->pv.syscall.mask_events = true;
    }
}

/* XCR0: a kernel that does not save AVX state must not have processes that find AVX on. */
void pv_reset_registers(struct vcpu *v)
{
    v->pv.xcr0 = fpu_xcr0_allowed() & (XCR0_X87 | XCR0_SSE);
    v->pv.dr[6] = DR6_DEFAULT;
    v->pv.dr[7] = DR7_DEFAULT;
    fpu_area_reset(v->fpu);
}

/*
 * Of a first state; later ones leave what the context does not tell of.
 *
 * By now the toolstack has filled shared_info, which it clears first (or, of a
 * domain that it restores, overwrites with vcpu_info from another machine): what
 * the hypervisor shows there is written again, the wall clock here, the vCPU's
 * own clock on its way to a CPU.
 */
static void set_beginning(struct vcpu *v, const struct vcpu_guest_context *c)
{
    pv_reset_registers(v);
    v->exit_work = 0;
    v->time_generation = 0;
    if (v->id == 0) {
        v->domain->vm_assist = (uint32_t)c->vm_assist & PV_VM_ASSISTS;
        domain_publish_wallclock(v->domain);
    }
}

static void set_registers(struct vcpu *v, const struct vcpu_guest_context *c)
{
    v->regs = c->user_regs;
    v->regs.cs = (uint16_t)pv_fix_selector(c->user_regs.cs);
    v->regs.ss = (uint16_t)pv_fix_selector(c->user_regs.ss);
    v->regs.rflags =
        (c->user_regs.rflags & ~(uint64_t)(RFLAGS_IOPL | RFLAGS_VM)) | RFLAGS_IF | RFLAGS_ALWAYS;
    v->regs.entry_vector = 0;
    v->pv.iopl = (uint32_t)((c->user_regs.rflags & RFLAGS_IOPL) >> RFLAGS_IOPL_SHIFT);
    v->in_kernel = (c->flags & VGCF_in_kernel) != 0;
    v->pv.ds = (uint16_t)pv_fix_selector(c->user_regs.ds);
    v->pv.es = (uint16_t)pv_fix_selector(c->user_regs.es);
    v->pv.fs = (uint16_t)pv_fix_selector(c->user_regs.fs);
    v->pv.gs = (uint16_t)pv_fix_selector(c->user_regs.gs);
    v->pv.fs_base = c->fs_base;
    v->pv.gs_base_kernel = c->gs_base_kernel;
    v->pv.gs_base_user = c->gs_base_user;
    v->pv.kernel_ss = pv_fix_selector(c->kernel_ss);
    v->pv.kernel_sp = c->kernel_sp;
    v->pv.cr0 = c->ctrlreg[0] & CR0_TS;
    if (c->flags & VGCF_i387_valid) {
        fpu_area_set_legacy(v->fpu, c->fpu_ctxt.x);
    }
    v->pv.cr4 = c->ctrlreg[4] & PV_CR4_GUEST;
    for (unsigned int i = 0; i < 256; i++) {
        v->pv.traps[i] = c->trap_ctxt[i];
        v->pv.traps[i].cs = (uint16_t)pv_fix_selector(c->trap_ctxt[i].cs);
    }
}

/* A value that is not allowed leaves the register as it is at a processor's start. */
static void set_debug_registers(struct vcpu *v, const struct vcpu_guest_context *c)
{
    v->pv.dr[6] = DR6_DEFAULT;
    v->pv.dr[7] = DR7_DEFAULT;
    for (unsigned int i = 0; i < 8; i++) {
        if (i != 4 && i != 5 && pv_set_debugreg(v, i, c->debugreg[i]) != 0) {
            log_guest(v->domain->id, "vCPU %u: debug register %u cannot be %#lx", v->id, i,
                      c->debugreg[i]);
        }
    }
}

/* Where the guest's kernel would be entered: as the hypercalls that set a single one check it. */
static bool handlers_ok(const struct vcpu_guest_context *c)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++) {
        if (!pv_address_ok(c->trap_ctxt[i].address)) {
            return false;
        }
    }
    return pv_address_ok(c->event_callback_eip) && pv_address_ok(c->failsafe_callback_eip) &&
           pv_address_ok(c->syscall_callback_eip);
}

/*
 * Registers that programs load as they like: any canonical address, the
 * hypervisor's too, as what pv_context_get() tells must be accepted here.
 */
static bool registers_ok(const struct vcpu_guest_context *c)
{
    const uint64_t addresses[] = { c->user_regs.rip, c->user_regs.rsp,  c->kernel_sp,
                                   c->fs_base,       c->gs_base_kernel, c->gs_base_user };

    for (unsigned int i = 0; i < ARRAY_SIZE(addresses); i++) {
        if (!pv_address_canonical(addresses[i])) {
            return false;
        }
    }
    return true;
}

int pv_context_set(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int rc;

    if (c->gdt_ents > PV_GDT_FRAMES * 512 || !handlers_ok(c) || !registers_ok(c) ||
        !(c->flags & VGCF_in_kernel || c->ctrlreg[1] != 0)) {
        return -EINVAL;
    }
    if ((c->flags & VGCF_online) && v->info == &vcpu_info_none) {
        return -EINVAL; /* nowhere to say that an event waits */
    }
    rc = mmu_set_kernel_table(v, MFN(c->ctrlreg[3] >> PAGE_SHIFT));
    if (rc == 0) {
        rc = mmu_set_user_table(v, MFN(c->ctrlreg[1] >> PAGE_SHIFT));
    }
    if (rc == 0) {
        rc = pv_set_gdt(v, c->gdt_frames, (uint32_t)c->gdt_ents);
    }
    if (rc == 0) {
        rc = pv_set_ldt(v, c->ldt_base, (uint32_t)min(c->ldt_ents, 0xfffffffful));
    }
    if (rc != 0) {
        return rc; /* what is set by then stays the vCPU's; a later context replaces it */
    }
    if (!v->is_initialised) {
        set_beginning(v, c);
    }
    set_registers(v, c);
    set_callbacks(v, c);
    set_debug_registers(v, c);
    v->is_initialised = true;
    WRITE_ONCE(v->is_online, (c->flags & VGCF_online) != 0);
    return 0;
}
