/* SPDX-License-Identifier: MIT */
/*
 * The two versions of a table: its frames of status, changing from one version
 * to the other, and exchanging entries.
 *
 * Frames of status stay until the domain goes, also after a change back to
 * version 1: nothing that a guest may have mapped moves or goes away.
 *
 * A change needs all entries to be out of use but the reserved ones, which the
 * toolstack fills before the guest can choose a version; these are carried over,
 * with their users.  It sets the version to 0, looks at all active words, and
 * holds those of the reserved entries locked while it rewrites the table.
 * Whoever comes meanwhile waits for a version (pin.c, lock_entry()).
 */
#include "grant/internal.h"

#include "lib/string.h"
#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/log.h"

static inline uint32_t status_frames(uint32_t nr_frames)
{
    return (nr_frames + GRANT_STATUS_PER_FRAME / GRANT_V2_PER_FRAME - 1) /
           (uint32_t)(GRANT_STATUS_PER_FRAME / GRANT_V2_PER_FRAME);
}

static inline size_t status_bytes(const struct grant_table *t)
{
    return status_frames(t->max_frames) * sizeof(t->status[0]);
}

int grant_status_grow(struct domain *d, uint32_t nr_frames)
{
    struct grant_table *t = d->grant;

    if (t->status == NULL) {
        t->status = heap_alloc(status_bytes(t));
    }
    while (t->status != NULL && t->nr_status < status_frames(nr_frames)) {
        void *page = page_alloc_hv();

        if (page == NULL) {
            return -ENOMEM;
        }
        frame_share(page, d->id, true);
        t->status[t->nr_status] = page;
        __atomic_store_n(&t->nr_status, t->nr_status + 1, __ATOMIC_RELEASE);
    }
    return t->status != NULL ? 0 : -ENOMEM;
}

void grant_status_free(struct grant_table *t)
{
    for (uint32_t i = 0; i < t->nr_status; i++) {
        frame_unshare(t->status[i]);
    }
    if (t->status != NULL) {
        heap_free(t->status, status_bytes(t));
    }
}

uint32_t grant_nr_status(const struct domain *d)
{
    return READ_ONCE(d->grant->version) == 2 ? READ_ONCE(d->grant->nr_status) : 0;
}

mfn_t grant_status_frame(const struct domain *d, uint32_t index)
{
    return virt_to_mfn(d->grant->status[index]);
}

/* --------------------------------------------------------------- changes -- */

/* The reserved entries while the table is rewritten: locked words, and what they lend. */
struct kept {
    uint64_t words[GNTTAB_NR_RESERVED_ENTRIES];
    union grant_entry_v2 entries[GNTTAB_NR_RESERVED_ENTRIES];
};

