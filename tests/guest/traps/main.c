/* SPDX-License-Identifier: MIT */
/*
 * Exceptions reach the guest's kernel as the ABI says: vector, error code, cr2,
 * selectors, flags and the upcall mask, from its own mode and from user mode.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define RFLAGS_TF (1ul << 8)
#define RFLAGS_IF (1ul << 9)
#define RFLAGS_AC (1ul << 18)
#define RFLAGS_RF (1ul << 16)
#define IOPL_BITS (3ul << 12)

static struct trap_record record;

/* ---- from the kernel ---- */

/* A function of one instruction that traps, for trap_try(). */
#define TRAPPING(name, ...)                                                                        \
    static void name(void *arg)                                                                    \
    {                                                                                              \
        (void)arg;                                                                                 \
        __asm__ volatile(__VA_ARGS__);                                                             \
    }

TRAPPING(divide, "xor %%ecx, %%ecx; mov $1, %%eax; xor %%edx, %%edx; div %%ecx" ::
             : "eax", "ecx", "edx", "cc")
TRAPPING(breakpoint, "int3")
TRAPPING(undefined, "ud2")
TRAPPING(halt_in, "int $0x55")
TRAPPING(non_canonical, "mov (%0), %%rax" ::"r"(0x8000000000000000) : "rax")
TRAPPING(load_cr3_bad, "mov %0, %%cr8" ::"r"(0ul))
TRAPPING(load_gdt, "lgdt (%0)" ::"r"(&record))
TRAPPING(load_idt, "lidt (%0)" ::"r"(&record))
TRAPPING(load_tr, "ltr %w0" ::"r"(0))
TRAPPING(write_msr, "wrmsr" ::"a"(0), "c"(0xdeadbeef), "d"(0))
TRAPPING(bad_selector, "mov %w0, %%es" ::"r"(0x1230))
TRAPPING(fetch, "jmp *%0" ::"r"(FREE_VA))
TRAPPING(single_step, "pushf; orl $0x100, (%%rsp); popf; nop; nop" ::: "memory", "cc")
TRAPPING(jump_wild, "jmp *%0" ::"r"(0x800000000000))

static void expect_trap(void (*fn)(void *), unsigned long vector, unsigned long error)
{
    if (!trap_try(fn, NULL, &record)) {
        FAIL("no trap, vector %lu expected", vector);
        return;
    }
    EXPECT(record.regs.vector, vector);
    EXPECT(record.regs.error, error);
    EXPECT(record.regs.cs & 3, 0);
    EXPECT(record.regs.rflags & (RFLAGS_IF | IOPL_BITS), 0); /* events are masked here */
    EXPECT(record.regs.saved_mask, 1);
    EXPECT(record.regs.ss >> 16, 0); /* nothing of the hypervisor's in the upper halves */
}

/* An entry of the IDT has 16 bytes: QEMU counts its error codes by that, processors by 8. */
static bool is_gate_error(uint64_t error, unsigned int vector)
{
    return error == vector * 8 + 2 || error == vector * 16 + 2;
}

TEST(divide_error)
{
    expect_trap(divide, 0, 0);
}

TEST(breakpoint_in_the_kernel)
{
    expect_trap(breakpoint, 3, 0);
}

TEST(undefined_instruction)
{
    expect_trap(undefined, 6, 0);
}

TEST(software_interrupt_without_entry)
{
    CHECK(trap_try(halt_in, NULL, &record));
    EXPECT(record.regs.vector, 13);
    CHECK(is_gate_error(record.regs.error, 0x55));
}

TEST(general_protection)
{
    expect_trap(non_canonical, 13, 0);
    expect_trap(load_cr3_bad, 13, 0);
    expect_trap(load_gdt, 13, 0);
    expect_trap(load_idt, 13, 0);
    expect_trap(load_tr, 13, 0);
    expect_trap(write_msr, 13, 0);
    expect_trap(bad_selector, 13, 0x1230);
}

TEST(debug_traps)
{
    expect_trap(single_step, 1, 0);
    EXPECT(record.regs.rflags & RFLAGS_TF, RFLAGS_TF);
    EXPECT(hyper_get_debugreg(6) & 0x4000, 0x4000);
    hyper_set_debugreg(6, 0);
}

