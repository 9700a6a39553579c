# SPDX-License-Identifier: MIT
"""Guests side by side, each with its console, its disk and its network card."""

import hashlib
import re

import pytest

from toolstack import VERSIONS

MACHINE = {}


def test_a_guest_has_a_console_and_ends_when_asked(dom0):
    guest = dom0.create("one", vcpus=2, memory=128)
    told = guest.wait_up()
    assert "Linux 6.1." in told and "PV, 2 CPUs" in told
    assert guest.info()["mem"] == 128 and guest.info()["vcpus"] == 2
    assert guest.sh("nproc; echo all; (exit 7)", status=7) == "2\nall"
    # More than any buffer on the way holds.
    dom0.sh("seq 1 9000 >/tmp/files/seq; ask one 60 'seq 1 9000' | cmp - /tmp/files/seq")
    guest.shutdown()


def test_two_kernels_side_by_side_and_talking(dom0):
    """The guests that dom0 comes with: a file system that both read, and what each of them
    writes stays on a disk of its own."""
    before = dom0.sh("sha256sum </guests/base.img")
    for number, version in enumerate(VERSIONS, 61):
        dom0.sh(f"new-guest guest-{version} {version} {number} >/dev/null 2>&1", 240)
    for number, version in enumerate(VERSIONS, 61):
        dom0.sh(f"up guest-{version} 240 'up after'", 400)
        page = dom0.sh(f"busybox wget -q -O - http://10.77.0.{number}/")
        assert re.fullmatch(rf"guest-{version} runs Linux {re.escape(version)}\.\S+ since .* UTC", page)
    dom0.sh("ask guest-6.1 60 'ping -c 3 -W 5 10.77.0.62'", 200)
    got = dom0.sh("ask guest-6.12 60 'busybox wget -q -O - http://10.77.0.61/'", 200)
    assert "guest-6.1 runs Linux 6.1." in got
    # A file of each guest's own, of the same name.
    for version in VERSIONS:
        dom0.sh(f"ask guest-{version} 60 'seq 1 {version.replace('.', '')}000 >/root/n; sync'", 200)
    for version in VERSIONS:
        nr = int(version.replace(".", "")) * 1000
        want = hashlib.sha256("".join(f"{n}\n" for n in range(1, nr + 1)).encode()).hexdigest()
        got = dom0.sh(f"ask guest-{version} 60 'echo 3 >/proc/sys/vm/drop_caches; sha256sum /root/n'", 200)
        assert got.split()[0] == want
    for version in VERSIONS:
        dom0.sh(f"xl shutdown -w guest-{version} >/dev/null", 240)
        dom0.until(f"dmsetup remove guest-{version}")
    assert dom0.sh("sha256sum </guests/base.img") == before


def test_a_disk_holds_what_was_written(dom0):
    """All of it read, some of it written, and the other side's view of both."""
    file = "/var/tmp/guests/disk"
    dom0.sh(f"head -c 16m /dev/urandom >{file}; head -c 1m /dev/urandom >{file}.ro")
    guest = dom0.create("disk", disk=[f"format=raw,vdev=xvda,access=rw,target={file}",
                                      f"format=raw,vdev=xvdb,access=ro,target={file}.ro"])
    guest.wait_up()
    want = dom0.sh(f"sha256sum <{file}")
    assert guest.sh("sha256sum </dev/xvda") == want
    assert guest.sh("sha256sum </dev/xvdb") == dom0.sh(f"sha256sum <{file}.ro")
    guest.sh("! dd if=/dev/zero of=/dev/xvdb bs=4k count=1")
    # Large requests, and sectors one by one.
    guest.sh("dd if=/dev/xvda of=/dev/xvda bs=1M count=2 skip=1 seek=9 conv=notrunc,fsync")
    guest.sh("for n in 3 1 7; do echo $n | dd of=/dev/xvda bs=512 seek=$n conv=sync,fsync; done")
    guest.sh("echo 3 >/proc/sys/vm/drop_caches")
    here = dom0.sh(f"sha256sum <{file}")
    assert here != want
    assert guest.sh("sha256sum </dev/xvda") == here
    guest.shutdown()


@pytest.mark.full
def test_disks_and_cards_come_and_go_while_a_guest_runs(dom0):
    dom0.sh("head -c 4m /dev/urandom >/var/tmp/guests/more")
    guest = dom0.create("plug")
    guest.wait_up()
    dom0.sh("xl block-attach plug format=raw,vdev=xvdc,access=rw,target=/var/tmp/guests/more")
    guest.sh("while ! [ -b /dev/xvdc ]; do usleep 100000; done")
    assert guest.sh("sha256sum </dev/xvdc") == dom0.sh("sha256sum </var/tmp/guests/more")
    dom0.sh("xl block-detach plug xvdc")
    dom0.sh("xl network-attach plug bridge=xenbr0 mac=00:16:3e:77:01:09")
    guest.sh("while ! [ -e /sys/class/net/eth0 ]; do usleep 100000; done")
    guest.sh("ip addr add 10.77.0.9/24 dev eth0; ip link set eth0 up; ping -c 2 -W 5 10.77.0.1")
    dom0.sh("xl network-detach plug 0")
    guest.sh("while [ -e /sys/class/net/eth0 -o -e /dev/xvdc ]; do usleep 100000; done")
    guest.shutdown()


@pytest.mark.full
def test_a_kernel_from_the_guests_own_disk(dom0):
    """GRUB is the guest's first kernel; it reads its menu and the second one from the disk."""
    guest = dom0.create("grub", kernel="/t/grub-x86_64-xen.bin", ramdisk="", memory=160,
                        disk=["phy:/dev/vdc,xvda,r"])
    assert "Linux 6.1." in guest.wait_up(300)
    guest.shutdown()
