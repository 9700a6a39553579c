/* SPDX-License-Identifier: MIT */
/* The page of routines by which older paravirtual kernels make hypercalls. */
#pragma once

#include "lib/types.h"

/* Fill the guest's @page: hypercall n is called at byte 32 * n, its arguments are in the usual
 * registers. */
void pv_hypercall_page_fill(void *page);
