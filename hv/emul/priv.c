/* SPDX-License-Identifier: MIT */
/*
 * Executors of the instructions that trap outside ring 0.  Each fetches its
 * operands from registers, calls its op, and puts the result back; what is
 * allowed and what it means is the op's business, but that only the guest's
 * kernel gets to the privileged ones emul_exec() has seen to.
 */
#include "emul/internal.h"

#define CR0_TS (1ul << 3)

/* edx:eax, the way of all wide results. */
static void write_pair(struct cpu_user_regs *regs, uint64_t val)
{
    regs->rax = (uint32_t)val;
    regs->rdx = val >> 32;
}

static uint64_t read_pair(const struct cpu_user_regs *regs)
{
    return regs->rdx << 32 | (uint32_t)regs->rax;
}

static uint16_t port(const struct emul_ctxt *c, const struct emul_insn *insn)
{
    return (uint16_t)(insn->reg == EMUL_REG_NONE ? insn->imm : c->regs->rdx);
}

int emul_exec_in(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint32_t val;
    int rc;

    if (!c->ops->read_io) {
        return EMUL_UNHANDLEABLE;
    }
    rc = c->ops->read_io(c, port(c, insn), insn->bytes, &val);
    if (!rc) {
        reg_write(c->regs, REG_OFFSET(rax), insn->bytes, val);
    }
    return rc;
}

int emul_exec_out(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint32_t val = (uint32_t)(c->regs->rax & emul_mask[insn->bytes]);

    if (!c->ops->write_io) {
        return EMUL_UNHANDLEABLE;
    }
    return c->ops->write_io(c, port(c, insn), insn->bytes, val);
}

int emul_exec_interrupts(struct emul_ctxt *c, const struct emul_insn *insn)
{
    if (!c->ops->set_interrupts) {
        return EMUL_UNHANDLEABLE;
    }
    return c->ops->set_interrupts(c, insn->op == EMUL_OP_STI);
}

int emul_exec_hlt(struct emul_ctxt *c, const struct emul_insn *insn)
{
    return c->ops->hlt ? c->ops->hlt(c) : EMUL_UNHANDLEABLE;
}

int emul_exec_wbinvd(struct emul_ctxt *c, const struct emul_insn *insn)
{
    return c->ops->wbinvd ? c->ops->wbinvd(c) : EMUL_UNHANDLEABLE;
}

int emul_exec_clts(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t cr0;
    int rc;

    if (!c->ops->read_cr || !c->ops->write_cr) {
        return EMUL_UNHANDLEABLE;
    }
    rc = c->ops->read_cr(c, 0, &cr0);
    return rc ? rc : c->ops->write_cr(c, 0, cr0 & ~CR0_TS);
}

int emul_exec_read_cr(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t val;
    int rc = c->ops->read_cr ? c->ops->read_cr(c, insn->number, &val) : EMUL_UNHANDLEABLE;

    if (!rc) {
        reg_write(c->regs, insn->reg, insn->bytes, val);
    }
    return rc;
}

int emul_exec_write_cr(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t val = reg_read(c->regs, insn->reg) & emul_mask[insn->bytes];

    return c->ops->write_cr ? c->ops->write_cr(c, insn->number, val) : EMUL_UNHANDLEABLE;
}

int emul_exec_read_dr(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t val;
    int rc = c->ops->read_dr ? c->ops->read_dr(c, insn->number, &val) : EMUL_UNHANDLEABLE;

    if (!rc) {
        reg_write(c->regs, insn->reg, insn->bytes, val);
    }
    return rc;
}

int emul_exec_write_dr(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t val = reg_read(c->regs, insn->reg) & emul_mask[insn->bytes];

    return c->ops->write_dr ? c->ops->write_dr(c, insn->number, val) : EMUL_UNHANDLEABLE;
}

int emul_exec_rdmsr(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t val;
    int rc;

    if (!c->ops->read_msr) {
        return EMUL_UNHANDLEABLE;
    }
    rc = c->ops->read_msr(c, (uint32_t)c->regs->rcx, &val);
    if (!rc) {
        write_pair(c->regs, val);
    }
    return rc;
}

int emul_exec_wrmsr(struct emul_ctxt *c, const struct emul_insn *insn)
{
    if (!c->ops->write_msr) {
        return EMUL_UNHANDLEABLE;
    }
    return c->ops->write_msr(c, (uint32_t)c->regs->rcx, read_pair(c->regs));
}

int emul_exec_xsetbv(struct emul_ctxt *c, const struct emul_insn *insn)
{
    if (!c->ops->xsetbv) {
        return EMUL_UNHANDLEABLE;
    }
    return c->ops->xsetbv(c, (uint32_t)c->regs->rcx, read_pair(c->regs));
}

int emul_exec_rdtsc(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t tsc;
    uint32_t aux;
    int rc = c->ops->read_tsc ? c->ops->read_tsc(c, &tsc, &aux) : EMUL_UNHANDLEABLE;

    if (rc) {
        return rc;
    }
    write_pair(c->regs, tsc);
    if (insn->op == EMUL_OP_RDTSCP) {
        c->regs->rcx = aux;
    }
    return EMUL_OK;
}

int emul_exec_rdpmc(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t val;
    int rc;

    if (!c->ops->read_pmc) {
        return EMUL_UNHANDLEABLE;
    }
    rc = c->ops->read_pmc(c, (uint32_t)c->regs->rcx, &val);
    if (!rc) {
        write_pair(c->regs, val);
    }
    return rc;
}

int emul_exec_cpuid(struct emul_ctxt *c, const struct emul_insn *insn)
{
    struct cpu_user_regs *regs = c->regs;
    uint32_t out[4];
    int rc;

    if (!c->ops->cpuid) {
        return EMUL_UNHANDLEABLE;
    }
    rc = c->ops->cpuid(c, (uint32_t)regs->rax, (uint32_t)regs->rcx, out);
    if (!rc) {
        regs->rax = out[0];
        regs->rbx = out[1];
        regs->rcx = out[2];
        regs->rdx = out[3];
    }
    return rc;
}
