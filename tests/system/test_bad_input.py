# SPDX-License-Identifier: MIT
"""What cannot start says in a sentence what is wrong, and stands still; nothing resets."""

import lzma
import os

import pytest

from dom0 import INITRD, KERNEL, OPTIONS, run_script
from machine import IMAGE, Machine, kernel_args

pytestmark = pytest.mark.ours
full = pytest.mark.full


def expect_sentence(modules, sentence, options="", memory_mib=512, directory=None):
    """The machine starts with @modules and gives up with @sentence; a reset would end QEMU."""
    args = kernel_args(IMAGE, f"{OPTIONS} {options}".strip(), modules)
    with Machine(args, memory_mib=memory_mib) as pc:
        pc.wait_for(sentence)
        pc.wait_for(r"noreboot|stands still|halted", deadline_s=30)
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


def test_no_module():
    expect_sentence([], "no dom0 kernel: the boot loader gave no module")


def test_a_module_that_is_no_kernel(tmp_path):
    expect_sentence(written(tmp_path, b"This is no kernel.\n" * 1000), r"dom0 kernel: ")


@full
def test_an_empty_module(tmp_path):
    expect_sentence(written(tmp_path, b"\n"), r"dom0 kernel: ")


def test_a_truncated_kernel(tmp_path, kernel):
    expect_sentence(written(tmp_path, kernel[:len(kernel) // 2]), r"dom0 kernel: ")


def test_a_flipped_bit_in_the_payload(tmp_path, kernel):
    broken = bytearray(kernel)
    broken[len(broken) // 2] ^= 0x10
    expect_sentence(written(tmp_path, broken), r"dom0 kernel: its xz data is damaged")


@full
def test_random_bytes(tmp_path):
    expect_sentence(written(tmp_path, os.urandom(3000000)), r"dom0 kernel: ")


@full
def test_a_compressed_file_that_is_no_kernel(tmp_path):
    packed = lzma.compress(b"This is no kernel.\n" * 100000, check=lzma.CHECK_CRC32)
    expect_sentence(written(tmp_path, packed), r"dom0 kernel: ")


@full
def test_the_hypervisor_itself_as_kernel(tmp_path):
    with open(IMAGE, "rb") as f:
        expect_sentence(written(tmp_path, f.read()), r"dom0 kernel: ")


def test_dom0_mem_too_small(kernel, tmp_path):
    expect_sentence(written(tmp_path, kernel), r"\(mansio\) .*dom0.*(KiB|MiB)", options="dom0_mem=16M")


def test_too_little_memory_in_the_machine(kernel, tmp_path):
    expect_sentence(written(tmp_path, kernel), r"\(mansio\) .*(KiB|MiB)", memory_mib=64)


def test_dom0_mem_larger_than_the_machine(tmp_path):
    """Not fatal: dom0 gets what there is, and the log says so."""
    _, pc = run_script(tmp_path, "", options="dom0_mem=8G")
    assert "dom0_mem= asks for 8388608 KiB, dom0 gets the" in pc.text


def test_malformed_options_are_named_and_skipped(tmp_path):
    options = "dom0_mem=384M com7=1 loglvl=loud maxcpus=-3 dom0_max_vcpus=x conring_size= =5 noreboot=perhaps"
    _, pc = run_script(tmp_path, "", options=options)
    for word in ("com7=1", "loglvl=loud", "maxcpus=-3", "dom0_max_vcpus=x", "noreboot=perhaps"):
        assert f'{word}' in pc.text.split("command line: ", 1)[1].split("\n", 1)[1], word
