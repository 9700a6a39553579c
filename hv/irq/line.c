/* SPDX-License-Identifier: MIT */
/*
 * Lines: taking, delivering, acknowledging, moving.
 *
 * Level.  The pin stays asserted until the device's driver has seen to it, and
 * a guest may take its time.  So the pin is masked before the local APIC is
 * told that the interrupt is over (or it would come again at once), and stays
 * so until the guest says that it has handled it.  Interrupts of other lines
 * are never held up by a slow guest.  Lines of our own are handled before
 * anything is acknowledged and need no masking.
 *
 * Edge and MSI.  Acknowledged at once; while it is handled the next one may
 * come, and raises the event again.
 *
 * Storms.  A device that interrupts faster than anyone can work gets masked
 * for a while: a line must not eat a CPU.
 *
 * Moving.  The new CPU's table gets the line under the same vector, then the
 * source is aimed at the new CPU.  The old CPU's entry stays for one that is
 * still on its way; it goes away with the first interrupt that comes to the
 * new CPU, and until then no further move begins.
 */
#include "abi/errno.h"
#include "irq/encode.h"
#include "irq/internal.h"
#include "mm/heap.h"
#include "sys/log.h"
#include "time/time.h"
#include "x86/lapic.h"

#define STORM_COUNT 4096u        /* so many interrupts ... */
#define STORM_NS    (1ull << 23) /* ... within 8 ms are a storm, ... */
#define CALM_NS     (1ull << 24) /* ... and the line rests for so long */

static const struct irq_source *const sources[NR_IRQ_KINDS] = {
    [IRQ_GSI] = &irq_gsi_source,
    [IRQ_MSI] = &irq_msi_source,
    [IRQ_MSIX] = &irq_msix_source,
};

static struct spinlock pool_lock = SPINLOCK_INIT(LOCK_RANK_LEAF);
static struct list_node pool = LIST_INIT(pool); /* [pool_lock] lines that nobody uses */

/* --- lines and their vectors --- */

/* The timer of a stormy line: let it through again. */
static void calm_down(struct timer *t)
{
    struct irq_line *line = t->data;

    spin_lock(&line->lock);
    if (line->is_stormy) {
        line->is_stormy = false;
        line->burst = 0;
        line_update_mask(line);
    }
    spin_unlock(&line->lock);
}

static struct irq_line *pool_take(void)
{
    struct irq_line *line;

    spin_lock(&pool_lock);
    line = list_first(&pool, struct irq_line, link);
    if (line) {
        list_remove(&line->link);
    }
    spin_unlock(&pool_lock);
    return line;
}

struct irq_line *line_alloc(enum irq_kind kind)
{
    struct irq_line *line = pool_take();

    if (!line) {
        line = heap_alloc(sizeof(*line));
        if (!line) {
            return NULL;
        }
        spin_lock_init(&line->lock, LOCK_RANK_IRQ);
        timer_init(&line->calm, calm_down, line, cpu_id());
        list_init(&line->link);
    }
    line->kind = (uint8_t)kind;
    line->is_level = line->is_active_low = line->is_set_up = false;
    line->nr_storms = line->count = 0;
    line->old_cpu = IRQ_NO_CPU;
    line->is_masked = true;
    return line;
}

void line_free(struct irq_line *line)
{
    spin_lock(&pool_lock);
    list_add_tail(&pool, &line->link);
    spin_unlock(&pool_lock);
}

uint8_t line_dest(const struct irq_line *line)
{
    return (uint8_t)cpus[line->cpu]->apic_id;
}

int line_take_vector(struct irq_line *line, unsigned int cpu)
{
    int vector = vector_alloc(cpu, 1, &line);

    if (vector < 0) {
        return vector;
    }
    line->vector = (uint8_t)vector;
    line->cpu = line->wanted_cpu = (uint16_t)cpu;
    line->old_cpu = IRQ_NO_CPU;
    return 0;
}

/* The move is over: nothing comes to the old CPU any more. */
static void settle(struct irq_line *line) REQUIRES(line->lock)
{
    if (line->old_cpu != IRQ_NO_CPU) {
        vector_free(line->old_cpu, line->vector);
        line->old_cpu = IRQ_NO_CPU;
    }
}

void line_drop_vectors(struct irq_line *line)
{
    settle(line);
    vector_free(line->cpu, line->vector);
    line->vector = 0;
}

void line_update_mask(struct irq_line *line)
{
    bool is_open = line->user == IRQ_OURS || (line->is_bound && !line->in_service);
    bool is_masked = !is_open || line->is_stormy;

    if (is_masked != line->is_masked) {
        sources[line->kind]->set_mask(line, is_masked);
    }
}

/* --- interrupts --- */

