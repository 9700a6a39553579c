/* SPDX-License-Identifier: MIT */
/* Starting the machine anew and switching it off. */
#pragma once

#include "lib/compiler.h"

/*
 * Start the machine anew: first in the way that the option reboot= names or
 * the firmware's tables tell, then in all others.  May be called at any
 * moment; takes no lock.  Does not return.
 */
noreturn void power_reset(void);

/*
 * Write a sleep state's values to the registers PM1a and PM1b control, as
 * dom0's ACPI code has prepared the machine for it.  Returns false if the
 * machine has no such registers or goes on.
 */
bool power_sleep(uint16_t pm1a_value, uint16_t pm1b_value);

/* Switch off (ACPI state S5); returns false if that is not possible. */
bool power_off(void);
