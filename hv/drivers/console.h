/* SPDX-License-Identifier: MIT */
/*
 * The console: which devices the log goes to, and where what is typed on the
 * serial line goes: to dom0, or to the debug keys.
 */
#pragma once

#include "lib/types.h"

/* main.c supplies it. */
struct console_ops {
    /* Input for dom0 has come (VIRQ_CONSOLE); called with no lock held. */
    void (*input_ready)(void);
};
extern const struct console_ops console_ops;

/* What a key does while input goes to the hypervisor, or by `xl debug-keys`. */
struct debug_key {
    char key;
    const char *what;
    void (*fn)(void); /* called with no lock held */
};

/* main.c supplies it; ended by a zero key.  `h` lists it and is not in it. */
extern const struct debug_key debug_keys[];

/* Bring up the devices that the options name.  Once, early; the low 4 GiB may be identity-mapped.
 */
void console_init(void);

/* Stop drawing: the address space is about to change. */
void console_leave_screen(void);

/* How much memory the screen has, and at *@base where; 0: there is none to draw on. */
size_t console_screen_memory(paddr_t *base);

/* Draw again; that memory is mapped at @mem for good (NULL: it could not be mapped). */
void console_move_screen(void *mem);

/* dom0 is about to run: it owns the screen from now on (unless vga=keep), and gets what is typed.
 */
void console_give_to_dom0(void);

/* Take in what the serial lines hold and act on it; also the handler of their interrupts. */
void console_poll(void *unused);

/* Take at most @len_bytes of the input that waits for dom0; returns how many. */
size_t console_read(char *buf, size_t len_bytes);

/* Act as if each of the @nr characters at @keys were typed to the hypervisor. */
void console_run_keys(const char *keys, size_t nr);
