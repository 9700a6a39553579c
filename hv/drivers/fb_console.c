/* SPDX-License-Identifier: MIT */
/*
 * Text on a framebuffer.  Reading one is slow, so what stands on the screen
 * is kept in cells beside it; scrolling draws the cells that change.  A
 * letter of 5 by 7 dots fills a cell of 8 by 16 pixels, each dot two pixels
 * high.
 */
#include "drivers/fb_console.h"

#include "drivers/font.h"
#include "lib/string.h"

#define CELL_WIDTH  8u
#define CELL_HEIGHT 16u
#define MAX_COLUMNS 160u
#define MAX_ROWS    64u

static struct {
    uint8_t *mem;
    uint32_t pitch, bytes_per_pixel;
    uint32_t white;
    uint32_t columns, rows;
    uint32_t column, row;
    char cells[MAX_ROWS][MAX_COLUMNS];
} screen;

static void set_pixel(uint8_t *at, bool is_on)
{
    uint32_t colour = is_on ? screen.white : 0;

    if (screen.bytes_per_pixel == 4) {
        *(volatile uint32_t *)at = colour;
        return;
    }
    for (uint32_t i = 0; i < screen.bytes_per_pixel; i++) {
        at[i] = (uint8_t)(colour >> (i * 8));
    }
}

/* Is the dot at @x, @y of a cell with letter @c lit? */
static bool is_lit(char c, uint32_t x, uint32_t y)
{
    uint32_t dot_x = x - 1, dot_y = (y - 1) / 2;

    if (c < FONT_FIRST || c > FONT_LAST || dot_x >= FONT_COLUMNS || dot_y >= FONT_ROWS) {
        return false;
    }
    return font[(c - FONT_FIRST) * FONT_COLUMNS + (int)dot_x] >> dot_y & 1;
}

static void draw(uint32_t column, uint32_t row, char c)
{
    uint8_t *line = screen.mem + (size_t)row * CELL_HEIGHT * screen.pitch +
                    (size_t)column * CELL_WIDTH * screen.bytes_per_pixel;

    if (screen.cells[row][column] == c) {
        return;
    }
    screen.cells[row][column] = c;
    for (uint32_t y = 0; y < CELL_HEIGHT; y++, line += screen.pitch) {
        for (uint32_t x = 0; x < CELL_WIDTH; x++) {
            set_pixel(line + x * screen.bytes_per_pixel, is_lit(c, x, y));
        }
    }
}

static void new_line(void)
{
    screen.column = 0;
    if (++screen.row < screen.rows) {
        return;
    }
    screen.row--;
    for (uint32_t row = 0; row < screen.rows; row++) {
        for (uint32_t column = 0; column < screen.columns; column++) {
            draw(column, row, row + 1 < screen.rows ? screen.cells[row + 1][column] : ' ');
        }
    }
}

static void put(char c)
{
    if (c == '\n') {
        new_line();
    } else if (c == '\r') {
        screen.column = 0;
    } else if (c == '\t') {
        screen.column = min((screen.column | 7) + 1, screen.columns - 1);
    } else if (c >= ' ') {
        if (screen.column == screen.columns) {
            new_line();
        }
        draw(screen.column++, screen.row, c);
    }
}

static uint32_t channel(uint8_t pos, uint8_t size)
{
    return size && size <= 16 && pos < 32 ? ((1u << size) - 1) << pos : 0;
}

bool fb_console_init(void *mem, const struct boot_framebuffer *fb)
{
    uint32_t bytes = (fb->bits_per_pixel + 7u) / 8;

    if (bytes < 2 || bytes > 4 || fb->width < CELL_WIDTH || fb->height < CELL_HEIGHT ||
        (uint64_t)fb->width * bytes > fb->pitch_bytes) {
        return false;
    }
    screen.mem = mem;
    screen.pitch = fb->pitch_bytes;
    screen.bytes_per_pixel = bytes;
    screen.white = channel(fb->red_pos, fb->red_size) | channel(fb->green_pos, fb->green_size) |
                   channel(fb->blue_pos, fb->blue_size);
    screen.columns = min(fb->width / CELL_WIDTH, MAX_COLUMNS);
    screen.rows = min(fb->height / CELL_HEIGHT, MAX_ROWS);
    screen.column = screen.row = 0;
    memset(screen.cells, ' ', sizeof(screen.cells));
    for (uint32_t y = 0; y < fb->height; y++) {
        memset(screen.mem + (size_t)y * screen.pitch, 0, (size_t)fb->width * bytes);
    }
    return true;
}

void fb_console_move(void *mem)
{
    screen.mem = mem;
}

void fb_console_write(const char *text, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        put(text[i]);
    }
}
