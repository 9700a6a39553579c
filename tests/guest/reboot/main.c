/* SPDX-License-Identifier: MIT */
/* A guest that asks for a reboot: with `noreboot` the machine says so and stops. */
#include "lib/hypercall.h"

TEST(ask_for_a_reboot)
{
    struct sched_shutdown reason = { .reason = SHUTDOWN_reboot };

    hyper_sched(SCHEDOP_shutdown, &reason);
    print("came back\n");
}
