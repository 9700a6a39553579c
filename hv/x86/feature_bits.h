/* SPDX-License-Identifier: MIT */
/* Numbers of the features in struct cpu_features.  Read by assembly as well. */
#pragma once

#define FEATURE_SMEP          0
#define FEATURE_SMAP          1
#define FEATURE_UMIP          2
#define FEATURE_FSGSBASE      3
#define FEATURE_XSAVE         4
#define FEATURE_XSAVEOPT      5
#define FEATURE_XSAVEC        6
#define FEATURE_PCID          7
#define FEATURE_INVPCID       8
#define FEATURE_X2APIC        9
#define FEATURE_TSC_DEADLINE  10
#define FEATURE_TSC_INVARIANT 11
#define FEATURE_PAGE_1G       12
#define FEATURE_SVM           14
#define FEATURE_VMX           15
#define FEATURE_MCE           16
#define FEATURE_MCA           17
#define FEATURE_MD_CLEAR      18
#define FEATURE_IBPB          19
#define FEATURE_RDTSCP        20
#define FEATURE_SYSENTER64    21 /* SYSENTER works in long mode: not on AMD */
#define FEATURE_ARAT          22 /* the local timer runs in every sleep state */
#define FEATURE_CX16          23
#define FEATURE_DE            24
#define FEATURE_MTRR          25
#define FEATURE_SYSCALL32     26 /* SYSCALL works in compatibility mode: AMD */
#define FEATURE_FXSR_LEAKS    27 /* FXRSTOR leaves FIP, FDP, FOP of another: AMD before Zen */
#define FEATURE_VIRTUAL       28 /* this is itself the guest of a hypervisor */
