/* SPDX-License-Identifier: MIT */
/*
 * The smallest guest, for tests of what the tools do with guests: it is created
 * in no time, and fits a few MiB of memory.  The first letter of its command
 * line says what it does: (s)pin, (c)rash, (p)ower off; otherwise it sleeps.
 */
#include <stdint.h>

#include "abi/xen.h"

#include <xen/elfnote.h>
#include <xen/sched.h>

#define VIRT_BASE_OF_ALL 0xffffffff80000000ull /* as in tests/guest/lib/guest.lds */

/* Start-up leaves the address of the start info in rsi, and a stack. */
void guest_entry(void);
__asm__("    .globl guest_entry\n"
        "guest_entry:\n"
        "    mov %rsi, %rdi\n"
        "    call guest_main\n");

struct text_note {
    uint32_t name_len, desc_len, type;
    char name[4], desc[8];
};

struct number_note {
    uint32_t name_len, desc_len, type;
    char name[4];
    uint64_t desc;
} __attribute__((packed));

#define NOTE(kind, what, value)                                                                    \
    static const struct kind note_##what                                                           \
        __attribute__((section(".note.Xen"), used, aligned(4))) = { 4, 8, XEN_ELFNOTE_##what,      \
                                                                    "Xen", value }

NOTE(text_note, XEN_VERSION, "xen-3.0");
NOTE(text_note, LOADER, "generic");
NOTE(text_note, GUEST_OS, "tiny");
NOTE(number_note, VIRT_BASE, VIRT_BASE_OF_ALL);
NOTE(number_note, PADDR_OFFSET, 0);
NOTE(number_note, ENTRY, (uintptr_t)guest_entry);

static void sched_op(unsigned long op, const void *arg)
{
    unsigned long nr = __HYPERVISOR_sched_op;

    __asm__ volatile("syscall" : "+a"(nr), "+D"(op), "+S"(arg) : : "rcx", "r11", "memory");
}

void guest_main(const struct start_info *info);
void guest_main(const struct start_info *info)
{
    char what = (char)info->cmd_line[0];
    const struct sched_shutdown end = {
        .reason = what == 'c' ? SHUTDOWN_crash : SHUTDOWN_poweroff,
    };

    if (what == 'c' || what == 'p') {
        sched_op(SCHEDOP_shutdown, &end);
    }
    for (;;) {
        if (what != 's') {
            sched_op(SCHEDOP_block, 0);
        }
    }
}
