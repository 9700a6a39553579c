/* SPDX-License-Identifier: MIT */
/* What of the machine's hardware belongs to dom0. */
#pragma once

#include "domain/domain.h"

/*
 * Give @d, which does not run yet, all I/O ports, device memory and interrupts
 * but those that we use ourselves.  -ENOMEM, -ENOSPC: no room to note it.
 */
int must_check rights_grant_all(struct domain *d);
