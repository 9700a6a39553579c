/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's command line: words `name`, `name=value` and `no-name`,
 * separated by spaces, each looked up in a const table.
 */
#pragma once

#include "lib/compiler.h"

enum cmdline_type {
    CMDLINE_BOOL, /* bool; `name`, `no-name`, `name=` yes no on off true false enable disable 1 0 */
    CMDLINE_UINT, /* uint32_t between min and max; decimal, hexadecimal after 0x, octal after 0 */
    CMDLINE_SIZE, /* uint64_t bytes between min and max; suffix B K M G T, none is K */
    CMDLINE_STRING,    /* char[max], max being its size */
    CMDLINE_CUSTOM,    /* @parse decides */
    CMDLINE_NO_EFFECT, /* known from other hypervisors of this ABI; has none here and is named in
                          the log */
    CMDLINE_SILENT,    /* the same, but nobody needs to be told */
};

struct cmdline_option {
    const char *name;
    enum cmdline_type type;
    void *value;                      /* where it goes; types up to CMDLINE_STRING */
    uint64_t min, max;                /* max 0: no bound */
    bool (*parse)(const char *value); /* @value is "" if none was given; false: it is malformed */
};

/*
 * Set what @line says, by the @nr options of @table.  Stops at a word `--`.
 * What is unknown, malformed, too long or out of range is named in the log
 * and skipped.
 */
void cmdline_parse(const char *line, const struct cmdline_option *table, size_t nr);

/* The text after ` -- `, which belongs to dom0's kernel; "" if there is none. */
const char *cmdline_for_kernel(const char *line);

/* For custom options: a value of each type; false (and nothing stored) if @text is not one. */
bool cmdline_bool(const char *text, bool *value);
bool cmdline_uint(const char *text, uint64_t *value);
bool cmdline_size(const char *text, uint64_t *bytes);

/* The number at the start of *@text, which moves behind it; false, and nothing stored, if there is
 * none or it does not fit. */
bool cmdline_number(const char **text, uint64_t *value);

/*
 * For custom options that are lists: copy the next of the items of *@list,
 * which commas separate, into @item of @size bytes and move *@list behind it.
 * False when none is left.
 */
bool cmdline_next_item(const char **list, char *item, size_t size);
