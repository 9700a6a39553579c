# SPDX-License-Identifier: MIT
"""dom0 on a machine of QEMU's.  Two ways to have one:

run_script(): the shipped kernel with a script as init in its initramfs, which reports and
switches off.  Takes seconds, and needs no disk.

Dom0: all of it, to the shell on the console, at which commands are typed.
"""

import gzip
import hashlib
import os
import re

from machine import (DEADLINE_S, IMAGE, TOP, Machine, cd_args, grub_cd, kernel_args, pxe_args,
                     uefi_args)

DIR = os.path.join(TOP, "build", "dom0")
KERNEL = os.path.join(DIR, "vmlinuz")
INITRD = os.path.join(DIR, "initrd.img")
DISK = os.path.join(DIR, "disk.img")

OPTIONS = "console=com1 com1=115200 loglvl=all guest_loglvl=all noreboot"

# What no healthy kernel says.
TROUBLE = re.compile(r"BUG:|WARNING: CPU|Call Trace|soft lockup|rcu.*stall|Kernel panic|Oops|hung task"
                     r"|general protection|\(mansio\).*(?:panic|assertion|broken promise)")

PROLOGUE = r"""#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
load_drivers() {
    modprobe -q -a $(find /sys/devices -name modalias -exec cat {} + 2>/dev/null |
        grep -E '^(pci|virtio|usb|scsi):' | sort -u) 2>/dev/null
}
"""


def cpio_entry(name, mode, data):
    """One file of an archive in the format newc."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def initramfs(directory, script):
    """The shipped initramfs with @script as /test."""
    archive = cpio_entry("test", 0o100755, (PROLOGUE + script).encode())
    archive += cpio_entry("TRAILER!!!", 0, b"")
    path = os.path.join(directory, "initramfs")
    with open(INITRD, "rb") as shipped, open(path, "wb") as f:
        f.write(shipped.read() + gzip.compress(archive))
    return path


def loader_args(loader, directory, options, modules, image=IMAGE):
    """QEMU's arguments that make @loader start the hypervisor with @modules."""
    if loader == "kernel":
        return kernel_args(image, options, modules)
    if loader == "pxe":
        return pxe_args(directory, image, options, modules)
    args = cd_args(grub_cd(directory, image, options, modules))
    return args + (uefi_args(directory) if loader == "grub-uefi" else [])


def disk_args(kind, file=DISK):
    """A disk whose contents go back to what they were when the machine ends."""
    args = ["-drive", f"file={file},if=none,id=disk,format=raw,snapshot=on,cache=unsafe"]
    if kind == "ahci":
        return args + ["-device", "ahci,id=disks", "-device", "ide-hd,drive=disk,bus=disks.0"]
    device = {"virtio": "virtio-blk-pci", "nvme": "nvme,serial=1"}[kind]
    return args + ["-device", f"{device},drive=disk"]


def network_args(card="virtio-net-pci"):
    return ["-netdev", "user,id=user", "-device", f"{card},netdev=user"]


def script_machine(directory, script, loader="kernel", options="dom0_mem=384M", kernel_options="",
                   args=(), **machine):
    """A machine whose dom0 runs @script."""
    modules = [(KERNEL, f"console=hvc0 quiet rdinit=/test {kernel_options}".strip()),
               (initramfs(directory, script), "")]
    start = loader_args(loader, directory, f"{OPTIONS} {options}", modules)
    machine.setdefault("memory_mib", 512)
    return Machine(start + list(args), **machine)


def run_script(directory, script, deadline_s=DEADLINE_S, **how):
    """Run @script in dom0 and switch off; what it printed, and the machine."""
    end = "\necho test: $(dmesg | grep -cE 'BUG:|WARNING:|Call Trace') troubles, done\npoweroff -f\n"
    with script_machine(directory, script + end, **how) as pc:
        done = pc.wait(lambda: re.search(r"test: (\d+) troubles, done\n", pc.dom0_text()),
                       "end of the script", deadline_s)
        pc.wait_end(deadline_s)
    assert done[1] == "0", pc.text
    assert not TROUBLE.search(pc.text), pc.text
    return pc.dom0_text(), pc


class Dom0(Machine):
    """The whole control domain, at its shell."""

    def __init__(self, directory, loader="kernel", disk="virtio", options="dom0_mem=512M",
                 kernel_options="", args=(), image=IMAGE, **machine):
        modules = [(KERNEL, f"console=hvc0 quiet mansio.alone {kernel_options}".strip()), (INITRD, "")]
        start = loader_args(loader, directory, f"{OPTIONS} {options}", modules, image)
        machine.setdefault("memory_mib", 1024)
        super().__init__(start + disk_args(disk) + network_args() + list(args), **machine)
        self.nr_commands = 0

    def wait_shell(self, deadline_s=3 * DEADLINE_S):
        self.wait(lambda: self.dom0_text().endswith("dom0# "), "prompt", deadline_s)
        # No line editing: what is typed comes back as it is.
        self.type("exec sh\n")
        self.wait(lambda: self.dom0_text().endswith("# "), "prompt of sh")
        self.sh("stty cols 500 && dmesg -n 1")

    def type(self, text):
        """A few characters at a time, each piece when the one before has come back: the
        console's queue is short."""
        for start in range(0, len(text), 16):
            piece = text[start:start + 16]
            before = len(self.dom0_text())
            self.send(piece)
            self.wait(lambda: len(self.dom0_text()) >= before + len(piece), f"echo of {piece!r}")

    def sh(self, command, deadline_s=DEADLINE_S, status=0):
        """The output of @command, whose exit status must be @status (None: any)."""
        self.nr_commands += 1
        n = self.nr_commands
        self.type(f"echo '<'{n}'>'; {command}; echo '<'{n}:$?'>'\n")
        done = self.wait(lambda: re.search(rf"<{n}>\n(.*?)\n?<{n}:(\d+)>\n", self.dom0_text(), re.S),
                         f"end of {command!r}", deadline_s)
        self.wait(lambda: self.dom0_text().endswith("# "), "prompt of sh")
        assert status is None or int(done[2]) == status, f"{command}: exit {done[2]}:\n{done[1]}"
        return done[1]

    def log(self):
        """`xl dmesg`; our lines get another prefix, so that they are not taken for new ones."""
        return self.sh("xl dmesg | sed 's/(mansio)/[hv]/; s/(XEN)/[hv]/'")


def sha256(path, nr_bytes=None):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read() if nr_bytes is None else f.read(nr_bytes)).hexdigest()
