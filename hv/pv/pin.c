/* SPDX-License-Identifier: MIT */
/*
 * What holds tables as wholes: pins, and the page tables that vCPUs run on;
 * the end of such uses, which leaves tables to be drained; and the end of all
 * of them when a domain dies.
 */
#include "domain/memory.h"
#include "pv/descriptors.h"
#include "pv/mmu.h"
#include "pv/types.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/smp.h"

int mmu_drain_tables(struct domain *d)
{
    while (READ_ONCE(d->drain_head) != DRAIN_NONE) {
        struct pt_ctx c;

        pt_begin(&c, d, d->id);
        pt_drain_some(&c);
        pt_end(&c);
        if (READ_ONCE(d->drain_head) != DRAIN_NONE && preempt_pending()) {
            return -ERESTART;
        }
    }
    return 0;
}

static int pin(struct pt_ctx *c, mfn_t mfn, unsigned int level)
{
    struct frame *f;
    int rc;

    if (c->d->life != DOMAIN_ALIVE) {
        return pt_refuse(c, "a dying domain pins no tables", mfn.n);
    }
    rc = pt_get(c, mfn, level);
    if (rc != 0) {
        return rc;
    }
    f = frame_of(mfn);
    if (f->type & FRAME_PINNED) {
        pt_put(c->d, f);
        return pt_refuse(c, "the table is pinned already", mfn.n);
    }
    WRITE_ONCE(f->type, f->type | FRAME_PINNED);
    return 0;
}

int mmu_pin(struct domain *d, mfn_t mfn, unsigned int level)
{
    struct pt_ctx c;
    int rc;

    do {
        rc = mmu_drain(d);
        if (rc != 0) {
            return rc;
        }
        pt_begin(&c, d, d->id);
        rc = pin(&c, mfn, level);
        pt_end(&c);
    } while (rc == -ERESTART && !preempt_pending());
    return rc;
}

static int unpin(struct pt_ctx *c, mfn_t mfn)
{
    struct frame *f;

    if (!frame_valid(mfn)) {
        return pt_refuse(c, "a frame to be unpinned is not RAM", mfn.n);
    }
    f = frame_named(mfn);
    if (!pt_owns(c->d, f) || !pt_level(f->type) || !(f->type & FRAME_PINNED)) {
        return pt_refuse(c, "a frame to be unpinned is no pinned table of the domain", mfn.n);
    }
    WRITE_ONCE(f->type, f->type & ~FRAME_PINNED);
    pt_put(c->d, f);
    return 0;
}

int mmu_unpin(struct domain *d, mfn_t mfn)
{
    struct pt_ctx c;
    int rc;

    pt_begin(&c, d, d->id);
    rc = unpin(&c, mfn);
    pt_end(&c);
    return rc;
}

bool mmu_frame_use(struct domain *d, mfn_t mfn, struct mmu_frame_use *use)
{
    const struct frame *f = frame_named(mfn);
    uint64_t word;

    if (!frame_valid(mfn) || !pt_owns(d, f)) {
        return false;
    }
    word = READ_ONCE(f->type);
    use->level = word & FRAME_RESIDUE ? 0 : pt_level(word);
    use->is_pinned = use->level != 0 && (word & FRAME_PINNED);
    return true;
}

/* --- the tables of vCPUs --- */

/* Change @slot, one of @v's two, to @cr3; an L4 there holds a use. */
static int set_table(struct pt_ctx *c, struct vcpu *v, uint64_t *slot, uint64_t cr3)
{
    bool is_loaded = v == current() && slot == (v->in_kernel ? &v->pv.cr3_kernel : &v->pv.cr3_user);
    uint64_t old = *slot;
    int rc;

    if (cr3 && cr3 != old) {
        rc = pt_get(c, paddr_to_mfn(PADDR(cr3)), 4);
        if (unlikely(rc != 0)) {
            return rc;
        }
    }
    *slot = cr3;
    if (is_loaded && cr3) {
        cr3_load(cr3);
    }
    if (old && cr3 != old) {
        pt_put(c->d, frame_of(paddr_to_mfn(PADDR(old))));
    }
    return 0;
}

static int set_table_of(struct vcpu *v, uint64_t *slot, mfn_t mfn)
{
    uint64_t cr3 = mfn_to_paddr(mfn).a;
    struct pt_ctx c;
    int rc;

    if (mfn.n >= nr_frames_max) { /* also what is too large to be an address */
        log_guest(v->domain->id, "frame %#lx cannot be a page table", mfn.n);
        return -EINVAL;
    }
    do {
        rc = mmu_drain(v->domain);
        if (unlikely(rc != 0)) {
            return rc;
        }
        pt_begin(&c, v->domain, v->domain->id);
        rc = set_table(&c, v, slot, cr3);
        pt_end(&c);
    } while (rc == -ERESTART && !preempt_pending());
    return rc;
}

int mmu_set_kernel_table(struct vcpu *v, mfn_t mfn)
{
    /* Without one it could not run. */
    return mfn.n == 0 ? -EINVAL : set_table_of(v, &v->pv.cr3_kernel, mfn);
}

int mmu_set_user_table(struct vcpu *v, mfn_t mfn)
{
    return set_table_of(v, &v->pv.cr3_user, mfn);
}

static void drop_table(struct domain *d, uint64_t *slot)
{
    if (*slot) {
        pt_put(d, frame_of(paddr_to_mfn(PADDR(*slot))));
        *slot = 0;
    }
}

void mmu_drop_tables(struct vcpu *v)
{
    struct pt_ctx c;

    pt_begin(&c, v->domain, v->domain->id);
    drop_table(c.d, &v->pv.cr3_kernel);
    drop_table(c.d, &v->pv.cr3_user);
    pt_end(&c);
}

void mmu_tlb_cpus(const struct domain *d, const uint64_t *vcpus, uint32_t nr_bits,
                  struct cpumask *cpu_set)
{
    if (!vcpus) {
        *cpu_set = d->dirty_cpus;
        return;
    }
    cpumask_zero(cpu_set);
    for (uint32_t i = 0; i < min(nr_bits, d->max_vcpus); i++) {
        const struct vcpu *v = vcpus[i / 64] >> (i % 64) & 1 ? d->vcpus[i] : NULL;
        const struct cpu *cpu = v ? READ_ONCE(v->cpu) : NULL;

        if (cpu && cpumask_test(&d->dirty_cpus, cpu->id)) {
            cpumask_set(cpu_set, cpu->id);
        }
    }
}

/* --- the end of a domain --- */

/* Drop the pin of a table, and see that a residue is drained. */
static void destroy_frame(struct domain *d, struct frame *f)
{
    uint64_t word = READ_ONCE(f->type);

    if (pt_level(word) && (word & FRAME_PINNED)) {
        WRITE_ONCE(f->type, word & ~FRAME_PINNED);
        pt_put(d, f);
    } else if (pt_level(word) && (word & (FRAME_RESIDUE | FRAME_QUEUED)) == FRAME_RESIDUE) {
        pt_queue_residue(d, f);
    }
}

int mmu_destroy_step(struct domain *d)
{
    struct vcpu *v;
    uint32_t i;
    bool more;

    for_each_vcpu(d, v, i) {
        mmu_drop_tables(v);
        pv_drop_descriptors(v);
    }
    do {
        struct pt_ctx c;

        pt_begin(&c, d, d->id);
        more = memory_walk_step(d, MEMORY_WALK_TABLES, destroy_frame);
        pt_end(&c);
        if (more && preempt_pending()) {
            return -ERESTART;
        }
    } while (more);
    return mmu_drain(d);
}
