/* SPDX-License-Identifier: MIT */
/*
 * Which of a domain's frames were written since last asked: what live migration
 * sends again.
 *
 * The log is one bit of each frame, FRAME_WRITTEN, which mm/ sets whenever a
 * frame that nobody could write to becomes writable to anybody: by a mapping of
 * the guest, of another domain or by a grant, by a copy, by a registered area.
 * Asking is this, with the domain paused:
 *
 *   PROTECT   make every entry of its level-1 tables read-only that maps a frame
 *             of its own writable, end the uses that these were, flush
 *   COLLECT   report and clear the frames' bits.  A frame that is writable even
 *             now is so to somebody else, and stays reported.
 *
 * An entry made read-only carries PT_WAS_WRITABLE, one of the bits that belong
 * to software.  It holds what any read-only entry holds, so nothing of the
 * theory in types.c changes: the frame may become a page table and the entry
 * does not mind.  When the guest writes there, the fault comes to us, and if
 * the frame can be used as writable memory now the entry becomes writable
 * again, as if the guest had asked for it.  Nothing is won by forging the bit:
 * the guest could have asked.
 *
 * What of guests that read their page tables and find an entry read-only that
 * they know as writable?
 *
 *  - Kernel mappings.  Kernels read them to change other bits, keep those that
 *    they do not know, and write the value back: the bit stays, and so does the
 *    right to write.  A fault there would be a kernel's end, but none comes
 *    through.
 *  - User mappings.  Read-only where the process may write is something kernels
 *    know: copy on write.  A process that forks copies the entry, our bit
 *    included, and the page must not become writable again behind the kernel's
 *    back.  So faults at user addresses are the kernel's own.  It finds the page
 *    private and makes the entry writable, or copies it: right both times.
 *    (Linux before 5.19 copies private pages too, while a device reads into
 *    them for the process, which then misses what was read: their own bug with
 *    whatever takes the right to write away for a while.)
 *
 * Which is which?  Addresses in the upper half are the kernel's, and all of a
 * kernel that has no user page table.
 *
 * Tables are frames too.  Those that we change for the guest while the log is
 * kept are marked at the change.  The processor's own changes need no more: it
 * sets the dirty bit in writable entries only, and a table that has such was
 * marked when they became so.
 *
 * At the last question, and when the log ends, nothing of ours may stay in the
 * tables, for they may go on to a hypervisor that knows no such bit:
 *
 *   RESTORE   walk the kernel's address space, make what has the bit writable,
 *             and report the tables so changed
 *
 * In user mappings the bit may stay: it means nothing there.
 */
#include "pv/mmu.h"

#include "domain/memory.h"
#include "mm/m2p.h"
#include "pv/pv.h"
#include "pv/types.h"
#include "sys/softirq.h"
#include "x86/smp.h"

#define PT_WAS_WRITABLE (1ull << 55)
#define FRAMES_A_STEP   512u /* looked at in one hold of the lock */
#define TABLES_A_STEP   8u   /* changed in one hold of the lock */

enum phase {
    NO_PHASE,
    PROTECT,
    RESET, /* COLLECT, and nobody listens */
    COLLECT,
    PEEK, /* COLLECT that clears nothing */
    RESTORE,
};

#define PHASES_MAX 3u
static const uint8_t phases[][PHASES_MAX] = {
    [MMU_LOG_START] = { PROTECT, RESET },
    [MMU_LOG_CLEAN] = { PROTECT, COLLECT },
    [MMU_LOG_PEEK] = { PEEK },
    [MMU_LOG_FINAL] = { COLLECT, RESTORE },
    [MMU_LOG_STOP] = { RESTORE },
};

/* ------------------------------------------------------------ single frames -- */

/* Does the present entry @e map a frame that the log is kept of? */
static bool is_tracked(const struct domain *d, uint64_t e)
{
    return frame_valid(pte_mfn(e)) && pt_owns(d, frame_of(pte_mfn(e)));
}

static bool protect_entry(const struct domain *d, uint64_t *entry)
{
    uint64_t e = READ_ONCE(*entry);

    if ((e & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW) || !is_tracked(d, e)) {
        return false;
    }
    while (!pt_exchange(entry, &e, (e & ~PTE_RW) | PT_WAS_WRITABLE)) {
    }
    frame_drop_writable(frame_of(pte_mfn(e)));
    return true;
}

/* The entries that hold something, of tables half checked or half dropped too. */
static uint32_t protect_table(const struct domain *d, struct frame *f)
{
    uint64_t word = READ_ONCE(f->type), *table = pt_of(f);

    if (pt_level(word) != 1) {
        return 0;
    }
    for (uint64_t i = 0; i < frame_word_nr(word); i++) {
        protect_entry(d, &table[i]);
    }
    return 1;
}

/* Was @f written?  The bit is cleared first: who begins to write meanwhile sets it after that. */
static bool take_written(struct frame *f, bool is_cleared)
{
    bool was_written = READ_ONCE(f->ref) & FRAME_WRITTEN;

    if (was_written && is_cleared) {
        __atomic_and_fetch(&f->ref, ~FRAME_WRITTEN, __ATOMIC_SEQ_CST);
    }
    if (frame_type(f) == FT_WRITABLE || frame_type(f) == FT_SEGDESC) {
        frame_mark_written(f);
        was_written = true;
    }
    return was_written;
}