/* Is an entry in use that is not reserved?  The version is 0, so none will be. */
static bool is_in_use(const struct grant_table *t)
{
    for (uint32_t i = 0; i < t->nr_frames; i++) {
        uint64_t *words = t->pages[i].active;
        uint32_t j = i == 0 ? GNTTAB_NR_RESERVED_ENTRIES : 0;

        for (; j < GRANT_V1_PER_FRAME; j++) {
            if (unlikely(READ_ONCE(words[j]) != 0)) {
                uint64_t word = grant_lock_word(&words[j]);

                grant_unlock_word(&words[j], word);
                if (word != 0) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* Flags of the lender's own, and the frame: in use, it is not what the entry says, but what it
 * said. */
static void keep_entry(struct kept *k, unsigned int i, uint16_t flags, domid_t domid,
                       uint64_t frame)
{
    uint64_t word = k->words[i];

    k->entries[i] = (union grant_entry_v2){
        .full_page = { .hdr = { .flags = flags & (uint16_t) ~(GTF_reading | GTF_writing),
                                .domid = domid },
                       .frame = word & ACTIVE_COUNTS ? word & ACTIVE_MFN : frame }
    };
}

/* Read and check the reserved entries: -ERANGE, one cannot be said in version 1. */
static int keep_all(const struct grant_table *t, uint32_t version, struct kept *k)
{
    for (unsigned int i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        if (version == 1) {
            const struct grant_entry_v1 *e = grant_entry_v1(t, i);

            keep_entry(k, i, READ_ONCE(e->flags), READ_ONCE(e->domid), READ_ONCE(e->frame));
        } else {
            const union grant_entry_v2 *e = grant_entry_v2(t, i);
            uint16_t flags = READ_ONCE(e->hdr.flags);

            if ((flags & GTF_type_mask) == GTF_transitive || (flags & GTF_sub_page)) {
                flags = GTF_invalid; /* version 1 does not know these */
            }
            keep_entry(k, i, flags, READ_ONCE(e->hdr.domid),
                       flags ? READ_ONCE(e->full_page.frame) : 0);
            if (k->entries[i].full_page.frame > UINT32_MAX) {
                return -ERANGE;
            }
        }
    }
    return 0;
}

/* Nothing but the reserved entries is left, as @version has them. */
static void rewrite(const struct grant_table *t, uint32_t version, const struct kept *k)
{
    for (uint32_t i = 0; i < t->nr_frames; i++) {
        memset(t->pages[i].shared, 0, PAGE_SIZE);
    }
    for (uint32_t i = 0; i < t->nr_status; i++) {
        memset(t->status[i], 0, PAGE_SIZE);
    }
    for (unsigned int i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        const union grant_entry_v2 *from = &k->entries[i];
        uint16_t bits = grant_bits_of(k->words[i]);

        if (version == 2) {
            *grant_entry_v2(t, i) = *from;
            *grant_status(t, i) = bits;
        } else {
            *grant_entry_v1(t, i) =
                (struct grant_entry_v1){ .flags = from->hdr.flags | bits,
                                         .domid = from->hdr.domid,
                                         .frame = (uint32_t)from->full_page.frame };
        }
    }
}

static int change(struct grant_table *t, uint32_t version)
{
    uint32_t old = t->version;
    struct kept k;
    int rc;

    __atomic_store_n(&t->version, 0, __ATOMIC_SEQ_CST);
    rc = is_in_use(t) ? -EBUSY : 0;
    for (unsigned int i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        k.words[i] = grant_lock_word(grant_active(t, i));
    }
    if (rc == 0) {
        rc = keep_all(t, old, &k);
    }
    if (rc == 0) {
        rewrite(t, version, &k);
    }
    __atomic_store_n(&t->version, rc == 0 ? version : old, __ATOMIC_RELEASE);
    for (unsigned int i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        grant_unlock_word(grant_active(t, i), k.words[i]);
    }
    return rc;
}

int grant_set_version(struct domain *d, uint32_t version)
{
    struct grant_table *t = d->grant;
    int rc = 0;

    if (version > t->max_version) {
        log_guest(d->id, "asks for grant tables of version %u, its limit is %u", version,
                  t->max_version);
        return -ENOSYS;
    }
    spin_lock(&t->lock);
    if (version != t->version) {
        rc = version == 2 ? grant_status_grow(d, t->nr_frames) : 0;
        rc = rc == 0 ? change(t, version) : rc;
    }
    spin_unlock(&t->lock);
    if (rc != 0) {
        log_guest(d->id, "its grant table cannot get version %u (error %d)", version, -rc);
    }
    return rc;
}

/* ------------------------------------------------------------------ swap -- */

static void swap_entries(const struct grant_table *t, grant_ref_t a, grant_ref_t b)
{
    if (t->version == 1) {
        struct grant_entry_v1 kept = *grant_entry_v1(t, a);

        *grant_entry_v1(t, a) = *grant_entry_v1(t, b);
        *grant_entry_v1(t, b) = kept;
    } else {
        union grant_entry_v2 kept = *grant_entry_v2(t, a);

        *grant_entry_v2(t, a) = *grant_entry_v2(t, b);
        *grant_entry_v2(t, b) = kept;
    }
}

static int16_t swap_locked(const struct grant_table *t, grant_ref_t a, grant_ref_t b)
{
    uint64_t word_a = grant_lock_word(grant_active(t, a));
    uint64_t word_b = grant_lock_word(grant_active(t, b));
    int16_t status = GNTST_eagain;

    if (word_a == 0 && word_b == 0) {
        swap_entries(t, a, b);
        status = GNTST_okay;
    }
    grant_unlock_word(grant_active(t, b), word_b);
    grant_unlock_word(grant_active(t, a), word_a);
    return status;
}

int16_t grant_swap(struct domain *d, grant_ref_t a, grant_ref_t b)
{
    struct grant_table *t = d->grant;
    int16_t status = GNTST_okay;
    uint64_t nr;

    spin_lock(&t->lock); /* so the version stays */
    nr = t->nr_frames * (t->version == 1 ? GRANT_V1_PER_FRAME : GRANT_V2_PER_FRAME);
    if (a >= nr || b >= nr) {
        status = GNTST_bad_gntref;
    } else if (a != b) {
        status = swap_locked(t, (grant_ref_t)array_index_nospec(min(a, b), nr),
                             (grant_ref_t)array_index_nospec(max(a, b), nr));
    }
    spin_unlock(&t->lock);
    if (status != GNTST_okay) {
        log_guest(d->id, "grants %u and %u cannot be swapped (status %d)", a, b, status);
    }
    return status;
}
