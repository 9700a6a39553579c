/* SPDX-License-Identifier: MIT */
/* A guest that returns to user mode without a table for it: it ends, with a reason. */
#include "lib/hypercall.h"

user_code static void user_stop(void)
{
    __asm__ volatile("ud2");
}

TEST(user_mode_without_a_table)
{
    struct regs regs;

    mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    user_regs(&regs, user_stop);
    user_run(&regs);
    print("came back\n");
}
