/* SPDX-License-Identifier: MIT */
/*
 * A guest whose kernel stack cannot take an exception frame: it ends, with a
 * reason, and nothing else does.
 */
#include "lib/guest.h"

TEST(fault_without_a_stack)
{
    __asm__ volatile("mov %0, %%rsp; ud2" ::"r"(0xffff830000001000ul));
}
