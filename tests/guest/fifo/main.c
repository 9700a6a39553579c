/* SPDX-License-Identifier: MIT */
/*
 * Event channels of the FIFO kind: the switch to them and back, queues and
 * priorities, masks, more ports than two levels have; and a guest that writes
 * what it likes into the words, from another vCPU if there is one.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define PENDING        (1u << EVTCHN_FIFO_PENDING)
#define MASKED         (1u << EVTCHN_FIFO_MASKED)
#define LINKED         (1u << EVTCHN_FIFO_LINKED)
#define DEFAULT        EVTCHN_FIFO_PRIORITY_DEFAULT

static struct evtchn_fifo_control_block *blocks[MAX_CPUS];
static event_word_t *array[128];
static unsigned int nr_pages;

/* ---- the operations ---- */

static long init_control(unsigned int cpu, uint64_t gfn, unsigned int offset)
{
    struct evtchn_init_control init = { .control_gfn = gfn, .offset = offset, .vcpu = cpu };
    long rc = hyper_event(EVTCHNOP_init_control, &init);

    if (rc == 0) {
        EXPECT(init.link_bits, EVTCHN_FIFO_LINK_BITS);
    }
    return rc;
}

static long expand_array(const void *page)
{
    struct evtchn_expand_array expand = { .array_gfn = virt_to_mfn(page) };

    return hyper_event(EVTCHNOP_expand_array, &expand);
}

static long set_priority(unsigned int port, unsigned int priority)
{
    struct evtchn_set_priority set = { .port = port, .priority = priority };

    return hyper_event(EVTCHNOP_set_priority, &set);
}

static long bind_vcpu(unsigned int port, unsigned int cpu)
{
    struct evtchn_bind_vcpu bind = { .port = port, .vcpu = cpu };

    return hyper_event(EVTCHNOP_bind_vcpu, &bind);
}

static long reset(void)
{
    struct evtchn_reset op = { .dom = DOMID_SELF };

    return hyper_event(EVTCHNOP_reset, &op);
}

static long poll(evtchn_port_t *ports, unsigned int nr, uint64_t timeout)
{
    struct sched_poll op = { .nr_ports = nr, .timeout = timeout };

    set_xen_guest_handle(op.ports, ports);
    return hyper_sched(SCHEDOP_poll, &op);
}

/* ---- the guest's side ---- */

