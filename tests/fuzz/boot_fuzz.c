/* SPDX-License-Identifier: MIT */
/* sources: hv/boot/multiboot1.c hv/boot/multiboot2.c hv/boot/pvh.c hv/boot/efi.c
 * hv/boot/efi_leave.c hv/boot/fill.c hv/boot/phys.c hv/boot/memory_map.c hv/lib/string.c */
/*
 * Fuzz target: the input is what a loader left in memory, its first byte the
 * protocol.  Whatever it is, the readers stay inside it, and the memory map
 * comes out ascending and without overlaps.
 */
#include <stdlib.h>
#include <string.h>

#include "boot/fill.h"
#include "boot/phys.h"
#include "sys/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE 0x10000ull

const char __image_start[1];

static uint8_t *memory;
static size_t memory_bytes;
static struct boot_info info;

const void *boot_phys(uint64_t paddr, uint64_t len_bytes)
{
    if (paddr < BASE || paddr - BASE > memory_bytes || len_bytes > memory_bytes - (paddr - BASE)) {
        return NULL;
    }
    return memory + (paddr - BASE);
}

void log_print(enum log_level level, const char *fmt, ...)
{
}

static void check_string(const char *s, size_t size)
{
    if (strnlen(s, size) == size) {
        abort();
    }
}

static void check_result(void)
{
    uint64_t end = 0;

    if (info.nr_e820 > BOOT_MAX_E820 || info.nr_modules > BOOT_MAX_MODULES) {
        abort();
    }
    for (uint32_t i = 0; i < info.nr_e820; i++) {
        const struct e820_entry *e = &info.e820[i];

        if (e->start < end || e->len == 0 || e->start + e->len < e->start) {
            abort();
        }
        end = e->start + e->len;
    }
    check_string(info.cmdline, sizeof(info.cmdline));
    check_string(info.loader, sizeof(info.loader));
    for (uint32_t i = 0; i < info.nr_modules; i++) {
        check_string(info.modules[i].cmdline, sizeof(info.modules[i].cmdline));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct boot_info *, uint64_t) = {
        boot_read_multiboot1,
        boot_read_multiboot2,
        boot_read_pvh,
    };

    if (size < 2) {
        return 0;
    }
    memory_bytes = size - 1;
    memory = aligned_alloc(16, align_up(memory_bytes, 16));
    memcpy(memory, data + 1, memory_bytes);
    memory_bytes &= ~15ull; /* so that the sanitizer guards the end */
    memset(&info, 0, sizeof(info));
    info.image_start = PADDR(0x200000);
    info.image_end = PADDR(0x300000);
    readers[data[0] % ARRAY_SIZE(readers)](&info, BASE);
    boot_finish_memory(&info);
    check_result();
    free(memory);
    return 0;
}
