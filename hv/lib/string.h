/* SPDX-License-Identifier: MIT */
/*
 * Bytes and C strings: the freestanding part of the C library, with the
 * meaning the C standard gives these names.  On the host they are the host's.
 */
#pragma once

#include "lib/compiler.h"

#ifdef MANSIO_HOST
#include <string.h>

static inline void memcpy_words(void *to, const void *from, size_t nr)
{
    memcpy(to, from, nr * 8);
}
#else
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

/* @nr words of eight bytes, in line. */
static inline void memcpy_words(void *to, const void *from, size_t nr)
{
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(nr)::"memory");
}

/* A freestanding build forgets that these can be expanded in place; tell it. */
#define memcpy(d, s, n) __builtin_memcpy(d, s, n)
#define memset(d, b, n) __builtin_memset(d, b, n)
#endif

/*
 * Copy @src into @dst of @size bytes (at least 1), cut if too long, always
 * terminated.  Returns whether all of it fitted.
 */
bool string_copy(char *dst, const char *src, size_t size);

/* Whether @s begins with @prefix. */
bool string_starts(const char *s, const char *prefix);
