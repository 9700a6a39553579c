/* SPDX-License-Identifier: MIT */
/*
 * What the files of irq/ share: the line, the allocation of vectors, and how
 * each kind of source is masked and aimed.
 *
 * Locks, in the order in which they are taken: msi's list (LOCK_RANK_PCI), a
 * line's (LOCK_RANK_IRQ), the source's registers (LOCK_RANK_IOAPIC), vectors
 * (LOCK_RANK_LEAF).
 */
#pragma once

#include "drivers/pci.h"
#include "irq/irq.h"
#include "lib/list.h"
#include "sys/cpu.h"
#include "sys/lock.h"
#include "time/timer.h"

#define IRQ_NO_CPU 0xffffu

enum irq_kind {
    IRQ_GSI,
    IRQ_MSI,
    IRQ_MSIX,
    NR_IRQ_KINDS,
};

/*
 * Whose a line is.
 *
 *            irq_request_gsi
 *   IRQ_FREE ----------------> IRQ_OURS
 *    ^    |
 *    |    +-- irq_guest_map_* --> IRQ_GUEST
 *    +------- irq_guest_unmap ------+
 */
enum irq_user {
    IRQ_FREE,
    IRQ_OURS,
    IRQ_GUEST,
};

struct irq_msi {
    struct pci_address device;
    uint16_t entry;           /* MSI-X: in the table; MSI: how many after the first */
    uint8_t order;            /* MSI: the device was given 2^order vectors */
    uint8_t at;               /* offset of the capability */
    uint8_t mask_at;          /* MSI: offset of the mask register; 0: there is none */
    volatile uint32_t *table; /* MSI-X: this entry's words */
};

/*
 * Lines are never given back to the heap: a CPU that has found one by a vector
 * may lock it at any later time, and sees then whose it is.
 *
 * Who may touch a member:
 *   [c]  constant while the line is in use
 *   [l]  holder of lock
 *   [m]  holder of msi's lock
 */
struct irq_line {
    struct spinlock lock;
    uint8_t kind;       /* [c] enum irq_kind */
    uint8_t user;       /* [l] enum irq_user */
    bool is_level;      /* [l] */
    bool is_active_low; /* [l] */
    bool is_set_up;     /* [l] a guest has said what it is; the two above stay */
    bool is_bound;      /* [l] the guest wants interrupts */
    bool in_service;    /* [l] level: delivered, and the guest has not yet said that it is done */
    bool is_stormy;     /* [l] masked for a while, as it came too often */
    bool is_masked;     /* [l] at the source */
    uint8_t vector;     /* [l] the same on every CPU it goes to; 0: none */
    uint16_t cpu;       /* [l] where it goes */
    uint16_t
        old_cpu; /* [l] where one may still come, having been sent before a move; or IRQ_NO_CPU */
    uint16_t wanted_cpu;     /* [l] where it shall go once .old_cpu is settled */
    uint16_t domid;          /* [l] of a guest's */
    uint32_t pirq;           /* [l] of a guest's */
    uint32_t gsi;            /* [c] of kind IRQ_GSI */
    void (*fn)(void *);      /* [c] of ours */
    void *arg;               /* [c] of ours */
    struct irq_msi msi;      /* [c] of the other kinds */
    struct list_node link;   /* [m] in the list of MSIs in use, or of free lines */
    uint32_t burst;          /* [l] interrupts since burst_start_ns */
    uint64_t burst_start_ns; /* [l] */
    uint64_t nr_storms;      /* [l] */
    uint64_t count;          /* [l] interrupts in all */
    struct timer calm;       /* [c] lets a stormy line through again */
};

/* How to reach a kind of source; all with the line's lock held. */
struct irq_source {
    const char *name;
    void (*set_mask)(struct irq_line *line, bool is_masked);
    /* Send it to line->cpu from now on, with the same vector; false: cannot be done. */
    bool (*aim)(struct irq_line *line);
};
extern const struct irq_source irq_gsi_source, irq_msi_source, irq_msix_source;

/* vector.c: each CPU's table from vectors to lines.  All take a leaf lock. */

/*
 * Take @nr (a power of two) vectors in a row, aligned to @nr, on @cpu for
 * @lines.  Returns the first, or -ENOSPC.
 */
int must_check vector_alloc(unsigned int cpu, unsigned int nr, struct irq_line *const *lines);
/* Take just @vector on @cpu for @line; false: another line has it. */
bool must_check vector_take(unsigned int cpu, unsigned int vector, struct irq_line *line);
void vector_free(unsigned int cpu, unsigned int vector);
/* Whose @vector is on this CPU; NULL: nobody's.  Without a lock. */
struct irq_line *vector_line(unsigned int vector);

/* ioapic.c */

/* Take up the IOAPICs; returns how many there are. */
unsigned int ioapic_init(void);
/* Is there a pin for @gsi? */
bool ioapic_has_gsi(unsigned int gsi);
/* How GSI @gsi is wired as far as the firmware's tables tell. */
void ioapic_default_mode(unsigned int gsi, bool *is_level, bool *is_active_low);
/* Write the whole entry of @line's pin as @line is now. */
void ioapic_program(const struct irq_line *line);

/* line.c */

/* A line as if never used before; NULL: no memory. */
struct irq_line *must_check line_alloc(enum irq_kind kind);
void line_free(struct irq_line *line);
/* Give @line vectors, or take them from it. */
int must_check line_take_vector(struct irq_line *line, unsigned int cpu) REQUIRES(line->lock);
void line_drop_vectors(struct irq_line *line) REQUIRES(line->lock);
/* Mask or unmask at the source, whichever the line's state asks for. */
void line_update_mask(struct irq_line *line) REQUIRES(line->lock);
/* The APIC id of the CPU it goes to. */
uint8_t line_dest(const struct irq_line *line);

/* gsi.c, msi.c: log the lines in use. */
void gsi_dump(void);
void msi_dump(void);

/* msi.c: the end of irq_guest_unmap() for a line of these kinds, its lock not held. */
void msi_release(struct irq_line *line);
