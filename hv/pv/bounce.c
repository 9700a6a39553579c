/* SPDX-License-Identifier: MIT */
/*
 * Entering the guest kernel, and leaving it by the iret hypercall.
 *
 * A bounce puts a frame on the guest kernel's stack (its current one in
 * guest-kernel mode, else the one of stack_switch) and continues at a handler.
 * From low to high addresses:
 *
 *     rcx  r11  [4 selectors of a failsafe | error code]  rip  cs  rflags  rsp  ss
 *
 * rcx and r11 are there because SYSCALL and SYSRET destroy them; their live
 * values mean nothing to the handler, so it may be entered by SYSRET.  The
 * upper half of the cs word has the event mask as it was; its RPL is 0 if the
 * guest kernel was interrupted, for kernels that ask a selector who it was.
 * Layout and rules: <xen/arch-x86/xen-x86_64.h>, struct iret_context beside it.
 */
#include "pv/internal.h"

#include "guest/guest.h"
#include "sys/log.h"
#include "x86/entry.h"
#include "x86/guest_state.h"
#include "x86/regs.h"
#include "x86/smp.h"
#include "x86/uaccess.h"
#include "x86/vectors.h"

#define FRAME_WORDS 7 /* of every frame */

bool pv_toggle_mode(struct vcpu *v)
{
    uint64_t cr3 = v->in_kernel ? v->pv.cr3_user : v->pv.cr3_kernel;

    if (unlikely(cr3 == 0)) {
        domain_crash(v->domain, "vCPU %u leaves its kernel without a user page table", v->id);
        return false;
    }
    v->in_kernel ^= 1;
    swapgs();
    cr3_load(cr3);
    return true;
}

/* The flags the guest kernel is shown: IF is "events are not masked". */
static uint64_t shown_flags(const struct vcpu *v, uint8_t mask)
{
    uint64_t flags = v->regs.rflags & ~(uint64_t)(RFLAGS_IF | RFLAGS_IOPL);

    if (mask == 0) {
        flags |= RFLAGS_IF;
    }
    if (v->domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl)) {
        flags |= (uint64_t)v->pv.iopl << 12;
    }
    return flags;
}

/*
 * Store a frame from @to upwards, @extra being the @nr words between r11 and
 * rip.  False: the guest's stack cannot be written there.
 */
static bool frame_store(uint64_t *to, const struct cpu_user_regs *r, uint64_t cs, uint64_t flags,
                        const uint64_t *extra, unsigned int nr)
{
    user_open();
    user_store(r->rcx, to, fault);
    user_store(r->r11, to + 1, fault);
    to += 2;
    for (; nr > 0; nr--) {
        user_store(*extra++, to++, fault);
    }
    user_store(r->rip, to, fault);
    user_store(cs, to + 1, fault);
    user_store(flags, to + 2, fault);
    user_store(r->rsp, to + 3, fault);
    user_store(r->ss, to + 4, fault);
    user_close();
    return true;
fault:
    user_close();
    return false;
}

/* The common part of all bounces; @extra as above. */
static void bounce(struct vcpu *v, uint64_t handler, bool mask_events, const uint64_t *extra,
                   unsigned int nr)
{
    struct cpu_user_regs *r = &v->regs;
    uint8_t mask = READ_ONCE(v->info->evtchn_upcall_mask);
    bool from_kernel = v->in_kernel;
    uint64_t sp = from_kernel ? r->rsp : v->pv.kernel_sp;
    uint64_t cs = (from_kernel ? r->cs & ~3u : r->cs) | (uint64_t)mask << 32;
    uint64_t len_bytes = (nr + FRAME_WORDS) * sizeof(*extra);

    if (unlikely(handler == 0)) {
        domain_crash(v->domain, "vCPU %u has no handler for what happened at rip %#lx", v->id,
                     r->rip);
        return;
    }
    if (!from_kernel && !pv_toggle_mode(v)) {
        return;
    }
    sp = (sp & ~15ul) - len_bytes;
    if (unlikely(!guest_range_ok(GUEST_PTR(sp), len_bytes) ||
                 !frame_store(user_addr(sp), r, cs, shown_flags(v, mask), extra, nr))) {
        domain_crash(v->domain, "vCPU %u's kernel stack at %#lx cannot be written", v->id, sp);
        return;
    }
    if (mask_events) {
        WRITE_ONCE(v->info->evtchn_upcall_mask, 1);
    }
    r->rip = handler;
    r->cs = FLAT_KERNEL_CS;
    r->rflags &= ~(uint64_t)(RFLAGS_AC | RFLAGS_TF | RFLAGS_RF | RFLAGS_VM | RFLAGS_NT);
    r->rsp = sp;
    r->ss = FLAT_KERNEL_SS;
    r->entry_vector = VEC_SYSCALL; /* rcx and r11 are free: SYSRET may be used */
}

