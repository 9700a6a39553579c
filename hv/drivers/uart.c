/* SPDX-License-Identifier: MIT */
/*
 * Serial ports of type 16550.  An absent port reads as all ones, so the
 * scratch register and the loop-back of the modem lines tell whether a device
 * is there.  Should one stop taking characters (a wire that holds flow
 * control, a device that has gone), output waits a bounded time for each and
 * then goes without.
 */
#include "drivers/uart.h"

#include "lib/string.h"
#include "sys/log.h"
#include "x86/insn.h"

enum {
    REG_DATA = 0, /* divisor's low byte while LCR_DLAB is set */
    REG_IER = 1,  /* divisor's high byte while LCR_DLAB is set */
    REG_FCR = 2,
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_MSR = 6,
    REG_SCRATCH = 7,
};

#define IER_RX      0x01
#define FCR_ENABLE  0x07 /* on, both queues emptied; interrupt at the first character */
#define LCR_DLAB    0x80
#define MCR_READY   0x0b /* DTR, RTS, OUT2: the last one lets the interrupt out */
#define MCR_LOOP    0x1a
#define LSR_DATA    0x01
#define LSR_TX_FREE 0x20
#define CLOCK_HZ    1843200u
#define FIFO_LEN    16u
#define WAIT_CYCLES (1ull << 28) /* for one queue of output: ample at 1200 baud */

struct uart {
    uint16_t base;
    uint8_t irq;
    bool is_present;
    bool is_stuck; /* did not take characters in time; one look at a time from now on */
    uint32_t room; /* characters that surely fit into the output queue */
};

/* What uart_init() found; output is under the log's lock. */
static struct uart uarts[NR_UARTS] = {
    [UART_COM1] = { .base = 0x3f8, .irq = 4 },
    [UART_COM2] = { .base = 0x2f8, .irq = 3 },
};

struct uart_config {
    uint32_t baud; /* 0: as the firmware left it */
    uint32_t clock_hz;
    uint8_t line; /* line control register */
};

static uint8_t reg_read(const struct uart *u, unsigned int reg)
{
    return inb((uint16_t)(u->base + reg));
}

static void reg_write(const struct uart *u, unsigned int reg, uint8_t value)
{
    outb((uint16_t)(u->base + reg), value);
}

/* A number in base 10, or 16 after `0x`; *@s moves behind it. */
static uint32_t parse_number(const char **s)
{
    uint32_t n = 0, base = 10;

    if (string_starts(*s, "0x")) {
        base = 16;
        *s += 2;
    }
    for (;; ++*s) {
        char c = **s;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                                                : 99;

        if (digit >= base) {
            return n;
        }
        n = n * base + digit;
    }
}

/* Data bits, parity and stop bits, such as `8n1`. */
static bool parse_line(uint8_t *line, const char **s)
{
    static const char parities[] = "noems";
    static const uint8_t parity_bits[] = { 0x00, 0x08, 0x18, 0x28, 0x38 };
    const char *p = *s;
    const char *parity;

    if (p[0] < '5' || p[0] > '8' || !p[1]) {
        return false;
    }
    parity = strchr(parities, p[1]);
    if (!parity || (p[2] != '1' && p[2] != '2')) {
        return false;
    }
    *line = (uint8_t)((p[0] - '5') | parity_bits[parity - parities] | (p[2] == '2' ? 4 : 0));
    *s += 3;
    return true;
}

static bool parse_speed(struct uart_config *c, const char **s)
{
    if (string_starts(*s, "auto")) {
        c->baud = 0;
        *s += 4;
        return true;
    }
    c->baud = parse_number(s);
    if (**s == '/') {
        ++*s;
        c->clock_hz = parse_number(s) * 16;
    }
    return c->baud && c->clock_hz / 16 >= c->baud;
}

