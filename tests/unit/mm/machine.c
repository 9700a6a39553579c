/* SPDX-License-Identifier: MIT */
/* The machine of mm/machine.h. */
#include "mm/machine.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain/memory.h"
#include "mm/early.h"
#include "mm/m2p.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/panic.h"
#include "sys/softirq.h"
#include "x86/cache.h"
#include "x86/features.h"
#include "x86/paging.h"
#include "x86/smp.h"
#include "domain/part.h"

struct boot_info boot_info;
struct cpu_features cpu_features = { .phys_bits = 40 };
struct cpu host_cpu;
struct cpu *cpus[NR_CPUS];
struct cpumask cpus_online;
uint64_t hv_l4[PTE_PER_TABLE];

uint32_t machine_clock = 1;
unsigned int machine_flushes, machine_preempt_in, machine_preempts;
void (*machine_while_flushing)(void);
void (*machine_after_m2p)(mfn_t mfn);
uint64_t machine_cr3;
char machine_refusal[256];

static char *ram;
static struct frame table[MACHINE_FRAMES + 4096];
static uint64_t backing[MACHINE_FRAMES / FRAME_GRAIN / 64 + 2];
static struct domain *domains[16];

void *phys_to_virt(paddr_t p)
{
    return ram + p.a;
}

paddr_t virt_to_phys(const void *va)
{
    return PADDR((uint64_t)((const char *)va - ram));
}

uint32_t tlb_clock(void)
{
    return machine_clock;
}

void tlb_flush_mask(const struct cpumask *m)
{
    unsigned int cpu;

    machine_flushes++;
    machine_clock++;
    if (machine_while_flushing) {
        machine_while_flushing();
    }
    cpumask_for_each(cpu, m) {
        cpus[cpu]->flush_stamp = machine_clock;
    }
}

void cr3_load(uint64_t cr3)
{
    machine_cr3 = cr3;
    host_cpu.flush_stamp = ++machine_clock;
}

void cache_flush_page(const void *page)
{
    (void)page;
}

bool preempt_pending(void)
{
    if (machine_preempt_in && --machine_preempt_in == 0) {
        machine_preempts++;
        return true;
    }
    return false;
}

void spin_lock_wait(struct spinlock *lock)
{
    (void)lock;
    assert(!"a lock was taken twice");
}

void log_print(enum log_level level, const char *fmt, ...)
{
    (void)level;
    (void)fmt;
}

void log_guest(unsigned int domid, const char *fmt, ...)
{
    va_list args;

    (void)domid;
    va_start(args, fmt);
    vsnprintf(machine_refusal, sizeof(machine_refusal), fmt, args);
    va_end(args);
}

noreturn void panic(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    abort();
}

noreturn void panic_give_up(const char *fmt, ...)
{
    panic("%s", fmt);
}

struct domain *domain_held(domid_t id)
{
    return id < ARRAY_SIZE(domains) ? domains[id] : NULL;
}

void domain_put(struct domain *d)
{
    d->refs--;
}

void gdt_window_set(const mfn_t *frames, unsigned int nr);
void gdt_window_set(const mfn_t *frames, unsigned int nr)
{
    (void)frames;
    (void)nr;
}

void ldt_window_map(unsigned int page, mfn_t mfn);
void ldt_window_map(unsigned int page, mfn_t mfn)
{
    (void)page;
    (void)mfn;
}

void ldt_window_clear(void);
void ldt_window_clear(void)
{
}

void ldt_load(unsigned int nr);
void ldt_load(unsigned int nr)
{
    (void)nr;
}

/* Early memory and tables of ours are not part of this machine. */
paddr_t early_alloc(uint64_t len_bytes, uint64_t align, uint64_t below)
{
    (void)len_bytes;
    (void)align;
    (void)below;
    abort();
}

bool early_left(unsigned int i, mfn_t *first, uint64_t *nr)
{
    (void)i;
    (void)first;
    (void)nr;
    return false;
}

int paging_map(uint64_t va, paddr_t pa, uint64_t len, uint64_t flags)
{
    (void)va;
    (void)pa;
    (void)len;
    (void)flags;
    abort();
}

static uint64_t m2p[MACHINE_FRAMES];

void m2p_set(mfn_t mfn, uint64_t pfn)
{
    m2p[mfn.n] = pfn;
    if (machine_after_m2p) {
        machine_after_m2p(mfn);
    }
}

uint64_t m2p_get(mfn_t mfn)
{
    return m2p[mfn.n];
}

const struct frame_owner_ops frame_owner_ops = { .released = memory_released };

static void *range_alloc(size_t bytes)
{
    return malloc(bytes);
}

static void range_free(void *p, size_t bytes)
{
    (void)bytes;
    free(p);
}

static const struct rangeset_alloc range_memory = { .alloc = range_alloc, .free = range_free };

struct domain *machine_domain(domid_t id, uint32_t nr_vcpus)
{
    struct domain *d = calloc(1, sizeof(*d));

    d->id = id;
    d->max_vcpus = nr_vcpus;
    d->max_pages = ~0ull;
    d->drain_head = DRAIN_NONE;
    d->vcpus = calloc(nr_vcpus, sizeof(*d->vcpus));
    spin_lock_init(&d->pt_lock, LOCK_RANK_PT);
    spin_lock_init(&d->page_lock, LOCK_RANK_ACCOUNT);
    rangeset_init(&d->iomem, &range_memory, 64);
    rangeset_init(&d->iomem_ro, &range_memory, 64);
    for (uint32_t i = 0; i < nr_vcpus; i++) {
        struct vcpu *v = aligned_alloc(64, sizeof(*v));

        memset(v, 0, sizeof(*v));
        v->domain = d;
        v->id = i;
        v->cpu = cpus[i % MACHINE_CPUS];
        v->in_kernel = 1;
        d->vcpus[i] = v;
        cpumask_set(&d->dirty_cpus, i % MACHINE_CPUS);
    }
    if (memory_part.create(d, NULL) != 0) {
        abort();
    }
    domains[id] = d;
    return d;
}

void machine_domain_free(struct domain *d)
{
    if (memory_part.free != NULL) {
        memory_part.free(d);
    }
    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        free(d->vcpus[i]);
    }
    domains[d->id] = NULL;
    free(d->vcpus);
    free(d);
}

void machine_init(void)
{
    static struct cpu more[MACHINE_CPUS];

    ram = aligned_alloc(2ul << 20, MACHINE_FRAMES * PAGE_SIZE);
    memset(ram, 0x5a, MACHINE_FRAMES * PAGE_SIZE);
    frame_table = table;
    frame_backing = backing;
    nr_frames_max = MACHINE_FRAMES;
    for (uint64_t g = 0; g < MACHINE_FRAMES / FRAME_GRAIN; g++) {
        backing[g / 64] |= 1ull << (g % 64);
    }
    for (uint64_t i = 0; i < 16; i++) {
        table[i].ref = FRAME_HV | DOMID_XEN;
    }
    for (unsigned int i = 0; i < MACHINE_CPUS; i++) {
        cpus[i] = i == 0 ? &host_cpu : &more[i];
        cpus[i]->id = i;
        cpumask_set(&cpus_online, i);
    }
    for (unsigned int i = LAYOUT_SLOT_FIRST; i <= LAYOUT_SLOT_LAST; i++) {
        hv_l4[i] = 0x4000 + i * PAGE_SIZE + PTE_TABLE;
    }
    pages_add_boot_memory(MFN(16), MACHINE_FRAMES - 16);
}
