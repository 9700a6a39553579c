/* SPDX-License-Identifier: MIT */
/*
 * The start-up sequence: a table of contents of the hypervisor.
 */
#include "sys/start.h"

#include "boot/start.h"
#include "domain/memory.h"
#include "drivers/console.h"
#include "drivers/power.h"
#include "lib/format.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/options.h"
#include "sys/panic.h"

static void describe_current(char *buf, size_t size)
{
    format_string(buf, size, "none");
}

static void stop_others(void)
{
}

static uint32_t tsc_khz(void)
{
    return 1000000;
}

const struct panic_ops panic_ops = {
    .describe_current = describe_current,
    .stop_others = stop_others,
    .tsc_khz = tsc_khz,
    .reboot = power_reset,
};

static void console_input_ready(void)
{
}

const struct console_ops console_ops = { .input_ready = console_input_ready };

const struct frame_owner_ops frame_owner_ops = { .released = memory_released };

const struct debug_key debug_keys[] = { { 0, NULL, NULL } };

__init noreturn void hv_main(void)
{
    log_info("Mansio starts by %s", boot_info.protocol);
    options_parse(boot_info.cmdline);
    console_init();
    boot_check();
    panic("there is nothing to run yet");
}
