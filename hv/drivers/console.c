/* SPDX-License-Identifier: MIT */
/*
 * The console: which devices the log goes to, and where input goes.
 *
 * What is typed belongs to dom0, once it runs, or to the hypervisor's debug
 * keys; Ctrl-a (or what conswitch= says) typed three times in a row switches.
 * dom0's input waits in a ring; what does not fit is lost, as on a wire.
 */
#include "drivers/console.h"

#include "drivers/uart.h"
#include "lib/string.h"
#include "sys/cmdline.h"
#include "sys/log.h"
#include "sys/options.h"

#define INPUT_SIZE     256u /* a power of two */
#define SWITCH_PRESSES 3u
#define POLL_BURST     64u  /* characters taken in one call */

/*
 * Who may touch a member:
 *   [i]  set by console_init()
 *   [l]  holder of console_lock
 */
struct console {
    bool uart_on[NR_UARTS];     /* [i] log and input */
    bool dom0_has_input;        /* [l] else the debug keys have */
    uint32_t nr_presses;        /* [l] of the switch key, in a row */
    uint32_t head, tail;        /* [l] of the ring; equal: empty */
    char input[INPUT_SIZE];     /* [l] */
};

static struct console console;

static void com1_write(const char *text, size_t len_bytes)
{
    if (console.uart_on[UART_COM1]) {
        uart_write(UART_COM1, text, len_bytes);
    }
}

static void com2_write(const char *text, size_t len_bytes)
{
    if (console.uart_on[UART_COM2]) {
        uart_write(UART_COM2, text, len_bytes);
    }
}

static const struct log_sink com1_sink = { "com1", com1_write };
static const struct log_sink com2_sink = { "com2", com2_write };

const struct log_sink *const log_sinks[] = { &com1_sink, &com2_sink, NULL };

static __init void serial_init(unsigned int index, const struct log_sink *sink)
{
    if (uart_init(index, hv_options.com[index])) {
        console.uart_on[index] = true;
        log_replay(sink);
    }
}

__init void console_init(void)
{
    const char *list = hv_options.console;
    char item[16];

    while (cmdline_next_item(&list, item, sizeof(item))) {
        if (!strcmp(item, "com1")) {
            serial_init(UART_COM1, &com1_sink);
        } else if (!strcmp(item, "com2")) {
            serial_init(UART_COM2, &com2_sink);
        } else if (strcmp(item, "vga") && strcmp(item, "none")) {
            log_warn("command line: there is no console \"%s\"", item);
        }
    }
}
