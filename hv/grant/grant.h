/* SPDX-License-Identifier: MIT */
/*
 * Grant tables (<xen/grant_table.h>): a domain's list of frames that it lends
 * to others, and each domain's handles of what others lent to it.  The theory
 * is in pin.c (a lender's entries) and track.c (a borrower's handles).
 *
 * What goes wrong is told by GNTST_xxx, 0 is good.  No lock is held by the
 * callers unless said so.
 */
#pragma once

#include "domain/domain.h"
#include <xen/grant_table.h>

extern const struct domain_part grant_part;

/* ----- the table ----- */

/* How many frames the table has now and may have. */
void grant_size(const struct domain *d, uint32_t *nr_frames, uint32_t *max_nr_frames);

/*
 * Make the table of @d at least @nr frames.  Takes LOCK_RANK_GRANT.
 * -EINVAL: more than its limit.  -ENOMEM.
 */
int must_check grant_grow(struct domain *d, uint32_t nr);

/* The machine frame of the table's frame @index, which must be there. */
mfn_t grant_frame(const struct domain *d, uint32_t index);

/* 1 or 2; 0 at the moment when it changes. */
uint32_t grant_version(const struct domain *d);

/*
 * Give the table of @d @version, 1 or 2: all entries but the reserved ones are
 * empty then.  Takes LOCK_RANK_GRANT.
 *   -EBUSY   an entry is in use that is not reserved
 *   -ERANGE  a reserved entry has a frame number that version 1 cannot have
 *   -ENOSYS  the domain may not have this version
 *   -ENOMEM
 */
int must_check grant_set_version(struct domain *d, uint32_t version);

/* Frames of status that there are now, none in version 1; the machine frame of one of them. */
uint32_t grant_nr_status(const struct domain *d);
mfn_t grant_status_frame(const struct domain *d, uint32_t index);

/* Exchange the contents of two entries; GNTST_eagain: one is in use; GNTST_bad_gntref. */
int16_t must_check grant_swap(struct domain *d, grant_ref_t a, grant_ref_t b);

/* The debug key: what is used of each domain's limits. */
void grant_dump(void);

/* ----- a lender's entries ----- */

/* The part of a page that an entry lends, if it is only a part. */
struct grant_range {
    bool is_part;
    uint16_t offset, len;
};

/*
 * Let domain @user have the frame of @granter's entry @ref, until grant_unpin():
 * returns its number, and it stays allocated, and writable if @is_write.
 * @range: told if only a part is lent, and else left alone; NULL: all of the page must be.
 *   GNTST_bad_gntref      there is no such entry
 *   GNTST_general_error   it does not lend that to @user, is in use by another
 *                         domain, or too often; the lender is dying
 *   GNTST_bad_page        what it names is not a frame of the lender's
 */
int64_t must_check grant_pin_for_reading(struct domain *granter, grant_ref_t ref, domid_t user,
                                         struct grant_range *range);
int64_t must_check grant_pin_for_writing(struct domain *granter, grant_ref_t ref, domid_t user,
                                         struct grant_range *range);
void grant_unpin_for_reading(struct domain *granter, grant_ref_t ref);
void grant_unpin_for_writing(struct domain *granter, grant_ref_t ref);

static inline int64_t must_check grant_pin(struct domain *granter, grant_ref_t ref, domid_t user,
                                           bool is_write, struct grant_range *range)
{
    return is_write ? grant_pin_for_writing(granter, ref, user, range)
                    : grant_pin_for_reading(granter, ref, user, range);
}

static inline void grant_unpin(struct domain *granter, grant_ref_t ref, bool is_write)
{
    if (is_write) {
        grant_unpin_for_writing(granter, ref);
    } else {
        grant_unpin_for_reading(granter, ref);
    }
}

/* ----- a borrower's handles ----- */

#define GRANT_NO_HANDLE UINT32_MAX

/*
 * Pin entry @ref of @granter as @flags (GNTMAP_xxx) want it, and make a handle
 * for it, which is not good for unmapping until grant_map_end().  Returns the
 * frame's number.  With a handle goes the caller's reference to the granter.
 *   GNTST_no_space  the mapper has no handle left, or there is no memory
 *   others as grant_pin()
 */
int64_t must_check grant_map_begin(struct domain *mapper, struct domain *granter, grant_ref_t ref,
                                   uint32_t flags, grant_handle_t *handle);

/* The frames of these are mapped; those that are GRANT_NO_HANDLE are passed over. */
void grant_map_end(struct domain *mapper, const grant_handle_t *handles, uint32_t nr);

/* The frame of this one is not: all is given back, the reference to the granter too. */
void grant_map_undo(struct domain *mapper, grant_handle_t handle);

struct grant_mapping {
    struct domain *granter; /* NULL: there is no such handle */
    grant_ref_t ref;
    grant_handle_t handle;
    uint32_t flags; /* GNTMAP_xxx that are in force */
    uint32_t left;  /* those of them that shall stay: at first all */
    mfn_t mfn;
};

/*
 * Begin to end @handle: fills in all of @m.  Nobody else can, until
 * grant_unmap_end() of all @nr that were begun: a handle with neither
 * GNTMAP_host_map nor GNTMAP_device_map left is given back.
 *   GNTST_bad_handle  not a handle of @mapper's; to be passed over at the end
 */
int16_t must_check grant_unmap_begin(struct domain *mapper, grant_handle_t handle,
                                     struct grant_mapping *m);
void grant_unmap_end(struct domain *mapper, const struct grant_mapping *m, uint32_t nr);
