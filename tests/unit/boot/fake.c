/* SPDX-License-Identifier: MIT */
/* See fake.h. */
#include "boot/fake.h"

#include "boot/phys.h"
#include "sys/log.h"

const char __image_start[1];

static uint8_t *memory;
static unsigned int nr_lines;

void fake_reset(struct boot_info *info)
{
    fake_end();
    memory = aligned_alloc(16, FAKE_BYTES);
    memset(memory, 0, FAKE_BYTES);
    memset(info, 0, sizeof(*info));
    info->image_start = PADDR(0x200000);
    info->image_end = PADDR(0x300000);
    nr_lines = 0;
}

void fake_end(void)
{
    free(memory);
    memory = NULL;
}

const void *boot_phys(uint64_t paddr, uint64_t len_bytes)
{
    if (paddr < FAKE_BASE || paddr - FAKE_BASE > FAKE_BYTES ||
        len_bytes > FAKE_BYTES - (paddr - FAKE_BASE)) {
        return NULL;
    }
    return memory + (paddr - FAKE_BASE);
}

void fake_put(uint64_t paddr, const void *bytes, size_t len)
{
    memcpy(memory + (paddr - FAKE_BASE), bytes, len);
}

void fake_put32(uint64_t paddr, uint32_t value)
{
    fake_put(paddr, &value, sizeof(value));
}

void fake_put64(uint64_t paddr, uint64_t value)
{
    fake_put(paddr, &value, sizeof(value));
}

void fake_put_string(uint64_t paddr, const char *text)
{
    fake_put(paddr, text, strlen(text) + 1);
}

unsigned int fake_nr_lines(void)
{
    return nr_lines;
}

void log_print(enum log_level level, const char *fmt, ...)
{
    char line[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    nr_lines++;
}
