/* SPDX-License-Identifier: MIT */
/*
 * The start-up sequence: a table of contents of the hypervisor, and the tables
 * by which lower layers reach what they do not know.
 */
#include "sys/start.h"

#include <xen/sched.h>

#include "boot/start.h"
#include "builder/build_dom0.h"
#include "domain/domain.h"
#include "domain/part.h"
#include "domain/memory.h"
#include "drivers/acpi.h"
#include "drivers/console.h"
#include "drivers/efi.h"
#include "drivers/power.h"
#include "drivers/uart.h"
#include "event/event.h"
#include "grant/grant.h"
#include "irq/irq.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "mm/early.h"
#include "mm/init.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "pv/mmu.h"
#include "pv/pv.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/options.h"
#include "sys/panic.h"
#include "sys/softirq.h"
#include "sys/version.h"
#include "time/time.h"
#include "time/timer.h"
#include "x86/alternative.h"
#include "x86/cpu.h"
#include "x86/entry.h"
#include "x86/features.h"
#include "x86/fpu.h"
#include "x86/lapic.h"
#include "x86/mcheck.h"
#include "x86/paging.h"
#include "x86/smp.h"
#include "x86/topology.h"

/* ------------------------------------------- how lower layers reach up -- */

static void timer_interrupt(void)
{
    softirq_raise(SOFTIRQ_TIMER);
}

const struct trap_irq_ops trap_irq_ops = {
    .device = irq_dispatch,
    .timer = timer_interrupt,
};

const struct sched_host_ops sched_host_ops = {
    .is_runnable = vcpu_is_runnable,
    .state_changed = vcpu_state_changed,
    .group_name = domain_of_group,
    .leave = pv_leave,
    .enter = pv_enter,
};

const struct frame_owner_ops frame_owner_ops = { .released = memory_released };

const struct time_ops time_ops = { .scale_changed = vcpu_time_changed };

const struct irq_guest_ops irq_guest_ops = { .deliver = pirq_deliver };

/* Whoever follows the log is told some times a second, however fast it grows. */
#define NEWS_PERIOD_NS 100000000u

static void tell_news(struct timer *t)
{
    (void)t;
    if (log_take_news()) {
        evtchn_raise_global_virq(VIRQ_CON_RING);
    }
}

static struct timer news_timer = { .fn = tell_news };

static void console_softirq(void)
{
    console_poll(NULL);
    if (log_has_news() && !timer_is_armed(&news_timer)) {
        timer_set(&news_timer, time_now() + NEWS_PERIOD_NS);
    }
}

/* Corrected machine checks wait in the processor until somebody looks. */
#define MCHECK_PERIOD_NS 10000000000u

static DEFINE_PER_CPU(struct timer, mcheck_timer);

static void look_for_machine_checks(struct timer *t)
{
    mcheck_poll();
    timer_set(t, time_now() + MCHECK_PERIOD_NS);
}

static void begin_to_look(void)
{
    struct timer *t = this_cpu_ptr(mcheck_timer);

    timer_init(t, look_for_machine_checks, NULL, cpu_id());
    timer_set(t, time_now() + MCHECK_PERIOD_NS);
}

void (*const softirq_handlers[NR_SOFTIRQS])(void) = {
    [SOFTIRQ_TIMER] = timer_softirq,   [SOFTIRQ_SCHEDULE] = sched_softirq,
    [SOFTIRQ_CALL] = cpu_call_softirq, [SOFTIRQ_CONSOLE] = console_softirq,
    [SOFTIRQ_DOMAIN] = domain_softirq, [SOFTIRQ_SHUTDOWN] = domain_shutdown_softirq,
    [SOFTIRQ_NMI] = pv_nmi_softirq,
};

const struct domain_part *const domain_parts[] = { &memory_part, &pv_part,       &evtchn_part,
                                                   &grant_part,  &watchdog_part, NULL };

static void raise_dom_exc(void)
{
    evtchn_raise_global_virq(VIRQ_DOM_EXC);
}

noreturn static void hardware_domain_gone(uint8_t reason)
{
    static const char *const words[] = {
        "powers off",           "reboots", "suspends", "has crashed", "was stopped by its watchdog",
        "asks for a soft reset"
    };

    log_info("dom0 %s", reason < ARRAY_SIZE(words) ? words[reason] : "stops");
    mcheck_stop_others();
    if (reason == SHUTDOWN_poweroff && !power_off()) {
        log_info("the firmware's tables do not tell how to switch off: do it by hand");
        cpu_stop();
    }
    if (hv_options.noreboot) {
        log_info("noreboot is set: the machine stands still");
        cpu_stop();
    }
    power_reset();
}

