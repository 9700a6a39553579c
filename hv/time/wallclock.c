/* SPDX-License-Identifier: MIT */
/*
 * The time of day, kept as what it was at system time 0: so it needs no
 * upkeep, and guests add their own reading of system time.  It comes from the
 * battery-backed clock at the start, to the second, and from dom0 later on.
 */
#include "drivers/acpi.h"
#include "drivers/rtc.h"
#include "sys/lock.h"
#include "sys/log.h"
#include "time/internal.h"

#define FADT_CENTURY     108  /* offset of the century's place in the clock's memory */
#define BOOT_FLAG_NO_RTC 0x20 /* IAPC_BOOT_ARCH: there is no such clock (ACPI 5.2.9.3) */

static struct spinlock wallclock_lock = SPINLOCK_INIT(LOCK_RANK_LEAF);
static uint64_t start_sec;  /* [wallclock_lock] since 1970, at system time 0 */
static uint32_t start_nsec; /* [wallclock_lock] */

void time_wallclock_get(uint64_t *sec, uint32_t *nsec)
{
    spin_lock(&wallclock_lock);
    *sec = start_sec;
    *nsec = start_nsec;
    spin_unlock(&wallclock_lock);
}

void time_wallclock_set(uint64_t sec, uint32_t nsec, uint64_t at_system_ns)
{
    uint64_t back_sec = at_system_ns / NS_PER_SEC;
    uint32_t back_nsec = (uint32_t)(at_system_ns % NS_PER_SEC);

    sec += nsec / NS_PER_SEC;
    nsec %= NS_PER_SEC;
    if (nsec < back_nsec) {
        nsec += (uint32_t)NS_PER_SEC;
        back_sec++;
    }
    spin_lock(&wallclock_lock);
    start_sec = sec >= back_sec ? sec - back_sec : 0;
    start_nsec = sec >= back_sec ? nsec - back_nsec : 0;
    spin_unlock(&wallclock_lock);
}

static __init uint8_t century_index(void)
{
    const struct acpi_table *fadt = acpi_find("FACP", 0);

    if (!fadt || fadt->len <= FADT_CENTURY) {
        return 0;
    }
    return ((const uint8_t *)fadt->data)[FADT_CENTURY] & 0x7f;
}

__init void wallclock_init(void)
{
    uint64_t now;

    if (acpi_info.has_fadt && (acpi_info.boot_flags & BOOT_FLAG_NO_RTC)) {
        log_info("wall clock: this machine has no RTC; it is 1970 until dom0 sets the time");
        return;
    }
    if (!rtc_get_seconds(century_index(), &now)) {
        log_warn("wall clock: the RTC tells no time; it is 1970 until dom0 sets it");
        return;
    }
    time_wallclock_set(now, 0, time_now());
}
