/* SPDX-License-Identifier: MIT */
/* Model-specific registers: numbers and bits (SDM vol. 4; APM vol. 2, appendix A). */
#pragma once

#define MSR_TSC                   0x00000010
#define MSR_PLATFORM_ID           0x00000017
#define MSR_APIC_BASE             0x0000001b
#define APIC_BASE_BSP             0x00000100
#define APIC_BASE_X2APIC          0x00000400
#define APIC_BASE_ENABLE          0x00000800
#define APIC_BASE_ADDRESS         0x000ffffffffff000ull
#define MSR_TSC_ADJUST            0x0000003b
#define MSR_PRED_CMD              0x00000049
#define PRED_CMD_IBPB             0x00000001
#define MSR_UCODE_REV             0x0000008b
#define MSR_PLATFORM_INFO         0x000000ce
#define MSR_MTRR_CAP              0x000000fe
#define MSR_ARCH_CAPABILITIES     0x0000010a
#define ARCH_CAPABILITIES_RDCL_NO 0x00000001
#define MSR_SPEC_CTRL             0x00000048
#define MSR_MISC_FEATURES         0x00000140
#define MSR_TSC_AUX               0xc0000103
#define MSR_SYSENTER_CS           0x00000174
#define MSR_SYSENTER_ESP          0x00000175
#define MSR_SYSENTER_EIP          0x00000176
#define MSR_MCG_CAP               0x00000179
#define MCG_CAP_BANKS             0x000000ff
#define MCG_CAP_CTL               0x00000100
#define MSR_MCG_STATUS            0x0000017a
#define MCG_STATUS_RIPV           0x00000001
#define MSR_MCG_CTL               0x0000017b
#define MSR_MISC_ENABLE           0x000001a0
#define MSR_PAT                   0x00000277
#define MSR_MC0_CTL               0x00000400 /* four for each bank: control, status, address, misc */
#define MSR_MC0_STATUS            0x00000401
#define MC_STATUS_VALID           (1ull << 63)
#define MC_STATUS_UNCORRECTED     (1ull << 61)
#define MC_STATUS_MISC_VALID      (1ull << 59)
#define MC_STATUS_ADDR_VALID      (1ull << 58)
#define MC_STATUS_CORRUPT         (1ull << 57)
#define MSR_TSC_DEADLINE          0x000006e0
#define MSR_X2APIC_FIRST          0x00000800 /* register at MMIO offset n: 0x800 + n / 16 */
#define MSR_EFER                  0xc0000080
#define EFER_SCE                  0x00000001
#define EFER_LME                  0x00000100
#define EFER_LMA                  0x00000400
#define EFER_NXE                  0x00000800
#define EFER_FFXSR                0x00004000
#define MSR_STAR                  0xc0000081
#define MSR_LSTAR                 0xc0000082
#define MSR_CSTAR                 0xc0000083
#define MSR_SYSCALL_MASK          0xc0000084
#define MSR_FS_BASE               0xc0000100
#define MSR_GS_BASE               0xc0000101
#define MSR_KERNEL_GS_BASE        0xc0000102
#define MSR_AMD_SYSCFG            0xc0010010
#define MSR_AMD_HWCR              0xc0010015
#define MSR_AMD_DE_CFG            0xc0011029

/* WB WT UC- UC WC WP UC UC: what the guest ABI promises for page attributes. */
#define PAT_VALUE 0x0000050100070406ull
