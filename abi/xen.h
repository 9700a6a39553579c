/* SPDX-License-Identifier: MIT */
/*
 * The guest ABI: <xen/xen.h> of libxen-dev with the tools' parts open, so that
 * every file sees one and the same set of layouts and numbers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifndef __XEN_TOOLS__
#define __XEN_TOOLS__ 1
#endif
#include <xen/xen.h>

#include "abi/errno.h"

_Static_assert(sizeof(xen_pfn_t) == 8, "frame numbers of the 64-bit ABI");
_Static_assert(sizeof(struct vcpu_info) == 64, "vcpu_info is one cache line");
_Static_assert(sizeof(struct cpu_user_regs) == 200, "the register frame of the 64-bit ABI");
_Static_assert(offsetof(struct cpu_user_regs, es) == 168, "hardware pushes end where es begins");
