/* SPDX-License-Identifier: MIT */
/*
 * Page tables against a model: random operations of a hostile guest, stopped at
 * every point, after each of which all counts are made anew from the tables'
 * contents and compared.
 */
/* sources: hv/pv/types.c hv/pv/entry.c hv/pv/update.c hv/pv/pin.c hv/pv/descriptors.c
 * hv/pv/log_dirty.c hv/mm/page_alloc.c hv/mm/heap.c hv/mm/frame.c hv/mm/frame_use.c
 * hv/domain/memory.c hv/lib/rangeset.c tests/unit/mm/machine.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "domain/memory.h"
#include "mm/m2p.h"
#include "mm/machine.h"
#include "mm/page_alloc.h"
#include "pv/descriptors.h"
#include "pv/mmu.h"
#include "pv/types.h"
#include "x86/paging.h"
#include "x86/smp.h"

int pt_budget = 2048;

/* The frames of the guest, by what they are mostly used as. */
enum {
    NR_DATA = 60,
    NR_L1 = 40,
    NR_L2 = 16,
    NR_L3 = 8,
    NR_L4 = 6,
    NR_OTHER = 8
};
enum {
    FIRST_L1 = NR_DATA,
    FIRST_L2 = FIRST_L1 + NR_L1,
    FIRST_L3 = FIRST_L2 + NR_L2,
    FIRST_L4 = FIRST_L3 + NR_L3,
    NR_OWN = FIRST_L4 + NR_L4,
};
#define DEVICE_MFN (MACHINE_FRAMES + 77)

static struct domain *guest, *other;
static uint64_t own[NR_OWN]; /* of guest; 0: given away */
static uint64_t others[NR_OTHER];
static uint64_t shared_rw, shared_ro;
static uint64_t random_state = 88172645463325252ull;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t below(uint64_t n)
{
    return random64() % n;
}

/* --- the model --- */

struct counts {
    uint32_t refs, writable, table[5]; /* uses as a table of each level */
    uint32_t segdesc;
};

static struct counts model[MACHINE_FRAMES];

static void count_table(const struct frame *f)
{
    unsigned int level = pt_level(f->type), nr = (unsigned int)frame_word_nr(f->type);
    const uint64_t *t = pt_of(f);

    for (unsigned int i = 0; i < nr; i++) {
        uint64_t e = t[i], mfn = pte_mfn(e).n;

        if (!(e & PTE_P) || pt_is_hv_slot(level, i) || mfn >= MACHINE_FRAMES) {
            continue;
        }
        model[mfn].refs++;
        if (level > 1) {
            model[mfn].table[level - 1]++;
        } else if ((e & PTE_RW) && !(frame_of(MFN(mfn))->ref & FRAME_HV)) {
            model[mfn].writable++;
        }
    }
}

static void count_vcpu(const struct vcpu *v)
{
    uint64_t tables[] = { v->pv.cr3_kernel, v->pv.cr3_user };

    for (unsigned int i = 0; i < 2; i++) {
        if (tables[i]) {
            model[tables[i] >> PAGE_SHIFT].refs++;
            model[tables[i] >> PAGE_SHIFT].table[4]++;
        }
    }
    for (unsigned int i = 0; i < (v->pv.gdt_entries + 511) / 512; i++) {
        model[v->pv.gdt_frames[i].n].refs++;
        model[v->pv.gdt_frames[i].n].segdesc++;
    }
    for (unsigned int i = 0; i < PV_LDT_FRAMES; i++) {
        if (v->pv.ldt_mapped >> i & 1) {
            model[v->pv.ldt_frames[i].n].refs++;
            model[v->pv.ldt_frames[i].n].segdesc++;
        }
    }
}

static void check_frame(const struct frame *f, const struct counts *m)
{
    uint64_t refs = (f->ref & FRAME_REF_MASK) / FRAME_REF_ONE, word = f->type;
    uint64_t count = word & FRAME_COUNT_MASK;
    unsigned int level = pt_level(word);

    assert_int_equal(refs, m->refs);
    if (frame_word_type(word) == FT_WRITABLE) {
        assert_int_equal(count, m->writable);
    } else {
        assert_int_equal(m->writable, 0);
    }
    if (frame_word_type(word) == FT_SEGDESC) {
        assert_int_equal(count, m->segdesc);
    } else {
        assert_int_equal(m->segdesc, 0);
    }
    for (unsigned int l = 1; l <= 4; l++) {
        if (l != level) {
            assert_int_equal(m->table[l], 0);
        } else if (word & FRAME_RESIDUE) {
            assert_int_equal(m->table[l], 0);
            assert_false(word & (FRAME_PINNED | FRAME_VALIDATED));
        } else {
            assert_true(word & FRAME_VALIDATED);
            assert_int_equal(count, m->table[l]);
            assert_int_not_equal(count, 0);
        }
    }
}

