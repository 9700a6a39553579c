# SPDX-License-Identifier: MIT
"""A PC in QEMU, and the media it starts from.

    with Machine(["-kernel", ...]) as pc:
        pc.wait_for(r"boot: multiboot 1")
"""

import os
import re
import select
import shutil
import socket
import subprocess
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGE = os.environ.get("HYPERVISOR") or os.path.join(TOP, "build", "mansio")
with open(IMAGE, "rb") as image_file:
    IS_OURS = b"(mansio)" in image_file.read()
OVMF = "/usr/share/OVMF"

# The hypervisor prints whole lines, but between any two characters of dom0's.
HYPERVISOR_LINE = re.compile(r"\((?:mansio|XEN|d\d+(?:v\d+)?)\) [^\n]*(?:\n|\Z)")

# Emulation on a busy machine is slow; nothing waits this long when all is well.
DEADLINE_S = float(os.environ.get("MANSIO_TEST_DEADLINE", "300"))

# A file that gets all consoles' output while it comes.
CONSOLE_LOG = os.environ.get("MANSIO_TEST_CONSOLE")


# How long one of QEMU's CPUs may keep the others waiting, see take_turns().
TURN_S = 0.02


def take_turns(monitor_socket):
    """With -icount, all CPUs are emulated in turn, each until a timer is due: but those after the
    first get what it leaves of that time, which is nothing while it never rests.  After a stop
    QEMU goes on with the CPU that is next."""
    try:
        monitor_socket.sendall(b'{"execute":"qmp_capabilities"}')
        while monitor_socket.recv(65536):
            time.sleep(TURN_S)
            monitor_socket.sendall(b'{"execute":"stop"}{"execute":"cont"}')
    except OSError:
        pass


class Machine:
    """Runs from `with` to its end; `text` is all that came on the serial line, or on what else
    @console connects to stdio."""

    def __init__(self, args, cpu="qemu64,+svm,+npt", memory_mib=512, smp=1, machine="q35",
                 may_reset=False, console=("-serial", "stdio")):
        self.args = ["qemu-system-x86_64", "-machine", machine, "-accel", "tcg", "-cpu", cpu,
                     "-smp", str(smp), "-m", str(memory_mib), "-display", "none", "-nodefaults",
                     "-vga", "std", *console] + list(map(str, args))
        if not may_reset:
            self.args.append("-no-reboot")
        self.takes_turns = "-icount" in self.args and str(smp) != "1"
        self.text = ""

    def __enter__(self):
        ours, theirs = socket.socketpair()
        if self.takes_turns:
            self.args += ["-chardev", f"socket,id=turns,fd={theirs.fileno()}", "-mon",
                          "chardev=turns,mode=control"]
            threading.Thread(target=take_turns, args=[ours], daemon=True).start()
        with theirs:
            self.process = subprocess.Popen(self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, pass_fds=[theirs.fileno()])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()

    def dom0_text(self):
        """What came on the serial line without the hypervisor's own lines."""
        return HYPERVISOR_LINE.sub("", self.text)

    def read(self, deadline):
        """Add to text what comes next; false when QEMU has ended, fails at @deadline."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
            raise TimeoutError
        chunk = os.read(self.process.stdout.fileno(), 65536)
        self.text += chunk.decode(errors="replace").replace("\r", "")
        if CONSOLE_LOG:
            with open(CONSOLE_LOG, "ab") as f:
                f.write(chunk)
        return bool(chunk)

    def wait(self, condition, what, deadline_s=DEADLINE_S):
        """The first true value of @condition(), asked again whenever something was printed."""
        end = time.monotonic() + deadline_s
        while True:
            value = condition()
            if value:
                return value
            try:
                why = None if self.read(end) else "QEMU ended"
            except TimeoutError:
                why = f"not within {deadline_s:.0f} s"
            if why:
                raise AssertionError(f"no {what} ({why}) in:\n{self.text[-4000:]}")

    def wait_for(self, pattern, deadline_s=DEADLINE_S, start=0):
        """The first match of @pattern in all that was printed from position @start on."""
        return self.wait(lambda: re.compile(pattern).search(self.text, start), repr(pattern),
                         deadline_s)

    def wait_end(self, deadline_s=DEADLINE_S):
        """QEMU ends: the machine was switched off, or reset unless it may_reset."""
        end = time.monotonic() + deadline_s
        try:
            while self.read(end):
                pass
        except TimeoutError:
            raise AssertionError(f"not off within {deadline_s:.0f} s:\n{self.text[-4000:]}") from None

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()


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
        lines.append(f"    module2 --nounzip /boot/module{number} {text}")
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


def monitor_args(directory):
    return ["-monitor", f"unix:{directory}/monitor,server=on,wait=off"]


def monitor(directory, command):
    """Have QEMU's monitor execute @command, at the machine with monitor_args(@directory)."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(DEADLINE_S)
        s.connect(f"{directory}/monitor")
        for text in (None, command):
            if text:
                s.sendall(f"{text}\n".encode())
            seen = b""
            while not seen.endswith(b"(qemu) "):
                seen += s.recv(4096)


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
