/* SPDX-License-Identifier: MIT */
/*
 * Message-signalled interrupts (PCI 3.0, 6.8).  The guest names the device and
 * the entry; address, data and masks are written by us alone.
 *
 * A device's MSI capability has one message, whose low data bits the device
 * replaces by the number of the interrupt: a group of lines shares it.  Each
 * MSI-X entry has a message of its own, in a table in the device's memory.
 *
 * What configuration space says is the device's word, and whoever owns the
 * device may write there.  So the table's place is checked each time against
 * everything that must not be written to: RAM and the APICs.
 */
#include "abi/errno.h"
#include "irq/encode.h"
#include "irq/internal.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "x86/insn.h"

#define APICS_FIRST        0xfec00000ull /* IOAPICs, HPET, local APICs: no device's memory */
#define APICS_LAST         0xfeefffffull
#define PCI_COMMAND_MEMORY 0x2u

/* A page of an MSI-X table that is mapped; kept for ever, as mappings are. */
struct table_page {
    struct table_page *next;
    uint64_t page; /* physical address */
    volatile uint8_t *va;
};

static struct spinlock msi_lock = SPINLOCK_INIT(LOCK_RANK_PCI);
static struct list_node msi_lines = LIST_INIT(msi_lines);           /* [msi_lock] */
static struct table_page *table_pages;                              /* [msi_lock] */
static struct spinlock regs_lock = SPINLOCK_INIT(LOCK_RANK_IOAPIC); /* registers that lines share */

static bool same_device(struct pci_address a, struct pci_address b)
{
    return a.segment == b.segment && a.bus == b.bus && a.devfn == b.devfn;
}

static uint16_t control_read(const struct irq_msi *m)
{
    return (uint16_t)pci_read(m->device, m->at + MSI_CONTROL, 2);
}

static void control_write(const struct irq_msi *m, uint16_t value)
{
    pci_write(m->device, m->at + MSI_CONTROL, 2, value);
}

/* --- MSI --- */

/* A device without mask bits is silenced as a whole, by taking the capability's enable bit. */
static void msi_set_mask(struct irq_line *line, bool is_masked)
{
    const struct irq_msi *m = &line->msi;
    uint32_t bits;

    line->is_masked = is_masked;
    spin_lock(&regs_lock);
    if (m->mask_at == 0) {
        control_write(m, msi_encode_control(control_read(m), m->order, !is_masked));
    } else {
        bits = pci_read(m->device, m->mask_at, 4) & ~(1u << m->entry);
        pci_write(m->device, m->mask_at, 4, bits | (is_masked ? 1u << m->entry : 0));
    }
    spin_unlock(&regs_lock);
}

/* The address is one word, and the data stay: never half-written.  A group cannot be split. */
static bool msi_aim(struct irq_line *line)
{
    if (line->msi.order != 0) {
        return false;
    }
    pci_write(line->msi.device, line->msi.at + MSI_ADDRESS_LOW, 4,
              msi_encode_address(line_dest(line)));
    return true;
}

const struct irq_source irq_msi_source = { .name = "MSI",
                                           .set_mask = msi_set_mask,
                                           .aim = msi_aim };

/* Write the message of the group whose first line is @line, all masked. */
static void msi_program(const struct irq_line *line, const struct pci_msi *cap)
{
    const struct irq_msi *m = &line->msi;

    spin_lock(&regs_lock);
    control_write(m, msi_encode_control(control_read(m), m->order, false));
    pci_write(m->device, m->at + MSI_ADDRESS_LOW, 4, msi_encode_address(line_dest(line)));
    if (cap->is_64bit) {
        pci_write(m->device, m->at + MSI_ADDRESS_HIGH, 4, 0);
    }
    pci_write(m->device, cap->data_at, 2, msi_encode_data(line->vector));
    if (cap->has_mask) {
        pci_write(m->device, cap->mask_at, 4, UINT32_MAX);
        control_write(m, msi_encode_control(control_read(m), m->order, true));
    }
    spin_unlock(&regs_lock);
}

/* --- MSI-X --- */

static void msix_set_mask(struct irq_line *line, bool is_masked)
{
    line->is_masked = is_masked;
    mmio_write32(&line->msi.table[MSIX_VECTOR_CONTROL], is_masked ? MSIX_ENTRY_MASKED : 0);
    (void)mmio_read32(
        &line->msi.table[MSIX_VECTOR_CONTROL]); /* the write has arrived when this is read */
}

/* An entry must not change while it is not masked; what comes meanwhile is kept by the device. */
static bool msix_aim(struct irq_line *line)
{
    bool was_masked = line->is_masked;

    msix_set_mask(line, true);
    mmio_write32(&line->msi.table[MSIX_ADDRESS_LOW], msi_encode_address(line_dest(line)));
    msix_set_mask(line, was_masked);
    return true;
}

const struct irq_source irq_msix_source = { .name = "MSI-X",
                                            .set_mask = msix_set_mask,
                                            .aim = msix_aim };

