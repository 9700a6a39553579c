/* SPDX-License-Identifier: MIT */
/* Letters for framebuffers: 5 by 7 dots for each printable ASCII character. */
#pragma once

#include "lib/compiler.h"

#define FONT_FIRST   ' '
#define FONT_LAST    '~'
#define FONT_COLUMNS 5
#define FONT_ROWS    7

/* A byte for each column of each letter, from the left; bit 0 is the top dot. */
extern const uint8_t font[(FONT_LAST - FONT_FIRST + 1) * FONT_COLUMNS];
