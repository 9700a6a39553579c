/* SPDX-License-Identifier: MIT */
/* A guest that says itself that it has crashed: the machine says so and stops. */
#include "lib/hypercall.h"

TEST(tell_of_a_crash)
{
    struct sched_shutdown reason = { .reason = SHUTDOWN_crash };

    hyper_sched(SCHEDOP_shutdown, &reason);
    print("came back\n");
}
