/* SPDX-License-Identifier: MIT */
/*
 * The firmware's memory map.  Firmware gives entries in any order, and now and
 * then overlapping ones.  They are collected here, and then the address space
 * is walked from border to border; each stretch gets the type that restricts
 * its use the most among all entries that cover it.
 */
#include "boot/fill.h"

#include "sys/log.h"

#define MAX_RAW   (2 * BOOT_MAX_E820)
#define PADDR_END (1ull << 52) /* no processor of this architecture addresses more */

static struct e820_entry raw[MAX_RAW] __initdata;
static uint32_t nr_raw __initdata;

static __init uint64_t entry_end(const struct e820_entry *e)
{
    return e->start + e->len;
}

static __init unsigned int strictness(uint32_t type)
{
    static const uint8_t by_type[] __initconst = {
        [E820_RAM] = 1, [E820_ACPI] = 2, [E820_NVS] = 3, [E820_RESERVED] = 4, [E820_UNUSABLE] = 5,
    };

    return type < ARRAY_SIZE(by_type) && by_type[type] ? by_type[type] : by_type[E820_RESERVED];
}

__init void boot_add_memory(uint64_t start, uint64_t len_bytes, uint32_t type)
{
    if (len_bytes == 0) {
        return;
    }
    if (start >= PADDR_END) {
        log_warn("boot: memory map: entry at %#lx, beyond any address, ignored", start);
        return;
    }
    if (nr_raw == MAX_RAW) {
        log_warn("boot: memory map: more than %u entries; the one at %#lx is ignored", MAX_RAW,
                 start);
        return;
    }
    raw[nr_raw++] = (struct e820_entry){ .start = start,
                                         .len = min(len_bytes, PADDR_END - start),
                                         .type = type };
}

/* The strictest type at @at, 0 if no entry covers it; in *@next where the answer may change. */
static __init uint32_t type_at(uint64_t at, uint64_t *next)
{
    uint32_t type = 0;

    *next = PADDR_END;
    for (uint32_t i = 0; i < nr_raw; i++) {
        if (raw[i].start > at) {
            *next = min(*next, raw[i].start);
        } else if (entry_end(&raw[i]) > at) {
            *next = min(*next, entry_end(&raw[i]));
            if (!type || strictness(raw[i].type) > strictness(type)) {
                type = raw[i].type;
            }
        }
    }
    return type;
}

static __init void append(struct boot_info *info, uint64_t start, uint64_t end, uint32_t type)
{
    struct e820_entry *last = info->nr_e820 ? &info->e820[info->nr_e820 - 1] : NULL;

    if (last && last->type == type && entry_end(last) == start) {
        last->len += end - start;
    } else if (info->nr_e820 < BOOT_MAX_E820) {
        info->e820[info->nr_e820++] =
            (struct e820_entry){ .start = start, .len = end - start, .type = type };
    } else {
        log_warn("boot: memory map: more than %u entries; memory from %#lx to %#lx is not used",
                 BOOT_MAX_E820, start, end - 1);
    }
}

__init void boot_finish_memory(struct boot_info *info)
{
    uint64_t next;

    for (uint64_t at = 0; at < PADDR_END; at = next) {
        uint32_t type = type_at(at, &next);

        if (type) {
            append(info, at, next, type);
        }
    }
    nr_raw = 0;
}