/* No valid table leads where it must not. */
static void check_entries(const struct frame *f)
{
    unsigned int level = pt_level(f->type), nr = (unsigned int)frame_word_nr(f->type);
    const uint64_t *t = pt_of(f);

    for (unsigned int i = 0; i < nr; i++) {
        uint64_t e = t[i], mfn = pte_mfn(e).n;
        const struct frame *to = frame_of(MFN(mfn));

        if (pt_is_hv_slot(level, i)) {
            if (f->type & FRAME_VALIDATED) {
                assert_int_equal(e, hv_l4[i]);
            }
            continue;
        }
        if (!(e & PTE_P)) {
            continue;
        }
        assert_true((e & PTE_US) && !(e & PTE_G));
        if (mfn >= MACHINE_FRAMES) {
            assert_int_equal(level, 1);
            assert_int_equal(mfn, DEVICE_MFN);
        } else if (level > 1) {
            assert_false(e & PTE_PS);
            assert_int_equal(pt_level(to->type), level - 1);
            assert_true(to->type & FRAME_VALIDATED);
            assert_int_equal(frame_owner(to), frame_owner(f));
        } else if (to->ref & FRAME_HV) {
            assert_true(to->ref &
                        (e & PTE_RW ? FRAME_SHARED_RW : FRAME_SHARED_RO | FRAME_SHARED_RW));
            assert_int_equal(frame_owner(to), frame_owner(f));
        } else if (e & PTE_RW) {
            assert_int_equal(frame_type(to), FT_WRITABLE);
        }
    }
}

static void check_queue(void)
{
    uint32_t at = guest->drain_head, n = 0;

    while (at != DRAIN_NONE) {
        const struct frame *f = frame_of(MFN(at));

        assert_true((f->type & FRAME_QUEUED) && (f->type & FRAME_RESIDUE));
        at = (uint32_t)f->type;
        n++;
        assert_true(n < MACHINE_FRAMES);
    }
    for (uint64_t i = 0; i < MACHINE_FRAMES; i++) {
        const struct frame *f = frame_of(MFN(i));

        n -= !(f->ref & FRAME_FREE) && pt_level(f->type) && (f->type & FRAME_QUEUED);
    }
    assert_int_equal(n, 0);
}

static void check_all(void)
{
    struct domain *domains[] = { guest, other };

    memset(model, 0, sizeof(model));
    for (uint64_t i = 0; i < MACHINE_FRAMES; i++) {
        const struct frame *f = frame_of(MFN(i));

        if (f->ref & (FRAME_FREE | FRAME_HV)) {
            model[i].refs += (f->ref & (FRAME_SHARED_RO | FRAME_SHARED_RW)) ? 1 : 0;
            continue;
        }
        model[i].refs += f->ref & FRAME_ALLOCATED ? 1 : 0;
        if (pt_level(f->type)) {
            model[i].refs += f->type & FRAME_RESIDUE ? 1 : 0;
            if (f->type & FRAME_PINNED) {
                model[i].refs++;
                model[i].table[pt_level(f->type)]++;
            }
            count_table(f);
        }
    }
    for (unsigned int k = 0; k < 2; k++) {
        struct vcpu *v;
        uint32_t i;

        for_each_vcpu(domains[k], v, i) {
            count_vcpu(v);
        }
    }
    for (uint64_t i = 0; i < MACHINE_FRAMES; i++) {
        const struct frame *f = frame_of(MFN(i));

        if (!(f->ref & FRAME_FREE) && (f->ref & FRAME_REF_MASK)) {
            check_frame(f, &model[i]);
            if (pt_level(f->type)) {
                check_entries(f);
            }
        } else {
            assert_int_equal(model[i].refs, 0);
        }
    }
    check_queue();
}

