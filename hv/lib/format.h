/* SPDX-License-Identifier: MIT */
/*
 * printf-like formatting into a bounded buffer.
 *
 * Conversions: %s %c %d %i %u %x %X %o %p %%; lengths hh h l ll z; flags - 0 + #
 * and space; width and precision as numbers or `*`.  The argument types are
 * checked by the compiler.  An unknown conversion is printed as it stands.
 */
#pragma once

#include <stdarg.h>

#include "lib/compiler.h"

/*
 * Write at most @size - 1 bytes and a final NUL (nothing if @size is 0).
 * Returns the length the whole text has, which may exceed what was stored.
 */
size_t format_string(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);
size_t format_vstring(char *buf, size_t size, const char *fmt, va_list args) printf_like(3, 0);