static volatile event_word_t *word(unsigned int port)
{
    return &array[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
}

static void set_up(unsigned int cpu)
{
    if (!blocks[cpu]) {
        blocks[cpu] = page_alloc();
    }
    __builtin_memset(blocks[cpu], 0, PAGE_SIZE);
    EXPECT(init_control(cpu, virt_to_mfn(blocks[cpu]), 0), 0);
}

static void add_page(void)
{
    if (!array[nr_pages]) {
        array[nr_pages] = page_alloc();
    }
    __builtin_memset(array[nr_pages], 0, PAGE_SIZE);
    EXPECT(expand_array(array[nr_pages]), 0);
    nr_pages++;
}

/* Take the first event of the queue, as a kernel does; 0: it is empty. */
static unsigned int take(unsigned int cpu, unsigned int priority)
{
    static unsigned int heads[MAX_CPUS][EVTCHN_FIFO_MAX_QUEUES];
    unsigned int *head = &heads[cpu][priority], port;
    event_word_t old;

    if (*head == 0) {
        if (!(__atomic_fetch_and(&blocks[cpu]->ready, ~(1u << priority), __ATOMIC_SEQ_CST) &
              1u << priority)) {
            return 0;
        }
        *head = READ_ONCE(blocks[cpu]->head[priority]);
    }
    port = *head;
    old = __atomic_fetch_and(word(port), ~(LINKED | EVTCHN_FIFO_LINK_MASK), __ATOMIC_SEQ_CST);
    *head = old & EVTCHN_FIFO_LINK_MASK;
    if (!(old & LINKED)) {
        FAIL("port %u was not linked", port);
    }
    if (!(__atomic_fetch_and(word(port), ~PENDING, __ATOMIC_SEQ_CST) & PENDING)) {
        FAIL("port %u was not pending", port);
    }
    return port;
}

static void upcall_done(void)
{
    WRITE_ONCE(event_vcpu_info()->evtchn_upcall_pending, 0);
}

/* ---- before ---- */

TEST(two_levels_come_first)
{
    long port = event_bind_ipi(0);

    event_mask();
    EXPECT(expand_array(page_alloc()), -EOPNOTSUPP);
    EXPECT(set_priority((unsigned int)port, DEFAULT), -ENOSYS);
    EXPECT(set_priority(1u << 20, DEFAULT), -EINVAL);
    EXPECT(event_close((unsigned int)port), 0);
}

TEST(bad_control_blocks_are_refused)
{
    uint64_t mfn = virt_to_mfn(page_alloc());

    EXPECT(init_control(99, mfn, 0), -ENOENT);
    EXPECT(init_control(~0u, mfn, 0), -ENOENT);
    EXPECT(init_control(0, mfn, PAGE_SIZE - 64), -EINVAL);
    EXPECT(init_control(0, mfn, ~0u), -EINVAL);
    EXPECT(init_control(0, mfn, 4), -EINVAL);
    EXPECT(init_control(0, ~0ul, 0), -EINVAL);
    EXPECT(init_control(0, 1ul << 52, 0), -EINVAL);
    EXPECT(init_control(0, virt_to_mfn(kernel_l4), 0), -EINVAL);
    EXPECT(expand_array(page_alloc()), -EOPNOTSUPP); /* nothing has changed */
}

/* The hypervisor's own, and yet a guest can call it. */
TEST(there_is_no_reset_to_go_on_with)
{
    struct evtchn_reset op = { .dom = DOMID_SELF };

    EXPECT(hyper_event(EVTCHNOP_set_priority + 1, &op), -EBUSY);
    op.dom = 0x7fe0;
    EXPECT(hyper_event(EVTCHNOP_set_priority + 1, &op), -ESRCH);
}

TEST(what_is_pending_stays_so)
{
    long port = event_bind_ipi(0), other = event_bind_ipi(0);

    EXPECT(event_send((unsigned int)port), 0);
    EXPECT(port_is_pending((unsigned int)port), 1);
    set_up(0);
    add_page();
    EXPECT(*word((unsigned int)port) & (PENDING | LINKED), PENDING | LINKED);
    EXPECT(*word((unsigned int)other), 0);
    EXPECT(take(0, DEFAULT), port);
    EXPECT(take(0, DEFAULT), 0);
    EXPECT(event_close((unsigned int)port), 0);
    EXPECT(event_close((unsigned int)other), 0);
}

TEST(a_vcpu_has_one_control_block)
{
    EXPECT(init_control(0, virt_to_mfn(page_alloc()), 0), -EINVAL);
}

/* ---- queues ---- */

TEST(an_event_makes_its_queue_ready)
{
    unsigned int port = (unsigned int)event_bind_ipi(0);

    upcall_done();
    EXPECT(blocks[0]->ready, 0);
    EXPECT(event_send(port), 0);
    EXPECT(blocks[0]->ready, 1u << DEFAULT);
    EXPECT(blocks[0]->head[DEFAULT], port);
    EXPECT(*word(port), PENDING | LINKED);
    EXPECT(event_vcpu_info()->evtchn_upcall_pending, 1);
    EXPECT(event_send(port), 0); /* the same event */
    EXPECT(*word(port), PENDING | LINKED);
    EXPECT(take(0, DEFAULT), port);
    EXPECT(take(0, DEFAULT), 0);
    EXPECT(event_send(port), 0); /* it is its own old tail */
    EXPECT(take(0, DEFAULT), port);
    EXPECT(take(0, DEFAULT), 0);
    EXPECT(event_close(port), 0);
}

TEST(a_queue_keeps_its_order)
{
    unsigned int ports[20];

    for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
        ports[i] = (unsigned int)event_bind_ipi(0);
    }
    for (unsigned int turn = 0; turn < 3; turn++) {
        for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
            EXPECT(event_send(ports[(i * 7 + turn) % 20]), 0);
        }
        for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
            EXPECT(take(0, DEFAULT), ports[(i * 7 + turn) % 20]);
        }
        EXPECT(take(0, DEFAULT), 0);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
        EXPECT(event_close(ports[i]), 0);
    }
}

TEST(an_event_comes_behind_one_that_is_being_taken)
{
    unsigned int a = (unsigned int)event_bind_ipi(0), b = (unsigned int)event_bind_ipi(0);

    EXPECT(event_send(a), 0);
    EXPECT(event_send(b), 0);
    EXPECT(take(0, DEFAULT), a);
    EXPECT(event_send(a), 0);
    EXPECT(*word(b), PENDING | LINKED | a);
    EXPECT(take(0, DEFAULT), b);
    EXPECT(take(0, DEFAULT), a);
    EXPECT(take(0, DEFAULT), 0);
    EXPECT(event_close(a), 0);
    EXPECT(event_close(b), 0);
}

