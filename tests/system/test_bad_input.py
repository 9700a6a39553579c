# SPDX-License-Identifier: MIT
"""What cannot start says in a sentence what is wrong, and stands still; nothing resets."""

import lzma
import os
import re

import pytest

from dom0 import INITRD, KERNEL, OPTIONS, run_script
from machine import IMAGE, Machine, kernel_args

pytestmark = pytest.mark.ours
full = pytest.mark.full


def expect_sentence(modules, sentence, options="", memory_mib=512, directory=None):
    """The machine starts with @modules and gives up with @sentence; a reset would end QEMU."""
    args = kernel_args(IMAGE, f"{OPTIONS} {options}".strip(), modules)
    with Machine(args, memory_mib=memory_mib) as pc:
        pc.wait_for(r"\n\(mansio\) " + sentence + r"\n\(mansio\) The machine is halted\.?\n")
        assert pc.process.poll() is None


@pytest.fixture(name="kernel", scope="module")
def fixture_kernel():
    with open(KERNEL, "rb") as f:
        return bytearray(f.read())


def written(directory, data):
    path = os.path.join(directory, "kernel")
    with open(path, "wb") as f:
        f.write(data)
    return [(path, "console=hvc0"), (INITRD, "")]


# Of what the first module is not: its size goes in.
NO_KERNEL = (r"dom0 kernel: the first module \({} bytes\) is no bzImage and no ELF file: "
             "give a Linux kernel as the first module")


def test_no_module():
    expect_sentence([], "no dom0 kernel: the boot loader gave no module; give a Linux kernel as the "
                    "first one and its initrd as the second")


def test_a_module_that_is_no_kernel(tmp_path):
    expect_sentence(written(tmp_path, b"This is no kernel.\n" * 1000), NO_KERNEL.format(19000))


@full
def test_an_empty_module(tmp_path):
    expect_sentence(written(tmp_path, b"\n"), NO_KERNEL.format(1))


def test_a_truncated_kernel(tmp_path, kernel):
    half = len(kernel) // 2
    expect_sentence(written(tmp_path, kernel[:half]),
                    rf"dom0 kernel: the payload at \d+ of \d+ bytes ends beyond the file of {half} "
                    "bytes: it was cut short, install it again")


def test_a_flipped_bit_in_the_payload(tmp_path, kernel):
    broken = bytearray(kernel)
    broken[len(broken) // 2] ^= 0x10
    expect_sentence(written(tmp_path, broken), 
                    r"dom0 kernel: its xz data is damaged \(the stream ends early or its checksum is "
                    r"wrong\): install it again")


@full
def test_random_bytes(tmp_path):
    expect_sentence(written(tmp_path, os.urandom(3000000)), NO_KERNEL.format(3000000))


@full
def test_a_compressed_file_that_is_no_kernel(tmp_path):
    packed = lzma.compress(b"This is no kernel.\n" * 100000, check=lzma.CHECK_CRC32)
    expect_sentence(written(tmp_path, packed), "dom0 kernel: what it unpacks to is no ELF file")


@full
def test_the_hypervisor_itself_as_kernel(tmp_path):
    with open(IMAGE, "rb") as f:
        expect_sentence(written(tmp_path, f.read()),
                        "dom0 kernel: ELF class 1 for machine 3: only 64-bit x86 kernels can run, "
                        "install linux-image-amd64")


def test_dom0_mem_too_small(kernel, tmp_path):
    expect_sentence(written(tmp_path, kernel),
                    r"dom0 has 16384 KiB of memory, and kernel, initrd and tables take \d+ KiB of it, "
                    "with 16384 KiB to work with the least: give dom0_mem= more",
                    options="dom0_mem=16M")


def test_too_little_memory_in_the_machine(kernel, tmp_path):
    expect_sentence(written(tmp_path, kernel),
                    r"dom0 kernel: unpacking it takes \d+ KiB, of \d+ KiB free: give the machine more "
                    "memory", memory_mib=64)


def test_dom0_mem_larger_than_the_machine(tmp_path):
    """Not fatal: dom0 gets what there is, and the log says so."""
    _, pc = run_script(tmp_path, "", options="dom0_mem=8G")
    assert "dom0_mem= asks for 8388608 KiB, dom0 gets the" in pc.text


def test_malformed_options_are_named_and_skipped(tmp_path):
    options = "dom0_mem=384M com7=1 loglvl=loud maxcpus=-3 dom0_max_vcpus=x conring_size= =5 noreboot=perhaps"
    _, pc = run_script(tmp_path, "", options=options)
    said = re.findall(r"^\(mansio\) command line: (.*)$", pc.text, re.M)
    assert said[:-1] == [
        'there is no option "com7"; it is skipped', 'loglvl cannot be "loud"; it is skipped',
        'maxcpus cannot be "-3"; it is skipped', 'dom0_max_vcpus cannot be "x"; it is skipped',
        'conring_size cannot be ""; it is skipped', 'there is no option ""; it is skipped',
        'noreboot cannot be "perhaps"; it is skipped']
