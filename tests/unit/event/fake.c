/* SPDX-License-Identifier: MIT */
/* What event/fake.h promises. */
#include "event/fake.h"

#include "domain/part.h"
#include <assert.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "irq/irq.h"
#include "mm/frame_use.h"
#include "mm/heap.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/smp.h"

struct cpu host_cpu;
struct cpu *cpus[NR_CPUS] = { &host_cpu };
struct cpumask cpus_online;
uint8_t *fake_ram;
struct frame fake_frames[FAKE_FRAMES];
struct frame *frame_table = fake_frames;
uint64_t nr_frames_max = FAKE_FRAMES;
static uint64_t backing[1] = { ~0ull };
uint64_t *frame_backing = backing;
unsigned int fake_quiesced, fake_preempt_in;
void (*fake_on_quiesce)(void);

static uint64_t next_frame;
static struct domain *domains[8];
static struct vcpu nobody = { .is_idle = true };

/* ---- what the code under test calls ---- */

void *heap_alloc(size_t size)
{
    return calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    free(p);
}

void *page_alloc_hv(void)
{
    void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

    return page == NULL ? NULL : memset(page, 0, PAGE_SIZE);
}

void page_free_hv(void *page)
{
    free(page);
}

void *phys_to_virt(paddr_t p)
{
    return fake_ram + p.a;
}

paddr_t virt_to_phys(const void *va)
{
    return PADDR((uint64_t)((const uint8_t *)va - fake_ram));
}

bool frame_get_writable(struct frame *f, domid_t owner, const struct cpumask *mappers,
                        uint64_t flags)
{
    if (!frame_get(f, owner)) {
        return false;
    }
    __atomic_fetch_add(&f->type, 1, __ATOMIC_SEQ_CST);
    ASAN_UNPOISON_MEMORY_REGION(fake_page(frame_mfn(f).n), PAGE_SIZE);
    return true;
}

void frame_drop_last_writable(struct frame *f)
{
    assert((__atomic_fetch_sub(&f->type, 1, __ATOMIC_SEQ_CST) & FRAME_COUNT_MASK) != 0);
    ASAN_POISON_MEMORY_REGION(fake_page(frame_mfn(f).n), PAGE_SIZE);
}

void frame_release(struct frame *f)
{
    assert(!"a guest keeps its frames");
}

struct domain *domain_get(domid_t id)
{
    struct domain *d = id == DOMID_SELF ? host_cpu.curr->domain : NULL;

    if (id < ARRAY_SIZE(domains)) {
        d = domains[id];
    }
    if (d != NULL) {
        __atomic_fetch_add(&d->refs, 1, __ATOMIC_SEQ_CST);
    }
    return d;
}

void domain_put(struct domain *d)
{
    __atomic_fetch_sub(&d->refs, 1, __ATOMIC_SEQ_CST);
}

struct vcpu *domain_vcpu(const struct domain *d, uint32_t id)
{
    return id < d->max_vcpus ? d->vcpus[id] : NULL;
}

bool preempt_pending(void)
{
    return fake_preempt_in != 0 && --fake_preempt_in == 0;
}

static uint32_t places[FAKE_CPUS]; /* how many safe places a thread has passed; 0: it is none */

void fake_safe_place(unsigned int cpu)
{
    __atomic_fetch_add(&places[cpu], 1, __ATOMIC_SEQ_CST);
}

void fake_cpu_leaves(unsigned int cpu)
{
    __atomic_store_n(&places[cpu], 0, __ATOMIC_SEQ_CST);
}

uint64_t fake_now, fake_tick_ns = 1000000;

uint64_t time_now(void)
{
    return __atomic_add_fetch(&fake_now, fake_tick_ns, __ATOMIC_RELAXED);
}

void cpu_quiesce(void)
{
    fake_quiesced++;
    if (fake_on_quiesce != NULL) {
        fake_on_quiesce();
    }
    for (unsigned int cpu = 1; cpu < FAKE_CPUS; cpu++) {
        uint32_t place = __atomic_load_n(&places[cpu], __ATOMIC_SEQ_CST);

        while (place != 0 && __atomic_load_n(&places[cpu], __ATOMIC_SEQ_CST) == place) {
            syscall(SYS_sched_yield);
        }
    }
}

void spin_lock_wait(struct spinlock *lock)
{
    while (!spin_lock_take(lock)) {
        syscall(SYS_sched_yield);
    }
}

void cpu_poke(unsigned int cpu)
{
}

void sched_wake(struct sched_unit *u)
{
}

void sched_block(void)
{
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
}

void timer_stop(struct timer *t)
{
}

void log_print(enum log_level level, const char *fmt, ...)
{
}

void log_guest(unsigned int domid, const char *fmt, ...)
{
}

/* Interrupts and timers have tests of their own. */
void vtimer_vcpu_create(struct vcpu *v)
{
}

void vtimer_vcpu_stop(struct vcpu *v)
{
}

int pirq_create(struct domain *d)
{
    return 0;
}

void pirq_free(struct domain *d)
{
}

int pirq_bind(struct domain *d, uint32_t pirq, uint32_t flags, evtchn_port_t port)
{
    return pirq < 4 ? 0 : -EINVAL;
}

void pirq_unbind(struct domain *d, uint32_t pirq)
{
}

int pirq_why_not(struct domain *d, uint32_t pirq)
{
    return -EINVAL;
}

void pirq_follow(struct domain *d, uint32_t pirq, const struct vcpu *v)
{
}

/* ---- domains ---- */