TEST(priorities_are_queues)
{
    unsigned int a = (unsigned int)event_bind_ipi(0), b = (unsigned int)event_bind_ipi(0);

    EXPECT(set_priority(a, EVTCHN_FIFO_PRIORITY_MAX), 0);
    EXPECT(set_priority(b, EVTCHN_FIFO_PRIORITY_MIN), 0);
    EXPECT(set_priority(a, EVTCHN_FIFO_PRIORITY_MIN + 1), -EINVAL);
    EXPECT(set_priority(a, ~0u), -EINVAL);
    EXPECT(set_priority(1u << 17, DEFAULT), -EINVAL);
    EXPECT(event_send(a), 0);
    EXPECT(event_send(b), 0);
    EXPECT(blocks[0]->ready, 1u << 0 | 1u << 15);
    EXPECT(blocks[0]->head[0], a);
    EXPECT(blocks[0]->head[15], b);
    EXPECT(take(0, 15), b);

    /* Changed while it is linked: it stays where it is, and goes to the new queue next time. */
    EXPECT(set_priority(a, 3), 0);
    EXPECT(event_send(a), 0);
    EXPECT(take(0, 0), a);
    EXPECT(event_send(a), 0);
    EXPECT(take(0, 0), 0);
    EXPECT(take(0, 3), a);

    /* It was the tail of queue 0: that must not be taken for a queue with events. */
    EXPECT(event_send(a), 0);
    EXPECT(set_priority(b, 0), 0);
    EXPECT(event_send(b), 0);
    EXPECT(take(0, 0), b);
    EXPECT(take(0, 3), a);
    EXPECT(event_close(a), 0);
    EXPECT(event_close(b), 0);

    /* A port that is given again has the usual priority. */
    EXPECT(event_bind_ipi(0), a);
    EXPECT(event_send(a), 0);
    EXPECT(take(0, DEFAULT), a);
    EXPECT(event_close(a), 0);
}

TEST(a_masked_port_waits)
{
    unsigned int port = (unsigned int)event_bind_ipi(0);

    upcall_done();
    *word(port) = MASKED;
    EXPECT(event_send(port), 0);
    EXPECT(*word(port), PENDING | MASKED);
    EXPECT(blocks[0]->ready, 0);
    EXPECT(event_vcpu_info()->evtchn_upcall_pending, 0);
    port_unmask(port);
    EXPECT(*word(port), PENDING | LINKED);
    EXPECT(event_vcpu_info()->evtchn_upcall_pending, 1);
    EXPECT(take(0, DEFAULT), port);

    *word(port) = MASKED;
    port_unmask(port);
    EXPECT(*word(port), 0);
    EXPECT(take(0, DEFAULT), 0);
    EXPECT(event_close(port), 0);
}

TEST(a_channel_to_ourselves)
{
    unsigned int a = (unsigned int)event_alloc_unbound(DOMID_SELF, DOMID_SELF);
    struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF, .remote_port = a };

    EXPECT(hyper_event(EVTCHNOP_bind_interdomain, &bind), 0);
    EXPECT(take(0, DEFAULT), bind.local_port);
    EXPECT(event_send(bind.local_port), 0);
    EXPECT(take(0, DEFAULT), a);
    EXPECT(event_send(a), 0);
    EXPECT(take(0, DEFAULT), bind.local_port);
    EXPECT(event_close(a), 0);
    EXPECT(event_send(bind.local_port), 0); /* to nobody */
    EXPECT(take(0, DEFAULT), 0);
    EXPECT(event_close(bind.local_port), 0);
}

TEST(polls_look_at_words)
{
    evtchn_port_t port = (evtchn_port_t)event_bind_ipi(0);
    uint64_t start = system_time();

    *word(port) = MASKED;
    EXPECT(poll(&port, 1, start + 2000000), 0);
    CHECK(system_time() >= start + 2000000);
    EXPECT(event_send(port), 0);
    EXPECT(poll(&port, 1, 0), 0);
    *word(port) = 0;
    EXPECT(event_close(port), 0);
}

/* ---- more ports than two levels have ---- */

TEST(there_are_many_ports)
{
    static uint32_t ports[6000];
    unsigned int nr = 0, last;

    for (; nr < ARRAY_SIZE(ports); nr++) {
        long port = event_bind_ipi(0);

        if (port <= 0) {
            FAIL("port %u: %ld", nr, port);
            break;
        }
        ports[nr] = (uint32_t)port;
    }
    last = ports[nr - 1];
    CHECK(last > 4096);
    EXPECT(set_priority(last, 2), 0);
    EXPECT(event_send(last), 0); /* it has no word yet */
    EXPECT(blocks[0]->ready, 0);
    EXPECT(poll(&last, 1, 1), 0);
    port_unmask(last);
    while (nr_pages * WORDS_PER_PAGE <= last) {
        add_page();
    }
    EXPECT(take(0, 2), last);
    EXPECT(event_send(ports[4500]), 0);
    EXPECT(take(0, DEFAULT), ports[4500]);
    for (unsigned int i = 0; i < nr; i++) {
        EXPECT(event_close(ports[i]), 0);
    }
}

