/* SPDX-License-Identifier: MIT */
/*
 * The start-up sequence: a table of contents of the hypervisor.
 */
#include "sys/start.h"

#include "lib/types.h"

static void serial_puts(const char *text)
{
    for (; *text; text++) {
        __asm__ volatile("outb %0, %1" ::"a"(*text), "Nd"((uint16_t)0x3f8));
    }
}

__init noreturn void hv_main(void)
{
    serial_puts("(mansio) Mansio starts\n");
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
