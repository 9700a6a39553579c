# SPDX-License-Identifier: MIT
"""Who gets how much of a CPU: weights and caps."""

import re

import pytest

MACHINE = {}


@pytest.mark.full
def test_a_cap_holds(dom0):
    guest = dom0.create_tiny("cap", "spin")
    dom0.sh("xl sched-credit2 -d cap -w 512 -c 50; sleep 1")
    assert re.search(r"cap +\d+ +512 +50$", dom0.sh("xl sched-credit2 -d cap"), re.M)
    got, = dom0.used(["cap"], 10)
    assert 4 <= got <= 6.5, f"half a CPU is 5 seconds of 10; it got {got}"
    dom0.sh("xl sched-credit2 -d cap -w 256 -c 0")
    got, = dom0.used(["cap"], 4)
    assert got > 3
    for wrong in ("-w 0", "-w 70000", "-c 100000"):
        dom0.sh(f"! xl sched-credit2 -d cap {wrong} 2>/dev/null")
    assert re.search(r"cap +\d+ +256 +0$", dom0.sh("xl sched-credit2 -d cap"), re.M)
    guest.destroy()


def test_weights_share_a_cpu(dom0):
    """1:2:4, within 3 % of what each should have."""
    names = ["w1", "w2", "w4"]
    for n, name in enumerate(names):
        dom0.create_tiny(name, "spin", cpu_weight=128 << n)
    dom0.sh("sleep 2")
    got = dom0.used(names, 20)
    assert sum(got) > 15, got
    for share, want in zip(got, (1, 2, 4)):
        assert abs(share / sum(got) - want / 7) < 0.03, got
