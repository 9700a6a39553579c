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

#define COPY_BATCH 32u
#define NO_GRANTER UINT32_MAX

/* One side of a copy. */
struct side {
    uint64_t key;    /* of the page in hand: the caller's frame number, or a reference */
    char *page;      /* where it is */
    struct frame *f; /* the caller's frame: with a reference, and in use as needed */
    struct grant_range range;
    uint32_t granter_id;    /* NO_GRANTER: none yet */
    struct domain *granter; /* with a reference */
};

#define KEY_IS_REF (1ul << 63)
#define KEY_NONE   UINT64_MAX /* there is no such domain */

static inline void side_init(struct side *s)
{
    s->key = KEY_NONE;
    s->granter_id = NO_GRANTER;
}

static inline uint64_t key_of(const struct gnttab_copy_ptr *p, bool is_ref)
{
    return is_ref ? KEY_IS_REF | (uint64_t)p->domid << 32 | p->u.ref : p->u.gmfn & ~KEY_IS_REF;
}

/* @is_write is known at each call. */
static always_inline void let_go(const struct side *s, bool is_write)
{
    if (s->key == KEY_NONE) {
        return;
    }
    if (s->key & KEY_IS_REF) {
        grant_unpin(s->granter, (grant_ref_t)s->key, is_write);
        return;
    }
    if (is_write) {
        frame_drop_writable(s->f);
    }
    frame_put(s->f);
}

static noinline int16_t find_granter(struct side *s, domid_t id)
{
    if (s->granter_id != NO_GRANTER) {
        domain_put(s->granter);
    }
    s->granter = domain_get(id);
    s->granter_id = s->granter != NULL ? id : NO_GRANTER;
    return s->granter != NULL ? GNTST_okay : GNTST_bad_domain;
}

static always_inline int16_t take_ref(struct domain *d, struct side *s,
                                      const struct gnttab_copy_ptr *p, bool is_write)
{
    int64_t mfn;

    if (unlikely(s->granter_id != p->domid) && find_granter(s, p->domid) != GNTST_okay) {
        return GNTST_bad_domain;
    }
    s->range.is_part = false;
    mfn = grant_pin(s->granter, p->u.ref, d->id, is_write, &s->range);
    if (unlikely(mfn < 0)) {
        return (int16_t)mfn;
    }
    s->page = mfn_to_virt(MFN((uint64_t)mfn));
    return GNTST_okay;
}

static noinline int16_t not_own(domid_t id)
{
    struct domain *d = domain_get(id);

    if (d == NULL) {
        return GNTST_bad_domain;
    }
    domain_put(d);
    return GNTST_permission_denied;
}

/* A frame of the caller's own. */
static always_inline int16_t take_own(struct domain *d, struct side *s,
                                      const struct gnttab_copy_ptr *p, bool is_write)
{
    mfn_t mfn = MFN(p->u.gmfn);
    struct frame *f = frame_named(mfn);

    if (unlikely(!frame_backed(mfn) || !frame_get_plain(f, d->id))) {
        return GNTST_bad_page;
    }
    if (is_write && unlikely(!frame_use_writable_once(f, 0)) &&
        !frame_use_writable(f, &d->dirty_cpus, 0)) {
        frame_put(f);
        return GNTST_general_error;
    }
    s->f = f;
    s->page = mfn_to_virt(mfn);
    s->range.is_part = false;
    return GNTST_okay;
}

static noinline void refuse(const struct domain *d, const struct gnttab_copy_ptr *p, uint64_t key,
                            int16_t status)
{
    log_guest(d->id, "cannot copy %s %#lx of d%u (status %d)", key & KEY_IS_REF ? "grant" : "frame",
              key & ~KEY_IS_REF, p->domid, status);
}

/* Have @p's page in hand. */
static always_inline int16_t take(struct domain *d, struct side *s, const struct gnttab_copy_ptr *p,
                                  bool is_ref, bool is_write)
{
    uint64_t key = key_of(p, is_ref);
    int16_t status;

    if (unlikely(!is_ref && p->domid != DOMID_SELF)) {
        status = not_own(p->domid);
        refuse(d, p, key, status);
        return status;
    }
    if (s->key == key) {
        return GNTST_okay;
    }
    let_go(s, is_write);
    status = is_ref ? take_ref(d, s, p, is_write) : take_own(d, s, p, is_write);
    s->key = key;
    if (unlikely(status != GNTST_okay)) {
        s->key = KEY_NONE;
        refuse(d, p, key, status);
    }
    return status;
}

/* Is [offset, offset + len), which is within a page, in what @s lends? */
static bool range_ok(const struct side *s, size_t offset, size_t len)
{
    return !s->range.is_part ||
           (offset >= s->range.offset && offset + len <= (size_t)s->range.offset + s->range.len);
}

static always_inline int16_t copy_one(struct domain *d, const struct gnttab_copy *op,
                                      struct side *from, struct side *to)
{
    size_t len = op->len, at_from = op->source.offset, at_to = op->dest.offset;
    int16_t status;

    if (unlikely(at_from + len > PAGE_SIZE || at_to + len > PAGE_SIZE)) {
        return GNTST_bad_copy_arg;
    }
    status = op->flags & GNTCOPY_source_gref ? take(d, from, &op->source, true, false)
                                             : take(d, from, &op->source, false, false);
    if (likely(status == GNTST_okay)) {
        status = op->flags & GNTCOPY_dest_gref ? take(d, to, &op->dest, true, true)
                                               : take(d, to, &op->dest, false, true);
    }
    if (unlikely(status != GNTST_okay)) {
        return status;
    }
    if (unlikely(!range_ok(from, at_from, len) || !range_ok(to, at_to, len))) {
        return GNTST_general_error;
    }
    if (likely(from->page != to->page)) {
        memcpy(to->page + at_to, from->page + at_from, len);
    } else {
        memmove(to->page + at_to, from->page + at_from, len);
    }
    return GNTST_okay;
}

static noinline void side_end(struct side *s, bool is_write)
{
    let_go(s, is_write);
    if (s->granter_id != NO_GRANTER) {
        domain_put(s->granter);
    }
}

uint32_t hcall_grant_copy(void *list, uint32_t nr, long *rc)
{
    struct domain *d = current()->domain;
    struct side from, to;
    struct gnttab_copy *at = list;
    uint32_t i;

    *rc = mmu_drain(d); /* what was a page table may be plain memory now */
    if (unlikely(*rc != 0)) {
        return 0;
    }
    side_init(&from);
    side_init(&to);
    for (i = 0; i < min(nr, COPY_BATCH); i++, at++) {
        struct gnttab_copy op;

        if (copy_user_words(&op, at, sizeof(op) / sizeof(uint64_t)) != 0 ||
            put_user16((uint16_t)copy_one(d, &op, &from, &to), (uint16_t *)&at->status) != 0) {
            *rc = -EFAULT;
            break;
        }
    }
    side_end(&from, false);
    side_end(&to, true);
    return i;
}
