/* SPDX-License-Identifier: MIT */
/* The console: who gets what is typed, and what the debug keys do. */
/* sources: hv/drivers/console.c hv/sys/cmdline.c hv/lib/string.c hv/lib/format.c
 * tests/unit/sys/fake_log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/console.h"
#include "drivers/fb_console.h"
#include "drivers/uart.h"
#include "drivers/vga_text.h"
#include "sys/boot_info.h"
#include "sys/fake_log.h"
#include "sys/lock.h"
#include "sys/options.h"

struct boot_info boot_info;
struct hv_options hv_options;

static const char *typed = "";
static unsigned int nr_ready, nr_keys;
static char written[256];

void spin_lock_wait(struct spinlock *lock)
{
    fail_msg("the lock was left taken");
}

bool uart_init(unsigned int index, const char *config)
{
    return index == UART_COM1;
}

int uart_poll(unsigned int index)
{
    return index == UART_COM1 && *typed ? *typed++ : -1;
}

void uart_write(unsigned int index, const char *text, size_t len)
{
    strncat(written, text, len);
}

void log_replay(const struct log_sink *sink)
{
    sink->write("replay ", 7);
}

void vga_text_init(void *mem)
{
}

void vga_text_move(void *mem)
{
}

void vga_text_write(const char *text, size_t len)
{
    strncat(written, "vga:", 5);
    strncat(written, text, len);
}

bool fb_console_init(void *mem, const struct boot_framebuffer *fb)
{
    return false;
}

void fb_console_move(void *mem)
{
}

void fb_console_write(const char *text, size_t len)
{
}

static void input_ready(void)
{
    nr_ready++;
}

const struct console_ops console_ops = { input_ready };

static void key(void)
{
    nr_keys++;
}

const struct debug_key debug_keys[] = { { 'q', "tell about domains", key }, { 0, NULL, NULL } };

static void type(const char *text)
{
    typed = text;
    fake_log_reset();
    nr_ready = nr_keys = 0;
    while (*typed) {
        console_poll(NULL);
    }
}

static void devices_are_those_of_the_option(void **state)
{
    strcpy(hv_options.console, "com1,com2,vga,none,lpt1");
    hv_options.conswitch = 'a';
    boot_info.video = BOOT_VIDEO_TEXT;
    console_init();
    assert_string_equal(written, "replay vga:replay ");
    assert_int_equal(fake_log_nr_lines(), 1);
    assert_non_null(strstr(fake_log_last(), "lpt1"));
}

static void the_screen_stops_and_goes_on(void **state)
{
    paddr_t base;

    written[0] = '\0';
    assert_int_equal(console_screen_memory(&base), VGA_TEXT_BYTES);
    assert_int_equal(base.a, 0xb8000);
    console_leave_screen();
    for (const struct log_sink *const *s = log_sinks; *s; s++) {
        (*s)->write("a", 1);
    }
    assert_string_equal(written, "a");
    console_move_screen(written);
    for (const struct log_sink *const *s = log_sinks; *s; s++) {
        (*s)->write("b", 1);
    }
    assert_string_equal(written, "abvga:b");
}

static void before_dom0_runs_keys_are_ours(void **state)
{
    type("qxq");
    assert_int_equal(nr_keys, 2);
    assert_int_equal(nr_ready, 0);
    type("h");
    assert_non_null(strstr(fake_log_last(), "tell about domains"));
}

static void dom0_gets_input_in_order(void **state)
{
    char buf[8];

    console_give_to_dom0();
    type("qab");
    assert_int_equal(nr_keys, 0);
    assert_int_equal(nr_ready, 3);
    assert_int_equal(console_read(buf, 2), 2);
    assert_memory_equal(buf, "qa", 2);
    assert_int_equal(console_read(buf, sizeof(buf)), 1);
    assert_int_equal(console_read(buf, sizeof(buf)), 0);
}

static void three_presses_switch(void **state)
{
    char buf[8];

    type("\001\001x\001\001\001q\001\001\001");
    assert_int_equal(nr_keys, 1);
    /* What was typed on the way reaches dom0 as well. */
    assert_int_equal(console_read(buf, sizeof(buf)), 5);
    assert_memory_equal(buf, "\001\001x\001\001", 5);
}

static void a_full_ring_loses_the_newest(void **state)
{
    char text[301], buf[400];

    memset(text, 'o', 300);
    text[0] = 'f';
    text[300] = '\0';
    type(text);
    assert_int_equal(console_read(buf, sizeof(buf)), 256);
    assert_int_equal(buf[0], 'f');
}

static void keys_may_come_from_a_tool(void **state)
{
    nr_keys = 0;
    console_run_keys("qq", 2);
    assert_int_equal(nr_keys, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_those_of_the_option),
        cmocka_unit_test(the_screen_stops_and_goes_on),
        cmocka_unit_test(before_dom0_runs_keys_are_ours),
        cmocka_unit_test(dom0_gets_input_in_order),
        cmocka_unit_test(three_presses_switch),
        cmocka_unit_test(a_full_ring_loses_the_newest),
        cmocka_unit_test(keys_may_come_from_a_tool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
