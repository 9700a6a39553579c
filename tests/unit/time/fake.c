/* SPDX-License-Identifier: MIT */
#include "time/fake.h"

#include <string.h>

#include "sys/cpu.h"
#include "sys/lock.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "time/time.h"
#include "x86/insn.h"
#include "x86/lapic.h"
#include "x86/smp.h"

struct cpu host_cpu;
struct cpu *cpus[NR_CPUS] = { &host_cpu };
struct cpumask cpus_online = { { 1 } };

uint64_t fake_tsc, fake_tsc_step, fake_deadline_tsc, fake_local_div = 1;
uint32_t fake_count_set;
bool fake_has_deadline;
unsigned int fake_raised_on = ~0u, fake_scale_changes, fake_log_lines;
static uint64_t count_set_at;

struct fake_cpuid fake_cpuid;

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    const struct fake_cpuid *f = &fake_cpuid;
    struct cpuid_regs r = { 0 };

    switch (leaf) {
    case 0:
        r.a = f->max_leaf;
        break;
    case 1:
        r.c = f->is_virtual ? 1u << 31 : 0;
        break;
    case 0x15:
        r = (struct cpuid_regs){ f->leaf15[0], f->leaf15[1], f->leaf15[2], 0 };
        break;
    case 0x16:
        r.a = f->leaf16;
        break;
    case 0x40000000:
        r.a = f->max_virtual;
        if (f->signature != NULL) {
            memcpy(&r.b, f->signature, 12);
        }
        break;
    case 0x40000010:
        r.a = f->hv_tsc_khz;
        break;
    default:
        break;
    }
    return r;
}

uint64_t rdtsc(void)
{
    return fake_tsc += fake_tsc_step;
}

uint64_t rdtsc_ordered(void)
{
    return rdtsc();
}

bool lapic_timer_by_tsc(void)
{
    return fake_has_deadline;
}

void lapic_timer_set_tsc(uint64_t tsc)
{
    fake_deadline_tsc = tsc;
}

void lapic_timer_set_ticks(uint32_t count)
{
    fake_count_set = count;
    count_set_at = fake_tsc;
}

void lapic_timer_start_counting(void)
{
    lapic_timer_set_ticks(0xffffffffu);
}

void lapic_timer_stop(void)
{
}

uint32_t lapic_timer_left(void)
{
    uint64_t gone = fake_local_div ? (rdtsc() - count_set_at) / fake_local_div : 0;

    return gone < fake_count_set ? fake_count_set - (uint32_t)gone : 0;
}

void softirq_raise_on(unsigned int cpu, enum softirq nr)
{
    fake_raised_on = cpu;
}

void cpu_poll_requests(void)
{
}

void spin_lock_wait(struct spinlock *lock)
{
    panic("a lock is taken twice");
}

void log_print(enum log_level level, const char *fmt, ...)
{
    fake_log_lines++;
}

noreturn void panic(const char *fmt, ...)
{
    __builtin_trap();
}

static void scale_changed(void)
{
    fake_scale_changes++;
}

const struct time_ops time_ops = { .scale_changed = scale_changed };
