/* SPDX-License-Identifier: MIT */
/*
 * Between the files of the emulator: register access, exceptions, flags, and
 * what the table of executors in exec.c needs to see.
 */
#pragma once

#include "emul/emul.h"

#define VECTOR_UD 6
#define VECTOR_SS 12
#define VECTOR_GP 13

#define RFLAGS_CF (1ul << 0)
#define RFLAGS_PF (1ul << 2)
#define RFLAGS_AF (1ul << 4)
#define RFLAGS_ZF (1ul << 6)
#define RFLAGS_SF (1ul << 7)
#define RFLAGS_TF (1ul << 8)
#define RFLAGS_DF (1ul << 10)
#define RFLAGS_OF (1ul << 11)
#define RFLAGS_RF (1ul << 16)

#define REG_OFFSET(name) ((uint8_t)offsetof(struct cpu_user_regs, name))

/* Byte offsets of the general registers, in the order of their numbers. */
extern const uint8_t emul_gpr[16];

/* By operand size. */
extern const uint64_t emul_mask[9];

/* The eight bytes at offset @reg: the caller masks them to the operand's size. */
static inline uint64_t reg_read(const struct cpu_user_regs *regs, uint8_t reg)
{
    uint64_t val;

    __builtin_memcpy(&val, (const uint8_t *)regs + reg, sizeof(val));
    return val;
}

/* Writing 4 bytes clears the upper half, writing fewer keeps the rest. */
static inline void reg_write(struct cpu_user_regs *regs, uint8_t reg, unsigned int bytes,
                             uint64_t val)
{
    uint8_t *at = (uint8_t *)regs + reg;

    if (likely(bytes >= 4)) {
        val &= emul_mask[bytes];
        __builtin_memcpy(at, &val, 8);
    } else if (bytes == 2) {
        __builtin_memcpy(at, &val, 2);
    } else {
        *at = (uint8_t)val;
    }
}

/* What emul_linear() does in 32-bit mode, and for FS and GS. */
int emul_segment_linear(struct emul_ctxt *c, enum emul_seg seg, uint64_t offset, unsigned int bytes,
                        bool is_write, uint64_t *addr) must_check;

/* Canonical addresses plus 2^47 are below 2^48, and both ends lie in the same half. */
static always_inline bool emul_is_canonical(uint64_t addr, unsigned int bytes)
{
    uint64_t last = addr + bytes - 1;

    return !(((addr + (1ul << 47)) >> 48) | ((addr ^ last) >> 47));
}

/* #GP or #SS if an access to @addr is not canonical or wraps around. */
static always_inline int emul_canonical(struct emul_ctxt *c, enum emul_seg seg, uint64_t addr,
                                        unsigned int bytes)
{
    if (unlikely(!emul_is_canonical(addr, bytes))) {
        return emul_fault(c, seg == EMUL_SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
    }
    return EMUL_OK;
}

/* The linear address of @offset in @seg, checked for an access of @bytes. */
static always_inline int emul_linear(struct emul_ctxt *c, enum emul_seg seg, uint64_t offset,
                                     unsigned int bytes, bool is_write, uint64_t *addr)
{
    if (unlikely(c->mode != EMUL_MODE_64 || seg >= EMUL_SEG_FS)) {
        return emul_segment_linear(c, seg, offset, bytes, is_write, addr);
    }
    *addr = offset;
    return emul_canonical(c, seg, offset, bytes);
}

/*
 * The result of @op (add ... btc; btx take the bit's number in @src) on @dst
 * and @src, zero-extended from @bytes; the flags go to *@rflags.
 */
uint64_t emul_alu(enum emul_op op, uint64_t dst, uint64_t src, unsigned int bytes,
                  uint64_t *rflags);

/*
 * Replace what is at @addr by the result of @op with @src, and set the flags;
 * *@old is what was there.
 */
int emul_modify(struct emul_ctxt *c, enum emul_op op, uint64_t addr, unsigned int bytes,
                uint64_t src, uint64_t *old) must_check;

/* The instruction is done: go on behind it. */
static always_inline int emul_finish(struct emul_ctxt *c, unsigned int length)
{
    struct cpu_user_regs *regs = c->regs;
    uint64_t next = regs->rip + length;

    regs->rip = likely(c->mode == EMUL_MODE_64) ? next : (uint32_t)next;
    regs->rflags &= ~RFLAGS_RF;
    return unlikely(regs->rflags & RFLAGS_TF) ? EMUL_OK_TRAP : EMUL_OK;
}

/* emul_run() and emul_run_priv() for all that has no short cut. */
int emul_run_tables(struct emul_ctxt *c, const struct emul_fetch *f) must_check;
int emul_run_priv_tables(struct emul_ctxt *c, const struct emul_fetch *f) must_check;

typedef int emul_exec_fn(struct emul_ctxt *c, const struct emul_insn *insn);

emul_exec_fn emul_exec_movs, emul_exec_stos, emul_exec_ins, emul_exec_outs;
emul_exec_fn emul_exec_in, emul_exec_out, emul_exec_interrupts, emul_exec_hlt, emul_exec_clts;
emul_exec_fn emul_exec_read_cr, emul_exec_write_cr, emul_exec_read_dr, emul_exec_write_dr;
emul_exec_fn emul_exec_rdmsr, emul_exec_wrmsr, emul_exec_rdtsc, emul_exec_rdpmc;
emul_exec_fn emul_exec_wbinvd, emul_exec_xsetbv, emul_exec_cpuid;

/* What an executor returns when the string instruction has units left: rip stays. */
#define EXEC_AGAIN (EMUL_FETCH + 1)
