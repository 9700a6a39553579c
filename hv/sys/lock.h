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
    uint32_t ticket; /* low half: being served; high half: next to give out */
    uint8_t rank;    /* enum lock_rank */
    uint8_t pad[3];
};

#define SPINLOCK_INIT(r)                                                                           \
    {                                                                                              \
        .ticket = 0, .rank = (r)                                                                   \
    }

static inline void spin_lock_init(struct spinlock *lock, enum lock_rank rank)
{
    *lock = (struct spinlock)SPINLOCK_INIT((uint8_t)rank);
}

/* Wait for the ticket @mine, serving flush requests. */
void spin_lock_wait(struct spinlock *lock, uint16_t mine);

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

static inline void spin_lock(struct spinlock *lock) ACQUIRES(lock)
NO_THREAD_SAFETY
{
    uint32_t old = __atomic_fetch_add(&lock->ticket, 1u << 16, __ATOMIC_ACQUIRE);

    lock_held_push(lock);
    if (unlikely((uint16_t)old != (uint16_t)(old >> 16))) {
        spin_lock_wait(lock, (uint16_t)(old >> 16));
    }
}

static inline void spin_unlock(struct spinlock *lock) RELEASES(lock)
NO_THREAD_SAFETY
{
    uint16_t *serving = (uint16_t *)&lock->ticket;

    lock_held_pop(lock);
    /* One plain instruction: only the holder writes this half, and stores are seen in order. */
    barrier();
    ++*serving;
    barrier();
}

static inline bool spin_trylock(struct spinlock *lock) TRY_ACQUIRES(true, lock) NO_THREAD_SAFETY
{
    uint32_t old = READ_ONCE(lock->ticket);

    if ((uint16_t)old != (uint16_t)(old >> 16) ||
        !__atomic_compare_exchange_n(&lock->ticket, &old, old + (1u << 16), false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED)) {
        return false;
    }
    lock_held_push(lock);
    return true;
}

static inline bool spin_is_locked(const struct spinlock *lock)
{
    uint32_t t = READ_ONCE(lock->ticket);

    return (uint16_t)t != (uint16_t)(t >> 16);
}
