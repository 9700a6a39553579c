/* SPDX-License-Identifier: MIT */
/*
 * The model of grant tables.  It knows only lists: of handles in use, and of
 * pages pinned for copies.  All else follows: the words of entries, the
 * references and uses of frames, the bits that a lender sees, and the answer
 * to the next request.
 */
#include "grant/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain/memory.h"
#include "domain/part.h"
#include "grant/internal.h"
#include "mm/frame_use.h"
#include "mm/machine.h"
#include "mm/phys.h"
#include "sys/options.h"

enum {
    NR_DOMAINS = 3,
    NR_FRAMES = 6,  /* of each domain's own */
    NR_USES = 64,   /* handles and pins at a time */
    NR_REFS = 11,   /* that requests name, of which some are beyond the table's first frame */
    MAX_FRAMES = 3, /* of a table */
    MAX_TRACKS = 1, /* pages of handles */
};

struct use {
    bool is_used, is_handle, is_write;
    unsigned int user, granter;
    uint32_t ref, handle, flags;
    uint64_t mfn;
};

struct hv_options hv_options = { .gnttab_max_version = 2 };
struct model_counts model_counts;

static struct domain *domains[NR_DOMAINS];
static uint64_t own[NR_DOMAINS][NR_FRAMES];
static uint32_t base_refs[NR_DOMAINS]; /* without grants */
static struct use uses[NR_USES];
static model_source *next_number;
static void *numbers;

void cpu_poll_requests(void)
{
}

struct domain *domain_get_next(domid_t id)
{
    (void)id;
    return NULL;
}

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s does not hold (%s)\n", __FILE__, __LINE__, #cond,           \
                    machine_refusal);                                                              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static uint32_t below(uint32_t n)
{
    return next_number(numbers) % n;
}

/* References of interest: reserved ones, some others, the ends of frames in both versions. */
static uint32_t some_ref(void)
{
    static const uint32_t edges[] = { 255, 256, 511, 512, 767, 768, 1023, 1024, 1535, 1536, ~0u };
    return below(8) != 0 ? below(NR_REFS) : edges[below(ARRAY_SIZE(edges))];
}

/* ---- what must hold ---- */

static uint64_t word_wanted(unsigned int granter, uint32_t ref)
{
    uint64_t word = 0;

    for (unsigned int i = 0; i < NR_USES; i++) {
        const struct use *u = &uses[i];

        if (u->is_used && u->granter == granter && u->ref == ref) {
            MUST(word == 0 || (word & ACTIVE_MFN) == u->mfn);
            word = (word & ACTIVE_COUNTS) + (u->is_write ? ACTIVE_WRITER : ACTIVE_READER) +
                   ((uint64_t)domains[u->user]->id << ACTIVE_USER | u->mfn);
        }
    }
    return word;
}

static bool is_of_entry(const struct use *u, const struct use *first)
{
    return u->is_used && u->granter == first->granter && u->ref == first->ref;
}

/* References and uses of @mfn by grants, one of each for an entry. */
static void frame_wanted(uint64_t mfn, uint64_t *refs, uint64_t *writers)
{
    *refs = *writers = 0;
    for (unsigned int i = 0; i < NR_USES; i++) {
        bool is_written = false;
        unsigned int first = 0;

        if (!uses[i].is_used || uses[i].mfn != mfn) {
            continue;
        }
        while (!is_of_entry(&uses[first], &uses[i])) {
            first++;
        }
        if (first != i) {
            continue; /* the entry is counted */
        }
        for (unsigned int j = i; j < NR_USES; j++) {
            is_written |= is_of_entry(&uses[j], &uses[i]) && uses[j].is_write;
        }
        *refs += 1;
        *writers += is_written;
    }
}

static void check_frames(void)
{
    for (unsigned int d = 0; d < NR_DOMAINS; d++) {
        for (unsigned int i = 0; i < NR_FRAMES; i++) {
            const struct frame *f = frame_of(MFN(own[d][i]));
            uint64_t refs, writers;

            frame_wanted(own[d][i], &refs, &writers);
            MUST((f->ref & FRAME_REF_MASK) / FRAME_REF_ONE == refs + 1);
            if (frame_type(f) == FT_WRITABLE) {
                MUST((f->type & FRAME_COUNT_MASK) == writers);
            } else {
                MUST(writers == 0);
            }
        }
    }
}