static void msix_program(struct irq_line *line)
{
    const struct irq_msi *m = &line->msi;

    spin_lock(&regs_lock);
    /* Some devices let the table be reached only once MSI-X is on. */
    control_write(m, (uint16_t)(control_read(m) | MSIX_CTL_ENABLE | MSIX_CTL_MASK_ALL));
    msix_set_mask(line, true);
    mmio_write32(&m->table[MSIX_ADDRESS_LOW], msi_encode_address(line_dest(line)));
    mmio_write32(&m->table[MSIX_ADDRESS_HIGH], 0);
    mmio_write32(&m->table[MSIX_DATA], msi_encode_data(line->vector));
    control_write(m, (uint16_t)(control_read(m) & ~MSIX_CTL_MASK_ALL));
    spin_unlock(&regs_lock);
}

/* The mapping of the page at @page, made if there is none; NULL: no room. */
static volatile uint8_t *map_table_page(uint64_t page) REQUIRES(msi_lock)
{
    struct table_page *t;

    for (t = table_pages; t; t = t->next) {
        if (t->page == page) {
            return t->va;
        }
    }
    t = heap_alloc(sizeof(*t));
    if (!t) {
        return NULL;
    }
    *t = (struct table_page){ .next = table_pages,
                              .page = page,
                              .va = map_mmio(PADDR(page), PAGE_SIZE) };
    if (!t->va) {
        heap_free(t, sizeof(*t));
        return NULL;
    }
    table_pages = t;
    return t->va;
}

/* Must nothing that a device's owner chooses be written at @page? */
static bool is_forbidden(uint64_t page)
{
    return frame_backed(paddr_to_mfn(PADDR(page))) || (page >= APICS_FIRST && page <= APICS_LAST);
}

/* Find the entry's words in memory.  Errors as of irq_guest_map_msi(). */
static int msix_find_entry(const struct msi_request *rq, const struct pci_msix *cap, uint16_t domid,
                           struct irq_msi *m) REQUIRES(msi_lock)
{
    paddr_t bar;
    uint64_t at;
    volatile uint8_t *va;

    if (rq->entry >= cap->nr_entries) {
        log_guest(domid, PCI_FMT ": MSI-X entry %u asked for, it has %u", PCI_ARGS(m->device),
                  rq->entry, cap->nr_entries);
        return -EINVAL;
    }
    if (!(pci_read(m->device, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) ||
        !pci_get_memory_bar(m->device, cap->table_bar, &bar)) {
        log_guest(domid, PCI_FMT ": its MSI-X table cannot be reached, as its memory is off",
                  PCI_ARGS(m->device));
        return -ENODEV;
    }
    at = bar.a + cap->table_offset + (uint64_t)rq->entry * MSIX_ENTRY_LEN;
    if (rq->table_base.a != bar.a || is_forbidden(align_down(at, PAGE_SIZE))) {
        log_guest(domid, PCI_FMT ": MSI-X table at %#lx (BAR %u at %#lx, %#lx was said): refused",
                  PCI_ARGS(m->device), at, cap->table_bar, bar.a, rq->table_base.a);
        return -EINVAL;
    }
    va = map_table_page(align_down(at, PAGE_SIZE));
    if (!va) {
        return -ENOMEM;
    }
    m->table = (volatile uint32_t *)(va + at % PAGE_SIZE);
    return 0;
}

/* --- mapping and unmapping --- */

/* Is what @m wants in use: the same entry, or the device in the other of the two ways? */
static bool is_in_use(const struct irq_msi *m, enum irq_kind kind) REQUIRES(msi_lock)
{
    struct irq_line *line;

    list_for_each(line, &msi_lines, link) {
        if (same_device(line->msi.device, m->device) &&
            (line->kind != kind || kind == IRQ_MSI || line->msi.entry == m->entry)) {
            return true;
        }
    }
    return false;
}

/* Take @nr lines of @kind out of the pool, or none. */
static int take_lines(enum irq_kind kind, unsigned int nr, struct irq_line **lines)
{
    for (unsigned int i = 0; i < nr; i++) {
        lines[i] = line_alloc(kind);
        if (!lines[i]) {
            while (i-- > 0) {
                line_free(lines[i]);
            }
            return -ENOMEM;
        }
    }
    return 0;
}

/* Fill in @line, which nobody else knows yet but by its vector. */
static void set_up(struct irq_line *line, const struct irq_msi *m, unsigned int i,
                   unsigned int vector, unsigned int cpu)
{
    spin_lock(&line->lock);
    line->msi = *m;
    line->msi.entry = (uint16_t)(m->entry + i);
    line->vector = (uint8_t)vector;
    line->cpu = line->wanted_cpu = (uint16_t)cpu;
    line->old_cpu = IRQ_NO_CPU;
    spin_unlock(&line->lock);
}

/* Get lines and vectors for the @nr interrupts (2^order are taken) that @m describes. */
static int take_all(enum irq_kind kind, const struct irq_msi *m, unsigned int nr,
                    struct irq_line **lines)
{
    unsigned int cpu = this_cpu()->apic_id <= IRQ_DEST_MAX ? cpu_id() : 0;
    int rc = take_lines(kind, nr, lines);
    int vector;

