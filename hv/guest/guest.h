/* SPDX-License-Identifier: MIT */
/*
 * A guest's memory, as hypercall arguments name it: by virtual address in the
 * address space of the current vCPU.  Every access is checked against the
 * hypervisor's own range and may fail in the middle: -EFAULT.
 */
#pragma once

#include "abi/xen.h"
#include "lib/types.h"

/* A guest's pointer: never dereferenced, only copied through. */
struct guest_ptr {
    uint64_t va;
};

#define GUEST_PTR(x) ((struct guest_ptr){ (uint64_t)(x) })

static inline bool guest_ptr_null(struct guest_ptr p)
{
    return p.va == 0;
}

/* From a handle inside a structure that was copied in. */
#define guest_ptr_of(handle) GUEST_PTR((uintptr_t)(handle).p)

static inline struct guest_ptr guest_ptr_add(struct guest_ptr p, uint64_t bytes)
{
    return GUEST_PTR(p.va + bytes);
}

/* Is [p, p + bytes) outside the hypervisor and canonical? */
static inline bool guest_range_ok(struct guest_ptr p, uint64_t len_bytes)
{
    /* The lower half, or what lies above our range; by subtraction, since a sum may wrap. */
    if (p.va < 0x0000800000000000ul) {
        return len_bytes <= 0x0000800000000000ul - p.va;
    }
    return p.va >= HYPERVISOR_VIRT_END && len_bytes <= 0ul - p.va;
}

/* 0 or -EFAULT; after a failure the destination may be partly written. */
int must_check copy_from_guest(void *to, struct guest_ptr from, size_t len_bytes);
int must_check copy_to_guest(struct guest_ptr to, const void *from, size_t len_bytes);
int must_check clear_guest(struct guest_ptr to, size_t len_bytes);

/* Element @i of an array of @size bytes each; false range answers -EFAULT. */
static inline int must_check copy_elem_from_guest(void *to, struct guest_ptr array, uint64_t i,
                                                  size_t size)
{
    return copy_from_guest(to, guest_ptr_add(array, i * size), size);
}

static inline int must_check copy_elem_to_guest(struct guest_ptr array, uint64_t i,
                                                const void *from, size_t size)
{
    return copy_to_guest(guest_ptr_add(array, i * size), from, size);
}
