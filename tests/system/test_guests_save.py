# SPDX-License-Identifier: MIT
"""Guests saved to a file, restored from it, and moved while they run."""

import re

import pytest

from machine import IS_OURS

MACHINE = {}

FILE = "/var/tmp/guests/image"

# Bytes of a stream where a bit changes: in xl's header; in libxc's, counted from where libxl's part
# begins (at whose own header the tools end with a fault), and in the records that come first; and
# from its end, in those that come last.  Pages between them carry no sum: theirs is not noticed.
XL_FLIPS = [0, 33, 60]
LIBXC_FLIPS = [24, 31, 36, 48, 52, 64, 68, 200, 600, 700, 1200, 2200, 5200]
LAST_FLIPS = [-1, -8, -30, -100, -400, -1000, -3000, -5000]


def with_state(dom0, name, **settings):
    """A guest with memory, a process and a network card that must go on as they were."""
    guest = dom0.create(name, vif=["bridge=xenbr0,mac=00:16:3e:77:00:11"],
                        extra="test.ip=10.77.0.11/24", **settings)
    guest.wait_up()
    guest.sh("head -c 8m /dev/urandom >/tmp/state")
    guest.sh("(while :; do echo >>/tmp/ticks; usleep 200000; done) &")
    return guest, guest.sh("sha256sum </tmp/state")


def check_state(dom0, guest, want):
    assert guest.sh("sha256sum </tmp/state") == want
    ticks = guest.sh("wc -l </tmp/ticks")
    guest.sh(f"until [ $(wc -l </tmp/ticks) -gt {ticks} ]; do usleep 100000; done")
    dom0.sh("ping -c 2 -W 10 10.77.0.11")
    guest.check_no_troubles()


def test_save_and_restore_with_live_state(dom0):
    disk = "/var/tmp/guests/disk"
    dom0.sh(f"head -c 4m /dev/urandom >{disk}")
    guest, want = with_state(dom0, "save", vcpus=2,
                             disk=[f"format=raw,vdev=xvda,access=rw,target={disk}"])
    dom0.sh(f"xl save save {FILE}", 400)
    assert "save" not in dom0.domains()
    dom0.sh(f"xl restore {FILE}", 400)
    check_state(dom0, guest, want)
    assert guest.sh("nproc") == "2"
    guest.sh("seq 1 9999 | dd of=/dev/xvda conv=notrunc,fsync; echo 3 >/proc/sys/vm/drop_caches")
    assert guest.sh("sha256sum </dev/xvda") == dom0.sh(f"sha256sum <{disk}")
    # A checkpoint: the guest goes on, and can go back to then.
    dom0.sh(f"xl save -c save {FILE}", 400)
    guest.sh("true")
    guest.destroy()
    dom0.sh(f"xl restore {FILE}", 400)
    check_state(dom0, guest, want)
    guest.shutdown()


@pytest.mark.full
def test_damaged_streams_are_refused(dom0):
    """Cut anywhere, or with a bit changed where bits are checked: a sentence and no domain, or a
    guest as it was.  All memory is back after each."""
    guest = dom0.create("image")
    guest.wait_up()
    dom0.sh(f"xl save image {FILE}", 400)
    size = int(dom0.sh(f"stat -c %s {FILE}"))
    start = int(dom0.sh(f"grep -abom 1 LibxlFmt {FILE} | head -1").split(":")[0])
    flips = XL_FLIPS + [start + n for n in LIBXC_FLIPS] + LAST_FLIPS
    refused = 0
    for flip in flips:
        dom0.sh(f"spoil {FILE} flip {flip}")
        said = dom0.sh(f"xl restore -p {FILE} 2>&1; echo exit $?", 400)
        dom0.sh(f"spoil {FILE} flip {flip}")
        if said.endswith("exit 0"):
            guest.destroy()
        else:
            refused += 1
            assert len(said.splitlines()) >= 2, said
        assert list(dom0.domains()) == ["Domain-0"]
        dom0.until(f"[ $(xl info free_memory) -ge {dom0.free_mib} ]")
    assert refused >= len(flips) // 3
    # The whole file is still good.
    dom0.sh(f"xl restore {FILE}", 400)
    guest.sh("true")
    guest.destroy()
    for cut in (size - 1, size - 20, size - 9000, size // 2, 20000, 1000, 10, 0):
        dom0.sh(f"spoil {FILE} cut {cut}")
        said = dom0.sh(f"xl restore {FILE} 2>&1; echo exit $?", 400)
        if said.endswith("exit 0") and cut > size - 100:
            guest.sh("true")  # all that it needs was there: only the end's mark is damaged
            guest.destroy()
        else:
            assert not said.endswith("exit 0"), f"cut to {cut} of {size}: {said}"
        assert list(dom0.domains()) == ["Domain-0"], f"cut to {cut} of {size}: {said}"
        dom0.until(f"[ $(xl info free_memory) -ge {dom0.free_mib} ]")


@pytest.mark.full
@pytest.mark.parametrize("what", ["nothing", "noise", "kernel"])
def test_what_is_no_stream_is_refused(dom0, what):
    file = {"nothing": "/dev/null", "noise": FILE, "kernel": "/guests/vmlinuz-6.1"}[what]
    dom0.sh(f"head -c 3m /dev/urandom >{FILE}")
    dom0.sh(f"xl restore {file} 2>/dev/null", status=1 if what != "nothing" else None)
    assert list(dom0.domains()) == ["Domain-0"]


def test_a_guest_moves_while_it_runs(dom0):
    """To the same host.  Where paravirtual guests cannot move, the guest stays unharmed."""
    guest, want = with_state(dom0, "move", vcpus=2)
    # Memory that changes all the time, and is checked all the time.
    guest.sh("(while :; do head -c 2m /dev/urandom >/tmp/a; sha256sum /tmp/a >/tmp/s; cat /tmp/a >/tmp/b; "
             "mv /tmp/b /tmp/a; sha256sum -c /tmp/s >/dev/null || echo >>/tmp/bad; done) &")
    was = guest.info()["id"]
    said = dom0.sh("xl migrate -s here move there 2>&1; echo exit $?", 600)
    moved = said.endswith("exit 0")
    if IS_OURS:
        assert moved, said
    else:
        assert moved or "logdirty" in said, said
    assert (guest.info()["id"] != was) == moved
    assert [name for name in dom0.domains() if "move" in name] == ["move"]
    check_state(dom0, guest, want)
    guest.sh("! [ -e /tmp/bad ]")
    guest.shutdown()


@pytest.mark.full
@pytest.mark.ours
def test_a_guest_moves_many_times(dom0):
    guest, want = with_state(dom0, "move", vcpus=2)
    for _ in range(10):
        dom0.sh("xl migrate -s here move there >/dev/null 2>&1", 600)
        check_state(dom0, guest, want)
    guest.shutdown()


@pytest.mark.full
def test_a_move_that_breaks_off_harms_nobody(dom0):
    """The other side dies at once, or after a while: the guest goes on here."""
    guest, want = with_state(dom0, "stay")
    was = guest.info()["id"]
    for other in ("false", "'shift; head -c 3m | \"$@\"'"):
        dom0.sh(f"printf '#!/bin/sh\\n%s\\n' {other} >/tmp/dead; chmod 755 /tmp/dead")
        dom0.sh("! xl migrate -s /tmp/dead stay there >/dev/null 2>&1", 400)
        dom0.until("! xl list | grep incoming")
        assert guest.info()["id"] == was
        check_state(dom0, guest, want)
    assert re.search(r"[r-][b-]----", guest.info()["state"])
    guest.destroy()
