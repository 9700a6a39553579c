/* SPDX-License-Identifier: MIT */
/*
 * Making the first domain from the boot modules: the first is its kernel, the
 * second, if there is one, its initrd.
 */
#pragma once

#include "builder/image.h"
#include "domain/domain.h"

/*
 * Build dom0, paused once and ready to run, and give the memory of the modules
 * back.  All of the machine is up; no guest has run.  On failure nothing is
 * undone, since there is nothing to run then; @err says what is wrong:
 *   -EINVAL  no kernel, or one that cannot be dom0
 *   -ENOMEM  too little memory
 *   others   as domain_create()
 */
int must_check build_dom0(struct domain **dp, struct image_error *err);
