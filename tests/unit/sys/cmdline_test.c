/* SPDX-License-Identifier: MIT */
/* The command line: values of each type, and what is wrong costs its own word only. */
/* sources: hv/sys/cmdline.c hv/lib/string.c hv/lib/format.c tests/unit/sys/fake_log.c */
#include "sys/cmdline.h"
#include "sys/fake_log.h"

static bool flag;
static uint32_t number;
static uint64_t size;
static char text[8];
static char custom[16];

static bool parse_custom(const char *value)
{
    snprintf(custom, sizeof(custom), "%s", value);
    return strcmp(value, "bad") != 0;
}

static const struct cmdline_option table[] = {
    { .name = "flag", .type = CMDLINE_BOOL, .value = &flag },
    { .name = "number", .type = CMDLINE_UINT, .value = &number, .min = 2, .max = 100 },
    { .name = "size", .type = CMDLINE_SIZE, .value = &size },
    { .name = "text", .type = CMDLINE_STRING, .value = text, .max = sizeof(text) },
    { .name = "custom", .type = CMDLINE_CUSTOM, .parse = parse_custom },
    { .name = "old", .type = CMDLINE_NO_EFFECT },
    { .name = "older", .type = CMDLINE_NO_EFFECT },
    { .name = "quiet", .type = CMDLINE_SILENT },
};

static void parse(const char *line)
{
    fake_log_reset();
    cmdline_parse(line, table, ARRAY_SIZE(table));
}

static void good(const char *line)
{
    parse(line);
    assert_int_equal(fake_log_nr_lines(), 0);
}

static void bad(const char *line)
{
    parse(line);
    assert_int_equal(fake_log_nr_lines(), 1);
}

static void booleans_have_many_spellings(void **state)
{
    good("flag");
    assert_true(flag);
    good("no-flag");
    assert_false(flag);
    good("flag=yes");
    assert_true(flag);
    good("flag=off");
    assert_false(flag);
    good("flag=1");
    assert_true(flag);
    good("flag=0");
    assert_false(flag);
    flag = true;
    bad("flag=perhaps");
    bad("no-flag=yes");
    bad("flag=");
    assert_true(flag);
}

static void numbers_keep_their_bounds(void **state)
{
    good("number=17");
    assert_int_equal(number, 17);
    good("number=0x11 number=0X12");
    assert_int_equal(number, 18);
    good("number=022");
    bad("number=08");
    bad("number=1");
    bad("number=101");
    bad("number=12a");
    bad("number=");
    bad("number");
    bad("no-number");
    bad("number=-3");
    bad("number=99999999999999999999999");
    assert_int_equal(number, 18);
}

static void sizes_have_units(void **state)
{
    static const struct {
        const char *line;
        uint64_t bytes;
    } cases[] = {
        { "size=512M", 512ul << 20 }, { "size=2g", 2ul << 30 }, { "size=1T", 1ul << 40 },
        { "size=4k", 4096 },          { "size=77b", 77 },       { "size=3", 3 << 10 },
        { "size=0x10M", 16ul << 20 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        good(cases[i].line);
        assert_int_equal(size, cases[i].bytes);
    }
    bad("size=16383P");
    bad("size=1Mb");
    bad("size=M");
    bad("size=99999999999T");
    assert_int_equal(size, 16ul << 20);
}

static void text_that_does_not_fit_is_refused(void **state)
{
    good("text=1234567");
    assert_string_equal(text, "1234567");
    bad("text=12345678");
    assert_string_equal(text, "1234567");
    good("text=");
    assert_string_equal(text, "");
}

static void custom_options_see_their_value(void **state)
{
    good("custom=a=b,c");
    assert_string_equal(custom, "a=b,c");
    good("custom");
    assert_string_equal(custom, "");
    good("no-custom");
    assert_string_equal(custom, "no");
    bad("custom=bad");
}

static void unknown_words_are_named_and_skipped(void **state)
{
    bad("flagg number=42");
    assert_int_equal(number, 42);
    assert_non_null(strstr(fake_log_last(), "\"flagg\""));
    bad("=5");
    bad("no-");
}

static void options_without_effect_share_a_line(void **state)
{
    bad("old older=5 quiet quiet=2 no-quiet");
    assert_string_equal(fake_log_last(), "command line: accepted without effect: old older");
}

static void words_after_two_dashes_are_dom0s(void **state)
{
    number = 5;
    good("number=6 -- number=7 nonsense");
    assert_int_equal(number, 6);
    assert_string_equal(cmdline_for_kernel("a=b  --   quiet  ro"), "quiet  ro");
    assert_string_equal(cmdline_for_kernel("-- x"), "x");
    assert_string_equal(cmdline_for_kernel("a --b c--"), "");
    assert_string_equal(cmdline_for_kernel("a --"), "");
    assert_string_equal(cmdline_for_kernel(""), "");
}

static void long_words_and_many_spaces_do_no_harm(void **state)
{
    char line[2000];

    good("");
    good("    \t  ");
    memset(line, 'x', sizeof(line));
    strcpy(line + sizeof(line) - 12, " number=33");
    bad(line);
    assert_int_equal(number, 33);
}

static void lists_are_taken_apart(void **state)
{
    const char *list = "com1,,a-very-long-item,z";
    char item[8];

    assert_true(cmdline_next_item(&list, item, sizeof(item)));
    assert_string_equal(item, "com1");
    assert_true(cmdline_next_item(&list, item, sizeof(item)));
    assert_string_equal(item, "");
    assert_true(cmdline_next_item(&list, item, sizeof(item)));
    assert_string_equal(item, "a-very-");
    assert_true(cmdline_next_item(&list, item, sizeof(item)));
    assert_string_equal(item, "z");
    assert_false(cmdline_next_item(&list, item, sizeof(item)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(booleans_have_many_spellings),
        cmocka_unit_test(numbers_keep_their_bounds),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(text_that_does_not_fit_is_refused),
        cmocka_unit_test(custom_options_see_their_value),
        cmocka_unit_test(unknown_words_are_named_and_skipped),
        cmocka_unit_test(options_without_effect_share_a_line),
        cmocka_unit_test(words_after_two_dashes_are_dom0s),
        cmocka_unit_test(long_words_and_many_spaces_do_no_harm),
        cmocka_unit_test(lists_are_taken_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
