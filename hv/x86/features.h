/* SPDX-License-Identifier: MIT */
/*
 * What the processor can do.  Found out once, on the boot CPU; a CPU that
 * cannot do the same is not started.
 */
#pragma once

#include "lib/compiler.h"
#include "x86/feature_bits.h"

enum cpu_vendor {
    VENDOR_INTEL,
    VENDOR_AMD,
    VENDOR_OTHER,
};

struct cpu_features {
    uint64_t bits;           /* FEATURE_... */
    uint8_t vendor;          /* enum cpu_vendor */
    uint8_t model, stepping; /* the extended numbers, as software shows them */
    uint16_t family;
    uint32_t max_leaf, max_ext_leaf;
    uint8_t phys_bits;   /* width of machine addresses */
    uint32_t model_code; /* EAX of CPUID leaf 1 */
    uint64_t cr4;        /* what CR4 holds on every CPU while we run */
    char name[49];
};

/* Constant after features_init(). */
extern struct cpu_features cpu_features;

static inline bool cpu_has(unsigned int feature)
{
    return cpu_features.bits >> feature & 1;
}

/* Find out; stops the machine with a sentence if something needed is missing.  Boot CPU, once. */
void features_init(void);

/*
 * Set up this CPU's control registers, EFER, PAT and the like.  False: it
 * lacks what the boot CPU has (AP only; the reason is logged).
 */
bool must_check features_enable(void);

/* Code of the domain @owner is to run: branch predictors forget what another's taught them here. */
void features_owner_enters(uint32_t owner);
