/* SPDX-License-Identifier: MIT */
/* A guest that takes an exception for which it has no handler: it ends, with a reason. */
#include "lib/hypercall.h"

TEST(fault_without_a_handler)
{
    hyper_trap_table(NULL);
    __asm__ volatile("ud2");
}
