/* SPDX-License-Identifier: MIT */
/*
 * Emulation of single instructions: decode bytes that the caller has fetched,
 * then execute, with memory, ports, MSRs and control registers reached through
 * the caller's `struct emul_ops` only.  Nothing here has state of its own.
 *
 * Two sets of instructions, each with its decoder; emul_exec() serves both:
 *
 *  - emul_decode(): instructions with one memory destination of 1, 2, 4 or 8
 *    bytes, which is what a guest may use on a page it maps read-only (page
 *    tables): mov, movs, stos, xchg, cmpxchg, xadd, add, or, adc, sbb, and,
 *    sub, xor, not, neg, inc, dec, bts, btr, btc.
 *  - emul_decode_priv(): what traps outside ring 0: in, out, ins, outs, cli,
 *    sti, hlt, clts, mov to and from control and debug registers, rdmsr, wrmsr,
 *    rdtsc, rdtscp, rdpmc, wbinvd, invd, xsetbv, cpuid, and cpuid behind the
 *    forced-emulation prefix (ud2; .ascii "xen").
 *
 * All else is EMUL_UNHANDLEABLE, and the guest gets the exception it had.
 *
 * The usual call: fill `struct emul_ctxt`, copy up to EMUL_INSN_MAX bytes at
 * rip to a `struct emul_fetch`, call emul_run() or emul_run_priv().
 */
#pragma once

#include "abi/xen.h"
#include "lib/compiler.h"

#define EMUL_INSN_MAX 15 /* longest instruction in bytes */

enum emul_result {
    EMUL_OK,           /* done: rip advanced, unless units of a rep remain; RF clear */
    EMUL_OK_TRAP,      /* the same, and TF was set: the guest gets #DB (DR6.BS) now */
    EMUL_UNHANDLEABLE, /* not of the sets above, or an op refused; nothing has changed */
    EMUL_FAULT,        /* the guest gets ctxt->fault; registers as before the instruction */
    EMUL_RETRY,        /* another CPU interfered: nothing changed, let the guest try again */
    EMUL_FETCH,        /* the instruction is longer than what was fetched */
};

/* How the code segment makes the processor read instructions. */
enum emul_mode {
    EMUL_MODE_32, /* protected or compatibility mode, CS.D = 1 */
    EMUL_MODE_64, /* CS.L = 1 */
};

enum emul_seg {
    EMUL_SEG_ES,
    EMUL_SEG_CS,
    EMUL_SEG_SS,
    EMUL_SEG_DS,
    EMUL_SEG_FS,
    EMUL_SEG_GS
};

/* What an access through a segment must know; in 64-bit mode only the base counts. */
struct emul_segment {
    uint64_t base;
    uint32_t first; /* first and last valid offset: 0 and the limit, or for a */
    uint32_t last;  /* segment that expands down the limit + 1 and 2^32 - 1   */
    bool is_writable;
};

/* An exception for the guest. */
struct emul_fault {
    uint8_t vector;
    bool has_error;
    uint32_t error;
    uint64_t cr2; /* for vector 14 */
};

struct emul_ops;

struct emul_ctxt {
    struct cpu_user_regs *regs; /* rip at the instruction; changed on success only */
    const struct emul_ops *ops;
    void *opaque; /* the caller's, for its ops */
    enum emul_mode mode;
    bool is_kernel;          /* the guest's kernel runs: privileged instructions allowed */
    struct emul_fault fault; /* out, with EMUL_FAULT */
};

/*
 * What the caller offers.  Each returns EMUL_OK, EMUL_UNHANDLEABLE, EMUL_RETRY,
 * or EMUL_FAULT after emul_fault() or emul_page_fault().  An op that is NULL
 * refuses: the instruction is EMUL_UNHANDLEABLE.  Addresses are linear and in
 * 64-bit mode canonical; @bytes is 1, 2, 4 or 8; an access may cross a page.
 * Values are zero-extended.  No register has changed when an op runs.
 */
struct emul_ops {
    int (*read)(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val);
    int (*write)(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t val);

    /* Atomically exchange memory with *@val. */
    int (*xchg)(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val);

    /*
     * Atomically: if memory holds *@old, store @val; else set *@old to what it
     * holds.  EMUL_OK in both cases.  Every read-modify-write ends here, locked
     * or not, so that bits which hardware sets meanwhile are never lost.
     */
    int (*cmpxchg)(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *old,
                   uint64_t val);

    /*
     * Segment @seg for an access.  64-bit mode asks for FS and GS only.  NULL
     * means flat in 32-bit mode, and refuses FS and GS in 64-bit mode.
     */
    int (*segment)(struct emul_ctxt *c, enum emul_seg seg, struct emul_segment *s);

    /* Ports; the op checks the right to them (IOPL, bitmap), the kernel's too. */
    int (*read_io)(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t *val);
    int (*write_io)(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t val);

    /* cli and sti; the op checks the right (IOPL). */
    int (*set_interrupts)(struct emul_ctxt *c, bool enable);

