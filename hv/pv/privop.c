/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions of PV guests, and writes to their page tables: what
 * emul/ decodes is done here for the current vCPU.
 *
 * The guest's kernel runs in ring 3 and is privileged by our word only: its
 * I/O privilege is virtual (PHYSDEVOP_set_iopl), its control registers too.
 */
#include "pv/internal.h"

#include "event/event.h"
#include "guest/guest.h"
#include "pv/mmu.h"
#include "x86/features.h"
#include "x86/fpu.h"
#include "x86/guest_state.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/regs.h"
#include "x86/safe.h"

#define PFEC_OF_KERNEL 0u

/* Near the end of a page, the next one may be unreadable. */
static noinline void fetch_bytes(uint64_t rip, uint32_t to_page_end, struct emul_fetch *f)
{
    f->nr = EMUL_INSN_MAX;
    if (copy_from_guest(f->byte, GUEST_PTR(rip), EMUL_INSN_MAX) != 0) {
        f->nr = to_page_end < EMUL_INSN_MAX ? to_page_end : 0;
        if (f->nr != 0 && copy_from_guest(f->byte, GUEST_PTR(rip), f->nr) != 0) {
            f->nr = 0;
        }
    }
}

static always_inline void fetch(const struct vcpu *v, struct emul_fetch *f)
{
    uint64_t rip = v->regs.rip;
    uint32_t to_page_end = (uint32_t)(PAGE_SIZE - (rip & ~PAGE_MASK));

    if (likely(to_page_end > EMUL_INSN_MAX)) {
        f->nr = likely(copy_from_guest(f->byte, GUEST_PTR(rip), 16) == 0) ? EMUL_INSN_MAX : 0;
    } else {
        fetch_bytes(rip, to_page_end, f);
    }
}

/* The L bit of the code segment that runs. */
static enum emul_mode code_mode(const struct vcpu *v)
{
    if (likely(v->regs.cs == FLAT_KERNEL_CS)) {
        return EMUL_MODE_64;
    }
    return segment_is_long(v->regs.cs) ? EMUL_MODE_64 : EMUL_MODE_32;
}

/* -------------------------------------------------- memory of ins, outs -- */

static int read_memory(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val)
{
    *val = 0;
    if (copy_from_guest(val, GUEST_PTR(addr), bytes) != 0) {
        return emul_page_fault(c, addr, PFEC_OF_KERNEL);
    }
    return EMUL_OK;
}

static int write_memory(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t val)
{
    if (copy_to_guest(GUEST_PTR(addr), &val, bytes) != 0) {
        return emul_page_fault(c, addr, PFEC_WRITE);
    }
    return EMUL_OK;
}

/* ---------------------------------------------------- control registers -- */

#define CR0_SHOWN (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG)
#define CR4_HIDDEN                                                                                 \
    (PV_CR4_GUEST | CR4_PSE | CR4_PGE | CR4_VMXE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_UMIP |    \
     CR4_VME)

static int read_cr(struct emul_ctxt *c, unsigned int cr, uint64_t *val)
{
    struct vcpu *v = c->opaque;

    switch (cr) {
    case 0:
        *val = CR0_SHOWN | v->pv.cr0;
        return EMUL_OK;
    case 2:
        *val = v->info->arch.cr2;
        return EMUL_OK;
    case 3:
        *val = xen_pfn_to_cr3(v->pv.cr3_kernel >> PAGE_SHIFT);
        return EMUL_OK;
    case 4:
        *val = (cpu_features.cr4 & ~(uint64_t)CR4_HIDDEN) | v->pv.cr4;
        return EMUL_OK;
    default:
        return EMUL_UNHANDLEABLE;
    }
}

/* Bits that are not the guest's are left as they are, without complaint: kernels write what they
 * believe in. */
static int set_cr4(struct vcpu *v, uint64_t val)
{
    v->pv.cr4 = val & PV_CR4_GUEST;
    pv_load_cr4(v);
    return EMUL_OK;
}

