/* SPDX-License-Identifier: MIT */
/*
 * Reading the command line.  It comes from whoever starts the machine, so a
 * mistake in it must cost no more than the word it is in: every word is
 * copied into a buffer of its own, and judged alone.
 */
#include "sys/cmdline.h"

#include "lib/format.h"
#include "lib/string.h"
#include "sys/log.h"

#define WORD_MAX  256u
#define NAMES_MAX 256u

static __init bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (!strcmp(text, *words)) {
            return true;
        }
    }
    return false;
}

__init bool cmdline_bool(const char *text, bool *value)
{
    static const char *const yes[] = { "yes", "on", "true", "enable", "1", NULL };
    static const char *const no[] = { "no", "off", "false", "disable", "0", NULL };
    bool is_yes = is_one_of(text, yes);

    if (!is_yes && !is_one_of(text, no)) {
        return false;
    }
    *value = is_yes;
    return true;
}

static unsigned int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned int)(c - '0');
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned int)(c - 'a') + 10 : 99;
}

bool cmdline_number(const char **text, uint64_t *value)
{
    const char *s = *text;
    unsigned int base = 10;
    uint64_t n = 0;

    if (s[0] == '0' && (s[1] | 0x20) == 'x') {
        base = 16;
        s += 2;
    } else if (s[0] == '0') {
        base = 8;
    }
    if (digit_of(*s) >= base) {
        return false;
    }
    for (; digit_of(*s) < base; s++) {
        if (n > (UINT64_MAX - digit_of(*s)) / base) {
            return false;
        }
        n = n * base + digit_of(*s);
    }
    *text = s;
    *value = n;
    return true;
}

bool cmdline_uint(const char *text, uint64_t *value)
{
    uint64_t n;

    if (!cmdline_number(&text, &n) || *text) {
        return false;
    }
    *value = n;
    return true;
}

__init bool cmdline_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "bkmgt";
    const char *unit;
    unsigned int shift = 10;
    uint64_t n;

    if (!cmdline_number(&text, &n)) {
        return false;
    }
    if (*text) {
        unit = strchr(units, *text | 0x20);
        if (!unit || text[1]) {
            return false;
        }
        shift = (unsigned int)(unit - units) * 10;
    }
    if (n > UINT64_MAX >> shift) {
        return false;
    }
    *bytes = n << shift;
    return true;
}

__init bool cmdline_next_item(const char **list, char *item, size_t size)
{
    const char *end = strchr(*list, ',');
    size_t len = end ? (size_t)(end - *list) : strlen(*list);

    if (!**list) {
        return false;
    }
    len = min(len, size - 1);
    memcpy(item, *list, len);
    item[len] = '\0';
    *list = end ? end + 1 : *list + strlen(*list);
    return true;
}

static __init bool in_range(const struct cmdline_option *o, uint64_t n)
{
    return n >= o->min && (!o->max || n <= o->max);
}

/* @value is NULL if the word had no `=`. */
static __init bool set(const struct cmdline_option *o, const char *value, bool negated)
{
    uint64_t n;

    if (o->type == CMDLINE_BOOL) {
        if (!value) {
            *(bool *)o->value = !negated;
            return true;
        }
        return !negated && cmdline_bool(value, o->value);
    }
    if (o->type >= CMDLINE_NO_EFFECT) {
        return true;
    }
    if (negated) {
        return o->type == CMDLINE_CUSTOM && !value && o->parse("no");
    }
    if (o->type == CMDLINE_CUSTOM) {
        return o->parse(value ? value : "");
    }
    if (!value) {
        return false;
    }
    if (o->type == CMDLINE_STRING) {
        return strlen(value) < o->max && string_copy(o->value, value, o->max);
    }
    if (o->type == CMDLINE_UINT) {
        if (!cmdline_uint(value, &n) || n > UINT32_MAX || !in_range(o, n)) {
            return false;
        }
        *(uint32_t *)o->value = (uint32_t)n;
        return true;
    }
    if (!cmdline_size(value, &n) || !in_range(o, n)) {
        return false;
    }
    *(uint64_t *)o->value = n;
    return true;
}

static __init const struct cmdline_option *lookup(const char *name,
                                                  const struct cmdline_option *table, size_t nr)
{
    for (const struct cmdline_option *o = table; o < table + nr; o++) {
        if (!strcmp(o->name, name)) {
            return o;
        }
    }
    return NULL;
}

/* Names of options without effect, for one line about all of them. */
struct names {
    size_t len;
    char text[NAMES_MAX];
};

static __init void parse_word(char *word, const struct cmdline_option *table, size_t nr,
                              struct names *without_effect)
{
    char *value = strchr(word, '=');
    const struct cmdline_option *o;
    bool negated = false;

    if (value) {
        *value++ = '\0';
    }
    o = lookup(word, table, nr);
    if (!o && string_starts(word, "no-")) {
        negated = true;
        o = lookup(word + 3, table, nr);
    }
    if (!o) {
        log_warn("command line: there is no option \"%s\"; it is skipped", word);
    } else if (!set(o, value, negated)) {
        log_warn("command line: %s cannot be \"%s\"; it is skipped", word, value ? value : "");
    } else if (o->type == CMDLINE_NO_EFFECT && without_effect->len < NAMES_MAX) {
        without_effect->len += format_string(without_effect->text + without_effect->len,
                                             NAMES_MAX - without_effect->len, " %s", word);
    }
}

/* The next word of *@line, which moves behind it: its length, 0 at the end of the line. */
static __init size_t next_word(const char **line, const char **word)
{
    while (**line == ' ' || **line == '\t') {
        ++*line;
    }
    *word = *line;
    while (**line && **line != ' ' && **line != '\t') {
        ++*line;
    }
    return (size_t)(*line - *word);
}

static __init bool is_separator(const char *word, size_t len)
{
    return len == 2 && word[0] == '-' && word[1] == '-';
}

__init void cmdline_parse(const char *line, const struct cmdline_option *table, size_t nr)
{
    struct names without_effect = { .text = "" };
    const char *start;
    size_t len;

    while ((len = next_word(&line, &start)) && !is_separator(start, len)) {
        char word[WORD_MAX];

        if (len >= WORD_MAX) {
            log_warn("command line: \"%.24s...\" is too long; it is skipped", start);
            continue;
        }
        memcpy(word, start, len);
        word[len] = '\0';
        parse_word(word, table, nr, &without_effect);
    }
    if (without_effect.len) {
        log_info("command line: accepted without effect:%s", without_effect.text);
    }
}

__init const char *cmdline_for_kernel(const char *line)
{
    const char *start;
    size_t len;

    while ((len = next_word(&line, &start))) {
        if (is_separator(start, len)) {
            while (*line == ' ' || *line == '\t') {
                line++;
            }
            return line;
        }
    }
    return "";
}
