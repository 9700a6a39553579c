/* SPDX-License-Identifier: MIT */
/*
 * Short cuts for what guests do all the time: kernels clear and protect their
 * page-table entries with
 *
 *     xchg %r64, disp(%r64)    mov %r64, disp(%r64)    lock andb $imm, disp(%r64)
 *
 * and use ports, MSRs, and CPUID with the forced-emulation prefix.  The former
 * are decoded and executed in one go, in less than half the instructions that
 * the tables take; the latter are recognised as they stand.
 * Only the plain case is seen to; whatever is odd, an exception above all, is
 * left as it was and goes the long way, which decides.
 */
#include "emul/internal.h"

#define REX_W 0x08u
#define REX_R 0x04u
#define REX_X 0x02u
#define REX_B 0x01u

/*
 * The address of a memory operand without an index, ModRM at @at.  Returns the
 * position behind it, or NULL when it is of another kind.
 */
static always_inline const uint8_t *plain_operand(const struct emul_ctxt *c, const uint8_t *at,
                                                  unsigned int rex, uint64_t *addr)
{
    unsigned int modrm = *at++;
    unsigned int rm = modrm & 7;
    uint64_t ea = reg_read(c->regs, emul_gpr[rm | (rex & REX_B) << 3]);
    int32_t disp;

    if (rm == 4 && (*at++ != 0x24 || rex & REX_X)) { /* SIB: rsp or r12, no index */
        return NULL;
    }
    if (modrm < 0x40) {
        if (unlikely(rm == 5)) {
            return NULL; /* relative to rip */
        }
    } else if (modrm < 0x80) {
        ea += (uint64_t)(int8_t)*at++;
    } else if (modrm < 0xc0) {
        __builtin_memcpy(&disp, at, sizeof(disp));
        ea += (uint64_t)disp;
        at += sizeof(disp);
    } else {
        return NULL;
    }
    *addr = ea;
    return emul_is_canonical(ea, 8) ? at : NULL;
}

/* mov and xchg of eight bytes: @f begins with a REX that has W. */
static always_inline int hot_store(struct emul_ctxt *c, const struct emul_fetch *f)
{
    unsigned int rex = f->byte[0];
    unsigned int op = f->byte[1];
    uint8_t reg = emul_gpr[((f->byte[2] >> 3) & 7) | (rex & REX_R) << 1];
    uint64_t val = reg_read(c->regs, reg);
    const uint8_t *end;
    uint64_t addr;
    int rc;

    if ((op != 0x87 && op != 0x89) || !c->ops->xchg || !c->ops->write) {
        return emul_run_tables(c, f);
    }
    end = plain_operand(c, f->byte + 2, rex, &addr);
    if (unlikely(!end || end > f->byte + f->nr)) {
        return emul_run_tables(c, f);
    }
    rc = op == 0x87 ? c->ops->xchg(c, addr, 8, &val) : c->ops->write(c, addr, 8, val);
    if (unlikely(rc)) {
        return rc;
    }
    __builtin_memcpy((uint8_t *)c->regs + reg, &val, sizeof(val)); /* mov: what it was */
    return emul_finish(c, (unsigned int)(end - f->byte));
}

/* lock andb $imm: @f begins with the lock. */
static int hot_lock_andb(struct emul_ctxt *c, const struct emul_fetch *f)
{
    const uint8_t *at = f->byte + 1;
    unsigned int rex = 0;
    uint64_t addr, old;
    int rc;

    if ((*at & 0xf0) == 0x40) {
        rex = *at++;
    }
    if (at[0] != 0x80 || (at[1] & 0x38) != 0x20) {
        return emul_run_tables(c, f);
    }
    at = plain_operand(c, at + 1, rex, &addr);
    if (unlikely(!at || at + 1 > f->byte + f->nr)) {
        return emul_run_tables(c, f);
    }
    rc = emul_modify(c, EMUL_OP_AND, addr, 1, *at, &old);
    return unlikely(rc) ? rc : emul_finish(c, (unsigned int)(at + 1 - f->byte));
}

int emul_run(struct emul_ctxt *c, const struct emul_fetch *f)
{
    if (likely(c->mode == EMUL_MODE_64)) {
        if (likely((f->byte[0] & 0xf8) == (0x40 | REX_W))) {
            return hot_store(c, f);
        }
        if (f->byte[0] == 0xf0) {
            return hot_lock_andb(c, f);
        }
    }
    return emul_run_tables(c, f);
}

/* Instructions without operands are always the same bytes, and need no decoding. */
#define FIXED(name, size, len)                                                                     \
    {                                                                                              \
        .op = EMUL_OP_##name, .bytes = (size), .length = (len), .reg = REG_OFFSET(rax)             \
    }

static const struct emul_insn rdmsr = FIXED(RDMSR, 4, 2), wrmsr = FIXED(WRMSR, 4, 2);
/* With the port in dx: 0xec to 0xef. */
static const struct emul_insn in_out[4] = {
    FIXED(IN, 1, 1),
    FIXED(IN, 4, 1),
    FIXED(OUT, 1, 1),
    FIXED(OUT, 4, 1),
};

int emul_run_priv(struct emul_ctxt *c, const struct emul_fetch *f)
{
    const struct emul_insn *insn;

    if ((f->byte[0] & 0xfc) == 0xec) {
        insn = &in_out[f->byte[0] & 3];
    } else if (f->byte[0] != 0x0f) {
        return emul_run_priv_tables(c, f);
    } else if (emul_is_forced_cpuid(f) && f->nr >= EMUL_FORCED_CPUID_LENGTH) {
        int rc = emul_exec_cpuid(c, NULL);

        return unlikely(rc) ? rc : emul_finish(c, EMUL_FORCED_CPUID_LENGTH);
    } else if ((f->byte[1] & 0xfd) == 0x30) {
        insn = f->byte[1] == 0x30 ? &wrmsr : &rdmsr;
    } else {
        return emul_run_priv_tables(c, f);
    }
    return likely(insn->length <= f->nr) ? emul_exec(c, insn) : emul_run_priv_tables(c, f);
}
