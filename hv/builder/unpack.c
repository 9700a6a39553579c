/* SPDX-License-Identifier: MIT */
/*
 * Unpacking of compressed kernels: one row of a table a format, and one
 * function each that drives its library over a whole stream in memory.
 *
 * Every library gets its memory from the caller's scratch arena, through
 * whatever it offers for that purpose; their own malloc() gives nothing.
 * A kernel carries its unpacked size in the last four bytes of the packed
 * payload.  For gzip they are part of the stream, for the others they follow
 * it.  Memory is measured by them, so they are checked in the end.
 */
#include "builder/unpack.h"

#include <lz4.h>
#include <lzma.h>
#define ZLIB_CONST
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "lib/string.h"

#define KIB                1024ul
#define MIB                (1024ul * KIB)
#define GZIP_SCRATCH       (64 * KIB)
#define XZ_SLACK           (64 * KIB) /* beside the dictionary: coders and filters */
#define XZ_MAX_SCRATCH     (72 * MIB) /* a dictionary of 64 MiB */
#define XZ_HEADER_SCRATCH  (2 * KIB)
#define LZ4_LEGACY_MAGIC   0x184c2102u
#define LZ4_CHUNK_UNPACKED (8 * MIB) /* every chunk but the last unpacks to this */
#define UNSIZED_RATIO      16        /* memory for a stream that does not tell its size */

struct unpack_job {
    const uint8_t *data; /* the stream, without the size that follows it */
    size_t len_bytes;
    struct arena *scratch;
    uint8_t *out;
    size_t out_max;
    size_t out_bytes;   /* result */
    const char *format; /* for messages */
    struct image_error *err;
};

struct unpack_format {
    const char *name;
    uint8_t magic[6];
    uint8_t magic_bytes;
    bool size_inside; /* the four bytes of the size belong to the stream */
    int (*scratch_bytes)(const struct unpack_job *job, size_t *bytes); /* NULL: not supported */
    int (*decode)(struct unpack_job *job);
};

static uint32_t load_le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int __init job_damaged(struct unpack_job *job, const char *how)
{
    return image_refuse(job->err, "dom0 kernel: its %s data is damaged (%s): install it again",
                        job->format, how);
}

static int __init job_out_full(struct unpack_job *job)
{
    image_refuse(job->err,
                 "dom0 kernel: unpacks to more than the %zu KiB set aside for it: it is damaged, "
                 "or the machine has too little memory",
                 job->out_max / KIB);
    return -ENOMEM;
}

static int __init job_scratch_full(struct unpack_job *job)
{
    image_refuse(job->err, "dom0 kernel: unpacking %s data takes more than the %zu KiB set aside",
                 job->format, job->scratch->len_bytes / KIB);
    return -ENOMEM;
}

static voidpf __init gzip_alloc(voidpf arena, uInt items, uInt size)
{
    return arena_take(arena, (size_t)items * size);
}

static void __init gzip_free(voidpf arena, voidpf memory)
{
    (void)arena;
    (void)memory;
}

static int __init gzip_scratch(const struct unpack_job *job, size_t *bytes)
{
    (void)job;
    *bytes = GZIP_SCRATCH;
    return 0;
}

static int __init gzip_decode(struct unpack_job *job)
{
    z_stream z = {
        .next_in = job->data,
        .avail_in = (uInt)min(job->len_bytes, (size_t)UINT32_MAX),
        .next_out = job->out,
        .avail_out = (uInt)min(job->out_max, (size_t)UINT32_MAX),
        .zalloc = gzip_alloc,
        .zfree = gzip_free,
        .opaque = job->scratch,
    };
    int rc = inflateInit2(&z, MAX_WBITS + 16); /* 16: a gzip header and trailer, checked */

    if (rc == Z_OK) {
        rc = inflate(&z, Z_FINISH);
    }
    if (rc == Z_MEM_ERROR) {
        return job_scratch_full(job);
    }
    if (rc != Z_STREAM_END) {
        return z.avail_out == 0 ? job_out_full(job) : job_damaged(job, z.msg ? z.msg : "cut short");
    }
    job->out_bytes = z.total_out;
    return 0;
}

static void *__init xz_alloc(void *arena, size_t items, size_t size)
{
    return size && items > SIZE_MAX / size ? NULL : arena_take(arena, items * size);
}

static void __init xz_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

/* CRC64 has a table of functions in the library that only a start-up routine of a C program fills.
 */
