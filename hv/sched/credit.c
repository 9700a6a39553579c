/* SPDX-License-Identifier: MIT */
/*
 * Policy credit: shares by weight and caps as credit2's, with slices that are
 * long at first and can be set, and with units that stay a while where they ran.
 */
#include "sched/internal.h"

#include "abi/xen.h"
#include <xen/domctl.h>

const struct sched_policy sched_policy_credit = {
    .name = "credit",
    .long_name = "fair shares by weight, long slices (credit)",
    .id = XEN_SCHEDULER_CREDIT,
    .cpus_per_queue = 8,
    .margin_ns = 200000,
    .defaults = { .slice_us = 30000, .ratelimit_us = 1000 },
    .charge = fair_charge,
    .woken = fair_woken,
    .refresh = fair_refresh,
    .lift = fair_lift,
    .begin = fair_begin,
    .end = fair_end,
    .get_params = fair_get_params,
    .set_params = fair_set_params,
};