const struct domain_host_ops domain_host_ops = {
    .hardware_domain_gone = hardware_domain_gone,
    .raise_dom_exc = raise_dom_exc,
};

static void describe_current(char *buf, size_t size)
{
    const struct vcpu *v = cpus[0] == NULL ? NULL : current();

    if (v == NULL || v->is_idle) {
        format_string(buf, size, "none");
    } else {
        format_string(buf, size, "d%uv%u", v->domain->id, v->id);
    }
}

const struct panic_ops panic_ops = {
    .describe_current = describe_current,
    .stop_others = mcheck_stop_others,
    .tsc_khz = time_tsc_khz,
    .reboot = power_reset,
};

static void console_input_ready(void)
{
    evtchn_raise_global_virq(VIRQ_CONSOLE);
}

const struct console_ops console_ops = { .input_ready = console_input_ready };

/* ------------------------------------------------------------ debug keys -- */

static void show_domains(void)
{
    struct domain *d;
    struct vcpu *v;
    domid_t id = 0;
    uint32_t i;

    while ((d = domain_get_next(id)) != NULL) {
        log_info("d%u: %lu pages of at most %lu, %u references", d->id, d->nr_pages, d->max_pages,
                 d->refs);
        for_each_vcpu(d, v, i) {
            log_info("  v%u: CPU %u, %s, %s, pending %u mask %u, rip %#lx", v->id, v->unit.cpu,
                     v->is_online ? "online" : "offline",
                     v->unit.state == UNIT_RUNNING    ? "running"
                     : v->unit.state == UNIT_RUNNABLE ? "runnable"
                                                      : "blocked",
                     v->info->evtchn_upcall_pending, v->info->evtchn_upcall_mask, v->regs.rip);
            log_info("    timer due at %lu ns, now %lu ns", vtimer_deadline_ns(v), time_now());
        }
        id = (domid_t)(d->id + 1);
        domain_put(d);
    }
}

static void show_events(void)
{
    struct domain *d;

    for (domid_t id = 0; (d = domain_get_next(id)) != NULL; id = (domid_t)(d->id + 1)) {
        evtchn_show(d);
        domain_put(d);
    }
}

static void show_memory(void)
{
    log_info("memory: %lu pages in all, %lu free, %lu of them not scrubbed", pages_nr_total(),
             pages_nr_free(), pages_nr_dirty());
}

static void reboot_now(void)
{
    log_info("reboot by debug key");
    mcheck_stop_others();
    power_reset();
}

const struct debug_key debug_keys[] = {
    { 'g', "show grant tables", grant_dump },
    { 'e', "show event channels", show_events },
    { 'i', "show interrupts", irq_dump },
    { 'm', "show memory", show_memory },
    { 'q', "show domains", show_domains },
    { 'R', "reboot the machine", reboot_now },
    { 0, NULL, NULL },
};

/* ---------------------------------------------------------- the sequence -- */

static const void *map_acpi(paddr_t p, size_t len)
{
    return map_phys(p, len);
}

static const struct acpi_mem_ops acpi_mem_ops = { .map = map_acpi };

/* With smt=0, each core gives one CPU: its first thread, but the boot CPU's gives that one. */
__init static bool is_left_out(uint32_t apic_id, const uint32_t *before, uint32_t nr)
{
    bool has_one = apic_id != lapic_id() && topology_same_core(apic_id, lapic_id());

    for (uint32_t i = 0; i < nr && !has_one; i++) {
        has_one = topology_same_core(apic_id, before[i]);
    }
    return has_one && !hv_options.smt;
}

__init static void start_other_cpus(void)
{
    static __initdata uint32_t ids[ACPI_MAX_CPUS];
    uint32_t nr = 0;

    for (uint32_t i = 0; i < acpi_info.nr_cpus; i++) {
        if (!is_left_out(acpi_info.cpus[i].apic_id, ids, nr)) {
            ids[nr++] = acpi_info.cpus[i].apic_id;
        }
    }
    if (nr < acpi_info.nr_cpus) {
        log_info("smt=0: %u second threads of cores are left out", acpi_info.nr_cpus - nr);
    }
    smp_start(ids, nr, hv_options.max_cpus);
    log_info("%u CPUs are up", cpumask_count(&cpus_online));
}

