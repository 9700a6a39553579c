/* SPDX-License-Identifier: MIT */
/*
 * A dom0 kernel as the boot loader left it in memory: what is in the file, and
 * where it wants to be.  Nothing here touches a frame or a page table.
 *
 * Use: image_measure() tells how much memory unpacking takes, image_open()
 * unpacks and reads, image_load() hands out the parts for copying.  The module
 * and the output arena must stay as they are for as long as the image is used.
 */
#pragma once

#include "abi/xen.h"
#include "builder/arena.h"
#include "lib/compiler.h"
#include "lib/types.h"

#define IMAGE_MAX_SEGMENTS 16
#define IMAGE_MAX_BYTES    (512ul << 20) /* of a kernel, unpacked or loaded */

/* What is wrong with a kernel and what to do about it, in one sentence. */
struct image_error {
    char text[200];
};

struct image_segment {
    uint64_t gpa;       /* guest-physical address, bytes; pfn 0 is mapped at virt_base */
    uint64_t mem_bytes; /* >= file_bytes; what is beyond the file's part is zero */
    uint64_t file_offset;
    uint64_t file_bytes;
};

/* All of it constant after image_open(). */
struct kernel_image {
    const uint8_t *file; /* the ELF file: in the module or in the output arena */
    size_t file_bytes;
    uint32_t nr_segments;
    struct image_segment segments[IMAGE_MAX_SEGMENTS]; /* ascending, not overlapping */

    uint64_t notes_seen;         /* bit n: ELF note n was there */
    uint64_t entry;              /* virtual address of the first instruction */
    uint64_t virt_base;          /* virtual address of pfn 0, 2 MiB aligned */
    uint64_t paddr_offset;       /* what the file's physical addresses are too high by */
    uint64_t hypercall_page;     /* virtual address; only if the note was there */
    uint64_t init_p2m;           /* virtual address; only if the note was there */
    uint64_t hv_start_low;       /* lowest start of the hypervisor's range; only if there */
    uint64_t suspend_cancel;     /* not 0: a suspend may be called off */
    uint64_t mod_start_pfn;      /* not 0: the initrd need not be mapped */
    uint64_t l1_mfn_valid[2];    /* mask and value of a not-present L1 entry that holds a frame */
    uint32_t features_supported; /* XENFEAT_ bits */
    uint32_t features_required;  /* XENFEAT_ bits, a subset of the supported ones */
    char xen_version[16];
    char guest_os[24];
    char guest_version[16];
    char loader[16];

    uint64_t virt_start; /* of the loaded kernel, page aligned down */
    uint64_t virt_end;   /* page aligned up, bss included */
};

/* Whether the ELF note XEN_ELFNOTE_@note was in the file. */
static inline bool image_has_note(const struct kernel_image *img, unsigned int note)
{
    return img->notes_seen >> note & 1;
}

/* Memory for image_open(): both zero for a kernel that is not compressed. */
struct image_need {
    size_t scratch_bytes;
    size_t out_bytes;
};

/*
 * How much memory image_open() needs for the kernel at @module.  Trusts what
 * the file says of itself, within IMAGE_MAX_BYTES.  -EINVAL: no kernel we can
 * read, see @err.
 */
int must_check image_measure(const void *module, size_t len_bytes, struct image_need *need,
                             struct image_error *err);

/*
 * Recognise a bzImage or an ELF file, either of them compressed or not; unpack
 * it into @out with @scratch to work in, check it, and fill @img.
 * Where it is compressed the caller is between unpack_enter() and
 * unpack_leave().  -EINVAL: cannot be run as dom0, @err says why; -ENOMEM: an
 * arena is too small, @err has the figures.
 */
int must_check image_open(struct kernel_image *img, const void *module, size_t len_bytes,
                          struct arena *scratch, struct arena *out, struct image_error *err);

/*
 * Takes one stretch of the kernel: @data_bytes from @data to guest-physical
 * address @gpa on, then @zero_bytes of zeros.  Not 0 ends image_load().
 */
typedef int (*image_write_fn)(void *ctx, uint64_t gpa, const void *data, size_t data_bytes,
                              size_t zero_bytes);

/* Call @write for every segment, in ascending order; returns 0 or what @write did. */
int must_check image_load(const struct kernel_image *img, image_write_fn write, void *ctx);

/* Below: between the files that read kernels. */

/* Write a sentence to @err; returns -EINVAL. */
int image_refuse(struct image_error *err, const char *fmt, ...) printf_like(2, 3);

/* Read headers, segments and notes of the ELF file at img->file.  -EINVAL as image_open(). */
int must_check image_read_elf(struct kernel_image *img, struct image_error *err);

/*
 * Take in the notes of one note segment at @notes; those of another owner or
 * of unknown type are passed over.  -EINVAL: malformed.
 */
int must_check image_read_notes(struct kernel_image *img, const uint8_t *notes, size_t len_bytes,
                                struct image_error *err);

/* Whether what the notes say can be run as dom0 by us.  -EINVAL: no. */
int must_check image_check_notes(struct kernel_image *img, struct image_error *err);
