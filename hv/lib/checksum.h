/* SPDX-License-Identifier: MIT */
/* Sums that firmware protects its tables with. */
#pragma once

#include "lib/compiler.h"

/* The sum of @len bytes modulo 256; ACPI tables and other firmware structs make it 0. */
static inline uint8_t checksum8(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint8_t sum = 0;

    while (len--) {
        sum = (uint8_t)(sum + *p++);
    }
    return sum;
}
