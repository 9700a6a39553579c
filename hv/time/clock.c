/* SPDX-License-Identifier: MIT */
/*
 * The clock: TSC to system time and back.
 *
 * There is one scale for the machine, `machine`, and a copy for each CPU,
 * which only that CPU reads and writes: with interrupts off no reader meets a
 * half-written one.  When the machine's scale changes, a timer on each CPU
 * takes it over.  A new scale continues the old one where it began; where it
 * is slower, it begins a little ahead, by as much as the old one would gain
 * until the last CPU has taken it over, so that no CPU sees time step back.
 *
 * CPUs whose TSCs differ get copies whose base is shifted by the difference.
 */
#include "sys/lock.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "time/internal.h"
#include "time/timer.h"
#include "x86/insn.h"
#include "x86/lapic.h"

#define TAKEOVER_NS 1000000ull   /* every CPU has taken over a new scale by then */
#define ARM_MAX_NS  (1ull << 38) /* the local timer is armed anew at least so often */

/* Speeds of the local timer that are none. */
#define LOCAL_BY_DEADLINE 0ull
#define LOCAL_UNKNOWN     UINT64_MAX

/* A CPU's own: what it alone reads and writes, but for a member [m] as below. */
struct clock {
    struct time_scale scale;
    uint64_t rate;       /* time_scale_rate(&scale) */
    uint64_t inverse;    /* time_scale_inverse(&scale) */
    uint64_t local;      /* the local timer's ticks in a ns, 32.32, or as above */
    uint32_t slack;      /* time_scale_slack(&scale) */
    uint32_t generation; /* machine.generation of .scale */
    int64_t tsc_ahead;   /* [m] its TSC before the boot CPU's, in ticks */
    struct timer takeover;
};

static DEFINE_PER_CPU(struct clock, clock);

/*
 * Who may touch a member:
 *   [m]  holder of lock; is_stable and scale.mul, .shift may be read without
 */
static struct {
    struct spinlock lock;
    struct time_scale scale;  /* [m] in the boot CPU's TSC */
    uint32_t generation;      /* [m] counts changes of the scale */
    bool is_stable;           /* [m] */
    uint64_t local_ticks;     /* [m] of the local timer in .local_tsc_ticks; 0: by deadline */
    uint64_t local_tsc_ticks; /* [m] 0: not known yet */
} machine = {
    .lock = SPINLOCK_INIT(LOCK_RANK_LEAF),
    .is_stable = true,
};

/* System time at @tsc, which is not before the base of @s; @rate is time_scale_rate(@s). */
static always_inline uint64_t at_rate(const struct time_scale *s, uint64_t rate, uint64_t tsc)
{
    return s->base_ns + mul_shift64(tsc - s->base_tsc, rate, TIME_RATE_SHIFT);
}

uint64_t time_now(void)
{
    const struct clock *c = this_cpu_ptr(clock);

    return at_rate(&c->scale, c->rate, rdtsc());
}

uint64_t time_at_tsc(uint64_t tsc)
{
    const struct clock *c = this_cpu_ptr(clock);
    const struct time_scale *s = &c->scale;
    uint64_t back;

    if (likely((int64_t)(tsc - s->base_tsc) >= 0)) {
        return at_rate(s, c->rate, tsc);
    }
    back = time_scale_span(s, s->base_tsc - tsc);
    return back < s->base_ns ? s->base_ns - back : 0;
}

struct time_scale time_scale_get(uint32_t *generation)
{
    const struct clock *c = this_cpu_ptr(clock);

    *generation = c->generation;
    return c->scale;
}

uint32_t time_tsc_khz(void)
{
    const struct clock *c = this_cpu_ptr(clock);

    return c->scale.mul == 0 ? 0 : (uint32_t)((time_scale_hz(&c->scale) + 500) / 1000);
}

bool time_tsc_is_stable(void)
{
    return READ_ONCE(machine.is_stable);
}

