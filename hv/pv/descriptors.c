/* SPDX-License-Identifier: MIT */
/*
 * Segment descriptors of guests.  In 64-bit mode bases and limits protect
 * nothing: pages do.  What counts is that no descriptor leads to more
 * privilege, so code and data get DPL 3, call gates DPL 0 (their use from ring
 * 3 faults, and is emulated), and all other system descriptors are refused.
 *
 * Frames become FT_SEGDESC as they become tables (pv/types.c): by the owner's
 * pt_lock, with their entries checked once nobody can write them any more.
 */
#include "pv/descriptors.h"

#include "pv/mmu.h"
#include "pv/pv.h"
#include "pv/types.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/cache.h"
#include "x86/desc.h"

#define PER_PAGE 512u  /* descriptors */
#define LDT_MAX  8192u /* descriptors */

#define DESC_PRESENT   (1ull << 47)
#define DESC_DPL       (3ull << 45)
#define DESC_CODE_DATA (1ull << 44)
#define DESC_TYPE      (15ull << 40)
#define DESC_CALL_GATE (12ull << 40)

bool pv_fix_descriptor(uint64_t *descriptor)
{
    uint64_t desc = *descriptor;

    if (!(desc & DESC_PRESENT)) {
        return true;
    }
    if (desc & DESC_CODE_DATA) {
        *descriptor = desc | DESC_DPL;
        return true;
    }
    *descriptor = desc & ~DESC_DPL;
    return (desc & DESC_TYPE) == DESC_CALL_GATE;
}

static int check_page(struct pt_ctx *c, uint64_t *page)
{
    for (unsigned int i = 0; i < PER_PAGE; i++) {
        uint64_t desc = READ_ONCE(page[i]);

        if (!pv_fix_descriptor(&desc)) {
            return pt_refuse(c, "a descriptor is not for guests", desc);
        }
        if (desc != page[i]) {
            WRITE_ONCE(page[i], desc);
        }
    }
    return 0;
}