/* The same for an entry with PT_WAS_WRITABLE: let it be writable if its frame can. */
static bool restore_entry(struct pt_ctx *c, uint64_t *entry, uint64_t e, bool is_last_time)
{
    struct frame *f = frame_named(pte_mfn(e));
    uint64_t set = 0;

    if (!is_tracked(c->d, e)) {
        return false;
    }
    if (frame_use_writable(f, &c->d->dirty_cpus, e & PT_CACHE_BITS ? FRAME_UNCACHED : 0)) {
        set = PTE_RW;
    } else if (!is_last_time) {
        return false;
    }
    while (!pt_exchange(entry, &e, (e & ~PT_WAS_WRITABLE) | set)) {
    }
    frame_mark_written(frame_of(virt_to_mfn(entry)));
    return true;
}

static inline bool was_writable(uint64_t e)
{
    return (e & (PTE_P | PTE_RW | PT_WAS_WRITABLE)) == (PTE_P | PT_WAS_WRITABLE);
}

/* ------------------------------------------------------------------- faults -- */

/* Does @v's kernel alone use the address @va? */
static bool is_kernel_address(const struct vcpu *v, uint64_t va)
{
    return va >> 63 || v->pv.cr3_user == 0;
}

/* The level-1 entry for @va below @cr3, if those above it all allow to write; NULL: no. */
static uint64_t *find_entry(uint64_t cr3, uint64_t va)
{
    uint64_t *table = phys_to_virt(PADDR(cr3));

    for (unsigned int level = 4; level > 1; level--) {
        uint64_t e = READ_ONCE(table[pte_index(va, level)]);

        if ((e & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW)) {
            return NULL;
        }
        table = phys_to_virt(pte_paddr(e));
    }
    return &table[pte_index(va, 1)];
}

bool mmu_log_fault(struct vcpu *v, uint64_t cr3, uint64_t va)
{
    struct domain *d = v->domain;
    bool is_done = false;
    struct pt_ctx c;
    uint64_t *entry;

    if (!READ_ONCE(d->log.was_kept) || !pv_address_ok(va) || !is_kernel_address(v, va) ||
        cr3 == 0 || (cr3 != v->pv.cr3_kernel && cr3 != v->pv.cr3_user)) {
        return false;
    }
    pt_begin(&c, d, d->id);
    entry = find_entry(cr3, va);
    if (entry != NULL) {
        uint64_t e = READ_ONCE(*entry);

        if (was_writable(e)) {
            is_done = restore_entry(&c, entry, e, false);
            d->log.nr_faults++;
        } else {
            /* Another vCPU was faster, and this one's TLB did not know. */
            is_done = (e & (PTE_P | PTE_RW)) == (PTE_P | PTE_RW);
        }
    }
    pt_end(&c);
    return is_done;
}

/* -------------------------------------------------------------------- walks -- */

static void report(struct mmu_log_list *l, const struct frame *f)
{
    l->pfns[l->nr++] = m2p_get(frame_mfn(f));
}

/* One of the walks by frames; true: there is more. */
static bool walk_frames(struct domain *d, enum phase phase, struct mmu_log_list *l)
{
    uint32_t nr_tables = 0;

    for (uint32_t i = 0; i < FRAMES_A_STEP; i++) {
        struct frame *f;

        if (l->nr == MMU_LOG_LIST_MAX || nr_tables == TABLES_A_STEP) {
            return true;
        }
        if (!memory_next_region(d, &d->log.at)) {
            return false;
        }
        f = frame_of(MFN(d->log.at++));
        if (!frame_valid(frame_mfn(f)) || !pt_owns(d, f)) {
            continue;
        }
        if (phase == PROTECT) {
            nr_tables += protect_table(d, f);
        } else if (take_written(f, phase != PEEK) && phase != RESET) {
            report(l, f);
            d->log.nr_written++;
        }
    }
    return true;
}

/* Restoring goes by the entries of level 2, numbered through all of an address space. */
#define L2_PER_L3      512ul
#define L2_PER_L4_SLOT (512ul * L2_PER_L3)
#define L2_IN_ALL      (512ul * L2_PER_L4_SLOT)

static uint64_t kernel_begins(const struct vcpu *v)
{
    return v->pv.cr3_user == 0 ? 0 : (LAYOUT_SLOT_LAST + 1) * L2_PER_L4_SLOT;
}

/* Has an earlier vCPU the same below the level-4 entry @e in @slot? */
static bool was_walked(const struct domain *d, uint32_t vcpu, unsigned int slot, uint64_t e)
{
    for (uint32_t i = 0; i < vcpu; i++) {
        const struct vcpu *v = d->vcpus[i];
        const uint64_t *l4;

        if (v == NULL || v->pv.cr3_kernel == 0 || slot * L2_PER_L4_SLOT < kernel_begins(v)) {
            continue;
        }
        l4 = phys_to_virt(PADDR(v->pv.cr3_kernel));
        if (((READ_ONCE(l4[slot]) ^ e) & (PTE_P | PTE_ADDRESS)) == 0) {
            return true;
        }
    }
    return false;
}

