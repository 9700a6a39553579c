/* SPDX-License-Identifier: MIT */
/*
 * Waiting by yielding, as a kernel does whose console is full: a domain asks
 * another one for something by an event, and yields with its upcalls masked
 * until it has it.  Every event is heard, and whoever sleeps until one comes is
 * woken and runs soon, though all processors are taken by those who yield; when
 * the channel is masked, unmasked and moved to another vCPU meanwhile, too.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define NR_ASKERS  4u /* vCPUs of the child, each with a channel */
#define NR_SERVERS 2u /* vCPUs of ours */
#define MS         1000000ul
#define SECOND     (1000 * MS)
#define FOREVER    (30 * SECOND) /* the machine may be very busy */
#define NR_ROUNDS  200ul

/* Words of the child's box: arrays by asker, and two flags. */
#define ASKED    0u
#define ANSWERED 8u
#define SINCE    16u
#define WORST    24u
#define PORT     32u
#define IS_OVER  40u
#define NR_DOWN  41u

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED  (1u << EVTCHN_FIFO_MASKED)
#define LINKED  (1u << EVTCHN_FIFO_LINKED)

static struct child child;
static struct evtchn_fifo_control_block *blocks[NR_SERVERS];
static event_word_t *array;
static unsigned int ports[NR_ASKERS]; /* ours */
static unsigned int ends[NR_SERVERS]; /* a port each, to be told that all is over */
static volatile bool is_over, is_polling;

/* ---- the child ---- */

static void ask(void *arg)
{
    uint64_t me = (uint64_t)arg;

    while (!child_box[IS_OVER]) {
        uint64_t start = system_time(), took;

        child_box[SINCE + me] = start;
        child_box[ASKED + me]++;
        event_send((unsigned int)child_box[PORT + me]);
        while (child_box[ANSWERED + me] != child_box[ASKED + me] && !child_box[IS_OVER]) {
            hyper_sched(SCHEDOP_yield, NULL);
        }
        took = system_time() - start;
        if (child_box[WORST + me] < took && (int64_t)took > 0) {
            child_box[WORST + me] = took;
        }
    }
    __atomic_fetch_add(&child_box[NR_DOWN], 1, __ATOMIC_SEQ_CST);
}

static void ask_all(uint64_t arg)
{
    (void)arg;
    user_init();
    for (uint64_t i = 0; i < NR_ASKERS; i++) {
        struct evtchn_bind_interdomain bind = { .remote_dom = 0,
                                                .remote_port = (uint32_t)child_box[PORT + i] };

        hyper_event(EVTCHNOP_bind_interdomain, &bind);
        child_box[PORT + i] = bind.local_port;
    }
    event_mask();
    for (uint64_t i = 1; i < NR_ASKERS; i++) {
        cpu_start((unsigned int)i, ask, (void *)i);
    }
    ask(NULL);
    while (child_box[NR_DOWN] < NR_ASKERS) { /* the others are at it */
        hyper_sched(SCHEDOP_yield, NULL);
    }
}

/* ---- we ---- */

