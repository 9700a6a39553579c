/* SPDX-License-Identifier: MIT */
/*
 * Lists of grant_table_op, for its dispatch in grant.c: each does the first
 * elements of @list, an address that has been through user_addr(), some of the @nr (at least 1),
 * and returns how many are finished.  What goes wrong with one is told in its status; *@rc, 0 at
 * the call, ends the list: -EFAULT, or -ERESTART.
 */
#pragma once

#include "grant/grant.h"
#include "hcall/hcall.h"

uint32_t hcall_grant_map(void *list, uint32_t nr, long *rc);
uint32_t hcall_grant_unmap(void *list, uint32_t nr, long *rc);
uint32_t hcall_grant_replace(void *list, uint32_t nr, long *rc);
uint32_t hcall_grant_copy(void *list, uint32_t nr, long *rc);
