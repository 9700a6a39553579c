/* SPDX-License-Identifier: MIT */
/*
 * The machine-to-physical table.  Memory comes in pieces of 2 MiB, one for each
 * GiB of the machine that has RAM: guests get the table by pieces of that size
 * too.  Guests see it read-only at LAYOUT_M2P, where pieces for holes are not
 * mapped; we write it through the direct map.
 */
#include "mm/m2p.h"

#include "lib/string.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "sys/panic.h"
#include "x86/paging.h"

#define FRAMES_PER_PIECE (M2P_PIECE_BYTES / sizeof(uint64_t))

static uint32_t *pieces; /* first frame of each piece's memory; 0: none */
static uint64_t nr_pieces;

uint64_t m2p_nr_pieces(void)
{
    return nr_pieces;
}

mfn_t m2p_piece(uint64_t i)
{
    return i < nr_pieces && pieces[i] ? MFN(pieces[i]) : MFN_INVALID;
}

static uint64_t *entry_of(mfn_t mfn)
{
    mfn_t piece = m2p_piece(mfn.n / FRAMES_PER_PIECE);

    if (mfn_eq(piece, MFN_INVALID)) {
        return NULL;
    }
    return (uint64_t *)mfn_to_virt(piece) + mfn.n % FRAMES_PER_PIECE;
}

void m2p_set(mfn_t mfn, uint64_t pfn)
{
    uint64_t *entry = entry_of(mfn);

    if (entry) {
        WRITE_ONCE(*entry, pfn);
    }
}

void m2p_set_run(mfn_t mfn, uint64_t nr, uint64_t pfn)
{
    uint64_t *entries = entry_of(mfn), step = pfn == M2P_INVALID ? 0 : 1;

    for (uint64_t i = 0; entries && i < nr; i++, pfn += step) {
        WRITE_ONCE(entries[i], pfn);
    }
}

uint64_t m2p_get(mfn_t mfn)
{
    const uint64_t *entry = entry_of(mfn);

    return entry ? READ_ONCE(*entry) : M2P_INVALID;
}

static __init bool piece_has_ram(uint64_t i)
{
    for (uint64_t n = 0; n < FRAMES_PER_PIECE; n += FRAME_GRAIN) {
        if (frame_backed(MFN(i * FRAMES_PER_PIECE + n))) {
            return true;
        }
    }
    return false;
}

static __init void make_piece(uint64_t i)
{
    paddr_t p = early_alloc(M2P_PIECE_BYTES, M2P_PIECE_BYTES, EARLY_ANYWHERE);

    memset(phys_to_virt(p), 0xff, M2P_PIECE_BYTES);
    if (paging_map(LAYOUT_M2P + i * M2P_PIECE_BYTES, p, M2P_PIECE_BYTES, PAGE_HV_RO | PTE_US)) {
        panic_give_up("Too little memory: no page tables for the machine-to-physical table.");
    }
    pieces[i] = (uint32_t)(p.a >> PAGE_SHIFT);
}

__init void m2p_init(void)
{
    uint64_t bytes;

    nr_pieces = align_up(nr_frames_max, FRAMES_PER_PIECE) / FRAMES_PER_PIECE;
    bytes = align_up(nr_pieces * sizeof(*pieces), PAGE_SIZE);
    pieces = phys_to_virt(early_alloc(bytes, PAGE_SIZE, EARLY_ANYWHERE));
    memset(pieces, 0, bytes);
    for (uint64_t i = 0; i < nr_pieces; i++) {
        if (piece_has_ram(i)) {
            make_piece(i);
        }
    }
}

__init void m2p_share(void)
{
    for (uint64_t i = 0; i < nr_pieces; i++) {
        mfn_t first = m2p_piece(i);

        for (uint64_t n = 0; pieces[i] && n < M2P_PIECE_BYTES >> PAGE_SHIFT; n++) {
            frame_share(mfn_to_virt(MFN(first.n + n)), DOMID_XEN, false);
        }
    }
}