void fake_init(void)
{
    if (fake_ram != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(fake_ram, FAKE_FRAMES * PAGE_SIZE);
    }
    free(fake_ram);
    fake_ram = aligned_alloc(PAGE_SIZE, FAKE_FRAMES * PAGE_SIZE);
    memset(fake_ram, 0, FAKE_FRAMES * PAGE_SIZE);
    memset(fake_frames, 0, sizeof(fake_frames));
    next_frame = 1;
    fake_on_quiesce = NULL;
    host_cpu.curr = &nobody;
    cpumask_set(&cpus_online, 0);
}

uint64_t fake_frame(const struct domain *d)
{
    assert(next_frame < FAKE_FRAMES);
    fake_frames[next_frame].ref = d->id | FRAME_REF_ONE;
    return next_frame++;
}

struct domain *fake_domain(domid_t id, uint32_t max_port)
{
    struct domain_config config = { .id = id, .max_evtchn_port = max_port };
    struct domain *d = calloc(1, sizeof(*d));

    d->id = id;
    d->refs = 1;
    d->max_vcpus = FAKE_VCPUS;
    d->vcpus = calloc(FAKE_VCPUS, sizeof(d->vcpus[0]));
    d->shared_info = calloc(1, sizeof(struct shared_info));
    assert(evtchn_part.create(d, &config) == 0);
    for (uint32_t i = 0; i < FAKE_VCPUS; i++) {
        struct vcpu *v = aligned_alloc(64, sizeof(*v));

        memset(v, 0, sizeof(*v));
        v->domain = d;
        v->id = i;
        v->info = (struct vcpu_info *)&d->shared_info->vcpu_info[i];
        assert(evtchn_part.vcpu_create(v) == 0);
        d->vcpus[i] = v;
    }
    domains[id] = d;
    return d;
}

void fake_domain_end(struct domain *d)
{
    d->life = DOMAIN_DYING;
    while (evtchn_part.destroy_step(d) == -ERESTART) {
    }
    domains[d->id] = NULL;
    for (uint32_t i = 0; i < FAKE_VCPUS; i++) {
        evtchn_part.vcpu_free(d->vcpus[i]);
        free(d->vcpus[i]);
    }
    evtchn_part.free(d);
    free(d->shared_info);
    free(d->vcpus);
    free(d);
}

uint64_t fake_random(void)
{
    static uint64_t state = 88172645463325252ull;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 8;
}

/* ---- a kernel's side ---- */

event_word_t *fake_word(struct domain *d, evtchn_port_t port)
{
    const struct evtchn_fifo *f = d->evtchn->fifo;
    event_word_t *page = f == NULL ? NULL : f->pages[port / FIFO_WORDS_PER_PAGE];

    return page == NULL ? NULL : page + port % FIFO_WORDS_PER_PAGE;
}

void fake_mask(struct domain *d, evtchn_port_t port)
{
    if (d->evtchn->fifo == NULL) {
        bit_atomic_set(d->shared_info->evtchn_mask, port);
    } else if (fake_word(d, port) != NULL) {
        __atomic_or_fetch(fake_word(d, port), 1u << EVTCHN_FIFO_MASKED, __ATOMIC_SEQ_CST);
    }
}

bool fake_is_masked(struct domain *d, evtchn_port_t port)
{
    if (d->evtchn->fifo == NULL) {
        return bit_test(d->shared_info->evtchn_mask, port);
    }
    return fake_word(d, port) != NULL && (*fake_word(d, port) & 1u << EVTCHN_FIFO_MASKED);
}

static void take_levels(struct vcpu *v, void (*take)(struct domain *d, evtchn_port_t port))
{
    struct domain *d = v->domain;
    uint64_t words = __atomic_exchange_n(&v->info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);

    for (; words != 0; words &= words - 1) {
        evtchn_port_t first = bit_lowest(words) * 64;

        for (evtchn_port_t port = first; port < first + 64; port++) {
            const struct evtchn *c = evtchn_find(d, port);

            /* A kernel leaves to others what is bound to them. */
            if (c != NULL && c->vcpu == v->id && !fake_is_masked(d, port) &&
                bit_atomic_test_clear(d->shared_info->evtchn_pending, port)) {
                take(d, port);
            }
        }
    }
}

static void take_queue(struct vcpu *v, unsigned int priority,
                       void (*take)(struct domain *d, evtchn_port_t port))
{
    struct domain *d = v->domain;
    evtchn_port_t port = READ_ONCE(v->events->control->head[priority]);

    while (port != 0) {
        event_word_t *word = fake_word(d, port);
        event_word_t old = __atomic_fetch_and(
            word, ~(1u << EVTCHN_FIFO_LINKED | (event_word_t)EVTCHN_FIFO_LINK_MASK),
            __ATOMIC_SEQ_CST);

        assert(old & 1u << EVTCHN_FIFO_LINKED);
        if (!(old & 1u << EVTCHN_FIFO_MASKED) &&
            (__atomic_fetch_and(word, ~(1u << EVTCHN_FIFO_PENDING), __ATOMIC_SEQ_CST) &
             1u << EVTCHN_FIFO_PENDING)) {
            take(d, port);
        }
        port = old & EVTCHN_FIFO_LINK_MASK;
    }
}

void fake_upcall(struct vcpu *v, void (*take)(struct domain *d, evtchn_port_t port))
{
    while (__atomic_exchange_n(&v->info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST)) {
        uint32_t ready;

        if (v->domain->evtchn->fifo == NULL) {
            take_levels(v, take);
            continue;
        }
        if (v->events->control == NULL) {
            continue;
        }
        ready = __atomic_exchange_n(&v->events->control->ready, 0, __ATOMIC_SEQ_CST);
        for (; ready != 0; ready &= ready - 1) {
            take_queue(v, bit_lowest(ready), take);
        }
    }
}