TEST(the_array_has_an_end)
{
    void *page = page_alloc();
    long rc = 0;

    EXPECT(expand_array(kernel_l4), -EINVAL);
    while (nr_pages < 128 && rc == 0) {
        array[nr_pages++] = page;
        rc = expand_array(page); /* the same one: our own affair */
    }
    EXPECT(rc, 0);
    EXPECT(expand_array(page), -ENOSPC);
}

/* ---- two vCPUs ---- */

TEST(a_port_moves_to_another_vcpu)
{
    unsigned int a, b;

    if (cpu_count() < 2) {
        return;
    }
    a = (unsigned int)event_alloc_unbound(DOMID_SELF, DOMID_SELF);
    struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF, .remote_port = a };
    EXPECT(hyper_event(EVTCHNOP_bind_interdomain, &bind), 0);
    b = bind.local_port;
    EXPECT(take(0, DEFAULT), b);

    EXPECT(bind_vcpu(b, 1), 0);
    EXPECT(event_send(a), 0); /* vCPU 1 has no control block: nobody hears it */
    EXPECT(take(0, DEFAULT), 0);
    *word(b) = 0;
    set_up(1);
    EXPECT(event_send(a), 0);
    EXPECT(take(1, DEFAULT), b);
    EXPECT(take(0, DEFAULT), 0);

    /* Pending for one, moved to the other: it is not lost, and goes there the next time. */
    EXPECT(event_send(a), 0);
    EXPECT(bind_vcpu(b, 0), 0);
    EXPECT(take(1, DEFAULT), b);
    EXPECT(event_send(a), 0);
    EXPECT(take(1, DEFAULT), 0);
    EXPECT(take(0, DEFAULT), b);
    EXPECT(event_close(a), 0);
    EXPECT(event_close(b), 0);
}

/* ---- a guest that writes what it likes ---- */

static unsigned int random_number(void)
{
    static uint64_t state = 88172645463325252ul;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned int)(state >> 16);
}

static volatile bool is_over;

static void scribble(void *arg)
{
    uint32_t value = 1;

    (void)arg;
    while (!is_over) {
        for (unsigned int i = 0; i < WORDS_PER_PAGE; i++) {
            value = value * 1664525 + 1013904223;
            array[0][i] = value;
            ((volatile uint32_t *)blocks[0])[i % 18] = value ^ i;
        }
    }
}

TEST(words_may_hold_anything)
{
    unsigned int ports[32];
    bool has_help = cpu_count() > 1;

    for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
        ports[i] = (unsigned int)event_bind_ipi(0);
    }
    is_over = false;
    EXPECT(has_help ? cpu_start(1, scribble, NULL) : 0, 0);
    for (unsigned int i = 0; i < 20000; i++) {
        unsigned int port = ports[random_number() % ARRAY_SIZE(ports)];

        if (i % 64 == 0) {
            set_priority(port, random_number() % 16);
        }
        *word(port) = random_number() << 12;
        EXPECT(event_send(port), 0);
        if (i % 3 == 0) {
            port_unmask(ports[random_number() % ARRAY_SIZE(ports)]);
        }
    }
    is_over = true;
    if (has_help) {
        cpu_wait_down(1);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
        EXPECT(event_close(ports[i]), 0);
    }
}

/* Everything at once with resets: pages come and go under another vCPU's operations. */
static void interfere(void *arg)
{
    unsigned int port = 1;

    (void)arg;
    while (!is_over) {
        port = port % 31 + 1;
        event_send(port);
        port_unmask(port);
        set_priority(port, port % 16);
        bind_vcpu(port, port % 2);
        poll(&port, 1, 1);
        if (port == 7) {
            event_bind_ipi(0);
            init_control(1, virt_to_mfn(blocks[1]), 128);
            expand_array(array[0]);
        } else if (port == 13) {
            event_close(port);
        }
    }
}

