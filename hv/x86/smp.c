/* SPDX-License-Identifier: MIT */
/*
 * Calls from CPU to CPU, and starting the other CPUs.
 *
 * All are started at the same time: INIT to each, start-up interrupt to each,
 * a second one to those that do not stir.  They begin in real mode in a page
 * below 1 MiB, which is borrowed: its contents are put back afterwards.  Each
 * finds its own block by its APIC id (trampoline.S).
 */
#include "x86/smp.h"

#include "lib/string.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "x86/cpu.h"
#include "x86/fpu.h"
#include "x86/insn.h"
#include "x86/lapic.h"
#include "x86/memory.h"
#include "x86/paging.h"
#include "x86/trampoline.h"
#include "x86/vectors.h"

/* In cycles of the TSC, whose rate is not known yet: enough for 5 GHz. */
#define CYCLES_INIT    1000000ull /* from INIT to the start-up interrupt */
#define CYCLES_STARTUP 2000000ull /* before the second one */
#define CYCLES_GIVE_UP 10000000000ull

#define LOW_PAGES_FIRST 0x1000u
#define LOW_PAGES_END   0x9f000u

/* --- calls --- */

static struct {
    uint32_t is_busy; /* [a] somebody's call is in the other members */
    void (*fn)(void *);
    void *arg;
    struct cpumask pending; /* [a] who has not run it yet */
} call;

void cpu_poke(unsigned int cpu)
{
    lapic_send(cpus[cpu]->apic_id, VEC_POKE);
}

static void serve_call(void)
{
    if (cpumask_test(&call.pending, cpu_id())) {
        call.fn(call.arg);
        cpumask_clear(&call.pending, cpu_id());
    }
}

void cpu_poll_calls(void)
{
    serve_call();
    cpu_poll_requests();
}

void cpu_call_softirq(void)
{
    serve_call();
    tlb_clock_rewind();
}

void cpu_call_mask(const struct cpumask *m, void (*fn)(void *), void *arg)
{
    unsigned int self = cpu_id(), cpu;

    ASSERT(this_cpu()->nr_locks == 0);
    while (__atomic_exchange_n(&call.is_busy, 1, __ATOMIC_ACQUIRE)) {
        cpu_poll_calls();
        cpu_relax();
    }
    call.fn = fn;
    call.arg = arg;
    cpumask_for_each(cpu, m) {
        if (cpu != self && cpumask_test(&cpus_online, cpu)) {
            cpumask_set(&call.pending, cpu);
            softirq_raise_on(cpu, SOFTIRQ_CALL);
        }
    }
    if (cpumask_test(m, self)) {
        fn(arg);
    }
    while (!cpumask_empty(&call.pending)) {
        cpu_poll_requests();
        cpu_relax();
    }
    __atomic_store_n(&call.is_busy, 0, __ATOMIC_RELEASE);
}

static void do_nothing(void *unused)
{
    (void)unused;
}

void cpu_quiesce(void)
{
    cpu_call_mask(&cpus_online, do_nothing, NULL);
}

/* --- starting --- */

/* Read by trampoline.S: APIC ids by number of the CPU. */
__initdata uint32_t smp_apic_ids[NR_CPUS];
__initdata uint32_t smp_nr_cpus;

static struct cpumask started; /* [a] CPUs that have come into C */

noreturn void smp_ap_main(void)
{
    cpumask_set(&started, cpu_id());
    if (!cpu_init_this()) {
        for (;;) {
            __asm__ volatile("cli; hlt");
        }
    }
    fpu_init_cpu();
    cpumask_set(&cpus_online, cpu_id());
    hv_ap_main();
}

static __init void wait_cycles(uint64_t cycles)
{
    uint64_t start = rdtsc();

    while (rdtsc() - start < cycles) {
        cpu_relax();
    }
}

static __init void wait_for_all(const struct cpumask *who, uint64_t cycles)
{
    uint64_t start = rdtsc();

    while (cpumask_count(who) < smp_nr_cpus && rdtsc() - start < cycles) {
        cpu_poll_requests();
        cpu_relax();
    }
}

static __init void send_startup(unsigned int page)
{
    for (unsigned int cpu = 1; cpu < smp_nr_cpus; cpu++) {
        if (!cpumask_test(&started, cpu)) {
            lapic_send_startup(smp_apic_ids[cpu], page);
        }
    }
}

