/* SPDX-License-Identifier: MIT */
/* domctl: the frames of a domain. */
#include "hcall/domctl.h"

long domctl_max_mem(struct domain *d, struct xen_domctl *op)
{
    spin_lock(&d->page_lock);
    d->max_pages = op->u.max_mem.max_memkb >> (PAGE_SHIFT - 10);
    spin_unlock(&d->page_lock);
    return 0;
}
