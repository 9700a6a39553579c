# SPDX-License-Identifier: MIT
"""A PC in QEMU that starts a hypervisor with a guest of ours as its dom0."""

import os
import select
import subprocess
import time

# What guests do wrong is logged at a limited rate: some tests do wrong a hundred thousand times.
HYPERVISOR_OPTIONS = ("dom0_mem=512M,max:512M console=com1 com1=115200 loglvl=all "
                      "guest_loglvl=none/all noreboot")


def command(hypervisor, guest, guest_options="", smp=1, icount=False, hypervisor_options="",
            cpu="qemu64,+svm,+npt", more=()):
    """The QEMU command line.  With icount, time is the number of instructions executed."""
    accel = "tcg,thread=single" if icount else "tcg,thread=multi"
    module = f"{guest} {guest_options}".strip().replace(",", ",,")
    args = ["qemu-system-x86_64", "-machine", "q35", "-accel", accel, "-cpu", cpu,
            "-smp", str(smp), "-m", "1024", "-display", "none", "-no-reboot", "-nodefaults",
            "-serial", "stdio", "-vga", "std", "-kernel", hypervisor,
            "-append", f"{HYPERVISOR_OPTIONS} {hypervisor_options}".strip(), "-initrd", module]
    if icount:
        args += ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm"]
    return args + list(more)


def lines(args, timeout):
    """Start QEMU, yield what it prints on the serial port line by line, and end it when the
    caller stops asking or the time is up.  The last item is None when the time was up."""
    process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    end = time.monotonic() + timeout
    pending = b""
    try:
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                if pending:
                    yield pending.decode(errors="replace")
                yield None
                return
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                if pending:
                    yield pending.decode(errors="replace")
                return
            *whole, pending = (pending + chunk).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace").rstrip("\r")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
