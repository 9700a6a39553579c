/* SPDX-License-Identifier: MIT */
/* domctl: the frames of a domain. */
#include "hcall/domctl.h"

long domctl_max_mem(struct domain *d, struct xen_domctl *op)
{
    d->max_pages = op->u.max_mem.max_memkb >> (PAGE_SHIFT - 10);
    return 0;
}
