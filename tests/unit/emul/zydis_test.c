/* SPDX-License-Identifier: MIT */
/* sources: hv/emul/decode.c hv/emul/exec.c hv/emul/hot.c hv/emul/alu.c
 * hv/emul/string.c hv/emul/priv.c */
/* libs: -lZydis */
/*
 * A second opinion on the decoders: random bytes, made likely to be of the
 * supported opcodes, go to ours and to Zydis.  What ours accepts must have the
 * same length, operation and operands there; what Zydis knows as one of our
 * instructions, ours must accept; what ours calls undefined, Zydis must reject.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <Zydis/Zydis.h>

#include "emul/emul.h"

#define ROUNDS 400000

static uint64_t seed = 0x2545f4914f6cdd1dull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed >> 11;
}

/* What Zydis calls our operations. */
static const struct name {
    ZydisMnemonic mnemonic;
    uint8_t op;
} names[] = {
    { ZYDIS_MNEMONIC_ADD, EMUL_OP_ADD },         { ZYDIS_MNEMONIC_OR, EMUL_OP_OR },
    { ZYDIS_MNEMONIC_ADC, EMUL_OP_ADC },         { ZYDIS_MNEMONIC_SBB, EMUL_OP_SBB },
    { ZYDIS_MNEMONIC_AND, EMUL_OP_AND },         { ZYDIS_MNEMONIC_SUB, EMUL_OP_SUB },
    { ZYDIS_MNEMONIC_XOR, EMUL_OP_XOR },         { ZYDIS_MNEMONIC_NOT, EMUL_OP_NOT },
    { ZYDIS_MNEMONIC_NEG, EMUL_OP_NEG },         { ZYDIS_MNEMONIC_INC, EMUL_OP_INC },
    { ZYDIS_MNEMONIC_DEC, EMUL_OP_DEC },         { ZYDIS_MNEMONIC_BTS, EMUL_OP_BTS },
    { ZYDIS_MNEMONIC_BTR, EMUL_OP_BTR },         { ZYDIS_MNEMONIC_BTC, EMUL_OP_BTC },
    { ZYDIS_MNEMONIC_MOV, EMUL_OP_MOV },         { ZYDIS_MNEMONIC_XCHG, EMUL_OP_XCHG },
    { ZYDIS_MNEMONIC_CMPXCHG, EMUL_OP_CMPXCHG }, { ZYDIS_MNEMONIC_XADD, EMUL_OP_XADD },
    { ZYDIS_MNEMONIC_MOVSB, EMUL_OP_MOVS },      { ZYDIS_MNEMONIC_MOVSW, EMUL_OP_MOVS },
    { ZYDIS_MNEMONIC_MOVSD, EMUL_OP_MOVS },      { ZYDIS_MNEMONIC_MOVSQ, EMUL_OP_MOVS },
    { ZYDIS_MNEMONIC_STOSB, EMUL_OP_STOS },      { ZYDIS_MNEMONIC_STOSW, EMUL_OP_STOS },
    { ZYDIS_MNEMONIC_STOSD, EMUL_OP_STOS },      { ZYDIS_MNEMONIC_STOSQ, EMUL_OP_STOS },
    { ZYDIS_MNEMONIC_INSB, EMUL_OP_INS },        { ZYDIS_MNEMONIC_INSW, EMUL_OP_INS },
    { ZYDIS_MNEMONIC_INSD, EMUL_OP_INS },        { ZYDIS_MNEMONIC_OUTSB, EMUL_OP_OUTS },
    { ZYDIS_MNEMONIC_OUTSW, EMUL_OP_OUTS },      { ZYDIS_MNEMONIC_OUTSD, EMUL_OP_OUTS },
    { ZYDIS_MNEMONIC_IN, EMUL_OP_IN },           { ZYDIS_MNEMONIC_OUT, EMUL_OP_OUT },
    { ZYDIS_MNEMONIC_CLI, EMUL_OP_CLI },         { ZYDIS_MNEMONIC_STI, EMUL_OP_STI },
    { ZYDIS_MNEMONIC_HLT, EMUL_OP_HLT },         { ZYDIS_MNEMONIC_CLTS, EMUL_OP_CLTS },
    { ZYDIS_MNEMONIC_RDMSR, EMUL_OP_RDMSR },     { ZYDIS_MNEMONIC_WRMSR, EMUL_OP_WRMSR },
    { ZYDIS_MNEMONIC_RDTSC, EMUL_OP_RDTSC },     { ZYDIS_MNEMONIC_RDTSCP, EMUL_OP_RDTSCP },
    { ZYDIS_MNEMONIC_RDPMC, EMUL_OP_RDPMC },     { ZYDIS_MNEMONIC_WBINVD, EMUL_OP_WBINVD },
    { ZYDIS_MNEMONIC_INVD, EMUL_OP_WBINVD },     { ZYDIS_MNEMONIC_XSETBV, EMUL_OP_XSETBV },
    { ZYDIS_MNEMONIC_CPUID, EMUL_OP_CPUID },
};

