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

/* An entry: an operation, prefix or group in the low bits, and what belongs to it. */
enum {
    KIND   = 0x003f,
    BYTE   = 0x0040, /* operand of one byte */
    MODRM  = 0x0080,
    IMM8   = 0x0100, /* sign-extended, but not where it is a port */
    IMMZ   = 0x0200, /* 2 or 4 bytes by operand size */
    LOCK   = 0x0400, /* may be locked */
    PREFIX = 0x0800,
    GROUP  = 0x1000,
    MOFFS  = 0x2000, /* an address by address size follows */
};

enum { PX_REX, PX_SIZE, PX_ADDR, PX_LOCK, PX_REP, PX_SEG }; /* PX_SEG + enum emul_seg */
enum { GROUP_1, GROUP_3, GROUP_4, GROUP_8, GROUP_11, GROUP_7 }; /* the manual's numbers */

#define OP(name)    EMUL_OP_##name
#define ALU(name)   (EMUL_OP_##name | MODRM | LOCK)
#define STORE       (EMUL_OP_MOV | MODRM)
#define IN_GROUP(n) (GROUP_##n | GROUP | MODRM)
#define SEG(name)   ((PX_SEG + EMUL_SEG_##name) | PREFIX)

static_assert((int)EMUL_NR_OPS <= (int)KIND, "every operation fits an entry");

static const uint16_t one_byte[256] = {
    [0x00] = ALU(ADD) | BYTE, [0x01] = ALU(ADD),
    [0x08] = ALU(OR) | BYTE,  [0x09] = ALU(OR),
    [0x10] = ALU(ADC) | BYTE, [0x11] = ALU(ADC),
    [0x18] = ALU(SBB) | BYTE, [0x19] = ALU(SBB),
    [0x20] = ALU(AND) | BYTE, [0x21] = ALU(AND),
    [0x28] = ALU(SUB) | BYTE, [0x29] = ALU(SUB),
    [0x30] = ALU(XOR) | BYTE, [0x31] = ALU(XOR),
    [0x26] = SEG(ES), [0x2e] = SEG(CS), [0x36] = SEG(SS), [0x3e] = SEG(DS),
    [0x64] = SEG(FS), [0x65] = SEG(GS),
    [0x40 ... 0x4f] = PX_REX | PREFIX,
    [0x66] = PX_SIZE | PREFIX,
    [0x67] = PX_ADDR | PREFIX,
    [0x80] = IN_GROUP(1) | IMM8 | BYTE, [0x81] = IN_GROUP(1) | IMMZ, [0x83] = IN_GROUP(1) | IMM8,
    [0x86] = ALU(XCHG) | BYTE, [0x87] = ALU(XCHG),
    [0x88] = STORE | BYTE,     [0x89] = STORE,
    [0x6c] = OP(INS) | BYTE,  [0x6d] = OP(INS),
    [0x6e] = OP(OUTS) | BYTE, [0x6f] = OP(OUTS),
    [0xa2] = OP(MOV) | MOFFS | BYTE, [0xa3] = OP(MOV) | MOFFS,
    [0xa4] = OP(MOVS) | BYTE, [0xa5] = OP(MOVS),
    [0xaa] = OP(STOS) | BYTE, [0xab] = OP(STOS),
    [0xc6] = IN_GROUP(11) | IMM8 | BYTE, [0xc7] = IN_GROUP(11) | IMMZ,
    [0xe4] = OP(IN) | IMM8 | BYTE,  [0xe5] = OP(IN) | IMM8,
    [0xe6] = OP(OUT) | IMM8 | BYTE, [0xe7] = OP(OUT) | IMM8,
    [0xec] = OP(IN) | BYTE,  [0xed] = OP(IN),
    [0xee] = OP(OUT) | BYTE, [0xef] = OP(OUT),
    [0xf0] = PX_LOCK | PREFIX,
    [0xf2] = PX_REP | PREFIX,
    [0xf3] = PX_REP | PREFIX,
    [0xf4] = OP(HLT),
    [0xf6] = IN_GROUP(3) | BYTE, [0xf7] = IN_GROUP(3),
    [0xfa] = OP(CLI), [0xfb] = OP(STI),
    [0xfe] = IN_GROUP(4) | BYTE, [0xff] = IN_GROUP(4),
};

