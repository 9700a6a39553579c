/* SPDX-License-Identifier: MIT */
/*
 * Vectors.  A line keeps its vector when it moves to another CPU, so that a
 * move changes one word of the hardware and nothing is ever half-written; for
 * that, a vector that no CPU uses is taken before one that another CPU uses.
 *
 * Consecutive requests are spread over the priority classes, each of which is
 * 16 vectors: a local APIC that keeps only two interrupts of a class does not
 * lose time on a third.
 */
#include "abi/errno.h"
#include "irq/internal.h"
#include "x86/vectors.h"

#define NR_DEVICE_VECTORS (VEC_DEVICE_LAST - VEC_DEVICE_FIRST + 1u)
#define CLASS_LEN         16u

/* [vector_lock for writing] read without by its CPU, in irq_dispatch() */
static DEFINE_PER_CPU(struct irq_line *, vector_lines)[NR_DEVICE_VECTORS];

static struct spinlock vector_lock = SPINLOCK_INIT(LOCK_RANK_LEAF);
static uint16_t nr_users[NR_DEVICE_VECTORS];        /* [vector_lock] CPUs on which it is taken */
static unsigned int next_vector = VEC_DEVICE_FIRST; /* [vector_lock] where the next search begins */

static struct irq_line **slot(unsigned int cpu, unsigned int vector)
{
    return &(*per_cpu_ptr(vector_lines, cpu))[vector - VEC_DEVICE_FIRST];
}

/* Are the @nr vectors from @first on free on @cpu, and, if @everywhere, on all others as well? */
static bool are_free(unsigned int cpu, unsigned int first, unsigned int nr, bool everywhere)
{
    if (first + nr > VEC_DEVICE_LAST + 1) {
        return false;
    }
    for (unsigned int v = first; v < first + nr; v++) {
        if (v == VEC_INT80 || v == VEC_INT82 || *slot(cpu, v) ||
            (everywhere && nr_users[v - VEC_DEVICE_FIRST] != 0)) {
            return false;
        }
    }
    return true;
}

static void put(unsigned int cpu, unsigned int vector, struct irq_line *line) REQUIRES(vector_lock)
{
    nr_users[vector - VEC_DEVICE_FIRST]++;
    __atomic_store_n(slot(cpu, vector), line, __ATOMIC_RELEASE); /* with vector_line() */
}

/* The candidate after @vector: in the next class, and after the last class a later one of the
 * first. */
static unsigned int step(unsigned int vector, unsigned int nr)
{
    unsigned int stride = max(nr, CLASS_LEN), lowest = (unsigned int)align_up(VEC_DEVICE_FIRST, nr);
    unsigned int offset = vector - lowest + stride;

    return lowest + offset <= VEC_DEVICE_LAST ? lowest + offset
                                              : lowest + (offset % stride + nr) % stride;
}

static int search(unsigned int cpu, unsigned int nr, bool everywhere) REQUIRES(vector_lock)
{
    unsigned int lowest = (unsigned int)align_up(VEC_DEVICE_FIRST, nr);
    unsigned int v = max((unsigned int)align_down(next_vector, nr), lowest);

    for (unsigned int i = 0; i <= NR_DEVICE_VECTORS / nr; i++) {
        if (are_free(cpu, v, nr, everywhere)) {
            next_vector = step(v, nr);
            return (int)v;
        }
        v = step(v, nr);
    }
    return -ENOSPC;
}

int vector_alloc(unsigned int cpu, unsigned int nr, struct irq_line *const *lines)
{
    int first;

    spin_lock(&vector_lock);
    first = search(cpu, nr, true);
    if (first < 0) {
        first = search(cpu, nr, false);
    }
    for (unsigned int i = 0; first >= 0 && i < nr; i++) {
        put(cpu, (unsigned int)first + i, lines[i]);
    }
    spin_unlock(&vector_lock);
    return first;
}

bool vector_take(unsigned int cpu, unsigned int vector, struct irq_line *line)
{
    bool is_free;

    spin_lock(&vector_lock);
    is_free = are_free(cpu, vector, 1, false);
    if (is_free) {
        put(cpu, vector, line);
    }
    spin_unlock(&vector_lock);
    return is_free;
}

void vector_free(unsigned int cpu, unsigned int vector)
{
    spin_lock(&vector_lock);
    nr_users[vector - VEC_DEVICE_FIRST]--;
    WRITE_ONCE(*slot(cpu, vector), NULL);
    spin_unlock(&vector_lock);
}

struct irq_line *vector_line(unsigned int vector)
{
    return __atomic_load_n(&(*this_cpu_ptr(vector_lines))[vector - VEC_DEVICE_FIRST],
                           __ATOMIC_ACQUIRE);
}
