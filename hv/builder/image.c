/* SPDX-License-Identifier: MIT */
/*
 * The outer shells of a dom0 kernel.  A bzImage (boot protocol 2.08 and later)
 * is a real-mode part of setup_sects + 1 sectors, then protected-mode code,
 * inside which the packed or plain ELF file lies at payload_offset.  A module
 * may also be the ELF file itself, packed or not.  Inside all of them is the
 * ELF file that elf.c and notes.c read.
 */
#include "builder/image.h"

#include <elf.h>
#include <stdarg.h>

#include "builder/unpack.h"
#include "lib/format.h"
#include "lib/string.h"

/* Offsets in the first sector of a bzImage: Linux' Documentation/x86/boot.rst. */
#define BZ_SETUP_SECTS    0x1f1
#define BZ_MAGIC          0x202 /* "HdrS" */
#define BZ_VERSION        0x206
#define BZ_PAYLOAD_OFFSET 0x248
#define BZ_PAYLOAD_LENGTH 0x24c
#define BZ_HEADER_END     0x250
#define BZ_SECTOR         512u
#define BZ_OLD_SECTS      4     /* what a zero in setup_sects means */
#define BZ_MIN_VERSION    0x208 /* the first with a payload's place in it */

int __init image_refuse(struct image_error *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    format_vstring(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return -EINVAL;
}

static uint32_t __init load_le(const uint8_t *p, size_t bytes)
{
    uint32_t value = 0;

    memcpy(&value, p, bytes);
    return value;
}

/* Where the ELF file is in @module, as it lies there. */
static int __init find_payload(const uint8_t *module, size_t len_bytes, struct unpack_input *in,
                               struct image_error *err)
{
    uint64_t offset;
    uint32_t version, sects;

    *in = (struct unpack_input){ .data = module, .len_bytes = len_bytes };
    if (len_bytes < BZ_HEADER_END || memcmp(module + BZ_MAGIC, "HdrS", 4) != 0) {
        return 0;
    }
    version = load_le(module + BZ_VERSION, 2);
    if (version < BZ_MIN_VERSION) {
        return image_refuse(err,
                            "dom0 kernel: a bzImage of boot protocol %x.%02x, too old to tell "
                            "where its kernel is: use Linux 2.6.26 or later",
                            version >> 8, version & 0xff);
    }
    sects = module[BZ_SETUP_SECTS] ? module[BZ_SETUP_SECTS] : BZ_OLD_SECTS;
    offset = (sects + 1ull) * BZ_SECTOR + load_le(module + BZ_PAYLOAD_OFFSET, 4);
    in->len_bytes = load_le(module + BZ_PAYLOAD_LENGTH, 4);
    in->has_size = true;
    if (offset > len_bytes || in->len_bytes > len_bytes - offset) {
        return image_refuse(err,
                            "dom0 kernel: the payload at %llu of %zu bytes ends beyond the file "
                            "of %zu bytes: it was cut short, install it again",
                            (unsigned long long)offset, in->len_bytes, len_bytes);
    }
    in->data = module + offset;
    return 0;
}

static bool __init is_elf(const struct unpack_input *in)
{
    return in->len_bytes >= SELFMAG && memcmp(in->data, ELFMAG, SELFMAG) == 0;
}

/* Find the ELF file or what it is packed in. */
static int __init find_kernel(const void *module, size_t len_bytes, struct unpack_input *in,
                              struct image_error *err)
{
    int rc = find_payload(module, len_bytes, in, err);

    if (rc == 0 && !is_elf(in) && !unpack_is_packed(in->data, in->len_bytes)) {
        rc = image_refuse(err,
                          "dom0 kernel: the first module (%zu bytes) is no bzImage and no ELF "
                          "file: give a Linux kernel as the first module",
                          len_bytes);
    }
    return rc;
}

int __init image_measure(const void *module, size_t len_bytes, struct image_need *need,
                         struct image_error *err)
{
    struct unpack_input in;
    int rc = find_kernel(module, len_bytes, &in, err);

    *need = (struct image_need){ 0 };
    if (rc || is_elf(&in)) {
        return rc;
    }
    return unpack_measure(&in, need, err);
}

int __init image_open(struct kernel_image *img, const void *module, size_t len_bytes,
                      struct arena *scratch, struct arena *out, struct image_error *err)
{
    struct unpack_input in;
    int rc = find_kernel(module, len_bytes, &in, err);

    if (rc) {
        return rc;
    }
    *img = (struct kernel_image){ .file = in.data, .file_bytes = in.len_bytes };
    if (!is_elf(&in)) {
        img->file = out->base;
        rc = unpack(&in, scratch, out, &img->file_bytes, err);
        if (rc) {
            return rc;
        }
    }
    return image_read_elf(img, err);
}

int __init image_load(const struct kernel_image *img, image_write_fn write, void *ctx)
{
    for (uint32_t i = 0; i < img->nr_segments; i++) {
        const struct image_segment *s = &img->segments[i];
        int rc = write(ctx, s->gpa, img->file + s->file_offset, s->file_bytes,
                       s->mem_bytes - s->file_bytes);

        if (rc) {
            return rc;
        }
    }
    return 0;
}
