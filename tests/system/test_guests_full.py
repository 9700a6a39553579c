# SPDX-License-Identifier: MIT
"""What takes long: many guests, guests for a long time, and guests that go from one hypervisor
to another."""

import os
import pytest

from machine import IMAGE, IS_OURS, TOP
from toolstack import Toolstack, drive

pytestmark = pytest.mark.full
MACHINE = {"memory_mib": 4096, "dom0_mib": 1024}

SECONDS = int(os.environ.get("MANSIO_SOAK_SECONDS", "3600"))
ORACLE = os.path.join(TOP, "build", "oracle", "xen")
NR_GUESTS = 100


def all_at_once(dom0):
    """A hundred guests, and another one that works; what dom0 counts when they are gone."""
    for n in range(NR_GUESTS):
        dom0.sh(f"xl create -q /tmp/many.cfg 'name=\"many{n}\"'", 400)
    states = {name: row["state"] for name, row in dom0.domains().items()}
    assert len(states) == NR_GUESTS + 1
    assert all(state == "-b----" for name, state in states.items() if name != "Domain-0"), states
    linux = dom0.create("linux")
    linux.wait_up()
    linux.destroy()
    dom0.sh(f"for n in $(seq 0 {NR_GUESTS - 1}); do xl destroy many$n; done", 1200)
    dom0.until("[ $(xl list | wc -l) = 2 ]")
    return dom0.sh("sleep 5; count")


def test_a_hundred_idle_guests(dom0):
    """All at once, and all of it back afterwards, but for what dom0's own tables have grown by to hold
    as many handles and channels: the second hundred finds that there.

    The tools need longer for each further guest, as the store asks all its clients in turn; that the
    hypervisor does not is seen by the guest `many`."""
    dom0.create_tiny("first", memory=16, on_crash="preserve").destroy()
    dom0.sh("printf 'type=\"pv\"\nkernel=\"/t/tiny.elf\"\nmemory=16\nvcpus=1\n' >/tmp/many.cfg")
    before = all_at_once(dom0)
    dom0.free_mib = int(dom0.sh("xl info free_memory"))
    assert all_at_once(dom0) == before


def test_an_hour_of_two_guests_under_load(dom0):
    guests = []
    for number in (11, 12):
        dom0.sh(f"truncate -s 16M /var/tmp/guests/disk{number}")
        guest = dom0.create(f"load{number}", vcpus=2, memory=160,
                            disk=[f"format=raw,vdev=xvda,access=rw,target=/var/tmp/guests/disk{number}"],
                            vif=[f"bridge=xenbr0,mac=00:16:3e:77:00:{number}"],
                            extra=f"test.ip=10.77.0.{number}/24")
        guest.wait_up()
        guest.sh("mkdir /tmp/www; head -c 2m /dev/urandom >/tmp/www/noise; httpd -p 8080 -h /tmp/www")
        guests.append((number, guest))
    for number, guest in guests:
        guest.sh(f"/load {SECONDS} 10.77.0.{23 - number} &")
    end = SECONDS + dom0.uptime()
    while dom0.uptime() < end:
        dom0.create_tiny("passer-by", memory=16).destroy()
        dom0.sh("sleep 20; xl list >/dev/null; xenstore-ls >/dev/null", 600)
    for _, guest in guests:
        guest.sh("! [ -e /tmp/bad ]")
        for what in ("disk", "net"):
            assert int(guest.sh(f"wc -l </tmp/{what}-good")) > SECONDS // 60
        guest.check_no_troubles()
        guest.destroy()


def saved(image, directory, carry):
    """A guest's stream on the disk @carry, made under the hypervisor @image; its length, and what
    the guest's memory must hold."""
    with Toolstack(directory, image=image, args=drive("carry", carry)) as pc:
        pc.wait_shell()
        guest = pc.create("carry", vcpus=2)
        guest.wait_up()
        guest.sh("head -c 8m /dev/urandom >/tmp/state")
        guest.sh("(while :; do echo >>/tmp/ticks; usleep 200000; done) &")
        want = guest.sh("sha256sum </tmp/state")
        pc.sh("xl save carry /var/tmp/guests/image", 400)
        pc.sh("dd if=/var/tmp/guests/image of=/dev/vdd bs=1M conv=sync,fsync 2>/dev/null", 400)
        return pc.sh("stat -c %s /var/tmp/guests/image"), want


@pytest.mark.ours
@pytest.mark.parametrize("ways", ["there", "back"])
def test_streams_pass_between_hypervisors(tmp_path, ways):
    if not os.path.exists(ORACLE):
        pytest.skip("make oracle fetches it")
    first, second = (IMAGE, ORACLE) if ways == "there" else (ORACLE, IMAGE)
    carry = tmp_path / "carry"
    with open(carry, "wb") as f:
        f.truncate(256 << 20)
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    size, want = saved(first, tmp_path / "from", carry)
    with Toolstack(tmp_path / "to", image=second, args=drive("carry", carry)) as pc:
        pc.wait_shell()
        pc.sh(f"head -c {size} /dev/vdd >/var/tmp/guests/image; xl restore /var/tmp/guests/image", 400)
        guest = pc.guest("carry")
        assert guest.sh("sha256sum </tmp/state") == want
        ticks = guest.sh("wc -l </tmp/ticks")
        guest.sh(f"until [ $(wc -l </tmp/ticks) -gt {ticks} ]; do usleep 100000; done")
        assert guest.sh("nproc") == "2"
        pc.sh("xl save carry /var/tmp/guests/again", 400)
        pc.sh("xl restore /var/tmp/guests/again", 400)
        guest.shutdown()
        pc.check_nothing_left()