static int write_cr(struct emul_ctxt *c, unsigned int cr, uint64_t val)
{
    struct vcpu *v = c->opaque;

    switch (cr) {
    case 0:
        if ((val ^ CR0_SHOWN) & ~(uint64_t)CR0_TS) {
            return EMUL_UNHANDLEABLE;
        }
        pv_set_ts(v, (val & CR0_TS) != 0);
        return EMUL_OK;
    case 2:
        v->info->arch.cr2 = val;
        return EMUL_OK;
    case 3: {
        int rc = mmu_set_kernel_table(v, MFN(xen_cr3_to_pfn(val)));

        return rc == 0 ? EMUL_OK : rc == -ERESTART ? EMUL_RETRY : EMUL_UNHANDLEABLE;
    }
    case 4:
        return set_cr4(v, val);
    default:
        return EMUL_UNHANDLEABLE;
    }
}

static int read_dr(struct emul_ctxt *c, unsigned int dr, uint64_t *val)
{
    const struct vcpu *v = c->opaque;

    *val = v->pv.dr[dr == 4 || dr == 5 ? dr + 2 : dr];
    return EMUL_OK;
}

static int write_dr(struct emul_ctxt *c, unsigned int dr, uint64_t val)
{
    struct vcpu *v = c->opaque;

    return pv_set_debugreg(v, dr == 4 || dr == 5 ? dr + 2 : dr, val) == 0 ? EMUL_OK
                                                                          : EMUL_UNHANDLEABLE;
}

static int do_xsetbv(struct emul_ctxt *c, uint32_t index, uint64_t val)
{
    struct vcpu *v = c->opaque;

    uint64_t shown = pv_cpuid_xcr0(v);

    if (shown == 0) {
        return emul_fault(c, VEC_UD, 0);
    }
    if (index != 0 || !fpu_xcr0_is_valid(val) || (val & ~shown)) {
        return emul_fault(c, VEC_GP, 0);
    }
    v->pv.xcr0 = val;
    fpu_set_guest_xcr0(val);
    return EMUL_OK;
}

/* --------------------------------------------------------- odds and ends -- */

/* Kernels that clear IF mean "no events"; those that run here know how to say so, and popf says
 * nothing to us. */
static int set_interrupts(struct emul_ctxt *c, bool enable)
{
    const struct vcpu *v = c->opaque;

    (void)enable;
    return v->pv.iopl >= (c->is_kernel ? 1u : 3u) ? EMUL_OK : EMUL_UNHANDLEABLE;
}

static int read_tsc(struct emul_ctxt *c, uint64_t *tsc, uint32_t *aux)
{
    const struct vcpu *v = c->opaque;

    if (!c->is_kernel && (v->pv.cr4 & CR4_TSD)) {
        return EMUL_UNHANDLEABLE;
    }
    *tsc = v->domain->is_tsc_emulated ? domain_read_tsc(v->domain) : rdtsc();
    *aux = v->pv.tsc_aux;
    return EMUL_OK;
}

/* Caches are coherent for whoever has no devices; dom0 asks for its drivers. */
static int do_wbinvd(struct emul_ctxt *c)
{
    const struct vcpu *v = c->opaque;

    if (v->domain->is_hardware) {
        wbinvd();
    }
    return EMUL_OK;
}

static int do_hlt(struct emul_ctxt *c)
{
    evtchn_block(c->opaque);
    return EMUL_OK;
}

static const struct emul_ops priv_ops = {
    .read = read_memory,
    .write = write_memory,
    .read_io = pv_read_io,
    .write_io = pv_write_io,
    .set_interrupts = set_interrupts,
    .cpuid = pv_cpuid,
    .read_tsc = read_tsc,
    .read_msr = pv_read_msr,
    .write_msr = pv_write_msr,
    .read_cr = read_cr,
    .write_cr = write_cr,
    .read_dr = read_dr,
    .write_dr = write_dr,
    .xsetbv = do_xsetbv,
    .wbinvd = do_wbinvd,
    .hlt = do_hlt,
};

/* The emulator has answered: let the guest have it.  @vector: what it gets if the instruction is
 * none of ours. */
