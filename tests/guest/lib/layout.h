/* SPDX-License-Identifier: MIT */
/* Numbers that C and assembly share. */
#pragma once

#define VIRT_BASE      0xffffffff80000000
#define INIT_P2M       0x8000000000
#define CPU_STACK_SIZE 32768
#define MAX_CPUS       8

/* Entries that are no exceptions, numbered after the vectors. */
#define ENTRY_SYSCALL   256
#define ENTRY_EVENT     257
#define ENTRY_FAILSAFE  258
#define ENTRY_SYSCALL32 259
#define ENTRY_SYSENTER  260
