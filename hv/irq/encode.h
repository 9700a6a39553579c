/* SPDX-License-Identifier: MIT */
/*
 * How interrupts are written for the hardware: IOAPIC redirection entries
 * (82093AA, 3.2.4) and MSI messages (SDM vol. 3, 11.11).  Pure functions.
 * Interrupts go to one processor by its APIC id, in fixed delivery mode.
 */
#pragma once

#include "lib/compiler.h"

/* The largest APIC id that 8-bit destinations reach; 255 is everyone. */
#define IRQ_DEST_MAX 254u

#define RTE_DELIVERY_PENDING (1ull << 12)
#define RTE_ACTIVE_LOW       (1ull << 13)
#define RTE_REMOTE_IRR       (1ull << 14)
#define RTE_LEVEL            (1ull << 15)
#define RTE_MASKED           (1ull << 16)
#define RTE_DEST_SHIFT       56

static inline uint64_t rte_encode(uint8_t vector, uint8_t dest, bool is_level, bool is_active_low,
                                  bool is_masked)
{
    return vector | (is_active_low ? RTE_ACTIVE_LOW : 0) | (is_level ? RTE_LEVEL : 0) |
           (is_masked ? RTE_MASKED : 0) | (uint64_t)dest << RTE_DEST_SHIFT;
}

#define MSI_ADDRESS_BASE 0xfee00000u
#define MSI_DEST_SHIFT   12

static inline uint32_t msi_encode_address(uint8_t dest)
{
    return MSI_ADDRESS_BASE | (uint32_t)dest << MSI_DEST_SHIFT;
}

/* Edge triggered, fixed delivery: the vector alone. */
static inline uint32_t msi_encode_data(uint8_t vector)
{
    return vector;
}

/* MSI capability, control register. */
#define MSI_CONTROL         2 /* offset in the capability */
#define MSI_CTL_ENABLE      0x0001u
#define MSI_CTL_COUNT_SHIFT 4 /* log2 of the vectors in use */
#define MSI_CTL_COUNT_MASK  0x0070u
#define MSI_ADDRESS_LOW     4
#define MSI_ADDRESS_HIGH    8 /* if the capability is of the 64-bit kind */

/* The control register's value for 2^@order vectors, from what it was. */
static inline uint16_t msi_encode_control(uint16_t was, unsigned int order, bool is_enabled)
{
    return (uint16_t)((was & ~(MSI_CTL_COUNT_MASK | MSI_CTL_ENABLE)) |
                      order << MSI_CTL_COUNT_SHIFT | (is_enabled ? MSI_CTL_ENABLE : 0));
}

/* MSI-X capability and table. */
#define MSIX_CONTROL      2
#define MSIX_CTL_ENABLE   0x8000u
#define MSIX_CTL_MASK_ALL 0x4000u
#define MSIX_ENTRY_LEN    16u
enum msix_word {
    MSIX_ADDRESS_LOW,
    MSIX_ADDRESS_HIGH,
    MSIX_DATA,
    MSIX_VECTOR_CONTROL,
};
#define MSIX_ENTRY_MASKED 1u
