/* SPDX-License-Identifier: MIT */
/* What becomes of a vCPU to which the processor cannot return. */
/* sources: hv/pv/bounce.c tests/unit/x86/fake.c */
#include "x86/fake.h"

#include "guest/guest.h"
#include "pv/internal.h"
#include "x86/vectors.h"

#define HANDLER       0xffffffff81000000ul
#define NON_CANONICAL 0x0000800000000000ul
#define STACK_WORDS   512u

static struct domain domain;
static struct vcpu vcpu;
static struct vcpu_info info;
static struct trap_info traps[256];
static uint64_t stack[STACK_WORDS];
static unsigned int nr_crashes;

/* ---- fakes ---- */

void domain_crash(struct domain *d, const char *fmt, ...)
{
    nr_crashes++;
}

void log_guest(unsigned int domid, const char *fmt, ...)
{
}

int put_user64(uint64_t value, uint64_t *addr)
{
    *addr = value;
    return 0;
}

int copy_user_words(void *to, const void *from, unsigned int words)
{
    memcpy(to, from, words * sizeof(uint64_t));
    return 0;
}

int guest_read(void *to, struct guest_ptr from, size_t len_bytes)
{
    memcpy(to, (const void *)from.va, len_bytes);
    return 0;
}

void cr3_load(uint64_t cr3)
{
}

/* ---- tests ---- */

/* In its kernel, by a way in that leaves as it came; a #GP is handled at @handler. */
static void start(uint64_t handler)
{
    fake_reset();
    nr_crashes = 0;
    memset(&vcpu, 0, sizeof(vcpu));
    memset(&info, 0, sizeof(info));
    domain.id = 7;
    vcpu.domain = &domain;
    vcpu.info = &info;
    vcpu.in_kernel = true;
    vcpu.pv.traps = traps;
    traps[VEC_GP].address = handler;
    vcpu.regs.rip = NON_CANONICAL;
    vcpu.regs.cs = FLAT_KERNEL_CS;
    vcpu.regs.rsp = (uint64_t)&stack[STACK_WORDS];
}

/* The iret hypercall of a kernel that wants to go on at an address that is not canonical. */
static void a_return_that_fails_is_an_exception_of_the_guest(void **state)
{
    struct iret_context *frame = (struct iret_context *)&stack[400];

    start(HANDLER);
    vcpu.regs.entry_vector = VEC_SYSCALL;
    *frame = (struct iret_context){ .rip = NON_CANONICAL,
                                    .cs = FLAT_KERNEL_CS & ~3u,
                                    .rsp = (uint64_t)&stack[STACK_WORDS],
                                    .flags = VGCF_in_syscall };
    vcpu.regs.rsp = (uint64_t)frame;
    pv_iret(&vcpu);
    assert_int_equal(vcpu.regs.rip, NON_CANONICAL);
    pv_iret_fault(&vcpu, VEC_GP, 0);
    assert_int_equal(nr_crashes, 0);
    assert_int_equal(vcpu.regs.rip, HANDLER);
    assert_int_equal(vcpu.regs.rsp, &stack[STACK_WORDS - 8]);
}

static void a_frame_that_cannot_enter_the_kernel_ends_the_domain(void **state)
{
    start(NON_CANONICAL);
    pv_iret_fault(&vcpu, VEC_GP, 0);
    assert_int_equal(nr_crashes, 0);
    assert_int_equal(vcpu.regs.rip, NON_CANONICAL);
    pv_iret_fault(&vcpu, VEC_GP, 0);
    assert_int_equal(nr_crashes, 1);
    assert_int_equal(vcpu.regs.rsp, &stack[STACK_WORDS - 8]); /* no second frame */
}

/* Whichever way the frame came about. */
static void so_does_one_of_a_callback(void **state)
{
    start(HANDLER);
    vcpu.pv.event.address = NON_CANONICAL;
    pv_deliver_upcall(&vcpu);
    pv_iret_fault(&vcpu, VEC_GP, 0);
    assert_int_equal(nr_crashes, 1);

    start(HANDLER);
    vcpu.pv.failsafe.address = NON_CANONICAL;
    pv_failsafe(&vcpu);
    pv_iret_fault(&vcpu, VEC_GP, 0);
    assert_int_equal(nr_crashes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_return_that_fails_is_an_exception_of_the_guest),
        cmocka_unit_test(a_frame_that_cannot_enter_the_kernel_ends_the_domain),
        cmocka_unit_test(so_does_one_of_a_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
