/* SPDX-License-Identifier: MIT */
/*
 * 32-bit programs under a 64-bit kernel: their system calls, faults and returns.
 */
#include "lib/hypercall.h"
#include "lib/mm.h"

/* Code of 32-bit mode; the assembler is told, the compiler need not know. */
#define USER32(name, ...)                                                                          \
    user_code static void name(void)                                                               \
    {                                                                                              \
        __asm__ volatile(".code32\n\t" __VA_ARGS__ "\n\t.code64");                                 \
    }

USER32(int80, "mov $0x77, %eax; int $0x80; ud2")
USER32(system_call, "mov $0x88, %eax; syscall; ud2")
USER32(sysenter, "sysenter; ud2")
USER32(fault, "mov 0x700004, %eax; ud2")
USER32(stack, "push $0x1234; pop %eax; push %esp; pop %ebx; ud2")
USER32(far_return, "ljmp $0xe033, $0x400000")
USER32(high_jump, "mov $0xfffffff0, %eax; jmp *%eax")

static void start(struct regs *regs, const void *code)
{
    user_regs(regs, code);
    regs->cs = FLAT_USER_CS32;
    regs->ss = FLAT_USER_SS32;
}

TEST(software_interrupts)
{
    struct regs regs;

    start(&regs, int80);
    user_run(&regs);
    EXPECT(regs.vector, 0x80);
    EXPECT(regs.rax, 0x77);
    EXPECT(regs.cs & 0xffff, FLAT_USER_CS32);
    EXPECT(regs.ss & 0xffff, FLAT_USER_SS32);
    user_run(&regs);
    EXPECT(regs.vector, 6);
}

TEST(system_calls_have_an_entry_of_their_own)
{
    struct regs regs;

    start(&regs, system_call);
    user_run(&regs);
    EXPECT(regs.vector, ENTRY_SYSCALL32);
    EXPECT(regs.rax, 0x88);
    EXPECT(regs.cs & 0xffff, FLAT_USER_CS32);
    EXPECT(regs.rip, user_address(system_call) + 7);
}

TEST(sysenter_does_no_harm)
{
    struct regs regs;

    start(&regs, sysenter);
    user_run(&regs);
    CHECK(regs.vector == ENTRY_SYSENTER || regs.vector == 6 || regs.vector == 13);
}

TEST(page_faults)
{
    struct regs regs;

    start(&regs, fault);
    user_run(&regs);
    EXPECT(regs.vector, 14);
    EXPECT(regs.error, 4);
    start(&regs, high_jump);
    user_run(&regs);
    EXPECT(regs.vector, 14);
    EXPECT(regs.rip, 0xfffffff0);
}

TEST(the_stack_is_the_programs_own)
{
    struct regs regs;

    start(&regs, stack);
    user_run(&regs);
    EXPECT(regs.vector, 6);
    EXPECT(regs.rax, 0x1234);
    EXPECT(regs.rbx, USER_STACK);
    EXPECT(regs.rsp, USER_STACK);
}

TEST(a_far_jump_changes_the_mode)
{
    struct regs regs;

    start(&regs, far_return);
    user_run(&regs);
    EXPECT(regs.cs & 0xffff, FLAT_USER_CS64);
}

/* A fast return is for 64-bit code: to 32-bit code it must be made a full one. */
TEST(a_fast_return_to_32_bit_code)
{
    struct regs regs;

    start(&regs, int80);
    regs.error = VGCF_in_syscall;
    user_run(&regs);
    CHECK(regs.vector == 0x80 || regs.vector == 13);
}
