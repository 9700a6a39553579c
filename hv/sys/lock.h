/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks.  The hypervisor runs with interrupts off, so a lock is never
 * taken from an interrupt that came while it is held.  While a CPU waits it
 * serves other CPUs' TLB-flush requests (cpu_poll_requests(), x86/smp.h), so
 * that a holder may flush remotely.
 *
 * Ranks: a lock may be taken only while every lock held has a lower rank, or
 * the same rank and a lower address.  docs/locks.md tells the order; debug
 * builds check it.
 */
#pragma once

#include "lib/compiler.h"

enum lock_rank {
    LOCK_RANK_DOMLIST = 1, /* the list of domains */
    LOCK_RANK_DOMAIN,      /* a domain's life and settings */
    LOCK_RANK_IRQ_DOM,     /* a domain's interrupts */
    LOCK_RANK_PCI,         /* the list of PCI devices */
    LOCK_RANK_GRANT,       /* a grant table */
    LOCK_RANK_PT,          /* a domain's page tables */
    LOCK_RANK_EVTCHN,      /* a domain's event channels */
    LOCK_RANK_IRQ,         /* an interrupt line */
    LOCK_RANK_IOAPIC,
    LOCK_RANK_EVTCHN_QUEUE, /* a vCPU's queues of events */
    LOCK_RANK_POOL,         /* CPU pools and who is in them */
    LOCK_RANK_SCHED,        /* a run queue */
    LOCK_RANK_TIMER,        /* a CPU's timers */
    LOCK_RANK_ACCOUNT,      /* what a domain owns */
    LOCK_RANK_HEAP,
    LOCK_RANK_PAGING,  /* the hypervisor's own page tables */
    LOCK_RANK_PAGES,   /* the page allocator */
    LOCK_RANK_CONSOLE, /* input ring */
    LOCK_RANK_LOG,
    LOCK_RANK_LEAF, /* nothing is taken under it */
};

struct CAPABILITY("spinlock") spinlock {
    union {
        struct {
            uint8_t held;    /* cleared by the holder alone */
            uint8_t claimed; /* the first of those that wait comes next, nobody else */
        };
        uint16_t state; /* both; 0: free to take */
    };
    uint8_t rank; /* enum lock_rank */
    uint8_t pad;
    uint16_t next_ticket, served; /* of those that wait */
};

#define SPINLOCK_HELD 1u /* .state of a lock that is held, and not claimed */

#define SPINLOCK_INIT(r)                                                                           \
    {                                                                                              \
        .rank = (r)                                                                                \
    }

static inline void spin_lock_init(struct spinlock *lock, enum lock_rank rank)
{
    *lock = (struct spinlock)SPINLOCK_INIT((uint8_t)rank);
}

/* Take @lock, which was not free, when its turn comes; serve flush requests meanwhile. */
void spin_lock_wait(struct spinlock *lock);

#if defined(NDEBUG) || defined(MANSIO_HOST)
static inline void lock_held_push(struct spinlock *lock)
{
    (void)lock;
}
static inline void lock_held_pop(struct spinlock *lock)
{
    (void)lock;
}
#else
/* Check @lock's rank against what this CPU holds, and note it. */
void lock_held_push(struct spinlock *lock);
void lock_held_pop(struct spinlock *lock);
#endif

static always_inline bool spin_lock_take(struct spinlock *lock) NO_THREAD_SAFETY
{
    uint16_t is_free = 0;

    return __atomic_compare_exchange_n(&lock->state, &is_free, SPINLOCK_HELD, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void spin_lock(struct spinlock *lock) ACQUIRES(lock)
NO_THREAD_SAFETY
{
    lock_held_push(lock);
    if (unlikely(!spin_lock_take(lock))) {
        spin_lock_wait(lock);
    }
}

static inline void spin_unlock(struct spinlock *lock) RELEASES(lock)
NO_THREAD_SAFETY
{
    lock_held_pop(lock);
    __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

static inline bool spin_trylock(struct spinlock *lock) TRY_ACQUIRES(true, lock) NO_THREAD_SAFETY
{
    if (!spin_lock_take(lock)) {
        return false;
    }
    lock_held_push(lock);
    return true;
}

static inline bool spin_is_locked(const struct spinlock *lock)
{
    return READ_ONCE(lock->held) != 0;
}
