/* SPDX-License-Identifier: MIT */
/*
 * Error numbers as guests see them.  <xen/errno.h> defines them as XEN_E...;
 * the short names used throughout are made from that list, so that no number
 * of the build machine can slip in.
 */
#pragma once

/* The header's __XEN__ part is ERESTART, which no guest ever sees. */
#define __XEN__
#define XEN_ERRNO(name, value) name = (value),
enum {
#include <xen/errno.h>
};
#undef __XEN__
