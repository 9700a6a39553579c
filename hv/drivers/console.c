/* SPDX-License-Identifier: MIT */
/*
 * The console: which devices the log goes to, and where input goes.
 *
 * What is typed belongs to dom0, once it runs, or to the hypervisor's debug
 * keys; Ctrl-a (or what conswitch= says) typed three times in a row switches.
 * dom0's input waits in a ring; what does not fit is lost, as on a wire.
 */
#include "drivers/console.h"

#include "drivers/fb_console.h"
#include "drivers/uart.h"
#include "drivers/vga_text.h"
#include "lib/string.h"
#include "sys/boot_info.h"
#include "sys/cmdline.h"
#include "sys/lock.h"
#include "sys/log.h"
#include "sys/options.h"

#define INPUT_SIZE     256u /* a power of two */
#define SWITCH_PRESSES 3u
#define POLL_BURST     64u          /* characters taken in one call */
#define BOOT_REACH     (1ull << 32) /* mapped at its own address during the start */

/*
 * Who may touch a member:
 *   [i]  set while starting
 *   [l]  holder of console_lock
 */
struct console {
    bool uart_on[NR_UARTS]; /* [i] log and input */
    enum boot_video screen; /* [i] what the log is drawn on now; cleared while it is out of reach */
    enum boot_video wanted; /* [i] what it is to be drawn on */
    bool dom0_has_input;    /* [l] else the debug keys have */
    uint32_t nr_presses;    /* [l] of the switch key, in a row */
    uint32_t head, tail;    /* [l] of the ring; equal: empty */
    char input[INPUT_SIZE]; /* [l] */
};

static struct console console;
static struct spinlock console_lock = SPINLOCK_INIT(LOCK_RANK_CONSOLE);

static void com1_write(const char *text, size_t len_bytes)
{
    if (console.uart_on[UART_COM1]) {
        uart_write(UART_COM1, text, len_bytes);
    }
}

static void com2_write(const char *text, size_t len_bytes)
{
    if (console.uart_on[UART_COM2]) {
        uart_write(UART_COM2, text, len_bytes);
    }
}

static void screen_write(const char *text, size_t len_bytes)
{
    if (console.screen == BOOT_VIDEO_TEXT) {
        vga_text_write(text, len_bytes);
    } else if (console.screen == BOOT_VIDEO_FRAMEBUFFER) {
        fb_console_write(text, len_bytes);
    }
}

static const struct log_sink com1_sink = { "com1", com1_write };
static const struct log_sink com2_sink = { "com2", com2_write };
static const struct log_sink screen_sink = { "vga", screen_write };

const struct log_sink *const log_sinks[] = { &com1_sink, &com2_sink, &screen_sink, NULL };

static __init void serial_init(unsigned int index, const struct log_sink *sink)
{
    if (uart_init(index, hv_options.com[index])) {
        console.uart_on[index] = true;
        log_replay(sink);
    }
}

static __init void screen_init(void)
{
    const struct boot_framebuffer *fb = &boot_info.fb;
    uint64_t end = fb->base.a + (uint64_t)fb->pitch_bytes * fb->height;

    if (boot_info.video == BOOT_VIDEO_TEXT) {
        vga_text_init((void *)(uintptr_t)VGA_TEXT_PADDR);
    } else if (boot_info.video != BOOT_VIDEO_FRAMEBUFFER || end > BOOT_REACH ||
               !fb_console_init((void *)fb->base.a, fb)) {
        return;
    }
    console.screen = console.wanted = boot_info.video;
    log_replay(&screen_sink);
}

void console_leave_screen(void)
{
    console.screen = BOOT_VIDEO_NONE;
}

__init size_t console_screen_memory(paddr_t *base)
{
    const struct boot_framebuffer *fb = &boot_info.fb;

    if (console.wanted == BOOT_VIDEO_TEXT) {
        *base = PADDR(VGA_TEXT_PADDR);
        return VGA_TEXT_BYTES;
    }
    *base = fb->base;
    return console.wanted == BOOT_VIDEO_FRAMEBUFFER ? (size_t)fb->pitch_bytes * fb->height : 0;
}