static void check_entries(void)
{
    for (unsigned int d = 0; d < NR_DOMAINS; d++) {
        const struct grant_table *t = domains[d]->grant;

        MUST(t->version == 1 || t->version == 2);
        for (uint32_t ref = 0; ref < t->nr_frames * GRANT_V1_PER_FRAME; ref++) {
            uint64_t word = *grant_active(t, ref);

            if (word != 0 || ref < NR_REFS) {
                MUST(word == word_wanted(d, ref));
            }
            if (t->version == 2 && ref < t->nr_frames * GRANT_V2_PER_FRAME) {
                MUST(*grant_status(t, ref) == grant_bits_of(word));
            }
        }
    }
}

static void check_handles(void)
{
    unsigned int nr[NR_DOMAINS] = { 0 }, refs[NR_DOMAINS] = { 0 };

    for (unsigned int i = 0; i < NR_USES; i++) {
        if (uses[i].is_used && uses[i].is_handle) {
            nr[uses[i].user]++;
            refs[uses[i].granter]++;
        }
    }
    for (unsigned int d = 0; d < NR_DOMAINS; d++) {
        MUST(grant_tracks_used(domains[d]->grant) == nr[d]);
        MUST(domains[d]->refs == base_refs[d] + refs[d]);
    }
}

/* ---- requests ---- */

static struct use *free_use(void)
{
    for (unsigned int i = 0; i < NR_USES; i++) {
        if (!uses[i].is_used) {
            return &uses[i];
        }
    }
    return NULL;
}

/* The @n-th of those in use, of handles or of pins; NULL: there is none. */
static struct use *some_use(bool is_handle)
{
    unsigned int from = below(NR_USES);

    for (unsigned int i = 0; i < NR_USES; i++) {
        struct use *u = &uses[(from + i) % NR_USES];

        if (u->is_used && u->is_handle == is_handle) {
            return u;
        }
    }
    return NULL;
}

/* What an entry says, in either version. */
struct said {
    uint16_t flags;
    domid_t domid;
    uint64_t frame;
};

static struct said entry_says(const struct grant_table *t, uint32_t ref)
{
    if (t->version == 1) {
        const struct grant_entry_v1 *e = grant_entry_v1(t, ref);

        return (struct said){ e->flags, e->domid, e->frame };
    }
    return (struct said){ grant_entry_v2(t, ref)->hdr.flags, grant_entry_v2(t, ref)->hdr.domid,
                          grant_entry_v2(t, ref)->full_page.frame };
}

static bool is_frame_of(unsigned int d, uint64_t mfn)
{
    for (unsigned int i = 0; i < NR_FRAMES; i++) {
        if (own[d][i] == mfn) {
            return true;
        }
    }
    return false;
}

/* The answer to a request to use an entry. */
static int answer_wanted(unsigned int user, unsigned int granter, uint32_t ref, bool is_write,
                         bool part_will_do)
{
    const struct grant_table *t = domains[granter]->grant;
    uint64_t word;
    struct said e;

    if (ref >= t->nr_frames * GRANT_V1_PER_FRAME) {
        return GNTST_bad_gntref;
    }
    if (domains[granter]->life != DOMAIN_ALIVE) {
        return GNTST_general_error;
    }
    word = word_wanted(granter, ref);
    if (word != 0 && word >> ACTIVE_USER != domains[user]->id) {
        return GNTST_general_error;
    }
    if (t->version == 2 && ref >= t->nr_frames * GRANT_V2_PER_FRAME) {
        return GNTST_bad_gntref;
    }
    e = entry_says(t, ref);
    if (e.domid != domains[user]->id || (e.flags & GTF_type_mask) != GTF_permit_access ||
        (is_write && (e.flags & GTF_readonly)) ||
        ((e.flags & GTF_sub_page) && !(part_will_do && t->version == 2))) {
        return GNTST_general_error;
    }
    if (e.frame > UINT32_MAX || (word == 0 && !is_frame_of(granter, e.frame))) {
        return GNTST_bad_page;
    }
    if (is_write && !(word & ACTIVE_WRITERS)) {
        enum frame_type type = frame_type(frame_of(MFN(word ? word & ACTIVE_MFN : e.frame)));

        if (type != FT_NONE && type != FT_WRITABLE) {
            return GNTST_general_error;
        }
    }
    return GNTST_okay;
}

