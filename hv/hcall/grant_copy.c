/* SPDX-License-Identifier: MIT */
/*
 * grant_table_op: copying between the caller's frames and those lent to it.
 *
 * Lists often name the same page in elements that follow each other: each side
 * is kept in hand until another one is asked for.
 */
#include "hcall/grant.h"

#include "lib/string.h"
#include "mm/frame_use.h"
#include "mm/phys.h"
#include "pv/mmu.h"
#include "sys/log.h"

#define COPY_BATCH 16u

/* One side of a copy, in hand. */
struct side {
    bool is_held, is_ref, is_write;
    domid_t domid;
    uint64_t name; /* reference, or the caller's frame number */
    struct domain *granter;
    struct grant_range range;
    mfn_t mfn;
};

static void let_go(struct side *s)
{
    if (!s->is_held) {
        return;
    }
    s->is_held = false;
    if (s->is_ref) {
        grant_unpin(s->granter, (grant_ref_t)s->name, s->is_write);
        domain_put(s->granter);
    } else if (s->is_write) {
        frame_put_writable(frame_of(s->mfn));
    } else {
        frame_put(frame_of(s->mfn));
    }
}

static int16_t take_ref(struct side *s)
{
    int16_t status;

    s->granter = domain_get(s->domid);
    if (s->granter == NULL) {
        return GNTST_bad_domain;
    }
    status = grant_pin(s->granter, (grant_ref_t)s->name, current()->domain->id, s->is_write,
                       &s->range, &s->mfn);
    if (unlikely(status != GNTST_okay)) {
        domain_put(s->granter);
    }
    return status;
}

/* A frame of the caller's own. */
static int16_t take_own(struct side *s)
{
    struct domain *d = current()->domain;
    struct frame *f;

    s->mfn = MFN(s->name);
    s->range = (struct grant_range){ .len = PAGE_SIZE };
    if (s->domid != DOMID_SELF) {
        struct domain *other = domain_get(s->domid);

        if (other == NULL) {
            return GNTST_bad_domain;
        }
        domain_put(other);
        return GNTST_permission_denied;
    }
    if (!frame_valid(s->mfn)) {
        return GNTST_bad_page;
    }
    f = frame_named(s->mfn);
    if (!frame_get(f, d->id)) {
        return GNTST_bad_page;
    }
    if (READ_ONCE(f->ref) & FRAME_HV) {
        frame_put(f);
        return GNTST_bad_page;
    }
    if (s->is_write && !frame_use_writable(f, &d->dirty_cpus, 0)) {
        frame_put(f);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

/* Have @p's page in hand. */
static int16_t take(struct side *s, const struct gnttab_copy_ptr *p, bool is_ref, bool is_write)
{
    uint64_t name = is_ref ? p->u.ref : p->u.gmfn;
    int16_t status;

    if (s->is_held && s->name == name && s->domid == p->domid && s->is_ref == is_ref) {
        return GNTST_okay;
    }
    let_go(s);
    s->name = name;
    s->domid = p->domid;
    s->is_ref = is_ref;
    s->is_write = is_write;
    status = is_ref ? take_ref(s) : take_own(s);
    s->is_held = status == GNTST_okay;
    if (unlikely(status != GNTST_okay)) {
        log_guest(current()->domain->id, "cannot copy %s %s %#lx of d%u (status %d)",
                  is_write ? "to" : "from", is_ref ? "grant" : "frame", name, p->domid, status);
    }
    return status;
}

static inline bool range_ok(const struct grant_range *r, unsigned int offset, unsigned int len)
{
    return offset >= r->offset && len <= r->len && offset - r->offset <= r->len - len;
}

static int16_t copy_one(const struct gnttab_copy *op, struct side *from, struct side *to)
{
    unsigned int so = op->source.offset, to_off = op->dest.offset, len = op->len;
    int16_t status;

    if (unlikely(so + len > PAGE_SIZE || to_off + len > PAGE_SIZE)) {
        return GNTST_bad_copy_arg;
    }
    status = take(from, &op->source, (op->flags & GNTCOPY_source_gref) != 0, false);
    if (likely(status == GNTST_okay)) {
        status = take(to, &op->dest, (op->flags & GNTCOPY_dest_gref) != 0, true);
    }
    if (unlikely(status != GNTST_okay)) {
        return status;
    }
    if (unlikely(!range_ok(&from->range, so, len) || !range_ok(&to->range, to_off, len))) {
        return GNTST_general_error;
    }
    memmove((char *)mfn_to_virt(to->mfn) + to_off, (const char *)mfn_to_virt(from->mfn) + so, len);
    return GNTST_okay;
}

uint32_t hcall_grant_copy(struct guest_ptr list, uint32_t nr, long *rc)
{
    struct side from = { .is_held = false }, to = { .is_held = false };
    uint32_t i;

    *rc = mmu_drain(current()->domain); /* what was a page table may be plain memory now */
    for (i = 0; *rc == 0 && i < min(nr, COPY_BATCH); i++) {
        struct guest_ptr at = guest_ptr_add(list, i * sizeof(struct gnttab_copy));
        struct gnttab_copy op;

        if (copy_from_guest(&op, at, sizeof(op)) != 0) {
            *rc = -EFAULT;
            break;
        }
        op.status = copy_one(&op, &from, &to);
        if (copy_to_guest(at, &op, sizeof(op)) != 0) {
            *rc = -EFAULT;
            break;
        }
    }
    let_go(&from);
    let_go(&to);
    return i;
}
