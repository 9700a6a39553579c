/* SPDX-License-Identifier: MIT */
/* sources: hv/emul/decode.c hv/emul/exec.c hv/emul/hot.c hv/emul/alu.c
 * hv/emul/string.c hv/emul/priv.c */
/*
 * The emulator against the processor this runs on: random encodings of the
 * instructions with a memory destination are run natively and emulated, from
 * the same registers, flags and memory, and must leave the same behind.
 *
 * Code and data lie below 2 GiB, so that 32-bit addresses and displacements
 * reach them.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "emul/emul.h"

#define DATA_BYTES 16384u
#define ROUNDS     60000
#define FLAGS_MASK 0xcd5ul /* CF PF AF ZF SF DF OF */
#define GS_BASE    0x340ul

#ifndef ARCH_SET_GS
#define ARCH_SET_GS 0x1001
#endif

static uint8_t *code, *data;
static uint8_t before[DATA_BYTES], after_native[DATA_BYTES];
static uint64_t seed = 0x9e3779b97f4a7c15ull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull;
}

static unsigned int below(unsigned int n)
{
    return (unsigned int)((rnd() >> 33) % n);
}

static bool one_in(unsigned int n)
{
    return below(n) == 0;
}

/*
 * run_native(): registers from and to native_regs, in the order of their
 * numbers, then the flags; the code at native_entry jumps to native_back.
 */
uint64_t native_regs[17], native_rsp;
void *native_entry;
void run_native(void);
extern const char native_back[];

__asm__(".text\n"
        "run_native:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, native_rsp(%rip)\n"
        "pushq 16*8+native_regs(%rip); popfq\n"
        "mov 0*8+native_regs(%rip), %rax; mov 1*8+native_regs(%rip), %rcx\n"
        "mov 2*8+native_regs(%rip), %rdx; mov 3*8+native_regs(%rip), %rbx\n"
        "mov 4*8+native_regs(%rip), %rsp; mov 5*8+native_regs(%rip), %rbp\n"
        "mov 6*8+native_regs(%rip), %rsi; mov 7*8+native_regs(%rip), %rdi\n"
        "mov 8*8+native_regs(%rip), %r8; mov 9*8+native_regs(%rip), %r9\n"
        "mov 10*8+native_regs(%rip), %r10; mov 11*8+native_regs(%rip), %r11\n"
        "mov 12*8+native_regs(%rip), %r12; mov 13*8+native_regs(%rip), %r13\n"
        "mov 14*8+native_regs(%rip), %r14; mov 15*8+native_regs(%rip), %r15\n"
        "jmp *native_entry(%rip)\n"
        "native_back:\n"
        "mov %rsp, 4*8+native_regs(%rip); mov native_rsp(%rip), %rsp\n"
        "pushfq; popq 16*8+native_regs(%rip); cld\n"
        "mov %rax, 0*8+native_regs(%rip); mov %rcx, 1*8+native_regs(%rip)\n"
        "mov %rdx, 2*8+native_regs(%rip); mov %rbx, 3*8+native_regs(%rip)\n"
        "mov %rbp, 5*8+native_regs(%rip)\n"
        "mov %rsi, 6*8+native_regs(%rip); mov %rdi, 7*8+native_regs(%rip)\n"
        "mov %r8, 8*8+native_regs(%rip); mov %r9, 9*8+native_regs(%rip)\n"
        "mov %r10, 10*8+native_regs(%rip); mov %r11, 11*8+native_regs(%rip)\n"
        "mov %r12, 12*8+native_regs(%rip); mov %r13, 13*8+native_regs(%rip)\n"
        "mov %r14, 14*8+native_regs(%rip); mov %r15, 15*8+native_regs(%rip)\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n");

/* One encoding under construction, and the registers to run it with. */
struct trial {
    uint8_t bytes[24];
    unsigned int length;
    uint64_t regs[17];
    unsigned int opsize;
    bool is_addr32, is_gs, has_rex;
    uint8_t rex;
};

static void put(struct trial *t, uint64_t val, unsigned int bytes)
{
    memcpy(t->bytes + t->length, &val, bytes);
    t->length += bytes;
}

enum form_kind {
    PLAIN,
    BIT_REG,
    STRING,
    MOFFS
};