/* From none to a descriptor page with one use. */
static int make_segdesc(struct pt_ctx *c, struct frame *f, uint64_t word)
{
    if (frame_word_nr(word) != FT_NONE) {
        frame_flush_stale(word, &c->d->dirty_cpus);
    }
    if (!__atomic_compare_exchange_n(&f->type, &word, frame_type_word(FT_SEGDESC, 0, 0, 1), false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        return pt_refuse(c, "a frame that is to hold descriptors is writable", frame_mfn(f).n);
    }
    if (word & FRAME_UNCACHED) {
        cache_flush_page(pt_of(f));
    }
    frame_mark_written(f); /* descriptors are corrected in place */
    if (check_page(c, pt_of(f)) != 0) {
        WRITE_ONCE(f->type, 0);
        return -EINVAL;
    }
    return 0;
}

static int use_segdesc(struct pt_ctx *c, struct frame *f)
{
    uint64_t word = READ_ONCE(f->type);

    if (frame_word_type(word) == FT_NONE && !(READ_ONCE(f->ref) & FRAME_HV)) {
        return make_segdesc(c, f, word);
    }
    if (frame_word_type(word) == FT_SEGDESC && (word & FRAME_COUNT_MASK) != FRAME_COUNT_MASK) {
        WRITE_ONCE(f->type, word + 1);
        return 0;
    }
    if (word & FRAME_RESIDUE) {
        if (!(word & FRAME_QUEUED)) {
            pt_queue_residue(c->d, f);
        }
        return -ERESTART;
    }
    return pt_refuse(c, "a frame that is to hold descriptors is in use otherwise", frame_mfn(f).n);
}

static int get_segdesc(struct pt_ctx *c, mfn_t mfn)
{
    int rc;

    if (!frame_valid(mfn) || !frame_get(frame_named(mfn), c->d->id)) {
        return pt_refuse(c, "a frame that is to hold descriptors is not the domain's", mfn.n);
    }
    rc = use_segdesc(c, frame_of(mfn));
    if (rc != 0) {
        frame_put(frame_of(mfn));
    }
    return rc;
}

static void put_segdesc(mfn_t mfn)
{
    struct frame *f = frame_of(mfn);
    uint64_t word = f->type;

    ASSERT(frame_word_type(word) == FT_SEGDESC && (word & FRAME_COUNT_MASK) != 0);
    WRITE_ONCE(f->type, (word & FRAME_COUNT_MASK) > 1 ? word - 1 : 0);
    frame_put(f);
}

static inline uint32_t pages_of(uint32_t nr_entries)
{
    return (nr_entries + PER_PAGE - 1) / PER_PAGE;
}

/* --- GDT --- */

static void put_gdt(struct pv_vcpu *pv)
{
    for (uint32_t i = 0; i < pages_of(pv->gdt_entries); i++) {
        put_segdesc(pv->gdt_frames[i]);
    }
    pv->gdt_entries = 0;
}

static int set_gdt(struct pt_ctx *c, struct vcpu *v, const uint64_t *frames, uint32_t nr_entries)
{
    uint32_t nr = pages_of(nr_entries), got;
    int rc = 0;

    for (got = 0; got < nr; got++) {
        rc = get_segdesc(c, MFN(frames[got]));
        if (rc != 0) {
            break;
        }
    }
    if (rc != 0) {
        while (got-- > 0) {
            put_segdesc(MFN(frames[got]));
        }
        return rc;
    }
    if (v == current()) {
        mfn_t mfns[PV_GDT_FRAMES];

        for (uint32_t i = 0; i < nr; i++) {
            mfns[i] = MFN(frames[i]);
        }
        gdt_window_set(mfns, nr);
    }
    put_gdt(&v->pv);
    for (uint32_t i = 0; i < nr; i++) {
        v->pv.gdt_frames[i] = MFN(frames[i]);
    }
    v->pv.gdt_entries = nr_entries;
    return 0;
}

int pv_set_gdt(struct vcpu *v, const uint64_t *frames, uint32_t nr_entries)
{
    struct pt_ctx c;
    int rc;

    if (nr_entries > PV_GDT_FRAMES * PER_PAGE) {
        return -EINVAL;
    }
    do {
        rc = mmu_drain(v->domain);
        if (rc != 0) {
            return rc;
        }
        pt_begin(&c, v->domain, v->domain->id);
        rc = set_gdt(&c, v, frames, nr_entries);
        pt_end(&c);
    } while (rc == -ERESTART && !preempt_pending());
    return rc;
}

/* --- single descriptors --- */

static int update_descriptor(struct pt_ctx *c, uint64_t at, uint64_t descriptor)
{
    mfn_t mfn = MFN(at >> PAGE_SHIFT);
    uint64_t *entry = phys_to_virt(PADDR(at));
    struct frame *f = frame_named(mfn);
    int rc = 0;

    if (!frame_valid(mfn) || !frame_get(f, c->d->id)) {
        return pt_refuse(c, "a descriptor to be changed is not in the domain's memory", at);
    }
    if (frame_type(f) == FT_SEGDESC) {
        WRITE_ONCE(*entry, descriptor);
    } else if (!(READ_ONCE(f->ref) & FRAME_HV) && frame_use_writable(f, &c->d->dirty_cpus, 0)) {
        WRITE_ONCE(*entry, descriptor);
        frame_drop_writable(f);
    } else {
        rc = pt_refuse(c, "a descriptor to be changed is in a page table", at);
    }
    frame_put(f);
    return rc;
}

int pv_update_descriptor(struct domain *d, uint64_t at, uint64_t descriptor)
{
    struct pt_ctx c;
    int rc = mmu_drain(d);

    if (rc != 0) {
        return rc;
    }
    pt_begin(&c, d, d->id);
    if (at % sizeof(descriptor)) {
        rc = pt_refuse(&c, "a descriptor to be changed is not aligned", at);
    } else if (!pv_fix_descriptor(&descriptor)) {
        rc = pt_refuse(&c, "a descriptor is not for guests", descriptor);
    } else {
        rc = update_descriptor(&c, at, descriptor);
    }
    pt_end(&c);
    return rc;
}

/* --- LDT --- */

/* Take all pages out of the window.  The domain is locked. */
static void put_ldt(struct vcpu *v)
{
    if (v->pv.ldt_mapped == 0) {
        return;
    }
    if (v == current()) {
        ldt_window_clear();
    }
    for (uint32_t i = 0; i < PV_LDT_FRAMES; i++) {
        if (v->pv.ldt_mapped & (1u << i)) {
            put_segdesc(v->pv.ldt_frames[i]);
        }
    }
    v->pv.ldt_mapped = 0;
}

int pv_set_ldt(struct vcpu *v, uint64_t base, uint32_t nr_entries)
{
    struct pt_ctx c;

    if (nr_entries > LDT_MAX || base % PAGE_SIZE || !pv_address_ok(base) ||
        !pv_address_ok(base + PV_LDT_FRAMES * PAGE_SIZE - 1)) {
        return -EINVAL;
    }
    pt_begin(&c, v->domain, v->domain->id);
    put_ldt(v);
    v->pv.ldt_base = nr_entries ? base : 0;
    v->pv.ldt_entries = nr_entries;
    if (v == current()) {
        ldt_load(nr_entries);
    }
    pt_end(&c);
    return 0;
}

bool pv_map_ldt_page(struct vcpu *v, uint32_t offset)
{
    uint32_t page = offset / PAGE_SIZE;
    struct pt_ctx c;
    uint64_t e;
    int rc = -EINVAL;

    if (page >= pages_of(v->pv.ldt_entries)) {
        return false;
    }
    e = mmu_walk(v->pv.cr3_kernel, v->pv.ldt_base + page * PAGE_SIZE);
    pt_begin(&c, v->domain, v->domain->id);
    if ((e & PTE_P) && !(v->pv.ldt_mapped & (1u << page))) {
        rc = get_segdesc(&c, pte_mfn(e));
    }
    if (rc == 0) {
        v->pv.ldt_frames[page] = pte_mfn(e);
        v->pv.ldt_mapped |= 1u << page;
        ldt_window_map(page, pte_mfn(e));
    }
    pt_end(&c);
    return rc == 0;
}

void pv_drop_descriptors(struct vcpu *v)
{
    struct pt_ctx c;

    pt_begin(&c, v->domain, v->domain->id);
    if (v == current()) {
        gdt_window_set(NULL, 0);
        ldt_load(0);
    }
    put_ldt(v);
    v->pv.ldt_entries = 0;
    put_gdt(&v->pv);
    pt_end(&c);
}
