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
 * Store a frame at @to, with the @nr words @extra between r11 and rip; @mask is
 * the event mask.  False: the guest's stack cannot be written there.
 */
static always_inline bool frame_store(const struct vcpu *v, uint64_t *to, const uint64_t *extra,
                                      unsigned int nr, bool from_kernel, uint8_t mask)
{
    const struct cpu_user_regs *r = &v->regs;
    uint64_t cs = (from_kernel ? r->cs & ~3u : r->cs) | (uint64_t)mask << 32;
    uint64_t *upper = to + 2 + nr;

    user_open();
    user_store(r->rcx, &to[0], fault);
    user_store(r->r11, &to[1], fault);
    for (unsigned int i = 0; i < nr; i++) {
        user_store(extra[i], &to[2 + i], fault);
    }
    user_store(r->rip, &upper[0], fault);
    user_store(cs, &upper[1], fault);
    user_store(shown_flags(v, mask), &upper[2], fault);
    user_store(r->rsp, &upper[3], fault);
    user_store(r->ss, &upper[4], fault);
    user_close();
    return true;
fault:
    user_close();
    return false;
}

/*
 * The common part of all bounces: inlined for each mode they come from and
 * number of words @extra, as above.  The address space is the kernel's already.
 */
static always_inline void enter_masked(struct vcpu *v, uint64_t handler, bool mask_events,
                                       const uint64_t *extra, unsigned int nr, bool from_kernel,
                                       uint8_t mask)
{
    struct cpu_user_regs *r = &v->regs;
    uint64_t sp = from_kernel ? r->rsp : v->pv.kernel_sp;

    sp = (sp & ~15ul) - (nr + FRAME_WORDS) * sizeof(*extra);
    if (unlikely(handler == 0)) {
        domain_crash(v->domain, "vCPU %u has no handler for what happened at rip %#lx", v->id,
                     r->rip);
    } else if (unlikely(!frame_store(v, user_addr(sp), extra, nr, from_kernel, mask))) {
        domain_crash(v->domain, "vCPU %u's kernel stack at %#lx cannot be written", v->id, sp);
    } else {
        if (mask_events) {
            WRITE_ONCE(v->info->evtchn_upcall_mask, 1);
        }
        r->rip = handler;
        r->cs = FLAT_KERNEL_CS;
        r->rflags &= ~(uint64_t)(RFLAGS_AC | RFLAGS_TF | RFLAGS_RF | RFLAGS_VM | RFLAGS_NT);
        r->rsp = sp;
        r->ss = FLAT_KERNEL_SS;
        /* rcx and r11 are free: SYSRET may be used. */
        r->entry_vector = VEC_SYSCALL | VEC_BOUNCED;
    }
}

static always_inline void enter(struct vcpu *v, uint64_t handler, bool mask_events,
                                const uint64_t *extra, unsigned int nr, bool from_kernel)
{
    enter_masked(v, handler, mask_events, extra, nr, from_kernel,
                 READ_ONCE(v->info->evtchn_upcall_mask));
}

static noinline void bounce_from_user(struct vcpu *v, uint64_t handler, bool mask_events)
{
    if (pv_toggle_mode(v)) {
        enter(v, handler, mask_events, NULL, 0, false);
    }
}

static void bounce(struct vcpu *v, uint64_t handler, bool mask_events)
{
    if (v->in_kernel) {
        enter(v, handler, mask_events, NULL, 0, true);
    } else {
        bounce_from_user(v, handler, mask_events);
    }
}

static noinline void bounce_error_from_user(struct vcpu *v, uint64_t handler, bool mask_events,
                                            uint64_t error)
{
    if (pv_toggle_mode(v)) {
        enter(v, handler, mask_events, &error, 1, false);
    }
}

static void bounce_error(struct vcpu *v, uint64_t handler, bool mask_events, uint64_t error)
{
    if (v->in_kernel) {
        enter(v, handler, mask_events, &error, 1, true);
    } else {
        bounce_error_from_user(v, handler, mask_events, error);
    }
}

/* The vectors that push an error code: SDM vol. 3, 6.15. */
#define HAS_ERROR                                                                                  \
    (1u << VEC_DF | 1u << VEC_TS | 1u << VEC_NP | 1u << VEC_SS | 1u << VEC_GP | 1u << VEC_PF |     \
     1u << VEC_AC | 1u << VEC_CP)

void pv_inject(struct vcpu *v, unsigned int vector, uint32_t error)
{
    const struct trap_info *t = &v->pv.traps[vector];

    if (HAS_ERROR >> vector & 1) {
        bounce_error(v, t->address, TI_GET_IF(t), error);
    } else {
        bounce(v, t->address, TI_GET_IF(t));
    }
}

void pv_inject_software(struct vcpu *v, unsigned int vector)
{
    const struct trap_info *t = &v->pv.traps[vector];

    bounce(v, t->address, TI_GET_IF(t));
}

void pv_inject_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error)
{
    const struct trap_info *t = &v->pv.traps[VEC_PF];

    WRITE_ONCE(v->info->arch.cr2, cr2);
    bounce_error(v, t->address, TI_GET_IF(t),
                 v->in_kernel ? error & ~PFEC_USER : error | PFEC_USER);
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
    bounce(v, cb->address, cb->mask_events);
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
    bounce(v, cb->address, cb->mask_events);
}

static noinline void upcall_from_user(struct vcpu *v)
{
    if (pv_toggle_mode(v)) {
        enter_masked(v, v->pv.event.address, true, NULL, 0, false, 0);
    }
}

/* Events are not masked, or we would not be here. */
void pv_deliver_upcall(struct vcpu *v)
{
    if (v->in_kernel) {
        enter_masked(v, v->pv.event.address, true, NULL, 0, true, 0);
    } else {
        upcall_from_user(v);
    }
}

void pv_failsafe(struct vcpu *v)
{
    const uint64_t selectors[] = { v->pv.ds, v->pv.es, v->pv.fs, v->pv.gs };

    if (v->in_kernel) {
        enter(v, v->pv.failsafe.address, true, selectors, ARRAY_SIZE(selectors), true);
    } else if (pv_toggle_mode(v)) {
        enter(v, v->pv.failsafe.address, true, selectors, ARRAY_SIZE(selectors), false);
    }
}

/*
 * The frames of enter_masked() load on every processor while handlers are
 * checked when they are set.  Should one fault all the same, a handler for that
 * fault would be entered by one more such frame, and so on without an end.
 */
void pv_iret_fault(struct vcpu *v, unsigned int vector, uint32_t error)
{
    if (v->regs.entry_vector & VEC_BOUNCED) {
        domain_crash(v->domain, "vCPU %u cannot enter its kernel at %#lx (exception %u, %#x)",
                     v->id, v->regs.rip, vector, error);
        return;
    }
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
    if (unlikely(v->pv.nmi_masked)) {
        v->pv.nmi_masked = false;
        __atomic_fetch_or(&v->exit_work, v->pv.held, __ATOMIC_SEQ_CST);
    }
    WRITE_ONCE(v->info->evtchn_upcall_mask, !(c.rflags & RFLAGS_IF));
    return (long)c.rax;
}
