/* SPDX-License-Identifier: MIT */
/* sources: hv/x86/tlb.c tests/unit/x86/fake.c */
/*
 * All CPUs share one box of requests here; an interrupt to another CPU is held
 * back until the asking one polls, which then stands for the other.
 */
#include "x86/fake.h"

#include "x86/lapic.h"
#include "x86/regs.h"
#include "x86/smp.h"
#include "x86/vectors.h"
#include "sys/softirq.h"

static unsigned int nr_sent;
static struct cpu other = { .id = 1, .apic_id = 7 };

void lapic_send(uint32_t apic_id, unsigned int vector)
{
    assert_int_equal(apic_id, 7);
    assert_int_equal(vector, VEC_FLUSH);
    nr_sent++;
}

void cpu_call_mask(const struct cpumask *m, void (*fn)(void *), void *arg)
{
    fn(arg);
}

static int setup(void **state)
{
    fake_reset();
    nr_sent = 0;
    cpus[1] = &other;
    cpus_online.bits[0] = 3;
    return 0;
}

static void a_flush_after_a_stamp_counts(void **state)
{
    uint32_t stamp;

    tlb_flush_local();
    stamp = tlb_clock();
    assert_false(tlb_flushed_since(&host_cpu, stamp));
    tlb_flush_local();
    assert_true(tlb_flushed_since(&host_cpu, stamp));
    assert_false(tlb_flushed_since(&host_cpu, tlb_clock()));
}

static void a_new_address_space_counts_as_a_flush(void **state)
{
    uint32_t stamp = tlb_clock();

    cr3_load(0x5000);
    assert_int_equal(fake_cr3, 0x5000);
    assert_int_equal(host_cpu.cr3, 0x5000);
    assert_true(tlb_flushed_since(&host_cpu, stamp));
}

static void the_clock_stands_while_nobody_asks_for_it(void **state)
{
    uint32_t before;

    tlb_clock();
    tlb_flush_local();
    before = host_cpu.flush_stamp;
    for (unsigned int i = 0; i < 100; i++) {
        tlb_flush_local();
    }
    assert_int_equal(host_cpu.flush_stamp, before);
}

static void one_page_is_flushed_as_one_page(void **state)
{
    struct cpumask m = { { 3 } };

    tlb_flush_page_mask(&m, 0x12345678);
    assert_int_equal(nr_sent, 1);
    assert_int_equal(fake_invlpgs, 2); /* here, and there */
    assert_int_equal(fake_invlpg_va, 0x12345000);
    assert_int_equal(fake_cr3_loads, 0);
}

static void cpus_that_are_not_online_are_left_alone(void **state)
{
    struct cpumask m = { { 3 } };

    cpus_online.bits[0] = 1;
    tlb_flush_mask(&m);
    assert_int_equal(nr_sent, 0);
    assert_int_equal(fake_cr3_loads, 1);
}

static void a_cpu_outside_the_set_does_not_flush(void **state)
{
    struct cpumask m = { { 2 } };

    tlb_flush_mask(&m);
    assert_int_equal(nr_sent, 1);
    assert_int_equal(fake_cr3_loads, 1); /* the other's, served here */
}

static void a_global_flush_changes_cr4_and_back(void **state)
{
    fake_cr4 = CR4_PGE | CR4_PAE;
    tlb_flush_global_all();
    assert_int_equal(fake_cr4, CR4_PGE | CR4_PAE);
    assert_int_equal(fake_cr4_loads, 4); /* twice on each of two CPUs */
}

static void asking_for_nothing_flushes_nothing(void **state)
{
    cpu_poll_requests();
    assert_int_equal(fake_cr3_loads + fake_cr4_loads + fake_invlpgs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_flush_after_a_stamp_counts, setup),
        cmocka_unit_test_setup(a_new_address_space_counts_as_a_flush, setup),
        cmocka_unit_test_setup(the_clock_stands_while_nobody_asks_for_it, setup),
        cmocka_unit_test_setup(one_page_is_flushed_as_one_page, setup),
        cmocka_unit_test_setup(cpus_that_are_not_online_are_left_alone, setup),
        cmocka_unit_test_setup(a_cpu_outside_the_set_does_not_flush, setup),
        cmocka_unit_test_setup(a_global_flush_changes_cr4_and_back, setup),
        cmocka_unit_test_setup(asking_for_nothing_flushes_nothing, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
