/* SPDX-License-Identifier: MIT */
/*
 * platform_op: what only the hardware domain may ask of the machine.
 *
 * Firmware is asked nothing here: BIOS disk and display information was lost
 * when the loader left real mode (-ESRCH ends the enumerations), and EFI's
 * runtime services are not called (-ENOSYS); where EFI's tables are is told.
 */
#include "hcall/hcall.h"

#include <xen/platform.h>

#include "drivers/acpi.h"
#include "drivers/efi.h"
#include "drivers/power.h"
#include "sys/log.h"
#include "time/time.h"
#include "x86/cpu.h"
#include "x86/features.h"
#include "x86/mcheck.h"

static long set_time(uint64_t sec, uint32_t nsec, uint64_t at)
{
    if (nsec >= 1000000000u) {
        return -EINVAL;
    }
    time_wallclock_set(sec, nsec, at);
    domain_wallclock_changed();
    return 0;
}

static long op_settime32(struct xen_platform_op *op)
{
    return set_time(op->u.settime32.secs, op->u.settime32.nsecs, op->u.settime32.system_time);
}

static long op_settime64(struct xen_platform_op *op)
{
    if (op->u.settime64.mbz != 0) {
        return -EINVAL;
    }
    return set_time(op->u.settime64.secs, op->u.settime64.nsecs, op->u.settime64.system_time);
}

/* As much as fits of the vendor's name; the size in and out is in bytes. */
static long efi_vendor(union xenpf_efi_info *info)
{
    uint32_t bytes = min(info->vendor.bufsz & ~1u, efi_info.vendor_bytes);

    info->vendor.revision = efi_info.firmware_revision;
    if (copy_to_guest(guest_ptr_of(info->vendor.name), efi_info.vendor, bytes) != 0) {
        return -EFAULT;
    }
    info->vendor.bufsz = efi_info.vendor_bytes;
    return 0;
}

static long efi_firmware_info(uint32_t index, union xenpf_efi_info *info)
{
    if (!efi_info.is_present) {
        return -ENOSYS;
    }
    switch (index) {
    case XEN_FW_EFI_VERSION:
    case XEN_FW_EFI_RT_VERSION:
        info->version = efi_info.revision;
        return 0;
    case XEN_FW_EFI_CONFIG_TABLE:
        info->cfg.addr = efi_info.config_tables.a;
        info->cfg.nent = efi_info.nr_config_tables;
        return 0;
    case XEN_FW_EFI_VENDOR:
        return efi_vendor(info);
    default:
        return -ENOSYS;
    }
}

static long op_firmware_info(struct xen_platform_op *op)
{
    switch (op->u.firmware_info.type) {
    case XEN_FW_DISK_INFO:
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO:
        return -ESRCH;
    case XEN_FW_KBD_SHIFT_FLAGS:
        op->u.firmware_info.u.kbd_shift_flags = 0;
        return 0;
    case XEN_FW_EFI_INFO:
        return efi_firmware_info(op->u.firmware_info.index, &op->u.firmware_info.u.efi_info);
    default:
        return -EINVAL;
    }
}

static long op_get_cpuinfo(struct xen_platform_op *op)
{
    struct xenpf_pcpuinfo *info = &op->u.pcpu_info;
    uint32_t id = info->xen_cpuid;

    info->max_present = cpumask_count(&cpus_online) - 1;
    if (id >= NR_CPUS || !cpumask_test(&cpus_online, id)) {
        info->flags = XEN_PCPU_FLAGS_INVALID;
        return 0;
    }
    info->apic_id = cpus[id]->apic_id;
    info->acpi_id = acpi_id_of(info->apic_id);
    info->flags = XEN_PCPU_FLAGS_ONLINE;
    return 0;
}

static long op_enter_sleep(struct xen_platform_op *op)
{
    const struct xenpf_enter_acpi_sleep *s = &op->u.enter_acpi_sleep;

    if (s->sleep_state != 5) {
        log_warn("dom0 asks for ACPI sleep state S%u: only S5, power off, is offered",
                 s->sleep_state);
        return -EOPNOTSUPP;
    }
    log_info("dom0 switches the machine off");
    mcheck_stop_others();
    if (!power_sleep(s->val_a, s->val_b) && !power_off()) {
        log_err("the machine stays on: its firmware does not switch it off");
    }
    cpu_stop();
}

/* Tables of sleep and performance states: the processor's own idle state is used, its clock is left
 * alone. */
static long op_set_pminfo(struct xen_platform_op *op)
{
    (void)op;
    return -ENOSYS;
}

static long op_get_version(struct xen_platform_op *op)
{
    struct xenpf_pcpu_version *info = &op->u.pcpu_version;

    info->max_present = cpumask_count(&cpus_online) - 1;
    if (info->xen_cpuid >= NR_CPUS || !cpumask_test(&cpus_online, info->xen_cpuid)) {
        return -ENOENT;
    }
    info->family = cpu_features.family;
    info->model = cpu_features.model;
    info->stepping = cpu_features.stepping;
    return 0;
}

static long op_cpu_change(struct xen_platform_op *op)
{
    log_warn("dom0 asks to take CPU %u offline or online: the CPUs are those found at start",
             op->u.cpu_ol.cpuid);
    return -EOPNOTSUPP;
}

static long (*const ops[])(struct xen_platform_op *) = {
    [XENPF_settime32] = op_settime32,          [XENPF_settime64] = op_settime64,
    [XENPF_firmware_info] = op_firmware_info,  [XENPF_get_cpuinfo] = op_get_cpuinfo,
    [XENPF_enter_acpi_sleep] = op_enter_sleep, [XENPF_set_processor_pminfo] = op_set_pminfo,
    [XENPF_get_cpu_version] = op_get_version,  [XENPF_cpu_online] = op_cpu_change,
    [XENPF_cpu_offline] = op_cpu_change,
};

long hcall_platform_op(uint64_t arg, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct xen_platform_op op;
    uint64_t cmd;
    long rc;

    UNUSED(b, c, d, e, f);
    if (copy_from_guest(&op, GUEST_PTR(arg), sizeof(op)) != 0) {
        return -EFAULT;
    }
    if (op.interface_version != XENPF_INTERFACE_VERSION) {
        return -EACCES;
    }
    if (!current()->domain->is_hardware) {
        return -EPERM;
    }
    cmd = array_index_nospec(op.cmd, ARRAY_SIZE(ops));
    if (op.cmd >= ARRAY_SIZE(ops) || ops[cmd] == NULL) {
        return -ENOSYS;
    }
    rc = ops[cmd](&op);
    if (rc == 0 && copy_to_guest(GUEST_PTR(arg), &op, sizeof(op)) != 0) {
        return -EFAULT;
    }
    return rc;
}
