/* SPDX-License-Identifier: MIT */
/* What the command line has set; constant after options_parse(), option_params excepted. */
#pragma once

#include "lib/compiler.h"

/* An amount of memory: a number of bytes plus a percentage of the available memory. */
struct option_memory {
    uint64_t bytes;
    uint8_t percent;
    bool is_set;  /* the amount was given, and is not 0 */
    bool all_but; /* the available memory less this */
};

enum option_reboot {
    OPTION_REBOOT_AUTO, /* what firmware says, then the ways that usually work */
    OPTION_REBOOT_ACPI,
    OPTION_REBOOT_KEYBOARD,
    OPTION_REBOOT_PCI,
    OPTION_REBOOT_TRIPLE_FAULT,
};

struct hv_options {
    /* consoles */
    char console[64];       /* console=: a list of com1, com2, vga, none */
    char com[2][64];        /* com1=, com2=: see uart_init() */
    bool vga_keep;          /* vga=keep: the log stays on the screen after the start */
    uint64_t conring_bytes; /* conring_size=; 0: the built-in ring */
    char conswitch;         /* conswitch=: this with Ctrl, three times, switches input */
    bool conswitch_stay;    /* conswitch=ax: input stays with the hypervisor after the start */

    /* dom0 */
    struct option_memory dom0_mem, dom0_mem_min, dom0_mem_max;
    uint32_t dom0_min_vcpus; /* dom0_max_vcpus=min-max */
    uint32_t dom0_max_vcpus; /* 0: one for each CPU */
    bool dom0_vcpus_pin;
    bool dom0_pvh; /* dom0=pvh */

    /* machine */
    uint32_t max_cpus; /* maxcpus=, nosmp */
    bool smt;          /* smt=: use all threads of a core, not one alone */
    bool acpi;         /* acpi=off: find CPUs and interrupts without its tables */
    bool noapic;       /* passed on to dom0's kernel */
    bool noreboot;
    enum option_reboot reboot;
    char clocksource[16]; /* clocksource=: hpet, acpi, pit, tsc; "": the best */

    /* domains */
    char sched[16];             /* sched=; "": the default policy */
    uint32_t gnttab_max_frames; /* of each domain made from now on */
    uint32_t gnttab_max_maptrack_frames;
    uint32_t gnttab_max_version; /* gnttab=max-ver: 1 or 2 */
};

extern struct hv_options hv_options;

/* Set hv_options, and the log's levels, from the hypervisor's command line. */
void options_parse(const char *cmdline);

/* The options that may change while the machine runs, by name. */
#define OPTION_NR_PARAMS 5u
struct option_param {
    const char *name;
    bool (*set)(const char *value);         /* false: it is malformed, and nothing is changed */
    void (*tell)(char *value, size_t size); /* in the form that set() takes */
};
extern const struct option_param option_params[OPTION_NR_PARAMS];

/*
 * The bytes that @m means where @avail_bytes are available; @otherwise if it was
 * not given.  A sum that does not fit is UINT64_MAX, a negative difference is 0.
 */
uint64_t option_memory_bytes(const struct option_memory *m, uint64_t avail_bytes,
                             uint64_t otherwise);