static const uint16_t two_byte[256] = {
    [0x01] = IN_GROUP(7),
    [0x06] = OP(CLTS),
    [0x08] = OP(WBINVD), /* invd: to drop dirty lines is no guest's right */
    [0x09] = OP(WBINVD),
    [0x20] = OP(READ_CR) | MODRM,  [0x21] = OP(READ_DR) | MODRM,
    [0x22] = OP(WRITE_CR) | MODRM, [0x23] = OP(WRITE_DR) | MODRM,
    [0x30] = OP(WRMSR), [0x31] = OP(RDTSC), [0x32] = OP(RDMSR), [0x33] = OP(RDPMC),
    [0xa2] = OP(CPUID),
    [0xab] = ALU(BTS), [0xb3] = ALU(BTR), [0xbb] = ALU(BTC),
    [0xb0] = ALU(CMPXCHG) | BYTE, [0xb1] = ALU(CMPXCHG),
    [0xba] = IN_GROUP(8) | IMM8,
    [0xc0] = ALU(XADD) | BYTE, [0xc1] = ALU(XADD),
};

/* By the middle bits of ModRM.  Members left out do not write, or not only that operand. */
static const uint16_t groups[][8] = {
    [GROUP_1] = { ALU(ADD), ALU(OR), ALU(ADC), ALU(SBB), ALU(AND), ALU(SUB), ALU(XOR) },
    [GROUP_3] = { [2] = ALU(NOT), [3] = ALU(NEG) },
    [GROUP_4] = { [0] = ALU(INC), [1] = ALU(DEC) },
    [GROUP_8] = { [5] = ALU(BTS), [6] = ALU(BTR), [7] = ALU(BTC) },
    [GROUP_11] = { [0] = STORE },
};

/* Where the decoder is, and the prefixes it met. */
struct cursor {
    const struct emul_fetch *f;
    unsigned int at;
    enum emul_mode mode;
    uint8_t rex;
    bool is_size16;
    bool is_addr_other; /* not the mode's own address size */
    bool has_seg;       /* a prefix chose insn->seg */
};