/* The vectors that push an error code: SDM vol. 3, 6.15. */
#define HAS_ERROR                                                                                  \
    (1u << VEC_DF | 1u << VEC_TS | 1u << VEC_NP | 1u << VEC_SS | 1u << VEC_GP | 1u << VEC_PF |     \
     1u << VEC_AC | 1u << VEC_CP)

void pv_inject(struct vcpu *v, unsigned int vector, uint32_t error)
{
    const struct trap_info *t = &v->pv.traps[vector];
    uint64_t word = error;

    bounce(v, t->address, TI_GET_IF(t), &word, HAS_ERROR >> vector & 1);
}

void pv_inject_software(struct vcpu *v, unsigned int vector)
{
    const struct trap_info *t = &v->pv.traps[vector];

    bounce(v, t->address, TI_GET_IF(t), NULL, 0);
}

void pv_inject_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error)
{
    WRITE_ONCE(v->info->arch.cr2, cr2);
    pv_inject(v, VEC_PF, v->in_kernel ? error & ~PFEC_USER : error | PFEC_USER);
}

void pv_syscall_from_user(struct vcpu *v)
{
    bool is_compat = v->regs.cs == FLAT_USER_CS32;
    const struct pv_callback *cb = is_compat ? &v->pv.syscall32 : &v->pv.syscall;

    if (unlikely(cb->address == 0)) {
        v->regs.rip -= 2; /* a processor without the instruction would have stopped before it */
        pv_inject(v, VEC_UD, 0);
        return;
    }
    bounce(v, cb->address, cb->mask_events, NULL, 0);
}

void pv_sysenter_from_user(struct vcpu *v)
{
    const struct pv_callback *cb = &v->pv.sysenter;

    v->regs.rflags &= ~(uint64_t)RFLAGS_TF;
    if (cb->address == 0) {
        pv_inject(v, VEC_GP, 0);
        return;
    }
    v->regs.rip = 0;
    v->regs.ss = FLAT_USER_SS;
    bounce(v, cb->address, cb->mask_events, NULL, 0);
}

void pv_deliver_upcall(struct vcpu *v)
{
    bounce(v, v->pv.event.address, true, NULL, 0);
}

void pv_failsafe(struct vcpu *v)
{
    const uint64_t selectors[] = { v->pv.ds, v->pv.es, v->pv.fs, v->pv.gs };

    bounce(v, v->pv.failsafe.address, true, selectors, ARRAY_SIZE(selectors));
}

void pv_iret_fault(struct vcpu *v, unsigned int vector, uint32_t error)
{
    log_guest(v->domain->id, "vCPU %u: return to %#x:%#lx failed (exception %u, %#x)", v->id,
              v->regs.cs, v->regs.rip, vector, error);
    pv_inject(v, vector, error);
}

long pv_iret(struct vcpu *v)
{
    struct cpu_user_regs *r = &v->regs;
    struct iret_context c;

    if (unlikely(copy_from_guest(&c, GUEST_PTR(r->rsp), sizeof(c)) != 0)) {
        domain_crash(v->domain, "vCPU %u: iret frame at %#lx cannot be read", v->id, r->rsp);
        return 0;
    }
    if ((c.cs & 3) == 3 && !pv_toggle_mode(v)) {
        return 0;
    }
    r->rip = c.rip;
    r->cs = (uint16_t)(c.cs | 3);
    r->rflags = (c.rflags & ~(uint64_t)(RFLAGS_IOPL | RFLAGS_VM)) | RFLAGS_IF | RFLAGS_ALWAYS;
    r->rsp = c.rsp;
    r->ss = (uint16_t)(c.ss | 3);
    if (!(c.flags & VGCF_in_syscall)) {
        r->entry_vector = 0;
        r->r11 = c.r11;
        r->rcx = c.rcx;
    }
    v->pv.nmi_masked = false;
    WRITE_ONCE(v->info->evtchn_upcall_mask, !(c.rflags & RFLAGS_IF));
    return (long)c.rax;
}
