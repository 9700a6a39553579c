# SPDX-License-Identifier: MIT
"""However dom0 ends, the machine does what was asked, and a sentence says why."""

import pytest

from dom0 import script_machine
from machine import IS_OURS

FIRST_LINE = r"\(mansio\) Mansio [^\n]*\n" if IS_OURS else r"\(XEN\) Xen version"


def said(ours, other):
    return ours if IS_OURS else other


def test_power_off(tmp_path):
    with script_machine(tmp_path, "poweroff -f", may_reset=True) as pc:
        pc.wait_for(said(r"\(mansio\) dom0 (?:powers|switches the machine) off", r"Hardware Dom0 shutdown|ACPI S5"))
        pc.wait_end()


def test_reboot(tmp_path):
    with script_machine(tmp_path, "reboot -f", options="dom0_mem=384M noreboot=no",
                        may_reset=True) as pc:
        seen = pc.wait_for(said(r"\(mansio\) dom0 reboots", "Hardware Dom0 shutdown: rebooting"))
        pc.wait_for(FIRST_LINE, start=seen.end())


def test_a_crash_of_the_kernel_stops_the_machine(tmp_path):
    with script_machine(tmp_path, "echo c >/proc/sysrq-trigger") as pc:
        pc.wait_for("Kernel panic - not syncing: sysrq triggered crash")
        pc.wait_for(said(r"\(mansio\) dom0 has crashed", "Hardware Dom0 crashed"))
        pc.wait_for(said("noreboot is set: the machine stands still", "'noreboot' set"))


@pytest.mark.full
def test_a_crash_of_the_kernel_reboots(tmp_path):
    with script_machine(tmp_path, "echo c >/proc/sysrq-trigger",
                        options="dom0_mem=384M noreboot=no", may_reset=True) as pc:
        seen = pc.wait_for(said(r"\(mansio\) dom0 has crashed", "Hardware Dom0 crashed"))
        pc.wait_for(FIRST_LINE, start=seen.end())


@pytest.mark.full
def test_the_end_of_init_is_a_crash(tmp_path):
    with script_machine(tmp_path, "exit 3") as pc:
        pc.wait_for("Attempted to kill init! exitcode=0x00000300")
        pc.wait_for(said(r"\(mansio\) dom0 has crashed", "Hardware Dom0 crashed"))