/* The level-1 table at d->log.at, or NULL; at goes on behind what has been seen. */
static uint64_t *next_table(struct domain *d, const struct vcpu *v)
{
    uint64_t at = d->log.at;
    unsigned int slot = (unsigned int)(at / L2_PER_L4_SLOT);
    uint64_t e = READ_ONCE(((uint64_t *)phys_to_virt(PADDR(v->pv.cr3_kernel)))[slot]);

    if (!(e & PTE_P) || pt_is_hv_slot(4, slot) || was_walked(d, d->log.vcpu, slot, e)) {
        d->log.at = (slot + 1) * L2_PER_L4_SLOT;
        return NULL;
    }
    e = READ_ONCE(((uint64_t *)phys_to_virt(pte_paddr(e)))[at / L2_PER_L3 % PTE_PER_TABLE]);
    if (!(e & PTE_P)) {
        d->log.at = (at / L2_PER_L3 + 1) * L2_PER_L3;
        return NULL;
    }
    d->log.at++;
    e = READ_ONCE(((uint64_t *)phys_to_virt(pte_paddr(e)))[at % L2_PER_L3]);
    return e & PTE_P ? phys_to_virt(pte_paddr(e)) : NULL;
}

static bool restore_table(struct pt_ctx *c, uint64_t *table)
{
    bool any = false;

    for (unsigned int i = 0; i < PTE_PER_TABLE; i++) {
        uint64_t e = READ_ONCE(table[i]);

        if (was_writable(e)) {
            any |= restore_entry(c, &table[i], e, true);
        }
    }
    return any;
}

static bool walk_kernel(struct pt_ctx *c, struct mmu_log_list *l)
{
    struct domain *d = c->d;

    for (uint32_t i = 0; i < FRAMES_A_STEP; i++) {
        const struct vcpu *v = d->log.vcpu < d->max_vcpus ? d->vcpus[d->log.vcpu] : NULL;
        uint64_t *table;

        if (d->log.vcpu >= d->max_vcpus) {
            return false;
        }
        if (v == NULL || v->pv.cr3_kernel == 0 || d->log.at >= L2_IN_ALL) {
            d->log.vcpu++;
            d->log.at = 0;
            continue;
        }
        d->log.at = max(d->log.at, kernel_begins(v));
        table = next_table(d, v);
        if (table != NULL && restore_table(c, table)) {
            report(l, frame_of(virt_to_mfn(table)));
            if (l->nr >= TABLES_A_STEP) {
                return true;
            }
        }
    }
    return true;
}

/* --------------------------------------------------------------- operations -- */

int mmu_log_begin(struct domain *d, enum mmu_log_op op, bool *is_new)
{
    struct domain_log *log = &d->log;
    int rc = 0;

    spin_lock(&d->lock);
    *is_new = log->op == MMU_LOG_NONE;
    if (!*is_new) {
        rc = log->op == op ? 0 : -EBUSY;
    } else if (log->is_kept == (op == MMU_LOG_START) || d->life != DOMAIN_ALIVE) {
        rc = -EINVAL;
    } else {
        log->op = (uint8_t)op;
        log->phase = 0;
        log->at = log->vcpu = log->nr_written = 0;
    }
    spin_unlock(&d->lock);
    if (rc == 0 && *is_new) {
        domain_pause(d);
        if (op == MMU_LOG_START) {
            WRITE_ONCE(log->was_kept, true);
            WRITE_ONCE(log->is_kept, true);
        }
    }
    return rc;
}

void mmu_log_end(struct domain *d)
{
    struct domain_log *log = &d->log;

    if (log->op == MMU_LOG_STOP) {
        WRITE_ONCE(log->is_kept, false);
    }
    if (log->op == MMU_LOG_CLEAN || log->op == MMU_LOG_FINAL) {
        log->nr_faults = 0;
    }
    spin_lock(&d->lock);
    log->op = MMU_LOG_NONE;
    spin_unlock(&d->lock);
    domain_unpause(d);
}

bool mmu_log_step(struct domain *d, struct mmu_log_list *l)
{
    enum phase phase = phases[d->log.op][d->log.phase];
    struct pt_ctx c;
    bool is_more;

    l->nr = 0;
    l->nr_faults = d->log.nr_faults;
    pt_begin(&c, d, d->id);
    is_more = phase == RESTORE ? walk_kernel(&c, l) : walk_frames(d, phase, l);
    l->nr_written = d->log.nr_written;
    pt_end(&c);
    if (is_more) {
        return true;
    }
    if (phase == PROTECT) {
        tlb_flush_mask(&d->dirty_cpus);
    }
    d->log.at = 0;
    d->log.phase++;
    if (d->log.phase < PHASES_MAX && phases[d->log.op][d->log.phase] != NO_PHASE) {
        return true;
    }
    mmu_log_end(d);
    return false;
}
