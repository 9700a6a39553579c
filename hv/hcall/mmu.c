/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls about page tables and descriptors: mmu_update, mmuext_op,
 * update_va_mapping, set_gdt, update_descriptor.
 *
 * Lists restart at the entry that was not finished: the list's address and
 * count move on, and bit 31 of the count (MMU_UPDATE_PREEMPTED) says that the
 * guest's counter of finished entries goes on from what it holds.  Tables that
 * lost their last use are drained before a list ends, so an empty rest may
 * restart as well.
 */
#include "hcall/hcall.h"

#include "lib/string.h"
#include "mm/frame_use.h"
#include "mm/phys.h"
#include "pv/descriptors.h"
#include "pv/mmu.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/insn.h"
#include "x86/smp.h"

#define MMU_UPDATE_PREEMPTED (1u << 31)
#define VCPU_MASK_WORDS      (DOMAIN_MAX_VCPUS / 64)

/* ------------------------------------------------- whose tables, whose frames -- */

struct mmu_parties {
    struct domain *pt; /* counted unless it is the caller's */
    domid_t owner;
};

static void parties_end(struct mmu_parties *p)
{
    if (unlikely(p->pt != NULL && p->pt != current()->domain)) {
        domain_put(p->pt);
    }
}

static bool owner_exists(domid_t id)
{
    struct domain *d;

    if (id == DOMID_IO || id == DOMID_XEN) {
        return true;
    }
    d = domain_get(id);
    if (d != NULL) {
        domain_put(d);
    }
    return d != NULL;
}

/* Decode foreigndom: low half the owner of frames, high half the owner of tables plus one. */
static noinline long find_foreign(struct mmu_parties *p, struct domain *self, uint32_t foreigndom)
{
    domid_t owner = (domid_t)foreigndom;
    uint32_t pt = foreigndom >> 16;

    if (owner != DOMID_SELF) {
        p->owner = owner;
    }
    if (pt != 0 && pt - 1 != self->id && pt - 1 != DOMID_SELF) {
        p->pt = domain_get((domid_t)(pt - 1));
    }
    if (p->pt == NULL) {
        return -ESRCH;
    }
    if ((p->owner != self->id || p->pt != self) && !self->is_privileged) {
        parties_end(p);
        return -EPERM;
    }
    if (!owner_exists(p->owner)) {
        parties_end(p);
        return -ESRCH;
    }
    return 0;
}

static always_inline long find_parties(struct mmu_parties *p, uint32_t foreigndom)
{
    struct domain *self = current()->domain;

    p->pt = self;
    p->owner = self->id;
    return likely(foreigndom == DOMID_SELF) ? 0 : find_foreign(p, self, foreigndom);
}

/* ----------------------------------------------------- progress of lists -- */

struct list_call { /* the arguments as they will be on a restart */
    uint64_t list;
    uint32_t left;
    uint64_t done_at; /* guest's counter, 0: none */
    uint32_t foreigndom;
    uint32_t done;
};

/* 0, or what to return at once.  No entries but the mark of a restart ask for nothing. */
static always_inline long list_begin(struct list_call *c, uint64_t list, uint64_t count,
                                     uint64_t done_at, uint64_t foreigndom, size_t size)
{
    *c = (struct list_call){ .list = list,
                             .left = (uint32_t)count & ~MMU_UPDATE_PREEMPTED,
                             .done_at = done_at,
                             .foreigndom = (uint32_t)foreigndom };
    if ((uint32_t)count == MMU_UPDATE_PREEMPTED && list == 0) {
        return (int32_t)foreigndom;
    }
    if (!guest_range_ok(GUEST_PTR(list), c->left * size)) {
        return -EFAULT;
    }
    if (((uint32_t)count & MMU_UPDATE_PREEMPTED) && done_at != 0 &&
        copy_from_guest(&c->done, GUEST_PTR(done_at), sizeof(c->done)) != 0) {
        return -EFAULT;
    }
    return 0;
}