/* One sequence of bytes, and what Zydis makes of it. */
struct opinion {
    struct emul_fetch f;
    enum emul_mode mode;
    ZyanStatus status;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    uint8_t op;   /* ours, for its mnemonic; EMUL_OP_NONE: not one of ours */
    bool is_priv; /* op is of emul_decode_priv() */
};

static void disagree(const struct opinion *o, const char *about, long ours, long theirs)
{
    for (unsigned int i = 0; i < EMUL_INSN_MAX; i++) {
        print_error("%02x ", o->f.byte[i]);
    }
    print_error("(mode %d)\n", o->mode == EMUL_MODE_64 ? 64 : 32);
    fail_msg("%s: ours %#lx, Zydis %#lx", about, ours, theirs);
}

static void expect(const struct opinion *o, const char *about, long ours, long theirs)
{
    if (ours != theirs) {
        disagree(o, about, ours, theirs);
    }
}

static const uint8_t gpr[16] = {
    offsetof(struct cpu_user_regs, rax), offsetof(struct cpu_user_regs, rcx),
    offsetof(struct cpu_user_regs, rdx), offsetof(struct cpu_user_regs, rbx),
    offsetof(struct cpu_user_regs, rsp), offsetof(struct cpu_user_regs, rbp),
    offsetof(struct cpu_user_regs, rsi), offsetof(struct cpu_user_regs, rdi),
    offsetof(struct cpu_user_regs, r8),  offsetof(struct cpu_user_regs, r9),
    offsetof(struct cpu_user_regs, r10), offsetof(struct cpu_user_regs, r11),
    offsetof(struct cpu_user_regs, r12), offsetof(struct cpu_user_regs, r13),
    offsetof(struct cpu_user_regs, r14), offsetof(struct cpu_user_regs, r15),
};

static unsigned int register_offset(ZydisRegister reg)
{
    unsigned int n = (unsigned int)reg - ZYDIS_REGISTER_AL;

    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
        return n < 4 ? gpr[n] : n < 8 ? gpr[n - 4] + 1u : gpr[n - 4];
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        return gpr[ZydisRegisterGetId(reg)];
    case ZYDIS_REGCLASS_IP:
        return offsetof(struct cpu_user_regs, rip);
    default:
        return EMUL_REG_NONE;
    }
}

static void compare_memory(const struct opinion *o, const struct emul_insn *i,
                           const ZydisDecodedOperandMem *m)
{
    static const ZydisRegister segs[] = { ZYDIS_REGISTER_ES, ZYDIS_REGISTER_CS, ZYDIS_REGISTER_SS,
                                          ZYDIS_REGISTER_DS, ZYDIS_REGISTER_FS, ZYDIS_REGISTER_GS };
    int64_t disp = m->disp.value;

    if (register_offset(m->base) == offsetof(struct cpu_user_regs, rip)) {
        disp += i->length;
    }
    if (o->insn.raw.sib.base == 5 && o->insn.raw.modrm.mod == 0 && o->insn.raw.rex.B) {
        /* Zydis 4.0.0 sees r13; the processor, as native_test.c shows, a displacement alone. */
        expect(o, "base", i->base, EMUL_REG_NONE);
        return;
    }
    expect(o, "base", i->base, register_offset(m->base));
    expect(o, "index", i->index, register_offset(m->index));
    if (i->index != EMUL_REG_NONE) {
        expect(o, "scale", 1 << i->scale, m->scale);
    }
    if (i->flags & EMUL_ADDR32) { /* a displacement alone is not sign-extended there */
        expect(o, "displacement", (uint32_t)i->disp, (uint32_t)disp);
    } else {
        expect(o, "displacement", i->disp, disp);
    }
    expect(o, "segment", segs[i->seg], m->segment);
}

