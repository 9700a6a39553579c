/* SPDX-License-Identifier: MIT */
/*
 * A guest's FPU, SSE and AVX state: an area in the format of XSAVE (standard,
 * not compacted), or of FXSAVE on processors without.  We never use these
 * registers ourselves, so they are exchanged only when another vCPU runs.
 */
#pragma once

#include "lib/types.h"

/* Size the areas; all CPUs alike.  Boot CPU, after features_enable(). */
void fpu_init(void);

/* This CPU's XCR0 and initial state.  Every CPU, while starting. */
void fpu_init_cpu(void);

size_t fpu_area_bytes(void);     /* what one area takes */
uint64_t fpu_xcr0_allowed(void); /* components that guests may use; 0: no XSAVE */

/* An area in the initial state; NULL: no memory. */
void *must_check fpu_area_alloc(void);
void fpu_area_free(void *area); /* may be NULL */
void fpu_area_reset(void *area);

/* Components that @area does not hold in their initial state. */
uint64_t fpu_area_components(const void *area);
/* Bytes that the components @xcr0, a valid value, take in an area; in the standard form, and in the
 * compacted one, which XSAVEC writes (SDM vol. 1, 13.4). */
size_t fpu_bytes_of(uint64_t xcr0);
size_t fpu_compacted_bytes_of(uint64_t xcr0);
/*
 * Make @from, @bytes long, which another machine may have saved, the contents
 * of @area.  -EINVAL: it has components beyond @xcr0, or is not in the standard form.
 */
int must_check fpu_area_set(void *area, const void *from, size_t bytes, uint64_t xcr0);
/* The 512 bytes that FXSAVE would write, out of @area; and into it, its other components staying.
 */
void fpu_area_get_legacy(const void *area, void *fxsave);
void fpu_area_set_legacy(void *area, const void *fxsave);

/* Save this CPU's state into @area; all components, whatever the guest's XCR0 is. */
void fpu_save(void *area);

/* Load @area.  -EINVAL: it is not a valid state, and the initial one is loaded instead. */
int must_check fpu_restore(const void *area);

/* The XCR0 that is in force for the guest from now on; fpu_xcr0_is_valid() must hold. */
void fpu_set_guest_xcr0(uint64_t xcr0);
bool fpu_xcr0_is_valid(uint64_t xcr0);
