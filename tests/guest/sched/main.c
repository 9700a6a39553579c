/* SPDX-License-Identifier: MIT */
/*
 * More vCPUs than processors: all get their share, none keeps the processor, and
 * one that wakes up does not wait for those that only compute.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define NR_SPINNERS 3

static volatile unsigned int nr_started, is_over;
static volatile uint64_t rounds[MAX_CPUS];

/* Computes and never lets go of its own. */
static void spin(void *arg)
{
    (void)arg;
    __atomic_fetch_add(&nr_started, 1, __ATOMIC_SEQ_CST);
    while (!is_over) {
        rounds[this_cpu()->id]++;
    }
}

static void sleep_until(uint64_t deadline)
{
    struct sched_poll poll = { .timeout = deadline };

    hyper_sched(SCHEDOP_poll, &poll);
}

static bool start_spinners(void)
{
    is_over = nr_started = 0;
    for (unsigned int id = 1; id <= NR_SPINNERS; id++) {
        rounds[id] = 0;
        if (cpu_start(id, spin, NULL)) {
            return false;
        }
    }
    for (unsigned int i = 0; nr_started < NR_SPINNERS && i < 1000; i++) {
        sleep_until(system_time() + 10000000);
    }
    return nr_started == NR_SPINNERS;
}

static void stop_spinners(void)
{
    is_over = 1;
    for (unsigned int id = 1; id <= NR_SPINNERS; id++) {
        cpu_wait_down(id);
    }
}

TEST(there_are_more_vcpus_than_asked_by_the_machine)
{
    EXPECT(cpu_count(), 4);
}

TEST(those_that_compute_share_alike)
{
    uint64_t least = ~0ul, most = 0;

    CHECK(start_spinners());
    for (unsigned int id = 1; id <= NR_SPINNERS; id++) {
        rounds[id] = 0;
    }
    sleep_until(system_time() + 3000000000);
    for (unsigned int id = 1; id <= NR_SPINNERS; id++) {
        least = rounds[id] < least ? rounds[id] : least;
        most = rounds[id] > most ? rounds[id] : most;
    }
    stop_spinners();
    print("rounds: least %lu, most %lu\n", least, most);
    CHECK(least > 0);
    CHECK(most / 2 < least);
}

/* Of ten sleeps most end in time, whoever computes; the bound is loose, as a PC may be slow. */
TEST(a_sleeper_wakes_in_time)
{
    unsigned int nr_late = 0;
    uint64_t worst = 0;

    CHECK(start_spinners());
    for (unsigned int i = 0; i < 20; i++) {
        uint64_t deadline = system_time() + 5000000, late;

        sleep_until(deadline);
        late = system_time() - deadline;
        worst = late > worst ? late : worst;
        nr_late += late > 10000000;
    }
    stop_spinners();
    print("worst %lu ns late\n", worst);
    CHECK(nr_late < 10);
}

/* Two that hand a word to and fro by yielding make headway beside those that compute. */
static volatile unsigned int turn;

TEST(yielding_lets_the_others_run)
{
    uint64_t before;

    CHECK(start_spinners());
    before = rounds[1] + rounds[2] + rounds[3];
    for (unsigned int i = 0; i < 200; i++) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    turn = rounds[1] + rounds[2] + rounds[3] != before;
    stop_spinners();
    EXPECT(turn, 1);
}

TEST(a_vcpu_that_computes_gets_its_events)
{
    long port = event_bind_virq(VIRQ_TIMER, 0);
    uint64_t end;

    CHECK(start_spinners());
    port_mask((unsigned int)port);
    end = system_time() + 5000000000;
    timer_set(system_time() + 20000000);
    while (!port_is_pending((unsigned int)port) && system_time() < end) {
        barrier();
    }
    CHECK(port_is_pending((unsigned int)port));
    stop_spinners();
    event_close((unsigned int)port);
}
