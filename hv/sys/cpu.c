/* SPDX-License-Identifier: MIT */
/* Which CPUs there are. */
#include "sys/cpu.h"

struct cpu *cpus[NR_CPUS];
struct cpumask cpus_online;
