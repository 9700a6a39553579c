/* SPDX-License-Identifier: MIT */
/*
 * A machine of one page of memory, with ports and registers that remember what
 * was done to them, and the emulator's ops upon it.
 */
#pragma once

#include "emul/emul.h"

#define FAKE_PAGE 0x10000ul /* linear address of the page */

struct fake {
    uint8_t page[4096];
    int refuse;     /* what every op returns, when it is not 0 */
    bool is_racing; /* memory changes between a read and a compare-exchange */
    unsigned int nr_calls, nr_writes;
    uint64_t number;  /* of the port, register, leaf asked for last */
    uint64_t written; /* to a port or register */
    unsigned int bytes;
    uint64_t val; /* what ports and registers hold */
    struct emul_segment segment;

    struct cpu_user_regs regs;
    struct emul_ctxt ctxt;
    struct emul_fetch fetch;
};

extern struct fake fake;

/* A fresh machine in 64-bit mode, in the guest's kernel, with all ops but those for segments. */
void fake_reset(void);

/* Offer a segment too. */
void fake_offer_segment(uint64_t base, uint32_t first, uint32_t last, bool is_writable);

/* Let it have no ops at all. */
void fake_offer_nothing(void);

/* The next instruction's bytes, as a string. */
#define FAKE_INSN(s) fake_insn((const uint8_t *)(s), sizeof(s) - 1)
void fake_insn(const uint8_t *bytes, unsigned int nr);

/* The 64-bit word at @offset in the page. */
uint64_t fake_word(unsigned int offset);
void fake_set_word(unsigned int offset, uint64_t val);
