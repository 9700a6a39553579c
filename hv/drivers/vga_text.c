/* SPDX-License-Identifier: MIT */
/* The text screen of a VGA card: characters with their colours, in memory. */
#include "drivers/vga_text.h"

#include "lib/string.h"
#include "x86/insn.h"

#define COLUMNS          80u
#define ROWS             25u
#define BLANK            0x0720u /* space, light grey on black */
#define PORT_CRTC        0x3d4
#define CRTC_CURSOR_HIGH 14
#define CRTC_CURSOR_LOW  15

static struct {
    uint16_t *cells;
    uint32_t column, row;
} screen;

static void blank(uint32_t first, uint32_t nr)
{
    for (uint32_t i = first; i < first + nr; i++) {
        screen.cells[i] = BLANK;
    }
}

static void new_line(void)
{
    screen.column = 0;
    if (++screen.row == ROWS) {
        screen.row--;
        memmove(screen.cells, screen.cells + COLUMNS, (ROWS - 1) * COLUMNS * 2);
        blank((ROWS - 1) * COLUMNS, COLUMNS);
    }
}

static void put(char c)
{
    if (c == '\n') {
        new_line();
    } else if (c == '\r') {
        screen.column = 0;
    } else if (c == '\t') {
        screen.column = min((screen.column | 7) + 1, COLUMNS - 1);
    } else if (c >= ' ') {
        if (screen.column == COLUMNS) {
            new_line();
        }
        screen.cells[screen.row * COLUMNS + screen.column++] =
            (uint16_t)((BLANK & 0xff00) | (uint8_t)c);
    }
}

static void show_cursor(void)
{
    uint32_t at = screen.row * COLUMNS + min(screen.column, COLUMNS - 1);

    outb(PORT_CRTC, CRTC_CURSOR_HIGH);
    outb(PORT_CRTC + 1, (uint8_t)(at >> 8));
    outb(PORT_CRTC, CRTC_CURSOR_LOW);
    outb(PORT_CRTC + 1, (uint8_t)at);
}

void vga_text_init(void *mem)
{
    screen.cells = mem;
    screen.column = screen.row = 0;
    blank(0, ROWS * COLUMNS);
}

void vga_text_move(void *mem)
{
    screen.cells = mem;
}

void vga_text_write(const char *text, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        put(text[i]);
    }
    show_cursor();
}
