/* SPDX-License-Identifier: MIT */
/*
 * A guest in a few hundred lines: what the tests and the bench are made of.
 *
 * A guest is a 64-bit paravirtual kernel, started as the control domain.  It
 * runs its tests on the first vCPU, prints a line for each, then
 * `guest: N passed, M failed`, and powers off.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/xen.h"
#include "layout.h"

#define PAGE_SIZE        4096ul
#define PAGE_SHIFT       12
#define ARRAY_SIZE(a)    (sizeof(a) / sizeof((a)[0]))
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define barrier()        __asm__ volatile("" ::: "memory")
#define page_aligned     __attribute__((aligned(4096)))

extern struct start_info *start_info;
extern uint64_t first_tsc; /* the time stamp counter at the guest's first instruction */

/* ---- output: whole lines to the hypervisor's console ---- */

/* %d %u %x with l, %s %c %p, widths and zero padding; one call, one line. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void print_v(const char *fmt, __builtin_va_list args);

/* Print, say that the guest failed, and stop the machine. */
_Noreturn void guest_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void guest_power_off(void);

/* Is @word on the guest's command line? */
bool guest_option(const char *word);

/* The decimal number after @name (`seed=`) there; @otherwise where there is none. */
uint64_t guest_option_number(const char *name, uint64_t otherwise);

/* ---- tests ---- */

struct test {
    const char *name;
    void (*run)(void);
};

/* TEST(what_must_hold) { ... }: a test; they run in the order of the file. */
#define TEST(name)                                                                                 \
    static void name(void);                                                                        \
    static const struct test test_##name                                                           \
        __attribute__((used, section(".tests"))) = { #name, name };                                \
    static void name(void)

/* Note a failure of the running test.  It goes on; CHECK returns besides. */
void test_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool test_failed(void);

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            FAIL("%s", #cond);                                                                     \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Both sides as signed numbers; the test goes on. */
#define EXPECT(value, wanted)                                                                      \
    do {                                                                                           \
        long value_ = (long)(value), wanted_ = (long)(wanted);                                     \
        if (value_ != wanted_) {                                                                   \
            FAIL("%s is %ld (%lx), not %ld", #value, value_, value_, wanted_);                     \
        }                                                                                          \
    } while (0)

/* A guest without TESTs supplies this itself. */
void guest_run(void);

/* ---- processors ---- */

struct context {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};

struct regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector; /* or ENTRY_xxx */
    uint64_t error;  /* at resume: the flags of the iret hypercall */
    uint64_t rip;
    uint32_t cs;
    uint32_t saved_mask; /* the upcall mask before the entry */
    uint64_t rflags, rsp, ss;
};

/* What a fault brought, see trap_try(). */
struct trap_record {
    bool taken;
    struct regs regs;
    uint64_t cr2;
};

struct cpu {
    unsigned int id;
    bool is_trying;
    struct context recover; /* where trap_try() goes on after a trap */
    struct trap_record *record;
    struct regs *user; /* not NULL while user_run() is in user mode */
    struct context user_return;
    void (*ap_main)(void *);
    void *ap_arg;
};

extern uint8_t cpu_stacks[MAX_CPUS][CPU_STACK_SIZE];

/* The processor's own block lies at the foot of its stack. */
static inline struct cpu *this_cpu(void)
{
    uint64_t rsp;

    __asm__ volatile("mov %%rsp, %0" : "=r"(rsp));
    return (struct cpu *)(rsp & ~(CPU_STACK_SIZE - 1ul));
}

long context_save(struct context *context) __attribute__((returns_twice));
_Noreturn void context_restore(struct context *context, long value);
_Noreturn void regs_resume(struct regs *regs);

/*
 * Start vCPU @id, which runs @fn(@arg) on its own stack in the kernel's address
 * space and goes down when that returns.  Returns the first error.
 */
long cpu_start(unsigned int id, void (*fn)(void *), void *arg);
void cpu_make_context(unsigned int id, struct vcpu_guest_context *context);
bool cpu_is_up(unsigned int id);
void cpu_wait_down(unsigned int id);
unsigned int cpu_count(void); /* vCPUs that the domain has */

/* ---- traps ---- */

/* true: the trap is dealt with, go back to where it happened. */
typedef bool trap_handler(struct regs *regs);

void trap_init(void);
void trap_set_handler(unsigned int vector, trap_handler *handler);

/* Run @fn(@arg); a trap in it ends it.  Returns record->taken. */
bool trap_try(void (*fn)(void *arg), void *arg, struct trap_record *record);

/* Read or write 8 bytes: false if that faulted. */
bool probe_read(const volatile void *at, uint64_t *value, struct trap_record *record);
bool probe_write(volatile void *at, uint64_t value, struct trap_record *record);

extern uint64_t failsafe_selectors[4]; /* ds es fs gs of the last failsafe entry */
extern const char trap_entries[], entry_int80[], entry_syscall[], entry_event[];
extern const char entry_failsafe[], entry_syscall32[], entry_sysenter[], ap_entry[];
extern struct trap_info trap_table[];

/* ---- user mode ---- */

/*
 * Code put into section .user also appears, with a stack page and a data page,
 * at these addresses of the address space that user_init() builds.
 */
#define USER_TEXT  0x400000ul
#define USER_DATA  0x600000ul
#define USER_STACK 0x602000ul /* one past its page */
#define USER_HOLE  0x700000ul /* not mapped; its L1 table exists */
#define user_code  __attribute__((section(".user"), noinline))

extern uint8_t user_text_start[], user_text_end[];
extern uint64_t *user_l4, *user_l1;
extern uint8_t user_data[], user_stack[]; /* the kernel's view of the two pages */

void user_init(void);

/* The address in user space of something in section .user. */
static inline uint64_t user_address(const void *kernel_address)
{
    return USER_TEXT + ((uint64_t)kernel_address - (uint64_t)user_text_start);
}

/* Registers for user_run(): start at @entry with an empty stack, events open. */
void user_regs(struct regs *regs, const void *entry);

/*
 * Go to user mode with *regs and come back with the next system call or trap
 * from there; *regs is then what that entry saved.  regs->error: flags of the
 * iret hypercall (VGCF_in_syscall or 0) on the way in.
 */
void user_run(struct regs *regs);
