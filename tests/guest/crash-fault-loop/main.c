/* SPDX-License-Identifier: MIT */
/*
 * A guest whose page-fault handler is not mapped: it faults for ever until its
 * stack is used up, and then ends, with a reason.
 */
#include "lib/hypercall.h"

TEST(faults_without_end)
{
    struct trap_info table[2] = {
        { .vector = 14, .cs = FLAT_KERNEL_CS, .address = 0x10000000000 },
    };

    hyper_trap_table(table);
    *(volatile uint64_t *)0x10000000000 = 1;
}
