/* SPDX-License-Identifier: MIT */
/*
 * Event queues with several CPUs at once: senders, a kernel that takes events
 * and moves ports about, and guests that write what they like into the words.
 */
/* sources: hv/event/evtchn.c hv/event/fifo.c hv/event/deliver.c hv/event/virq.c
 * tests/unit/event/fake.c */
/* libs: -lpthread */
#define _GNU_SOURCE /* the registers of a signal's context */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>

#define sched_yield libc_sched_yield /* ours is another */
#include <pthread.h>
#undef sched_yield

#include "event/fake.h"

enum {
    NR_PORTS = 40,
    NR_SENDERS = 2,
    NR_SENDS = 60000,
    RESETS_MS = 1500
};

static struct domain *a;
static evtchn_port_t ports[NR_PORTS];
static volatile unsigned int nr_busy; /* threads that send */

static void begin(bool has_queues)
{
    fake_init();
    a = fake_domain(0, 1023);
    host_cpu.curr = a->vcpus[0];
    if (has_queues) {
        for (uint32_t i = 0; i < FAKE_VCPUS; i++) {
            assert_int_equal(evtchn_init_control(a, i, MFN(fake_frame(a)), 0), 0);
        }
        assert_int_equal(evtchn_expand_array(a, MFN(fake_frame(a))), 0);
    }
    for (unsigned int i = 0; i < NR_PORTS; i++) {
        evtchn_port_t there;

        assert_int_equal(evtchn_alloc_unbound(a, 0, &there), 0);
        assert_int_equal(evtchn_bind_interdomain(a, 0, there, &ports[i]), 0);
        ports[i] = there; /* we send there, and hear of it at the other end */
    }
}

static evtchn_port_t heard_at(evtchn_port_t port)
{
    return evtchn_entry(a->evtchn, port)->peer->port;
}

/* ---- nothing is lost ---- */

/* What senders have to tell, by the port where it is heard, and what was heard. */
static uint64_t told[1024], heard[1024];

