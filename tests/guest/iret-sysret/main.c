/* SPDX-License-Identifier: MIT */
/*
 * Returns to a guest with states that a processor refuses or that the hypervisor
 * must not take over: whatever the frame says, the next thing that runs is the
 * guest in ring 3, or the guest's own handler.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define NON_CANONICAL 0x0000800000000000ul
#define HYPERVISOR_VA 0xffff830000000000ul
#define RFLAGS_TF     (1ul << 8)
#define RFLAGS_IF     (1ul << 9)
#define RFLAGS_IOPL   (3ul << 12)
#define RFLAGS_NT     (1ul << 14)
#define RFLAGS_RF     (1ul << 16)
#define RFLAGS_VM     (1ul << 17)
#define RFLAGS_AC     (1ul << 18)
#define RFLAGS_VIF    (1ul << 19)
#define RFLAGS_VIP    (1ul << 20)
#define RFLAGS_ID     (1ul << 21)

user_code static void user_stop(void)
{
    __asm__ volatile("ud2");
}

user_code static void user_flags(void)
{
    __asm__ volatile("mov $0x602000, %rsp; pushf; pop %rax; ud2");
}

user_code static void user_steps(void)
{
    __asm__ volatile("nop; nop; syscall; ud2");
}

/* To user mode with *regs, and what comes back; by either way out. */
static void run(struct regs *regs, bool fast)
{
    regs->error = fast ? VGCF_in_syscall : 0;
    user_run(regs);
}

static void start(struct regs *regs)
{
    user_regs(regs, user_stop);
}

TEST(the_plain_case)
{
    struct regs regs;

    start(&regs);
    run(&regs, false);
    EXPECT(regs.vector, 6);
    start(&regs);
    run(&regs, true);
    EXPECT(regs.vector, 6);
}

/* Faults of the return itself come as exceptions of the instruction returned to, or by the
 * failsafe callback. */

static bool note_failsafe(struct regs *regs)
{
    struct cpu *cpu = this_cpu();

    if (cpu->user) {
        *cpu->user = *regs;
        cpu->user = NULL;
        context_restore(&cpu->user_return, 1);
    }
    return false;
}

static void expect_no_harm(struct regs *regs, bool fast, const char *what)
{
    trap_set_handler(ENTRY_FAILSAFE, note_failsafe);
    run(regs, fast);
    trap_set_handler(ENTRY_FAILSAFE, NULL);
    print("%s (%s): entry %lu error %lx rip %lx rsp %lx\n", what, fast ? "fast" : "iret",
          regs->vector, regs->error, regs->rip, regs->rsp);
    if (regs->vector != ENTRY_FAILSAFE && regs->vector != 13 && regs->vector != 14) {
        FAIL("%s: entry %lu", what, regs->vector);
    }
    event_mask();
}

static const uint64_t bad_addresses[] = {
    NON_CANONICAL,      0x7ffffffff000 + 0xfff, 0xffff7fffffffffff,
    0x8000000000000000, HYPERVISOR_VA,          0xffff800000000000,
};

TEST(bad_instruction_pointers)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(bad_addresses); i++) {
        for (unsigned int fast = 0; fast < 2; fast++) {
            struct regs regs;

            start(&regs);
            regs.rip = bad_addresses[i];
            expect_no_harm(&regs, fast, "bad rip");
        }
    }
}

TEST(bad_stack_pointers_do_not_matter_by_themselves)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(bad_addresses); i++) {
        for (unsigned int fast = 0; fast < 2; fast++) {
            struct regs regs;

            start(&regs);
            regs.rsp = bad_addresses[i];
            run(&regs, fast);
            EXPECT(regs.vector, 6);
            EXPECT(regs.rsp, bad_addresses[i]);
        }
    }
}

struct selector_case {
    uint32_t cs;
    uint64_t ss;
    uint64_t error; /* of the #GP at the instruction returned to; 0: loads, or is null */
    bool is_fine;
};

static const struct selector_case selector_cases[] = {
    { FLAT_USER_CS, FLAT_USER_SS, 0, true },
    { FLAT_USER_CS, 0x1230 | 3, 0x1230, false }, /* outside the guest's GDT */
    { 0x1230 | 3, FLAT_USER_SS, 0x1230, false },
    { 0xe008 | 3, FLAT_USER_SS, 0xe008, false }, /* the hypervisor's code segment */
    { FLAT_USER_CS, 0xe010 | 3, 0xe010, false }, /* its data segment */
    { 7, FLAT_USER_SS, 4, false },               /* an empty LDT */
    { 0xffff, FLAT_USER_SS, 0xfffc, false },
    { FLAT_USER_SS, FLAT_USER_SS, 0xe028, false }, /* data as code */
    { FLAT_USER_CS, FLAT_USER_CS, 0xe030, false }, /* code as stack */
    { FLAT_USER_CS, 0xe040 | 3, 0xe040, false },   /* whatever lies behind: a TSS, a limit */
    { 3, FLAT_USER_SS, 0, false },                 /* null code */
};

