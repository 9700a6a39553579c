/* SPDX-License-Identifier: MIT */
/* Stopping the machine; panic() itself is in sys/log.h. */
#pragma once

#include "abi/xen.h"
#include "lib/compiler.h"

/* What panic() needs from above; main.c supplies it.  Each must work at any moment, without locks.
 */
struct panic_ops {
    /* Write into @buf who runs on this CPU, such as `d0v1`. */
    void (*describe_current)(char *buf, size_t size);
    /* Make the other CPUs stop where they are, without waiting for long. */
    void (*stop_others)(void);
    /* Cycles of the TSC in a millisecond, or a guess. */
    uint32_t (*tsc_khz)(void);
    /* Start the machine anew. */
    void (*reboot)(void);
};
extern const struct panic_ops panic_ops;

/* As panic(), with the state at the moment of an exception in our own code. */
noreturn void panic_at(const struct cpu_user_regs *regs, const char *fmt, ...) printf_like(2, 3);

/* Print registers and a backtrace of this CPU's own code, and go on: for debug keys. */
void panic_show_state(const struct cpu_user_regs *regs);

/* Print the backtrace of the caller, and go on. */
void panic_show_backtrace(void);

/*
 * The start cannot go on, and the reason lies outside of us: in the machine, or
 * in what it was given to boot.  Print the sentence alone and halt, or start
 * anew if the option `reboot=` was given.
 */
noreturn void panic_give_up(const char *fmt, ...) printf_like(1, 2);
