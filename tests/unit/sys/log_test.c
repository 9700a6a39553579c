/* SPDX-License-Identifier: MIT */
/* The log's ring, its readers, its limits, and what domains print. */
/* sources: hv/sys/log.c hv/lib/format.c hv/lib/string.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sys/log.h"
#include "sys/lock.h"
#include "sys/softirq.h"
#include "x86/insn.h"

static char seen[1 << 20];
static size_t seen_len;

static void sink_write(const char *text, size_t len)
{
    memcpy(seen + seen_len, text, len);
    seen_len += len;
    seen[seen_len] = '\0';
}

static const struct log_sink sink = { "test", sink_write };
const struct log_sink *const log_sinks[] = { &sink, NULL };

struct cpu host_cpu;

void spin_lock_wait(struct spinlock *lock)
{
    fail_msg("the lock was left taken");
}

static uint64_t now;

uint64_t rdtsc(void)
{
    return now++;
}

static int forget(void **state)
{
    seen_len = 0;
    seen[0] = '\0';
    log_set_levels(LOG_DEBUG + 1, 0);
    log_set_guest_levels(0, LOG_DEBUG + 1);
    return 0;
}

static unsigned int count(const char *what)
{
    unsigned int n = 0;

    for (const char *p = seen; (p = strstr(p, what)); p++) {
        n++;
    }
    return n;
}

/* First of all tests: it sees the first lines ever. */
static void the_second_line_tells_the_abi(void **state)
{
    log_info("one");
    log_info("two");
    assert_string_equal(seen, "(mansio) one\n(XEN) ABI of Xen 4.17, spoken by Mansio\n"
                              "(mansio) two\n");
}

static void readers_follow_by_index(void **state)
{
    char buf[64];
    uint32_t index = 0, start;

    while (log_read(buf, sizeof(buf), &index, true)) {
    }
    start = index;
    assert_int_equal(log_read(buf, sizeof(buf), &index, true), 0);
    log_take_news();
    host_cpu.softirqs = 0;
    log_info("hello");
    assert_int_equal(host_cpu.softirqs, 1u << SOFTIRQ_CONSOLE);
    assert_true(log_has_news());
    assert_true(log_take_news());
    assert_false(log_take_news());
    assert_int_equal(log_read(buf, 4, &index, true), 4);
    assert_memory_equal(buf, "(man", 4);
    assert_int_equal(index, start + 4);
    assert_int_equal(log_read(buf, sizeof(buf), &index, true), 11);
    assert_memory_equal(buf, "sio) hello\n", 11);
}

static void a_cleared_ring_is_empty_for_all_readers(void **state)
{
    char buf[64];
    uint32_t index = 0;

    log_clear();
    assert_int_equal(log_read(buf, sizeof(buf), &index, false), 0);
    log_info("new");
    assert_int_equal(log_read(buf, sizeof(buf), &index, false), 13);
    index = 0;
    assert_int_equal(log_read(buf, sizeof(buf), &index, true), 13);
    assert_memory_equal(buf, "(mansio) new\n", 13);
}

static void what_is_overwritten_is_skipped(void **state)
{
    static char buf[100000];
    uint32_t index = 0;
    size_t n;

    for (int i = 0; i < 2000; i++) {
        log_info("line %06d of many", i);
    }
    n = log_read(buf, sizeof(buf), &index, true);
    assert_int_equal(n, 32768);
    assert_memory_equal(buf + n - 29, "(mansio) line 001999 of many\n", 29);
    index = 0x80000000;
    assert_int_equal(log_read(buf, sizeof(buf), &index, true), 32768);
}

static void a_larger_ring_keeps_the_text(void **state)
{
    static char large[65536], buf[100000];
    uint32_t index = 0;

    log_info("before");
    log_use_ring(large, sizeof(large));
    log_info("after");
    assert_int_equal(log_read(buf, sizeof(buf), &index, true), 32768 + 15);
    assert_memory_equal(buf + 32768 - 16, "(mansio) before\n(mansio) after\n", 31);
    for (int i = 0; i < 2000; i++) {
        log_info("line %06d of many", i);
    }
    index = 0;
    assert_int_equal(log_read(buf, sizeof(buf), &index, true), 65536);
}