/* Tell how far it went, if it can be told; a list that is not finished is called again. */
static noinline long list_tell(struct list_call *c, long rc)
{
    if (c->done_at != 0 && copy_to_guest(GUEST_PTR(c->done_at), &c->done, sizeof(c->done)) != 0) {
        log_guest(current()->domain->id, "the counter of a list at %#lx cannot be written",
                  c->done_at);
    }
    if (rc == -ERESTART) {
        const uint64_t args[] = { c->list, c->left | MMU_UPDATE_PREEMPTED, c->done_at,
                                  c->foreigndom };

        return hcall_restart(args, ARRAY_SIZE(args));
    }
    return rc;
}

static always_inline long list_end(struct list_call *c, long rc)
{
    return likely(c->done_at == 0 && rc != -ERESTART) ? rc : list_tell(c, rc);
}

static void list_advance(struct list_call *c, uint32_t n, size_t size)
{
    c->list += n * size;
    c->left -= n;
    c->done += n;
}

/* ---------------------------------------------------------- mmu_update -- */

long hcall_mmu_update(uint64_t list, uint64_t count, uint64_t done_at, uint64_t foreigndom,
                      uint64_t e, uint64_t f)
{
    struct mmu_update batch[MMU_BATCH_MAX];
    struct mmu_parties p;
    struct list_call c;
    long rc = list_begin(&c, list, count, done_at, foreigndom, sizeof(batch[0]));

    UNUSED(e, f);
    if (rc == 0) {
        rc = find_parties(&p, c.foreigndom);
    }
    if (rc != 0) {
        return rc;
    }
    while (rc == 0 && c.left > 0) {
        const struct mmu_rights rights = { .pt = p.pt, .owner = p.owner };
        uint32_t n = min(c.left, MMU_BATCH_MAX), done = 0;

        if (copy_from_guest(batch, GUEST_PTR(c.list), n * sizeof(batch[0])) != 0) {
            rc = -EFAULT;
            break;
        }
        rc = mmu_update_batch(&rights, batch, n, &done);
        list_advance(&c, done, sizeof(batch[0]));
        if (rc == 0 && c.left > 0 && preempt_pending()) {
            rc = -ERESTART;
        }
    }
    if (rc == 0) {
        rc = mmu_drain(p.pt);
    }
    parties_end(&p);
    return list_end(&c, rc);
}

/* ------------------------------------------------------------ TLB flushes -- */

/* The guest's set of vCPUs at @va. */
static long copy_vcpu_mask(const struct domain *d, uint64_t va, uint64_t *mask)
{
    uint32_t bytes = (d->max_vcpus + 7) / 8;

    for (unsigned int i = 0; i < VCPU_MASK_WORDS; i++) {
        mask[i] = 0;
    }
    return copy_from_guest(mask, GUEST_PTR(va), bytes);
}

/* Flush all guest mappings, or the page at @va, on the CPUs that run the vCPUs in @mask (NULL: all
 * of them). */
static void flush_remote(const struct domain *d, const uint64_t *mask, bool is_page, uint64_t va)
{
    struct cpumask targets;

    mmu_tlb_cpus(d, mask, d->max_vcpus, &targets);
    if (is_page) {
        tlb_flush_page_mask(&targets, va);
    } else {
        tlb_flush_mask(&targets);
    }
}

static long flush_vcpus(const struct domain *d, uint64_t mask_va, bool is_page, uint64_t va)
{
    uint64_t mask[VCPU_MASK_WORDS];

    if (copy_vcpu_mask(d, mask_va, mask) != 0) {
        return -EFAULT;
    }
    flush_remote(d, mask, is_page, va);
    return 0;
}

static void flush_page_local(uint64_t va)
{
    if (va < HYPERVISOR_VIRT_START || va >= HYPERVISOR_VIRT_END) {
        invlpg(va);
    }
}

/* ---------------------------------------------------- update_va_mapping -- */

static long flush_after(const struct domain *d, uint64_t va, uint64_t flags)
{
    uint64_t target = flags & ~(uint64_t)UVMF_FLUSHTYPE_MASK;
    bool is_page = (flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG;

    if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_NONE) {
        return 0;
    }
    if (target == UVMF_ALL) {
        flush_remote(d, NULL, is_page, va);
    } else if (target != UVMF_LOCAL) {
        return flush_vcpus(d, target, is_page, va);
    } else if (is_page) {
        flush_page_local(va);
    } else {
        tlb_flush_local();
    }
    return 0;
}

