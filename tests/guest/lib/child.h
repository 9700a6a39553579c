/* SPDX-License-Identifier: MIT */
/*
 * A second domain.  A guest that is the control domain makes others of its own
 * image: a child has the same code at the same addresses, the data as they are
 * when it is made, a bss of zeroes, memory and page tables of its own, and
 * begins in a function of the test's:
 *
 *     static void answer(uint64_t arg)
 *     {
 *         child_box[0] = arg + 1;
 *     }
 *
 *     static struct child child;
 *     ...
 *     EXPECT(child_create(&child, 1, answer, 41), 0);
 *     child_unpause(&child);
 *     EXPECT(child_wait(&child), SHUTDOWN_poweroff);
 *     EXPECT(child.box[0], 42);
 *     EXPECT(child_destroy(&child), 0);
 *
 * In the child all of this library works: pages, traps, event channels, further
 * vCPUs by cpu_start() (user mode after user_init()).  What it prints goes
 * nowhere; what it has to tell goes into child_box, a page that its maker sees
 * as child.box.  When its function returns it shuts down with SHUTDOWN_poweroff.
 *
 * One child takes some 5 MiB, most of it the library's pool of pages.
 */
#pragma once

#include "guest.h"

#include <xen/domctl.h>

#define CHILD_PAGES_MAX 2048ul
#define CHILD_BOX_WORDS (PAGE_SIZE / 8)

typedef void child_fn(uint64_t arg);

struct child {
    unsigned int domid;
    unsigned int slot;             /* which page of the window its box is in */
    volatile uint64_t *box;        /* the child's child_box; not after child_destroy() */
    uint64_t shared_info_mfn;      /* its shared_info's frame */
    uint64_t nr_pages;             /* it has pages CHILD_FIRST_PFN to nr_pages - 1 */
    uint64_t p2m[CHILD_PAGES_MAX]; /* its frames by page number */
};

#define CHILD_FIRST_PFN 0x100ul /* the image begins at 1 MiB */

/* The page that child and maker share: the child's side. */
extern volatile uint64_t child_box[CHILD_BOX_WORDS];

/* Is this code run by a child? */
bool child_is_me(void);

/* Make a child with @nr_vcpus vCPUs, the first of which is about to run @fn(@arg); paused.
 * Returns the first error, and then nothing is left of it. */
long child_create(struct child *c, unsigned int nr_vcpus, child_fn *fn, uint64_t arg);

/* The same without memory and vCPU state: domctls createdomain and max_vcpus. */
long child_create_empty(struct child *c, unsigned int nr_vcpus);

/* What child_create() does then: the first vCPU is about to run @fn(@arg).  An error destroys it.
 */
long child_fill(struct child *c, child_fn *fn, uint64_t arg);

void child_unpause(struct child *c);

/* Wait, yielding, until it has shut down; returns the reason, or -1 when that takes 20 s. */
long child_wait(struct child *c);

/* Destroy it and wait until its number is free: 0, an error, or -EBUSY when it lives on as a
 * zombie. */
long child_destroy(struct child *c);

/* The child's frame behind @va of the image. */
uint64_t child_mfn(const struct child *c, const volatile void *va);

/* domctl @cmd on @domid, the rest of *@op given; and what it tells of a domain. */
long domctl(struct xen_domctl *op, unsigned int cmd, unsigned int domid);
long domctl_info(unsigned int domid, struct xen_domctl_getdomaininfo *info);

/* The machine's pages that nobody has, by sysctl physinfo; 0 when that fails. */
uint64_t machine_free_pages(void);

/* Map frame @mfn of domain @owner at @va, within the last 512 GiB below the window of children,
 * whose tables are made when missing; @flags 0 unmaps. */
long foreign_map(uint64_t va, uint64_t mfn, uint64_t flags, unsigned int owner);
#define FOREIGN_VA 0x18000000000ul /* slot 3: where tests may map others' frames */
