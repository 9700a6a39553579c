# SPDX-License-Identifier: MIT
"""The life of a guest: paused, resized, renamed, woken by keys, rebooted, crashed, destroyed."""

import re

import pytest

MACHINE = {}

CONSOLE = "/var/log/xen/console/guest-{}.log"


@pytest.mark.full
def test_a_paused_guest_stands_still(dom0):
    guest = dom0.create_tiny("life", "spin")
    dom0.sh("sleep 1; xl pause life")
    paused = guest.info()
    assert "p" in paused["state"] and paused["time"] > 0
    dom0.sh("sleep 2")
    assert guest.info()["time"] == paused["time"]
    dom0.sh("xl unpause life; sleep 1")
    assert "p" not in guest.info()["state"]
    assert guest.info()["time"] > paused["time"]
    dom0.sh("xl rename life other")
    assert sorted(dom0.domains()) == ["Domain-0", "other"]
    dom0.guest("other").destroy()


def test_vcpus_and_memory_come_and_go(dom0):
    guest = dom0.create("size", vcpus=2, memory=192, maxmem=256)
    guest.wait_up()
    dom0.sh("xl vcpu-set size 1")
    guest.sh("until [ $(nproc) = 1 ]; do usleep 100000; done")
    assert guest.info()["vcpus"] == 1
    dom0.sh("xl vcpu-set --ignore-host size 2")
    guest.sh("until [ $(nproc) = 2 ]; do echo 1 >/sys/devices/system/cpu/cpu1/online; usleep 100000; done 2>/dev/null")
    guest.sh("taskset -c 1 sha256sum /init >/dev/null && taskset -c 0 true")
    assert guest.info()["vcpus"] == 2
    dom0.sh("xl vcpu-set --ignore-host size 3 >/dev/null 2>&1", status=None)
    assert guest.info()["vcpus"] == 2

    free = int(dom0.sh("xl info free_memory"))
    dom0.sh("xl mem-set size 128")
    dom0.until("xl list size | grep -q ' 128 '")
    assert int(dom0.sh("xl info free_memory")) >= free + 60
    dom0.sh("xl mem-set size 192")
    dom0.until("xl list size | grep -Eq ' 19[12] '")
    # What came back is memory like any other.
    guest.sh("head -c 64m /dev/zero >/tmp/f; sha256sum /tmp/f | grep ^3b6a07d0d404fab4 && rm /tmp/f")
    dom0.sh("xl mem-max size 160; xl mem-set size 250 >/dev/null 2>&1", status=None)
    assert guest.info()["mem"] <= 256
    guest.shutdown()


@pytest.mark.full
def test_keys_and_interrupts_from_outside(dom0):
    guest = dom0.create("keys")
    guest.wait_up()
    nmi = guest.sh("sed -n 's/^ *NMI: *\\([0-9]*\\).*/\\1/p' /proc/interrupts")
    dom0.sh("xl trigger keys nmi")
    guest.sh("until grep -q 'NMI: *[1-9]' /proc/interrupts; do usleep 100000; done")
    assert nmi == "0"
    dom0.sh("xl sysrq keys h")
    guest.sh("until dmesg | grep -q 'sysrq: HELP'; do usleep 100000; done")
    dom0.sh("xl dump-core keys /var/tmp/guests/core")
    check_core(dom0, "/var/tmp/guests/core")
    # A core of one that runs is a look at it, not its end.
    guest.sh("true")
    guest.destroy()


def check_core(dom0, file):
    """An ELF file with the guest's memory in it; some text of its kernel shows that."""
    assert dom0.sh(f"head -c 4 {file} | tail -c 3") == "ELF"
    assert int(dom0.sh(f"stat -c %s {file}")) > 90 << 20
    for word in (".xen_prstatus", ".xen_pages", "Linux version 6.1"):
        dom0.sh(f"grep -a -q '{word}' {file}", 200)


