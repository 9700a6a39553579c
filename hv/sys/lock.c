/* SPDX-License-Identifier: MIT */
/*
 * Waiting for spinlocks, and the check of their order.
 *
 * Tickets: whoever draws one is served in turn.  The waiter serves TLB-flush
 * requests, for the holder may be waiting for this very CPU to flush.
 */
#include "sys/lock.h"

#include "sys/cpu.h"
#include "sys/log.h"
#include "x86/insn.h"
#include "x86/smp.h"

void spin_lock_wait(struct spinlock *lock, uint16_t mine)
{
    while ((uint16_t)__atomic_load_n(&lock->ticket, __ATOMIC_ACQUIRE) != mine) {
        cpu_poll_requests();
        cpu_relax();
    }
}

#if !defined(NDEBUG) && !defined(MANSIO_HOST)
#define LOCKS_HELD_MAX 12u

struct locks_held {
    struct spinlock *lock[LOCKS_HELD_MAX]; /* [s] in the order they were taken */
};
static DEFINE_PER_CPU(struct locks_held, locks_held);

void lock_held_push(struct spinlock *lock)
{
    struct cpu *c = this_cpu();
    struct locks_held *held;

    /* No per-CPU data yet: one CPU, and nothing to go wrong. */
    if (c->percpu_offset == 0) {
        return;
    }
    held = this_cpu_ptr(locks_held);
    if (c->nr_locks == LOCKS_HELD_MAX) {
        panic("no more than %u locks are held at once", LOCKS_HELD_MAX);
    }
    for (unsigned int i = 0; i < c->nr_locks; i++) {
        const struct spinlock *other = held->lock[i];

        if (other->rank > lock->rank || (other->rank == lock->rank && other >= lock)) {
            panic("locks are taken in order: rank %u (%p) after rank %u (%p)", lock->rank,
                  (void *)lock, other->rank, (const void *)other);
        }
    }
    held->lock[c->nr_locks++] = lock;
}

void lock_held_pop(struct spinlock *lock)
{
    struct cpu *c = this_cpu();
    struct locks_held *held;
    unsigned int i = c->nr_locks;

    if (c->percpu_offset == 0) {
        return;
    }
    held = this_cpu_ptr(locks_held);
    while (i-- > 0) {
        if (held->lock[i] == lock) {
            for (c->nr_locks--; i < c->nr_locks; i++) {
                held->lock[i] = held->lock[i + 1];
            }
            return;
        }
    }
    panic("a lock that is released is held: rank %u (%p)", lock->rank, (void *)lock);
}
#endif
