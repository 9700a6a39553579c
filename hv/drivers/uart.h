/* SPDX-License-Identifier: MIT */
/*
 * Serial ports of type 16550 at I/O ports.  Output waits for the device;
 * input comes by polling or by interrupt.
 */
#pragma once

#include "lib/compiler.h"

#define UART_COM1  0u
#define UART_COM2  1u
#define NR_UARTS   2u
#define UART_PORTS 8u /* I/O ports of one */

/*
 * Take up port @index with the settings @config,
 * `baud[/clock_hz][,DPS[,io-base[,irq]]]` as in the options com1= and com2=:
 * baud may be `auto` (keep what the firmware set), DPS is data bits, parity
 * (n o e m s) and stop bits.  "" is 115200,8n1 at the usual place.
 * Returns whether a device answers there; without one all else does nothing.
 */
bool uart_init(unsigned int index, const char *config);

bool uart_is_present(unsigned int index);

/* Write text, each newline as carriage return and newline. */
void uart_write(unsigned int index, const char *text, size_t len_bytes);

/* A character that has come in, or -1.  Callers on several CPUs get different ones. */
int uart_poll(unsigned int index);

/* Ask the device for an interrupt on input; its line is uart_irq(). */
void uart_enable_irq(unsigned int index);

/* GSI of the port's interrupt, and its first I/O port, which belong to us while it is present. */
unsigned int uart_irq(unsigned int index);
uint16_t uart_base(unsigned int index);