TEST(page_fault_on_a_read)
{
    uint64_t value;

    CHECK(!probe_read((void *)(FREE_VA + 0x123), &value, &record));
    EXPECT(record.regs.vector, 14);
    EXPECT(record.regs.error, 0); /* the kernel's own: no user bit */
    EXPECT(record.cr2, FREE_VA + 0x123);
    EXPECT(record.regs.cs & 3, 0);
}

TEST(page_fault_on_a_write)
{
    CHECK(!probe_write((void *)(FREE_VA + 0x2000), 1, &record));
    EXPECT(record.regs.vector, 14);
    EXPECT(record.regs.error, 2);
    EXPECT(record.cr2, FREE_VA + 0x2000);
}

TEST(page_fault_on_a_fetch)
{
    expect_trap(fetch, 14, 0x10);
    EXPECT(record.cr2, FREE_VA);
    EXPECT(record.regs.rip, FREE_VA);
}

TEST(page_fault_in_the_hypervisors_range)
{
    uint64_t value;

    CHECK(!probe_read((void *)0xffff830000000000, &value, &record));
    EXPECT(record.regs.vector, 14);
    CHECK(!probe_write((void *)0xffff830000000000, 0, &record));
    EXPECT(record.regs.vector, 14);
}

TEST(jump_to_a_non_canonical_address)
{
    expect_trap(jump_wild, 13, 0);
}

/* ---- flags at the handler ---- */

static uint64_t handler_flags;
static uint8_t handler_mask;

static bool note_flags(struct regs *regs)
{
    __asm__ volatile("pushf; pop %0" : "=r"(handler_flags));
    handler_mask = event_vcpu_info()->evtchn_upcall_mask;
    regs->rip += 2;
    return true;
}

TEST(flags_are_clean_at_the_handler)
{
    uint64_t flags;

    trap_set_handler(6, note_flags);
    __asm__ volatile("pushf; orl $0x44000, (%%rsp); popf; ud2; pushf; pop %0; mov $2, %%ecx;"
                     "push %%rcx; popf"
                     : "=r"(flags)
                     :
                     : "rcx", "memory", "cc");
    trap_set_handler(6, NULL);
    EXPECT(handler_flags & (RFLAGS_AC | 0x4000 | RFLAGS_TF | RFLAGS_RF), 0);
    EXPECT(handler_flags & RFLAGS_IF, RFLAGS_IF); /* interrupts stay the hypervisor's */
    EXPECT(flags & RFLAGS_AC, RFLAGS_AC);
}

static void set_entry_mask(unsigned int vector, bool mask)
{
    struct trap_info table[2] = { trap_table[vector] };

    TI_SET_IF(&table[0], mask);
    EXPECT(hyper_trap_table(table), 0);
}

TEST(an_entry_masks_events_where_asked)
{
    trap_set_handler(6, note_flags);
    event_unmask();
    __asm__ volatile("ud2");
    EXPECT(handler_mask, 0);
    set_entry_mask(6, true);
    __asm__ volatile("ud2");
    EXPECT(handler_mask, 1);
    EXPECT(event_vcpu_info()->evtchn_upcall_mask, 0); /* iret brought it back */
    set_entry_mask(6, false);
    event_mask();
    trap_set_handler(6, NULL);
}

/* ---- registers ---- */

static struct regs seen;

static bool note_regs(struct regs *regs)
{
    seen = *regs;
    regs->rip += 2;
    return true;
}

TEST(all_registers_come_back)
{
    uint64_t sum = 0;

    trap_set_handler(6, note_regs);
    __asm__ volatile("mov $1, %%eax; mov $2, %%ebx; mov $3, %%ecx; mov $4, %%edx; mov $5, %%esi;"
                     "mov $6, %%edi; mov $7, %%r8; mov $8, %%r9; mov $9, %%r10; mov $10, %%r11;"
                     "mov $11, %%r12; mov $12, %%r13; mov $13, %%r14; mov $14, %%r15;"
                     "ud2;"
                     "add %%rbx, %%rax; add %%rcx, %%rax; add %%rdx, %%rax; add %%rsi, %%rax;"
                     "add %%rdi, %%rax; add %%r8, %%rax; add %%r9, %%rax; add %%r10, %%rax;"
                     "add %%r11, %%rax; add %%r12, %%rax; add %%r13, %%rax; add %%r14, %%rax;"
                     "add %%r15, %%rax"
                     : "=a"(sum)
                     :
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "cc");
    trap_set_handler(6, NULL);
    EXPECT(sum, 14 * 15 / 2);
    EXPECT(seen.rcx, 3);
    EXPECT(seen.r11, 10);
    EXPECT(seen.r15, 14);
}

