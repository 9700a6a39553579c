# SPDX-License-Identifier: MIT
"""The stock toolstack in the stock control domain, one machine for all of these tests."""

import hashlib
import re

import pytest

from dom0 import TROUBLE, Dom0
from machine import IS_OURS
from server import serving

CPUS = 2


@pytest.fixture(scope="module", name="dom0")
def fixture_dom0(tmp_path_factory):
    options = "dom0_mem=512M,max:512M unknown=1 maxcpus=plenty"
    with Dom0(tmp_path_factory.mktemp("tools"), options=options, smp=CPUS) as pc:
        pc.wait_shell()
        yield pc


def table(text):
    """The lines of `xl info` and its like."""
    return dict(re.findall(r"^(\w+)\s*: ?(.*)$", text, re.M))


def test_xl_info(dom0):
    info = table(dom0.sh("xl info"))
    assert info["nr_cpus"] == str(CPUS)
    assert info["xen_major"] == "4" and info["xen_minor"] == "17"
    assert "xen-3.0-x86_64" in info["xen_caps"].split()
    assert info["virt_caps"].startswith("pv")
    assert 1000 <= int(info["total_memory"]) <= 1024
    assert 300 <= int(info["free_memory"]) <= 512
    assert "unknown=1" in info["xen_commandline"]
    assert info["platform_params"] == "virt_start=0xffff800000000000"
    if IS_OURS:
        assert "mansio" in info["xen_extra"]


def test_xl_list(dom0):
    lines = dom0.sh("xl list").splitlines()
    assert lines[0].split() == ["Name", "ID", "Mem", "VCPUs", "State", "Time(s)"]
    assert re.match(rf"Domain-0 +0 +512 +{CPUS} +[r-]b?-+", lines[1])
    assert len(lines) == 2


def test_xl_vcpu_list(dom0):
    lines = dom0.sh("xl vcpu-list").splitlines()
    assert len(lines) == 1 + CPUS
    for number, line in enumerate(lines[1:]):
        assert re.match(rf"Domain-0 +0 +{number} +\d+ +[r-][b-]- +[\d.]+ +all / all", line)


def test_xl_dmesg_holds_the_start(dom0):
    log = dom0.log()
    assert log.count("[hv]") > 20
    assert re.search("Mansio" if IS_OURS else "Xen version 4.17", log)


@pytest.mark.ours
def test_unknown_and_malformed_options_are_named(dom0):
    assert re.search(r"\(mansio\) .*unknown=1", dom0.text)
    assert re.search(r"\(mansio\) .*maxcpus=plenty", dom0.text)


def test_xl_debug_keys(dom0):
    """The key's report is in the log, that of `h` names all keys."""
    dom0.sh("xl dmesg -c >/dev/null")
    dom0.sh("xl debug-keys h")
    log = dom0.log()
    assert re.search(r"^\[hv\] .*\bm\b", log, re.M), log
    for key in "qmi":
        dom0.sh(f"xl debug-keys {key}")
    assert len(dom0.log()) > len(log)


def test_xl_dmesg_can_be_cleared(dom0):
    dom0.sh("xl dmesg -c >/dev/null")
    assert dom0.log() == ""


def test_xenstore(dom0):
    assert dom0.sh("xenstore-read /local/domain/0/name") == "Domain-0"
    dom0.sh("xenstore-write /tool/test 17")
    assert dom0.sh("xenstore-read /tool/test") == "17"
    dom0.sh("xenstore-read /tool/none 2>/dev/null", status=1)


def test_what_cannot_be_done_is_refused(dom0):
    for command in ("xl destroy 99", "xl pause 99", "xl vcpu-set 99 1"):
        dom0.sh(f"{command} 2>/dev/null", status=None)
    assert "Domain-0" in dom0.sh("xl list")


def test_disk_and_network_are_there(dom0):
    assert "vda" in dom0.sh("lsblk -n -o NAME,TYPE,MOUNTPOINTS")
    assert "10.0.2.15" in dom0.sh("ip -4 addr show dev eth0")
    dom0.sh("ping -c 1 10.0.2.2 >/dev/null 2>&1 || busybox ping -c 1 10.0.2.2 >/dev/null")


def test_a_file_comes_over_the_network_unharmed(dom0):
    data = bytes(n * n % 251 for n in range(1 << 20)) * 8
    with serving(data) as url:
        got = dom0.sh(f"busybox wget -q -O - {url} | sha256sum", 300)
    assert got.split()[0] == hashlib.sha256(data).hexdigest()


def test_processes_on_all_cpus(dom0):
    dom0.sh("for i in 1 2 3 4; do (n=0; while [ $n -lt 15 ]; do /bin/true; n=$((n+1)); done) & done;"
            " wait", 300)


def test_interrupts_reach_their_drivers(dom0):
    lines = dom0.sh("cat /proc/interrupts")
    assert re.search(r"xen-dyn\s+-virq\s+timer0|xen-percpu\s+-virq\s+timer0", lines)
    assert re.search(r"xen-pirq", lines)


def test_power_off_at_the_end(dom0):
    """Stays the last test: after it there is no machine."""
    dom0.type("poweroff\n")
    dom0.wait_for(r"\(mansio\) dom0 (?:powers|switches the machine) off" if IS_OURS else "ACPI S5")
    dom0.wait_end()
    assert not TROUBLE.search(dom0.text)
