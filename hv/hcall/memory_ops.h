/* SPDX-License-Identifier: MIT */
/*
 * The operations of memory_op, a file a family; the table is in memory.c.  The
 * low bits of the command are the operation, the others how far a call that
 * restarted had come: operations on extents go on there.
 */
#pragma once

#include "hcall/hcall.h"
#include <xen/memory.h>

#define MEMOP_EXTENT_SHIFT 6u
#define MEMOP_CMD_MASK     ((1u << MEMOP_EXTENT_SHIFT) - 1)

typedef long memory_op_fn(uint64_t cmd, uint64_t arg);

/* reservation.c: frames given to a domain and taken back */
memory_op_fn memory_increase, memory_decrease, memory_populate, memory_claim_pages;

/* exchange.c */
memory_op_fn memory_op_exchange;

/* memory_map.c: what there is, and where */
memory_op_fn memory_machine_map, memory_get_domain_map, memory_set_domain_map,
    memory_machphys_mapping, memory_machphys_mfn_list, memory_reserved_device_map;

/* resource.c: frames of ours that belong to another domain */
memory_op_fn memory_acquire_resource;
