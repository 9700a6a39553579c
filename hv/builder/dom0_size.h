/* SPDX-License-Identifier: MIT */
/* How much memory dom0 gets, by the command line and by what is available. */
#pragma once

#include "lib/types.h"

/*
 * How many pages dom0 gets by the command line, when @avail_pages could be
 * given to it; what it leaves is for ourselves, other domains and devices
 * that reach low memory only.  The maximum overrides the minimum.
 */
uint64_t dom0_memory_pages(uint64_t avail_pages);

/* The most pages it may have later: no less than dom0_memory_pages(). */
uint64_t dom0_memory_max_pages(uint64_t avail_pages);