static bool parse_config(struct uart *u, struct uart_config *c, const char *s)
{
    uint32_t n;

    if (!*s) {
        return true;
    }
    if (*s != ',' && !parse_speed(c, &s)) {
        return false;
    }
    if (*s == ',' && *++s != ',' && *s && !parse_line(&c->line, &s)) {
        return false;
    }
    if (*s == ',' && *++s != ',' && *s) {
        n = parse_number(&s);
        if (!n || n > 0x10000 - UART_PORTS) {
            return false;
        }
        u->base = (uint16_t)n;
    }
    if (*s == ',') {
        ++s;
        n = parse_number(&s);
        u->irq = (uint8_t)min(n, 255u);
    }
    return !*s;
}

static bool answers(const struct uart *u)
{
    uint8_t mcr, modem;

    reg_write(u, REG_SCRATCH, 0x5a);
    if (reg_read(u, REG_SCRATCH) != 0x5a) {
        return false;
    }
    mcr = reg_read(u, REG_MCR);
    reg_write(u, REG_MCR, MCR_LOOP);
    modem = reg_read(u, REG_MSR);
    reg_write(u, REG_MCR, mcr);
    return (modem & 0xf0) == 0x90; /* RTS comes back as CTS, OUT2 as DCD */
}

bool uart_init(unsigned int index, const char *config)
{
    struct uart *u = &uarts[index];
    struct uart_config c = { .baud = 115200, .clock_hz = CLOCK_HZ, .line = 0x03 };

    if (!parse_config(u, &c, config)) {
        log_warn("com%u=%s is not baud,DPS,io-base,irq: using what is readable of it", index + 1,
                 config);
    }
    u->is_present = answers(u);
    if (!u->is_present) {
        return false;
    }
    reg_write(u, REG_IER, 0);
    if (c.baud) {
        uint32_t divisor = max(c.clock_hz / 16 / c.baud, 1u);

        reg_write(u, REG_LCR, LCR_DLAB);
        reg_write(u, REG_DATA, (uint8_t)divisor);
        reg_write(u, REG_IER, (uint8_t)(divisor >> 8));
    }
    reg_write(u, REG_LCR, c.line);
    reg_write(u, REG_FCR, FCR_ENABLE);
    reg_write(u, REG_MCR, MCR_READY);
    return true;
}

bool uart_is_present(unsigned int index)
{
    return uarts[index].is_present;
}

/* Wait until the output queue is empty, so that FIFO_LEN characters fit. */
static bool wait_for_room(struct uart *u)
{
    uint64_t start = rdtsc();

    while (!(reg_read(u, REG_LSR) & LSR_TX_FREE)) {
        if (u->is_stuck || rdtsc() - start > WAIT_CYCLES) {
            u->is_stuck = true;
            return false;
        }
        cpu_relax();
    }
    u->is_stuck = false;
    u->room = FIFO_LEN;
    return true;
}

static void put(struct uart *u, char c)
{
    if (u->room || wait_for_room(u)) {
        u->room--;
        reg_write(u, REG_DATA, (uint8_t)c);
    }
}

void uart_write(unsigned int index, const char *text, size_t len_bytes)
{
    struct uart *u = &uarts[index];

    if (!u->is_present) {
        return;
    }
    for (size_t i = 0; i < len_bytes; i++) {
        if (text[i] == '\n') {
            put(u, '\r');
        }
        put(u, text[i]);
    }
}

int uart_poll(unsigned int index)
{
    struct uart *u = &uarts[index];
    uint8_t status;

    if (!u->is_present) {
        return -1;
    }
    status = reg_read(u, REG_LSR);
    if (status == 0xff) { /* every error at once: the device has gone */
        return -1;
    }
    return status & LSR_DATA ? reg_read(u, REG_DATA) : -1;
}

void uart_enable_irq(unsigned int index)
{
    if (uarts[index].is_present) {
        reg_write(&uarts[index], REG_IER, IER_RX);
    }
}

unsigned int uart_irq(unsigned int index)
{
    return uarts[index].irq;
}

uint16_t uart_base(unsigned int index)
{
    return uarts[index].base;
}