    if (rc) {
        return rc;
    }
    vector = vector_alloc(cpu, nr, lines);
    if (vector < 0) {
        for (unsigned int i = 0; i < nr; i++) {
            line_free(lines[i]);
        }
        return vector;
    }
    for (unsigned int i = 0; i < nr; i++) {
        set_up(lines[i], m, i, (unsigned int)vector + i, cpu);
    }
    return 0;
}

static void give_to_guest(struct irq_line *line, uint16_t domid, unsigned int pirq)
    REQUIRES(msi_lock)
{
    list_add_tail(&msi_lines, &line->link);
    spin_lock(&line->lock);
    line->domid = domid;
    line->pirq = pirq;
    line->user = IRQ_GUEST;
    spin_unlock(&line->lock);
}

/* Describe in @m what @rq asks for by MSI.  Errors as of irq_guest_map_msi(). */
static int want_msi(const struct msi_request *rq, struct irq_msi *m, struct pci_msi *cap)
{
    if (!pci_get_msi(m->device, cap)) {
        return -ENODEV;
    }
    if (rq->entry != 0 || rq->nr == 0 || rq->nr > IRQ_MSI_MAX || (rq->nr & (rq->nr - 1)) != 0) {
        return -EINVAL;
    }
    if (rq->nr > cap->max_vectors) {
        return -ENOSPC;
    }
    m->at = cap->at;
    m->mask_at = cap->has_mask ? cap->mask_at : 0;
    m->order = (uint8_t)__builtin_ctz(rq->nr);
    return 0;
}

static int want_msix(const struct msi_request *rq, struct irq_msi *m, uint16_t domid)
    REQUIRES(msi_lock)
{
    struct pci_msix cap;

    if (!pci_get_msix(m->device, &cap)) {
        return -ENODEV;
    }
    if (rq->nr != 1) {
        return -EINVAL;
    }
    m->at = cap.at;
    return msix_find_entry(rq, &cap, domid, m);
}

static int map_locked(const struct msi_request *rq, uint16_t domid, unsigned int pirq,
                      struct irq_line **lines) REQUIRES(msi_lock)
{
    enum irq_kind kind = rq->is_msix ? IRQ_MSIX : IRQ_MSI;
    struct irq_msi m = { .device = { rq->segment, rq->bus, rq->devfn }, .entry = rq->entry };
    struct pci_msi cap = { 0 };
    int rc;

    if (!pci_exists(m.device)) {
        return -ENODEV;
    }
    rc = rq->is_msix ? want_msix(rq, &m, domid) : want_msi(rq, &m, &cap);
    if (rc) {
        return rc;
    }
    if (is_in_use(&m, kind)) {
        return -EEXIST;
    }
    rc = take_all(kind, &m, rq->nr, lines);
    if (rc) {
        return rc;
    }
    if (rq->is_msix) {
        msix_program(lines[0]);
    } else {
        msi_program(lines[0], &cap);
    }
    for (unsigned int i = 0; i < rq->nr; i++) {
        give_to_guest(lines[i], domid, pirq + i);
    }
    return 0;
}

int irq_guest_map_msi(const struct msi_request *rq, uint16_t domid, unsigned int pirq,
                      struct irq_line **line)
{
    int rc;

    spin_lock(&msi_lock);
    rc = map_locked(rq, domid, pirq, line);
    spin_unlock(&msi_lock);
    return rc;
}

/* Switch the capability off. */
static void disable(const struct irq_line *line)
{
    const struct irq_msi *m = &line->msi;
    uint16_t bit = line->kind == IRQ_MSIX ? MSIX_CTL_ENABLE : MSI_CTL_ENABLE;

    spin_lock(&regs_lock);
    control_write(m, control_read(m) & (uint16_t)~bit);
    spin_unlock(&regs_lock);
}

void msi_release(struct irq_line *line)
{
    struct irq_line *other;
    bool is_last = true;

    spin_lock(&msi_lock);
    list_remove(&line->link);
    list_for_each(other, &msi_lines, link) {
        if (same_device(other->msi.device, line->msi.device)) {
            is_last = false;
        }
    }
    if (is_last) {
        disable(line);
    }
    spin_unlock(&msi_lock);
    line_free(line);
}

/* The list is locked; the lines are not: a picture, not a proof. */
void msi_dump(void)
{
    struct irq_line *line;

    spin_lock(&msi_lock);
    list_for_each(line, &msi_lines, link) {
        log_info(PCI_FMT ": %s entry %u, d%u pirq %u, vector %#x on CPU %u%s%s, %lu interrupts, "
                         "%lu storms",
                 PCI_ARGS(line->msi.device), line->kind == IRQ_MSIX ? "MSI-X" : "MSI",
                 line->msi.entry, line->domid, line->pirq, line->vector, line->cpu,
                 line->is_bound ? ", bound" : "", line->is_masked ? ", masked" : "", line->count,
                 line->nr_storms);
    }
    spin_unlock(&msi_lock);
}
