/* SPDX-License-Identifier: MIT */
/*
 * Softirqs: the bits in struct cpu, and their handlers.  The way out to a guest
 * and the idle loop look at the bits with interrupts off, so one that is
 * raised by an interrupt or from elsewhere is never slept over.
 */
#include "sys/softirq.h"

#include "sys/log.h"
#include "x86/cpu.h"
#include "x86/smp.h"

void softirq_raise_on(unsigned int cpu, enum softirq nr)
{
    uint32_t bit = 1u << nr;
    uint32_t old = __atomic_fetch_or(&cpus[cpu]->softirqs, bit, __ATOMIC_SEQ_CST);

    /* Whoever set the bit before us has sent the interrupt as well. */
    if (cpu != cpu_id() && !(old & bit)) {
        cpu_poke(cpu);
    }
}

void softirq_run(void)
{
    struct cpu *c = this_cpu();
    uint32_t asked;

    /* One bit at a time: a handler may leave for good, and the others must stay asked for. */
    while ((asked = READ_ONCE(c->softirqs)) != 0) {
        unsigned int nr = (unsigned int)__builtin_ctz(asked);

        __atomic_fetch_and(&c->softirqs, ~(1u << nr), __ATOMIC_SEQ_CST);
        softirq_handlers[nr]();
    }
}

bool preempt_pending(void)
{
    struct cpu *c = this_cpu();

    ASSERT(c->nr_locks == 0);
    c->is_poked = false;
    cpu_irq_window();
    return READ_ONCE(c->softirqs) != 0 || READ_ONCE(c->is_poked);
}
