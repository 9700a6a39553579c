/* SPDX-License-Identifier: MIT */
/*
 * printf-like formatting: one pass over the format, each conversion read into
 * a struct spec and printed by one of two routines, for text and for numbers.
 */
#include "lib/format.h"

#include "lib/string.h"

struct out {
    char *buf;
    size_t size;
    size_t len; /* of the whole text, stored or not */
};

struct spec {
    bool left, zero, plus, space, alt;
    int width;
    int precision; /* -1: none given */
    int length;    /* number of l (z counts as l), negative: number of h */
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size) {
        o->buf[o->len] = c;
    }
    o->len++;
}

static void put_repeat(struct out *o, char c, int n)
{
    while (n-- > 0) {
        put(o, c);
    }
}

static void put_text(struct out *o, const struct spec *s, const char *text)
{
    size_t limit = s->precision < 0 ? SIZE_MAX : (size_t)s->precision;
    int len;

    if (!text) {
        text = "(null)";
    }
    len = (int)strnlen(text, min(limit, (size_t)0x10000));
    if (!s->left) {
        put_repeat(o, ' ', s->width - len);
    }
    for (int i = 0; i < len; i++) {
        put(o, text[i]);
    }
    if (s->left) {
        put_repeat(o, ' ', s->width - len);
    }
}

/* @prefix is the sign or "0x"; zeros stand between it and the digits. */
static void put_number(struct out *o, const struct spec *s, uint64_t value, unsigned int base,
                       const char *prefix, bool upper)
{
    char digits[24];
    int len = 0, zeros, prefix_len = (int)strlen(prefix);

    while (value) {
        digits[len++] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
        value /= base;
    }
    if (!len && s->precision != 0) {
        digits[len++] = '0';
    }
    zeros = s->precision - len;
    if (s->precision < 0) {
        zeros = s->zero && !s->left ? s->width - len - prefix_len : 0;
    }
    zeros = max(zeros, 0);
    if (!s->left) {
        put_repeat(o, ' ', s->width - len - prefix_len - zeros);
    }
    while (*prefix) {
        put(o, *prefix++);
    }
    put_repeat(o, '0', zeros);
    for (int i = len; i-- > 0;) {
        put(o, digits[i]);
    }
    if (s->left) {
        put_repeat(o, ' ', s->width - len - prefix_len - zeros);
    }
}

static const char *parse_flags(struct spec *s, const char *fmt)
{
    for (;; fmt++) {
        switch (*fmt) {
        case '-':
            s->left = true;
            break;
        case '0':
            s->zero = true;
            break;
        case '+':
            s->plus = true;
            break;
        case ' ':
            s->space = true;
            break;
        case '#':
            s->alt = true;
            break;
        default:
            return fmt;
        }
    }
}

/* A number in the format, bounded so that padding cannot run away. */
static const char *parse_number(int *value, const char *fmt)
{
    for (*value = 0; *fmt >= '0' && *fmt <= '9'; fmt++) {
        *value = min(*value * 10 + (*fmt - '0'), 4096);
    }
    return fmt;
}

static const char *parse_length(struct spec *s, const char *fmt)
{
    for (;; fmt++) {
        if (*fmt == 'l') {
            s->length++;
        } else if (*fmt == 'z') {
            s->length = 1;
        } else if (*fmt == 'h') {
            s->length--;
        } else {
            return fmt;
        }
    }
}

static void put_signed(struct out *o, const struct spec *s, int64_t v)
{
    const char *prefix = s->plus ? "+" : s->space ? " " : "";

    put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0 ? "-" : prefix, false);
}

static void put_unsigned(struct out *o, const struct spec *s, uint64_t v, char conversion)
{
    bool hex = conversion == 'x' || conversion == 'X' || conversion == 'p';
    unsigned int base = hex ? 16 : conversion == 'o' ? 8 : 10;
    const char *prefix = hex && s->alt && v ? "0x" : "";

    put_number(o, s, v, base, prefix, conversion == 'X');
}

/* va_list may be an array type: a pointer to it survives being passed on only inside a struct. */
struct arguments {
    va_list list;
};

static int64_t next_signed(const struct spec *s, struct arguments *a)
{
    int64_t v = s->length > 0 ? va_arg(a->list, long) : va_arg(a->list, int);

    return s->length == -1 ? (short)v : s->length == -2 ? (signed char)v : v;
}

static uint64_t next_unsigned(const struct spec *s, struct arguments *a)
{
    uint64_t v = s->length > 0 ? va_arg(a->list, unsigned long) : va_arg(a->list, unsigned int);

    return s->length == -1 ? (uint16_t)v : s->length == -2 ? (uint8_t)v : v;
}

static void put_conversion(struct out *o, struct spec *s, char conversion, struct arguments *a)
{
    char one[2] = "";

    switch (conversion) {
    case 's':
        put_text(o, s, va_arg(a->list, const char *));
        break;
    case 'c':
        one[0] = (char)va_arg(a->list, int);
        put_text(o, s, one);
        break;
    case 'd':
    case 'i':
        put_signed(o, s, next_signed(s, a));
        break;
    case 'p':
        s->precision = 16;
        put_unsigned(o, s, (uintptr_t)va_arg(a->list, void *), 'p');
        break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        put_unsigned(o, s, next_unsigned(s, a), conversion);
        break;
    default:
        put(o, '%');
        put(o, conversion);
        break;
    }
}

static const char *parse_spec(struct spec *s, const char *fmt, struct arguments *a)
{
    fmt = parse_flags(s, fmt);
    if (*fmt == '*') {
        s->width = va_arg(a->list, int);
        s->left |= s->width < 0;
        s->width = min(s->width < 0 ? -(long)s->width : (long)s->width, 4096l);
        fmt++;
    } else {
        fmt = parse_number(&s->width, fmt);
    }
    if (*fmt == '.') {
        fmt++;
        if (*fmt == '*') {
            s->precision = va_arg(a->list, int);
            fmt++;
        } else {
            fmt = parse_number(&s->precision, fmt);
        }
    }
    return parse_length(s, fmt);
}

size_t format_vstring(char *buf, size_t size, const char *fmt, va_list args)
{
    struct out o = { .buf = buf, .size = size };
    struct arguments a;

    va_copy(a.list, args);
    while (*fmt) {
        struct spec s = { .precision = -1 };

        if (*fmt != '%') {
            put(&o, *fmt++);
            continue;
        }
        fmt = parse_spec(&s, fmt + 1, &a);
        if (!*fmt) {
            put(&o, '%'); /* the format ends inside a conversion */
            break;
        }
        if (*fmt == '%') {
            put(&o, '%');
        } else {
            put_conversion(&o, &s, *fmt, &a);
        }
        fmt++;
    }
    va_end(a.list);
    if (size) {
        buf[min(o.len, size - 1)] = '\0';
    }
    return o.len;
}

size_t format_string(char *buf, size_t size, const char *fmt, ...)
{
    va_list args;
    size_t len;

    va_start(args, fmt);
    len = format_vstring(buf, size, fmt, args);
    va_end(args);
    return len;
}
