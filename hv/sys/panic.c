/* SPDX-License-Identifier: MIT */
/*
 * The end of the machine: say in words which promise is broken, who ran,
 * what the registers held and how we got there; then start anew, or halt if
 * the option `noreboot` says so.
 *
 * Code is built without frame pointers.  The backtrace therefore scans the
 * stack for words that point behind a call instruction of ours; a few of them
 * may be left over from earlier calls.
 */
#include "sys/panic.h"

#include "lib/atomic.h"
#include "lib/format.h"
#include "lib/string.h"
#include "lib/types.h"
#include "sys/cpu.h"
#include "sys/log.h"
#include "sys/options.h"
#include "sys/symbols.h"
#include "x86/insn.h"
#include "x86/uaccess.h"

#define SENTENCE_MAX    256u
#define TRACE_MAX       24u
#define REBOOT_DELAY_MS 5000u

/* Does @addr follow a call instruction?  Near calls: relative; through a register or memory. */
static bool follows_call(uint64_t addr)
{
    static const uint8_t lengths[] = { 2, 3, 4, 6, 7 };
    uint8_t before[7];

    /* Code of the start may be gone. */
    if (copy_user(before, (const void *)(addr - sizeof(before)), sizeof(before)) != 0) {
        return false;
    }
    if (before[sizeof(before) - 5] == 0xe8) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        const uint8_t *p = before + sizeof(before) - lengths[i];

        if (p[0] == 0xff && (p[1] & 0x38) == 0x10) {
            return true;
        }
    }
    return false;
}

static void show_place(const char *what, uint64_t addr)
{
    uint64_t offset;
    const char *name = symbol_lookup(addr, &offset);

    if (name) {
        log_err("  %s %016lx %s+0x%lx", what, addr, name, offset);
    } else {
        log_err("  %s %016lx", what, addr);
    }
}

/* All return addresses from @sp up to the end of this CPU's stack. */
static void show_stack(uint64_t sp)
{
    uint64_t end = (uintptr_t)this_cpu();
    unsigned int nr = 0;

    if ((sp ^ end) >= CPU_BLOCK_SIZE) {
        log_err("  the stack pointer %016lx is not on this CPU's stacks", sp);
        return;
    }
    for (sp = (sp + 7) & ~7ull; sp < end && nr < TRACE_MAX; sp += 8) {
        uint64_t word, offset;

        if (get_user64(&word, (const uint64_t *)sp) != 0) {
            sp |= PAGE_SIZE - 8; /* the guard page: go on above it */
        } else if (symbol_lookup(word, &offset) && offset >= 7 && follows_call(word)) {
            show_place("called from", word);
            nr++;
        }
    }
}

void panic_show_state(const struct cpu_user_regs *r)
{
    log_err("rip %04x:%016lx rsp %04x:%016lx rflags %08lx error %04x vector %u", r->cs, r->rip,
            r->ss, r->rsp, r->rflags, r->error_code, r->entry_vector);
    log_err("rax %016lx rbx %016lx rcx %016lx rdx %016lx", r->rax, r->rbx, r->rcx, r->rdx);
    log_err("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", r->rsi, r->rdi, r->rbp, r->r8);
    log_err("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", r->r9, r->r10, r->r11, r->r12);
    log_err("r13 %016lx r14 %016lx r15 %016lx", r->r13, r->r14, r->r15);
    log_err("cr0 %016lx cr2 %016lx cr3 %016lx cr4 %016lx", read_cr0(), read_cr2(), read_cr3(),
            read_cr4());
    log_err("backtrace:");
    show_place("at", r->rip);
    show_stack(r->rsp);
}

void panic_show_backtrace(void)
{
    log_err("backtrace:");
    show_stack((uintptr_t)__builtin_frame_address(0));
}

static noreturn void halt(void)
{
    for (;;) {
        interrupts_off();
        __asm__ volatile("hlt");
    }
}

/* Give people time to read; then start the machine anew. */
static noreturn void reboot_late(void)
{
    uint64_t start = rdtsc();
    uint64_t wait = (uint64_t)panic_ops.tsc_khz() * REBOOT_DELAY_MS;

    log_err("The machine starts anew in %u seconds.", REBOOT_DELAY_MS / 1000);
    while (rdtsc() - start < wait) {
        cpu_relax();
    }
    panic_ops.reboot();
    halt();
}

/* The first CPU here goes on; a second one, or a panic inside a panic, ends at once. */
static void begin(void)
{
    static uint32_t is_panicking;

    interrupts_off();
    if (atomic_xchg32(&is_panicking, 1)) {
        halt();
    }
    log_begin_panic();
    panic_ops.stop_others();
}

static noreturn void finish(const struct cpu_user_regs *regs, const char *fmt, va_list args)
{
    char sentence[SENTENCE_MAX], who[32] = "";

    begin();
    format_vstring(sentence, sizeof(sentence), fmt, args);
    panic_ops.describe_current(who, sizeof(who));
    log_err("****************************************");
    log_err("Panic on CPU %u, current %s: %s", cpu_id(), who, sentence);
    if (regs) {
        panic_show_state(regs);
    } else {
        panic_show_backtrace();
    }
    log_err("****************************************");
    if (hv_options.noreboot) {
        log_err("The machine is halted (noreboot).");
        halt();
    }
    reboot_late();
}

void panic(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    finish(NULL, fmt, args);
}

void panic_at(const struct cpu_user_regs *regs, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    finish(regs, fmt, args);
}

void panic_give_up(const char *fmt, ...)
{
    char sentence[SENTENCE_MAX];
    va_list args;

    va_start(args, fmt);
    format_vstring(sentence, sizeof(sentence), fmt, args);
    va_end(args);
    begin();
    log_err("%s", sentence);
    if (hv_options.noreboot || hv_options.reboot == OPTION_REBOOT_AUTO) {
        log_err("The machine is halted.");
        halt();
    }
    reboot_late();
}