static void unmask(volatile event_word_t *w, unsigned int port)
{
    event_word_t old = *w;

    while (!(old & PENDING)) {
        if (__atomic_compare_exchange_n(w, &old, old & ~MASKED, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            return;
        }
    }
    port_unmask(port);
}

static void serve(unsigned int port)
{
    volatile event_word_t *w = &array[port];
    unsigned int i = 0;

    while (i < NR_ASKERS && ports[i] != port) {
        i++;
    }
    if (i == NR_ASKERS) { /* a timer's, or the end */
        __atomic_fetch_and(w, ~PENDING, __ATOMIC_SEQ_CST);
        return;
    }
    __atomic_fetch_or(w, MASKED, __ATOMIC_SEQ_CST);
    __atomic_fetch_and(w, ~PENDING, __ATOMIC_SEQ_CST);
    child.box[ANSWERED + i] = child.box[ASKED + i]; /* and it may ask again at once */
    if (child.box[ASKED + i] % 16 == 0) {
        struct evtchn_bind_vcpu bind = { .port = port, .vcpu = child.box[ASKED + i] / 16 % 2 };

        hyper_event(EVTCHNOP_bind_vcpu, &bind);
    }
    unmask(w, port);
}

/* As a kernel goes through its queues. */
static void drain(unsigned int me)
{
    static unsigned int heads[NR_SERVERS][EVTCHN_FIFO_MAX_QUEUES];
    uint32_t ready = __atomic_exchange_n(&blocks[me]->ready, 0, __ATOMIC_SEQ_CST);

    while (ready != 0) {
        unsigned int queue = (unsigned int)__builtin_ctz(ready), *head = &heads[me][queue];
        unsigned int port = *head != 0 ? *head : READ_ONCE(blocks[me]->head[queue]);
        event_word_t old = __atomic_fetch_and(
            &array[port], ~(LINKED | (event_word_t)EVTCHN_FIFO_LINK_MASK), __ATOMIC_SEQ_CST);

        *head = old & EVTCHN_FIFO_LINK_MASK;
        ready &= *head == 0 ? ~(1u << queue) : ~0u;
        if ((READ_ONCE(array[port]) & (PENDING | MASKED)) == PENDING) {
            serve(port);
        }
        ready |= __atomic_exchange_n(&blocks[me]->ready, 0, __ATOMIC_SEQ_CST);
    }
}

/* Until an event comes, or @deadline. */
static void sleep(uint64_t deadline)
{
    struct sched_poll poll = { .nr_ports = NR_ASKERS, .timeout = deadline };

    if (is_polling) {
        set_xen_guest_handle(poll.ports, ports);
        hyper_sched(SCHEDOP_poll, &poll);
    } else {
        timer_set(deadline);
        hyper_sched(SCHEDOP_block, NULL);
        event_mask();
    }
}

static void look_for_lost_ones(void)
{
    for (unsigned int i = 0; i < NR_ASKERS; i++) {
        uint64_t asked = child.box[ASKED + i];

        if (child.box[ANSWERED + i] != asked &&
            (int64_t)(system_time() - child.box[SINCE + i]) > (int64_t)FOREVER &&
            child.box[ASKED + i] == asked) {
            FAIL("asker %u: number %lu is not answered; its word is %x", i, asked, array[ports[i]]);
            is_over = true;
        }
    }
}

static bool all_rounds_done(void)
{
    for (unsigned int i = 0; i < NR_ASKERS; i++) {
        if (child.box[ANSWERED + i] < NR_ROUNDS) {
            return false;
        }
    }
    return true;
}

static void serve_all(void *arg)
{
    unsigned int me = this_cpu()->id;
    long timer = event_bind_virq(VIRQ_TIMER, me);

    (void)arg;
    event_mask();
    while (!is_over) {
        WRITE_ONCE(event_vcpu_info()->evtchn_upcall_pending, 0);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        drain(me);
        sleep(system_time() + 12 * SECOND);
        look_for_lost_ones();
        is_over = is_over || all_rounds_done();
    }
    event_send(ends[1 - me]); /* no need to sleep on */
    event_close((unsigned int)timer);
}

static void set_up(void)
{
    struct evtchn_expand_array expand;

    for (unsigned int i = 0; i < NR_SERVERS; i++) {
        struct evtchn_init_control init = { .vcpu = i };

        blocks[i] = page_alloc();
        init.control_gfn = virt_to_mfn(blocks[i]);
        EXPECT(hyper_event(EVTCHNOP_init_control, &init), 0);
    }
    array = page_alloc();
    expand.array_gfn = virt_to_mfn(array);
    EXPECT(hyper_event(EVTCHNOP_expand_array, &expand), 0);
}

static void run(bool by_polling)
{
    uint64_t worst = 0;

    is_over = false;
    is_polling = by_polling;
    EXPECT(child_create(&child, NR_ASKERS, ask_all, 0), 0);
    for (unsigned int i = 0; i < NR_ASKERS; i++) {
        ports[i] = (unsigned int)event_alloc_unbound(DOMID_SELF, child.domid);
        child.box[PORT + i] = ports[i];
    }
    for (unsigned int i = 0; i < NR_SERVERS; i++) {
        ends[i] = (unsigned int)event_bind_ipi(i);
    }
    child_unpause(&child);
    EXPECT(cpu_start(1, serve_all, NULL), 0);
    serve_all(NULL);
    cpu_wait_down(1);
    event_close(ends[0]);
    event_close(ends[1]);
    child.box[IS_OVER] = 1;
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    for (unsigned int i = 0; i < NR_ASKERS; i++) {
        worst = child.box[WORST + i] > worst ? child.box[WORST + i] : worst;
        EXPECT(event_close(ports[i]), 0);
    }
    print("the longest wait: %lu us\n", worst / 1000);
    EXPECT(child_destroy(&child), 0);
}

TEST(there_are_two_servers)
{
    EXPECT(cpu_count(), NR_SERVERS);
    set_up();
}

TEST(who_sleeps_for_events_serves_those_that_yield)
{
    run(false);
}

TEST(and_so_does_who_polls)
{
    run(true);
}
