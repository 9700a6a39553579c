# SPDX-License-Identifier: MIT
"""dom0 with guests of its own, made by the stock tools.

The guests are small: the stock kernel, and in its initramfs a shell that reads from the console
(in-dom0/guest-init).  What is typed in dom0 is short, as typing is slow: the scripts of in-dom0/
lie on a second disk and are in dom0's PATH.
"""

import gzip
import os
import shlex
import shutil
import subprocess
import tarfile

from dom0 import DIR, INITRD, KERNEL, TROUBLE, Dom0, cpio_entry
from machine import DEADLINE_S, HYPERVISOR_LINE, TOP

GUESTS = os.path.join(TOP, "build", "guests")
SCRIPTS = os.path.join(TOP, "tests", "system", "in-dom0")
VERSIONS = ("6.1", "6.12")

# GRUB as a kernel for paravirtual guests, of Debian's package grub-xen-host
GRUB = "/usr/lib/grub-xen/grub-x86_64-xen.bin"
GRUB_MENU = """set timeout=0
menuentry "guest" {
    linux /boot/vmlinuz console=hvc0 quiet
    initrd /boot/initrd.img
}
"""

# The machine's clock counts instructions, 4 ns each, and real time only while it waits: what
# the tools give up on after a time does not depend on what else this machine does.
CLOCK = ["-icount", "shift=2"]


def drive(name, file, *more):
    """A disk for QEMU: the first after dom0's own is /dev/vdb."""
    return ["-drive", ",".join([f"file={file},if=none,id={name},format=raw", *more]),
            "-device", f"virtio-blk-pci,drive={name}"]


def small_initrd(shipped):
    """@shipped, an initramfs file, with an init that stays in it; its bytes."""
    archive = b""
    for name, script in (("init", "guest-init"), ("load", "guest-load")):
        with open(os.path.join(SCRIPTS, script), "rb") as f:
            archive += cpio_entry(name, 0o100755, f.read())
    archive += cpio_entry("TRAILER!!!", 0, b"")
    with open(shipped, "rb") as f:
        return gzip.compress(gzip.decompress(f.read()) + archive, 1)


def tiny_guest(directory):
    """The guest of tiny/main.c."""
    file = os.path.join(directory, "tiny.elf")
    flags = ["-std=gnu17", "-ffreestanding", "-O2", "-mcmodel=kernel", "-mno-red-zone", "-mgeneral-regs-only",
             "-fno-pie", "-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables",
             "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,max-page-size=4096",
             "-Wl,--no-warn-rwx-segments", "-Wl,-T,tests/guest/lib/guest.lds", "-I."]
    subprocess.run(["gcc", *flags, "tests/system/tiny/main.c", "-o", file], cwd=TOP, check=True)
    return file


def tools_disk(directory):
    """The scripts, and what guests start from, as a tar file."""
    path = os.path.join(directory, "tools.tar")
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(os.listdir(SCRIPTS)):
            tar.add(os.path.join(SCRIPTS, name), name)
        tar.add(tiny_guest(directory), "tiny.elf")
        for version in VERSIONS:
            file = os.path.join(directory, f"small-{version}.img")
            with open(file, "wb") as f:
                f.write(small_initrd(os.path.join(GUESTS, f"initrd-{version}.img")))
            tar.add(file, os.path.basename(file))
        if os.path.exists(GRUB):
            tar.add(GRUB, os.path.basename(GRUB))
    with open(path, "ab") as f:
        f.truncate((os.path.getsize(path) + 0xffff) & ~0xffff)
    return path


def grub_disk(directory):
    """A disk with a kernel and a menu on it.  The kernel is dom0's, which is packed by xz: GRUB
    knows nothing newer.  Its modules are not there, nor needed."""
    tree = os.path.join(directory, "grub-disk")
    os.makedirs(os.path.join(tree, "boot/grub"))
    shutil.copy(KERNEL, os.path.join(tree, "boot/vmlinuz"))
    with open(os.path.join(tree, "boot/initrd.img"), "wb") as f:
        f.write(small_initrd(INITRD))
    with open(os.path.join(tree, "boot/grub/grub.cfg"), "w", encoding="ascii") as f:
        f.write(GRUB_MENU)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, tree + ".img", "32M"],
                   check=True)
    return tree + ".img"


