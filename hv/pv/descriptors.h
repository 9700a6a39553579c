/* SPDX-License-Identifier: MIT */
/*
 * Segment descriptors of paravirtual guests: pages of a GDT or LDT are of type
 * FT_SEGDESC while in use, their contents checked: nothing in them gives more
 * than ring 3.
 */
#pragma once

#include "domain/domain.h"

/*
 * Make the @nr_entries descriptors in @frames (whole pages) @v's GDT; 0
 * entries: none but ours.  @v is current or does not run.
 *   -EINVAL    too many, not the domain's frames, in use otherwise, or holding
 *              a descriptor that is not allowed
 *   -ERESTART  page tables must be drained first: call again
 */
int must_check pv_set_gdt(struct vcpu *v, const uint64_t *frames, uint32_t nr_entries);

/* Write the descriptor at machine address @at, in a frame of @d.  -EINVAL, -ERESTART as above. */
int must_check pv_update_descriptor(struct domain *d, uint64_t at, uint64_t descriptor);

/* @v's LDT is at the guest's @base; its pages are mapped when they are first used.  -EINVAL. */
int must_check pv_set_ldt(struct vcpu *v, uint64_t base, uint32_t nr_entries);

/*
 * The LDT window faulted at byte @offset: check and map the page of the guest's
 * LDT there.  False: there is none that may be mapped, the fault is the guest's.
 */
bool pv_map_ldt_page(struct vcpu *v, uint32_t offset);

/* Take GDT and LDT away from @v, which is current or does not run. */
void pv_drop_descriptors(struct vcpu *v);

/* Check and correct one descriptor (DPL 0 becomes 3); false: not allowed. */
bool pv_fix_descriptor(uint64_t *descriptor);
