/* SPDX-License-Identifier: MIT */
/*
 * Names for the addresses of our own code, for backtraces.
 */
#pragma once

#include "lib/types.h"

/*
 * The function that @addr lies in, and in *@offset how many bytes after its
 * beginning; NULL if @addr is not in the image's code.
 */
const char *symbol_lookup(uint64_t addr, uint64_t *offset);
