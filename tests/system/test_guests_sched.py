# SPDX-License-Identifier: MIT
"""Which CPU runs what: affinity, and pools with policies of their own."""

import re

import pytest

pytestmark = pytest.mark.full
MACHINE = {"smp": 2}


@pytest.fixture(name="second_pool")
def fixture_second_pool(dom0):
    """A pool with the machine's second CPU, under another policy; gone afterwards."""
    dom0.sh("xl cpupool-cpu-remove Pool-0 1")
    dom0.sh("printf 'name=\"second\"\\nsched=\"credit\"\\ncpus=[\"1\"]\\n' >/tmp/pool.cfg")
    dom0.sh("xl cpupool-create /tmp/pool.cfg")
    yield
    dom0.sh("xl cpupool-destroy second; xl cpupool-cpu-add Pool-0 1")
    assert re.search(r"Pool-0 +2 ", dom0.sh("xl cpupool-list"))


def test_vcpus_stay_where_they_are_put(dom0):
    guest = dom0.create_tiny("pin", "spin", vcpus=2)
    for cpu in (1, 0, 1):
        dom0.sh(f"xl vcpu-pin pin 0 {cpu}; sleep 1")
        row, _ = dom0.sh("xl vcpu-list pin").splitlines()[1:]
        assert re.match(rf"pin +\d+ +0 +{cpu} +\S+ +[\d.]+ +{cpu} / all", row), row
    dom0.sh("xl vcpu-pin pin 0 all; xl vcpu-pin pin 1 - 0")
    rows = dom0.sh("xl vcpu-list pin")
    assert "all / all" in rows and re.search(r"all / 0$", rows, re.M), rows
    guest.destroy()


def test_a_pool_with_a_policy_of_its_own(dom0, second_pool):
    pools = dom0.sh("xl cpupool-list")
    assert re.search(r"Pool-0 +1 +credit2 +y +1$", pools, re.M), pools
    assert re.search(r"second +1 +credit +y +0$", pools, re.M), pools
    guest = dom0.create_tiny("pooled", "spin", pool="second")
    dom0.sh("sleep 1")
    assert dom0.sh("xl vcpu-list pooled").splitlines()[1].split()[3] == "1"
    dom0.sh("xl sched-credit -d pooled -w 128 -c 30")
    assert re.search(r"pooled +\d+ +128 +30$", dom0.sh("xl sched-credit -d pooled"), re.M)
    dom0.sh("! xl cpupool-destroy second 2>/dev/null")
    dom0.sh("xl cpupool-cpu-remove second 1 2>&1 | grep -q error:")
    dom0.sh("xl cpupool-migrate pooled Pool-0")
    assert re.search(r"second +1 +credit +y +0$", dom0.sh("xl cpupool-list"), re.M)
    got, = dom0.used(["pooled"], 3)
    assert got > 1
    guest.destroy()
