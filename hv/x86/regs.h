/* SPDX-License-Identifier: MIT */
/*
 * Bits of control registers, flags and descriptors, vectors of exceptions:
 * numbers of the architecture (SDM vol. 3, chapters 2, 5 and 6).  Read by
 * assembly as well.
 */
#pragma once

#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_EM 0x00000004
#define CR0_TS 0x00000008
#define CR0_ET 0x00000010
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_AM 0x00040000
#define CR0_PG 0x80000000

#define CR4_VME        0x00000001
#define CR4_TSD        0x00000004
#define CR4_DE         0x00000008
#define CR4_PSE        0x00000010
#define CR4_PAE        0x00000020
#define CR4_MCE        0x00000040
#define CR4_PGE        0x00000080
#define CR4_OSFXSR     0x00000200
#define CR4_OSXMMEXCPT 0x00000400
#define CR4_UMIP       0x00000800
#define CR4_VMXE       0x00002000
#define CR4_FSGSBASE   0x00010000
#define CR4_PCIDE      0x00020000
#define CR4_OSXSAVE    0x00040000
#define CR4_SMEP       0x00100000
#define CR4_SMAP       0x00200000

#define RFLAGS_CF         0x00000001
#define RFLAGS_ALWAYS     0x00000002 /* reads as 1 */
#define RFLAGS_TF         0x00000100
#define RFLAGS_IF         0x00000200
#define RFLAGS_DF         0x00000400
#define RFLAGS_IOPL       0x00003000
#define RFLAGS_IOPL_SHIFT 12
#define RFLAGS_NT         0x00004000
#define RFLAGS_RF         0x00010000
#define RFLAGS_VM         0x00020000
#define RFLAGS_AC         0x00040000

#define DR6_DEFAULT 0xffff0ff0
#define DR6_BS      0x00004000
#define DR7_DEFAULT 0x00000400

#define XCR0_X87    0x001
#define XCR0_SSE    0x002
#define XCR0_YMM    0x004
#define XCR0_AVX512 0x0e0

#define VEC_DE  0
#define VEC_DB  1
#define VEC_NMI 2
#define VEC_BP  3
#define VEC_OF  4
#define VEC_BR  5
#define VEC_UD  6
#define VEC_NM  7
#define VEC_DF  8
#define VEC_TS  10
#define VEC_NP  11
#define VEC_SS  12
#define VEC_GP  13
#define VEC_PF  14
#define VEC_MF  16
#define VEC_AC  17
#define VEC_MC  18
#define VEC_XM  19
#define VEC_CP  21

#define PFEC_PRESENT  0x01
#define PFEC_WRITE    0x02
#define PFEC_USER     0x04
#define PFEC_RESERVED 0x08
