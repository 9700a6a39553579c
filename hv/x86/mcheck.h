/* SPDX-License-Identifier: MIT */
/* Machine checks and NMIs: what hardware says about itself. */
#pragma once

#include "lib/compiler.h"

struct cpu_user_regs;

/* Switch reporting on, on this CPU, and report what firmware left. */
void mcheck_init_cpu(void);

/* Report what this CPU's hardware has put right since the last time. */
void mcheck_poll(void);

/* #MC.  Stops the machine unless what was running can go on. */
void mcheck_exception(const struct cpu_user_regs *regs);

/* NMI.  Ours if another CPU panics; else a report of the machine's, given to pv/. */
void mcheck_nmi(const struct cpu_user_regs *regs);

/* Make every other CPU stop where it is: for panic(). */
void mcheck_stop_others(void);
