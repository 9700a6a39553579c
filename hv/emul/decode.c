/* SPDX-License-Identifier: MIT */
/*
 * Decoders: of instructions that write one memory operand, and of those that
 * trap outside ring 0 (SDM vol. 2, chapter 2 and appendix A).
 *
 * Two tables of 256 entries say for each opcode which operation it is and what
 * follows: ModRM, an immediate.  Prefixes are entries of the first table, so
 * that the common `rex, opcode, modrm` takes one look-up a byte.  Opcodes with
 * the operation in ModRM lead to a table of groups.
 *
 * The position in the bytes is checked once, at the end: reading runs at most
 * 14 prefixes, 2 opcodes, ModRM, SIB, 4 bytes of displacement and 8 of
 * immediate or address, which the array has.
 */
#include "emul/internal.h"

static_assert(sizeof(((struct emul_fetch *)0)->byte) >= EMUL_INSN_MAX - 1 + 2 + 2 + 4 + 8,
              "a decoder that does not count stays inside the array");

const uint8_t emul_gpr[16] = {
    REG_OFFSET(rax), REG_OFFSET(rcx), REG_OFFSET(rdx), REG_OFFSET(rbx),
    REG_OFFSET(rsp), REG_OFFSET(rbp), REG_OFFSET(rsi), REG_OFFSET(rdi),
    REG_OFFSET(r8),  REG_OFFSET(r9),  REG_OFFSET(r10), REG_OFFSET(r11),
    REG_OFFSET(r12), REG_OFFSET(r13), REG_OFFSET(r14), REG_OFFSET(r15),
};

const uint64_t emul_mask[9] = { [1] = UINT8_MAX, [2] = UINT16_MAX, [4] = UINT32_MAX, [8] = ~0ul };

/* An entry: an operation, prefix or group in the low bits, and what belongs to it. */
enum {
    KIND = 0x003f,
    BYTE = 0x0040, /* operand of one byte */
    MODRM = 0x0080,
    IMM8 = 0x0100, /* sign-extended, but not where it is a port */
    IMMZ = 0x0200, /* 2 or 4 bytes by operand size */
    LOCK = 0x0400, /* may be locked */
    PREFIX = 0x0800,
    GROUP = 0x1000,
    MOFFS = 0x2000, /* an address by address size follows */
};

/* The kinds of prefixes. */
enum {
    K_REX,
    K_SIZE,
    K_ADDR,
    K_LOCK,
    K_REP,
    K_SEG, /* this and enum emul_seg */
};

/* The groups, by the manual's numbers. */
enum {
    GROUP_1,
    GROUP_3,
    GROUP_4,
    GROUP_8,
    GROUP_11,
    GROUP_7,
};

#define OP(name)    EMUL_OP_##name
#define ALU(name)   (EMUL_OP_##name | MODRM | LOCK)
#define STORE       (EMUL_OP_MOV | MODRM)
#define IN_GROUP(n) (GROUP_##n | GROUP | MODRM)
#define SEG(name)   ((K_SEG + EMUL_SEG_##name) | PREFIX)

/* Opcodes come in pairs: of a byte, of more. */
#define PAIR(code, entry) [code] = (entry) | BYTE, [(code) + 1] = (entry)

static_assert((int)EMUL_NR_OPS <= (int)KIND, "every operation fits an entry");

static const uint16_t one_byte[256] = {
    PAIR(0x00, ALU(ADD)),
    PAIR(0x08, ALU(OR)),
    PAIR(0x10, ALU(ADC)),
    PAIR(0x18, ALU(SBB)),
    PAIR(0x20, ALU(AND)),
    PAIR(0x28, ALU(SUB)),
    PAIR(0x30, ALU(XOR)),
    [0x26] = SEG(ES),
    [0x2e] = SEG(CS),
    [0x36] = SEG(SS),
    [0x3e] = SEG(DS),
    [0x64] = SEG(FS),
    [0x65] = SEG(GS),
    [0x40 ... 0x4f] = K_REX | PREFIX,
    [0x66] = K_SIZE | PREFIX,
    [0x67] = K_ADDR | PREFIX,
    [0x80] = IN_GROUP(1) | IMM8 | BYTE,
    [0x81] = IN_GROUP(1) | IMMZ,
    [0x83] = IN_GROUP(1) | IMM8,
    PAIR(0x86, ALU(XCHG)),
    PAIR(0x88, STORE),
    PAIR(0x6c, OP(INS)),
    PAIR(0x6e, OP(OUTS)),
    PAIR(0xa2, OP(MOV) | MOFFS),
    PAIR(0xa4, OP(MOVS)),
    PAIR(0xaa, OP(STOS)),
    [0xc6] = IN_GROUP(11) | IMM8 | BYTE,
    [0xc7] = IN_GROUP(11) | IMMZ,
    PAIR(0xe4, OP(IN) | IMM8),
    PAIR(0xe6, OP(OUT) | IMM8),
    PAIR(0xec, OP(IN)),
    PAIR(0xee, OP(OUT)),
    [0xf0] = K_LOCK | PREFIX,
    [0xf2] = K_REP | PREFIX,
    [0xf3] = K_REP | PREFIX,
    [0xf4] = OP(HLT),
    PAIR(0xf6, IN_GROUP(3)),
    [0xfa] = OP(CLI),
    [0xfb] = OP(STI),
    PAIR(0xfe, IN_GROUP(4)),
};

