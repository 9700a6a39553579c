/* SPDX-License-Identifier: MIT */
/* Any bytes as a dom0 kernel: measured, opened, and every byte of every segment read. */
/* sources: hv/builder/image.c hv/builder/elf.c hv/builder/notes.c hv/builder/unpack.c */
/* sources: hv/lib/format.c hv/lib/string.c */
/* libs: -llzma -lzstd -llz4 -lz */
#include <stdlib.h>
#include <string.h>

#include "builder/image.h"

#define FUZZ_OUT_MAX (4u << 20) /* what a short input may claim to unpack to */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int read_segment(void *ctx, uint64_t gpa, const void *data, size_t data_bytes, size_t zeros)
{
    const uint8_t *p = data;
    uint8_t *sum = ctx;

    if (gpa + data_bytes + zeros > IMAGE_MAX_BYTES) {
        abort();
    }
    for (size_t i = 0; i < data_bytes; i++) {
        *sum ^= p[i];
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct kernel_image img;
    struct image_need need;
    struct image_error err = { { 0 } };
    struct arena scratch = { 0 }, out = { 0 };
    uint8_t sum = 0;

    if (image_measure(data, len, &need, &err) == 0) {
        scratch.len_bytes = need.scratch_bytes;
        out.len_bytes = min(need.out_bytes, (size_t)FUZZ_OUT_MAX);
        scratch.base = aligned_alloc(ARENA_ALIGN, align_up(scratch.len_bytes + 1, ARENA_ALIGN));
        out.base = aligned_alloc(ARENA_ALIGN, align_up(out.len_bytes + 1, ARENA_ALIGN));
        if (image_open(&img, data, len, &scratch, &out, &err) == 0) {
            if (image_load(&img, read_segment, &sum)) {
                abort();
            }
        } else if (err.text[0] == 0) {
            abort();
        }
        free(scratch.base);
        free(out.base);
    }
    return 0;
}
