/* SPDX-License-Identifier: MIT */
/*
 * Page tables of paravirtual domains: what a guest asks for, checked and done.
 * The theory is at the top of pv/types.c.
 *
 * All functions take LOCK_RANK_PT of the domain they work on, for a bounded
 * time, and may open a window for interrupts (preempt_pending()): the caller
 * holds no lock.  Answers that all of them may give:
 *
 *   -ERESTART  not done yet: call again with the same arguments, later; what
 *              is done so far is kept
 *   -EINVAL    the guest asks for what the rules forbid; a sentence is logged
 */
#pragma once

#include "domain/domain.h"
#include "x86/pte.h"

/* Whose frames the entries of a request may map. */
struct mmu_rights {
    struct domain *pt; /* whose page tables are changed; its lock is taken */
    domid_t
        owner; /* owner of the frames that level-1 entries map, DOMID_XEN and DOMID_IO included */
};

/*
 * Do @nr requests of mmu_update, at most MMU_BATCH_MAX; *@done counts those
 * that are finished, also when it fails.
 *   -EINVAL, -ERESTART as above
 *   -ENOSYS  unknown command in the low bits of ptr
 */
#define MMU_BATCH_MAX 32u
int must_check mmu_update_batch(const struct mmu_rights *rights, const struct mmu_update *requests,
                                uint32_t nr, uint32_t *done);

/*
 * Set the level-1 entry that maps @va in @v's kernel address space.  The caller
 * flushes.  -EINVAL also: no level-1 table there, or the address is ours.
 */
int must_check mmu_update_va(struct vcpu *v, uint64_t va, uint64_t val, domid_t owner);

/*
 * A compare-and-exchange of @bytes (1, 2, 4, 8) at @va that the guest tried on
 * a read-only page, which must be a level-1 table of its own: if *@old is there
 * write @val, else set *@old to what is there.  @va is a multiple of @bytes.
 *   0        see *@swapped
 *   -EFAULT  no page table at @va: the fault is the guest's own
 */
int must_check mmu_write_table(struct vcpu *v, uint64_t va, uint64_t *old, uint64_t val,
                               unsigned int bytes, bool *swapped);

/*
 * Pin @mfn as a table of @level (1 .. 4); take the pin away.
 * -EINVAL also: pinned already; not pinned.
 */
int must_check mmu_pin(struct domain *d, mfn_t mfn, unsigned int level);
int must_check mmu_unpin(struct domain *d, mfn_t mfn);

/*
 * Make @mfn, a level-4 table or one that can become it, @v's kernel (user)
 * page table; user 0: none.  @v is current, or does not run.  The current
 * vCPU's is loaded at once if its mode uses it.
 */
int must_check mmu_set_kernel_table(struct vcpu *v, mfn_t mfn);
int must_check mmu_set_user_table(struct vcpu *v, mfn_t mfn);
/* Take both away from @v, which does not run. */
void mmu_drop_tables(struct vcpu *v);

/* Finish what earlier operations left: 0 or -ERESTART. */
int must_check mmu_drain_tables(struct domain *d);
static inline int must_check mmu_drain(struct domain *d)
{
    return likely(READ_ONCE(d->drain_head) == DRAIN_NONE) ? 0 : mmu_drain_tables(d);
}

/*
 * Take down all page tables of @d, none of whose vCPUs runs: baseptrs, pins,
 * validated and half-validated tables, GDT and LDT uses.  0 or -ERESTART.
 */
int must_check mmu_destroy_step(struct domain *d);

/* The level-1 entry that maps a granted frame; @bits: PTE_RW, and those for the guest's use. */
static inline uint64_t mmu_grant_entry(mfn_t mfn, uint64_t bits)
{
    return mfn.n << PAGE_SHIFT | PTE_P | PTE_US | PTE_A | PTE_D | PTE_NX | bits;
}

