/* SPDX-License-Identifier: MIT */
/*
 * Waiting for spinlocks, and the check of their order.
 *
 * Who finds a lock taken draws a ticket.  The first in this queue claims the
 * lock: from then on nobody who just comes along can take it.  So a CPU waits
 * for those before it in the queue, and for whoever slips in before the next of
 * them has claimed it.
 *
 * Under another hypervisor there is no queue: its head may be a processor that
 * does not run, and all would wait for that one, turn after turn, for as long
 * as that hypervisor's time slices are.  There, whoever runs takes it.
 *
 * The waiter serves TLB-flush requests, for the holder may be waiting for this
 * very CPU to flush.
 */
#include "sys/lock.h"

#include "sys/cpu.h"
#include "sys/log.h"
#include "x86/features.h"
#include "x86/insn.h"
#include "x86/smp.h"

static void wait_a_little(void)
{
    cpu_poll_requests();
    cpu_relax();
}

static void take_in_turn(struct spinlock *lock)
{
    uint16_t mine = __atomic_fetch_add(&lock->next_ticket, 1, __ATOMIC_RELAXED);

    while (__atomic_load_n(&lock->served, __ATOMIC_ACQUIRE) != mine) {
        wait_a_little();
    }
    __atomic_exchange_n(&lock->claimed, 1, __ATOMIC_SEQ_CST); /* seen by all before we look */
    while (__atomic_load_n(&lock->held, __ATOMIC_ACQUIRE) != 0) {
        wait_a_little();
    }
    WRITE_ONCE(lock->state, SPINLOCK_HELD);
    __atomic_store_n(&lock->served, (uint16_t)(mine + 1), __ATOMIC_RELEASE);
}

void spin_lock_wait(struct spinlock *lock)
{
    if (!cpu_has(FEATURE_VIRTUAL)) {
        take_in_turn(lock);
        return;
    }
    do {
        while (READ_ONCE(lock->state) != 0) {
            wait_a_little();
        }
    } while (!spin_lock_take(lock));
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
