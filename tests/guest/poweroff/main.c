/* SPDX-License-Identifier: MIT */
/* A guest that switches the machine off by its own shutdown, not by ACPI. */
#include "lib/hypercall.h"

TEST(ask_for_power_off)
{
    struct sched_shutdown reason = { .reason = SHUTDOWN_poweroff };

    hyper_sched(SCHEDOP_shutdown, &reason);
    print("came back\n");
}
