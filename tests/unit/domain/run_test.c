/* SPDX-License-Identifier: MIT */
/* Domains that are shut down, with vCPUs that leave their CPUs when the test says so. */
/* sources: hv/domain/run.c hv/lib/format.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/domain.h"
#include "domain/part.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include <xen/sched.h>

#define NR_VCPUS 3u

struct cpu host_cpu;
static struct cpu blocks[2];
struct cpu *cpus[NR_CPUS] = { &blocks[0], &blocks[1] };
struct cpumask cpus_online = { .bits = { 3 } };
static struct vcpu vcpus[NR_VCPUS], *by_number[NR_VCPUS], other = { .is_idle = true };
static struct domain d, idle = { .is_idle = true };
static unsigned int nr_reports, nr_woken;

void spin_lock_wait(struct spinlock *lock)
{
    fail_msg("a lock is taken twice");
}

void log_print(enum log_level level, const char *fmt, ...)
{
}

void sched_sleep_nosync(struct sched_unit *u)
{
}

/* A timer's function, or a CPU between two vCPUs, shuts domains down. */
void sched_sleep_sync(struct sched_unit *u)
{
    fail_msg("a shutdown waits for a CPU");
}

void sched_wake(struct sched_unit *u)
{
    nr_woken++;
}

void softirq_raise_on(unsigned int cpu, enum softirq nr)
{
    blocks[cpu].softirqs |= 1u << nr;
}

void domain_put(struct domain *of)
{
    assert_ptr_equal(of, &d);
    d.refs--;
}

static void report(void)
{
    assert_true(d.is_parked);
    nr_reports++;
}

static noreturn void hardware_domain_gone(uint8_t reason)
{
    fail_msg("this is no hardware domain");
    __builtin_unreachable();
}

const struct domain_host_ops domain_host_ops = { .hardware_domain_gone = hardware_domain_gone,
                                                 .raise_dom_exc = report };

static int begin(void **state)
{
    memset(blocks, 0, sizeof(blocks));
    memset(vcpus, 0, sizeof(vcpus));
    d = (struct domain){ .refs = 1, .id = 1, .max_vcpus = NR_VCPUS, .vcpus = by_number };
    for (unsigned int i = 0; i < NR_VCPUS; i++) {
        by_number[i] = &vcpus[i];
        vcpus[i].domain = &d;
        vcpus[i].is_online = true;
    }
    other.domain = &idle;
    host_cpu.curr = &other;
    host_cpu.softirqs = nr_reports = nr_woken = 0;
    return 0;
}

static void run_on(struct vcpu *v)
{
    v->unit.state = UNIT_RUNNING;
    v->unit.on_cpu = true;
}

static void it_is_reported_when_the_last_vcpu_has_left_its_cpu(void **state)
{
    run_on(&vcpus[0]);
    run_on(&vcpus[2]);
    domain_shutdown(&d, SHUTDOWN_watchdog);
    assert_int_equal(d.shutdown_code, SHUTDOWN_watchdog);
    for (unsigned int i = 0; i < NR_VCPUS; i++) {
        assert_int_equal(vcpus[i].pause_count, 1);
    }
    for (unsigned int cpu = 0; cpu < 2; cpu++) {
        assert_true(blocks[cpu].softirqs & 1u << SOFTIRQ_SHUTDOWN);
    }
    domain_shutdown_softirq();
    assert_false(d.is_parked);

    vcpus[2].unit.state = UNIT_BLOCKED; /* its CPU has decided, and saves its registers */
    vcpus[0].unit.state = UNIT_BLOCKED;
    vcpus[0].unit.on_cpu = false;
    domain_shutdown_softirq();
    assert_false(d.is_parked);
    assert_int_equal(d.refs, 2); /* it stays while it is looked at */

    vcpus[2].unit.on_cpu = false;
    domain_shutdown_softirq();
    assert_true(d.is_parked);
    assert_int_equal(nr_reports, 1);
    assert_int_equal(d.refs, 1);
    domain_shutdown_softirq();
    assert_int_equal(nr_reports, 1);
}

/* A CPU serves its softirqs from the lowest on: it leaves the domain, then it looks. */
static void a_cpu_leaves_before_it_looks(void **state)
{
    assert_true(SOFTIRQ_SCHEDULE < SOFTIRQ_SHUTDOWN);
}

static void one_that_is_not_reported_cannot_be_resumed(void **state)
{
    run_on(&vcpus[1]);
    domain_shutdown(&d, SHUTDOWN_suspend);
    assert_int_equal(domain_resume(&d), -ERESTART);
    assert_int_equal(vcpus[1].pause_count, 1);
    vcpus[1].unit.state = UNIT_BLOCKED;
    vcpus[1].unit.on_cpu = false;
    domain_shutdown_softirq();
    assert_int_equal(domain_resume(&d), 0);
    assert_false(d.is_shut_down || d.is_parked);
    assert_int_equal(d.shutdown_code, SHUTDOWN_CODE_NONE);
    assert_int_equal(nr_woken, NR_VCPUS);
    assert_int_equal(domain_resume(&d), 0);
    assert_int_equal(vcpus[1].pause_count, 0);

    domain_shutdown(&d, SHUTDOWN_poweroff);
    domain_shutdown_softirq();
    assert_int_equal(nr_reports, 2);
}

/*
 * Another CPU has begun to shut the domain down, and has not come to this vCPU yet:
 * without a softirq this CPU would go on into the guest with half a frame.
 */
static void a_vcpu_that_crashes_second_does_not_go_on(void **state)
{
    host_cpu.curr = &vcpus[1];
    run_on(&vcpus[1]);
    d.is_shut_down = true;
    domain_crash(&d, "vCPU %u has no stack", 1);
    assert_true(host_cpu.softirqs & 1u << SOFTIRQ_SCHEDULE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_reported_when_the_last_vcpu_has_left_its_cpu, begin),
        cmocka_unit_test_setup(a_cpu_leaves_before_it_looks, begin),
        cmocka_unit_test_setup(one_that_is_not_reported_cannot_be_resumed, begin),
        cmocka_unit_test_setup(a_vcpu_that_crashes_second_does_not_go_on, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
