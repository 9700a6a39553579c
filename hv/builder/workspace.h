/* SPDX-License-Identifier: MIT */
/*
 * Memory to work in while dom0 is built: one stretch of addresses, made of
 * blocks wherever they are free, so that a small machine has it too.
 */
#pragma once

#include "builder/arena.h"
#include "lib/compiler.h"

/*
 * @len_bytes (0: an empty one), not zeroed, as an arena; one at a time has
 * number 0 and one number 1.  -ENOMEM.
 */
int must_check workspace_make(struct arena *area, unsigned int number, size_t len_bytes);

/* Give it back; an empty one, or one all zero, is none. */
void workspace_free(struct arena *area);
