/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic with flags, as the processor has it (SDM vol. 1, 3.4.3.1 and
 * appendix A).  Carries are worked out for all bits at once: the top bit of the
 * vector gives CF, the operands' and result's exclusive or at bit 4 gives AF.
 * Flags that the manual leaves undefined: AF is cleared by logic, bts, btr and
 * btc change CF alone.
 */
#include "emul/internal.h"

#define ARITH_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static always_inline uint64_t result_flags(uint64_t val, uint64_t top)
{
    uint64_t flags = 0;

    flags |= val & top ? RFLAGS_SF : 0;
    flags |= val ? 0 : RFLAGS_ZF;
    flags |= __builtin_parity(val & 0xff) ? 0 : RFLAGS_PF;
    return flags;
}

static uint64_t add(uint64_t a, uint64_t b, uint64_t carry, unsigned int bytes, uint64_t *rflags)
{
    uint64_t top = 1ul << (8 * bytes - 1);
    uint64_t val = (a + b + carry) & emul_mask[bytes];
    uint64_t flags = result_flags(val, top);

    flags |= ((a & b) | ((a | b) & ~val)) & top ? RFLAGS_CF : 0;
    flags |= (a ^ val) & (b ^ val) & top ? RFLAGS_OF : 0;
    flags |= (a ^ b ^ val) & RFLAGS_AF;
    *rflags = (*rflags & ~ARITH_FLAGS) | flags;
    return val;
}

static uint64_t subtract(uint64_t a, uint64_t b, uint64_t borrow, unsigned int bytes,
                         uint64_t *rflags)
{
    uint64_t top = 1ul << (8 * bytes - 1);
    uint64_t val = (a - b - borrow) & emul_mask[bytes];
    uint64_t flags = result_flags(val, top);

    flags |= ((~a & b) | ((~a | b) & val)) & top ? RFLAGS_CF : 0;
    flags |= (a ^ b) & (a ^ val) & top ? RFLAGS_OF : 0;
    flags |= (a ^ b ^ val) & RFLAGS_AF;
    *rflags = (*rflags & ~ARITH_FLAGS) | flags;
    return val;
}

static uint64_t logic(uint64_t val, unsigned int bytes, uint64_t *rflags)
{
    *rflags = (*rflags & ~ARITH_FLAGS) | result_flags(val, 1ul << (8 * bytes - 1));
    return val;
}

/* inc and dec leave CF alone. */
static uint64_t keep_carry(uint64_t val, uint64_t carry, uint64_t *rflags)
{
    *rflags = (*rflags & ~RFLAGS_CF) | carry;
    return val;
}

static uint64_t change_bit(enum emul_op op, uint64_t dst, uint64_t bit, uint64_t *rflags)
{
    uint64_t mask = 1ul << bit;

    *rflags = (*rflags & ~RFLAGS_CF) | (dst & mask ? RFLAGS_CF : 0);
    return op == EMUL_OP_BTS ? dst | mask : op == EMUL_OP_BTR ? dst & ~mask : dst ^ mask;
}

uint64_t emul_alu(enum emul_op op, uint64_t dst, uint64_t src, unsigned int bytes, uint64_t *rflags)
{
    uint64_t carry = *rflags & RFLAGS_CF;

    switch (op) {
    case EMUL_OP_ADD:
        return add(dst, src, 0, bytes, rflags);
    case EMUL_OP_ADC:
        return add(dst, src, carry, bytes, rflags);
    case EMUL_OP_SUB:
        return subtract(dst, src, 0, bytes, rflags);
    case EMUL_OP_SBB:
        return subtract(dst, src, carry, bytes, rflags);
    case EMUL_OP_AND:
        return logic(dst & src, bytes, rflags);
    case EMUL_OP_OR:
        return logic(dst | src, bytes, rflags);
    case EMUL_OP_XOR:
        return logic(dst ^ src, bytes, rflags);
    case EMUL_OP_NEG:
        return subtract(0, dst, 0, bytes, rflags);
    case EMUL_OP_INC:
        return keep_carry(add(dst, 1, 0, bytes, rflags), carry, rflags);
    case EMUL_OP_DEC:
        return keep_carry(subtract(dst, 1, 0, bytes, rflags), carry, rflags);
    case EMUL_OP_NOT:
        return ~dst & emul_mask[bytes];
    default:
        return change_bit(op, dst, src, rflags);
    }
}
