/* SPDX-License-Identifier: MIT */
/*
 * Unpacking of compressed kernels with Debian's own static libraries.
 *
 * The libraries use SSE registers and read a stack guard at %fs:0x28; the
 * hypervisor itself does neither.  unpack_enter() makes the CPU ready for them
 * and unpack_leave() undoes it.
 */
#pragma once

#include "builder/arena.h"
#include "builder/image.h"

/* What unpack_enter() found and unpack_leave() puts back. */
struct unpack_cpu_state {
    uint64_t cr0;
    uint64_t cr4;
    uint64_t fs_base;
};

/*
 * Let code with SSE and a stack guard run on this CPU.  Interrupts are off and
 * stay so; the SSE registers hold nothing of anyone.
 */
void unpack_enter(struct unpack_cpu_state *saved);
void unpack_leave(const struct unpack_cpu_state *saved);

/* One compressed stream. */
struct unpack_input {
    const uint8_t *data;
    size_t len_bytes;
    bool has_size; /* the last four bytes are the unpacked size, after the stream or as its end */
};

/* Whether @data begins like something compressed, supported or not. */
bool unpack_is_packed(const uint8_t *data, size_t len_bytes);

/* What unpack() needs.  -EINVAL: not supported, damaged or too large; see @err. */
int must_check unpack_measure(const struct unpack_input *in, struct image_need *need,
                              struct image_error *err);

/*
 * Unpack @in to the start of @out; *@out_bytes is set to its size.
 * -EINVAL: not supported or damaged; -ENOMEM: @scratch or @out too small; see @err.
 */
int must_check unpack(const struct unpack_input *in, struct arena *scratch, struct arena *out,
                      size_t *out_bytes, struct image_error *err);
