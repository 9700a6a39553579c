/* SPDX-License-Identifier: MIT */
/* Text on framebuffers of all kinds: the dots are right and none lies outside. */
/* sources: hv/drivers/fb_console.c hv/drivers/font.c hv/lib/string.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/fb_console.h"

static uint8_t *mem;
static struct boot_framebuffer fb;

static bool start(uint32_t width, uint32_t height, uint8_t bits, uint32_t pitch)
{
    fb = (struct boot_framebuffer){ .width = width,
                                    .height = height,
                                    .bits_per_pixel = bits,
                                    .pitch_bytes = pitch,
                                    .red_pos = 16,
                                    .red_size = 8,
                                    .green_pos = 8,
                                    .green_size = 8,
                                    .blue_size = 8 };
    if (bits <= 16) {
        fb.red_pos = 11;
        fb.red_size = fb.blue_size = 5;
        fb.green_pos = 5;
        fb.green_size = 6;
    }
    free(mem);
    mem = malloc((size_t)pitch * (height - 1) + (size_t)width * ((bits + 7u) / 8));
    return fb_console_init(mem, &fb);
}

static void say(const char *text)
{
    fb_console_write(text, strlen(text));
}

static bool is_lit(uint32_t x, uint32_t y)
{
    uint32_t bytes = (fb.bits_per_pixel + 7u) / 8, value = 0;

    memcpy(&value, mem + (size_t)y * fb.pitch_bytes + x * bytes, bytes);
    assert_true(value == 0 || value == (bytes == 2 ? 0xffff : 0xffffff));
    return value;
}

static unsigned int count_lit(uint32_t column, uint32_t row)
{
    unsigned int n = 0;

    for (uint32_t y = row * 16; y < row * 16 + 16; y++) {
        for (uint32_t x = column * 8; x < column * 8 + 8; x++) {
            n += is_lit(x, y);
        }
    }
    return n;
}

static void letters_appear_where_they_should(void **state)
{
    static const uint8_t depths[] = { 16, 24, 32 };

    for (size_t i = 0; i < sizeof(depths); i++) {
        assert_true(start(83, 50, depths[i], 83 * 4 + 12));
        say("|a\n_");
        assert_int_equal(count_lit(0, 0), 14);
        assert_true(is_lit(3, 1));
        assert_int_equal(count_lit(0, 1), 10);
        assert_int_equal(count_lit(5, 1), 0);
    }
}

static void text_wraps_and_scrolls(void **state)
{
    assert_true(start(32, 48, 32, 128)); /* four columns, three rows */
    say("||||____\n|\n");
    assert_int_equal(count_lit(0, 0), 10);
    assert_int_equal(count_lit(0, 1), 14);
    assert_int_equal(count_lit(0, 2), 0);
    for (int i = 0; i < 100; i++) {
        say("any \t text \r that\nmay\001 come\xff");
    }
}

static void a_huge_screen_is_used_in_part(void **state)
{
    assert_true(start(2000, 1100, 24, 6000));
    for (int i = 0; i < 70; i++) {
        say("................................................................................"
            "......................................................................................"
            "....");
    }
}

static void screens_of_other_kinds_are_refused(void **state)
{
    assert_false(start(640, 480, 8, 640));
    assert_false(start(640, 480, 64, 640 * 8));
    assert_false(start(7, 480, 32, 640));
    assert_false(start(640, 15, 32, 640 * 4));
    assert_false(start(640, 480, 32, 639 * 4));
    free(mem);
    mem = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_appear_where_they_should),
        cmocka_unit_test(text_wraps_and_scrolls),
        cmocka_unit_test(a_huge_screen_is_used_in_part),
        cmocka_unit_test(screens_of_other_kinds_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