    /* cpuid, rdtsc, rdpmc come from user code as well: the op sees c->is_kernel. */
    int (*cpuid)(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
    int (*read_tsc)(struct emul_ctxt *c, uint64_t *tsc, uint32_t *aux);
    int (*read_pmc)(struct emul_ctxt *c, uint32_t index, uint64_t *val);

    /* The guest's kernel only; others have got #GP(0) already. */
    int (*read_msr)(struct emul_ctxt *c, uint32_t msr, uint64_t *val);
    int (*write_msr)(struct emul_ctxt *c, uint32_t msr, uint64_t val);
    int (*read_cr)(struct emul_ctxt *c, unsigned int cr, uint64_t *val); /* 0, 2, 3, 4, 8; */
    int (*write_cr)(struct emul_ctxt *c, unsigned int cr, uint64_t val); /* clts too       */
    int (*read_dr)(struct emul_ctxt *c, unsigned int dr, uint64_t *val); /* 0 to 7         */
    int (*write_dr)(struct emul_ctxt *c, unsigned int dr, uint64_t val);
    int (*xsetbv)(struct emul_ctxt *c, uint32_t index, uint64_t val);
    int (*wbinvd)(struct emul_ctxt *c); /* invd too */
    int (*hlt)(struct emul_ctxt *c);    /* may mark the vCPU blocked: rip is advanced after it */
};

/*
 * Bytes at rip.  The array is longer than any instruction so that the decoder
 * need not count at every byte; what lies at and above @nr may be anything.
 */
struct emul_fetch {
    uint8_t byte[32];
    uint32_t nr; /* valid ones: up to EMUL_INSN_MAX, fewer when the next page is unreadable */
};

enum emul_op {
    EMUL_OP_NONE,
    EMUL_OP_ADD, /* the first eight in the order of the opcode's three bits */
    EMUL_OP_OR,
    EMUL_OP_ADC,
    EMUL_OP_SBB,
    EMUL_OP_AND,
    EMUL_OP_SUB,
    EMUL_OP_XOR,
    EMUL_OP_NOT,
    EMUL_OP_NEG,
    EMUL_OP_INC,
    EMUL_OP_DEC,
    EMUL_OP_BTS,
    EMUL_OP_BTR,
    EMUL_OP_BTC,
    EMUL_OP_MOV,
    EMUL_OP_XCHG,
    EMUL_OP_CMPXCHG,
    EMUL_OP_XADD,
    EMUL_OP_MOVS,
    EMUL_OP_STOS,
    EMUL_OP_INS, /* from here on: emul_decode_priv() */
    EMUL_OP_OUTS,
    EMUL_OP_IN,
    EMUL_OP_OUT,
    EMUL_OP_CLI,
    EMUL_OP_STI,
    EMUL_OP_HLT,
    EMUL_OP_CLTS,
    EMUL_OP_READ_CR,
    EMUL_OP_WRITE_CR,
    EMUL_OP_READ_DR,
    EMUL_OP_WRITE_DR,
    EMUL_OP_RDMSR,
    EMUL_OP_WRMSR,
    EMUL_OP_RDTSC,
    EMUL_OP_RDTSCP,
    EMUL_OP_RDPMC,
    EMUL_OP_WBINVD,
    EMUL_OP_XSETBV,
    EMUL_OP_CPUID,
    EMUL_NR_OPS,
};

#define EMUL_REG_NONE 0xff

/* Bits of emul_insn.flags. */
#define EMUL_LOCKED 0x01u /* has a lock prefix */
#define EMUL_REP    0x02u /* has a rep prefix, of either kind */
#define EMUL_ADDR32 0x04u /* effective addresses are cut to 32 bits */

/* A decoded instruction.  Registers are byte offsets into struct cpu_user_regs. */
struct emul_insn {
    uint8_t op;     /* enum emul_op */
    uint8_t bytes;  /* operand size */
    uint8_t length; /* of the instruction */
    uint8_t flags;
    uint8_t reg;    /* source; AH to BH are one above their register; EMUL_REG_NONE: it is imm */
    uint8_t base;   /* of the memory operand, EMUL_REG_NONE if it has none; */
    uint8_t index;  /* rip: disp counts from the instruction's begin        */
    uint8_t scale;  /* index is shifted left by this */
    uint8_t seg;    /* enum emul_seg of the memory operand */
    uint8_t number; /* of the control or debug register */
    uint8_t vector; /* after EMUL_FAULT: what to raise, error code 0 if it has one */
    int64_t disp;
    uint64_t imm; /* sign-extended; for in and out the port */
};

/*
 * Decode.  EMUL_OK; EMUL_UNHANDLEABLE; EMUL_FETCH: the guest gets the fault of
 * reading byte rip + f->nr; EMUL_FAULT: it gets insn->vector.  emul_decode()
 * leaves out register destinations: they cannot fault on memory.
 */
int emul_decode(struct emul_insn *insn, const struct emul_fetch *f, enum emul_mode mode) must_check;
int emul_decode_priv(struct emul_insn *insn, const struct emul_fetch *f, enum emul_mode mode)
    must_check;

/*
 * Execute @insn at c->regs->rip: any result but EMUL_FETCH.  A rep does one unit
 * a call: rip stays until the count is used up, the guest comes back by itself.
 */
int emul_exec(struct emul_ctxt *c, const struct emul_insn *insn) must_check;

/* Decode and execute; any result. */
int emul_run(struct emul_ctxt *c, const struct emul_fetch *f) must_check;
int emul_run_priv(struct emul_ctxt *c, const struct emul_fetch *f) must_check;

#define EMUL_FORCED_CPUID_LENGTH 7u

/* Is it CPUID with the forced-emulation prefix, if so many bytes are valid?  ud2; .ascii "xen";
 * cpuid: 0f 0b 78 65 6e 0f a2 from the lowest byte up. */
static always_inline bool emul_is_forced_cpuid(const struct emul_fetch *f)
{
    uint64_t head;

    __builtin_memcpy(&head, f->byte, sizeof(head));
    return head << 8 == 0xa20f6e65780b0f00ul;
}

/* For ops: set c->fault and return EMUL_FAULT.  @error is ignored for vectors without one. */
int emul_fault(struct emul_ctxt *c, uint8_t vector, uint32_t error);
int emul_page_fault(struct emul_ctxt *c, uint64_t addr, uint32_t error);