/* Compare the answer, and note the use. */
static void note_use(const struct use *wanted, int64_t got, bool part_will_do)
{
    int answer =
        answer_wanted(wanted->user, wanted->granter, wanted->ref, wanted->is_write, part_will_do);
    uint64_t word = word_wanted(wanted->granter, wanted->ref);
    struct use *u = free_use();

    if (got < 0) {
        MUST(got == answer);
        model_counts.refused++;
        return;
    }
    MUST(answer == GNTST_okay);
    *u = *wanted;
    u->is_used = true;
    u->mfn = (uint64_t)got;
    if (word != 0) {
        MUST(u->mfn == (word & ACTIVE_MFN));
    }
}

static void step_map(void)
{
    struct use u = { .is_handle = true,
                     .user = below(NR_DOMAINS),
                     .granter = below(NR_DOMAINS),
                     .ref = some_ref(),
                     .is_write = below(2) };
    struct domain *granter = domains[u.granter], *mapper = domains[u.user];
    int64_t got;

    if (free_use() == NULL) {
        return;
    }
    u.flags =
        GNTMAP_host_map | (u.is_write ? 0 : GNTMAP_readonly) | (below(2) ? GNTMAP_device_map : 0);
    domain_hold(granter);
    /* The answer is judged by what was there before, so the bits do not matter. */
    got = grant_map_begin(mapper, granter, u.ref, u.flags, &u.handle);
    if (got >= 0 && below(4) == 0) { /* the page tables had no place */
        grant_map_undo(mapper, u.handle);
        return;
    }
    if (got < 0) {
        domain_put(granter);
    } else {
        struct grant_mapping m;

        MUST(grant_unmap_begin(mapper, u.handle, &m) == GNTST_bad_handle);
        grant_map_end(mapper, (grant_handle_t[]){ u.handle, GRANT_NO_HANDLE }, 2);
        for (unsigned int i = 0; i < NR_USES; i++) {
            MUST(!(uses[i].is_used && uses[i].is_handle && uses[i].user == u.user &&
                   uses[i].handle == u.handle));
        }
        model_counts.mapped++;
    }
    note_use(&u, got, false);
}

static void step_unmap(void)
{
    struct use *u = some_use(true);
    struct grant_mapping m, again;
    uint32_t left;

    if (u == NULL || below(8) == 0) {
        MUST(grant_unmap_begin(domains[0], 4000 + below(100000), &m) == GNTST_bad_handle);
        return;
    }
    MUST(grant_unmap_begin(domains[u->user], u->handle, &m) == GNTST_okay);
    MUST(grant_unmap_begin(domains[u->user], u->handle, &again) == GNTST_bad_handle);
    MUST(m.granter == domains[u->granter] && m.ref == u->ref && m.mfn.n == u->mfn &&
         m.flags == u->flags);
    left = m.flags & ~(below(2) ? GNTMAP_host_map : 0u) & ~(below(2) ? GNTMAP_device_map : 0u);
    m.left = left;
    grant_unmap_end(domains[u->user], (struct grant_mapping[]){ again, m, again }, 3);
    u->flags = left;
    u->is_used = left & (GNTMAP_host_map | GNTMAP_device_map);
}

static void step_pin(void)
{
    struct use u = { .user = below(NR_DOMAINS),
                     .granter = below(NR_DOMAINS),
                     .ref = some_ref(),
                     .is_write = below(2) };
    struct grant_range range = { .is_part = false };
    bool part_will_do = below(4) != 0;
    int64_t got;

    if (free_use() == NULL) {
        return;
    }
    got = grant_pin(domains[u.granter], u.ref, domains[u.user]->id, u.is_write,
                    part_will_do ? &range : NULL);
    note_use(&u, got, part_will_do);
    MUST(!range.is_part || range.offset + range.len <= (int)PAGE_SIZE);
    model_counts.pinned += got >= 0;
}

static void step_unpin(void)
{
    struct use *u = some_use(false);

    if (u != NULL) {
        grant_unpin(domains[u->granter], u->ref, u->is_write);
        u->is_used = false;
    }
}

/* ---- what the guests do ---- */

