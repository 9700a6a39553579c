/* SPDX-License-Identifier: MIT */
/*
 * Access to what the loader left in memory.  What a loader says is not
 * trusted to be sane: an address or length out of range is as good as none.
 */
#include "boot/phys.h"

#include "lib/string.h"
#include "sys/log.h"

#ifndef MANSIO_HOST
__init const void *boot_phys(uint64_t paddr, uint64_t len_bytes)
{
    if (paddr == 0 || paddr >= BOOT_PHYS_END || len_bytes > BOOT_PHYS_END - paddr) {
        return NULL;
    }
    return (const void *)paddr;
}
#endif

__init bool boot_read_phys(void *dst, uint64_t paddr, size_t len_bytes)
{
    const void *src = boot_phys(paddr, len_bytes);

    if (src) {
        memcpy(dst, src, len_bytes);
    }
    return src != NULL;
}

__init void boot_copy_string(char *dst, size_t size, uint64_t paddr, const char *what)
{
    for (size_t n = 0; n < size; n++) {
        const char *c = boot_phys(paddr + n, 1);

        dst[n] = c ? *c : '\0';
        if (dst[n] == '\0') {
            return;
        }
    }
    dst[size - 1] = '\0';
    log_warn("boot: %s is longer than %zu characters; the rest of it is ignored", what, size - 1);
}
