# SPDX-License-Identifier: MIT
"""A PC in QEMU, and the media it starts from.

    with Machine(["-kernel", ...]) as pc:
        pc.wait_for(r"boot: multiboot 1")
"""

import os
import re
import select
import shutil
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGE = os.path.join(TOP, "build", "mansio")
OVMF = "/usr/share/OVMF"

# Emulation on a busy machine is slow; nothing waits this long when all is well.
DEADLINE_S = float(os.environ.get("MANSIO_TEST_DEADLINE", "120"))


class Machine:
    """Runs from `with` to its end; `text` is all that came on the serial line."""

    def __init__(self, args, cpu="qemu64,+svm,+npt", memory_mib=512, smp=1, machine="q35"):
        self.args = ["qemu-system-x86_64", "-machine", machine, "-accel", "tcg", "-cpu", cpu,
                     "-smp", str(smp), "-m", str(memory_mib), "-display", "none", "-nodefaults",
                     "-vga", "std", "-no-reboot", "-serial", "stdio"] + list(args)
        self.text = ""

    def __enter__(self):
        self.process = subprocess.Popen(self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()

    def wait_for(self, pattern, deadline_s=DEADLINE_S):
        """The first match of @pattern in all that was printed; fails when the time is up."""
        end = time.monotonic() + deadline_s
        while True:
            match = re.search(pattern, self.text)
            if match:
                return match
            left = end - time.monotonic()
            ready = left > 0 and select.select([self.process.stdout], [], [], left)[0]
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                why = "QEMU ended" if ready else f"not within {deadline_s:.0f} s"
                raise AssertionError(f"no {pattern!r} ({why}) in:\n{self.text[-4000:]}")
            self.text += chunk.decode(errors="replace").replace("\r", "")


def kernel_args(image, options, modules=()):
    """QEMU's own loader: multiboot 1, or PVH for an image without that header.
    @modules: pairs of file and arguments."""
    args = ["-kernel", str(image), "-append", options]
    if modules:
        words = [f"{file} {text}".strip().replace(",", ",,") for file, text in modules]
        args += ["-initrd", ",".join(words)]
    return args


def grub_cd(directory, image, options, modules=(), prelude=""):
    """A CD that starts @image by BIOS and by UEFI, with GRUB and multiboot 2."""
    tree = os.path.join(directory, "iso")
    os.makedirs(os.path.join(tree, "boot/grub"))
    shutil.copy(image, os.path.join(tree, "boot/mansio"))
    lines = ["serial --unit=0 --speed=115200", "terminal_output serial", "set timeout=0",
             "insmod all_video", prelude,
             "menuentry mansio {", f"    multiboot2 /boot/mansio {options}"]
    for number, (file, text) in enumerate(modules):
        shutil.copy(file, os.path.join(tree, "boot", f"module{number}"))
        lines.append(f"    module2 /boot/module{number} {text}")
    with open(os.path.join(tree, "boot/grub/grub.cfg"), "w") as f:
        f.write("\n".join(lines + ["}", ""]))
    iso = os.path.join(directory, "boot.iso")
    subprocess.run(["grub-mkrescue", "-o", iso, "--locales=", "--fonts=", "--themes=", tree],
                   check=True, capture_output=True)
    return iso


def cd_args(iso):
    return ["-drive", f"file={iso},if=none,id=cd,media=cdrom,readonly=on",
            "-device", "ich9-ahci,id=ahci9", "-device", "ide-cd,drive=cd,bus=ahci9.0,bootindex=0"]


def usb_args(iso):
    return ["-drive", f"file={iso},if=none,id=stick,format=raw,readonly=on",
            "-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=0"]


def uefi_args(directory):
    """The firmware, with variables of its own."""
    variables = os.path.join(directory, "uefi-variables.fd")
    shutil.copy(os.path.join(OVMF, "OVMF_VARS.fd"), variables)
    return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF}/OVMF_CODE.fd",
            "-drive", f"if=pflash,unit=1,format=raw,file={variables}"]


def pxe_args(directory, image, options, modules=()):
    """iPXE from the network card, multiboot 1."""
    tree = os.path.join(directory, "tftp")
    os.makedirs(tree)
    shutil.copy(image, os.path.join(tree, "mansio"))
    lines = ["#!ipxe", f"kernel mansio {options}"]
    for number, (file, text) in enumerate(modules):
        shutil.copy(file, os.path.join(tree, f"module{number}"))
        lines.append(f"module module{number} {text}")
    with open(os.path.join(tree, "boot.ipxe"), "w") as f:
        f.write("\n".join(lines + ["boot", ""]))
    return ["-netdev", f"user,id=net,tftp={tree},bootfile=boot.ipxe",
            "-device", "e1000,netdev=net,bootindex=0"]
