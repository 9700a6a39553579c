/* SPDX-License-Identifier: MIT */
/* sources: tests/fuzz/emul_fuzz.c hv/emul/decode.c hv/emul/exec.c hv/emul/hot.c hv/emul/alu.c
 * hv/emul/string.c hv/emul/priv.c */
/* A slice of what tests/fuzz/emul_fuzz.c does for longer: random inputs, always the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUNDS 300000

static uint64_t seed = 0xa0761d6478bd642full;

static uint8_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint8_t)(seed >> 29);
}

static void random_inputs_break_no_promise(void **state)
{
    static const char *const starts[] = {
        "",         "\x48\x87", "\x48\x89", "\xf0\x80",     "\xf0\x41\x80", "\x0f",
        "\x48\x0f", "\xf3\x48", "\x66",     "\xf0\x48\x0f", "\x64\x48",     "\x0f\x0bxen\x0f\xa2",
        "\x0f\x32",
    };
    uint8_t data[256];

    for (unsigned int i = 0; i < ROUNDS; i++) {
        const char *start = starts[rnd() % ARRAY_SIZE(starts)];

        for (unsigned int j = 0; j < sizeof(data); j++) {
            data[j] = rnd();
        }
        if (i & 1) {
            data[0] |= 3;
            data[1] = 15;
        }
        for (unsigned int j = 20; j < 188 && i & 2; j += 8) {
            memset(data + j + 6, 0, 2); /* canonical registers */
        }
        memcpy(data + 188, start, strlen(start));
        LLVMFuzzerTestOneInput(data, sizeof(data));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_inputs_break_no_promise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