bool clock_arm(uint64_t ns)
{
    const struct clock *c = this_cpu_ptr(clock);
    uint64_t tsc = rdtsc(), now = at_rate(&c->scale, c->rate, tsc), span;

    if (ns <= now) {
        return false;
    }
    span = min(ns - now, ARM_MAX_NS);
    if (c->local == LOCAL_BY_DEADLINE) {
        lapic_timer_set_tsc(tsc + mul_shift64(span, c->inverse, 32) + c->slack);
    } else if (c->local != LOCAL_UNKNOWN) {
        uint64_t ticks = mul_shift64(span, c->local, 32) + 1;

        lapic_timer_set_ticks((uint32_t)min(ticks, 0xffffffffull));
    }
    return true;
}

/* Speed of the local timer for a TSC with @inverse ticks in a ns. */
static uint64_t local_speed(uint64_t inverse) REQUIRES(machine.lock)
{
    if (machine.local_tsc_ticks == 0) {
        return LOCAL_UNKNOWN;
    }
    if (machine.local_ticks == 0) {
        return LOCAL_BY_DEADLINE;
    }
    return mul_div64(inverse, machine.local_ticks, machine.local_tsc_ticks) + 1;
}

/* Make this CPU's copy that of the machine. */
static void take_over(struct clock *c)
{
    spin_lock(&machine.lock);
    c->scale = machine.scale;
    c->scale.base_tsc += (uint64_t)c->tsc_ahead;
    c->generation = machine.generation;
    c->rate = time_scale_rate(&c->scale);
    c->inverse = time_scale_inverse(&c->scale);
    c->slack = time_scale_slack(&c->scale);
    c->local = local_speed(c->inverse);
    spin_unlock(&machine.lock);
}

static void takeover_fires(struct timer *t)
{
    take_over(t->data);
    time_ops.scale_changed();
}

/* Let every CPU that is online take over the machine's scale, this one at once. */
static void spread(void)
{
    unsigned int cpu;

    take_over(this_cpu_ptr(clock));
    softirq_raise(SOFTIRQ_TIMER); /* which arms the hardware anew */
    time_ops.scale_changed();
    cpumask_for_each(cpu, &cpus_online) {
        if (cpu != cpu_id()) {
            timer_set(&per_cpu_ptr(clock, cpu)->takeover, 0);
        }
    }
}

/* How much more than @new the scale @old counts in TAKEOVER_NS. */
static uint64_t gained(const struct time_scale *old, const struct time_scale *new)
{
    uint64_t ticks = mul_shift64(TAKEOVER_NS, time_scale_inverse(old), 32);
    uint64_t a = time_scale_span(old, ticks), b = time_scale_span(new, ticks);

    return a > b ? a - b : 0;
}

void clock_set_tsc_hz(uint64_t hz)
{
    struct time_scale *s = &machine.scale;

    spin_lock(&machine.lock);
    if (s->mul == 0) {
        *s = time_scale_make(hz, rdtsc(), 0);
    } else {
        uint64_t tsc = rdtsc() - (uint64_t)this_cpu_ptr(clock)->tsc_ahead;
        struct time_scale new = time_scale_make(hz, tsc, at_rate(s, time_scale_rate(s), tsc));

        new.base_ns += gained(s, &new);
        *s = new;
    }
    machine.generation++;
    spin_unlock(&machine.lock);
    spread();
}

void clock_set_local_timer(uint64_t ticks, uint64_t tsc_ticks)
{
    spin_lock(&machine.lock);
    machine.local_ticks = ticks;
    machine.local_tsc_ticks = tsc_ticks;
    spin_unlock(&machine.lock);
}

void clock_set_tsc_offset(unsigned int cpu, int64_t ticks)
{
    struct clock *c = per_cpu_ptr(clock, cpu);

    spin_lock(&machine.lock);
    c->tsc_ahead = ticks;
    machine.is_stable = false;
    spin_unlock(&machine.lock);
    timer_set(&c->takeover, 0);
}

void clock_set_unstable(void)
{
    WRITE_ONCE(machine.is_stable, false);
}

void clock_cpu_init(void)
{
    struct clock *c = this_cpu_ptr(clock);

    timer_init(&c->takeover, takeover_fires, c, cpu_id());
    take_over(c);
}
