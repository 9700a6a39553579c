/* SPDX-License-Identifier: MIT */
#include "emul/fake.h"

#include <string.h>

struct fake fake;

static uint8_t *at(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint32_t error)
{
    uint64_t offset = addr - FAKE_PAGE;

    fake.nr_calls++;
    if (offset >= sizeof(fake.page) || bytes > sizeof(fake.page) - offset) {
        emul_page_fault(c, addr, error);
        return NULL;
    }
    return fake.page + offset;
}

static int fake_read(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val)
{
    uint8_t *p = at(c, addr, bytes, 4);

    if (!p || fake.refuse) {
        return p ? fake.refuse : EMUL_FAULT;
    }
    *val = 0;
    memcpy(val, p, bytes);
    *p ^= fake.is_racing;
    return EMUL_OK;
}

static int fake_write(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t val)
{
    uint8_t *p = at(c, addr, bytes, 6);

    if (!p || fake.refuse) {
        return p ? fake.refuse : EMUL_FAULT;
    }
    fake.nr_writes++;
    memcpy(p, &val, bytes);
    return EMUL_OK;
}

static int fake_cmpxchg(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *old,
                        uint64_t val)
{
    uint8_t *p = at(c, addr, bytes, 6);
    uint64_t seen = 0;

    if (!p || fake.refuse) {
        return p ? fake.refuse : EMUL_FAULT;
    }
    memcpy(&seen, p, bytes);
    if (seen == *old) {
        return fake_write(c, addr, bytes, val);
    }
    *old = seen;
    return EMUL_OK;
}

static int fake_xchg(struct emul_ctxt *c, uint64_t addr, unsigned int bytes, uint64_t *val)
{
    uint64_t old = 0;
    int rc = fake_read(c, addr, bytes, &old);

    rc = rc ? rc : fake_write(c, addr, bytes, *val);
    *val = rc ? *val : old;
    return rc;
}

static int fake_segment(struct emul_ctxt *c, enum emul_seg seg, struct emul_segment *s)
{
    fake.number = seg;
    *s = fake.segment;
    return fake.refuse;
}

static int fake_read_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t *val)
{
    fake.nr_calls++;
    fake.number = port;
    fake.bytes = bytes;
    *val = (uint32_t)(fake.val & (~0ul >> (64 - 8 * bytes)));
    return fake.refuse;
}

static int fake_write_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t val)
{
    fake.nr_calls++;
    fake.number = port;
    fake.bytes = bytes;
    fake.written = val;
    return fake.refuse;
}

static int fake_read_number(struct emul_ctxt *c, uint32_t number, uint64_t *val)
{
    fake.nr_calls++;
    fake.number = number;
    *val = fake.val;
    return fake.refuse;
}

static int fake_write_number(struct emul_ctxt *c, uint32_t number, uint64_t val)
{
    fake.nr_calls++;
    fake.number = number;
    fake.written = val;
    return fake.refuse;
}

static int fake_set_interrupts(struct emul_ctxt *c, bool enable)
{
    fake.nr_calls++;
    fake.written = enable;
    return fake.refuse;
}

static int fake_plain(struct emul_ctxt *c)
{
    fake.nr_calls++;
    return fake.refuse;
}

static int fake_cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    fake.nr_calls++;
    fake.number = (uint64_t)subleaf << 32 | leaf;
    for (unsigned int i = 0; i < 4; i++) {
        out[i] = 0xa0a0a0a0u + i;
    }
    return fake.refuse;
}

static int fake_tsc(struct emul_ctxt *c, uint64_t *tsc, uint32_t *aux)
{
    fake.nr_calls++;
    *tsc = fake.val;
    *aux = 0xc0ffee;
    return fake.refuse;
}

#define MOST_OPS                                                                                   \
    .read = fake_read, .write = fake_write, .xchg = fake_xchg, .cmpxchg = fake_cmpxchg,            \
    .read_io = fake_read_io, .write_io = fake_write_io, .set_interrupts = fake_set_interrupts,     \
    .cpuid = fake_cpuid, .read_tsc = fake_tsc, .read_pmc = fake_read_number,                       \
    .read_msr = fake_read_number, .write_msr = fake_write_number, .read_cr = fake_read_number,     \
    .write_cr = fake_write_number, .read_dr = fake_read_number, .write_dr = fake_write_number,     \
    .xsetbv = fake_write_number, .wbinvd = fake_plain, .hlt = fake_plain

static const struct emul_ops most_ops = { MOST_OPS };
static const struct emul_ops all_ops = { MOST_OPS, .segment = fake_segment };
static const struct emul_ops no_ops;

void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.regs.rip = 0x401000;
    fake.regs.rflags = 0x202;
    fake.ctxt = (struct emul_ctxt){
        .regs = &fake.regs, .ops = &most_ops, .mode = EMUL_MODE_64, .is_kernel = true
    };
}

void fake_offer_segment(uint64_t base, uint32_t first, uint32_t last, bool is_writable)
{
    fake.segment = (struct emul_segment){ base, first, last, is_writable };
    fake.ctxt.ops = &all_ops;
}

void fake_offer_nothing(void)
{
    fake.ctxt.ops = &no_ops;
}

void fake_insn(const uint8_t *bytes, unsigned int nr)
{
    memset(&fake.fetch, 0, sizeof(fake.fetch));
    memcpy(fake.fetch.byte, bytes, nr);
    fake.fetch.nr = EMUL_INSN_MAX;
}

uint64_t fake_word(unsigned int offset)
{
    uint64_t val;

    memcpy(&val, fake.page + offset, sizeof(val));
    return val;
}

void fake_set_word(unsigned int offset, uint64_t val)
{
    memcpy(fake.page + offset, &val, sizeof(val));
}
