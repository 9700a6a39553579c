/* SPDX-License-Identifier: MIT */
/*
 * A guest that takes the entries of its own kernel out of its top table: it
 * cannot be entered any more and ends, with a reason.
 */
#include "lib/hypercall.h"
#include "lib/mm.h"

TEST(take_away_the_kernel)
{
    long rc = mmu_update(virt_to_machine(&kernel_l4[511]), 0);

    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    print("came back: %ld\n", rc);
}