static const struct form {
    uint8_t escape, opcode;
    int8_t reg;  /* ModRM.reg, or -1 for a register */
    uint8_t imm; /* bytes of immediate; 4: by operand size */
    bool is_byte, can_lock;
    enum form_kind kind;
} forms[] = {
    { 0, 0x00, -1, 0, true, true, PLAIN },     { 0, 0x01, -1, 0, false, true, PLAIN },
    { 0, 0x08, -1, 0, true, true, PLAIN },     { 0, 0x09, -1, 0, false, true, PLAIN },
    { 0, 0x10, -1, 0, true, true, PLAIN },     { 0, 0x11, -1, 0, false, true, PLAIN },
    { 0, 0x18, -1, 0, true, true, PLAIN },     { 0, 0x19, -1, 0, false, true, PLAIN },
    { 0, 0x20, -1, 0, true, true, PLAIN },     { 0, 0x21, -1, 0, false, true, PLAIN },
    { 0, 0x28, -1, 0, true, true, PLAIN },     { 0, 0x29, -1, 0, false, true, PLAIN },
    { 0, 0x30, -1, 0, true, true, PLAIN },     { 0, 0x31, -1, 0, false, true, PLAIN },
    { 0, 0x80, 0, 1, true, true, PLAIN },      { 0, 0x80, 1, 1, true, true, PLAIN },
    { 0, 0x80, 2, 1, true, true, PLAIN },      { 0, 0x80, 3, 1, true, true, PLAIN },
    { 0, 0x80, 4, 1, true, true, PLAIN },      { 0, 0x80, 5, 1, true, true, PLAIN },
    { 0, 0x80, 6, 1, true, true, PLAIN },      { 0, 0x81, 0, 4, false, true, PLAIN },
    { 0, 0x81, 1, 4, false, true, PLAIN },     { 0, 0x81, 2, 4, false, true, PLAIN },
    { 0, 0x81, 3, 4, false, true, PLAIN },     { 0, 0x81, 4, 4, false, true, PLAIN },
    { 0, 0x81, 5, 4, false, true, PLAIN },     { 0, 0x81, 6, 4, false, true, PLAIN },
    { 0, 0x83, 0, 1, false, true, PLAIN },     { 0, 0x83, 1, 1, false, true, PLAIN },
    { 0, 0x83, 4, 1, false, true, PLAIN },     { 0, 0x83, 5, 1, false, true, PLAIN },
    { 0, 0x86, -1, 0, true, true, PLAIN },     { 0, 0x87, -1, 0, false, true, PLAIN },
    { 0, 0x88, -1, 0, true, false, PLAIN },    { 0, 0x89, -1, 0, false, false, PLAIN },
    { 0, 0xc6, 0, 1, true, false, PLAIN },     { 0, 0xc7, 0, 4, false, false, PLAIN },
    { 0, 0xf6, 2, 0, true, true, PLAIN },      { 0, 0xf6, 3, 0, true, true, PLAIN },
    { 0, 0xf7, 2, 0, false, true, PLAIN },     { 0, 0xf7, 3, 0, false, true, PLAIN },
    { 0, 0xfe, 0, 0, true, true, PLAIN },      { 0, 0xfe, 1, 0, true, true, PLAIN },
    { 0, 0xff, 0, 0, false, true, PLAIN },     { 0, 0xff, 1, 0, false, true, PLAIN },
    { 15, 0xb0, -1, 0, true, true, PLAIN },    { 15, 0xb1, -1, 0, false, true, PLAIN },
    { 15, 0xc0, -1, 0, true, true, PLAIN },    { 15, 0xc1, -1, 0, false, true, PLAIN },
    { 15, 0xab, -1, 0, false, true, BIT_REG }, { 15, 0xb3, -1, 0, false, true, BIT_REG },
    { 15, 0xbb, -1, 0, false, true, BIT_REG }, { 15, 0xba, 5, 1, false, true, PLAIN },
    { 15, 0xba, 6, 1, false, true, PLAIN },    { 15, 0xba, 7, 1, false, true, PLAIN },
    { 0, 0xa4, 0, 0, true, false, STRING },    { 0, 0xa5, 0, 0, false, false, STRING },
    { 0, 0xaa, 0, 0, true, false, STRING },    { 0, 0xab, 0, 0, false, false, STRING },
    { 0, 0xa2, 0, 0, true, false, MOFFS },     { 0, 0xa3, 0, 0, false, false, MOFFS },
};