/* The next @bytes as a signed number. */
static int64_t take(struct cursor *cur, unsigned int bytes)
{
    uint64_t val;

    __builtin_memcpy(&val, cur->f->byte + cur->at, sizeof(val));
    cur->at += bytes;
    return (int64_t)(val << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

/* A prefix other than REX; one that stands after REX makes REX void. */
static void take_prefix(struct emul_insn *insn, struct cursor *cur, unsigned int kind)
{
    cur->rex = 0;
    switch (kind) {
    case PX_SIZE:
        cur->is_size16 = true;
        break;
    case PX_ADDR:
        cur->is_addr_other = true;
        break;
    case PX_LOCK:
        insn->is_locked = true;
        break;
    case PX_REP:
        insn->is_rep = true;
        break;
    default: /* 64-bit mode overlooks the flat segments' */
        if (cur->mode == EMUL_MODE_32 || kind >= PX_SEG + EMUL_SEG_FS) {
            insn->seg = (uint8_t)(kind - PX_SEG);
            cur->has_seg = true;
        }
    }
}

/* Run over prefixes and opcode; returns the opcode's entry or 0. */
static always_inline unsigned int take_opcode(struct emul_insn *insn, struct cursor *cur)
{
    for (;;) {
        uint8_t byte = cur->f->byte[cur->at++];
        unsigned int entry = one_byte[byte];

        if (likely(!(entry & PREFIX))) {
            return byte == 0x0f ? two_byte[cur->f->byte[cur->at++]] : entry;
        }
        if (unlikely(cur->at == EMUL_INSN_MAX)) {
            return 0; /* nothing but prefixes */
        }
        if (likely(entry == (PX_REX | PREFIX))) {
            if (unlikely(cur->mode == EMUL_MODE_32)) {
                return 0; /* inc and dec of a register */
            }
            cur->rex = byte;
        } else {
            take_prefix(insn, cur, entry & KIND);
        }
    }
}

/* The memory operand of @modrm, SIB and displacement included (SDM vol. 2, 2.1.5, 2.2.1). */
static void take_memory(struct emul_insn *insn, struct cursor *cur, uint8_t modrm)
{
    unsigned int mod = modrm >> 6;
    unsigned int rm = modrm & 7;
    unsigned int base = rm;

    if (rm == 4) {
        uint8_t sib = cur->f->byte[cur->at++];
        unsigned int index = ((sib >> 3) & 7) | ((cur->rex & 2) << 2);

        base = sib & 7;
        if (index != 4) {
            insn->index = emul_gpr[index];
            insn->scale = sib >> 6;
        }
    }
    if (mod == 1) {
        insn->disp = take(cur, 1);
    } else if (mod == 2) {
        insn->disp = take(cur, 4);
    } else if (base == 5) {
        insn->disp = take(cur, 4);
        if (rm == 5 && cur->mode == EMUL_MODE_64) {
            insn->base = REG_OFFSET(rip);
        }
        return;
    }
    insn->base = emul_gpr[base | ((cur->rex & 1) << 3)];
    if ((base == 4 || base == 5) && !(cur->rex & 1) && !cur->has_seg) {
        insn->seg = EMUL_SEG_SS;
    }
}

/* The register operand: without REX, bytes 4 to 7 are AH to BH. */
static uint8_t register_operand(const struct cursor *cur, uint8_t modrm, unsigned int bytes)
{
    unsigned int reg = ((modrm >> 3) & 7) | ((cur->rex & 4) << 1);

    if (bytes == 1 && !cur->rex && reg >= 4) {
        return emul_gpr[reg - 4] + 1;
    }
    return emul_gpr[reg];
}

/* How it ended: the instruction may be too long, or not wholly fetched. */
static int decode_end(struct emul_insn *insn, const struct cursor *cur, int rc)
{
    if (unlikely(cur->at > cur->f->nr && cur->f->nr < EMUL_INSN_MAX)) {
        return EMUL_FETCH;
    }
    if (unlikely(cur->at > EMUL_INSN_MAX)) {
        insn->vector = VECTOR_GP;
        return EMUL_FAULT;
    }
    insn->length = (uint8_t)cur->at;
    return rc;
}

static int decode_undefined(struct emul_insn *insn, const struct cursor *cur)
{
    insn->vector = VECTOR_UD;
    return decode_end(insn, cur, EMUL_FAULT);
}

static always_inline void decode_start(struct emul_insn *insn, struct cursor *cur,
                                       const struct emul_fetch *f, enum emul_mode mode)
{
    *insn = (struct emul_insn){
        .seg = EMUL_SEG_DS,
        .reg = REG_OFFSET(rax),
        .base = EMUL_REG_NONE,
        .index = EMUL_REG_NONE,
    };
    *cur = (struct cursor){ .f = f, .mode = mode };
}

static always_inline unsigned int operand_bytes(const struct cursor *cur, unsigned int entry)
{
    if (entry & BYTE) {
        return 1;
    }
    return cur->rex & 8 ? 8 : cur->is_size16 ? 2 : 4;
}

static void take_immediate(struct emul_insn *insn, struct cursor *cur, unsigned int entry)
{
    if (entry & MOFFS) {
        insn->disp = take(cur, insn->is_addr32 ? 4 : 8);
    } else {
        insn->imm = (uint64_t)take(cur, entry & IMM8 ? 1 : cur->is_size16 && !(cur->rex & 8) ? 2 : 4);
        insn->has_imm = true;
    }
}

int emul_decode(struct emul_insn *insn, const struct emul_fetch *f, enum emul_mode mode)
{
    struct cursor cur;
    unsigned int entry;
    uint8_t modrm = 0;

    decode_start(insn, &cur, f, mode);
    entry = take_opcode(insn, &cur);
    if (entry & MODRM) {
        modrm = f->byte[cur.at++];
        if (entry & GROUP) {
            entry = (entry & (IMM8 | IMMZ | BYTE)) | groups[entry & KIND][(modrm >> 3) & 7];
        }
    }
    insn->op = entry & KIND;
    if (unlikely(insn->op == EMUL_OP_NONE || insn->op >= EMUL_OP_INS)) {
        return decode_end(insn, &cur, EMUL_UNHANDLEABLE);
    }
    insn->bytes = (uint8_t)operand_bytes(&cur, entry);
    insn->is_addr32 = mode == EMUL_MODE_32 || cur.is_addr_other;
    if (entry & MODRM) {
        if (unlikely(modrm >= 0xc0)) {
            return insn->is_locked ? decode_undefined(insn, &cur)
                                   : decode_end(insn, &cur, EMUL_UNHANDLEABLE);
        }
        insn->reg = register_operand(&cur, modrm, insn->bytes);
        take_memory(insn, &cur, modrm);
    }
    if (entry & (IMM8 | IMMZ | MOFFS)) {
        take_immediate(insn, &cur, entry);
    }
    if (unlikely(insn->is_locked && !(entry & LOCK))) {
        return decode_undefined(insn, &cur);
    }
    if (unlikely(mode == EMUL_MODE_32 && cur.is_addr_other)) {
        return decode_end(insn, &cur, EMUL_UNHANDLEABLE); /* 16-bit addresses */
    }
    return decode_end(insn, &cur, EMUL_OK);
}

/* ud2; .ascii "xen"; cpuid: 0f 0b 78 65 6e 0f a2 from the lowest byte up. */
#define FORCED_CPUID        0x00a20f6e65780b0ful
#define FORCED_CPUID_LENGTH 7u

/* Of group 7 only two encodings, whole bytes, are ours. */
static unsigned int group7(uint8_t modrm)
{
    return modrm == 0xd1 ? EMUL_OP_XSETBV : modrm == 0xf9 ? EMUL_OP_RDTSCP : EMUL_OP_NONE;
}

/* mov to and from CRn and DRn: all of the mode's width, ModRM.mod is ignored. */
static bool take_control_move(struct emul_insn *insn, struct cursor *cur, uint8_t modrm)
{
    bool is_cr = insn->op == EMUL_OP_READ_CR || insn->op == EMUL_OP_WRITE_CR;

    insn->number = ((modrm >> 3) & 7) | ((cur->rex & 4) << 1);
    insn->reg = emul_gpr[(modrm & 7) | ((cur->rex & 1) << 3)];
    insn->bytes = cur->mode == EMUL_MODE_64 ? 8 : 4;
    return ((is_cr ? 0x11d : 0xff) >> insn->number) & 1;
}

int emul_decode_priv(struct emul_insn *insn, const struct emul_fetch *f, enum emul_mode mode)
{
    struct cursor cur;
    unsigned int entry;
    uint8_t modrm = 0;
    uint64_t head;

    decode_start(insn, &cur, f, mode);
    __builtin_memcpy(&head, f->byte, sizeof(head));
    if (head << 8 == FORCED_CPUID << 8) {
        insn->op = EMUL_OP_CPUID;
        cur.at = FORCED_CPUID_LENGTH;
        return decode_end(insn, &cur, EMUL_OK);
    }
    entry = take_opcode(insn, &cur);
    if (entry & MODRM) {
        modrm = f->byte[cur.at++];
        if (entry & GROUP) {
            entry = entry == IN_GROUP(7) ? group7(modrm) : EMUL_OP_NONE;
        }
    }
    insn->op = entry & KIND;
    if (unlikely(insn->op < EMUL_OP_INS)) {
        return decode_end(insn, &cur, EMUL_UNHANDLEABLE);
    }
    insn->bytes = entry & BYTE ? 1 : cur.is_size16 ? 2 : 4;
    insn->is_addr32 = mode == EMUL_MODE_32 || cur.is_addr_other;
    if (entry & IMM8) {
        insn->imm = f->byte[cur.at++];
        insn->has_imm = true;
    }
    if (unlikely(mode == EMUL_MODE_32 && cur.is_addr_other)) {
        return decode_end(insn, &cur, EMUL_UNHANDLEABLE); /* 16-bit addresses */
    }
    if (unlikely(insn->is_locked) ||
        (entry & MODRM && !take_control_move(insn, &cur, modrm))) {
        return decode_undefined(insn, &cur);
    }
    return decode_end(insn, &cur, EMUL_OK);
}
