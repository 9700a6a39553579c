/* SPDX-License-Identifier: MIT */
/* Text on a framebuffer of 15 to 32 bits a pixel.  The caller serialises. */
#pragma once

#include "sys/boot_info.h"

/* Clear the screen @fb, whose memory is at @mem.  False: it is of a kind we cannot draw on. */
bool fb_console_init(void *mem, const struct boot_framebuffer *fb);

/* The same memory is at @mem from now on. */
void fb_console_move(void *mem);

void fb_console_write(const char *text, size_t len_bytes);
