/* SPDX-License-Identifier: MIT */
/*
 * The test runtime itself: traps are caught, user mode is entered and left, and
 * an event arrives.  When this fails, the other guests say little.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

TEST(version_is_4_17)
{
    EXPECT(hyper_version(XENVER_version, NULL), 4 << 16 | 17);
}

TEST(a_bad_read_is_caught)
{
    struct trap_record record;
    uint64_t value;

    CHECK(!probe_read((void *)FREE_VA, &value, &record));
    EXPECT(record.regs.vector, 14);
    EXPECT(record.cr2, FREE_VA);
}

user_code static void user_syscall(void)
{
    __asm__ volatile("mov $0x1234, %eax; syscall; ud2");
}

TEST(user_mode_makes_a_system_call)
{
    struct regs regs;

    user_regs(&regs, user_syscall);
    user_run(&regs);
    EXPECT(regs.vector, ENTRY_SYSCALL);
    EXPECT(regs.rax, 0x1234);
    user_run(&regs);
    EXPECT(regs.vector, 6);
}

static volatile unsigned int nr_events;

static void count_event(unsigned int port)
{
    (void)port;
    nr_events++;
}

TEST(an_event_to_ourselves_arrives)
{
    long port = event_bind_ipi(0);

    CHECK(port > 0);
    event_set_handler((unsigned int)port, count_event);
    port_unmask((unsigned int)port);
    event_unmask();
    EXPECT(event_send((unsigned int)port), 0);
    EXPECT(nr_events, 1);
    event_mask();
    EXPECT(event_close((unsigned int)port), 0);
}