TEST(a_hypercall_keeps_the_other_registers)
{
    uint64_t rbx = 0x1111, rbp_like = 0x2222, r9 = 0x3333, r15 = 0x4444;
    register uint64_t r9_ __asm__("r9") = r9;
    register uint64_t r15_ __asm__("r15") = r15;
    register uint64_t r10_ __asm__("r10") = 0x5555;
    long ret = __HYPERVISOR_xen_version;

    __asm__ volatile("syscall"
                     : "+a"(ret), "+b"(rbx), "+r"(r9_), "+r"(r15_), "+r"(r10_), "+d"(rbp_like)
                     : "D"(XENVER_version), "S"(0)
                     : "rcx", "r11", "memory");
    EXPECT(ret, 4 << 16 | 17);
    EXPECT(rbx, 0x1111);
    EXPECT(rbp_like, 0x2222);
    EXPECT(r9_, 0x3333);
    EXPECT(r15_, 0x4444);
    EXPECT(r10_, 0x5555);
}

/* ---- from user mode ---- */

user_code static void user_divide(void)
{
    __asm__ volatile("xor %ecx, %ecx; div %ecx");
}

user_code static void user_int3(void)
{
    __asm__ volatile("int3");
}

user_code static void user_int80(void)
{
    __asm__ volatile("mov $0x77, %eax; int $0x80");
}

user_code static void user_int81(void)
{
    __asm__ volatile("int $0x81");
}

user_code static void user_int_pf(void)
{
    __asm__ volatile("int $14");
}

user_code static void user_read_hole(void)
{
    __asm__ volatile("mov 0x700008, %rax");
}

user_code static void user_write_hole(void)
{
    __asm__ volatile("mov %rax, 0x700010");
}

user_code static void user_read_kernel(void)
{
    __asm__ volatile("movabs 0xffffffff80100000, %rax");
}

user_code static void user_write_hypervisor(void)
{
    __asm__ volatile("movabs %rax, 0xffff830000000000");
}

user_code static void user_jump_hole(void)
{
    __asm__ volatile("mov $0x700000, %eax; jmp *%rax");
}

user_code static void user_cli(void)
{
    __asm__ volatile("cli");
}

user_code static void user_in(void)
{
    __asm__ volatile("in $0x80, %al");
}

user_code static void user_rdmsr(void)
{
    __asm__ volatile("mov $0xc0000080, %ecx; rdmsr");
}

user_code static void user_hlt(void)
{
    __asm__ volatile("hlt");
}

user_code static void user_step(void)
{
    __asm__ volatile("pushf; orl $0x100, (%rsp); popf; nop; nop");
}

struct user_case {
    const char *name;
    const void *code;
    unsigned long vector, error, cr2;
};

static const struct user_case user_cases[] = {
    { "divide", user_divide, 0, 0, 0 },
    { "int3", user_int3, 3, 0, 0 },
    { "int 0x80", user_int80, 0x80, 0, 0 },
    { "read", user_read_hole, 14, 4, 0x700008 },
    { "write", user_write_hole, 14, 6, 0x700010 },
    { "read of the kernel", user_read_kernel, 14, 4, 0xffffffff80100000 },
    { "write to the hypervisor", user_write_hypervisor, 14, 7, 0xffff830000000000 },
    { "jump", user_jump_hole, 14, 0x14, 0x700000 },
    { "cli", user_cli, 13, 0, 0 },
    { "in", user_in, 13, 0, 0 },
    { "rdmsr", user_rdmsr, 13, 0, 0 },
    { "hlt", user_hlt, 13, 0, 0 },
    { "single step", user_step, 1, 0, 0 },
};

