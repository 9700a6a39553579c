/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: entry.S calls hypercall_table[rax] with the guest's rdi, rsi,
 * rdx, r10, r8, r9 and puts the result into its rax.  A handler that has more
 * to do after a bounded amount of work calls hcall_restart() and returns what
 * that gives.
 */
#pragma once

#include "domain/domain.h"
#include "guest/guest.h"

typedef long hcall_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

#define HYPERCALL_MAX 64u
extern hcall_fn *const hypercall_table[HYPERCALL_MAX];

/*
 * Arrange that the guest executes the hypercall @nr again with these arguments
 * (@nr_args of them changed) after others had their turn, events included.
 * Inside a multicall the entry is rewritten instead.  Returns the value to
 * return.
 */
long hcall_restart(unsigned int nr, unsigned int nr_args, ...);

/* Is the current hypercall an entry of a multicall? */
bool hcall_in_multicall(void);
