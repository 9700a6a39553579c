/* SPDX-License-Identifier: MIT */
/* sources: hv/emul/decode.c hv/emul/exec.c hv/emul/hot.c hv/emul/alu.c
 * hv/emul/string.c hv/emul/priv.c */
/*
 * Fuzz target: the input is the mode, what ops answer, the registers, and the
 * bytes of an instruction.  Whatever they are:
 *
 *  - a call ends with a result of its list, and moves rip by 15 bytes at most;
 *  - what is not done leaves every register as it was;
 *  - ops get operand sizes there are, values that fit them, addresses that are
 *    canonical and do not wrap; user code reaches no op of the kernel's;
 *  - with and without the short cuts the outcome is the same.
 */
#include <stdlib.h>
#include <string.h>

#include "emul/emul.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t mode; /* bit 0: 64 bits, 1: kernel, 2: privileged set, 3: no segments */
    uint8_t nr_fetched;
    uint8_t answers[10]; /* of ops, one after the other */
    uint64_t held;       /* what memory, ports and registers hold */
    uint8_t regs[168];   /* up to where segment registers begin */
    uint8_t bytes[EMUL_INSN_MAX];
} packed;

static const struct input *in;
static unsigned int nr_asked;
static uint64_t trail; /* a sum over all that ops were told */

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void remember(uint64_t a, uint64_t b, uint64_t c)
{
    trail = (trail ^ a) * 0x100000001b3ull;
    trail = (trail ^ b) * 0x100000001b3ull;
    trail = (trail ^ c) * 0x100000001b3ull;
}

static int answer(struct emul_ctxt *c)
{
    switch (in->answers[nr_asked++ % sizeof(in->answers)] & 15) {
    case 0:
        return emul_fault(c, 13, 0);
    case 1:
        return emul_page_fault(c, in->held, 6);
    case 2:
        return EMUL_RETRY;
    case 3:
        return EMUL_UNHANDLEABLE;
    default:
        return EMUL_OK;
    }
}

static uint64_t fits(unsigned int bytes)
{
    MUST(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
    return ~0ull >> (64 - 8 * bytes);
}

static void check_access(struct emul_ctxt *c, uint64_t addr, unsigned int bytes)
{
    uint64_t last = addr + bytes - 1;

    if (c->mode == EMUL_MODE_64) {
        MUST((int64_t)(addr << 16) >> 16 == (int64_t)addr);
        MUST((int64_t)(last << 16) >> 16 == (int64_t)last);
        MUST(last >= addr && addr >> 63 == last >> 63);
    } else {
        MUST(addr <= UINT32_MAX);
    }
}

static int op_read(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val)
{
    *val = in->held & fits(bytes);
    check_access(c, addr, bytes);
    remember(1, addr, bytes);
    return answer(c);
}

static int op_write(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t val)
{
    MUST(val <= fits(bytes));
    check_access(c, addr, bytes);
    remember(2, addr, val);
    return answer(c);
}

static int op_xchg(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val)
{
    int rc = op_write(c, addr, bytes, *val);

    *val = in->held & fits(bytes);
    return rc;
}

static int op_cmpxchg(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *old,
                      uint64_t val)
{
    MUST(*old <= fits(bytes));
    remember(3, *old, bytes);
    *old = in->held & fits(bytes) & ~(in->mode & 0x80);
    return op_write(c, addr, bytes, val);
}

static int op_segment(struct emul_ctxt *c, enum emul_seg seg, struct emul_segment *s)
{
    MUST(seg <= EMUL_SEG_GS && (c->mode == EMUL_MODE_32 || seg >= EMUL_SEG_FS));
    s->base = in->held;
    s->first = (uint32_t)in->held;
    s->last = (uint32_t)(in->held >> 32);
    s->is_writable = in->held & 1;
    return answer(c);
}

static int op_read_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t *val)
{
    MUST(bytes <= 4);
    *val = (uint32_t)(in->held & fits(bytes));
    remember(4, port, bytes);
    return answer(c);
}

static int op_write_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t val)
{
    MUST(bytes <= 4 && val <= fits(bytes));
    remember(5, port, val);
    return answer(c);
}

static int op_interrupts(struct emul_ctxt *c, bool enable)
{
    return answer(c);
}

static int op_cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    remember(6, leaf, subleaf);
    memcpy(out, in->regs, 16);
    return answer(c);
}

static int op_tsc(struct emul_ctxt *c, uint64_t *tsc, uint32_t *aux)
{
    *tsc = in->held;
    *aux = (uint32_t)in->held;
    return answer(c);
}

