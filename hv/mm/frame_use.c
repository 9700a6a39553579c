/* SPDX-License-Identifier: MIT */
/*
 * Uses of frames as writable memory.  They begin and end from any CPU, with no
 * lock held: each is one compare-and-exchange of the type word, and whoever
 * comes second sees what the first made of it.
 */
#include "mm/frame_use.h"

#include "sys/log.h"
#include "x86/smp.h"

static bool exchange(struct frame *f, uint64_t *old, uint64_t new)
{
    return __atomic_compare_exchange_n(&f->type, old, new, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

void frame_flush_stale(uint64_t word, const struct cpumask *mappers)
{
    const struct cpumask *from = word & FRAME_FOREIGN ? &cpus_online : mappers;
    struct cpumask stale;
    unsigned int cpu;
    bool any = false;

    cpumask_zero(&stale);
    cpumask_for_each(cpu, from) {
        if (!tlb_flushed_since(cpus[cpu], (uint32_t)word)) {
            cpumask_set(&stale, cpu);
            any = true;
        }
    }
    if (any) {
        tlb_flush_mask(&stale);
    }
}

/*
 * The flush comes before the exchange: if that finds the same word again, the
 * frame was not writable in between, for then it would have a later stamp.
 */
bool frame_use_writable(struct frame *f, const struct cpumask *mappers, uint64_t flags)
{
    uint64_t old = READ_ONCE(f->type), new;

    do {
        if (frame_word_type(old) == FT_WRITABLE) {
            if ((old & FRAME_COUNT_MASK) == FRAME_COUNT_MASK) {
                return false;
            }
            new = (old + 1) | flags;
        } else if (frame_word_type(old) == FT_NONE) {
            uint64_t was = frame_word_nr(old);

            if (was != FT_NONE && was != FT_WRITABLE) {
                frame_flush_stale(old, mappers);
            }
            new = frame_type_word(FT_WRITABLE, (old & FRAME_STICKY) | flags, 0, 1);
        } else {
            return false;
        }
    } while (!exchange(f, &old, new));
    /* After the exchange: who clears the mark and finds the frame not writable then may rely on it.
     */
    frame_mark_written(f);
    return true;
}

void frame_drop_last_writable(struct frame *f)
{
    uint64_t old = READ_ONCE(f->type), new;

    do {
        ASSERT(frame_word_type(old) == FT_WRITABLE && (old & FRAME_COUNT_MASK) != 0);
        if ((old & FRAME_COUNT_MASK) > 1) {
            new = old - 1;
        } else {
            new = frame_type_word(FT_NONE, old & FRAME_STICKY, FT_WRITABLE, tlb_clock());
        }
    } while (!exchange(f, &old, new));
}

bool frame_get_writable(struct frame *f, domid_t owner, const struct cpumask *mappers,
                        uint64_t flags)
{
    if (!frame_get_plain(f, owner)) {
        return false;
    }
    if (!frame_use_writable(f, mappers, flags)) {
        frame_put(f);
        return false;
    }
    return true;
}
