/* SPDX-License-Identifier: MIT */
/*
 * A guest's memory, as hypercall arguments name it: by virtual address in the
 * address space of the current vCPU.  Every access is checked against the
 * hypervisor's own range and may fail in the middle: -EFAULT.
 */
#pragma once

#include "abi/xen.h"
#include "lib/types.h"
#include "x86/uaccess.h"

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

/* copy_from_guest() and copy_to_guest() for whatever length. */
int must_check guest_read(void *to, struct guest_ptr from, size_t len_bytes);
int must_check guest_write(struct guest_ptr to, const void *from, size_t len_bytes);

/*
 * A copy of a few words needs no check of its range: it begins outside the
 * hypervisor by user_addr(), and what lies below the hypervisor is not
 * canonical for far more than that.
 */
#define GUEST_WORDS_MAX 12u
#define guest_is_few_words(len)                                                                    \
    (__builtin_constant_p(len) && (len) % 8 == 0 && (len) != 0 && (len) <= GUEST_WORDS_MAX * 8)
#define guest_is_half_word(len) (__builtin_constant_p(len) && (len) == sizeof(uint32_t))

/* 0 or -EFAULT; after a failure the destination may be partly written. */
static always_inline int must_check copy_from_guest(void *to, struct guest_ptr from,
                                                    size_t len_bytes)
{
    if (guest_is_few_words(len_bytes)) {
        return copy_user_words(to, user_addr(from.va), (unsigned int)(len_bytes / 8));
    }
    if (guest_is_half_word(len_bytes)) {
        return get_user32(to, user_addr(from.va));
    }
    return guest_read(to, from, len_bytes);
}

static always_inline int must_check copy_to_guest(struct guest_ptr to, const void *from,
                                                  size_t len_bytes)
{
    if (guest_is_few_words(len_bytes)) {
        return copy_user_words(user_addr(to.va), from, (unsigned int)(len_bytes / 8));
    }
    if (guest_is_half_word(len_bytes)) {
        return put_user32(*(const uint32_t *)from, user_addr(to.va));
    }
    return guest_write(to, from, len_bytes);
}

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