/* Values at the edges of every width are likelier than chance has them. */
static uint64_t value(void)
{
    static const uint64_t edges[] = { 0,          1,         0x7f,       0x80,       0xff,
                                      0x7fff,     0x8000,    0xffff,     0x7fffffff, 0x80000000,
                                      0xffffffff, INT64_MAX, 1ull << 63, ~0ull };

    return one_in(3) ? edges[below(14)] : rnd();
}

static void prefixes(struct trial *t, const struct form *f)
{
    t->opsize = f->is_byte ? 1 : 4;
    if (one_in(3)) {
        put(t, 0x66, 1);
        t->opsize = f->is_byte ? 1 : 2;
    }
    t->is_addr32 = one_in(4);
    if (t->is_addr32) {
        put(t, 0x67, 1);
    }
    if (f->can_lock && one_in(2)) {
        put(t, 0xf0, 1);
    }
    t->is_gs = one_in(5) && f->kind != STRING;
    if (t->is_gs) {
        put(t, 0x65, 1);
    } else if (one_in(6)) {
        put(t, (uint8_t[]){ 0x26, 0x2e, 0x36, 0x3e }[below(4)], 1);
    }
    if (f->kind == STRING && one_in(2)) {
        put(t, one_in(2) ? 0xf3 : 0xf2, 1);
    }
    if (one_in(10)) {
        put(t, 0x48, 1); /* void: another prefix follows */
        put(t, 0x2e, 1);
    }
    t->has_rex = !one_in(3);
    t->rex = t->has_rex ? 0x40 | below(16) : 0;
    if (f->kind == STRING || f->kind == MOFFS) {
        t->rex &= 0x48;
    }
    if (t->has_rex) {
        put(t, t->rex, 1);
        t->opsize = !f->is_byte && t->rex & 8 ? 8 : t->opsize;
    }
}

static uint8_t *new_target(void)
{
    return data + DATA_BYTES / 2 - 1024 + below(2048);
}