static uint64_t some_frame(unsigned int d)
{
    switch (below(8)) {
    case 0:
        return own[below(NR_DOMAINS)][below(NR_FRAMES)];
    case 1:
        return (uint64_t)below(MACHINE_FRAMES + 100) << below(30);
    case 2:
        return virt_to_mfn(domains[d]->grant->pages[0].shared).n;
    default:
        return own[d][below(NR_FRAMES)];
    }
}

/* The lender writes an entry, whatever it is used for. */
static void step_write_entry(void)
{
    static const uint16_t flags[] = { GTF_permit_access,
                                      GTF_permit_access,
                                      GTF_permit_access,
                                      GTF_permit_access,
                                      GTF_permit_access | GTF_readonly,
                                      GTF_permit_access | GTF_sub_page,
                                      GTF_permit_access | GTF_reading | GTF_writing,
                                      GTF_invalid,
                                      GTF_transitive,
                                      GTF_accept_transfer,
                                      0xffff };
    unsigned int d = below(NR_DOMAINS);
    const struct grant_table *t = domains[d]->grant;
    domid_t to = domains[below(NR_DOMAINS)]->id;
    uint32_t ref = some_ref();
    uint16_t f = flags[below(ARRAY_SIZE(flags))];

    if (t->version == 1 && ref < t->nr_frames * GRANT_V1_PER_FRAME) {
        *grant_entry_v1(t, ref) =
            (struct grant_entry_v1){ .flags = f, .domid = to, .frame = (uint32_t)some_frame(d) };
    } else if (t->version == 2 && ref < t->nr_frames * GRANT_V2_PER_FRAME) {
        union grant_entry_v2 *e = grant_entry_v2(t, ref);

        e->full_page.frame = some_frame(d);
        e->sub_page.page_off = (uint16_t)below(5000);
        e->sub_page.length = (uint16_t)below(70000);
        e->hdr.domid = to;
        e->hdr.flags = f;
    }
}

/* A frame becomes a page table, or stops to be one. */
static void step_type(void)
{
    struct frame *f = frame_of(MFN(own[below(NR_DOMAINS)][below(NR_FRAMES)]));

    if (frame_type(f) == FT_NONE && below(4) == 0) {
        f->type = frame_type_word(FT_L1, FRAME_VALIDATED, 512, 1);
    } else if (frame_type(f) == FT_L1) {
        f->type = frame_type_word(FT_NONE, 0, FT_L1, tlb_clock());
    }
}

/* ---- tables ---- */

static int version_wanted(unsigned int d, uint32_t version)
{
    const struct grant_table *t = domains[d]->grant;

    if (t->version == version) {
        return 0;
    }
    for (unsigned int i = 0; i < NR_USES; i++) {
        if (uses[i].is_used && uses[i].granter == d && uses[i].ref >= GNTTAB_NR_RESERVED_ENTRIES) {
            return -EBUSY;
        }
    }
    for (uint32_t ref = 0; t->version == 2 && ref < GNTTAB_NR_RESERVED_ENTRIES; ref++) {
        struct said e = entry_says(t, ref);
        bool is_page = (e.flags & GTF_type_mask) != GTF_transitive && !(e.flags & GTF_sub_page) &&
                       (e.flags & (uint16_t) ~(GTF_reading | GTF_writing));

        if (word_wanted(d, ref) == 0 && is_page && e.frame > UINT32_MAX) {
            return -ERANGE;
        }
    }
    return 0;
}

static void step_version(void)
{
    unsigned int d = below(NR_DOMAINS);
    uint32_t version = 1 + below(2), old = domains[d]->grant->version;
    int wanted = version_wanted(d, version);

    MUST(grant_set_version(domains[d], version) == wanted);
    MUST(domains[d]->grant->version == (wanted == 0 ? version : old));
    if (wanted == 0 && version != old) {
        model_counts.changed++;
        for (uint32_t ref = GNTTAB_NR_RESERVED_ENTRIES; ref < NR_REFS; ref++) {
            MUST(entry_says(domains[d]->grant, ref).flags == 0);
        }
    }
}