__init void console_move_screen(void *mem)
{
    if (!mem) {
        log_warn("the screen cannot be mapped; the log goes on without it");
        return;
    }
    if (console.wanted == BOOT_VIDEO_TEXT) {
        vga_text_move(mem);
    } else {
        fb_console_move(mem);
    }
    console.screen = console.wanted;
}

__init void console_init(void)
{
    const char *list = hv_options.console;
    char item[16];

    while (cmdline_next_item(&list, item, sizeof(item))) {
        if (!strcmp(item, "com1")) {
            serial_init(UART_COM1, &com1_sink);
        } else if (!strcmp(item, "com2")) {
            serial_init(UART_COM2, &com2_sink);
        } else if (!strcmp(item, "vga")) {
            screen_init();
        } else if (strcmp(item, "none")) {
            log_warn("command line: there is no console \"%s\"", item);
        }
    }
}

static void announce_switch(bool to_dom0)
{
    log_info("serial input goes to %s now (Ctrl-%c three times switches)",
             to_dom0 ? "dom0" : "the hypervisor", hv_options.conswitch);
}

void console_give_to_dom0(void)
{
    if (console.screen != BOOT_VIDEO_NONE && !hv_options.vga_keep) {
        log_info("the screen belongs to dom0 now (vga=keep leaves the log on it)");
        console_leave_screen();
    }
    if (!hv_options.conswitch_stay) {
        spin_lock(&console_lock);
        console.dom0_has_input = true;
        spin_unlock(&console_lock);
        announce_switch(true);
    }
}

static void list_keys(void)
{
    log_info("debug keys:");
    for (const struct debug_key *k = debug_keys; k->key; k++) {
        log_info("  %c  %s", k->key, k->what);
    }
}

static void run_key(char key)
{
    if (key == 'h') {
        list_keys();
        return;
    }
    for (const struct debug_key *k = debug_keys; k->key; k++) {
        if (k->key == key) {
            log_info("debug key %c: %s", key, k->what);
            k->fn();
            return;
        }
    }
}

void console_run_keys(const char *keys, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        run_key(keys[i]);
    }
}

/* What a character that was typed leads to, once the lock is released. */
enum typed {
    TYPED_NOTHING,
    TYPED_SWITCH,
    TYPED_FOR_DOM0,
    TYPED_KEY,
};

static enum typed take(char c) REQUIRES(console_lock)
{
    if (c == (hv_options.conswitch & 0x1f)) {
        if (++console.nr_presses == SWITCH_PRESSES) {
            console.nr_presses = 0;
            console.dom0_has_input = !console.dom0_has_input;
            return TYPED_SWITCH;
        }
    } else {
        console.nr_presses = 0;
    }
    if (!console.dom0_has_input) {
        return TYPED_KEY;
    }
    if (console.head - console.tail == INPUT_SIZE) {
        return TYPED_NOTHING;
    }
    console.input[console.head++ % INPUT_SIZE] = c;
    return TYPED_FOR_DOM0;
}

static void handle(char c)
{
    enum typed typed;

    spin_lock(&console_lock);
    typed = take(c);
    spin_unlock(&console_lock);
    if (typed == TYPED_SWITCH) {
        announce_switch(console.dom0_has_input);
    } else if (typed == TYPED_FOR_DOM0) {
        console_ops.input_ready();
    } else if (typed == TYPED_KEY) {
        run_key(c);
    }
}

void console_poll(void *unused)
{
    (void)unused;
    for (unsigned int i = 0; i < NR_UARTS; i++) {
        int c;

        for (unsigned int n = 0; n < POLL_BURST && console.uart_on[i]; n++) {
            c = uart_poll(i);
            if (c < 0) {
                break;
            }
            handle((char)c);
        }
    }
}

size_t console_read(char *buf, size_t len_bytes)
{
    size_t n = 0;

    spin_lock(&console_lock);
    while (n < len_bytes && console.tail != console.head) {
        buf[n++] = console.input[console.tail++ % INPUT_SIZE];
    }
    spin_unlock(&console_lock);
    return n;
}