/* What each frame was before an operation, for the flushes. */
static uint64_t words_before[MACHINE_FRAMES];

static void note_words(void)
{
    for (unsigned int i = 0; i < NR_OWN; i++) {
        if (own[i]) {
            words_before[own[i]] = frame_of(MFN(own[i]))->type;
        }
    }
}

/* What changed its nature was flushed from all TLBs since it was last something else. */
static void check_flushes(void)
{
    for (unsigned int i = 0; i < NR_OWN; i++) {
        uint64_t before = own[i] ? words_before[own[i]] : 0;
        enum frame_type now = own[i] ? frame_type(frame_of(MFN(own[i]))) : FT_NONE;

        if (frame_word_type(before) != FT_NONE || frame_word_nr(before) == FT_NONE ||
            now == FT_NONE || now == frame_word_nr(before)) {
            continue;
        }
        for (unsigned int c = 0; c < MACHINE_CPUS; c++) {
            if (cpumask_test(&guest->dirty_cpus, c)) {
                assert_true(tlb_flushed_since(cpus[c], (uint32_t)before));
            }
        }
    }
}

/* --- the guest --- */

static uint64_t any_own(void)
{
    return own[below(NR_OWN)];
}

/* A frame that serves as a target of an entry of @level, mostly. */
static uint64_t target_for(unsigned int level)
{
    static const struct {
        unsigned int first, nr;
    } kinds[] = { { 0, FIRST_L2 }, { FIRST_L1, NR_L1 }, { FIRST_L2, NR_L2 }, { FIRST_L3, NR_L3 } };
    unsigned int odd = (unsigned int)below(200);

    switch (odd) {
    case 0:
        return others[below(NR_OTHER)];
    case 1:
        return DEVICE_MFN;
    case 2:
        return below(MACHINE_FRAMES + 200);
    case 3:
        return any_own();
    case 4:
        return shared_rw;
    case 5:
        return shared_ro;
    default:
        return own[kinds[level - 1].first + below(kinds[level - 1].nr)];
    }
}

static bool is_data(uint64_t mfn)
{
    for (unsigned int i = 0; i < NR_DATA; i++) {
        if (own[i] == mfn) {
            return true;
        }
    }
    return false;
}

static uint64_t random_entry(unsigned int level)
{
    uint64_t mfn = target_for(level), e = mfn << PAGE_SHIFT | PTE_P | PTE_A;

    if (level > 1 || below(40) == 0 || (below(3) && is_data(mfn))) {
        e |= PTE_RW;
    }
    if (below(2)) {
        e |= PTE_D;
    }
    if (below(10) == 0) {
        e |= PTE_G;
    }
    if (below(400) == 0) {
        e |= 1ull << below(64);
    }
    return level > 1 && (e & PTE_G) ? e & ~PTE_G : e;
}

static unsigned int likely_level(uint64_t i)
{
    return i >= FIRST_L4 ? 4 : i >= FIRST_L3 ? 3 : i >= FIRST_L2 ? 2 : 1;
}

/* The guest writes to memory that is writable to it. */
static void prepare_table(void)
{
    uint64_t i = FIRST_L1 + below(NR_OWN - FIRST_L1);
    struct frame *f = frame_of(MFN(own[i]));
    uint64_t *t = pt_of(f);
    unsigned int n = (unsigned int)below(12);

    if (!own[i] || (frame_type(f) != FT_NONE && frame_type(f) != FT_WRITABLE)) {
        return;
    }
    frame_mark_written(f); /* as the mapping would have done that it takes */
    memset(t, 0, PAGE_SIZE);
    while (n-- > 0) {
        t[below(5) ? below(24) : below(512)] = random_entry(likely_level(i));
    }
}

static long op_pin(void)
{
    uint64_t i = FIRST_L1 + below(NR_OWN - FIRST_L1);
    unsigned int level = below(12) ? likely_level(i) : 1 + (unsigned int)below(4);
    long rc;

    do {
        rc = mmu_pin(guest, MFN(own[i]), level);
    } while (rc == -ERESTART && below(10));
    return rc;
}

static long op_unpin(void)
{
    uint64_t i = FIRST_L1 + below(NR_OWN - FIRST_L1);

    return mmu_unpin(guest, MFN(own[i]));
}

