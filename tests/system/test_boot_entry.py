# SPDX-License-Identifier: MIT
"""Every way to start the image ends in the same start-up sequence, with all that the loader
knows: its protocol, both command lines, the modules, the memory map."""

import struct
import subprocess

import pytest

from machine import (IMAGE, Machine, cd_args, grub_cd, kernel_args, pxe_args, uefi_args, usb_args)

pytestmark = pytest.mark.ours

OPTIONS = "console=com1 loglvl=all noreboot"
KERNEL_TEXT = "root=/dev/vda ro"


@pytest.fixture(name="modules")
def fixture_modules(tmp_path):
    """Two files that are no kernel and no initramfs: how they arrive is what counts here."""
    for name, size in (("first", 5000), ("second", 12345)):
        (tmp_path / name).write_bytes(b"m" * size)
    return [(tmp_path / "first", KERNEL_TEXT), (tmp_path / "second", "")]


def changed_copy(directory, old, new):
    """The image with @new in the place of each @old."""
    with open(IMAGE, "rb") as original:
        data = original.read()
    assert old in data and len(old) == len(new)
    copy = directory / "changed"
    copy.write_bytes(data.replace(old, new))
    return copy


def expect_all(pc, protocol, loader, firmware, address="0x200000"):
    """The report of the start, line by line."""
    pc.wait_for(rf'boot: {protocol}, loader "{loader}", {firmware}, image at {address}-')
    pc.wait_for(rf'boot: command line "{OPTIONS}"')
    pc.wait_for(rf'boot: module 0: 5000 bytes at 0x[0-9a-f]+ "{KERNEL_TEXT}"')
    pc.wait_for(r'boot: module 1: 12345 bytes at 0x[0-9a-f]+ ""')
    pc.wait_for(r"boot: memory 0x100000-0x[0-9a-f]+ RAM")


def test_qemu_kernel_multiboot1(modules):
    with Machine(kernel_args(IMAGE, OPTIONS, modules)) as pc:
        expect_all(pc, "multiboot 1", "qemu", "BIOS")
        pc.wait_for("boot: text screen")


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_qemu_kernel_pvh(tmp_path, modules, machine):
    """Without a multiboot header QEMU uses the note that tells the PVH entry."""
    image = changed_copy(tmp_path, struct.pack("<I", 0x1BADB002), b"none")
    # The PVH loader takes one initramfs, without arguments.
    args = ["-kernel", image, "-append", OPTIONS, "-initrd", modules[1][0]]
    with Machine([str(a) for a in args], machine=machine) as pc:
        pc.wait_for(r'boot: PVH, loader "", BIOS, image at 0x200000-')
        pc.wait_for(rf'boot: command line "{OPTIONS}"')
        pc.wait_for(r'boot: module 0: 12345 bytes at 0x[0-9a-f]+ ""')
        pc.wait_for(r"boot: memory 0x100000-0x[0-9a-f]+ RAM")


def test_grub_bios(tmp_path, modules):
    iso = grub_cd(tmp_path, IMAGE, OPTIONS, modules)
    with Machine(cd_args(iso)) as pc:
        expect_all(pc, "multiboot 2", r"GRUB 2.*", "BIOS")
        pc.wait_for("boot: text screen")


def test_grub_uefi(tmp_path, modules):
    """GRUB's own additions for EFI stay in the command line, and the screen is told."""
    iso = grub_cd(tmp_path, IMAGE, OPTIONS, modules)
    with Machine(cd_args(iso) + uefi_args(tmp_path)) as pc:
        pc.wait_for("boot: EFI: boot services left; memory map of [0-9]+ entries")
        expect_all(pc, "multiboot 2", r"GRUB 2.*", "EFI", "0x[0-9a-f]+00000")
        pc.wait_for(r"boot: screen \d+x\d+, (24|32) bits a pixel, at 0x[0-9a-f]+")


def test_grub_uefi_leaves_boot_services_if_not_asked(tmp_path, modules):
    """A header without the wish to find boot services, as older loaders see it."""
    image = changed_copy(tmp_path, struct.pack("<HHI", 7, 1, 8), struct.pack("<HHI", 77, 1, 8))
    iso = grub_cd(tmp_path, image, OPTIONS, modules)
    with Machine(cd_args(iso) + uefi_args(tmp_path)) as pc:
        expect_all(pc, "multiboot 2", r"GRUB 2.*", "EFI", "0x[0-9a-f]+00000")
        assert "boot services left" not in pc.text


@pytest.mark.full
def test_grub_uefi_without_a_usable_system_table(tmp_path, modules):
    """A copy that knows EFI's table by another signature: so it cannot leave boot services."""
    image = changed_copy(tmp_path, b"IBI SYST", b"IBI-SYST")
    iso = grub_cd(tmp_path, image, OPTIONS, modules)
    with Machine(cd_args(iso) + uefi_args(tmp_path)) as pc:
        pc.wait_for("boot: EFI: the loader left boot services on and told of no system table")


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_grub_from_usb(tmp_path, modules, firmware):
    iso = grub_cd(tmp_path, IMAGE, OPTIONS, modules)
    more = uefi_args(tmp_path) if firmware == "uefi" else []
    with Machine(usb_args(iso) + more) as pc:
        expect_all(pc, "multiboot 2", r"GRUB 2.*", "EFI" if firmware == "uefi" else "BIOS",
                   "0x[0-9a-f]+00000")


@pytest.mark.parametrize("firmware", ["BIOS", pytest.param("EFI", marks=pytest.mark.full)])
def test_grub_may_put_the_image_elsewhere(tmp_path, modules, firmware):
    """A copy whose header asks for an address of at least 64 MiB."""
    image = changed_copy(tmp_path, struct.pack("<HHII", 10, 1, 24, 0x200000),
                         struct.pack("<HHII", 10, 1, 24, 0x4000000))
    iso = grub_cd(tmp_path, image, OPTIONS, modules)
    more = uefi_args(tmp_path) if firmware == "EFI" else []
    with Machine(cd_args(iso) + more) as pc:
        expect_all(pc, "multiboot 2", r"GRUB 2.*", firmware, "0x4000000")


def test_ipxe(tmp_path, modules):
    with Machine(pxe_args(tmp_path, IMAGE, OPTIONS, modules)) as pc:
        expect_all(pc, "multiboot 1", "iPXE.*", "BIOS")


def test_grub_multiboot1(tmp_path, modules):
    """GRUB 2 gives no file names in multiboot 1 either."""
    iso = grub_cd(tmp_path, IMAGE, OPTIONS, modules, prelude="""
menuentry one {
    multiboot /boot/mansio """ + OPTIONS + """
    module /boot/module0 """ + KERNEL_TEXT + """
    module /boot/module1
}""")
    with Machine(cd_args(iso)) as pc:
        expect_all(pc, "multiboot 1", r"GRUB 2.*", "BIOS")


def test_grub_accepts_the_file():
    for kind in ("multiboot", "multiboot2"):
        subprocess.run(["grub-file", f"--is-x86-{kind}", IMAGE], check=True)


@pytest.mark.parametrize("cpu, sentence", [
    ("qemu32", "This processor has no 64-bit mode: Mansio cannot run here."),
    ("qemu64,-lm", "This processor has no 64-bit mode: Mansio cannot run here."),
    ("486", "This processor has no 64-bit mode: Mansio cannot run here."),
    ("qemu64,-nx", "This processor has no NX bit"),
])
def test_a_processor_that_will_not_do_is_told_so(cpu, sentence):
    with Machine(kernel_args(IMAGE, OPTIONS), cpu=cpu) as pc:
        pc.wait_for(sentence)