static void long_lines_are_cut(void **state)
{
    char text[3000];

    memset(text, 'x', sizeof(text));
    log_info("%.*s", (int)sizeof(text), text);
    assert_int_equal(seen_len, 399);
    assert_int_equal(seen[seen_len - 1], '\n');
}

static void levels_decide_what_is_shown(void **state)
{
    log_set_levels(LOG_WARN + 1, 0);
    log_warn("shown");
    log_info("hidden");
    log_set_levels(0, 0);
    log_err("error");
    log_warn("hidden");
    assert_string_equal(seen, "(mansio) shown\n(mansio) error\n");
    assert_int_equal(log_levels().always, 0); /* as it was set, though errors are shown */
    forget(state);
    log_set_guest_levels(LOG_INFO + 1, LOG_WARN + 1);
    assert_int_equal(log_guest_levels().limited, LOG_INFO + 1);
    log_set_guest_levels(0, 0);
    log_guest(3, "hidden");
    assert_string_equal(seen, "");
}

static void a_guest_cannot_flood_the_log(void **state)
{
    for (int i = 0; i < 1000; i++) {
        log_guest(5, "mistake %d", i);
    }
    log_guest(6, "another's");
    assert_int_equal(count("(mansio) d5: mistake"), 10);
    assert_int_equal(count("(mansio) d6: another's\n"), 1);
    now += 1ull << 32;
    log_guest(5, "mistake later");
    assert_int_equal(count("(mansio) d5: 990 lines left out here\n"), 1);
    assert_int_equal(count("(mansio) d5: mistake later\n"), 1);
}

static void lines_of_domains_do_not_mix(void **state)
{
    log_domain_output(1, "he", 2);
    log_domain_output(2, "wor", 3);
    log_domain_output(1, "llo\n", 4);
    log_domain_output(2, "ld\r\n\033[31m\n", 10);
    assert_string_equal(seen, "(d1) hello\n(d2) world\n(d2) ?[31m\n");
}

static void lines_end_when_buffers_do(void **state)
{
    char text[161];

    for (unsigned int d = 1; d <= 5; d++) {
        log_domain_output(d, "x", 1);
    }
    assert_string_equal(seen, "(d1) x\n"); /* the oldest made room for the fifth */
    log_domain_output(2, "\n", 1);
    log_domain_output(3, "\n", 1);
    log_domain_output(4, "\n", 1);
    log_domain_output(5, "\n", 1);
    forget(state);
    memset(text, 'y', sizeof(text));
    log_domain_output(1, text, sizeof(text));
    assert_int_equal(count("\n"), 1);
    log_domain_output(1, "\n", 1);
    assert_int_equal(count("(d1) y\n"), 1);
}

static void dom0s_own_text_stays_out_of_the_ring(void **state)
{
    char buf[64];
    uint32_t index = 0;

    log_clear();
    log_dom0_console("\033[1mbold", 8);
    assert_string_equal(seen, "\033[1mbold");
    assert_int_equal(log_read(buf, sizeof(buf), &index, false), 0);
}

static void a_late_sink_gets_all_of_the_ring(void **state)
{
    log_info("replayed");
    forget(state);
    log_replay(&sink);
    assert_int_equal(count("(mansio) replayed\n"), 1);
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_second_line_tells_the_abi),
        TEST(readers_follow_by_index),
        TEST(a_cleared_ring_is_empty_for_all_readers),
        TEST(what_is_overwritten_is_skipped),
        TEST(a_larger_ring_keeps_the_text),
        TEST(long_lines_are_cut),
        TEST(levels_decide_what_is_shown),
        TEST(a_guest_cannot_flood_the_log),
        TEST(lines_of_domains_do_not_mix),
        TEST(lines_end_when_buffers_do),
        TEST(dom0s_own_text_stays_out_of_the_ring),
        TEST(a_late_sink_gets_all_of_the_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
