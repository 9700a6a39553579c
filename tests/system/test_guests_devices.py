# SPDX-License-Identifier: MIT
"""Devices by dom0's drivers under load: data intact, and nobody is harmed when an end dies."""

import pytest

pytestmark = pytest.mark.full
MACHINE = {}

MIB = 24
SERVE = ("mkdir -p /tmp/www; head -c {mib}m /dev/urandom >/tmp/www/noise; sha256sum </tmp/www/noise; "
         "busybox httpd -p 8080 -h /tmp/www")


def card(number):
    return {"vif": [f"bridge=xenbr0,mac=00:16:3e:77:00:{number:02x}"],
            "extra": f"test.ip=10.77.0.{number}/24"}


def get(number):
    return f"busybox wget -q -O - http://10.77.0.{number}:8080/noise | sha256sum"


def test_files_cross_the_bridge_whole(dom0):
    one = dom0.create("one", memory=160, **card(11))
    two = dom0.create("two", memory=128, **card(12))
    one.wait_up()
    two.wait_up()
    sums = [dom0.sh(SERVE.format(mib=MIB)), one.sh(SERVE.format(mib=MIB))]
    assert one.sh(get(1), 200) == sums[0]
    assert dom0.sh(get(11), 200) == sums[1]
    assert two.sh(get(11), 200) == sums[1]
    # Both ways at once, with packets of all lengths.
    two.sh(f"({get(11)} >/tmp/1; {get(11)} >/tmp/2) &")
    for size in (1, 56, 1471, 1473, 4000, 65000):
        dom0.sh(f"ping -q -c 2 -W 10 -s {size} 10.77.0.12")
    assert one.sh(get(1), 200) == sums[0]
    two.sh("until [ -s /tmp/2 ]; do usleep 100000; done", 200)
    assert two.sh("cat /tmp/1 /tmp/2").splitlines() == [sums[1]] * 2
    dom0.sh("kill $(pidof busybox); rm -r /tmp/www")
    two.destroy()
    one.shutdown()


def test_a_disk_under_load_keeps_its_data(dom0):
    file = "/var/tmp/guests/disk"
    dom0.sh(f"truncate -s 64M {file}")
    guest = dom0.create("load", vcpus=2, memory=160,
                        disk=[f"format=raw,vdev=xvda,access=rw,target={file}"])
    guest.wait_up()
    guest.sh("head -c 16m /dev/urandom >/tmp/d; sha256sum </tmp/d >/tmp/sum")
    guest.sh("for n in 0 16 32 48; do dd if=/tmp/d of=/dev/xvda bs=64k seek=${n}0 2>/dev/null & done; wait; "
             "for n in 0 16 32 48; do dd if=/tmp/d of=/dev/xvda bs=1M seek=$n conv=fsync 2>/dev/null & done; wait", 240)
    guest.sh("echo 3 >/proc/sys/vm/drop_caches; for n in 0 16 32 48; do "
             "dd if=/dev/xvda bs=1M skip=$n count=16 2>/dev/null | sha256sum | cmp - /tmp/sum || exit 1; done", 240)
    assert guest.sh("sha256sum </dev/xvda", 120) == dom0.sh(f"sha256sum <{file}")
    guest.shutdown()


def test_a_guest_dies_while_its_pages_are_mapped(dom0):
    """In the midst of writing and sending: all it had comes back."""
    dom0.sh("truncate -s 64M /var/tmp/guests/disk")
    for _ in range(2):
        guest = dom0.create("dies", disk=["format=raw,vdev=xvda,access=rw,target=/var/tmp/guests/disk"], **card(13))
        guest.wait_up()
        guest.sh("(while :; do dd if=/dev/zero of=/dev/xvda bs=1M count=64 2>/dev/null; done) & "
                 "ping -f -s 20000 10.77.0.1 >/dev/null 2>&1 & "
                 "(while :; do dd if=/dev/xvda of=/dev/null bs=64k 2>/dev/null; done) &")
        dom0.sh("sleep 2")
        guest.destroy()


def test_a_disk_taken_away_under_load_and_given_again(dom0):
    dom0.sh("truncate -s 32M /var/tmp/guests/disk; truncate -s 32M /var/tmp/guests/other")
    disk = "format=raw,vdev={},access=rw,target=/var/tmp/guests/{}"
    guest = dom0.create("disk", disk=[disk.format("xvda", "disk"), disk.format("xvdb", "other")])
    guest.wait_up()
    # Reads: the kernel holds all writers up when what was written to a dead disk fills its memory.
    guest.sh("(while dd if=/dev/xvdb of=/dev/null bs=64k 2>/dev/null; do echo 1 >/proc/sys/vm/drop_caches; done) &")
    dom0.sh("sleep 1; xl block-detach disk xvdb --force >/dev/null 2>&1; true", 240)
    dom0.sh("xl block-list disk")
    guest.sh("head -c 1m /dev/urandom | dd of=/dev/xvda bs=64k conv=fsync 2>/dev/null", 240)
    guest.destroy()


def test_the_console_daemon_dies_and_comes_back(dom0):
    guest = dom0.create("talk")
    guest.wait_up()
    dom0.sh("kill $(pidof xenconsoled)")
    dom0.until("! pidof xenconsoled")
    dom0.sh("/usr/lib/xen-4.17/bin/xenconsoled --log=guest")
    dom0.until("ask talk 5 true", 60)
    assert guest.sh("seq 1 500 | tail -1") == "500"
    guest.shutdown()
