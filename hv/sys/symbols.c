/* SPDX-License-Identifier: MIT */
/*
 * The table of function names, which the build makes from a first link of the
 * image and puts into the second (scripts/symbol-table): offsets from the
 * image's start, ascending, each with the place of its name.
 */
#include "sys/symbols.h"

#include "sys/image.h"

struct symbol {
    uint32_t offset; /* bytes from __image_start */
    uint32_t name;   /* index into symbol_names */
};

extern const uint32_t symbol_count;
extern const struct symbol symbol_entries[];
extern const char symbol_names[];

static bool in_code(uint64_t addr)
{
    return (addr >= (uintptr_t)__init_start && addr < (uintptr_t)__init_text_end) ||
           (addr >= (uintptr_t)__text_start && addr < (uintptr_t)__text_end);
}

const char *symbol_lookup(uint64_t addr, uint64_t *offset)
{
    uint32_t low = 0, high;
    uint64_t wanted = addr - (uintptr_t)__image_start;

    if (!in_code(addr) || symbol_count == 0 || wanted < symbol_entries[0].offset) {
        return NULL;
    }

    /* The last entry that is not above @wanted lies in [low, high). */
    high = symbol_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (symbol_entries[middle].offset <= wanted) {
            low = middle;
        } else {
            high = middle;
        }
    }
    *offset = wanted - symbol_entries[low].offset;
    return &symbol_names[symbol_entries[low].name];
}