static void compare_source(const struct opinion *o, const struct emul_insn *i,
                           const ZydisDecodedOperand *s)
{
    if (s->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        bool is_bit = i->op >= EMUL_OP_BTS && i->op <= EMUL_OP_BTC; /* their sign is no matter */
        uint64_t mask = is_bit ? 0xff : ~0ull >> (64 - 8 * i->bytes);

        expect(o, "source", i->reg, EMUL_REG_NONE);
        expect(o, "immediate", (long)(i->imm & mask), (long)(s->imm.value.u & mask));
    } else if (s->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        expect(o, "source", i->reg, register_offset(s->reg.value));
    }
}

static void compare_destination(const struct opinion *o, const struct emul_insn *i)
{
    const ZydisDecodedOperand *dst = &o->operands[0], *src = &o->operands[1];
    bool is_swapped = i->op == EMUL_OP_XCHG && dst->type == ZYDIS_OPERAND_TYPE_REGISTER;

    expect(o, "size", i->bytes * 8, dst->size);
    if (i->op == EMUL_OP_MOVS) {
        expect(o, "segment", i->seg == EMUL_SEG_FS, src->mem.segment == ZYDIS_REGISTER_FS);
        expect(o, "segment", i->seg == EMUL_SEG_GS, src->mem.segment == ZYDIS_REGISTER_GS);
        return;
    }
    if (i->op == EMUL_OP_STOS) {
        return;
    }
    compare_memory(o, i, is_swapped ? &src->mem : &dst->mem);
    if (o->insn.operand_count_visible > 1) {
        compare_source(o, i, is_swapped ? dst : src);
    }
}

static void compare_priv(const struct opinion *o, const struct emul_insn *i)
{
    const ZydisDecodedOperand *to = &o->operands[0], *from = &o->operands[1];
    bool is_read = i->op == EMUL_OP_READ_CR || i->op == EMUL_OP_READ_DR;

    switch (i->op) {
    case EMUL_OP_READ_CR:
    case EMUL_OP_READ_DR:
    case EMUL_OP_WRITE_CR:
    case EMUL_OP_WRITE_DR:
        expect(o, "number", i->number, ZydisRegisterGetId((is_read ? from : to)->reg.value));
        expect(o, "register", i->reg, register_offset((is_read ? to : from)->reg.value));
        expect(o, "size", i->bytes * 8, to->size);
        break;
    case EMUL_OP_IN:
        compare_source(o, i, from->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? from : to);
        expect(o, "size", i->bytes * 8, to->size);
        break;
    case EMUL_OP_OUT:
        compare_source(o, i, to->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? to : from);
        expect(o, "size", i->bytes * 8, from->size);
        break;
    case EMUL_OP_INS:
        expect(o, "size", i->bytes * 8, to->size);
        break;
    case EMUL_OP_OUTS:
        expect(o, "size", i->bytes * 8, from->size);
        break;
    }
}

/* Which of our operations Zydis has seen; mov is one name for many. */
static uint8_t their_op(const struct opinion *o)
{
    const ZydisDecodedOperand *op = o->operands;

    if (o->insn.mnemonic == ZYDIS_MNEMONIC_MOV) {
        for (int i = 0; i < 2; i++) {
            if (op[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
                ZydisRegisterClass class = ZydisRegisterGetClass(op[i].reg.value);

                if (class == ZYDIS_REGCLASS_CONTROL) {
                    return i ? EMUL_OP_READ_CR : EMUL_OP_WRITE_CR;
                }
                if (class == ZYDIS_REGCLASS_DEBUG) {
                    return i ? EMUL_OP_READ_DR : EMUL_OP_WRITE_DR;
                }
                if (class == ZYDIS_REGCLASS_SEGMENT) {
                    return EMUL_OP_NONE;
                }
            }
        }
    }
    if (o->insn.mnemonic == ZYDIS_MNEMONIC_MOVSD &&
        o->insn.meta.category != ZYDIS_CATEGORY_STRINGOP) {
        return EMUL_OP_NONE; /* moves a double */
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].mnemonic == o->insn.mnemonic) {
            return names[i].op;
        }
    }
    return EMUL_OP_NONE;
}

/* Must emul_decode() accept it: one of ours, writing memory, by addresses of 32 or 64 bits? */
static bool is_ours(const struct opinion *o)
{
    bool is_memory = o->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ||
                     (o->insn.mnemonic == ZYDIS_MNEMONIC_XCHG &&
                      o->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY);

    if (!ZYAN_SUCCESS(o->status) || !o->op || o->insn.address_width == 16 ||
        o->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
        return false;
    }
    return o->is_priv || (is_memory && !(o->insn.opcode == 0x82));
}

