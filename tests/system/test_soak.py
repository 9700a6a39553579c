# SPDX-License-Identifier: MIT
"""An hour of everything at once: processes on all vCPUs, the whole disk read and summed, files over
the network, a compiler, timers.  The hour is the machine's: QEMU counts 32 ns for each instruction,
so that its two processors are slow and the hour passes in minutes."""

import hashlib
import os
import random
import re

import pytest

from dom0 import TROUBLE, Dom0
from machine import HYPERVISOR_LINE
from server import serving

SECONDS = int(os.environ.get("MANSIO_SOAK_SECONDS", "3600"))
DISK_MIB = 64
SCRIPT_BYTES = 65536

LOAD = """
now() {
    read -r up idle </proc/uptime
    echo ${up%.*}
}
end=$(($(now) + $seconds))
storm() {
    n=0
    while [ $(now) -lt $end ]; do
        for i in 1 2 3 4 5 6 7 8; do (taskset -c $1 /bin/true; ls /proc >/dev/null) & done
        wait
        n=$((n + 8))
    done
    echo "load: storm $1: $n"
}
sums() {
    n=0 good=0
    while [ $(now) -lt $end ]; do
        echo 1 >/proc/sys/vm/drop_caches
        [ "$(sha256sum </dev/vdb)" = "$disk_sum  -" ] && good=$((good + 1))
        n=$((n + 1))
    done
    echo "load: sums: $good of $n"
}
transfers() {
    n=0 good=0
    while [ $(now) -lt $end ]; do
        [ "$(busybox wget -q -O - $url | sha256sum)" = "$file_sum  -" ] && good=$((good + 1))
        n=$((n + 1))
    done
    echo "load: transfers: $good of $n"
}
compile() {
    n=0 good=0
    while [ $(now) -lt $end ]; do
        rm -rf /tmp/py
        cp -r /usr/lib/python3.11/json /tmp/py
        python3 -m compileall -q -f /tmp/py && good=$((good + 1))
        n=$((n + 1))
    done
    echo "load: compiled: $good of $n"
}
naps() {
    n=0
    while [ $(now) -lt $end ]; do
        sleep 0.02
        n=$((n + 1))
    done
    echo "load: naps: $n"
}
for cpu in $(seq 0 $(($(nproc) - 1))); do storm $cpu & done
sums & transfers & compile & naps &
while [ $(now) -lt $end ]; do sleep 60; xl list >/dev/null && xenstore-ls >/dev/null || echo "load: tools failed"; done
wait
echo "load: over"
"""


@pytest.mark.full
def test_an_hour_of_mixed_load(tmp_path):
    data = random.Random(17).randbytes(DISK_MIB << 20)
    file = data[:4 << 20]
    with serving(file) as url:
        # The script is in the first bytes of the disk that it sums.
        text = (f"seconds={SECONDS} url={url} file_sum={hashlib.sha256(file).hexdigest()}\n"
                + LOAD).encode()
        disk = text + b"\n" * (SCRIPT_BYTES - len(text)) + data[SCRIPT_BYTES:]
        path = tmp_path / "load.img"
        path.write_bytes(disk)
        args = ["-drive", f"file={path},if=none,id=load,format=raw,snapshot=on",
                "-device", "virtio-blk-pci,drive=load", "-icount", "shift=5,sleep=off"]
        with Dom0(tmp_path, args=args, smp=2, options="dom0_mem=512M") as pc:
            pc.wait_shell(900)
            start = len(pc.text)
            sum_of_disk = hashlib.sha256(disk).hexdigest()
            pc.sh(f"export disk_sum={sum_of_disk}; head -c {SCRIPT_BYTES} /dev/vdb >/tmp/load")
            pc.sh("sh /tmp/load", 6 * 3600)
            told = HYPERVISOR_LINE.sub("", pc.text[start:])
            said = HYPERVISOR_LINE.findall(pc.text[start:])
            pc.sh("dmesg -n 7; xl info >/dev/null")
    assert "load: over" in told
    assert "tools failed" not in told
    for what in ("sums", "transfers", "compiled"):
        good, tried = map(int, re.search(rf"load: {what}: (\d+) of (\d+)", told).groups())
        assert good == tried > 0, f"{what}: {good} of {tried}"
    for storm in re.findall(r"load: storm \d+: (\d+)", told):
        assert int(storm) > 0
    assert not said, "".join(said)
    assert not TROUBLE.search(pc.text)