static long update_va(uint64_t va, uint64_t val, uint64_t flags, domid_t owner)
{
    struct vcpu *v = current();
    long rc = mmu_update_va(v, va, val, owner);

    if (rc == -ERESTART) {
        return hcall_restart(NULL, 0);
    }
    return rc != 0 ? rc : flush_after(v->domain, va, flags);
}

long hcall_update_va_mapping(uint64_t va, uint64_t val, uint64_t flags, uint64_t d, uint64_t e,
                             uint64_t f)
{
    UNUSED(d, e, f);
    return update_va(va, val, flags, current()->domain->id);
}

long hcall_update_va_mapping_otherdomain(uint64_t va, uint64_t val, uint64_t flags, uint64_t domid,
                                         uint64_t e, uint64_t f)
{
    domid_t owner = (domid_t)domid == DOMID_SELF ? current()->domain->id : (domid_t)domid;

    UNUSED(e, f);
    if (owner != current()->domain->id && !current()->domain->is_privileged) {
        return -EPERM;
    }
    return owner_exists(owner) ? update_va(va, val, flags, owner) : -ESRCH;
}

/* ------------------------------------------------------------ mmuext_op -- */

static long ext_cache(const struct domain *d)
{
    if (!d->is_hardware) {
        log_guest(d->id, "has no devices and so no reason to flush caches");
        return -EACCES;
    }
    wbinvd();
    return 0;
}

static long ext_tables(struct mmu_parties *p, const struct mmuext_op *op)
{
    mfn_t mfn = MFN(op->arg1.mfn);

    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
        return mmu_pin(p->pt, mfn, op->cmd - MMUEXT_PIN_L1_TABLE + 1);
    case MMUEXT_UNPIN_TABLE:
        return mmu_unpin(p->pt, mfn);
    case MMUEXT_NEW_BASEPTR:
        return mmu_set_kernel_table(current(), mfn);
    default:
        return mmu_set_user_table(current(), mfn);
    }
}

static long ext_flush(const struct domain *d, const struct mmuext_op *op)
{
    switch (op->cmd) {
    case MMUEXT_TLB_FLUSH_LOCAL:
        tlb_flush_local();
        return 0;
    case MMUEXT_INVLPG_LOCAL:
        flush_page_local(op->arg1.linear_addr);
        return 0;
    case MMUEXT_TLB_FLUSH_MULTI:
        return flush_vcpus(d, (uintptr_t)op->arg2.vcpumask.p, false, 0) ? -EINVAL : 0;
    case MMUEXT_INVLPG_MULTI:
        return flush_vcpus(d, (uintptr_t)op->arg2.vcpumask.p, true, op->arg1.linear_addr) ? -EINVAL
                                                                                          : 0;
    case MMUEXT_TLB_FLUSH_ALL:
        flush_remote(d, NULL, false, 0);
        return 0;
    default: /* MMUEXT_INVLPG_ALL */
        flush_remote(d, NULL, true, op->arg1.linear_addr);
        return 0;
    }
}

/* A frame of plain memory of @d's, zeroed or copied: what a guest may do itself where it has it
 * mapped. */
static long ext_page(struct domain *d, const struct mmuext_op *op)
{
    mfn_t to = MFN(op->arg1.mfn), from = MFN(op->arg2.src_mfn);
    bool is_copy = op->cmd == MMUEXT_COPY_PAGE;
    long rc = mmu_drain(d);

    if (rc != 0) {
        return rc;
    }
    if (is_copy && (!frame_valid(from) || !frame_get(frame_named(from), d->id))) {
        log_guest(d->id, "frame %#lx is not its own to copy", from.n);
        return -EINVAL;
    }
    if (!frame_valid(to) || !frame_get_writable(frame_named(to), d->id, &d->dirty_cpus, 0)) {
        log_guest(d->id, "frame %#lx is not its own to write", to.n);
        rc = -EINVAL;
    } else {
        if (is_copy) {
            memcpy(mfn_to_virt(to), mfn_to_virt(from), PAGE_SIZE);
        } else {
            memset(mfn_to_virt(to), 0, PAGE_SIZE);
        }
        frame_put_writable(frame_of(to));
    }
    if (is_copy) {
        frame_put(frame_of(from));
    }
    return rc;
}