static int __init xz_check_kind(const struct unpack_job *job, lzma_check *check)
{
    lzma_stream_flags flags;

    if (job->len_bytes < LZMA_STREAM_HEADER_SIZE + LZMA_BLOCK_HEADER_SIZE_MIN ||
        lzma_stream_header_decode(&flags, job->data) != LZMA_OK) {
        return image_refuse(job->err, "dom0 kernel: its xz header is damaged: install it again");
    }
    if (flags.check != LZMA_CHECK_NONE && flags.check != LZMA_CHECK_CRC32) {
        return image_refuse(job->err,
                            "dom0 kernel: its xz data has an integrity check of type %d: pack it "
                            "with `xz --check=crc32`",
                            (int)flags.check);
    }
    *check = flags.check;
    return 0;
}

static int __init xz_scratch(const struct unpack_job *job, size_t *bytes)
{
    uint8_t memory[XZ_HEADER_SCRATCH] aligned(ARENA_ALIGN);
    struct arena arena = { .base = memory, .len_bytes = sizeof(memory) };
    lzma_allocator allocator = { .alloc = xz_alloc, .free = xz_free, .opaque = &arena };
    const uint8_t *header = job->data + LZMA_STREAM_HEADER_SIZE;
    lzma_filter filters[LZMA_FILTERS_MAX + 1];
    lzma_block block = { .filters = filters };
    uint64_t usage;
    int rc = xz_check_kind(job, &block.check);

    if (rc) {
        return rc;
    }
    block.header_size = lzma_block_header_size_decode(*header);
    if (*header == 0 || block.header_size > job->len_bytes - LZMA_STREAM_HEADER_SIZE ||
        lzma_block_header_decode(&block, &allocator, header) != LZMA_OK) {
        return image_refuse(job->err, "dom0 kernel: its xz block header is damaged");
    }
    usage = lzma_raw_decoder_memusage(filters);
    if (usage > XZ_MAX_SCRATCH) {
        return image_refuse(job->err,
                            "dom0 kernel: its xz data takes %llu MiB to unpack, %lu MiB are the "
                            "most: pack it with `xz --lzma2=dict=32MiB`",
                            (unsigned long long)(usage / MIB), XZ_MAX_SCRATCH / MIB);
    }
    *bytes = usage + XZ_SLACK;
    return 0;
}

static int __init xz_decode(struct unpack_job *job)
{
    lzma_allocator allocator = { .alloc = xz_alloc, .free = xz_free, .opaque = job->scratch };
    uint64_t limit = XZ_MAX_SCRATCH + XZ_SLACK;
    size_t in_pos = 0;
    lzma_check check;
    lzma_ret ret;
    int rc = xz_check_kind(job, &check);

    if (rc) {
        return rc;
    }
    ret = lzma_stream_buffer_decode(&limit, 0, &allocator, job->data, &in_pos, job->len_bytes,
                                    job->out, &job->out_bytes, job->out_max);
    switch (ret) {
    case LZMA_OK:
        return 0;
    case LZMA_MEM_ERROR:
    case LZMA_MEMLIMIT_ERROR:
        return job_scratch_full(job);
    case LZMA_BUF_ERROR:
        return job_out_full(job);
    case LZMA_OPTIONS_ERROR:
        return job_damaged(job, "or it uses filters this hypervisor does not know");
    default:
        return job_damaged(job, "the stream ends early or its checksum is wrong");
    }
}

static int __init zstd_scratch(const struct unpack_job *job, size_t *bytes)
{
    (void)job;
    *bytes = ZSTD_estimateDCtxSize() + ARENA_ALIGN;
    return 0;
}

static int __init zstd_decode(struct unpack_job *job)
{
    size_t want = ZSTD_estimateDCtxSize();
    void *memory = arena_take(job->scratch, want);
    size_t frame = ZSTD_findFrameCompressedSize(job->data, job->len_bytes);
    size_t done;

    if (memory == NULL) {
        return job_scratch_full(job);
    }
    if (ZSTD_isError(frame)) {
        return job_damaged(job, "the frame has no end");
    }
    done = ZSTD_decompressDCtx(ZSTD_initStaticDCtx(memory, want), job->out, job->out_max, job->data,
                               frame);
    if (ZSTD_isError(done)) {
        return ZSTD_getErrorCode(done) == ZSTD_error_dstSize_tooSmall
                   ? job_out_full(job)
                   : job_damaged(job, ZSTD_getErrorName(done));
    }
    job->out_bytes = done;
    return 0;
}

static int __init lz4_scratch(const struct unpack_job *job, size_t *bytes)
{
    (void)job;
    *bytes = 0;
    return 0;
}

