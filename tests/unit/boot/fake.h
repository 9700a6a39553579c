/* SPDX-License-Identifier: MIT */
/*
 * Machine memory for the readers of boot data: a window of bytes at a chosen
 * address, with nothing around it, so that a read outside is a test's failure.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/fill.h"

#define FAKE_BASE  0x10000ull
#define FAKE_BYTES 0x10000ull

/* Fresh memory, zero; also clears @info and the lines logged. */
void fake_reset(struct boot_info *info);

/* Give back what fake_reset() took. */
void fake_end(void);

/* Write at a machine address. */
void fake_put(uint64_t paddr, const void *bytes, size_t len);
void fake_put32(uint64_t paddr, uint32_t value);
void fake_put64(uint64_t paddr, uint64_t value);
void fake_put_string(uint64_t paddr, const char *text);

/* How many lines were logged. */
unsigned int fake_nr_lines(void);
