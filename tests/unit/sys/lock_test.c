/* SPDX-License-Identifier: MIT */
/*
 * Locks under contention: one holder at a time, with a queue and without; and
 * with a queue, nobody who comes later goes before one that waits.
 */
/* sources: hv/sys/lock.c */
/* libs: -lpthread */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/lock.h"
#include "x86/features.h"
#include "x86/smp.h"

#define NR_THREADS 4
#define ROUNDS     20000

struct cpu_features cpu_features;

static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_LEAF);
static unsigned int counter, nr_inside, nr_broken;

void cpu_poll_requests(void)
{
    sched_yield();
}

static void *count(void *unused)
{
    for (unsigned int i = 0; i < ROUNDS; i++) {
        spin_lock(&lock);
        if (__atomic_fetch_add(&nr_inside, 1, __ATOMIC_RELAXED) != 0) {
            nr_broken++;
        }
        counter++;
        __atomic_fetch_sub(&nr_inside, 1, __ATOMIC_RELAXED);
        spin_unlock(&lock);
    }
    return unused;
}

static void check_exclusion(bool is_virtual)
{
    pthread_t threads[NR_THREADS];

    cpu_features.bits = (uint64_t)is_virtual << FEATURE_VIRTUAL;
    counter = 0;
    for (unsigned int i = 0; i < NR_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    }
    for (unsigned int i = 0; i < NR_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(counter, NR_THREADS * ROUNDS);
    assert_int_equal(nr_broken, 0);
    assert_int_equal(lock.state, 0);
    assert_int_equal(lock.next_ticket, lock.served);
}

static void test_one_holder_with_a_queue(void **state)
{
    check_exclusion(false);
}

static void test_one_holder_without_a_queue(void **state)
{
    check_exclusion(true);
}

static unsigned int order[NR_THREADS], nr_served;

static void *wait_once(void *number)
{
    spin_lock(&lock);
    order[nr_served++] = (unsigned int)(uintptr_t)number;
    spin_unlock(&lock);
    return NULL;
}

static void test_served_in_the_order_of_coming(void **state)
{
    pthread_t threads[NR_THREADS];
    uint16_t first = lock.next_ticket;

    cpu_features.bits = 0;
    spin_lock(&lock);
    for (unsigned int i = 0; i < NR_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_once, (void *)(uintptr_t)i), 0);
        while (__atomic_load_n(&lock.next_ticket, __ATOMIC_ACQUIRE) != (uint16_t)(first + i + 1)) {
            sched_yield();
        }
    }
    while (__atomic_load_n(&lock.claimed, __ATOMIC_ACQUIRE) == 0) {
        sched_yield();
    }
    spin_unlock(&lock);
    assert_false(spin_trylock(&lock)); /* claimed, or taken already */
    for (unsigned int i = 0; i < NR_THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(order[i], i);
    }
}

static void test_try(void **state)
{
    cpu_features.bits = 0;
    assert_true(spin_trylock(&lock));
    assert_true(spin_is_locked(&lock));
    assert_false(spin_trylock(&lock));
    spin_unlock(&lock);
    assert_false(spin_is_locked(&lock));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_holder_with_a_queue),
        cmocka_unit_test(test_one_holder_without_a_queue),
        cmocka_unit_test(test_served_in_the_order_of_coming),
        cmocka_unit_test(test_try),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
