/* SPDX-License-Identifier: MIT */
/* The firmware's memory map: order, overlaps, nonsense. */
/* sources: hv/boot/memory_map.c tests/unit/boot/fake.c */
#include "boot/fake.h"

static struct boot_info info;

struct map {
    uint64_t start, len;
    uint32_t type;
};

static void give(const struct map *m, size_t n)
{
    fake_reset(&info);
    for (size_t i = 0; i < n; i++) {
        boot_add_memory(m[i].start, m[i].len, m[i].type);
    }
    boot_finish_memory(&info);
    fake_end();
}

static void expect(const struct map *m, size_t n)
{
    assert_int_equal(info.nr_e820, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(info.e820[i].start, m[i].start);
        assert_int_equal(info.e820[i].len, m[i].len);
        assert_int_equal(info.e820[i].type, m[i].type);
    }
}

#define CASE(given, wanted)                                                                        \
    give(given, ARRAY_SIZE(given));                                                                \
    expect(wanted, ARRAY_SIZE(wanted))

static void sorts(void **state)
{
    static const struct map given[] = { { 0x100000, 0x1000, 1 },
                                        { 0xf0000, 0x10000, 2 },
                                        { 0, 0x9f000, 1 } };
    static const struct map wanted[] = { { 0, 0x9f000, 1 },
                                         { 0xf0000, 0x10000, 2 },
                                         { 0x100000, 0x1000, 1 } };

    CASE(given, wanted);
}

static void lets_the_strictest_type_win(void **state)
{
    static const struct map given[] = {
        { 0, 0x10000, 1 }, { 0x2000, 0x1000, 2 }, { 0x1000, 0x3000, 3 }, { 0xf000, 0x2000, 5 }
    };
    static const struct map wanted[] = { { 0, 0x1000, 1 },      { 0x1000, 0x1000, 3 },
                                         { 0x2000, 0x1000, 2 }, { 0x3000, 0x1000, 3 },
                                         { 0x4000, 0xb000, 1 }, { 0xf000, 0x2000, 5 } };

    CASE(given, wanted);
}

static void takes_unknown_types_for_reserved(void **state)
{
    static const struct map given[] = { { 0, 0x10000, 1 },
                                        { 0x2000, 0x1000, 77 },
                                        { 0x2000, 0x1000, 4 } };
    static const struct map wanted[] = { { 0, 0x2000, 1 },
                                         { 0x2000, 0x1000, 77 },
                                         { 0x3000, 0xd000, 1 } };

    CASE(given, wanted);
}

static void joins_neighbours_of_one_type(void **state)
{
    static const struct map given[] = { { 0x1000, 0x1000, 1 },
                                        { 0, 0x1000, 1 },
                                        { 0x1800, 0x1000, 1 } };
    static const struct map wanted[] = { { 0, 0x2800, 1 } };

    CASE(given, wanted);
}

static void survives_entries_that_wrap_or_are_empty(void **state)
{
    static const struct map given[] = {
        { 0x1000, 0, 1 }, { 0x2000, ~0ull, 2 }, { ~0ull - 5, 100, 1 }, { 1ull << 52, 0x1000, 1 }
    };
    static const struct map wanted[] = { { 0x2000, (1ull << 52) - 0x2000, 2 } };

    CASE(given, wanted);
}

static void keeps_to_its_array_when_there_are_too_many(void **state)
{
    fake_reset(&info);
    for (uint64_t i = 0; i < 4 * BOOT_MAX_E820; i++) {
        boot_add_memory(i * 0x10000, 0x1000, 1);
    }
    boot_finish_memory(&info);
    assert_int_equal(info.nr_e820, BOOT_MAX_E820);
    assert_int_equal(info.e820[BOOT_MAX_E820 - 1].start, (BOOT_MAX_E820 - 1) * 0x10000ull);
    assert_int_not_equal(fake_nr_lines(), 0);
    fake_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts),
        cmocka_unit_test(lets_the_strictest_type_win),
        cmocka_unit_test(takes_unknown_types_for_reserved),
        cmocka_unit_test(joins_neighbours_of_one_type),
        cmocka_unit_test(survives_entries_that_wrap_or_are_empty),
        cmocka_unit_test(keeps_to_its_array_when_there_are_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
