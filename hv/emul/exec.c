/* SPDX-License-Identifier: MIT */
/*
 * Execution: addresses, the instructions with a memory destination, and the
 * table that leads from operations to their executors.
 *
 * An executor calls ops first and changes registers last, so that a fault or a
 * retry finds the guest as it was before the instruction.  A read-modify-write
 * reads, computes, and compare-exchanges; when memory changed in between, the
 * guest goes back to the instruction and we see it again.
 */
#include "emul/internal.h"

int emul_fault(struct emul_ctxt *c, uint8_t vector, uint32_t error)
{
    /* #DF, #TS, #NP, #SS, #GP, #PF, #AC */
    c->fault = (struct emul_fault){
        .vector = vector,
        .has_error = vector < 32 && ((0x00027d00u >> vector) & 1),
        .error = error,
    };
    return EMUL_FAULT;
}

int emul_page_fault(struct emul_ctxt *c, uint64_t addr, uint32_t error)
{
    c->fault = (struct emul_fault){ .vector = 14, .has_error = true, .error = error, .cr2 = addr };
    return EMUL_FAULT;
}

int emul_segment_linear(struct emul_ctxt *c, enum emul_seg seg, uint64_t offset, unsigned int bytes,
                        bool is_write, uint64_t *addr)
{
    struct emul_segment s = { .last = UINT32_MAX, .is_writable = true };

    if (c->ops->segment) {
        int rc = c->ops->segment(c, seg, &s);

        if (rc) {
            return rc;
        }
    } else if (c->mode == EMUL_MODE_64) {
        return EMUL_UNHANDLEABLE;
    }
    if (c->mode == EMUL_MODE_64) { /* nothing but a base */
        *addr = s.base + offset;
        return emul_canonical(c, seg, *addr, bytes);
    }
    offset = (uint32_t)offset;
    if (offset < s.first || offset + bytes - 1 > s.last || (is_write && !s.is_writable)) {
        return emul_fault(c, seg == EMUL_SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
    }
    *addr = (uint32_t)(s.base + offset);
    return EMUL_OK;
}

static always_inline uint64_t effective_address(const struct emul_ctxt *c,
                                                const struct emul_insn *insn)
{
    uint64_t ea = (uint64_t)insn->disp;

    if (likely(insn->base != EMUL_REG_NONE)) {
        ea += reg_read(c->regs, insn->base);
    }
    if (insn->index != EMUL_REG_NONE) {
        ea += reg_read(c->regs, insn->index) << insn->scale;
    }
    return unlikely(insn->flags & EMUL_ADDR32) ? (uint32_t)ea : ea;
}

/* The linear address of the memory operand. */
static always_inline int operand(struct emul_ctxt *c, const struct emul_insn *insn, uint64_t *addr)
{
    return emul_linear(c, insn->seg, effective_address(c, insn), insn->bytes, true, addr);
}

static always_inline uint64_t source(const struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t val = insn->reg == EMUL_REG_NONE ? insn->imm : reg_read(c->regs, insn->reg);

    return val & emul_mask[insn->bytes];
}

static int exec_mov(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t addr;
    int rc = operand(c, insn, &addr);

    if (rc || !c->ops->write) {
        return rc ? rc : EMUL_UNHANDLEABLE;
    }
    return c->ops->write(c, addr, insn->bytes, source(c, insn));
}

static int exec_xchg(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t val = source(c, insn);
    uint64_t addr;
    int rc = operand(c, insn, &addr);

    if (rc || !c->ops->xchg) {
        return rc ? rc : EMUL_UNHANDLEABLE;
    }
    rc = c->ops->xchg(c, addr, insn->bytes, &val);
    if (likely(!rc)) {
        reg_write(c->regs, insn->reg, insn->bytes, val);
    }
    return rc;
}

int emul_modify(struct emul_ctxt *c, enum emul_op op, uint64_t addr, unsigned int bytes,
                uint64_t src, uint64_t *old)
{
    uint64_t rflags = c->regs->rflags;
    uint64_t val, seen;
    int rc;

    if (!c->ops->read || !c->ops->cmpxchg) {
        return EMUL_UNHANDLEABLE;
    }
    rc = c->ops->read(c, addr, bytes, old);
    if (rc) {
        return rc;
    }
    val = emul_alu(op, *old, src, bytes, &rflags);
    seen = *old;
    rc = c->ops->cmpxchg(c, addr, bytes, &seen, val);
    if (rc || seen != *old) {
        return rc ? rc : EMUL_RETRY;
    }
    c->regs->rflags = rflags;
    return EMUL_OK;
}

static int exec_alu(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t addr, old;
    int rc = operand(c, insn, &addr);

    return rc ? rc : emul_modify(c, insn->op, addr, insn->bytes, source(c, insn), &old);
}

/*
 * bts, btr, btc.  A bit number from a register is signed and reaches beyond the
 * operand, one from the instruction does not (SDM vol. 2, 3.1.1.9).
 */
static int exec_bit(struct emul_ctxt *c, const struct emul_insn *insn)
{
    unsigned int bits = insn->bytes * 8;
    uint64_t src = source(c, insn);
    uint64_t ea = effective_address(c, insn);
    uint64_t addr, old;
    int rc;

    if (insn->reg != EMUL_REG_NONE) {
        int64_t bit = (int64_t)(src << (64 - bits)) >> (64 - bits);

        ea += (uint64_t)((bit & -(int64_t)bits) / 8);
        ea = insn->flags & EMUL_ADDR32 ? (uint32_t)ea : ea;
    }
    rc = emul_linear(c, insn->seg, ea, insn->bytes, true, &addr);
    return rc ? rc : emul_modify(c, insn->op, addr, insn->bytes, src & (bits - 1), &old);
}

static int exec_xadd(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t addr, old;
    int rc = operand(c, insn, &addr);

    if (!rc) {
        rc = emul_modify(c, EMUL_OP_ADD, addr, insn->bytes, source(c, insn), &old);
    }
    if (!rc) {
        reg_write(c->regs, insn->reg, insn->bytes, old);
    }
    return rc;
}

static int exec_cmpxchg(struct emul_ctxt *c, const struct emul_insn *insn)
{
    uint64_t expected = c->regs->rax & emul_mask[insn->bytes];
    uint64_t seen = expected;
    uint64_t addr;
    int rc = operand(c, insn, &addr);

    if (rc || !c->ops->cmpxchg) {
        return rc ? rc : EMUL_UNHANDLEABLE;
    }
    rc = c->ops->cmpxchg(c, addr, insn->bytes, &seen, source(c, insn));
    if (rc) {
        return rc;
    }
    emul_alu(EMUL_OP_SUB, expected, seen, insn->bytes, &c->regs->rflags);
    if (seen != expected) {
        reg_write(c->regs, REG_OFFSET(rax), insn->bytes, seen);
    }
    return EMUL_OK;
}

/* Who executes what, and whether only the guest's kernel may. */
static const struct {
    emul_exec_fn *exec;
    bool is_privileged;
} executors[EMUL_NR_OPS] = {
    [EMUL_OP_ADD... EMUL_OP_DEC] = { exec_alu, false },
    [EMUL_OP_BTS... EMUL_OP_BTC] = { exec_bit, false },
    [EMUL_OP_MOV] = { exec_mov, false },
    [EMUL_OP_XCHG] = { exec_xchg, false },
    [EMUL_OP_CMPXCHG] = { exec_cmpxchg, false },
    [EMUL_OP_XADD] = { exec_xadd, false },
    [EMUL_OP_MOVS] = { emul_exec_movs, false },
    [EMUL_OP_STOS] = { emul_exec_stos, false },
    [EMUL_OP_INS] = { emul_exec_ins, false },
    [EMUL_OP_OUTS] = { emul_exec_outs, false },
    [EMUL_OP_IN] = { emul_exec_in, false },
    [EMUL_OP_OUT] = { emul_exec_out, false },
    [EMUL_OP_CLI... EMUL_OP_STI] = { emul_exec_interrupts, false },
    [EMUL_OP_HLT] = { emul_exec_hlt, true },
    [EMUL_OP_CLTS] = { emul_exec_clts, true },
    [EMUL_OP_READ_CR] = { emul_exec_read_cr, true },
    [EMUL_OP_WRITE_CR] = { emul_exec_write_cr, true },
    [EMUL_OP_READ_DR] = { emul_exec_read_dr, true },
    [EMUL_OP_WRITE_DR] = { emul_exec_write_dr, true },
    [EMUL_OP_RDMSR] = { emul_exec_rdmsr, true },
    [EMUL_OP_WRMSR] = { emul_exec_wrmsr, true },
    [EMUL_OP_RDTSC... EMUL_OP_RDTSCP] = { emul_exec_rdtsc, false },
    [EMUL_OP_RDPMC] = { emul_exec_rdpmc, false },
    [EMUL_OP_WBINVD] = { emul_exec_wbinvd, true },
    [EMUL_OP_XSETBV] = { emul_exec_xsetbv, true },
    [EMUL_OP_CPUID] = { emul_exec_cpuid, false },
};

int emul_exec(struct emul_ctxt *c, const struct emul_insn *insn)
{
    int rc;

    if (unlikely(executors[insn->op].is_privileged && !c->is_kernel)) {
        return emul_fault(c, VECTOR_GP, 0);
    }
    rc = executors[insn->op].exec(c, insn);
    if (likely(rc == EMUL_OK)) {
        return emul_finish(c, insn->length);
    }
    return rc == EXEC_AGAIN ? emul_finish(c, 0) : rc;
}

static int decoded(struct emul_ctxt *c, const struct emul_insn *insn, int rc)
{
    if (likely(rc == EMUL_OK)) {
        return emul_exec(c, insn);
    }
    return rc == EMUL_FAULT ? emul_fault(c, insn->vector, 0) : rc;
}

int emul_run_tables(struct emul_ctxt *c, const struct emul_fetch *f)
{
    struct emul_insn insn;
    int rc = emul_decode(&insn, f, c->mode);

    return decoded(c, &insn, rc);
}

int emul_run_priv_tables(struct emul_ctxt *c, const struct emul_fetch *f)
{
    struct emul_insn insn;
    int rc = emul_decode_priv(&insn, f, c->mode);

    return decoded(c, &insn, rc);
}
