/* SPDX-License-Identifier: MIT */
/*
 * Uses of frames as writable memory: the type every part of the hypervisor may
 * need (mappings, grants, registered areas).  The other types are pv/'s.
 *
 * A frame of type none remembers in its nr field what it last was, and in its
 * count field the flush clock when it stopped to be that: before it becomes
 * something else, the CPUs that have not flushed since must.  Stale
 * translations would let a guest write to what is a table now, or walk through
 * what was one and is plain memory now.
 */
#pragma once

#include "mm/frame.h"
#include "sys/cpu.h"

/* Sticky in FT_WRITABLE and the FT_NONE after it. */
#define FRAME_FOREIGN  (1ull << 55) /* was writable to another domain than its owner */
#define FRAME_UNCACHED (1ull << 54) /* was writable past the caches */
#define FRAME_STICKY   (FRAME_FOREIGN | FRAME_UNCACHED)

static inline uint64_t frame_type_word(enum frame_type type, uint64_t flags, uint64_t nr,
                                       uint64_t count)
{
    return (uint64_t)type << FRAME_TYPE_SHIFT | flags | nr << FRAME_NR_SHIFT | count;
}

static inline enum frame_type frame_word_type(uint64_t word)
{
    return (enum frame_type)(word >> FRAME_TYPE_SHIFT);
}

static inline uint64_t frame_word_nr(uint64_t word)
{
    return (word & FRAME_NR_MASK) >> FRAME_NR_SHIFT;
}

/*
 * Flush what may hold stale translations from before the frame with type word
 * @word (of type none) stopped to be what it was: of @mappers, the CPUs that
 * ran its owner; of all CPUs if others had it.
 */
void frame_flush_stale(uint64_t word, const struct cpumask *mappers);

/*
 * Use @f, to which the caller holds a reference, as writable memory.  @mappers:
 * CPUs that its owner's address spaces may be cached on.  @flags: FRAME_FOREIGN
 * if not for its owner, FRAME_UNCACHED if not through the caches.  False: it is
 * a page table or descriptor page.
 */
bool must_check frame_use_writable(struct frame *f, const struct cpumask *mappers, uint64_t flags);

/* The same in line, if it is so used already and nobody is at work on it: else false. */
static always_inline bool must_check frame_use_writable_once(struct frame *f, uint64_t flags)
{
    uint64_t old = READ_ONCE(f->type);

    return frame_word_type(old) == FT_WRITABLE && (uint32_t)old != FRAME_COUNT_MASK &&
           __atomic_compare_exchange_n(&f->type, &old, (old + 1) | flags, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

/* The same as frame_drop_writable(), for the last one, or when others get in the way. */
void frame_drop_last_writable(struct frame *f);

/* The same in line, if it is not the last one and nobody is at work on it: else false. */
static always_inline bool must_check frame_drop_writable_once(struct frame *f)
{
    uint64_t old = READ_ONCE(f->type);

    return (old & FRAME_COUNT_MASK) > 1 &&
           __atomic_compare_exchange_n(&f->type, &old, old - 1, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

/* End one such use; every mapping that came from it is out of the tables. */
static inline void frame_drop_writable(struct frame *f)
{
    if (unlikely(!frame_drop_writable_once(f))) {
        frame_drop_last_writable(f);
    }
}

/* frame_get() and frame_use_writable() in one, for no frame of ours; and the end of both. */
bool must_check frame_get_writable(struct frame *f, domid_t owner, const struct cpumask *mappers,
                                   uint64_t flags);

static inline void frame_put_writable(struct frame *f)
{
    frame_drop_writable(f);
    frame_put(f);
}