/* The same frame with other rights. */
static uint64_t altered(uint64_t e)
{
    static const uint64_t bits[] = { PTE_RW, PTE_RW, PTE_A, PTE_D, PTE_PCD, PTE_NX, PTE_P };

    return e ^ bits[below(ARRAY_SIZE(bits))];
}

static long op_update(void)
{
    struct mmu_update requests[8];
    uint32_t nr = 1 + (uint32_t)below(ARRAY_SIZE(requests)), done = 0, total = 0;
    struct mmu_rights rights = { guest, guest->id };
    long rc;

    if (below(20) == 0) {
        rights.owner = other->id;
    }
    for (uint32_t i = 0; i < nr; i++) {
        uint64_t k = FIRST_L1 + below(NR_OWN - FIRST_L1);
        uint64_t mfn = below(40) ? own[k] : below(MACHINE_FRAMES + 100);
        uint64_t slot = below(5) ? below(24) : below(512);
        uint64_t cmd = below(3) ? 0 : below(4);

        requests[i].ptr = mfn << PAGE_SHIFT | slot * 8 | cmd;
        requests[i].val = below(3) ? random_entry(likely_level(k)) : 0;
        if (mfn == own[k] && mfn && below(3) == 0) {
            requests[i].val = altered(((uint64_t *)pt_of(frame_of(MFN(mfn))))[slot]);
        }
        if (cmd == MMU_MACHPHYS_UPDATE) {
            requests[i].val = below(100);
        }
    }
    do {
        rc = mmu_update_batch(&rights, requests + total, nr - total, &done);
        total += done;
        assert_true(total <= nr && (rc != 0 || total == nr));
    } while (rc == -ERESTART && below(10));
    return rc;
}

static long op_switch(void)
{
    struct vcpu *v = guest->vcpus[below(guest->max_vcpus)];
    uint64_t mfn = below(4) ? own[FIRST_L4 + below(NR_L4)] : any_own();
    bool user = below(2);
    long rc;

    if (user && below(3) == 0) {
        mfn = 0;
    }
    if (!user && mfn == 0) {
        return 0;
    }
    do {
        rc = user ? mmu_set_user_table(v, MFN(mfn)) : mmu_set_kernel_table(v, MFN(mfn));
    } while (rc == -ERESTART && below(10));
    return rc;
}

/* An address that is mapped in vCPU 0's kernel tables, if there is one on a random way down. */
static uint64_t random_va(void)
{
    uint64_t cr3 = guest->vcpus[0]->pv.cr3_kernel, va = 0;
    const uint64_t *t = phys_to_virt(PADDR(cr3));

    if (!cr3 || below(50) == 0) {
        return random64();
    }
    for (unsigned int level = 4; level > 0; level--) {
        unsigned int i = (unsigned int)below(512), tries = 0;

        while (tries++ < 512 && (!(t[i] & PTE_P) || pt_is_hv_slot(level, i))) {
            i = (i + 1) % 512;
        }
        va |= (uint64_t)i << (12 + 9 * (level - 1));
        if (!(t[i] & PTE_P) || pte_mfn(t[i]).n >= MACHINE_FRAMES) {
            break;
        }
        t = phys_to_virt(pte_paddr(t[i]));
    }
    return va >> 47 ? va | 0xffffull << 48 : va;
}

static long op_update_va(void)
{
    struct vcpu *v = guest->vcpus[0];
    long rc;

    uint64_t va = random_va(), val = below(3) ? random_entry(1) : 0;

    if (below(3) == 0) {
        val = altered(mmu_walk(v->pv.cr3_kernel, va));
    }
    do {
        rc = mmu_update_va(v, va, val, guest->id);
    } while (rc == -ERESTART && below(10));
    return rc;
}

