/* SPDX-License-Identifier: MIT */
/* How CPUs share cores and packages: what the APIC ids say. */
#pragma once

#include "lib/compiler.h"

/* Read the widths of the APIC id's parts.  Boot CPU, once, after features_init(). */
void topology_init(void);

/* Do these two APIC ids belong to threads of one core? */
bool topology_same_core(uint32_t a, uint32_t b);

uint32_t topology_threads_per_core(void);
uint32_t topology_cores_per_socket(void);
uint32_t topology_core(unsigned int cpu);   /* number of the core within its package */
uint32_t topology_socket(unsigned int cpu); /* number of the package */