/* The magic number, then chunks, each headed by its packed length, to the end of the data. */
static int __init lz4_decode(struct unpack_job *job)
{
    size_t pos = sizeof(uint32_t);

    job->out_bytes = 0;
    while (job->len_bytes - pos >= sizeof(uint32_t)) {
        uint32_t packed_bytes = load_le32(job->data + pos);
        size_t room = min(job->out_max - job->out_bytes, LZ4_CHUNK_UNPACKED);
        int done;

        pos += sizeof(uint32_t);
        if (packed_bytes == LZ4_LEGACY_MAGIC) {
            continue; /* another stream follows directly */
        }
        if (packed_bytes == 0 || packed_bytes > job->len_bytes - pos ||
            packed_bytes > LZ4_COMPRESSBOUND(LZ4_CHUNK_UNPACKED)) {
            return job_damaged(job, "the length of a chunk");
        }
        done = LZ4_decompress_safe((const char *)job->data + pos, (char *)job->out + job->out_bytes,
                                   (int)packed_bytes, (int)room);
        if (done < 0) {
            return room < LZ4_CHUNK_UNPACKED ? job_out_full(job) : job_damaged(job, "a chunk");
        }
        job->out_bytes += (size_t)done;
        pos += packed_bytes;
    }
    return 0;
}

static const struct unpack_format formats[] = {
    { "gzip", { 0x1f, 0x8b }, 2, true, gzip_scratch, gzip_decode },
    { "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, false, xz_scratch, xz_decode },
    { "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, false, zstd_scratch, zstd_decode },
    { "lz4", { 0x02, 0x21, 0x4c, 0x18 }, 4, false, lz4_scratch, lz4_decode },
    { "framed lz4", { 0x04, 0x22, 0x4d, 0x18 }, 4, false, NULL, NULL },
    { "bzip2", { 'B', 'Z', 'h' }, 3, false, NULL, NULL },
    { "lzma", { 0x5d, 0, 0 }, 3, false, NULL, NULL },
    { "lzo", { 0x89, 'L', 'Z', 'O', 0 }, 5, false, NULL, NULL },
};

static const struct unpack_format *__init format_of(const uint8_t *data, size_t len_bytes)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        if (len_bytes >= formats[i].magic_bytes &&
            memcmp(data, formats[i].magic, formats[i].magic_bytes) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}

bool __init unpack_is_packed(const uint8_t *data, size_t len_bytes)
{
    return format_of(data, len_bytes) != NULL;
}

/* Set up @job for @in; *@told is the unpacked size the file tells, or 0. */
static int __init job_begin(struct unpack_job *job, const struct unpack_input *in,
                            const struct unpack_format **format, size_t *told,
                            struct image_error *err)
{
    const struct unpack_format *f = format_of(in->data, in->len_bytes);

    if (f == NULL || f->decode == NULL) {
        return image_refuse(err,
                            "dom0 kernel: it is packed with %s, which is not supported: use one "
                            "packed with xz, zstd, gzip or lz4",
                            f ? f->name : "something unknown");
    }
    *job = (struct unpack_job){ in->data, in->len_bytes, .format = f->name, .err = err };
    *told = 0;
    if (in->has_size || f->size_inside) {
        if (in->len_bytes < f->magic_bytes + sizeof(uint32_t)) {
            return job_damaged(job, "cut short");
        }
        *told = load_le32(in->data + in->len_bytes - sizeof(uint32_t));
        job->len_bytes -= f->size_inside ? 0 : sizeof(uint32_t);
    }
    *format = f;
    return 0;
}

int __init unpack_measure(const struct unpack_input *in, struct image_need *need,
                          struct image_error *err)
{
    const struct unpack_format *format;
    struct unpack_job job;
    size_t told;
    int rc = job_begin(&job, in, &format, &told, err);

    if (rc) {
        return rc;
    }
    if (told > IMAGE_MAX_BYTES) {
        return image_refuse(err,
                            "dom0 kernel: it says that it unpacks to %zu MiB, %lu MiB are the "
                            "most: it is damaged",
                            told / MIB, IMAGE_MAX_BYTES / MIB);
    }
    need->out_bytes = told ? told : min(in->len_bytes * UNSIZED_RATIO, IMAGE_MAX_BYTES);
    return format->scratch_bytes(&job, &need->scratch_bytes);
}

int __init unpack(const struct unpack_input *in, struct arena *scratch, struct arena *out,
                  size_t *out_bytes, struct image_error *err)
{
    const struct unpack_format *format;
    struct unpack_job job;
    size_t told;
    int rc = job_begin(&job, in, &format, &told, err);

    if (rc) {
        return rc;
    }
    job.scratch = scratch;
    job.out = out->base;
    job.out_max = out->len_bytes;
    rc = format->decode(&job);
    if (rc) {
        return rc;
    }
    if (told && told != job.out_bytes) {
        return image_refuse(err,
                            "dom0 kernel: it says that it unpacks to %zu bytes, and unpacks to "
                            "%zu: it is damaged, install it again",
                            told, job.out_bytes);
    }
    out->used_bytes = job.out_bytes;
    *out_bytes = job.out_bytes;
    return 0;
}
