/* SPDX-License-Identifier: MIT */
/* What the files of domain/ share about a domain's beginning and end. */
#pragma once

#include "domain/part.h"

/*
 * A struct domain, zero but for its number @id (DOMID_INVALID: one is chosen),
 * which is taken from now on; domain_get() finds it once .refs is not zero.
 * -EEXIST, -ENOMEM (also: all numbers are taken).
 */
int must_check domain_enter(domid_t id, struct domain **dp);
/* Nobody has a reference to @d, nor can get one: give its number and its memory back. */
void domain_leave(struct domain *d);

/* The last reference to @d went; any lock may be held. */
void domain_bury(struct domain *d);

/* Free all that @d has but its number and struct, also where its creation failed half-way. */
void domain_free_contents(struct domain *d);
