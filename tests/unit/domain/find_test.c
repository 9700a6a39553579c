/* SPDX-License-Identifier: MIT */
/* sources: hv/domain/find.c hv/domain/destroy.c */
/* libs: -lpthread */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
/* Its name is also one of ours. */
#define sched_yield host_sched_yield
#include <pthread.h>
#undef sched_yield
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain/internal.h"
#include "domain/part.h"
#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "sys/softirq.h"

#define MARK(id)      ((id)*3ull + 1) /* in .max_pages of a domain that exists */
#define STRESS_IDS    6u
#define STRESS_ROUNDS 20000u
#define NR_READERS    3u

struct cpu host_cpu;
static struct domain self = { .refs = 1, .id = 7 };
static struct vcpu self_vcpu = { .domain = &self };
static unsigned int nr_structs, nr_freed, nr_told, nr_steps, nr_paused, steps_wanted;
static char order[8];
static bool is_short;

void *heap_alloc(size_t size)
{
    if (is_short) {
        return NULL;
    }
    nr_structs++;
    return calloc(1, size);
}

void *page_alloc_hv(void)
{
    return is_short ? NULL : calloc(1, PAGE_SIZE);
}

void spin_lock_wait(struct spinlock *lock)
{
    while (!spin_lock_take(lock)) {
        usleep(0);
    }
}

void domain_pause(struct domain *d)
{
    nr_paused++;
}

void domain_free_contents(struct domain *d)
{
    assert_int_equal(d->refs, 0);
    d->max_pages = 0;
    __atomic_fetch_add(&nr_freed, 1, __ATOMIC_SEQ_CST);
}

static void told(void)
{
    __atomic_fetch_add(&nr_told, 1, __ATOMIC_SEQ_CST);
}

const struct domain_host_ops domain_host_ops = { .raise_dom_exc = told };

static int step(struct domain *d, char part)
{
    assert_int_not_equal(d->life, DOMAIN_ALIVE);
    if (++nr_steps < steps_wanted) {
        return -ERESTART;
    }
    order[strlen(order)] = part;
    nr_steps = 0;
    return 0;
}

static int step_a(struct domain *d)
{
    return step(d, 'a');
}

static int step_b(struct domain *d)
{
    return step(d, 'b');
}

static const struct domain_part part_a = { .destroy_step = step_a }, part_none = { .name = "n" },
                                part_b = { .destroy_step = step_b };
const struct domain_part *const domain_parts[] = { &part_a, &part_none, &part_b, NULL };

static struct domain *make(domid_t id)
{
    struct domain *d;

    assert_int_equal(domain_enter(id, &d), 0);
    d->max_pages = MARK(d->id);
    __atomic_store_n(&d->refs, 1, __ATOMIC_SEQ_CST);
    return d;
}

static void end(struct domain *d)
{
    domain_put(d);
    while (host_cpu.softirqs != 0) {
        host_cpu.softirqs = 0;
        domain_softirq();
    }
}

static int setup(void **state)
{
    host_cpu.curr = &self_vcpu;
    host_cpu.softirqs = 0;
    nr_freed = nr_told = nr_steps = nr_paused = 0;
    steps_wanted = 1;
    is_short = false;
    memset(order, 0, sizeof(order));
    return 0;
}

static void a_domain_is_found_once_it_is_complete(void **state)
{
    struct domain *d;

    assert_int_equal(domain_enter(3, &d), 0);
    assert_null(domain_get(3));
    assert_int_equal(domain_enter(3, &(struct domain *){ NULL }), -EEXIST);
    d->refs = 1;
    assert_ptr_equal(domain_get(3), d);
    assert_int_equal(d->refs, 2);
    domain_put(d);
    assert_null(domain_get(4));
    end(d);
    assert_null(domain_get(3));
    assert_int_equal(nr_freed, 1);
    assert_int_equal(nr_told, 1);
}

static void self_is_the_callers(void **state)
{
    assert_ptr_equal(domain_get(DOMID_SELF), &self);
    assert_int_equal(self.refs, 2);
    self.refs = 1;
    assert_null(domain_get(DOMID_XEN));
    assert_null(domain_get_next(DOMID_FIRST_RESERVED));
}

static void numbers_go_up_and_begin_anew(void **state)
{
    struct domain *a = make(DOMID_INVALID), *b, *c;
    domid_t first = a->id;

    b = make(DOMID_INVALID);
    assert_int_equal(b->id, first + 1);
    end(b);
    c = make(DOMID_INVALID);
    assert_int_equal(c->id, first + 2);
    end(a);
    end(c);
    for (unsigned int i = 0; i < DOMID_FIRST_RESERVED; i++) {
        a = make(DOMID_INVALID);
        assert_in_range(a->id, 1, DOMID_FIRST_RESERVED - 1);
        end(a);
    }
}

static void the_next_one_is_found_over_gaps(void **state)
{
    struct domain *a = make(2), *b = make(30000);

    assert_ptr_equal(domain_get_next(0), a);
    assert_ptr_equal(domain_get_next(3), b);
    assert_null(domain_get_next(30001));
    domain_put(a);
    domain_put(b);
    end(a);
    end(b);
    assert_null(domain_get_next(0));
}

static void memory_of_domains_is_used_again(void **state)
{
    unsigned int before;

    end(make(1));
    before = nr_structs;
    for (unsigned int i = 0; i < 10; i++) {
        end(make(DOMID_INVALID));
    }
    assert_int_equal(nr_structs, before);
}