static long op_write_table(void)
{
    unsigned int bytes = 1u << below(4);
    uint64_t va = random_va() | below(512) * 8, old = random64(), val = random_entry(1);
    bool swapped = false;
    long rc;

    va &= ~(uint64_t)(bytes - 1);
    for (unsigned int i = 0; i < 3 && !swapped; i++) {
        rc = mmu_write_table(guest->vcpus[0], va, &old, val, bytes, &swapped);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static long op_give_and_take(void)
{
    uint64_t i = below(NR_OWN);
    mfn_t mfn;

    if (own[i] && below(10)) {
        return 0;
    }
    mfn = memory_alloc(guest, 0, 0, ALLOC_ZERO);
    if (mfn_eq(mfn, MFN_INVALID)) {
        return -ENOMEM;
    }
    if (own[i]) {
        (void)!memory_free(guest, MFN(own[i]));
    }
    own[i] = mfn.n;
    return 0;
}

static long op_exchange(void)
{
    uint64_t i = below(NR_OWN), in = own[i], out;
    struct memory_blocks a = { &in, 1, 0 }, b = { &out, 1, 0 };
    long rc = memory_exchange(guest, &a, &b, 0);

    if (rc == 0) {
        own[i] = out;
    }
    return rc;
}

static long op_descriptors(void)
{
    struct vcpu *v = guest->vcpus[below(guest->max_vcpus)];
    uint64_t frames[2] = { own[below(NR_DATA)], below(4) ? own[below(NR_DATA)] : any_own() };

    switch (below(4)) {
    case 0:
        return pv_set_gdt(v, frames, (uint32_t)below(1024));
    case 1:
        return pv_update_descriptor(guest, frames[1] << PAGE_SHIFT | below(512) * 8,
                                    below(2) ? 0 : random64());
    case 2:
        return pv_set_ldt(v, random_va() & PAGE_MASK, (uint32_t)below(2000));
    default:
        return pv_map_ldt_page(guest->vcpus[0], (uint32_t)below(16 * PAGE_SIZE));
    }
}

/* --- the log of frames written --- */

#define WAS_WRITABLE (1ull << 55)

void domain_pause(struct domain *d)
{
}

void domain_unpause(struct domain *d)
{
}

static uint8_t contents[NR_OWN][PAGE_SIZE]; /* when the log was last cleared */
static bool was_told[MACHINE_FRAMES];

/* The log makes entries read-only, and writable again; that is no change. */
static uint64_t seen_by_guest(uint64_t e)
{
    return e & WAS_WRITABLE ? (e & ~WAS_WRITABLE) | PTE_RW : e;
}

static bool is_changed(unsigned int i)
{
    const uint64_t *now = pt_of(frame_of(MFN(own[i]))), *then = (const uint64_t *)contents[i];

    for (unsigned int k = 0; k < PTE_PER_TABLE; k++) {
        if (seen_by_guest(now[k]) != seen_by_guest(then[k])) {
            return true;
        }
    }
    return false;
}

static void note_contents(void)
{
    for (unsigned int i = 0; i < NR_OWN; i++) {
        if (own[i]) {
            memcpy(contents[i], pt_of(frame_of(MFN(own[i]))), PAGE_SIZE);
        }
    }
}

/* All that changed since then was told; and nobody can write now without it being noted. */
static void check_log(enum mmu_log_op op)
{
    for (unsigned int i = 0; i < NR_OWN; i++) {
        const struct frame *f = own[i] ? frame_of(MFN(own[i])) : NULL;

        if (f == NULL) {
            continue;
        }
        if (op != MMU_LOG_START) {
            assert_true(was_told[own[i]] || !is_changed(i));
        }
        if (op == MMU_LOG_CLEAN) {
            assert_true(frame_type(f) != FT_WRITABLE || (f->ref & FRAME_WRITTEN));
        }
    }
}

static long op_log(void)
{
    enum mmu_log_op op = 1 + (enum mmu_log_op)below(MMU_LOG_STOP);
    bool is_new, is_more;
    struct mmu_log_list l;
    long rc;

    op = op == MMU_LOG_STOP && below(4) ? MMU_LOG_CLEAN : op;
    rc = mmu_log_begin(guest, op, &is_new);
    if (rc != 0) {
        return rc;
    }
    for (unsigned int i = 0; i < NR_OWN; i++) {
        if (own[i]) {
            m2p_set(MFN(own[i]), own[i]);
        }
    }
    memset(was_told, 0, sizeof(was_told));
    do {
        is_more = mmu_log_step(guest, &l);
        for (uint32_t i = 0; i < l.nr; i++) {
            was_told[l.pfns[i] % MACHINE_FRAMES] = true;
        }
    } while (is_more);
    if (op != MMU_LOG_STOP) {
        check_log(op);
    }
    if (op != MMU_LOG_PEEK) {
        note_contents();
    }
    return 0;
}

/* The guest writes, and where it must not, the log may have it that it can. */
static long op_write(void)
{
    struct vcpu *v = guest->vcpus[0];
    uint64_t va = random_va(), e = mmu_walk(v->pv.cr3_kernel, va);

    if (!(e & PTE_RW) && v->pv.cr3_kernel && mmu_log_fault(v, v->pv.cr3_kernel, va)) {
        e = mmu_walk(v->pv.cr3_kernel, va);
        assert_true(e & PTE_RW);
    }
    if (!(e & PTE_RW) || pte_mfn(e).n >= MACHINE_FRAMES) {
        return -EFAULT;
    }
    ((uint8_t *)mfn_to_virt(pte_mfn(e)))[below(PAGE_SIZE)] = (uint8_t)below(256);
    return 0;
}

static long (*const operations[])(void) = {
    op_pin,      op_pin,         op_pin,       op_unpin,       op_unpin,
    op_update,   op_update,      op_update,    op_update,      op_switch,
    op_switch,   op_update_va,   op_update_va, op_write_table, op_give_and_take,
    op_exchange, op_descriptors, op_log,       op_write,       op_write,
};

static unsigned int nr_done[ARRAY_SIZE(operations)], nr_refused[ARRAY_SIZE(operations)];

static void one_step(void)
{
    static const int budgets[] = { 4, 5, 9, 40, 300, 2048 };
    unsigned int k = (unsigned int)below(ARRAY_SIZE(operations));
    long rc;

    pt_budget = budgets[below(ARRAY_SIZE(budgets))];
    machine_preempt_in = (unsigned int)below(4);
    for (unsigned int i = (unsigned int)below(3); i > 0; i--) {
        prepare_table();
    }
    note_words();
    rc = operations[k]();
    if (rc == 0) {
        nr_done[k]++;
    } else {
        nr_refused[k]++;
    }
    check_flushes();
}

/* --- the tests --- */

static void set_up(void)
{
    machine_init();
    mmu_init();
    guest = machine_domain(1, 2);
    other = machine_domain(2, 1);
    if (rangeset_add(&guest->iomem, DEVICE_MFN, DEVICE_MFN) != 0) {
        abort();
    }
    host_cpu.curr = guest->vcpus[0];
    for (unsigned int i = 0; i < NR_OWN; i++) {
        own[i] = memory_alloc(guest, 0, 0, ALLOC_ZERO).n;
    }
    for (unsigned int i = 0; i < NR_OTHER; i++) {
        others[i] = memory_alloc(other, 0, 0, ALLOC_ZERO).n;
    }
    void *rw = page_alloc_hv(), *ro = page_alloc_hv();

    frame_share(rw, guest->id, true);
    frame_share(ro, guest->id, false);
    shared_rw = virt_to_mfn(rw).n;
    shared_ro = virt_to_mfn(ro).n;
}

static void random_operations_keep_every_count_true(void **state)
{
    const char *steps = getenv("MMU_STEPS"), *seed = getenv("MMU_SEED");
    unsigned long n = steps ? strtoul(steps, NULL, 0) : 10000;

    random_state ^= seed ? strtoul(seed, NULL, 0) : 0;

    for (unsigned long i = 0; i < n; i++) {
        one_step();
        check_all();
    }
    for (unsigned int k = 0; getenv("MMU_STEPS") && k < ARRAY_SIZE(operations); k++) {
        printf("operation %u: %u done, %u refused\n", k, nr_done[k], nr_refused[k]);
    }
}

static void a_domain_that_dies_leaves_nothing(void **state)
{
    int rc;

    pt_budget = 4;
    do {
        machine_preempt_in = 2;
        rc = mmu_destroy_step(guest);
        check_all();
    } while (rc == -ERESTART);
    assert_int_equal(rc, 0);
    while (memory_destroy_step(guest) == -ERESTART) {
    }
    assert_int_equal(guest->nr_pages, 0);
    assert_int_equal(other->nr_pages, NR_OTHER);
    for (uint64_t i = 0; i < MACHINE_FRAMES; i++) {
        const struct frame *f = frame_of(MFN(i));

        assert_true((f->ref & (FRAME_FREE | FRAME_HV)) || !(f->ref & FRAME_REF_MASK) ||
                    frame_owner(f) == other->id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_keep_every_count_true),
        cmocka_unit_test(a_domain_that_dies_leaves_nothing),
    };

    set_up();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
