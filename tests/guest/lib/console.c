/* SPDX-License-Identifier: MIT */
/*
 * Lines on the hypervisor's console.  A line is formatted into a buffer and
 * written by one hypercall, so that lines of several vCPUs do not mix.
 */
#include <stdarg.h>

#include "hypercall.h"

struct line {
    char text[512];
    unsigned int length;
};

static void put(struct line *line, char c)
{
    if (line->length < sizeof(line->text)) {
        line->text[line->length++] = c;
    }
}

static void put_number(struct line *line, uint64_t n, unsigned int base, int width, char pad)
{
    char digits[24];
    int nr = 0;

    do {
        digits[nr++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n);
    for (; width > nr; width--) {
        put(line, pad);
    }
    while (nr) {
        put(line, digits[--nr]);
    }
}

static void put_string(struct line *line, const char *s, int width)
{
    for (; *s; s++, width--) {
        put(line, *s);
    }
    for (; width > 0; width--) {
        put(line, ' ');
    }
}

static void put_signed(struct line *line, long n, int width, char pad)
{
    if (n < 0) {
        put(line, '-');
        put_number(line, -(uint64_t)n, 10, width - 1, pad);
    } else {
        put_number(line, (uint64_t)n, 10, width, pad);
    }
}

/* One conversion; @fmt is past the '%'.  Returns what follows it. */
static const char *convert(struct line *line, const char *fmt, va_list *args)
{
    bool is_long = false;
    char pad = *fmt == '0' ? '0' : ' ';
    int width = 0;

    for (; (*fmt >= '0' && *fmt <= '9') || *fmt == '-'; fmt++) {
        width = *fmt == '-' ? width : width * 10 + (*fmt - '0');
    }
    for (; *fmt == 'l'; fmt++) {
        is_long = true;
    }
    switch (*fmt) {
    case 'd':
        put_signed(line, is_long ? va_arg(*args, long) : va_arg(*args, int), width, pad);
        break;
    case 'u':
    case 'x':
        put_number(line, is_long ? va_arg(*args, unsigned long) : va_arg(*args, unsigned int),
                   *fmt == 'x' ? 16 : 10, width, pad);
        break;
    case 'p':
        put_number(line, (uint64_t)va_arg(*args, void *), 16, 16, '0');
        break;
    case 'c':
        put(line, (char)va_arg(*args, int));
        break;
    case 's':
        put_string(line, va_arg(*args, const char *), width);
        break;
    default:
        put(line, *fmt);
        break;
    }
    return fmt + 1;
}

static void format(struct line *line, const char *fmt, va_list args)
{
    va_list copy;

    va_copy(copy, args);
    while (*fmt) {
        if (*fmt == '%') {
            fmt = convert(line, fmt + 1, &copy);
        } else {
            put(line, *fmt++);
        }
    }
    va_end(copy);
}

void print_v(const char *fmt, va_list args)
{
    struct line line = { .length = 0 };

    format(&line, fmt, args);
    hyper_console(CONSOLEIO_write, line.length, line.text);
}

void print(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print_v(fmt, args);
    va_end(args);
}

void guest_power_off(void)
{
    struct sched_shutdown reason = { .reason = SHUTDOWN_poweroff };

    hyper_sched(SCHEDOP_shutdown, &reason);
    for (;;) {
        hyper_sched(SCHEDOP_block, NULL);
    }
}

void guest_die(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print_v(fmt, args);
    va_end(args);
    print("\nguest: died\n");
    guest_power_off();
}
