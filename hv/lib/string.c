/* SPDX-License-Identifier: MIT */
/*
 * Bytes and C strings.  Copies and fills go by eight bytes with the string
 * instructions, whose every step counts once.  What is left at the end of a copy
 * are the last eight bytes, some of them a second time.
 */
#include "lib/string.h"

#ifndef MANSIO_HOST
#undef memcpy
#undef memset

void *memcpy(void *dst, const void *src, size_t n)
{
    void *d = dst;
    size_t words = n / 8;
    uint64_t last;

    if (unlikely(n < sizeof(last))) {
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n)::"memory");
        return dst;
    }
    /* Read before anything is written: memmove() copies forwards what overlaps. */
    __builtin_memcpy(&last, (const char *)src + n - sizeof(last), sizeof(last));
    __asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words)::"memory");
    __builtin_memcpy((char *)dst + n - sizeof(last), &last, sizeof(last));
    return dst;
}

static void copy_backwards(char *dst, const char *src, size_t n)
{
    size_t tail = n & 7;
    char *d = dst + n - 1;
    const char *s = src + n - 1;

    /* After the odd bytes at the end, step back from a last byte to a last word. */
    __asm__ volatile("std\n\t"
                     "rep movsb\n\t"
                     "sub $7, %[d]\n\t"
                     "sub $7, %[s]\n\t"
                     "mov %[words], %[tail]\n\t"
                     "rep movsq\n\t"
                     "cld"
                     : [d] "+&D"(d), [s] "+&S"(s), [tail] "+&c"(tail)
                     : [words] "r"(n / 8)
                     : "memory", "cc");
}

void *memmove(void *dst, const void *src, size_t n)
{
    if ((uintptr_t)dst - (uintptr_t)src >= n) {
        return memcpy(dst, src, n); /* forwards never overtakes its source */
    }
    copy_backwards(dst, src, n);
    return dst;
}

void *memset(void *dst, int byte, size_t n)
{
    void *d = dst;
    size_t words = n / 8;
    uint64_t pattern = (uint8_t)byte * 0x0101010101010101ull;

    __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
    n &= 7;
    if (n) {
        __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(pattern) : "memory");
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;

    for (; n >= 8; n -= 8, p += 8, q += 8) {
        uint64_t x, y;

        __builtin_memcpy(&x, p, 8);
        __builtin_memcpy(&y, q, 8);
        if (x != y) {
            break; /* the bytes below say which way */
        }
    }
    for (; n; n--, p++, q++) {
        if (*p != *q) {
            return *p - *q;
        }
    }
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n]) {
        n++;
    }
    return n;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n]) {
        n++;
    }
    return n;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++) {
        if (*a != *b || !*a) {
            return (uint8_t)*a - (uint8_t)*b;
        }
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c) {
            return (char *)(uintptr_t)s;
        }
        if (!*s) {
            return NULL;
        }
    }
}
#endif

bool string_copy(char *dst, const char *src, size_t size)
{
    size_t len = strnlen(src, size);
    bool fits = len < size;

    if (!fits) {
        len = size - 1;
    }
    memcpy(dst, src, len);
    dst[len] = '\0';
    return fits;
}

bool string_starts(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}