TEST(traps_from_user_mode)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(user_cases); i++) {
        const struct user_case *c = &user_cases[i];
        struct regs regs;
        unsigned long error;

        user_regs(&regs, c->code);
        user_run(&regs);
        /* Whether an entry of the hypervisor's is present is not the guest's business. */
        error = c->cr2 == 0xffff830000000000 ? regs.error | 1 : regs.error;
        if (regs.vector != c->vector || error != c->error) {
            FAIL("%s: vector %lu error %lx", c->name, regs.vector, regs.error);
        }
        if (c->cr2 && event_vcpu_info()->arch.cr2 != c->cr2) {
            FAIL("%s: cr2 %lx", c->name, event_vcpu_info()->arch.cr2);
        }
        if ((regs.cs & 0xffff) != FLAT_USER_CS || (regs.ss & 0xffff) != FLAT_USER_SS) {
            FAIL("%s: cs %x ss %lx", c->name, regs.cs, regs.ss);
        }
        if (!(regs.rflags & RFLAGS_IF) || (regs.rflags & IOPL_BITS)) {
            FAIL("%s: rflags %lx", c->name, regs.rflags);
        }
        hyper_set_debugreg(6, 0);
    }
}

TEST(software_interrupts_from_user_mode_need_a_right)
{
    struct regs regs;

    user_regs(&regs, user_int81);
    user_run(&regs);
    EXPECT(regs.vector, 13);
    CHECK(is_gate_error(regs.error, 0x81));
    user_regs(&regs, user_int_pf);
    user_run(&regs);
    EXPECT(regs.vector, 13);
    CHECK(is_gate_error(regs.error, 14));
}

user_code static void user_syscall(void)
{
    __asm__ volatile("mov $0x1234, %eax; mov $0x55, %ebx; syscall; ud2");
}

/* What is not part of an entry comes through it unchanged, and nothing else comes. */
user_code static void user_marks(void)
{
    __asm__ volatile("mov %rax, %rcx; ud2");
}

TEST(no_register_carries_anything_of_the_hypervisors)
{
    struct regs regs;
    const uint64_t *words = (const uint64_t *)&regs;

    user_regs(&regs, user_marks);
    user_run(&regs);
    EXPECT(regs.vector, 6);
    for (unsigned int i = 0; i < offsetof(struct regs, vector) / 8; i++) {
        EXPECT(words[i], 0);
    }
    EXPECT(regs.saved_mask, 0);
    EXPECT(regs.ss >> 16, 0);
}

TEST(a_system_call_from_user_mode)
{
    struct regs regs;

    user_regs(&regs, user_syscall);
    regs.rflags |= RFLAGS_AC;
    user_run(&regs);
    EXPECT(regs.vector, ENTRY_SYSCALL);
    EXPECT(regs.rax, 0x1234);
    EXPECT(regs.rbx, 0x55);
    EXPECT(regs.rcx, regs.rip);
    EXPECT(regs.r11 & RFLAGS_AC, RFLAGS_AC);
    EXPECT(regs.rsp, USER_STACK);
    EXPECT(regs.cs & 3, 3);
    regs.error = VGCF_in_syscall;
    user_run(&regs);
    EXPECT(regs.vector, 6);
}

TEST(user_mode_returns_to_the_same_registers)
{
    struct regs regs;

    user_regs(&regs, user_int3);
    regs.r15 = 0x1515;
    regs.rcx = 0xcccc;
    regs.r11 = 0x1111;
    regs.rbp = 0xbbbb;
    user_run(&regs);
    EXPECT(regs.r15, 0x1515);
    EXPECT(regs.rcx, 0xcccc);
    EXPECT(regs.r11, 0x1111);
    EXPECT(regs.rbp, 0xbbbb);
}

/* ---- the table itself ---- */

TEST(a_table_that_cannot_be_read_is_refused)
{
    EXPECT(hypercall1(__HYPERVISOR_set_trap_table, FREE_VA), -EFAULT);
    EXPECT(hypercall1(__HYPERVISOR_set_trap_table, 0xffff830000000000), -EFAULT);
    EXPECT(hypercall1(__HYPERVISOR_set_trap_table, 0x800000000000), -EFAULT);
}

TEST(a_non_canonical_handler_is_refused)
{
    struct trap_info table[2] = { trap_table[7] };

    table[0].address = 0x800000000000;
    EXPECT(hyper_trap_table(table), -EINVAL);
    EXPECT(hyper_trap_table(trap_table), 0);
}
