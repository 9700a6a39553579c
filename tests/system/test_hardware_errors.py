# SPDX-License-Identifier: MIT
"""What the hardware reports about itself: NMIs, and machine checks with and without a loss."""

import pytest

from dom0 import script_machine
from machine import monitor, monitor_args

pytestmark = pytest.mark.ours


def sleeping_dom0(directory):
    return script_machine(directory, "echo asleep\nsleep 1000", smp=2,
                          options="dom0_mem=384M dom0_vcpus_pin", args=monitor_args(directory))


def test_an_nmi_reaches_dom0_though_it_sleeps(tmp_path):
    with sleeping_dom0(tmp_path) as pc:
        pc.wait_for("asleep\n")
        monitor(tmp_path, "nmi")
        pc.wait_for("NMI received for unknown reason")


def test_what_was_put_right_is_in_the_log(tmp_path):
    with sleeping_dom0(tmp_path) as pc:
        pc.wait_for("asleep\n")
        monitor(tmp_path, "mce 1 9 0x9c00000000000000 0 0x1234000 0x8c")
        pc.wait_for(r"\(mansio\) Machine check, CPU 1 bank 9: status 0x9c00000000000000 "
                    r"\(corrected\), address 0x1234000")


def test_what_was_lost_stops_the_machine(tmp_path):
    with sleeping_dom0(tmp_path) as pc:
        pc.wait_for("asleep\n")
        monitor(tmp_path, "mce 0 9 0xbe00000000000000 4 0x1234000 0x8c")
        pc.wait_for("the hardware failed: machine check")
        pc.wait_for("The machine is halted")
