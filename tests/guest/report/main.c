/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor's options have made of dom0, a line for each value.  The
 * lines go to port 0xe9 (QEMU: -debugcon), as it is the console options that
 * decide whether dom0 has a serial port.  tests/system/test_options.py compares
 * them with its table; run alone, it only shows that the report can be made.
 */
#include "lib/hypercall.h"

#include <xen/domctl.h>
#include <xen/grant_table.h>
#include <xen/sysctl.h>

#define DEBUG_PORT   0xe9
#define COM1         0x3f8
#define COM2         0x2f8
#define UART_SCRATCH 7
#define MAX_VCPUS    1024u

static uint8_t inb(unsigned int port)
{
    uint8_t value;

    __asm__ volatile("inb %w1, %0" : "=a"(value) : "d"(port));
    return value;
}

static void outb(unsigned int port, uint8_t value)
{
    __asm__ volatile("outb %0, %w1" ::"a"(value), "d"(port));
}

static void put(const char *text)
{
    while (*text) {
        outb(DEBUG_PORT, (uint8_t)*text++);
    }
}

static void report_text(const char *name, const char *value)
{
    put("report: ");
    put(name);
    put("=");
    put(value);
    put("\n");
}

static void report(const char *name, long value)
{
    unsigned long n = value < 0 ? -(unsigned long)value : (unsigned long)value;
    char digits[24], *at = digits + sizeof(digits);

    *--at = '\0';
    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    if (value < 0) {
        *--at = '-';
    }
    report_text(name, at);
}

/* Whether dom0 may use a serial port, and one answers. */
static bool has_uart(unsigned int base)
{
    outb(base + UART_SCRATCH, 0x5a);
    return inb(base + UART_SCRATCH) == 0x5a;
}

static long sysctl(struct xen_sysctl *op)
{
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall1(__HYPERVISOR_sysctl, op);
}

static void report_memory(void)
{
    domid_t self = DOMID_SELF;
    long most = hyper_memory(XENMEM_maximum_reservation, &self);

    report("pages", (long)start_info->nr_pages);
    report("max_pages", most);
}

static void report_machine(void)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo };

    CHECK(sysctl(&op) == 0);
    report("total_pages", (long)op.u.physinfo.total_pages);
    report("free_pages", (long)op.u.physinfo.free_pages);
    report("cpus", op.u.physinfo.nr_cpus);
    op.cmd = XEN_SYSCTL_sched_id;
    CHECK(sysctl(&op) == 0);
    report("sched", op.u.sched_id.sched_id);
}

static void report_vcpus(void)
{
    uint32_t nr = 0;

    while (nr < MAX_VCPUS && hyper_vcpu(VCPUOP_is_up, nr, NULL) >= 0) {
        nr++;
    }
    report("vcpus", nr);
}

/* The CPUs that vCPU 0 may run on: the first 64 as a bitmap. */
static void report_affinity(void)
{
    uint64_t hard = 0;
    struct xen_domctl op = {
        .cmd = XEN_DOMCTL_getvcpuaffinity,
        .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
        .u.vcpuaffinity = { .flags = XEN_VCPUAFFINITY_HARD, .cpumap_hard.nr_bits = 64 },
    };

    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, (uint8_t *)&hard);
    CHECK(hypercall1(__HYPERVISOR_domctl, &op) == 0);
    report("affinity", (long)hard);
}

static void report_grants(void)
{
    struct gnttab_query_size size = { .dom = DOMID_SELF };
    struct gnttab_set_version version = { .version = 2 };

    hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, &size, 1);
    report("max_grant_frames", size.max_nr_frames);
    report("grant_v2", hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, &version, 1));
}

TEST(report_what_options_have_made)
{
    struct physdev_set_iopl iopl = { .iopl = 1 };

    CHECK(hyper_physdev(PHYSDEVOP_set_iopl, &iopl) == 0);
    report_memory();
    report_machine();
    report_vcpus();
    report_affinity();
    report_grants();
    report("com1", has_uart(COM1));
    report("com2", has_uart(COM2));
    report("module_bytes", (long)start_info->mod_len);
    report_text("cmdline", (const char *)start_info->cmd_line);
    put("report: end\n");
}