/* What concerns the calling processor, and not a domain's frames. */
static bool is_of_caller(uint32_t cmd)
{
    return cmd == MMUEXT_NEW_BASEPTR || cmd == MMUEXT_NEW_USER_BASEPTR || cmd == MMUEXT_SET_LDT ||
           (cmd >= MMUEXT_TLB_FLUSH_LOCAL && cmd <= MMUEXT_FLUSH_CACHE) ||
           cmd == MMUEXT_FLUSH_CACHE_GLOBAL;
}

static long ext_one(struct mmu_parties *p, const struct mmuext_op *op)
{
    struct vcpu *v = current();

    if (p->pt != v->domain && is_of_caller(op->cmd)) {
        return -EPERM;
    }
    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE ... MMUEXT_NEW_BASEPTR:
    case MMUEXT_NEW_USER_BASEPTR:
        /* DOMID_XEN and DOMID_IO have no tables. */
        return p->pt == NULL ? -EINVAL : ext_tables(p, op);
    case MMUEXT_CLEAR_PAGE:
    case MMUEXT_COPY_PAGE:
        return p->pt == NULL ? -EINVAL : ext_page(p->pt, op);
    case MMUEXT_TLB_FLUSH_LOCAL ... MMUEXT_INVLPG_ALL:
        return ext_flush(v->domain, op);
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        return ext_cache(v->domain);
    case MMUEXT_SET_LDT:
        return pv_set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return -EOPNOTSUPP;
    default:
        return -ENOSYS;
    }
}

/* Who may: tables of another domain are pinned by the toolstack that builds it; the rest is the
 * caller's own. */
long hcall_mmuext_op(uint64_t list, uint64_t count, uint64_t done_at, uint64_t foreigndom,
                     uint64_t e, uint64_t f)
{
    struct mmu_parties p;
    struct list_call c;
    long rc = list_begin(&c, list, count, done_at, foreigndom, sizeof(struct mmuext_op));

    UNUSED(e, f);
    if (rc == 0) {
        rc = find_parties(&p, c.foreigndom);
    }
    if (rc != 0) {
        return rc;
    }
    if (p.owner != current()->domain->id) {
        parties_end(&p);
        p.pt = domain_get(p.owner);
    }
    while (rc == 0 && c.left > 0) {
        struct mmuext_op op;

        if (copy_from_guest(&op, GUEST_PTR(c.list), sizeof(op)) != 0) {
            rc = -EFAULT;
            break;
        }
        rc = ext_one(&p, &op);
        if (rc == 0) {
            list_advance(&c, 1, sizeof(op));
            if (c.left > 0 && (this_cpu()->softirqs != 0 || c.left % HCALL_BATCH == 0) &&
                preempt_pending()) {
                rc = -ERESTART;
            }
        }
    }
    if (rc == 0 && p.pt != NULL) {
        rc = mmu_drain(p.pt);
    }
    parties_end(&p);
    return list_end(&c, rc);
}

/* ----------------------------------------------------------- descriptors -- */

long hcall_set_gdt(uint64_t list, uint64_t entries, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    uint64_t frames[PV_GDT_FRAMES];
    uint32_t nr = ((uint32_t)entries + 511) / 512;
    long rc;

    UNUSED(c, d, e, f);
    if ((uint32_t)entries > PV_GDT_FRAMES * 512) {
        return -EINVAL;
    }
    if (copy_from_guest(frames, GUEST_PTR(list), nr * sizeof(frames[0])) != 0) {
        return -EFAULT;
    }
    rc = pv_set_gdt(current(), frames, (uint32_t)entries);
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}

long hcall_update_descriptor(uint64_t at, uint64_t descriptor, uint64_t c, uint64_t d, uint64_t e,
                             uint64_t f)
{
    long rc = pv_update_descriptor(current()->domain, at, descriptor);

    UNUSED(c, d, e, f);
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}