/* Has @line come too often?  The time is asked for once in STORM_COUNT interrupts. */
static bool is_storm(struct irq_line *line) REQUIRES(line->lock)
{
    uint64_t now;
    bool is_short;

    line->count++;
    if (likely(++line->burst < STORM_COUNT)) {
        return false;
    }
    now = time_now();
    is_short = now - line->burst_start_ns < STORM_NS;
    line->burst = 0;
    line->burst_start_ns = now;
    return is_short;
}

static void rest(struct irq_line *line) REQUIRES(line->lock)
{
    line->is_stormy = true;
    line->nr_storms++;
    line_update_mask(line);
    timer_set(&line->calm, line->burst_start_ns + CALM_NS);
}

static void begin_move(struct irq_line *line) REQUIRES(line->lock)
{
    unsigned int old = line->cpu, new = line->wanted_cpu;

    if (old == new || line->old_cpu != IRQ_NO_CPU) {
        return;
    }
    line->wanted_cpu = (uint16_t)old;
    if (!vector_take(new, line->vector, line)) {
        return;
    }
    line->cpu = (uint16_t) new;
    if (sources[line->kind]->aim(line)) {
        line->old_cpu = (uint16_t)old;
        line->wanted_cpu = (uint16_t) new;
    } else {
        line->cpu = (uint16_t)old;
        vector_free(new, line->vector);
    }
}

static void deliver_ours(struct irq_line *line) RELEASES(line->lock)
{
    bool is_level = line->is_level;

    spin_unlock(&line->lock);
    if (!is_level) {
        lapic_eoi();
    }
    line->fn(line->arg);
    if (is_level) {
        lapic_eoi();
    }
}

static void deliver_guest(struct irq_line *line) REQUIRES(line->lock)
{
    if (line->is_level && line->is_bound) {
        line->in_service = true;
        line_update_mask(line);
    }
    lapic_eoi();
    if (line->is_bound) {
        irq_guest_ops.deliver(line->domid, line->pirq);
    }
}

/* A vector that is nobody's: sent before a move or an unmapping, or never by a line of ours. */
static void dispatch_stray(unsigned int vector)
{
    static uint32_t nr_strays;

    lapic_eoi();
    /* Powers of two only: there may be many. */
    if ((__atomic_add_fetch(&nr_strays, 1, __ATOMIC_RELAXED) & (READ_ONCE(nr_strays) - 1)) == 0) {
        log_debug("CPU %u: interrupt %#x is no line's (%u such so far); dropped", cpu_id(), vector,
                  READ_ONCE(nr_strays));
    }
}

void irq_dispatch(unsigned int vector) NO_THREAD_SAFETY
{
    struct irq_line *line = vector_line(vector);

    if (!line) {
        dispatch_stray(vector);
        return;
    }
    spin_lock(&line->lock);
    if (unlikely(line->user == IRQ_FREE || line->vector != vector)) {
        spin_unlock(&line->lock);
        dispatch_stray(vector);
        return;
    }
    if (unlikely(is_storm(line))) {
        rest(line);
    }
    if (unlikely(line->old_cpu != IRQ_NO_CPU) && line->cpu == cpu_id()) {
        settle(line);
        begin_move(line);
    }
    if (line->user == IRQ_OURS) {
        deliver_ours(line);
        return;
    }
    deliver_guest(line);
    spin_unlock(&line->lock);
}

/* --- what guests do with any kind of line --- */

void irq_guest_bind(struct irq_line *line)
{
    spin_lock(&line->lock);
    line->is_bound = true;
    line_update_mask(line);
    spin_unlock(&line->lock);
}

void irq_guest_unbind(struct irq_line *line)
{
    spin_lock(&line->lock);
    line->is_bound = line->in_service = false;
    line_update_mask(line);
    spin_unlock(&line->lock);
}

void irq_guest_eoi(struct irq_line *line)
{
    spin_lock(&line->lock);
    if (line->in_service) {
        line->in_service = false;
        line_update_mask(line);
    }
    spin_unlock(&line->lock);
}

bool irq_guest_needs_eoi(const struct irq_line *line)
{
    return READ_ONCE(line->is_level);
}

void irq_set_cpu(struct irq_line *line, unsigned int cpu)
{
    if (cpus[cpu]->apic_id > IRQ_DEST_MAX) {
        return;
    }
    spin_lock(&line->lock);
    if (line->user != IRQ_FREE) {
        line->wanted_cpu = (uint16_t)cpu;
        begin_move(line);
    }
    spin_unlock(&line->lock);
}

void irq_guest_unmap(struct irq_line *line)
{
    spin_lock(&line->lock);
    line->is_bound = line->in_service = line->is_stormy = false;
    line_update_mask(line);
    line->user = IRQ_FREE;
    line_drop_vectors(line);
    timer_stop(&line->calm);
    spin_unlock(&line->lock);
    if (line->kind != IRQ_GSI) {
        msi_release(line);
    }
}