static void finish(struct vcpu *v, const struct emul_ctxt *c, int result, unsigned int vector,
                   uint32_t error)
{
    switch (result) {
    case EMUL_OK:
    case EMUL_RETRY:
        break;
    case EMUL_OK_TRAP:
        v->pv.dr[6] |= DR6_BS;
        pv_inject(v, VEC_DB, 0);
        break;
    case EMUL_FAULT:
        if (c->fault.vector == VEC_PF) {
            pv_inject_page_fault(v, c->fault.cr2, c->fault.error);
        } else {
            pv_inject(v, c->fault.vector, c->fault.error);
        }
        break;
    default:
        pv_inject(v, vector, error);
        break;
    }
}

static void emulate(struct vcpu *v, const struct emul_fetch *f, unsigned int vector, uint32_t error)
{
    struct emul_ctxt c = { .regs = &v->regs,
                           .ops = &priv_ops,
                           .opaque = v,
                           .mode = code_mode(v),
                           .is_kernel = v->in_kernel };

    finish(v, &c, emul_run_priv(&c, f), vector, error);
}

void pv_emulate_priv(struct vcpu *v, unsigned int vector, uint32_t error)
{
    struct emul_fetch f;

    fetch(v, &f);
    emulate(v, &f, vector, error);
}

/* A forced CPUID is always the same bytes; what is odd about it goes the long way. */
void pv_emulate_ud(struct vcpu *v)
{
    struct cpu_user_regs *r = &v->regs;
    struct emul_fetch f;
    uint32_t out[4];

    fetch(v, &f);
    if (unlikely(r->cs != FLAT_KERNEL_CS || (r->rflags & RFLAGS_TF) ||
                 f.nr < EMUL_FORCED_CPUID_LENGTH || !emul_is_forced_cpuid(&f))) {
        emulate(v, &f, VEC_UD, 0);
        return;
    }
    pv_cpuid_of(v, (uint32_t)r->rax, (uint32_t)r->rcx, out);
    r->rax = out[0];
    r->rbx = out[1];
    r->rcx = out[2];
    r->rdx = out[3];
    r->rip += EMUL_FORCED_CPUID_LENGTH;
    r->rflags &= ~(uint64_t)RFLAGS_RF;
}

/* ----------------------------------------------------- page-table writes -- */

static int table_read(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val)
{
    return read_memory(c, addr, bytes, val);
}

static int table_cmpxchg(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *old,
                         uint64_t val)
{
    bool is_swapped;

    if (addr & (bytes - 1)) {
        return EMUL_UNHANDLEABLE;
    }
    switch (mmu_write_table(c->opaque, addr, old, val, bytes, &is_swapped)) {
    case 0:
        return EMUL_OK;
    case -ERESTART:
        return EMUL_RETRY;
    default:
        return EMUL_UNHANDLEABLE;
    }
}

static int table_write(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t val)
{
    uint64_t old = 0;
    int rc = read_memory(c, addr, bytes, &old);

    while (rc == EMUL_OK) {
        uint64_t seen = old;

        rc = table_cmpxchg(c, addr, bytes, &seen, val);
        if (rc != EMUL_OK || seen == old) {
            break;
        }
        old = seen;
    }
    return rc;
}

static int table_xchg(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val)
{
    uint64_t old = 0;
    int rc = read_memory(c, addr, bytes, &old);

    while (rc == EMUL_OK) {
        uint64_t seen = old;

        rc = table_cmpxchg(c, addr, bytes, &seen, *val);
        if (rc != EMUL_OK || seen == old) {
            break;
        }
        old = seen;
    }
    *val = old;
    return rc;
}

static const struct emul_ops table_ops = {
    .read = table_read,
    .write = table_write,
    .xchg = table_xchg,
    .cmpxchg = table_cmpxchg,
};

bool pv_emulate_pt_write(struct vcpu *v, uint64_t addr)
{
    struct emul_ctxt c = {
        .regs = &v->regs, .ops = &table_ops, .opaque = v, .mode = EMUL_MODE_64, .is_kernel = true
    };
    struct emul_fetch f;
    int result;

    (void)addr; /* the instruction names it again, and mmu_write_table() looks it up */
    fetch(v, &f);
    result = emul_run(&c, &f);
    if (result == EMUL_UNHANDLEABLE || result == EMUL_FETCH || result == EMUL_FAULT) {
        return false;
    }
    finish(v, &c, result, VEC_PF, 0);
    return true;
}