static void *tell(void *arg)
{
    uint32_t state = (uint32_t)(uintptr_t)arg;

    for (unsigned int i = 0; i < NR_SENDS; i++) {
        evtchn_port_t port;

        state = state * 1664525 + 1013904223;
        port = ports[(state >> 16) % NR_PORTS];
        __atomic_fetch_add(&told[heard_at(port)], 1, __ATOMIC_SEQ_CST);
        if (evtchn_send(a, port) != 0) {
            abort();
        }
    }
    __atomic_fetch_sub(&nr_busy, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void hear(struct domain *d, evtchn_port_t port)
{
    heard[port] = __atomic_load_n(&told[port], __ATOMIC_SEQ_CST);
}

static void take_all(void)
{
    for (unsigned int i = 0; i < FAKE_VCPUS; i++) {
        fake_upcall(a->vcpus[i], hear);
    }
}

static void check_nothing_is_lost(bool has_queues)
{
    pthread_t senders[NR_SENDERS];

    begin(has_queues);
    nr_busy = NR_SENDERS;
    memset(told, 0, sizeof(told));
    memset(heard, 0, sizeof(heard));
    for (uintptr_t i = 0; i < NR_SENDERS; i++) {
        assert_int_equal(pthread_create(&senders[i], NULL, tell, (void *)(i + 1)), 0);
    }
    while (nr_busy != 0) {
        evtchn_port_t port = heard_at(ports[fake_below(NR_PORTS)]);

        take_all();
        switch (fake_below(4)) {
        case 0:
            fake_mask(a, port);
            break;
        case 1:
            assert_int_equal(evtchn_bind_vcpu(a, port, fake_below(FAKE_VCPUS)), 0);
            break;
        case 2:
            assert_int_equal(evtchn_set_priority(a, port, fake_below(16)),
                             has_queues ? 0 : -ENOSYS);
            break;
        default:
            assert_int_equal(evtchn_unmask(a, port), 0);
            break;
        }
    }
    for (unsigned int i = 0; i < NR_SENDERS; i++) {
        pthread_join(senders[i], NULL);
    }
    for (unsigned int i = 0; i < NR_PORTS; i++) {
        assert_int_equal(evtchn_unmask(a, heard_at(ports[i])), 0);
    }
    take_all();
    for (unsigned int i = 0; i < ARRAY_SIZE(told); i++) {
        assert_int_equal(heard[i], told[i]);
    }
    fake_domain_end(a);
}

static void two_levels_lose_nothing(void **state)
{
    check_nothing_is_lost(false);
}

static void queues_lose_nothing(void **state)
{
    check_nothing_is_lost(true);
}

/* ---- a guest that writes what it likes ---- */

static void *scribble(void *arg)
{
    volatile uint32_t *memory = (volatile uint32_t *)fake_page(1);
    volatile uint32_t *shared = (volatile uint32_t *)a->shared_info;
    uint32_t state = 1;

    while (nr_busy != 0) {
        for (size_t i = 0; i < (FAKE_VCPUS + 1) * PAGE_SIZE / 4; i++) {
            state = state * 1664525 + 1013904223;
            memory[i] = state;
            shared[i % (sizeof(*a->shared_info) / 4)] = ~state;
        }
    }
    return NULL;
}

static void words_may_hold_anything(void **state)
{
    pthread_t guest, senders[NR_SENDERS];

    for (unsigned int has_queues = 0; has_queues < 2; has_queues++) {
        begin(has_queues);
        nr_busy = NR_SENDERS;
        assert_int_equal(pthread_create(&guest, NULL, scribble, NULL), 0);
        for (uintptr_t i = 0; i < NR_SENDERS; i++) {
            assert_int_equal(pthread_create(&senders[i], NULL, tell, (void *)(i + 1)), 0);
        }
        while (nr_busy != 0) {
            evtchn_port_t port = heard_at(ports[fake_below(NR_PORTS)]);

            assert_int_equal(evtchn_bind_vcpu(a, port, fake_below(FAKE_VCPUS)), 0);
            assert_int_equal(evtchn_unmask(a, port), 0);
        }
        for (unsigned int i = 0; i < NR_SENDERS; i++) {
            pthread_join(senders[i], NULL);
        }
        pthread_join(guest, NULL);
        while (evtchn_reset(a) == -ERESTART) {
        }
        fake_domain_end(a);
    }
}

/* ---- resets and deaths under way ---- */

static void *use_ports(void *arg)
{
    unsigned int cpu = (unsigned int)(uintptr_t)arg;
    struct domain *b = domain_get(1);
    uint32_t state = cpu;

    while (nr_busy != 0) {
        evtchn_port_t port, there;

        fake_safe_place(cpu);
        state = state * 1664525 + 1013904223;
        port = 1 + (state >> 16) % NR_PORTS;
        /* @b's ends of channels to @a, wherever these go meanwhile. */
        (void)!evtchn_send(b, port);
        if (state >> 8 & 15) {
            continue; /* what takes a lock is done less often */
        }
        (void)!evtchn_unmask(a, port);
        (void)!evtchn_set_priority(a, port, port % 16);
        if (state >> 12 & 1) {
            if (evtchn_alloc_unbound(b, 0, &there) == 0) {
                (void)!evtchn_bind_interdomain(a, 1, there, &port);
            }
        } else {
            (void)!evtchn_close(b, port);
        }
    }
    fake_cpu_leaves(cpu);
    return NULL;
}

static bool is_over(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000 >
           RESETS_MS;
}

static void nobody_touches_what_a_reset_gave_back(void **state)
{
    pthread_t cpus_of[FAKE_CPUS];
    uint64_t control, array;
    struct timespec start;
    struct domain *b;

    clock_gettime(CLOCK_MONOTONIC, &start);
    fake_init();
    a = fake_domain(0, 1023);
    b = fake_domain(1, 1023);
    host_cpu.curr = a->vcpus[0];
    control = fake_frame(a);
    array = fake_frame(a);
    nr_busy = 1;
    for (uintptr_t i = 1; i < FAKE_CPUS; i++) {
        assert_int_equal(pthread_create(&cpus_of[i], NULL, use_ports, (void *)i), 0);
    }
    while (!is_over(&start)) {
        for (uint32_t vcpu = 0; vcpu < FAKE_VCPUS; vcpu++) {
            (void)!evtchn_init_control(a, vcpu, MFN(control), vcpu * 72);
        }
        (void)!evtchn_expand_array(a, MFN(array));
        for (unsigned int turn = 0; turn < 20; turn++) {
            int rc;

            fake_preempt_in = 1; /* others may make ports as fast as we close them */
            rc = evtchn_reset(a);
            if (rc != -ERESTART && rc != -EAGAIN) {
                assert_int_equal(rc, 0);
                break;
            }
        }
        /* While a reset could not end the pages stay held: then, and only then. */
        assert_int_equal(fake_frames[array].type & FRAME_COUNT_MASK,
                         a->evtchn->fifo == NULL ? 0 : a->evtchn->fifo->nr_pages);
    }
    nr_busy = 0;
    for (unsigned int i = 1; i < FAKE_CPUS; i++) {
        pthread_join(cpus_of[i], NULL);
    }
    fake_domain_end(a);
    fake_domain_end(b);
}

/* ---- two resets at once ---- */

#define TRAP_FLAG 0x100u

static unsigned int step_to_stop_at; /* of the reset that is stepped through; 0: none */
static unsigned int nr_steps;
static volatile unsigned int is_other_begun, may_other_go_on;
static pthread_t other_reset;
static __thread bool is_other;

/* The other reset is in the middle: the queues are its own to release. */
static void wait_in_the_middle(void)
{
    if (is_other) {
        __atomic_store_n(&is_other_begun, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_load_n(&may_other_go_on, __ATOMIC_SEQ_CST)) {
            usleep(10);
        }
    }
}

static void *reset_too(void *arg)
{
    is_other = true;
    return (void *)(intptr_t)evtchn_reset(a);
}

/* After each instruction of one vCPU's reset; after one of them two other vCPUs do all this. */
static void after_instruction(int signal, siginfo_t *info, void *context)
{
    ucontext_t *c = context;

    if (++nr_steps < step_to_stop_at || spin_is_locked(&a->evtchn->lock)) {
        return;
    }
    c->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    if (evtchn_init_control(a, 1, MFN(1), 0) == 0) {
        pthread_create(&other_reset, NULL, reset_too, NULL);
        while (!__atomic_load_n(&is_other_begun, __ATOMIC_SEQ_CST)) {
            usleep(10);
        }
    }
}

static int reset_stepwise(void)
{
    uint64_t flags;
    int rc;

    __asm__ volatile("pushfq; orq %1, (%%rsp); popfq"
                     : "=m"(flags)
                     : "i"(TRAP_FLAG)
                     : "cc", "memory");
    rc = fifo_leave(a);
    __asm__ volatile("pushfq; andq %1, (%%rsp); popfq"
                     : "=m"(flags)
                     : "i"(~TRAP_FLAG)
                     : "cc", "memory");
    return rc;
}

/* True: the reset got as far as instruction @step. */
static bool stop_at(unsigned int step)
{
    void *rc_other = NULL;
    int rc;

    nr_steps = is_other_begun = may_other_go_on = 0;
    step_to_stop_at = step;
    rc = reset_stepwise();
    may_other_go_on = 1;
    if (is_other_begun) {
        pthread_join(other_reset, &rc_other);
    }
    assert_true(rc == 0 || rc == -EBUSY);
    assert_int_equal((intptr_t)rc_other, 0);
    assert_null(a->evtchn->fifo);
    assert_int_equal(fake_frames[1].type & FRAME_COUNT_MASK, 0);
    return nr_steps >= step;
}

/* A reset that found no queues must not take those that another one has begun to leave. */
static void queues_are_released_by_the_reset_that_began(void **state)
{
    struct sigaction action = { .sa_sigaction = after_instruction, .sa_flags = SA_SIGINFO };
    unsigned int step = 1, nr_begun = 0;

    fake_init();
    a = fake_domain(0, 1023);
    host_cpu.curr = a->vcpus[0];
    assert_int_equal(fake_frame(a), 1);
    fake_on_quiesce = wait_in_the_middle;
    fake_tick_ns = 20000000; /* no reset waits for its time */
    sigaction(SIGTRAP, &action, NULL);
    while (stop_at(step++)) {
        nr_begun += is_other_begun;
    }
    assert_true(nr_begun > 10);
    fake_tick_ns = 1000000;
    fake_domain_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_levels_lose_nothing),
        cmocka_unit_test(queues_lose_nothing),
        cmocka_unit_test(words_may_hold_anything),
        cmocka_unit_test(nobody_touches_what_a_reset_gave_back),
        cmocka_unit_test(queues_are_released_by_the_reset_that_began),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