__init static uint32_t max_apic_id(void)
{
    uint32_t id = 0;

    for (uint32_t i = 0; i < acpi_info.nr_cpus; i++) {
        id = max(id, acpi_info.cpus[i].apic_id);
    }
    return id;
}

/* Typed characters come by the serial lines' interrupts. */
__init static void take_console_input(void)
{
    for (unsigned int i = 0; i < NR_UARTS; i++) {
        unsigned int gsi;

        if (!uart_is_present(i)) {
            continue;
        }
        gsi = uart_irq(i);
        if (irq_request_gsi(gsi, console_poll, NULL) == 0) {
            uart_enable_irq(i);
        } else {
            log_warn("com%u: no interrupt, so nothing typed there arrives", i + 1);
        }
    }
}

/* The screen's memory is mapped for good now: the log goes on there. */
__init static void restore_screen(void)
{
    paddr_t base;
    size_t len = console_screen_memory(&base);

    if (len != 0) {
        console_move_screen(map_mmio_wc(base, len));
    }
}

/* conring_size=: a larger ring than the one in the image. */
__init static void widen_log(void)
{
    unsigned int order;
    void *ring;

    if (hv_options.conring_bytes == 0) {
        return;
    }
    order = bit_order_up(hv_options.conring_bytes >> PAGE_SHIFT);
    ring = order > PAGE_ORDER_MAX ? NULL : pages_alloc_hv(order);
    if (ring == NULL) {
        log_warn("conring_size=%lu: no such memory; the log keeps its ring",
                 hv_options.conring_bytes);
        return;
    }
    log_use_ring(ring, (uint32_t)(PAGE_SIZE << order));
}

__init static void find_machine(void)
{
    if (!acpi_init(&acpi_mem_ops, boot_info.rsdp)) {
        log_warn("ACPI: no usable tables: one CPU, no IOAPIC, no power off");
    }
    efi_init(boot_info.efi_system_table, map_acpi);
    lapic_init(acpi_info.lapic, max_apic_id());
}

/* The boot CPU takes the machine's NMIs, by the pin that the tables tell. */
__init static void wire_nmi(void)
{
    const struct acpi_nmi *nmi = acpi_nmi_of(lapic_id());

    if (nmi) {
        lapic_wire_nmi(nmi->lint, nmi->is_active_low);
    }
}

/* On the boot CPU's own stack. */
noinline __init static void start_on_own_stack(void)
{
    static __initdata struct image_error err;
    struct domain *dom0;

    if (!cpu_init_this()) {
        panic("the boot CPU cannot be set up");
    }
    wire_nmi();
    cpumask_set(&cpus_online, 0);
    fpu_init();
    fpu_init_cpu();
    if (vcpu_create_idle(0) != 0) {
        panic("no memory for the idle vCPU");
    }
    time_init();
    time_cpu_init();
    begin_to_look();
    irq_init();
    take_console_input();
    start_other_cpus();
    time_sync_cpus();
    sched_start(hv_options.sched);
    if (build_dom0(&dom0, &err) != 0) {
        panic_give_up("%s", err.text);
    }
    paging_seal();
    time_calibrate();
    console_give_to_dom0();
    domain_unpause_by_toolstack(dom0);
}

/* What runs once and is freed ends here; from now on the idle loop and the guests rule. */
noreturn static void run(void)
{
    start_on_own_stack();
    mm_free_init_sections();
    softirq_raise(SOFTIRQ_SCHEDULE);
    resume_curr();
}

noreturn void hv_ap_main(void)
{
    fpu_init_cpu();
    if (vcpu_create_idle(cpu_id()) != 0) {
        panic("no memory for the idle vCPU of CPU %u", cpu_id());
    }
    time_cpu_init();
    begin_to_look();
    resume_curr();
}

__init noreturn void hv_main(void)
{
    idt_init_early(8);
    options_parse(boot_info.cmdline);
    console_init();
    log_info("Mansio " VERSION_OWN ", started by %s (%s)", boot_info.protocol, boot_info.loader);
    log_info("command line: %s", boot_info.cmdline);
    boot_check();
    features_init();
    topology_init();
    if (!features_enable()) {
        panic("the boot CPU lacks what it said it has");
    }
    early_init();
    console_leave_screen();
    paging_init();
    alternatives_apply();
    mm_init();
    mmu_init();
    restore_screen();
    widen_log();
    find_machine();
    if (cpu_create(0, lapic_id()) != 0) {
        panic("no memory for the boot CPU");
    }
    idt_init();
    cpu_leave_boot_stack(run);
}
