/* SPDX-License-Identifier: MIT */
/*
 * The machine-to-physical table: for each machine frame, the owner's own
 * number for it.  Guests read it at LAYOUT_M2P; only we write it.
 */
#pragma once

#include "lib/types.h"
#include "x86/layout.h"

#define M2P_INVALID (~0ull)     /* no guest's frame */

/* Note that @mfn is its owner's frame @pfn; M2P_INVALID for none. */
void m2p_set(mfn_t mfn, uint64_t pfn);

/* The owner's number for @mfn. */
uint64_t m2p_get(mfn_t mfn);