TEST(resets_under_another_vcpu)
{
    uint64_t end = system_time() + 1000000000;
    unsigned int nr_done = 0;

    if (cpu_count() < 2) {
        return;
    }
    is_over = false;
    EXPECT(cpu_start(1, interfere, NULL), 0);
    for (unsigned int i = 0; i < 300 && system_time() < end; i++) {
        long rc = reset();

        if (rc != 0 && rc != -EAGAIN && rc != -EBUSY) {
            FAIL("reset: %ld", rc);
        }
        nr_done += rc == 0;
        init_control(0, virt_to_mfn(blocks[0]), 0);
        expand_array(array[0]);
        for (unsigned int j = 0; j < 20; j++) {
            long port = event_bind_ipi(j % 2);

            if (port > 0) {
                event_send((unsigned int)port);
            }
        }
    }
    is_over = true;
    cpu_wait_down(1);
    EXPECT(reset(), 0);
    CHECK(nr_done > 0);
    nr_pages = 0;
    set_up(0);
    set_up(1);
    add_page();
}

/* ---- and back ---- */

TEST(pages_are_no_tables_while_they_hold_events)
{
    EXPECT(page_make_ro(blocks[0]), 0);
    EXPECT(page_make_ro(array[0]), 0);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(blocks[0]), 0) != 0, 1);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(array[0]), 0) != 0, 1);
    EXPECT(page_make_rw(blocks[0]), 0);
    EXPECT(page_make_rw(array[0]), 0);
}

TEST(a_reset_gives_the_pages_back)
{
    unsigned int port = (unsigned int)event_bind_ipi(0);

    EXPECT(event_send(port), 0);
    EXPECT(reset(), 0);
    __builtin_memset(blocks[0], 0, PAGE_SIZE);
    __builtin_memset(array[0], 0, PAGE_SIZE);
    EXPECT(page_make_ro(blocks[0]), 0);
    EXPECT(page_make_ro(array[0]), 0);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(blocks[0]), 0), 0);
    EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(array[0]), 0), 0);
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(blocks[0]), 0), 0);
    EXPECT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(array[0]), 0), 0);
    EXPECT(page_make_rw(blocks[0]), 0);
    EXPECT(page_make_rw(array[0]), 0);
}

TEST(two_levels_work_again)
{
    unsigned int port = (unsigned int)event_bind_ipi(0);

    EXPECT(set_priority(port, DEFAULT), -ENOSYS);
    EXPECT(expand_array(array[0]), -EOPNOTSUPP);
    EXPECT(event_send(port), 0);
    EXPECT(port_is_pending(port), 1);
    EXPECT(*word(port), 0);
    port_clear(port);
    EXPECT(event_close(port), 0);
}

TEST(and_queues_after_them)
{
    unsigned int port;

    nr_pages = 0;
    set_up(0);
    add_page();
    while (take(0, DEFAULT) != 0) { /* an event that came to nobody before may come now */
    }
    port = (unsigned int)event_bind_ipi(0);
    EXPECT(event_send(port), 0);
    EXPECT(take(0, DEFAULT), port);
    EXPECT(reset(), 0);
}

/* ---- resets by several vCPUs ---- */

static void reset_in_a_loop(void *arg)
{
    (void)arg;
    while (!is_over) {
        long rc = reset();

        if (rc != 0 && rc != -EBUSY) {
            FAIL("reset: %ld", rc);
        }
    }
}

/* Queues that one vCPU leaves as soon as it has begun them, while others leave what there is. */
TEST(one_reset_of_several_leaves_the_queues)
{
    static struct evtchn_reset op = { .dom = DOMID_SELF };
    static struct evtchn_init_control init;
    static struct multicall_entry calls[] = {
        { .op = __HYPERVISOR_event_channel_op, .args = { EVTCHNOP_init_control } },
        { .op = __HYPERVISOR_event_channel_op, .args = { EVTCHNOP_reset } },
    };
    uint64_t end = system_time() + 1500000000, next;

    if (cpu_count() < 3) {
        return;
    }
    init.control_gfn = virt_to_mfn(blocks[0]);
    calls[0].args[1] = (unsigned long)&init;
    calls[1].args[1] = (unsigned long)&op;
    is_over = false;
    for (unsigned int id = 1; id < cpu_count(); id++) {
        EXPECT(cpu_start(id, reset_in_a_loop, NULL), 0);
    }
    while (system_time() < end) {
        next = system_time() + 10500000; /* a domain may leave its queues every 10 ms */
        EXPECT(hyper_multicall(calls, 2), 0);
        if ((long)calls[0].result != 0 && (long)calls[0].result != -EBUSY) {
            FAIL("init_control: %ld", (long)calls[0].result);
        }
        while (system_time() < next) {
        }
    }
    is_over = true;
    for (unsigned int id = 1; id < cpu_count(); id++) {
        cpu_wait_down(id);
    }
    EXPECT(reset(), 0);
}
