/* SPDX-License-Identifier: MIT */
/*
 * The machine-to-physical table: for each machine frame, the owner's own
 * number for it.  Guests read it at LAYOUT_M2P; only we write it.
 */
#pragma once

#include "lib/types.h"
#include "x86/layout.h"

#define M2P_INVALID (~0ull) /* no guest's frame */

/* Note that @mfn is its owner's frame @pfn; M2P_INVALID for none. */
void m2p_set(mfn_t mfn, uint64_t pfn);

/* The same for a block of @nr frames, no more than a piece of the table tells, aligned to its
 * size, and the numbers from @pfn on. */
void m2p_set_run(mfn_t mfn, uint64_t nr, uint64_t pfn);

/* The owner's number for @mfn. */
uint64_t m2p_get(mfn_t mfn);

/* The table's memory, for those who map it elsewhere: pieces of M2P_PIECE_BYTES, each in one run of
 * frames. */
#define M2P_PIECE_BYTES (2ul << 20)
uint64_t m2p_nr_pieces(void);
/* The first frame of piece @i; MFN_INVALID: it describes no RAM, or there is none. */
mfn_t m2p_piece(uint64_t i);

/* Make the table, all entries M2P_INVALID; after the frame table.  Once, at start. */
void m2p_init(void);
/* Let privileged domains map the pieces, read-only, as frames of DOMID_XEN.  Once, at start, after
 * m2p_init(). */
void m2p_share(void);
