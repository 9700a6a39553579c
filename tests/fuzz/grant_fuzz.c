/* SPDX-License-Identifier: MIT */
/*
 * Sequences of grant operations of three domains, chosen by the input, against
 * the model of tests/unit/grant.
 */
/* sources: hv/grant/grant.c hv/grant/pin.c hv/grant/track.c hv/grant/version.c
 * hv/mm/page_alloc.c hv/mm/heap.c hv/mm/frame.c hv/mm/frame_use.c hv/domain/memory.c
 * hv/lib/rangeset.c tests/unit/mm/machine.c tests/unit/grant/model.c */
#include <stddef.h>
#include <stdint.h>

#include "grant/model.h"

struct input {
    const uint8_t *at;
    size_t left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Choices are small as a rule: one byte each. */
static uint32_t next_byte(void *from)
{
    struct input *in = from;

    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->at++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };

    model_begin(next_byte, &in);
    while (in.left > 0) {
        model_step();
    }
    model_end();
    return 0;
}