class Toolstack(Dom0):
    """dom0 at its shell, with a bridge at 10.77.0.1 and the scripts."""

    def __init__(self, directory, memory_mib=2048, dom0_mib=768, options="", args=(), clock=CLOCK,
                 **machine):
        tools = (drive("tools", tools_disk(directory), "readonly=on") +
                 drive("grub", grub_disk(directory), "snapshot=on"))
        super().__init__(directory, memory_mib=memory_mib,
                         options=f"dom0_mem={dom0_mib}M,max:{dom0_mib}M {options}".strip(),
                         args=[*tools, *clock, *args], **machine)
        self.start = 0
        self.free_mib = 0

    def dom0_text(self):
        """Since the current command was typed: all of it would be long."""
        return HYPERVISOR_LINE.sub("", self.text[self.start:])

    def sh(self, command, deadline_s=DEADLINE_S, status=0):
        self.start = self.text.rfind("\n") + 1
        return super().sh(command, deadline_s, status)

    def wait_shell(self, deadline_s=3 * DEADLINE_S):
        super().wait_shell(deadline_s)
        self.sh("mkdir /t; tar -C /t -xf /dev/vdb; cd /t; PATH=/t:$PATH")
        self.sh("brctl addbr xenbr0; ip addr add 10.77.0.1/24 dev xenbr0; ip link set xenbr0 up")
        # What the first guest makes dom0 keep for good.
        self.create_tiny("first", memory=96)
        self.sh("xl destroy first")
        self.sh("leave 0")
        self.free_mib = int(self.sh("xl info free_memory"))

    def check_nothing_left(self):
        """Guests are destroyed, which is allowed; all that they had must be back."""
        left = self.sh(f"leave {self.free_mib}", status=None)
        assert not left, left
        assert not TROUBLE.search(self.text), TROUBLE.search(self.text)[0]

    def uptime(self):
        """dom0's clock, in seconds."""
        return float(self.sh("cut -d ' ' -f 1 /proc/uptime"))

    def domains(self):
        """`xl list`: {name: {id, mem, vcpus, state, time}}"""
        found = {}
        for line in self.sh("xl list").splitlines()[1:]:
            name, number, mem, vcpus, state, time = line.split()
            found[name] = {"id": int(number), "mem": int(mem), "vcpus": int(vcpus),
                           "state": state, "time": float(time)}
        return found

    def used(self, names, seconds):
        """CPU seconds that each guest used in the next so many seconds of dom0's."""
        before = self.domains()
        self.sh(f"sleep {seconds}")
        after = self.domains()
        return [after[name]["time"] - before[name]["time"] for name in names]

    def create(self, name, options="", kernel="6.1", status=0, **settings):
        """`xl create` of a small guest.  @settings go to its configuration as they are."""
        file = kernel if kernel.startswith("/") else f"/guests/vmlinuz-{kernel}"
        have = {"name": name, "type": "pv", "kernel": file, "ramdisk": f"/t/small-{kernel}.img",
                "memory": 96}
        if "cmdline" not in settings:
            have["extra"] = f"console=hvc0 quiet {settings.pop('extra', '')}".strip()
        have.update(settings)
        lines = "".join(f"{key}={setting(value)}\\n" for key, value in have.items())
        self.sh(f"printf {shlex.quote(lines)} >/tmp/{name}.cfg")
        said = self.sh(f"xl create {options} /tmp/{name}.cfg 2>&1", 240, status=status)
        return Guest(self, name) if status == 0 else said

    def create_tiny(self, name, what="idle", options="", **settings):
        """A guest that does nothing, or as tiny/main.c says."""
        have = {"kernel": "/t/tiny.elf", "ramdisk": "", "memory": 8, "cmdline": what}
        return self.create(name, options, **{**have, **settings})

    def guest(self, name):
        return Guest(self, name)

    def until(self, command, seconds=60):
        """Wait in dom0 until @command succeeds; its output."""
        return self.sh(f"wait-until {seconds} {shlex.quote(command)}", seconds + DEADLINE_S)


def setting(value):
    """A value as xl's configuration files spell it."""
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(setting(v) for v in value) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'


class Guest:
    """A guest that runs, by its name."""

    def __init__(self, dom0, name):
        self.dom0 = dom0
        self.name = name

    def wait_up(self, seconds=180):
        """Its own word that it is up."""
        return self.dom0.sh(f"up {self.name} {seconds}", seconds + DEADLINE_S)

    def sh(self, command, seconds=60, status=0):
        """The output of @command in the guest."""
        return self.dom0.sh(f"ask {self.name} {seconds} {shlex.quote(command)}",
                            seconds + DEADLINE_S, status)

    def tell(self, command):
        """Have the guest start @command, and wait for nothing."""
        self.sh(command, 0, status=99)

    def check_no_troubles(self):
        """Its kernel has not complained.  The pattern is not to be found by itself in what is typed."""
        self.sh("! dmesg | grep -E 'B[U]G:|W[A]RNING:|C[a]ll Trace|rcu.*s[t]all|O[o]ps'")

    def info(self):
        """Its line in `xl list`."""
        return self.dom0.domains()[self.name]

    def shutdown(self, seconds=120):
        self.dom0.sh(f"xl shutdown {self.name} >/dev/null")
        self.dom0.until(f"! xl domid {self.name}", seconds)

    def destroy(self):
        self.dom0.sh(f"xl destroy {self.name}")
        self.dom0.sh(f"xl domid {self.name} 2>/dev/null", status=1)