static const uint16_t two_byte[256] = {
    [0x01] = IN_GROUP(7),
    [0x06] = OP(CLTS),
    [0x08] = OP(WBINVD), /* invd: to drop dirty lines is no guest's right */
    [0x09] = OP(WBINVD),
    [0x20] = OP(READ_CR) | MODRM,
    [0x21] = OP(READ_DR) | MODRM,
    [0x22] = OP(WRITE_CR) | MODRM,
    [0x23] = OP(WRITE_DR) | MODRM,
    [0x30] = OP(WRMSR),
    [0x31] = OP(RDTSC),
    [0x32] = OP(RDMSR),
    [0x33] = OP(RDPMC),
    [0xa2] = OP(CPUID),
    [0xab] = ALU(BTS),
    [0xb3] = ALU(BTR),
    [0xbb] = ALU(BTC),
    PAIR(0xb0, ALU(CMPXCHG)),
    [0xba] = IN_GROUP(8) | IMM8,
    PAIR(0xc0, ALU(XADD)),
};

/* By the middle bits of ModRM.  Members left out do not write, or not only that operand. */
static const uint16_t groups[][8] = {
    [GROUP_1] = { ALU(ADD), ALU(OR), ALU(ADC), ALU(SBB), ALU(AND), ALU(SUB), ALU(XOR) },
    [GROUP_3] = { [2] = ALU(NOT), [3] = ALU(NEG) },
    [GROUP_4] = { [0] = ALU(INC), [1] = ALU(DEC) },
    [GROUP_8] = { [5] = ALU(BTS), [6] = ALU(BTR), [7] = ALU(BTC) },
    [GROUP_11] = { [0] = STORE },
    [GROUP_7] = { 0 }, /* see group7() */
};

/* The prefixes that were met, one word; the last four bits of REX are its lowest. */
enum {
    PX_B = 0x0001,
    PX_X = 0x0002,
    PX_R = 0x0004,
    PX_W = 0x0008,
    PX_REX = 0x00f0, /* there is one */
    PX_SIZE = 0x0100,
    PX_ADDR = 0x0200,
    PX_LOCK = 0x0400,
    PX_REP = 0x0800,
    PX_SEG = 0x1000, /* a segment was chosen: */
    PX_SEG_AT = 16,  /* enum emul_seg from this bit on */
};

/*
 * Where the decoder is.  Inline functions take it by address: it stays in
 * processor registers, and costs nothing.
 */
struct cursor {
    const uint8_t *byte;
    unsigned int at;
    unsigned int px;
};