TEST(selectors_that_do_not_load)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(selector_cases); i++) {
        struct regs regs;

        start(&regs);
        regs.cs = selector_cases[i].cs;
        regs.ss = selector_cases[i].ss;
        if (selector_cases[i].is_fine) {
            run(&regs, false);
            EXPECT(regs.vector, 6);
        } else {
            expect_no_harm(&regs, false, "bad selector");
            EXPECT(regs.vector, 13);
            EXPECT(regs.error, selector_cases[i].error);
            EXPECT(regs.cs & 0xffff, selector_cases[i].cs & 0xffff);
            EXPECT(regs.rip, user_address(user_stop));
            EXPECT(regs.ss & 0xffff, selector_cases[i].ss & 0xffff);
        }
    }
}

/* User mode asks for every flag there is; it gets those that are harmless. */
TEST(flags_are_what_user_mode_may_have)
{
    struct regs regs;

    for (unsigned int fast = 0; fast < 2; fast++) {
        user_regs(&regs, user_flags);
        regs.rflags = 0xcd5 | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;
        run(&regs, fast);
        EXPECT(regs.vector, 6);
        EXPECT(regs.rax & RFLAGS_IF, RFLAGS_IF);
        EXPECT(regs.rax & RFLAGS_IOPL, 0);
        EXPECT(regs.rax & RFLAGS_AC, RFLAGS_AC);
        EXPECT(regs.rax & 0xcd5, 0xcd5);
        EXPECT(regs.rflags & RFLAGS_IOPL, 0);
    }
}

TEST(virtual_8086_mode_is_not_entered)
{
    struct regs regs;

    user_regs(&regs, user_flags);
    regs.rflags = 0x202 | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP;
    run(&regs, false);
    EXPECT(regs.vector, 6);
    EXPECT(regs.rax & RFLAGS_VM, 0);
    CHECK(regs.rip - user_address(user_flags) < 32);
}

/* The interrupt flag of the frame is the guest's upcall mask, never the processor's. */
TEST(interrupts_stay_on_where_the_frame_says_off)
{
    struct regs regs;

    user_regs(&regs, user_flags);
    regs.rflags = 2;
    run(&regs, false);
    EXPECT(regs.vector, 6);
    EXPECT(regs.rax & RFLAGS_IF, RFLAGS_IF);
    EXPECT(regs.saved_mask & 0xff, 1);
    EXPECT(regs.rflags & RFLAGS_IF, 0);
    event_mask();
}

TEST(single_steps_through_a_system_call)
{
    struct regs regs;
    unsigned int nr_steps = 0;

    user_regs(&regs, user_steps);
    regs.rflags |= RFLAGS_TF;
    run(&regs, false);
    while (regs.vector == 1 && nr_steps < 10) {
        EXPECT(regs.rflags & RFLAGS_TF, RFLAGS_TF);
        EXPECT(hyper_get_debugreg(6) & 0x4000, 0x4000);
        hyper_set_debugreg(6, 0);
        nr_steps++;
        run(&regs, false);
    }
    EXPECT(nr_steps, 2);
    EXPECT(regs.vector, ENTRY_SYSCALL);
    EXPECT(regs.r11 & RFLAGS_TF, RFLAGS_TF);
    regs.rflags &= ~RFLAGS_TF;
    run(&regs, true);
    EXPECT(regs.vector, 6);
}

/* Which is taken for the return address: the frame's rip, and rcx is restored or not. */
TEST(a_fast_return_goes_where_the_frame_says)
{
    struct regs regs;

    start(&regs);
    regs.rcx = 0x123456;
    regs.r11 = 0x654321;
    run(&regs, true);
    EXPECT(regs.vector, 6);
    EXPECT(regs.rip, user_address(user_stop));
}

/* ---- nested trouble ---- */

static bool fault_again(struct regs *regs)
{
    uint64_t value;
    struct trap_record record;

    if (probe_read((void *)FREE_VA, &value, &record)) {
        FAIL("a nested fault does not come");
    }
    regs->rip += 2;
    return true;
}

TEST(a_fault_within_a_handler)
{
    trap_set_handler(6, fault_again);
    for (unsigned int i = 0; i < 100; i++) {
        __asm__ volatile("ud2");
    }
    trap_set_handler(6, NULL);
}

/* A loop of faults in user mode is the guest's own affair. */
TEST(ten_thousand_faults)
{
    struct regs regs;

    start(&regs);
    for (unsigned int i = 0; i < 10000; i++) {
        run(&regs, i & 1);
        if (regs.vector != 6) {
            FAIL("turn %u: entry %lu", i, regs.vector);
            return;
        }
    }
}

/* ---- data segments ---- */

static void load_data_segment(void *arg)
{
    __asm__ volatile("mov %w0, %%ds; mov %w0, %%es; mov %w0, %%fs" ::"r"((uint16_t)(uint64_t)arg));
}

TEST(data_segments_load_and_stay)
{
    struct trap_record record;
    uint16_t ds, fs;

    CHECK(!trap_try(load_data_segment, (void *)FLAT_RING3_DS32, &record));
    hyper_sched(SCHEDOP_yield, NULL);
    __asm__ volatile("mov %%ds, %0; mov %%fs, %1" : "=r"(ds), "=r"(fs));
    EXPECT(ds, FLAT_RING3_DS32);
    EXPECT(fs, FLAT_RING3_DS32);
    CHECK(trap_try(load_data_segment, (void *)0x1233, &record));
    EXPECT(record.regs.vector, 13);
    CHECK(!trap_try(load_data_segment, NULL, &record));
}
