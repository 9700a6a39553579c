/* SPDX-License-Identifier: MIT */
/* sources: hv/drivers/acpi.c hv/lib/string.c */
/*
 * Fuzz target: the input is the firmware's memory, beginning with the root
 * pointer.  Sums are made right first, since guessing them is no feat: bytes
 * 33 to 35 of the root pointer are unused there, and name up to three tables
 * by their 64-byte slots.  Whatever the rest is, the reader stays inside what
 * it maps, each piece of which is an allocation of its own size.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/acpi.h"
#include "lib/checksum.h"
#include "sys/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE       0x10000ull
#define MAX_BYTES  8192u
#define MAX_PIECES 1024u
#define HEADER_LEN 36u

static uint8_t memory[MAX_BYTES];
static size_t memory_bytes;
static void *pieces[MAX_PIECES];
static unsigned int nr_pieces;

void log_print(enum log_level level, const char *fmt, ...)
{
}

static const void *map(paddr_t p, size_t len)
{
    void *piece;

    if (p.a < BASE || p.a - BASE > memory_bytes || len > memory_bytes - (p.a - BASE) ||
        nr_pieces == MAX_PIECES) {
        return NULL;
    }
    piece = malloc(len ? len : 1);
    memcpy(piece, memory + (p.a - BASE), len);
    pieces[nr_pieces++] = piece;
    return piece;
}

static const struct acpi_mem_ops ops = { map };

/* Make the sum of @len bytes at @at zero by the byte at @at + @sum. */
static void seal(size_t at, size_t len, size_t sum)
{
    if (at <= memory_bytes && len <= memory_bytes - at && sum < len) {
        memory[at + sum] = (uint8_t)(memory[at + sum] - checksum8(memory + at, len));
    }
}

static void seal_table(size_t slot)
{
    uint32_t len;
    size_t at = slot * 64;

    if (at + HEADER_LEN <= memory_bytes) {
        memcpy(&len, memory + at + 4, sizeof(len));
        seal(at, len, 9);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEADER_LEN || size > MAX_BYTES) {
        return 0;
    }
    memcpy(memory, data, size);
    memory_bytes = size;
    memcpy(memory, "RSD PTR ", 8);
    for (unsigned int i = 33; i < 36; i++) {
        seal_table(memory[i]);
    }
    seal(0, 20, 8);
    seal(0, 36, 32);
    acpi_init(&ops, PADDR(BASE));
    if (acpi_info.nr_cpus > ACPI_MAX_CPUS || acpi_info.nr_ioapics > ACPI_MAX_IOAPICS ||
        acpi_info.nr_overrides > ACPI_MAX_OVERRIDES || acpi_info.nr_nmis > ACPI_MAX_NMIS ||
        acpi_info.nr_tables > ACPI_MAX_TABLES || acpi_info.nr_segments > ACPI_MAX_SEGMENTS) {
        abort();
    }
    while (nr_pieces) {
        free(pieces[--nr_pieces]);
    }
    return 0;
}
