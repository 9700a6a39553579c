/* SPDX-License-Identifier: MIT */
/* A guest that switches the machine off as a control domain does: by ACPI's state S5. */
#include "lib/hypercall.h"

#include <xen/platform.h>

TEST(enter_s5)
{
    struct xen_platform_op op = {
        .cmd = XENPF_enter_acpi_sleep,
        .interface_version = XENPF_INTERFACE_VERSION,
        .u.enter_acpi_sleep = { .val_a = 0x2000, .sleep_state = 5 },
    };

    print("rc %ld\n", hypercall1(__HYPERVISOR_platform_op, &op));
}