/* The next @bytes as a signed number. */
static always_inline int64_t take(struct cursor *cur, unsigned int bytes)
{
    uint64_t val;

    __builtin_memcpy(&val, cur->byte + cur->at, sizeof(val));
    cur->at += bytes;
    return (int64_t)(val << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

/* A prefix other than REX added to @px; a REX before it becomes void. */
static noinline unsigned int add_prefix(unsigned int px, unsigned int kind, enum emul_mode mode)
{
    static const uint16_t bits[] = {
        [K_SIZE] = PX_SIZE, [K_ADDR] = PX_ADDR, [K_LOCK] = PX_LOCK, [K_REP] = PX_REP
    };

    px &= ~(unsigned int)(PX_REX | PX_W | PX_R | PX_X | PX_B);
    if (kind < K_SEG) {
        return px | bits[kind];
    }
    if (mode == EMUL_MODE_64 && kind < K_SEG + EMUL_SEG_FS) {
        return px; /* the flat segments' are overlooked */
    }
    return (px & 0xffff) | PX_SEG | (kind - K_SEG) << PX_SEG_AT;
}

/* Run over prefixes and opcode; returns the opcode's entry or 0. */
static always_inline unsigned int take_opcode(struct cursor *cur, enum emul_mode mode)
{
    for (;;) {
        uint8_t byte = cur->byte[cur->at++];
        unsigned int entry = one_byte[byte];

        if (!(entry & PREFIX)) {
            return unlikely(byte == 0x0f) ? two_byte[cur->byte[cur->at++]] : entry;
        }
        if (unlikely(entry != (K_REX | PREFIX))) {
            cur->px = add_prefix(cur->px, entry & KIND, mode);
        } else if (likely(mode == EMUL_MODE_64)) {
            cur->px = (cur->px & ~0xfu) | PX_REX | byte;
        } else {
            return 0; /* inc and dec of a register */
        }
        if (unlikely(cur->at == EMUL_INSN_MAX)) {
            cur->at++; /* nothing but prefixes: too long */
            return 0;
        }
    }
}

/* The memory operand of @modrm, SIB and displacement included (SDM vol. 2, 2.1.5, 2.2.1). */
static always_inline void take_memory(struct emul_insn *insn, struct cursor *cur,
                                      unsigned int modrm, enum emul_mode mode)
{
    unsigned int base = modrm & 7;

    if (unlikely(base == 4)) {
        unsigned int sib = cur->byte[cur->at++];
        unsigned int index = ((sib >> 3) & 7) | (cur->px & PX_X) << 2;

        base = sib & 7;
        if (index != 4) {
            insn->index = emul_gpr[index];
            insn->scale = (uint8_t)(sib >> 6);
        }
    }
    if (modrm >= 0x80) {
        insn->disp = take(cur, 4);
    } else if (modrm >= 0x40) {
        insn->disp = take(cur, 1);
    } else if (unlikely(base == 5)) { /* no base but a displacement */
        insn->disp = take(cur, 4);
        if ((modrm & 7) == 5 && mode == EMUL_MODE_64) {
            insn->base = REG_OFFSET(rip); /* emul_decode() adds the length */
        }
        return;
    }
    insn->base = emul_gpr[base | (cur->px & PX_B) << 3];
    if ((base & 6) == 4 && !(cur->px & (PX_B | PX_SEG))) {
        insn->seg = EMUL_SEG_SS;
    }
}

/* The register operand: without REX, bytes 4 to 7 are AH to BH. */
static always_inline uint8_t register_operand(unsigned int px, unsigned int modrm,
                                              unsigned int bytes)
{
    unsigned int reg = ((modrm >> 3) & 7) | (px & PX_R) << 1;

    if (unlikely(bytes == 1 && reg >= 4 && !(px & PX_REX))) {
        return emul_gpr[reg - 4] + 1;
    }
    return emul_gpr[reg];
}

static always_inline unsigned int operand_bytes(unsigned int px, unsigned int entry)
{
    if (unlikely(entry & BYTE)) {
        return 1;
    }
    return likely(px & PX_W) ? 8 : px & PX_SIZE ? 2 : 4;
}

static always_inline uint8_t insn_flags(unsigned int px, enum emul_mode mode)
{
    unsigned int flags = mode == EMUL_MODE_32 ? EMUL_ADDR32 : 0;

    if (unlikely(px & (PX_LOCK | PX_REP | PX_ADDR))) {
        flags |= px & PX_LOCK ? EMUL_LOCKED : 0;
        flags |= px & PX_REP ? EMUL_REP : 0;
        flags |= px & PX_ADDR ? EMUL_ADDR32 : 0;
    }
    return (uint8_t)flags;
}

/* 16-bit addresses are not ours. */
static always_inline bool has_addr16(unsigned int px, enum emul_mode mode)
{
    return mode == EMUL_MODE_32 && px & PX_ADDR;
}

static always_inline void decode_start(struct emul_insn *insn)
{
    *insn = (struct emul_insn){
        .reg = REG_OFFSET(rax),
        .base = EMUL_REG_NONE,
        .index = EMUL_REG_NONE,
        .seg = EMUL_SEG_DS,
    };
}

/* How it ended: the instruction may be not wholly fetched, or too long. */
static always_inline int decode_end(struct emul_insn *insn, const struct emul_fetch *f,
                                    unsigned int length, int rc)
{
    insn->length = (uint8_t)length;
    if (likely(length <= f->nr && length <= EMUL_INSN_MAX)) {
        return rc;
    }
    insn->vector = VECTOR_GP;
    return f->nr < EMUL_INSN_MAX ? EMUL_FETCH : EMUL_FAULT;
}

static noinline int decode_undefined(struct emul_insn *insn, const struct emul_fetch *f,
                                     unsigned int length)
{
    insn->vector = VECTOR_UD;
    return decode_end(insn, f, length, EMUL_FAULT);
}

static void take_immediate(struct emul_insn *insn, struct cursor *cur, unsigned int entry)
{
    if (entry & MOFFS) {
        insn->disp = take(cur, insn->flags & EMUL_ADDR32 ? 4 : 8);
        return;
    }
    insn->reg = EMUL_REG_NONE;
    if (entry & IMM8) {
        insn->imm = (uint64_t)take(cur, 1);
    } else {
        insn->imm = (uint64_t)take(cur, insn->bytes == 2 ? 2 : 4);
    }
}

int emul_decode(struct emul_insn *insn, const struct emul_fetch *f, enum emul_mode mode)
{
    struct cursor cur = { .byte = f->byte };
    unsigned int entry = take_opcode(&cur, mode);
    unsigned int modrm = 0;

    decode_start(insn);
    if (likely(entry & MODRM)) {
        modrm = f->byte[cur.at++];
        if (unlikely(entry & GROUP)) {
            entry = (entry & (IMM8 | IMMZ | BYTE)) | groups[entry & KIND][(modrm >> 3) & 7];
        }
    }
    insn->op = entry & KIND;
    if (unlikely(insn->op == EMUL_OP_NONE || insn->op >= EMUL_OP_INS || has_addr16(cur.px, mode))) {
        return decode_end(insn, f, cur.at, EMUL_UNHANDLEABLE);
    }
    insn->bytes = (uint8_t)operand_bytes(cur.px, entry);
    insn->flags = insn_flags(cur.px, mode);
    if (unlikely(cur.px & PX_SEG)) {
        insn->seg = (uint8_t)(cur.px >> PX_SEG_AT);
    }
    if (likely(entry & MODRM)) {
        if (unlikely(modrm >= 0xc0)) {
            return cur.px & PX_LOCK ? decode_undefined(insn, f, cur.at)
                                    : decode_end(insn, f, cur.at, EMUL_UNHANDLEABLE);
        }
        insn->reg = register_operand(cur.px, modrm, insn->bytes);
        take_memory(insn, &cur, modrm, mode);
    }
    if (unlikely(entry & (IMM8 | IMMZ | MOFFS))) {
        take_immediate(insn, &cur, entry);
    }
    if (unlikely(cur.px & PX_LOCK && !(entry & LOCK))) {
        return decode_undefined(insn, f, cur.at);
    }
    if (unlikely(insn->base == REG_OFFSET(rip))) {
        insn->disp += cur.at;
    }
    return decode_end(insn, f, cur.at, EMUL_OK);
}

/* Of group 7 only two encodings, whole bytes, are ours. */
static unsigned int group7(unsigned int modrm, unsigned int px)
{
    if (modrm == 0xd1 && !(px & (PX_SIZE | PX_REP))) {
        return EMUL_OP_XSETBV;
    }
    return modrm == 0xf9 ? EMUL_OP_RDTSCP : EMUL_OP_NONE;
}

/*
 * mov to and from CRn and DRn: all of the mode's width, ModRM.mod is ignored.
 * Returns whether there is such a register.
 */
static bool take_control_move(struct emul_insn *insn, unsigned int px, unsigned int modrm,
                              enum emul_mode mode)
{
    bool is_cr = insn->op == EMUL_OP_READ_CR || insn->op == EMUL_OP_WRITE_CR;

    insn->number = (uint8_t)(((modrm >> 3) & 7) | (px & PX_R) << 1);
    insn->reg = emul_gpr[(modrm & 7) | (px & PX_B) << 3];
    insn->bytes = mode == EMUL_MODE_64 ? 8 : 4;
    return ((is_cr ? 0x11d : 0xff) >> insn->number) & 1;
}

int emul_decode_priv(struct emul_insn *insn, const struct emul_fetch *f, enum emul_mode mode)
{
    struct cursor cur = { .byte = f->byte };
    unsigned int entry, modrm = 0;

    decode_start(insn);
    if (emul_is_forced_cpuid(f)) {
        insn->op = EMUL_OP_CPUID;
        return decode_end(insn, f, EMUL_FORCED_CPUID_LENGTH, EMUL_OK);
    }
    entry = take_opcode(&cur, mode);
    if (unlikely(entry & MODRM)) {
        modrm = f->byte[cur.at++];
        if (entry & GROUP) {
            entry = entry == IN_GROUP(7) ? group7(modrm, cur.px) : EMUL_OP_NONE;
        }
    }
    insn->op = entry & KIND;
    if (unlikely(insn->op < EMUL_OP_INS || has_addr16(cur.px, mode))) {
        return decode_end(insn, f, cur.at, EMUL_UNHANDLEABLE);
    }
    insn->bytes = entry & BYTE ? 1 : (cur.px & (PX_SIZE | PX_W)) == PX_SIZE ? 2 : 4;
    insn->flags = insn_flags(cur.px, mode);
    if (unlikely(cur.px & PX_SEG)) {
        insn->seg = (uint8_t)(cur.px >> PX_SEG_AT);
    }
    if (entry & IMM8) {
        insn->imm = f->byte[cur.at++];
        insn->reg = EMUL_REG_NONE;
    }
    if (unlikely(cur.px & PX_LOCK ||
                 (entry & MODRM && !take_control_move(insn, cur.px, modrm, mode)))) {
        return decode_undefined(insn, f, cur.at);
    }
    return decode_end(insn, f, cur.at, EMUL_OK);
}