/* A granted frame, and where it is to be mapped, or to be no more. */
struct mmu_grant {
    uint64_t at; /* an address of the kernel's; is_pte: the machine address of the level-1 entry */
    uint64_t entry;       /* mmu_grant_entry(); 0: nothing is to be done */
    uint64_t replacement; /* when it is unmapped: what is mapped there comes to @at; 0: nothing */
    domid_t owner;        /* when it is mapped: the frame's */
    bool is_pte;
    int rc; /* what came of it */
};

/*
 * Map @grants in @v's kernel's address space instead of whatever is there, one
 * after the other.  The caller has called mmu_drain(), and has a reference to
 * each frame, and a use as writable memory if it is to be writable.
 * False: not all are mapped.
 *   -EINVAL    there is no entry of a level-1 table
 *   -ERESTART  drain first; of all that follow, too
 *   others     the frame cannot be mapped so
 */
bool must_check mmu_grant_map(struct vcpu *v, struct mmu_grant *grants, uint32_t nr);

/*
 * Take away what is where @grants say if it maps the frame as the entry does.
 * The caller flushes the CPUs of mmu_tlb_cpus() before the lender may think the
 * frame its own.  False: not all are unmapped.
 *   -EINVAL  the frame is not mapped there; there is no entry; nothing can
 *            replace it
 */
bool must_check mmu_grant_unmap(struct vcpu *v, struct mmu_grant *grants, uint32_t nr);

/* CPUs that may have @d's mappings in their TLBs, of the vCPUs in @vcpus (bit n of word n / 64),
 * NULL: all. */
void mmu_tlb_cpus(const struct domain *d, const uint64_t *vcpus, uint32_t nr_bits,
                  struct cpumask *cpus);

/* The level-1 entry that maps @va below the L4 at @cr3, as it is now; 0: nothing maps it. */
uint64_t mmu_walk(uint64_t cr3, uint64_t va);

/* What @mfn is used for; false: it is no frame of @d that can be asked about. */
struct mmu_frame_use {
    unsigned int level; /* of page tables; 0: it is none */
    bool is_pinned;
};
bool must_check mmu_frame_use(struct domain *d, mfn_t mfn, struct mmu_frame_use *use);

/*
 * The log of frames written (log_dirty.c).  An operation is mmu_log_begin() and
 * then mmu_log_step() as long as that says there is more; the domain is paused
 * meanwhile.  To begin what is under way already is to go on with it.
 *   -EBUSY   another operation is under way
 *   -EINVAL  no log is kept, or START and one is
 */
enum mmu_log_op {
    MMU_LOG_NONE,
    MMU_LOG_START, /* keep a log; nothing is written yet */
    MMU_LOG_CLEAN, /* report frames written since the last time */
    MMU_LOG_PEEK,  /* the same, and report them again next time */
    MMU_LOG_FINAL, /* CLEAN; and the guest's tables are its own again, so that all is written then
                    */
    MMU_LOG_STOP,
};
int must_check mmu_log_begin(struct domain *d, enum mmu_log_op op, bool *is_new);

#define MMU_LOG_LIST_MAX 128u
struct mmu_log_list {
    uint64_t pfns[MMU_LOG_LIST_MAX]; /* the owner's numbers; may be any, or twice there */
    uint32_t nr;
    uint32_t nr_written, nr_faults; /* so far: frames reported, the guest's faults on the way */
};
/* True: there is more. */
bool must_check mmu_log_step(struct domain *d, struct mmu_log_list *l);
/* Give up before the last step: what was to be reported is lost. */
void mmu_log_end(struct domain *d);

/*
 * @v, which is current, or we for it, could not write to @va, which is mapped
 * read-only by the L4 at @cr3.  True: it may be tried again.
 */
bool mmu_log_fault(struct vcpu *v, uint64_t cr3, uint64_t va);

/* Once, at start, with the processor's features known. */
void mmu_init(void);
