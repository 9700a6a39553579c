/* SPDX-License-Identifier: MIT */
/*
 * String instructions: stos, movs, ins, outs.  One unit a call; with a rep the
 * count and the pointers move on and the instruction stays, which is what an
 * interrupted one looks like on the processor (SDM vol. 2, REP).
 */
#include "emul/internal.h"

static uint64_t address_register(const struct emul_ctxt *c, const struct emul_insn *insn,
                                 uint8_t reg)
{
    uint64_t val = reg_read(c->regs, reg);

    return insn->flags & EMUL_ADDR32 ? (uint32_t)val : val;
}

static bool is_used_up(const struct emul_ctxt *c, const struct emul_insn *insn)
{
    return insn->flags & EMUL_REP && !address_register(c, insn, REG_OFFSET(rcx));
}

/* Linear address of the unit at @seg:@reg. */
static int unit(struct emul_ctxt *c, const struct emul_insn *insn, enum emul_seg seg, uint8_t reg,
                uint64_t *addr)
{
    return emul_linear(c, seg, address_register(c, insn, reg), insn->bytes, reg == REG_OFFSET(rdi),
                       addr);
}

static void step(struct emul_ctxt *c, const struct emul_insn *insn, uint8_t reg)
{
    uint64_t val = reg_read(c->regs, reg);
    uint64_t bytes = insn->bytes;

    val += c->regs->rflags & RFLAGS_DF ? -bytes : bytes;
    reg_write(c->regs, reg, insn->flags & EMUL_ADDR32 ? 4 : 8, val);
}

/* A unit is done: count it, and say whether another is to follow. */
static int count(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t left = address_register(c, insn, REG_OFFSET(rcx)) - 1;

    if (!(insn->flags & EMUL_REP)) {
        return EMUL_OK;
    }
    reg_write(c->regs, REG_OFFSET(rcx), insn->flags & EMUL_ADDR32 ? 4 : 8, left);
    return left ? EXEC_AGAIN : EMUL_OK;
}

int emul_exec_stos(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t addr;
    int rc;

    if (is_used_up(c, insn)) {
        return EMUL_OK;
    }
    rc = unit(c, insn, EMUL_SEG_ES, REG_OFFSET(rdi), &addr);
    if (!rc) {
        rc = c->ops->write
                 ? c->ops->write(c, addr, insn->bytes, c->regs->rax & emul_mask[insn->bytes])
                 : EMUL_UNHANDLEABLE;
    }
    if (rc) {
        return rc;
    }
    step(c, insn, REG_OFFSET(rdi));
    return count(c, insn);
}

int emul_exec_movs(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t from, to, val;
    int rc;

    if (is_used_up(c, insn)) {
        return EMUL_OK;
    }
    if (!c->ops->read || !c->ops->write) {
        return EMUL_UNHANDLEABLE;
    }
    rc = unit(c, insn, insn->seg, REG_OFFSET(rsi), &from);
    rc = rc ? rc : unit(c, insn, EMUL_SEG_ES, REG_OFFSET(rdi), &to);
    rc = rc ? rc : c->ops->read(c, from, insn->bytes, &val);
    rc = rc ? rc : c->ops->write(c, to, insn->bytes, val);
    if (rc) {
        return rc;
    }
    step(c, insn, REG_OFFSET(rsi));
    step(c, insn, REG_OFFSET(rdi));
    return count(c, insn);
}

/*
 * Reading a port can have effects, so the destination is tried before it:
 * written with what it holds.
 */
int emul_exec_ins(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t to, held;
    uint32_t val;
    int rc;

    if (is_used_up(c, insn)) {
        return EMUL_OK;
    }
    if (!c->ops->read_io || !c->ops->read || !c->ops->write) {
        return EMUL_UNHANDLEABLE;
    }
    rc = unit(c, insn, EMUL_SEG_ES, REG_OFFSET(rdi), &to);
    rc = rc ? rc : c->ops->read(c, to, insn->bytes, &held);
    rc = rc ? rc : c->ops->write(c, to, insn->bytes, held);
    rc = rc ? rc : c->ops->read_io(c, (uint16_t)c->regs->rdx, insn->bytes, &val);
    rc = rc ? rc : c->ops->write(c, to, insn->bytes, val);
    if (rc) {
        return rc;
    }
    step(c, insn, REG_OFFSET(rdi));
    return count(c, insn);
}

int emul_exec_outs(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t from, val;
    int rc;

    if (is_used_up(c, insn)) {
        return EMUL_OK;
    }
    if (!c->ops->write_io || !c->ops->read) {
        return EMUL_UNHANDLEABLE;
    }
    rc = unit(c, insn, insn->seg, REG_OFFSET(rsi), &from);
    rc = rc ? rc : c->ops->read(c, from, insn->bytes, &val);
    rc = rc ? rc : c->ops->write_io(c, (uint16_t)c->regs->rdx, insn->bytes, (uint32_t)val);
    if (rc) {
        return rc;
    }
    step(c, insn, REG_OFFSET(rsi));
    return count(c, insn);
}
