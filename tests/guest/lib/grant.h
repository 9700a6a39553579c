/* SPDX-License-Identifier: MIT */
/* Grant tables: the calls, and tables of this domain and of others, mapped. */
#pragma once

#include "guest.h"
#include "hypercall.h"

#include <xen/grant_table.h>

#define hyper_grant(cmd, arg, nr) hypercall3(__HYPERVISOR_grant_table_op, cmd, arg, nr)

/* Write access to what lies there; a reference is the place in it. */
typedef volatile struct grant_entry_v1 *grant_table_v1;
typedef volatile union grant_entry_v2 *grant_table_v2;

#define GRANT_TABLE_VA 0x12000000000ul /* this domain's table, once mapped */

/* Grow this domain's table to @nr frames and map them at GRANT_TABLE_VA. */
void grant_table_map(unsigned int nr);
/* The first frame of the table of @domid, a child's, mapped at @va. */
long grant_table_map_of(unsigned int domid, uint64_t va);

/* Let @domid have @mfn by an entry at @e, version 1. */
void grant_entry_set(volatile struct grant_entry_v1 *e, unsigned int flags, unsigned int domid,
                     uint64_t mfn);

/* These return the status, or the hypercall's error. */
long grant_map(unsigned int domid, grant_ref_t ref, unsigned int flags, uint64_t at,
               grant_handle_t *handle);
long grant_unmap(grant_handle_t handle, uint64_t at);
long grant_unmap_device(grant_handle_t handle, uint64_t at, uint64_t bus_address);
long grant_replace(grant_handle_t handle, uint64_t at, uint64_t by);
long grant_copy(const struct gnttab_copy *op);
/* Returns the hypercall's own result. */
long grant_set_version(unsigned int version);
