/* SPDX-License-Identifier: MIT */
/*
 * A guest's start: set the machine up, run the tests found in section .tests,
 * tell the result and power off.
 */
#include <stdarg.h>

#include "event.h"
#include "hypercall.h"
#include "mm.h"

struct start_info *start_info;
uint64_t first_tsc;

extern const struct test tests_start[], tests_end[];

#define MAX_SAID 100 /* failures of one test that are printed */

static unsigned int nr_failures; /* of the running test */

void guest_main(struct start_info *info);

/* The compiler calls these for assignments of structs. */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    if (__atomic_fetch_add(&nr_failures, 1, __ATOMIC_SEQ_CST) >= MAX_SAID) {
        return;
    }
    print("%s:%d: ", file, line);
    va_start(args, fmt);
    print_v(fmt, args);
    va_end(args);
    print("\n");
}

bool test_failed(void)
{
    return nr_failures != 0;
}

/* What follows @start in the word of the command line that begins with it; NULL: none does. */
static const char *find_word(const char *start)
{
    const char *at = (const char *)start_info->cmd_line;
    unsigned int length = 0;

    while (start[length]) {
        length++;
    }
    while (*at) {
        if (!memcmp(at, start, length)) {
            return at + length;
        }
        while (*at && *at++ != ' ') {
            /* to the next word */
        }
    }
    return NULL;
}

bool guest_option(const char *word)
{
    const char *end = find_word(word);

    return end && (*end == ' ' || !*end);
}

uint64_t guest_option_number(const char *name, uint64_t otherwise)
{
    const char *at = find_word(name);
    uint64_t n = 0;

    if (!at) {
        return otherwise;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        n = n * 10 + (uint64_t)(*at - '0');
    }
    return n;
}

__attribute__((weak)) void guest_run(void)
{
    unsigned int nr_failed = 0, nr_tests = (unsigned int)(tests_end - tests_start);

    for (unsigned int i = 0; i < nr_tests; i++) {
        nr_failures = 0;
        print("test %s: running\n", tests_start[i].name);
        tests_start[i].run();
        print("test %s: %s\n", tests_start[i].name, nr_failures ? "FAILED" : "ok");
        nr_failed += nr_failures != 0;
    }
    print("guest: %u passed, %u failed\n", nr_tests - nr_failed, nr_failed);
}

void guest_main(struct start_info *info)
{
    start_info = info;
    mm_init();
    trap_init();
    event_init();
    user_init();
    guest_run();
    guest_power_off();
}

void *memcpy(void *to, const void *from, size_t n)
{
    void *ret = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
    return ret;
}

void *memset(void *to, int c, size_t n)
{
    void *ret = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
    return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}