/* A page of RAM that real mode reaches; 0: none. */
static __init uint64_t find_low_page(void)
{
    for (uint32_t i = 0; i < boot_info.nr_e820; i++) {
        const struct e820_entry *e = &boot_info.e820[i];
        uint64_t start = max(align_up(e->start, PAGE_SIZE), (uint64_t)LOW_PAGES_FIRST);
        uint64_t end = min(align_down(e->start + e->len, PAGE_SIZE), (uint64_t)LOW_PAGES_END);

        if (e->type == E820_RAM && start < end) {
            return end - PAGE_SIZE;
        }
    }
    return 0;
}

/* Put the code there, told where it is, and make the page executable at its own address. */
static __init void trampoline_install(uint64_t at)
{
    char *copy = (char *)(LAYOUT_DIRECT_MAP + at);

    memcpy(copy, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    *(uint32_t *)(copy + (trampoline_gdt_base - trampoline_start)) += (uint32_t)at;
    *(uint32_t *)(copy + (trampoline_jump_32 - trampoline_start)) += (uint32_t)at;
    *(uint32_t *)(copy + (trampoline_jump_64 - trampoline_start)) += (uint32_t)at;
    *(uint32_t *)(copy + (trampoline_cr3 - trampoline_start)) = (uint32_t)paging_hv_cr3();
    if (paging_protect(at, PAGE_SIZE, PAGE_HV_RX & ~PTE_G) != 0) {
        panic("No memory for the page tables of the other CPUs' first steps.");
    }
}

static __init void start_all(uint64_t at)
{
    for (unsigned int cpu = 1; cpu < smp_nr_cpus; cpu++) {
        lapic_send_init(smp_apic_ids[cpu]);
    }
    wait_cycles(CYCLES_INIT);
    send_startup((unsigned int)(at >> PAGE_SHIFT));
    wait_for_all(&started, CYCLES_STARTUP);
    send_startup((unsigned int)(at >> PAGE_SHIFT));
    wait_for_all(&cpus_online, CYCLES_GIVE_UP);
    for (unsigned int cpu = 1; cpu < smp_nr_cpus; cpu++) {
        if (!cpumask_test(&cpus_online, cpu)) {
            log_err("CPU %u (APIC id %#x) does not %s: it is left out.", cpu, smp_apic_ids[cpu],
                    cpumask_test(&started, cpu) ? "take part" : "start");
        }
    }
}

/* Blocks for the CPUs; stops early if memory ends. */
static __init void create_all(const uint32_t *apic_ids, unsigned int nr, unsigned int max_cpus)
{
    uint32_t own = lapic_id();

    smp_apic_ids[0] = own;
    smp_nr_cpus = 1;
    for (unsigned int i = 0; i < nr && smp_nr_cpus < max_cpus; i++) {
        if (apic_ids[i] == own) {
            continue;
        }
        if (apic_ids[i] > 254 && !lapic_is_x2apic()) {
            log_warn("The CPU with APIC id %#x is out of reach without x2APIC.", apic_ids[i]);
            continue;
        }
        if (cpu_create(smp_nr_cpus, apic_ids[i]) != 0) {
            log_err("No memory for CPU %u: it is left out.", smp_nr_cpus);
            break;
        }
        smp_apic_ids[smp_nr_cpus++] = apic_ids[i];
    }
}

__init void smp_start(const uint32_t *apic_ids, unsigned int nr, unsigned int max_cpus)
{
    uint64_t at = find_low_page();
    void *saved = x86_memory_ops.alloc(PAGE_SIZE);

    cpumask_set(&started, 0);
    create_all(apic_ids, nr, min(max_cpus, NR_CPUS));
    if (smp_nr_cpus > 1 && at != 0 && saved != NULL) {
        void *page = (void *)(LAYOUT_DIRECT_MAP + at);

        memcpy(saved, page, PAGE_SIZE);
        trampoline_install(at);
        start_all(at);
        memcpy(page, saved, PAGE_SIZE);
    } else if (smp_nr_cpus > 1) {
        log_err("No RAM below 640 KiB: the other CPUs cannot be started.");
    }
    x86_memory_ops.free(saved, PAGE_SIZE);
    log_info("%u of %u CPUs are online", cpumask_count(&cpus_online), nr);
}
