/* SPDX-License-Identifier: MIT */
/* Formatting, beside what the C library makes of the same. */
/* sources: hv/lib/format.c hv/lib/string.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/format.h"

/* Both must agree on text and length, in a large and in a small buffer. */
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char ours[200], theirs[200], small[8], small_theirs[8];                                    \
        int want = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                  \
        assert_int_equal(format_string(ours, sizeof(ours), __VA_ARGS__), want);                    \
        assert_string_equal(ours, theirs);                                                         \
        assert_int_equal(format_string(small, sizeof(small), __VA_ARGS__), want);                  \
        snprintf(small_theirs, sizeof(small_theirs), __VA_ARGS__);                                 \
        assert_string_equal(small, small_theirs);                                                  \
    } while (0)

#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-overflow"

static void numbers_look_as_in_c(void **state)
{
    SAME("%d %i %u", -5, 7, 4000000000u);
    SAME("%ld %lu %lld %llu", -5l, ~0ul, -1ll, ~0ull);
    SAME("%x %X %lx %#x %#lx", 0xbeefu, 0xbeefu, 0x123456789abcdeful, 0x10u, 0x10ul);
    SAME("%5d|%-5d|%05d|%+d|% d", 42, 42, 42, 42, 42);
    SAME("%5d|%-5d|%05d|%+d|% d", -42, -42, -42, -42, -42);
    SAME("%.3d|%8.3d|%-8.3d|%.0d", 7, 7, 7, 0);
    SAME("%016lx %08x %4x", 0xfful, 0xffu, 0x12345u);
    SAME("%hhu %hhd %hd %hu %zu", 300, 200, 70000, 70000, sizeof(int));
    SAME("%*d|%-*d|%*d", 6, 1, 6, 2, -6, 3);
    SAME("%d %ld", INT32_MIN, INT64_MIN);
    SAME("%o", 0777u);
}

static void texts_are_cut_and_padded(void **state)
{
    SAME("%s|%10s|%-10s|%.2s|%10.2s", "abc", "abc", "abc", "abc", "abc");
    SAME("%.*s|%c|%3c|%-3c|%%", 2, "abcdef", 'x', 'y', 'z');
    SAME("%s", "");
    SAME("nothing at all");
}

static void text_need_not_end_within_its_precision(void **state)
{
    char raw[3] = { 'a', 'b', 'c' }, out[16];

    format_string(out, sizeof(out), "%.3s", raw);
    assert_string_equal(out, "abc");
}

static void pointers_have_sixteen_digits(void **state)
{
    char out[32];

    format_string(out, sizeof(out), "%p", (void *)0x1234);
    assert_string_equal(out, "0000000000001234");
}

static void the_end_of_the_buffer_is_kept(void **state)
{
    char out[4] = "zzz";

    assert_int_equal(format_string(out, 0, "abc"), 3);
    assert_string_equal(out, "zzz");
    assert_int_equal(format_string(out, 1, "abc"), 3);
    assert_string_equal(out, "");
    assert_int_equal(format_string(out, 4, "abc"), 3);
    assert_string_equal(out, "abc");
}

static void a_broken_format_does_no_harm(void **state)
{
    char out[16];
    const char *ends_early = "a%-08l", *unknown = "%y%d", *text = "%s";

    format_string(out, sizeof(out), ends_early);
    assert_string_equal(out, "a%");
    format_string(out, sizeof(out), unknown, 5);
    assert_string_equal(out, "%y5");
    format_string(out, sizeof(out), text, (char *)NULL);
    assert_string_equal(out, "(null)");
    assert_int_equal(format_string(out, sizeof(out), "%99999d", 1), 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_look_as_in_c),
        cmocka_unit_test(texts_are_cut_and_padded),
        cmocka_unit_test(text_need_not_end_within_its_precision),
        cmocka_unit_test(pointers_have_sixteen_digits),
        cmocka_unit_test(the_end_of_the_buffer_is_kept),
        cmocka_unit_test(a_broken_format_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