/* ModRM, SIB, displacement to reach @target; registers are set to make it so. */
static void memory_operand(struct trial *t, unsigned int reg, uint64_t target, unsigned int imm)
{
    unsigned int mod = below(3), rm = below(8), base = rm;
    unsigned int index = 4, scale = 0;
    int64_t disp = mod == 1 ? (int8_t)rnd() : mod == 2 ? (int)below(1 << 20) - (1 << 19) : 0;
    uint64_t left;

    put(t, mod << 6 | (reg & 7) << 3 | rm, 1);
    if (rm == 4) {
        bool is_0x24 = one_in(2); /* what rsp and r12 alone look like, but for REX.X */

        base = is_0x24 ? 4 : below(8);
        index = (is_0x24 ? 4 : below(8)) | (t->rex & 2) << 2;
        scale = is_0x24 ? 0 : below(4);
        put(t, scale << 6 | (index & 7) << 3 | base, 1);
    }
    if (mod == 0 && rm == 5) {
        put(t, target - ((uint64_t)code + t->length + 4 + imm), 4);
        return;
    }
    if (index != 4) {
        t->regs[index] = value() & 0xffff;
    }
    left = target - (index != 4 ? t->regs[index] << scale : 0);
    if (mod == 0 && base == 5) {
        put(t, left, 4);
        return;
    }
    base |= (t->rex & 1) << 3;
    if (base == index) {
        t->regs[base] = (target - (uint64_t)disp) / (1 + (1u << scale));
        if (mod == 2) {
            disp = (int64_t)(target - t->regs[base] * (1 + (1u << scale)));
        }
    } else {
        t->regs[base] = left - (uint64_t)disp;
    }
    if (t->is_addr32) {
        t->regs[base] = (uint32_t)t->regs[base] | (base == index ? 0 : rnd() << 32);
    }
    put(t, (uint64_t)disp, mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

static void string_operands(struct trial *t)
{
    t->regs[1] = below(20);
    t->regs[6] = (uint64_t)new_target();
    t->regs[7] = (uint64_t)new_target();
    if (t->is_addr32) {
        t->regs[1] |= rnd() << 32;
        t->regs[6] |= rnd() << 32;
        t->regs[7] |= rnd() << 32;
    }
}

/* Those with a short cut come often: xchg and mov of a register, andb. */
static const struct form *choose_form(void)
{
    static const uint8_t opcodes[] = { 0x80, 0x87, 0x89 };
    bool is_hot = one_in(3);
    uint8_t opcode = opcodes[below(3)];
    const struct form *f;

    do {
        f = &forms[below(ARRAY_SIZE(forms))];
    } while (is_hot && (f->opcode != opcode || (opcode == 0x80 && f->reg != 4)));
    return f;
}

static void make(struct trial *t)
{
    const struct form *f = choose_form();
    uint64_t target = (uint64_t)new_target();
    unsigned int imm, reg;

    memset(t, 0, sizeof(*t));
    for (int i = 0; i < 16; i++) {
        t->regs[i] = value();
    }
    t->regs[16] = (rnd() & FLAGS_MASK) | 0x202;
    prefixes(t, f);
    imm = f->imm == 4 ? min(t->opsize, 4u) : f->imm;
    if (f->escape) {
        put(t, f->escape, 1);
    }
    put(t, f->opcode, 1);
    if (t->is_gs) {
        target -= GS_BASE;
    }
    if (f->kind == STRING) {
        string_operands(t);
    } else if (f->kind == MOFFS) {
        put(t, target, t->is_addr32 ? 4 : 8);
    } else {
        reg = f->reg >= 0 ? (unsigned int)f->reg : below(8);
        if (f->kind == BIT_REG) {
            unsigned int nr = reg | (t->rex & 4) << 1;

            t->regs[nr] = (uint64_t)((int64_t)below(32768) - 16384);
        }
        memory_operand(t, reg, target, imm);
    }
    put(t, value(), imm);
}

/* The emulator's side. */
static const unsigned int order[16] = {
    offsetof(struct cpu_user_regs, rax), offsetof(struct cpu_user_regs, rcx),
    offsetof(struct cpu_user_regs, rdx), offsetof(struct cpu_user_regs, rbx),
    offsetof(struct cpu_user_regs, rsp), offsetof(struct cpu_user_regs, rbp),
    offsetof(struct cpu_user_regs, rsi), offsetof(struct cpu_user_regs, rdi),
    offsetof(struct cpu_user_regs, r8),  offsetof(struct cpu_user_regs, r9),
    offsetof(struct cpu_user_regs, r10), offsetof(struct cpu_user_regs, r11),
    offsetof(struct cpu_user_regs, r12), offsetof(struct cpu_user_regs, r13),
    offsetof(struct cpu_user_regs, r14), offsetof(struct cpu_user_regs, r15),
};

static bool is_data(uint64_t addr, unsigned int bytes)
{
    uint64_t at = addr - (uint64_t)data;

    return at < DATA_BYTES && bytes <= DATA_BYTES - at;
}

static int mem_read(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val)
{
    if (!is_data(addr, bytes)) {
        return emul_page_fault(c, addr, 4);
    }
    *val = 0;
    memcpy(val, (void *)addr, bytes);
    return EMUL_OK;
}

static int mem_write(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t val)
{
    if (!is_data(addr, bytes)) {
        return emul_page_fault(c, addr, 6);
    }
    memcpy((void *)addr, &val, bytes);
    return EMUL_OK;
}

static int mem_xchg(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val)
{
    uint64_t old;
    int rc = mem_read(c, addr, bytes, &old);

    rc = rc ? rc : mem_write(c, addr, bytes, *val);
    *val = old;
    return rc;
}

static int mem_cmpxchg(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *old,
                       uint64_t val)
{
    uint64_t seen;
    int rc = mem_read(c, addr, bytes, &seen);

    if (!rc && seen == *old) {
        return mem_write(c, addr, bytes, val);
    }
    *old = seen;
    return rc;
}

static int segment(struct emul_ctxt *c, enum emul_seg seg, struct emul_segment *s)
{
    if (c->mode != EMUL_MODE_64 || seg != EMUL_SEG_GS) {
        return EMUL_UNHANDLEABLE;
    }
    s->base = GS_BASE;
    return EMUL_OK;
}

static const struct emul_ops ops = {
    .read = mem_read,
    .write = mem_write,
    .xchg = mem_xchg,
    .cmpxchg = mem_cmpxchg,
    .segment = segment,
};

static int emulate(const struct trial *t, struct cpu_user_regs *regs)
{
    struct emul_ctxt c = { .regs = regs, .ops = &ops, .mode = EMUL_MODE_64 };
    struct emul_fetch f = { .nr = t->length };
    int rc;

    memset(regs, 0x5a, sizeof(*regs));
    for (int i = 0; i < 16; i++) {
        memcpy((char *)regs + order[i], &t->regs[i], 8);
    }
    regs->rflags = t->regs[16];
    regs->rip = (uint64_t)code;
    memset(f.byte, 0xcc, sizeof(f.byte));
    memcpy(f.byte, t->bytes, t->length);
    do {
        rc = emul_run(&c, &f);
    } while (rc == EMUL_OK && regs->rip == (uint64_t)code);
    return rc;
}

static void print_trial(const struct trial *t)
{
    for (unsigned int i = 0; i < t->length; i++) {
        print_error("%02x ", t->bytes[i]);
    }
    print_error("\n");
}

static bool same(const struct trial *t, const struct cpu_user_regs *regs)
{
    bool good = true;

    for (int i = 0; i < 16; i++) {
        uint64_t val;

        memcpy(&val, (const char *)regs + order[i], 8);
        if (val != native_regs[i]) {
            print_error("register %d: %#lx, native %#lx\n", i, val, native_regs[i]);
            good = false;
        }
    }
    if ((regs->rflags ^ native_regs[16]) & FLAGS_MASK) {
        print_error("flags %#lx, native %#lx, were %#lx\n", regs->rflags & FLAGS_MASK,
                    native_regs[16] & FLAGS_MASK, t->regs[16] & FLAGS_MASK);
        good = false;
    }
    if (memcmp(data, after_native, DATA_BYTES)) {
        print_error("memory differs\n");
        good = false;
    }
    if (regs->rip != (uint64_t)code + t->length) {
        print_error("length %lu, native %u\n", regs->rip - (uint64_t)code, t->length);
        good = false;
    }
    return good;
}

static void run_both(const struct trial *t)
{
    static const uint8_t jump[] = { 0xff, 0x25, 0, 0, 0, 0 }; /* jmp *0(%rip) */
    const void *back = native_back;
    struct cpu_user_regs regs;
    int rc;

    memcpy(code, t->bytes, t->length);
    memcpy(code + t->length, jump, sizeof(jump));
    memcpy(code + t->length + sizeof(jump), &back, sizeof(back));
    memcpy(data, before, DATA_BYTES);
    memcpy(native_regs, t->regs, sizeof(native_regs));
    native_entry = code;
    run_native();
    memcpy(after_native, data, DATA_BYTES);

    memcpy(data, before, DATA_BYTES);
    rc = emulate(t, &regs);
    if (rc != EMUL_OK || !same(t, &regs)) {
        print_trial(t);
        fail_msg("result %d", rc);
    }
}

static bool reaches_data(const struct trial *t)
{
    struct cpu_user_regs regs;

    memcpy(data, before, DATA_BYTES);
    return emulate(t, &regs) != EMUL_FAULT;
}

static void random_encodings_leave_what_the_processor_leaves(void **state)
{
    unsigned int nr_run = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct trial t;

        make(&t);
        /* Half of the time cmpxchg is to find what it compares with. */
        for (unsigned int j = 0; j < DATA_BYTES; j++) {
            before[j] = i & 1 ? (uint8_t)(t.regs[0] >> 8 * (j & 7)) : (uint8_t)(seed >> (j % 57));
        }
        if (t.length > EMUL_INSN_MAX || !reaches_data(&t)) {
            continue; /* too many prefixes, or a register served two purposes */
        }
        run_both(&t);
        nr_run++;
    }
    assert_true(nr_run > ROUNDS / 2);
}

static int map_pages(void **state)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT;

    (void)state;
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
    data = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    return code == MAP_FAILED || data == MAP_FAILED ||
           syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_encodings_leave_what_the_processor_leaves),
    };

    return cmocka_run_group_tests(tests, map_pages, NULL);
}
