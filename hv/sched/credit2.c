/* SPDX-License-Identifier: MIT */
/* Policy credit2, the default: shares by weight and caps, with short slices. */
#include "sched/internal.h"

#include "abi/xen.h"
#include <xen/domctl.h>

const struct sched_policy sched_policy_credit2 = {
    .name = "credit2",
    .long_name = "fair shares by weight (credit2)",
    .id = XEN_SCHEDULER_CREDIT2,
    .cpus_per_queue = 8,
    .margin_ns = 200000,
    .defaults = { .slice_us = 5000 },
    .charge = fair_charge,
    .woken = fair_woken,
    .refresh = fair_refresh,
    .lift = fair_lift,
    .begin = fair_begin,
    .end = fair_end,
    .get_params = fair_get_params,
    .set_params = fair_set_params,
};
