/* SPDX-License-Identifier: MIT */
/* Event channels of the two-level kind, and the clock. */
#include "event.h"

#include "hypercall.h"
#include "mm.h"

#define NR_PORTS 4096

static event_handler *handlers[NR_PORTS];
static uint64_t ports_of_cpu[MAX_CPUS][NR_PORTS / 64]; /* whose upcall takes a port */

void event_init(void)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(shared_info->evtchn_mask); i++) {
        shared_info->evtchn_mask[i] = ~0ul;
        ports_of_cpu[0][i] = ~0ul;
    }
}

struct vcpu_info *event_vcpu_info(void)
{
    return &shared_info->vcpu_info[this_cpu()->id];
}

void event_set_handler(unsigned int port, event_handler *handler)
{
    WRITE_ONCE(handlers[port], handler);
}

void event_set_cpu(unsigned int port, unsigned int cpu)
{
    for (unsigned int id = 0; id < MAX_CPUS; id++) {
        uint64_t *word = &ports_of_cpu[id][port / 64], bit = 1ul << (port % 64);

        if (id == cpu) {
            __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
        } else {
            __atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST);
        }
    }
}

static void dispatch_word(unsigned int word)
{
    unsigned long pending;

    while ((pending = READ_ONCE(shared_info->evtchn_pending[word]) &
                      ports_of_cpu[this_cpu()->id][word] &
                      ~READ_ONCE(shared_info->evtchn_mask[word]))) {
        unsigned int port = word * 64 + (unsigned int)__builtin_ctzl(pending);

        port_clear(port);
        if (handlers[port]) {
            handlers[port](port);
        }
    }
}

/*
 * The pending flag goes down before the selector is fetched: what is raised in
 * between raises the flag again.
 */
void event_dispatch(void)
{
    struct vcpu_info *info = event_vcpu_info();
    unsigned long selector;

    while (__atomic_exchange_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST)) {
        selector = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (; selector; selector &= selector - 1) {
            dispatch_word((unsigned int)__builtin_ctzl(selector));
        }
    }
}

void event_mask(void)
{
    WRITE_ONCE(event_vcpu_info()->evtchn_upcall_mask, 1);
    barrier();
}

void event_unmask(void)
{
    struct vcpu_info *info = event_vcpu_info();

    WRITE_ONCE(info->evtchn_upcall_mask, 0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (READ_ONCE(info->evtchn_upcall_pending)) {
        hyper_version(XENVER_version, NULL);
    }
}

void port_mask(unsigned int port)
{
    __atomic_fetch_or(&shared_info->evtchn_mask[port / 64], 1ul << (port % 64), __ATOMIC_SEQ_CST);
}

void port_unmask(unsigned int port)
{
    struct evtchn_unmask unmask = { .port = port };

    hyper_event(EVTCHNOP_unmask, &unmask);
}

bool port_is_pending(unsigned int port)
{
    return READ_ONCE(shared_info->evtchn_pending[port / 64]) >> (port % 64) & 1;
}

void port_clear(unsigned int port)
{
    __atomic_fetch_and(&shared_info->evtchn_pending[port / 64], ~(1ul << (port % 64)),
                       __ATOMIC_SEQ_CST);
}

long event_bind_virq(unsigned int virq, unsigned int cpu)
{
    struct evtchn_bind_virq bind = { .virq = virq, .vcpu = cpu };
    long rc = hyper_event(EVTCHNOP_bind_virq, &bind);

    if (rc == 0) {
        event_set_cpu(bind.port, cpu);
    }
    return rc ? rc : (long)bind.port;
}

long event_bind_ipi(unsigned int cpu)
{
    struct evtchn_bind_ipi bind = { .vcpu = cpu };
    long rc = hyper_event(EVTCHNOP_bind_ipi, &bind);

    if (rc == 0) {
        event_set_cpu(bind.port, cpu);
    }
    return rc ? rc : (long)bind.port;
}

long event_alloc_unbound(unsigned int dom, unsigned int remote)
{
    struct evtchn_alloc_unbound alloc = { .dom = (domid_t)dom, .remote_dom = (domid_t)remote };
    long rc = hyper_event(EVTCHNOP_alloc_unbound, &alloc);

    return rc ? rc : (long)alloc.port;
}

long event_close(unsigned int port)
{
    struct evtchn_close close = { .port = port };

    return hyper_event(EVTCHNOP_close, &close);
}

long event_send(unsigned int port)
{
    struct evtchn_send send = { .port = port };

    return hyper_event(EVTCHNOP_send, &send);
}

uint64_t system_time(void)
{
    const struct vcpu_time_info *time = &event_vcpu_info()->time;
    uint64_t delta, ns;
    uint32_t version;

    do {
        version = READ_ONCE(time->version);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        delta = rdtsc() - READ_ONCE(time->tsc_timestamp);
        delta = time->tsc_shift < 0 ? delta >> -time->tsc_shift : delta << time->tsc_shift;
        ns = (uint64_t)((unsigned __int128)delta * READ_ONCE(time->tsc_to_system_mul) >> 32);
        ns += READ_ONCE(time->system_time);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((version & 1) || version != READ_ONCE(time->version));
    return ns;
}

long timer_set(uint64_t deadline_ns)
{
    struct vcpu_set_singleshot_timer timer = { .timeout_abs_ns = deadline_ns };

    return hyper_vcpu(VCPUOP_set_singleshot_timer, this_cpu()->id, &timer);
}

long timer_stop(void)
{
    return hyper_vcpu(VCPUOP_stop_singleshot_timer, this_cpu()->id, NULL);
}
