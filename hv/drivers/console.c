/* SPDX-License-Identifier: MIT */
/*
 * The console: which devices the log goes to.
 */
#include "drivers/console.h"

#include "drivers/uart.h"
#include "sys/log.h"

static void com1_write(const char *text, size_t len_bytes)
{
    uart_write(UART_COM1, text, len_bytes);
}

static const struct log_sink com1_sink = { "com1", com1_write };

const struct log_sink *const log_sinks[] = { &com1_sink, NULL };

void console_init(void)
{
    uart_init(UART_COM1, "");
}