static void without_memory_no_number_is_taken(void **state)
{
    struct domain *d, *held[16];
    unsigned int nr = 0;

    is_short = true; /* but for what the pool has */
    while (nr < ARRAY_SIZE(held) && domain_enter((domid_t)(100 + nr), &d) == 0) {
        d->refs = 1;
        held[nr++] = d;
    }
    assert_in_range(nr, 0, ARRAY_SIZE(held) - 1);
    assert_int_equal(domain_enter((domid_t)(100 + nr), &d), -ENOMEM);
    is_short = false;
    held[nr] = make((domid_t)(100 + nr));
    nr++;
    while (nr-- > 0) {
        end(held[nr]);
    }
}

static void parts_end_in_reverse_with_as_many_turns_as_they_want(void **state)
{
    struct domain *d = make(9);

    steps_wanted = 3;
    for (unsigned int i = 0; i < 4; i++) {
        assert_int_equal(domain_kill(d), -ERESTART);
        assert_int_equal(d->life, DOMAIN_DYING);
    }
    domain_hold(d);
    assert_int_equal(domain_kill(d), 0);
    assert_string_equal(order, "ba");
    assert_int_equal(nr_paused, 1);
    assert_int_equal(nr_told, 1);
    assert_int_equal(d->life, DOMAIN_DEAD);
    assert_int_equal(domain_kill(d), 0); /* nothing more */
    assert_int_equal(d->refs, 1);
    assert_ptr_equal(domain_held(9), d);
    end(d);
    assert_int_equal(nr_told, 2);
}

static void a_softirq_frees_one_and_asks_for_another(void **state)
{
    struct domain *a = make(1), *b = make(2);

    domain_put(a);
    domain_put(b);
    assert_int_equal(host_cpu.softirqs, 1u << SOFTIRQ_DOMAIN);
    host_cpu.softirqs = 0;
    domain_softirq();
    assert_int_equal(nr_freed, 1);
    assert_int_equal(host_cpu.softirqs, 1u << SOFTIRQ_DOMAIN);
    host_cpu.softirqs = 0;
    domain_softirq();
    assert_int_equal(nr_freed, 2);
    assert_int_equal(host_cpu.softirqs, 0);
    domain_softirq();
    assert_int_equal(nr_freed, 2);
}

/* ---- several CPUs ---- */

static bool is_over;

static void *reader(void *arg)
{
    uintptr_t seed = (uintptr_t)arg, nr_found = 0;

    while (!__atomic_load_n(&is_over, __ATOMIC_SEQ_CST)) {
        domid_t id = (domid_t)((seed = seed * 1103515245 + 12345) / 65536 % STRESS_IDS + 1);
        struct domain *d = domain_get(id);

        if (d == NULL) {
            continue;
        }
        nr_found++;
        for (unsigned int i = 0; i < 3; i++) {
            if (d->id != id || READ_ONCE(d->max_pages) != MARK(id) || READ_ONCE(d->refs) == 0) {
                abort(); /* it was exchanged under our reference */
            }
        }
        domain_put(d);
    }
    return (void *)nr_found;
}

/* Two of these exchange the pool's memory between their numbers. */
static void *writer(void *arg)
{
    domid_t base = (domid_t)(uintptr_t)arg;

    for (unsigned int i = 0; i < STRESS_ROUNDS; i++) {
        struct domain *d;

        if (domain_enter((domid_t)(base + i % 3), &d) == 0) {
            d->max_pages = MARK(d->id);
            __atomic_store_n(&d->refs, 1, __ATOMIC_SEQ_CST);
            domain_put(d);
        }
        domain_softirq();
        if (i % 64 == 0) {
            usleep(0);
        }
    }
    return NULL;
}

static void a_reference_keeps_what_was_asked_for(void **state)
{
    pthread_t readers[NR_READERS], writers[2];
    void *found;

    is_over = false;
    for (uintptr_t i = 0; i < NR_READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, reader, (void *)(i + 1)), 0);
    }
    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, writer, (void *)(3 * i + 1)), 0);
    }
    for (unsigned int i = 0; i < 2; i++) {
        pthread_join(writers[i], NULL);
    }
    __atomic_store_n(&is_over, true, __ATOMIC_SEQ_CST);
    for (unsigned int i = 0; i < NR_READERS; i++) {
        pthread_join(readers[i], &found);
    }
    for (unsigned int i = 0; i < 8; i++) {
        domain_softirq();
    }
    assert_null(domain_get_next(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_domain_is_found_once_it_is_complete, setup),
        cmocka_unit_test_setup(self_is_the_callers, setup),
        cmocka_unit_test_setup(numbers_go_up_and_begin_anew, setup),
        cmocka_unit_test_setup(the_next_one_is_found_over_gaps, setup),
        cmocka_unit_test_setup(memory_of_domains_is_used_again, setup),
        cmocka_unit_test_setup(without_memory_no_number_is_taken, setup),
        cmocka_unit_test_setup(parts_end_in_reverse_with_as_many_turns_as_they_want, setup),
        cmocka_unit_test_setup(a_softirq_frees_one_and_asks_for_another, setup),
        cmocka_unit_test_setup(a_reference_keeps_what_was_asked_for, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
