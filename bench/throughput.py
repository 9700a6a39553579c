# SPDX-License-Identifier: MIT
"""Throughput of the stock back-ends: what it costs to move 4 KiB between a guest and its disk,
and by TCP between a guest and dom0 or another guest, all on one processor.

Everything counts: the hypervisor's instructions, those of both kernels, and the time in which all
wait.

    throughput.py HYPERVISOR FOLDER     the last line is JSON: {name: cost}
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests/system"))
from toolstack import Toolstack  # noqa: E402

PAGES = 256         # to the MiB
DISK_MIB = 256
FILE_MIB = 64       # of the file that TCP brings; it is kept in memory
TURNS = 8           # how often: the clock's steps are of 10 ms

DISK = "/var/tmp/guests/disk"
SERVE = f"mkdir /tmp/www; dd if=/dev/zero of=/tmp/www/f bs=1M count={FILE_MIB} 2>/dev/null; busybox httpd -p 8080 -h /tmp/www"


def card(number):
    return {"vif": [f"bridge=xenbr0,mac=00:16:3e:77:00:{number}"], "extra": f"test.ip=10.77.0.{number}/24"}


def cost(shell, mib, command):
    """What @shell needs to have @command move so many MiB, in ns for 4 KiB."""
    said = shell.sh(f"read a x </proc/uptime; {command}; read b x </proc/uptime; echo $a $b", 900)
    start, end = map(float, said.split()[-2:])
    return round((end - start) * 1e9 / (mib * PAGES))


def fetch(client, address):
    """As cost(), of reading the file that @address serves."""
    get = f"busybox wget -q -O /dev/null http://{address}:8080/f"
    return cost(client, TURNS * FILE_MIB, f"for i in $(seq {TURNS}); do {get} || exit 1; done")


def measure_with(dom0):
    dom0.sh(f"dd if=/dev/zero of={DISK} bs=1M count={DISK_MIB} 2>/dev/null", 900)
    one = dom0.create("one", memory=192, disk=[f"format=raw,vdev=xvda,access=rw,target={DISK}"], **card(11))
    two = dom0.create("two", memory=128, **card(12))
    one.wait_up()
    two.wait_up()
    found = {}
    found["disk_write"] = cost(
        one, DISK_MIB, f"dd if=/dev/zero of=/dev/xvda bs=1M count={DISK_MIB} conv=fsync 2>/dev/null")
    one.sh("echo 3 >/proc/sys/vm/drop_caches")
    found["disk_read"] = cost(one, DISK_MIB, "dd if=/dev/xvda of=/dev/null bs=1M 2>/dev/null")
    dom0.sh(SERVE)
    one.sh(SERVE)
    found["tcp_in"] = fetch(one, "10.77.0.1")
    found["tcp_out"] = fetch(dom0, "10.77.0.11")
    found["tcp_across"] = fetch(two, "10.77.0.11")
    return found


def measure(image, directory):
    """{name: cost} with the hypervisor @image."""
    with Toolstack(directory, image=image, dom0_mib=1024,
                   clock=["-icount", "shift=0,sleep=off"]) as dom0:
        dom0.wait_shell()
        return measure_with(dom0)


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
