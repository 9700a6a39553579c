/* SPDX-License-Identifier: MIT */
/*
 * FPU and vector registers: kept over hypercalls, blocking and other vCPUs'
 * work, clean for a new vCPU, and trapping where the guest has set TS.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

static struct trap_record record;

static void set_registers(uint64_t seed)
{
    uint64_t v[2] = { seed, ~seed };

    __asm__ volatile("movups %0, %%xmm0; movups %0, %%xmm7; movups %0, %%xmm15" ::"m"(v));
}

static bool registers_are(uint64_t seed)
{
    uint64_t v[3][2];

    __asm__ volatile("movups %%xmm0, %0; movups %%xmm7, %1; movups %%xmm15, %2"
                     : "=m"(v[0]), "=m"(v[1]), "=m"(v[2]));
    return v[0][0] == seed && v[1][0] == seed && v[2][0] == seed && v[0][1] == ~seed &&
           v[1][1] == ~seed && v[2][1] == ~seed;
}

TEST(registers_survive_hypercalls)
{
    set_registers(0x1234);
    for (unsigned int i = 0; i < 100; i++) {
        hyper_version(XENVER_version, NULL);
        hyper_sched(SCHEDOP_yield, NULL);
        print("\n");
    }
    CHECK(registers_are(0x1234));
}

static volatile unsigned int nr_woken;

static void woken(unsigned int port)
{
    (void)port;
    nr_woken++;
}

TEST(registers_survive_blocking)
{
    long port = event_bind_virq(VIRQ_TIMER, 0);

    event_set_handler((unsigned int)port, woken);
    port_unmask((unsigned int)port);
    for (uint64_t i = 1; i <= 20; i++) {
        set_registers(i * 0x0101010101010101);
        event_mask();
        nr_woken = 0;
        timer_set(system_time() + 1000000);
        while (!nr_woken) {
            hyper_sched(SCHEDOP_block, NULL);
        }
        CHECK(registers_are(i * 0x0101010101010101));
    }
    event_mask();
    event_close((unsigned int)port);
}

static void use_fpu(void *arg)
{
    (void)arg;
    __asm__ volatile("pxor %xmm1, %xmm1");
}

TEST(task_switched_makes_the_fpu_trap)
{
    set_registers(0x77);
    EXPECT(hyper_fpu_taskswitch(1), 0);
    CHECK(trap_try(use_fpu, NULL, &record));
    EXPECT(record.regs.vector, 7);
    /* Delivery has cleared it, or the guest does now. */
    EXPECT(hyper_fpu_taskswitch(0), 0);
    CHECK(!trap_try(use_fpu, NULL, &record));
    CHECK(registers_are(0x77));
}

user_code static void user_fpu(void)
{
    __asm__ volatile("movq %xmm0, %rax; mov $0x99, %ebx; movq %rbx, %xmm0; ud2");
}

TEST(user_mode_shares_the_kernels_registers)
{
    struct regs regs;
    uint64_t after;

    set_registers(0x55);
    user_regs(&regs, user_fpu);
    user_run(&regs);
    EXPECT(regs.vector, 6);
    EXPECT(regs.rax, 0x55);
    __asm__ volatile("movq %%xmm0, %0" : "=r"(after));
    EXPECT(after, 0x99);
}

TEST(control_words_survive)
{
    uint32_t mxcsr = 0x1fa0, back;
    uint16_t cw = 0x27f, cw_back;

    __asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(cw));
    hyper_sched(SCHEDOP_yield, NULL);
    hyper_version(XENVER_version, NULL);
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(back), "=m"(cw_back));
    EXPECT(back, 0x1fa0);
    EXPECT(cw_back, 0x27f);
    mxcsr = 0x1f80;
    __asm__ volatile("ldmxcsr %0; fninit" ::"m"(mxcsr));
}

static void divide_by_zero(void *arg)
{
    uint32_t mxcsr = 0x1d80, clean = 0x1f80; /* zero-divide not masked */

    (void)arg;
    (void)clean;
    __asm__ volatile(
        "ldmxcsr %0; xorps %%xmm0, %%xmm0; movups %%xmm0, %%xmm1; mov $0x3f800000, %%eax;"
        "movd %%eax, %%xmm1; divss %%xmm0, %%xmm1" ::"m"(mxcsr)
        : "eax");
}

TEST(a_numeric_fault_is_the_guests)
{
    uint32_t clean = 0x1f80;

    if (trap_try(divide_by_zero, NULL, &record)) {
        EXPECT(record.regs.vector, 19);
    }
    __asm__ volatile("ldmxcsr %0" ::"m"(clean));
}

/* ---- another vCPU ---- */

static volatile unsigned int phase;
static volatile bool was_clean, was_kept;

static void other_vcpu(void *arg)
{
    uint64_t v[2];
    uint16_t cw;
    uint32_t mxcsr;

    (void)arg;
    __asm__ volatile("movups %%xmm7, %0; fnstcw %1; stmxcsr %2" : "=m"(v), "=m"(cw), "=m"(mxcsr));
    was_clean = v[0] == 0 && v[1] == 0 && cw == 0x37f && mxcsr == 0x1f80;
    set_registers(0x2222);
    phase = 1;
    while (phase != 2) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    was_kept = registers_are(0x2222);
}

TEST(each_vcpu_has_its_own_clean_registers)
{
    if (cpu_count() < 2) {
        return;
    }
    set_registers(0x1111);
    EXPECT(cpu_start(1, other_vcpu, NULL), 0);
    for (unsigned int i = 0; phase != 1 && i < 10000000; i++) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    CHECK(registers_are(0x1111));
    phase = 2;
    cpu_wait_down(1);
    CHECK(was_clean);
    CHECK(was_kept);
}