@pytest.mark.full
def test_a_reboot_makes_a_new_domain(dom0):
    guest = dom0.create("again")
    guest.wait_up()
    was = guest.info()["id"]
    dom0.sh("xl reboot again")
    dom0.until(f"[ $(grep -ac 'guest: up' {CONSOLE.format('again')}) = 2 ]", 240)
    assert guest.info()["id"] != was
    guest.sh("true")
    guest.shutdown()


@pytest.mark.full
def test_a_crash_is_seen_and_kept_for_inspection(dom0):
    guest = dom0.create("crash", on_crash="preserve")
    guest.wait_up()
    guest.tell("echo c >/proc/sysrq-trigger")
    dom0.until("xl list crash | grep -q ' [-r][-b]--*s*c'")
    dom0.sh("xl dump-core crash /var/tmp/guests/core")
    check_core(dom0, "/var/tmp/guests/core")
    guest.destroy()


@pytest.mark.full
def test_a_crash_ends_a_guest_or_starts_it_anew(dom0):
    dom0.create_tiny("crash", "crash", on_crash="destroy")
    dom0.until("! xl domid crash")
    dom0.sh("cp /t/tiny.elf /tmp/files/tiny.elf")
    dom0.create_tiny("crash", "crash", kernel="/tmp/files/tiny.elf", on_crash="restart")
    was = int(dom0.until("xl domid crash"))
    dom0.until(f"[ $(xl domid crash) -ge {was + 2} ]", 120)
    # Once and again; until its kernel is gone.
    dom0.sh("rm /tmp/files/tiny.elf")
    dom0.until("! xl domid crash")


@pytest.mark.full
def test_a_crash_leaves_a_core(dom0):
    """By the tools, which need a guest that says where its memory is."""
    dom0.sh("mkdir -p /var/lib/xen/dump")
    guest = dom0.create("crash", on_crash="coredump-destroy")
    guest.wait_up()
    guest.tell("echo c >/proc/sysrq-trigger")
    dom0.until("! xl domid crash")
    check_core(dom0, dom0.sh("ls /var/lib/xen/dump/*crash*"))
    dom0.sh("rm /var/lib/xen/dump/*")


@pytest.mark.full
def test_a_running_guest_is_destroyed(dom0):
    guest = dom0.create("end", vcpus=2)
    guest.wait_up()
    guest.sh("(while :; do :; done) & (while :; do :; done) &")
    guest.destroy()
    # One that has not begun, and one in the midst of its start.
    for options in ("-p", ""):
        dom0.create("end", options).destroy()


@pytest.mark.full
@pytest.mark.parametrize("cycles", [6, pytest.param(200, marks=pytest.mark.full)])
def test_nothing_stays_of_guests_made_and_destroyed(dom0, cycles):
    """Every counter is back: free memory to the KiB, event channels, domains, the store."""
    settings = {"vif": ["bridge=xenbr0"], "vcpus": 2, "memory": 16}
    dom0.create_tiny("churn", **settings).destroy()
    before = dom0.sh("count")
    assert re.search(r"free_kib=\d+", before)
    for _ in range(cycles):
        dom0.create_tiny("churn", **settings).destroy()
    dom0.until(f"count | grep -Fx '{before}' || {{ count; false; }}")


@pytest.mark.full
def test_shells_in_parallel(dom0):
    """Three shells create and destroy guests at the same time."""
    one = ("printf 'name=\"p%s\"\\ntype=\"pv\"\\nkernel=\"/t/tiny.elf\"\\nmemory=16\\n' $s >/tmp/p$s.cfg; "
           "for n in 1 2 3 4; do xl create -q /tmp/p$s.cfg && xl destroy p$s || echo failed; done >/tmp/p$s.log 2>&1")
    dom0.sh(f"for s in 1 2 3; do ({one}) & done; wait", 400)
    assert dom0.sh("cat /tmp/p?.log") == ""
