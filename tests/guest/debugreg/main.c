/* SPDX-License-Identifier: MIT */
/*
 * Debug registers: a guest's breakpoints work, in its own code and data only.
 */
#include "lib/hypercall.h"
#include "lib/mm.h"

#define DR7_L0       1ul
#define DR7_EXEC(n)  0ul
#define DR7_WRITE(n) (1ul << (16 + 4 * (n)))
#define DR7_IO(n)    (2ul << (16 + 4 * (n)))
#define DR7_RW(n)    (3ul << (16 + 4 * (n)))
#define DR7_LEN8(n)  (2ul << (18 + 4 * (n)))
#define DR7_GD       (1ul << 13)
#define DR7_FIXED    (1ul << 10)

static volatile uint64_t watched;
static struct trap_record record;

static void clear(void)
{
    for (int i = 0; i < 4; i++) {
        EXPECT(hyper_set_debugreg(i, 0), 0);
    }
    EXPECT(hyper_set_debugreg(6, 0), 0);
    EXPECT(hyper_set_debugreg(7, 0), 0);
}

TEST(registers_read_as_written)
{
    for (int i = 0; i < 4; i++) {
        EXPECT(hyper_set_debugreg(i, 0x1000 * (uint64_t)(i + 1)), 0);
    }
    for (int i = 0; i < 4; i++) {
        EXPECT(hyper_get_debugreg(i), 0x1000 * (i + 1));
    }
    EXPECT(hyper_set_debugreg(7, DR7_L0 | DR7_WRITE(0)), 0);
    EXPECT(hyper_get_debugreg(7), DR7_L0 | DR7_WRITE(0) | DR7_FIXED);
    clear();
    EXPECT(hyper_get_debugreg(6), 0xffff0ff0);
    EXPECT(hyper_get_debugreg(7), DR7_FIXED);
}

static void write_watched(void *arg)
{
    (void)arg;
    watched = 1;
}

TEST(a_watched_word_traps)
{
    EXPECT(hyper_set_debugreg(0, (uint64_t)&watched), 0);
    EXPECT(hyper_set_debugreg(7, DR7_L0 | DR7_WRITE(0) | DR7_LEN8(0)), 0);
    CHECK(trap_try(write_watched, NULL, &record));
    EXPECT(record.regs.vector, 1);
    EXPECT(hyper_get_debugreg(6) & 1, 1);
    clear();
    CHECK(!trap_try(write_watched, NULL, &record));
}

user_code static void user_work(void)
{
    __asm__ volatile("nop; nop; nop; ud2");
}

TEST(a_breakpoint_in_user_mode)
{
    struct regs regs;

    EXPECT(hyper_set_debugreg(1, user_address(user_work) + 1), 0);
    EXPECT(hyper_set_debugreg(7, 1ul << 2), 0);
    user_regs(&regs, user_work);
    user_run(&regs);
    EXPECT(regs.vector, 1);
    EXPECT(regs.rip, user_address(user_work) + 1);
    EXPECT(hyper_get_debugreg(6) & 2, 2);
    regs.rflags |= 1ul << 16; /* resume */
    user_run(&regs);
    EXPECT(regs.vector, 6);
    clear();
}

TEST(the_hypervisor_is_not_watched)
{
    EXPECT(hyper_set_debugreg(0, 0xffff830000000000), -EPERM);
    EXPECT(hyper_set_debugreg(0, 0xffff82d040200000), -EPERM);
    EXPECT(hyper_set_debugreg(0, 0xffff800000000000), -EPERM);
    EXPECT(hyper_set_debugreg(0, 0x800000000000), -EPERM);
}

TEST(what_a_guest_may_not_ask_for)
{
    EXPECT(hyper_set_debugreg(7, DR7_L0 | DR7_IO(0)), -EPERM);
    EXPECT(hyper_set_debugreg(7, DR7_GD), -EPERM);
    EXPECT(hyper_set_debugreg(7, 1ul << 32), -EINVAL);
    EXPECT(hyper_set_debugreg(6, 1ul << 32), -EINVAL);
    clear();
}

static bool ignore(struct regs *regs)
{
    (void)regs;
    return true;
}

/* Frames are pushed where a breakpoint watches: that is the guest's affair, whoever pushes. */
TEST(a_watched_stack_does_no_harm)
{
    struct regs regs;

    trap_set_handler(1, ignore);
    EXPECT(hyper_set_debugreg(0, (uint64_t)this_cpu() + CPU_STACK_SIZE / 2 - 8), 0);
    EXPECT(hyper_set_debugreg(7, DR7_L0 | DR7_RW(0) | DR7_LEN8(0)), 0);
    user_regs(&regs, user_work);
    user_run(&regs);
    EXPECT(regs.vector, 6);
    clear();
    trap_set_handler(1, NULL);
}
