/* SPDX-License-Identifier: MIT */
/*
 * Grant tables against a model: steps chosen by a source of numbers, after each
 * of which all that must hold is made anew from what is in use and compared.
 * Used with random numbers and by a fuzzer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The next number; what lies beyond its end is 0. */
typedef uint32_t model_source(void *from);

/* Three domains with empty tables. */
void model_begin(model_source *next, void *from);
/* One step; aborts with a sentence when something does not hold. */
void model_step(void);
/* Give everything back, and see that nothing is left. */
void model_end(void);

/* What has happened, to see that a run tried something. */
struct model_counts {
    unsigned int mapped, pinned, refused, changed, swapped, died;
};
extern struct model_counts model_counts;
