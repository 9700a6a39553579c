/* SPDX-License-Identifier: MIT */
/*
 * The life of domains: made, run, shut down, destroyed, and what is refused on
 * the way; nothing is left of one that has gone.
 */
#include "lib/child.h"

#include "event.h"
#include "hypercall.h"
#include "mm.h"

static struct child child;

static void answer(uint64_t arg)
{
    child_box[0] = arg + 1;
    child_box[1] = child_is_me();
}

TEST(a_child_runs_and_powers_off)
{
    EXPECT(child_create(&child, 1, answer, 41), 0);
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child.box[0], 42);
    EXPECT(child.box[1], 1);
    EXPECT(child_destroy(&child), 0);
}