static void ask_zydis(struct opinion *o)
{
    static ZydisDecoder decoders[2];

    if (!decoders[0].stack_width) {
        ZydisDecoderInit(&decoders[EMUL_MODE_32], ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                         ZYDIS_STACK_WIDTH_32);
        ZydisDecoderInit(&decoders[EMUL_MODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    }
    memset(o->operands, 0, sizeof(o->operands));
    o->op = EMUL_OP_NONE;
    o->status = ZydisDecoderDecodeFull(&decoders[o->mode], o->f.byte, sizeof(o->f.byte), &o->insn,
                                       o->operands);
    if (ZYAN_SUCCESS(o->status)) {
        o->op = their_op(o);
    }
    o->is_priv = o->op >= EMUL_OP_INS;
}

static void check(struct opinion *o, bool is_priv)
{
    struct emul_insn i;
    int rc = is_priv ? emul_decode_priv(&i, &o->f, o->mode) : emul_decode(&i, &o->f, o->mode);

    switch (rc) {
    case EMUL_OK:
        if (!ZYAN_SUCCESS(o->status)) {
            disagree(o, "accepted", rc, (long)o->status);
        }
        expect(o, "operation", i.op, o->op);
        expect(o, "length", i.length, o->insn.length);
        expect(o, "lock", !!(i.flags & EMUL_LOCKED),
               !!(o->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK));
        if (is_priv) {
            compare_priv(o, &i);
        } else {
            compare_destination(o, &i);
        }
        break;
    case EMUL_FAULT:
        expect(o, "too long", i.vector == 13,
               o->status == (ZyanStatus)ZYDIS_STATUS_INSTRUCTION_TOO_LONG);
        if (ZYAN_SUCCESS(o->status)) {
            disagree(o, "undefined", i.vector, 0);
        }
        break;
    case EMUL_UNHANDLEABLE:
        if (is_ours(o) && o->is_priv == is_priv) {
            disagree(o, "not handled", 0, o->insn.mnemonic);
        }
        break;
    default:
        disagree(o, "result", rc, (long)o->status);
    }
}

/* Likely opcodes, so that few rounds are wasted. */
static void make_bytes(struct opinion *o)
{
    static const uint8_t prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x3e, 0x64, 0x65 };
    static const uint8_t two[] = { 0xab, 0xb3, 0xbb, 0xb0, 0xb1, 0xba, 0xc0, 0xc1, 0x01, 0x06,
                                   0x08, 0x09, 0x20, 0x21, 0x22, 0x23, 0x30, 0x31, 0x32, 0x33 };
    unsigned int at = 0;

    for (unsigned int i = 0; i < sizeof(o->f.byte); i++) {
        o->f.byte[i] = (uint8_t)rnd();
    }
    while (rnd() % 2 && at < 16) {
        o->f.byte[at++] = prefixes[rnd() % sizeof(prefixes)];
    }
    if (rnd() % 2) {
        o->f.byte[at++] = 0x40 | (rnd() & 15);
    }
    if (rnd() % 3 == 0) {
        o->f.byte[at++] = 0x0f;
        o->f.byte[at] = rnd() % 8 ? two[rnd() % sizeof(two)] : (uint8_t)rnd();
        if (o->f.byte[at] == 0x01) {
            o->f.byte[at + 1] = (uint8_t[]){ 0xd1, 0xf9, 0xf8, 0xd0 }[rnd() % 4];
        }
    }
    o->f.nr = sizeof(o->f.byte);
    o->mode = rnd() % 3 ? EMUL_MODE_64 : EMUL_MODE_32;
}

static void zydis_sees_the_same_in_random_bytes(void **state)
{
    struct opinion o;

    for (int i = 0; i < ROUNDS; i++) {
        make_bytes(&o);
        ask_zydis(&o);
        check(&o, false);
        check(&o, true);
    }
}

static void zydis_sees_the_same_in_every_opcode(void **state)
{
    struct opinion o = { .f.nr = sizeof(o.f.byte) };

    for (unsigned int i = 0; i < 0x40000; i++) {
        memset(o.f.byte, 0x11, sizeof(o.f.byte));
        o.f.byte[0] = 0x0f;
        o.f.byte[i >> 17] = (uint8_t)i;
        o.f.byte[(i >> 17) + 1] = (uint8_t)(i >> 8);
        o.mode = (i >> 16) & 1 ? EMUL_MODE_64 : EMUL_MODE_32;
        ask_zydis(&o);
        check(&o, false);
        check(&o, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zydis_sees_the_same_in_random_bytes),
        cmocka_unit_test(zydis_sees_the_same_in_every_opcode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