static int op_read_pmc(struct emul_ctxt *c, uint32_t number, uint64_t *val)
{
    remember(7, number, 0);
    *val = in->held;
    return answer(c);
}

static int op_read_number(struct emul_ctxt *c, uint32_t number, uint64_t *val)
{
    MUST(c->is_kernel);
    return op_read_pmc(c, number, val);
}

static int op_write_number(struct emul_ctxt *c, uint32_t number, uint64_t val)
{
    MUST(c->is_kernel);
    remember(8, number, val);
    return answer(c);
}

static int op_plain(struct emul_ctxt *c)
{
    MUST(c->is_kernel);
    return answer(c);
}

#define OPS                                                                                        \
    .read = op_read, .write = op_write, .xchg = op_xchg, .cmpxchg = op_cmpxchg,                    \
    .read_io = op_read_io, .write_io = op_write_io, .set_interrupts = op_interrupts,               \
    .cpuid = op_cpuid, .read_tsc = op_tsc, .read_pmc = op_read_pmc, .read_msr = op_read_number,    \
    .write_msr = op_write_number, .read_cr = op_read_number, .write_cr = op_write_number,          \
    .read_dr = op_read_number, .write_dr = op_write_number, .xsetbv = op_write_number,             \
    .wbinvd = op_plain, .hlt = op_plain

static const struct emul_ops ops = { OPS, .segment = op_segment };
static const struct emul_ops ops_without_segment = { OPS };

/* The instruction by emul_run...(), or by decoder and executor alone. */
static int run(struct emul_ctxt *c, const struct emul_fetch *f, bool is_direct)
{
    bool is_priv = in->mode & 4;
    struct emul_insn insn;
    int rc;

    nr_asked = 0;
    trail = 0;
    if (!is_direct) {
        return is_priv ? emul_run_priv(c, f) : emul_run(c, f);
    }
    rc = is_priv ? emul_decode_priv(&insn, f, c->mode) : emul_decode(&insn, f, c->mode);
    if (rc == EMUL_OK) {
        return emul_exec(c, &insn);
    }
    return rc == EMUL_FAULT ? emul_fault(c, insn.vector, 0) : rc;
}

static void check(const struct cpu_user_regs *before, const struct cpu_user_regs *after, int rc)
{
    MUST(rc >= EMUL_OK && rc <= EMUL_FETCH);
    if (rc != EMUL_OK && rc != EMUL_OK_TRAP) {
        MUST(!memcmp(before, after, sizeof(*before)));
        return;
    }
    MUST((rc == EMUL_OK_TRAP) == !!(before->rflags & 0x100));
    MUST(!(after->rflags & 0x10000));
    MUST(!((before->rflags ^ after->rflags) & ~0x108d5ul));
    MUST(!memcmp(&before->error_code, &after->error_code, 8));
    if (in->mode & 1) {
        MUST(after->rip - before->rip <= EMUL_INSN_MAX);
    } else {
        MUST((uint32_t)(after->rip - before->rip) <= EMUL_INSN_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cpu_user_regs before = { 0 }, regs[2];
    struct emul_ctxt c[2];
    struct emul_fetch f = { 0 };
    uint64_t trails[2];
    struct input input;
    int rc[2];

    if (size < sizeof(input)) {
        return 0;
    }
    memcpy(&input, data, sizeof(input));
    in = &input;
    memcpy(&before, input.regs, sizeof(input.regs));
    memcpy(f.byte, input.bytes, sizeof(input.bytes));
    f.nr = min(input.nr_fetched, EMUL_INSN_MAX);
    for (unsigned int i = 0; i < 2; i++) {
        regs[i] = before;
        c[i] = (struct emul_ctxt){
            .regs = &regs[i],
            .ops = input.mode & 8 ? &ops_without_segment : &ops,
            .mode = input.mode & 1 ? EMUL_MODE_64 : EMUL_MODE_32,
            .is_kernel = input.mode & 2,
        };
        rc[i] = run(&c[i], &f, i);
        trails[i] = trail;
        check(&before, &regs[i], rc[i]);
    }
    MUST(rc[0] == rc[1] && trails[0] == trails[1]);
    MUST(!memcmp(&regs[0], &regs[1], sizeof(regs[0])));
    if (rc[0] == EMUL_FAULT) {
        MUST(c[0].fault.vector == c[1].fault.vector && c[0].fault.error == c[1].fault.error);
        MUST(c[0].fault.cr2 == c[1].fault.cr2);
    }
    return 0;
}
