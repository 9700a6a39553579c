/* SPDX-License-Identifier: MIT */
/*
 * Patching code for the processor at hand.  The code's own pages are never
 * writable: it is changed through the direct map, which shows the image as
 * plain memory until paging_seal().
 */
#include "x86/alternative.h"

#include "lib/string.h"
#include "sys/image.h"
#include "sys/log.h"
#include "x86/features.h"
#include "x86/layout.h"
#include "x86/paging.h"

#define JMP_REL32_BYTES 5u

/* The recommended no-ops of 1 to 9 bytes (SDM vol. 2, NOP). */
static __initconst const uint8_t nops[9][9] = {
    { 0x90 },
    { 0x66, 0x90 },
    { 0x0f, 0x1f, 0x00 },
    { 0x0f, 0x1f, 0x40, 0x00 },
    { 0x0f, 0x1f, 0x44, 0x00, 0x00 },
    { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
    { 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00 },
    { 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
    { 0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
};

/* Fill @to with @len bytes that do nothing: no-ops, or a jump when they are many. */
static __init void fill(uint8_t *to, unsigned int len)
{
    if (len > sizeof(nops[0])) {
        uint32_t distance = len - JMP_REL32_BYTES;

        memset(to, 0xcc, len);
        to[0] = 0xe9;
        memcpy(to + 1, &distance, sizeof(distance));
    } else if (len > 0) {
        memcpy(to, nops[len - 1], len);
    }
}

__init void alternatives_apply(void)
{
    const struct alternative *a = (const struct alternative *)__alt_start;
    unsigned int nr = 0;

    for (; a < (const struct alternative *)__alt_end; a++) {
        const char *code = (const char *)&a->at + a->at;

        if (cpu_has(a->feature) == (a->unless != 0)) {
            fill((uint8_t *)(LAYOUT_DIRECT_MAP + paging_virt_to_phys(code).a), a->len_bytes);
            nr++;
        }
    }
    /* A serialising instruction, before any of it runs. */
    __asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" ::: "rax", "memory");
    log_debug("Patched %u places in the code.", nr);
}