static void step_swap(void)
{
    unsigned int d = below(NR_DOMAINS);
    const struct grant_table *t = domains[d]->grant;
    uint32_t a = some_ref(), b = some_ref();
    uint64_t nr = t->nr_frames * (t->version == 1 ? GRANT_V1_PER_FRAME : GRANT_V2_PER_FRAME);
    struct said before = { 0 };
    int wanted = GNTST_okay;

    if (a >= nr || b >= nr) {
        wanted = GNTST_bad_gntref;
    } else if (a != b && (word_wanted(d, a) | word_wanted(d, b))) {
        wanted = GNTST_eagain;
    } else {
        before = entry_says(t, a);
    }
    MUST(grant_swap(domains[d], a, b) == wanted);
    if (wanted == GNTST_okay) {
        struct said after = entry_says(t, b);

        MUST(after.flags == before.flags && after.frame == before.frame);
        model_counts.swapped++;
    }
}

static void step_grow(void)
{
    unsigned int d = below(NR_DOMAINS);
    uint32_t nr = below(MAX_FRAMES + 2);

    MUST((grant_grow(domains[d], nr) == 0) == (nr <= MAX_FRAMES));
}

/* A borrower dies: all that it has goes, in steps; then it is there anew. */
static void step_death(void)
{
    unsigned int d = below(NR_DOMAINS);
    struct domain *dom = domains[d];

    if (below(8) != 0) {
        return;
    }
    for (unsigned int i = 0; i < NR_USES; i++) {
        if (uses[i].is_used && uses[i].user == d && !uses[i].is_handle) {
            grant_unpin(domains[uses[i].granter], uses[i].ref, uses[i].is_write);
            uses[i].is_used = false;
        }
    }
    dom->life = DOMAIN_DYING;
    MUST(grant_pin(dom, 0, 0, false, NULL) == GNTST_general_error);
    machine_preempt_in = below(3);
    while (grant_part.destroy_step(dom) != 0) {
    }
    for (unsigned int i = 0; i < NR_USES; i++) {
        uses[i].is_used &= uses[i].user != d;
    }
    MUST(grant_tracks_used(dom->grant) == 0);
    dom->grant->drained = 0;
    dom->life = DOMAIN_ALIVE;
    model_counts.died++;
}

/* ---- the run ---- */

static void (*const steps[])(void) = { step_map,         step_map,         step_unmap,
                                       step_unmap,       step_pin,         step_unpin,
                                       step_version,     step_swap,        step_write_entry,
                                       step_write_entry, step_write_entry, step_type,
                                       step_grow,        step_death };

void model_step(void)
{
    steps[below(ARRAY_SIZE(steps))]();
    check_entries();
    check_frames();
    check_handles();
}

void model_begin(model_source *next, void *from)
{
    static const struct domain_config config = { .max_grant_frames = MAX_FRAMES,
                                                 .max_maptrack_frames = MAX_TRACKS };

    next_number = next;
    numbers = from;
    memset(uses, 0, sizeof(uses));
    if (nr_frames_max == 0) {
        machine_init();
    }
    for (unsigned int d = 0; d < NR_DOMAINS; d++) {
        domains[d] = machine_domain((domid_t)(d + 1), 1);
        domains[d]->refs = 1;
        MUST(grant_part.create(domains[d], &config) == 0);
        for (unsigned int i = 0; i < NR_FRAMES; i++) {
            own[d][i] = memory_alloc(domains[d], 0, 0, ALLOC_ZERO).n;
        }
        base_refs[d] = domains[d]->refs;
    }
}

void model_end(void)
{
    for (unsigned int i = 0; i < NR_USES; i++) {
        struct use *u = &uses[i];
        struct grant_mapping m;

        if (u->is_used && u->is_handle) {
            MUST(grant_unmap_begin(domains[u->user], u->handle, &m) == GNTST_okay);
            m.left = 0;
            grant_unmap_end(domains[u->user], &m, 1);
        } else if (u->is_used) {
            grant_unpin(domains[u->granter], u->ref, u->is_write);
        }
        u->is_used = false;
    }
    check_entries();
    check_frames();
    check_handles();
    for (unsigned int d = 0; d < NR_DOMAINS; d++) {
        grant_part.free(domains[d]);
        for (unsigned int i = 0; i < NR_FRAMES; i++) {
            struct frame *f = frame_of(MFN(own[d][i]));

            if (frame_type(f) == FT_L1) {
                f->type = 0;
            }
            MUST(memory_free(domains[d], MFN(own[d][i])) == 0);
        }
        machine_domain_free(domains[d]);
    }
}
