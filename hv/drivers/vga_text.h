/* SPDX-License-Identifier: MIT */
/* The text screen of a VGA card: 80 columns, 25 rows.  The caller serialises. */
#pragma once

#include "lib/compiler.h"

#define VGA_TEXT_PADDR 0xb8000u
#define VGA_TEXT_BYTES (80u * 25u * 2u)

/* Clear the screen, whose memory is at @mem. */
void vga_text_init(void *mem);

/* The same memory is at @mem from now on. */
void vga_text_move(void *mem);

void vga_text_write(const char *text, size_t len_bytes);
