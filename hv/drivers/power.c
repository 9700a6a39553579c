/* SPDX-License-Identifier: MIT */
/*
 * Starting the machine anew and switching it off.  Of the ways to reset a PC
 * none works everywhere, so they are tried one after the other with a pause
 * between them; the last one, an exception with no table of handlers, always
 * does.  ACPI registers are used where they are ports, as on all PCs.
 */
#include "drivers/power.h"

#include "drivers/acpi.h"
#include "sys/options.h"
#include "x86/insn.h"

#define PORT_KEYBOARD     0x64
#define KEYBOARD_BUSY     0x02
#define KEYBOARD_RESET    0xfe
#define PORT_PCI_RESET    0xcf9
#define PCI_RESET_PREPARE 0x02
#define PCI_RESET_GO      0x06
#define PM1_SLEEP_TYPE    0x1c00u
#define PM1_SLEEP_ENABLE  0x2000u
#define PAUSE_CYCLES      (1ull << 28)

static void pause_a_little(void)
{
    uint64_t start = rdtsc();

    while (rdtsc() - start < PAUSE_CYCLES) {
        cpu_relax();
    }
}

static void reset_by_acpi(void)
{
    const struct acpi_register *r = &acpi_info.reset;

    if (r->bits && r->space == ACPI_SPACE_IO) {
        outb((uint16_t)r->address, acpi_info.reset_value);
        pause_a_little();
    }
}

static void reset_by_keyboard(void)
{
    for (unsigned int i = 0; i < 10000 && inb(PORT_KEYBOARD) & KEYBOARD_BUSY; i++) {
        cpu_relax();
    }
    outb(PORT_KEYBOARD, KEYBOARD_RESET);
    pause_a_little();
}

static void reset_by_pci(void)
{
    outb(PORT_PCI_RESET, PCI_RESET_PREPARE);
    outb(PORT_PCI_RESET, PCI_RESET_GO);
    pause_a_little();
}

static noreturn void reset_by_fault(void)
{
    for (;;) {
        triple_fault();
    }
}

noreturn void power_reset(void)
{
    switch (hv_options.reboot) {
    case OPTION_REBOOT_KEYBOARD:
        reset_by_keyboard();
        break;
    case OPTION_REBOOT_PCI:
        reset_by_pci();
        break;
    case OPTION_REBOOT_TRIPLE_FAULT:
        reset_by_fault();
    default:
        break;
    }
    reset_by_acpi();
    reset_by_keyboard();
    reset_by_pci();
    reset_by_fault();
}

/* Is @r a control register that can be reached? */
static bool is_port(const struct acpi_register *r)
{
    return r->bits >= 16 && r->space == ACPI_SPACE_IO;
}

static void write_sleep_type(const struct acpi_register *r, uint16_t value, uint16_t enable)
{
    uint16_t port = (uint16_t)r->address;
    uint32_t kept;

    if (is_port(r)) {
        kept = inw(port) & ~(PM1_SLEEP_TYPE | PM1_SLEEP_ENABLE);
        outw(port, (uint16_t)(kept | (value & PM1_SLEEP_TYPE) | enable));
    }
}

bool power_sleep(uint16_t pm1a_value, uint16_t pm1b_value)
{
    if (!is_port(&acpi_info.pm1a_control)) {
        return false;
    }
    write_sleep_type(&acpi_info.pm1a_control, pm1a_value, 0);
    write_sleep_type(&acpi_info.pm1b_control, pm1b_value, 0);
    write_sleep_type(&acpi_info.pm1a_control, pm1a_value, PM1_SLEEP_ENABLE);
    write_sleep_type(&acpi_info.pm1b_control, pm1b_value, PM1_SLEEP_ENABLE);
    pause_a_little();
    return false;
}

bool power_off(void)
{
    return acpi_info.has_s5 && power_sleep((uint16_t)(acpi_info.s5_type_a << 10),
                                           (uint16_t)(acpi_info.s5_type_b << 10));
}
