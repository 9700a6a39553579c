# SPDX-License-Identifier: MIT
"""Kernels for dom0: packed in every format they run, damaged ones are refused in words.

The kernel is the smallest guest of tests/guest, packed as a bzImage has it.
"""

import ctypes
import lzma
import os
import struct
import subprocess
import zlib

import pytest

from machine import IMAGE, TOP, Machine, kernel_args

OPTIONS = "console=com1"
GUEST = os.path.join(TOP, "build", "guest", "hello.elf")
ELF_SIZE = struct.Struct("<I")
DEADLINE_S = 60


def zlib_gzip(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def xz(data):
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    return lzma.compress(data, check=lzma.CHECK_CRC32, filters=filters) + ELF_SIZE.pack(len(data))


def zstd(data):
    """With a checksum of the contents, as the kernel's build has it."""
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_createCCtx.restype = ctypes.c_void_p
    lib.ZSTD_compress2.restype = ctypes.c_size_t
    context = ctypes.c_void_p(lib.ZSTD_createCCtx())
    lib.ZSTD_CCtx_setParameter(context, 201, 1)  # ZSTD_c_checksumFlag
    out = ctypes.create_string_buffer(len(data) + 4096)
    done = lib.ZSTD_compress2(context, out, ctypes.c_size_t(len(out)), data,
                              ctypes.c_size_t(len(data)))
    lib.ZSTD_freeCCtx(context)
    return out.raw[:done] + struct.pack("<I", len(data))


def lz4(data):
    out = ctypes.create_string_buffer(2 * len(data) + 4096)
    size = ctypes.CDLL("liblz4.so.1").LZ4_compress_default(data, out, len(data), len(out))
    return (bytes.fromhex("02214c18") + struct.pack("<I", size) + out.raw[:size] +
            ELF_SIZE.pack(len(data)))


PACKERS = {"gzip": zlib_gzip, "xz": xz, "zstd": zstd, "lz4": lz4}


def bzimage(payload):
    """Boot protocol 2.15, with one sector of set-up code and the payload behind it."""
    head = bytearray(1024)
    head[0x1f1] = 1
    head[0x1fe:0x200] = b"\x55\xaa"
    head[0x202:0x208] = b"HdrS\x0f\x02"
    struct.pack_into("<II", head, 0x248, 0, len(payload))
    return bytes(head) + payload


@pytest.fixture(name="elf", scope="module")
def fixture_elf():
    subprocess.run(["make", "-s", "build/guest/hello.elf"], cwd=TOP, check=True,
                   stdout=subprocess.DEVNULL)
    with open(GUEST, "rb") as f:
        return f.read()


def run(tmp_path, module, *patterns, options=OPTIONS, memory_mib=256):
    """Start with @module, bytes or None, and wait for the lines @patterns."""
    modules = []
    if module is not None:
        (tmp_path / "kernel").write_bytes(module)
        modules = [(tmp_path / "kernel", "")]
    with Machine(kernel_args(IMAGE, options, modules), memory_mib=memory_mib) as pc:
        for pattern in patterns:
            pc.wait_for(pattern, DEADLINE_S)
        return pc.text


@pytest.mark.parametrize("packing", PACKERS)
def test_packed_kernels_run(tmp_path, elf, packing):
    run(tmp_path, bzimage(PACKERS[packing](elf)), r"guest: \d+ passed, 0 failed")


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("part", [3, 2])
def test_flipped_bits_are_refused_or_do_no_harm(tmp_path, elf, packing, part):
    """In the last third, and in the middle: lz4 has no sum, so the kernel may start, wrong."""
    payload = bytearray(PACKERS[packing](elf))
    payload[len(payload) * (part - 1) // part] ^= 0x10
    text = run(tmp_path, bzimage(bytes(payload)),
               r"dom0 kernel: [^\n]+\n[^\n]*halted|guest: \d|d0 crashed")
    assert packing == "lz4" or "dom0 kernel: its " in text or "unpacks to" in text


@pytest.mark.parametrize("packing", PACKERS)
def test_short_payloads_are_refused(tmp_path, elf, packing):
    payload = PACKERS[packing](elf)[:-len(elf) // 20]
    text = run(tmp_path, bzimage(payload), r"dom0 kernel: [^\n]+\n[^\n]*halted")
    assert "Panic" not in text


def test_files_cut_short_are_refused(tmp_path, elf):
    run(tmp_path, bzimage(xz(elf))[:-100], r"dom0 kernel: the payload at .* it was cut short",
        "The machine is halted")


@pytest.mark.parametrize("module, sentence", [
    (None, "no dom0 kernel: the boot loader gave no module"),
    (b"not a kernel" * 99, r"dom0 kernel: the first module \(1188 bytes\) is no bzImage"),
    (bzimage(b"BZh91AY&SY" + bytes(99)), "packed with bzip2, which is not supported"),
])
def test_what_is_no_kernel_is_refused(tmp_path, module, sentence):
    run(tmp_path, module, sentence, "The machine is halted")


def without_notes(elf):
    return elf.replace(b"\x04\0\0\0\x08\0\0\0\x01\0\0\0Xen\0", b"\x04\0\0\0\x08\0\0\0\x01\0\0\0Not\0")


def for_32_bits(elf):
    elf = bytearray(elf)
    elf[4] = 1
    struct.pack_into("<H", elf, 18, 3)
    return bytes(elf)


@pytest.mark.parametrize("spoil, sentence", [
    (without_notes, "have no entry point"),
    (lambda elf: elf.replace(b"Xen\0", b"Not\0"), "no ELF notes of owner Xen"),
    (lambda elf: elf.replace(b"xen-3.0\0", b"xen-9.9\0"), "it is for interface xen-9.9"),
    (for_32_bits, "only 64-bit x86 kernels can run"),
])
def test_kernels_that_cannot_be_dom0_are_refused(tmp_path, elf, spoil, sentence):
    run(tmp_path, spoil(elf), f"dom0 kernel: .*{sentence}", "The machine is halted")


def test_reboot_instead_of_a_halt_if_so_asked(tmp_path):
    run(tmp_path, None, "no dom0 kernel", "The machine starts anew",
        options=OPTIONS + " reboot=kbd")


@pytest.mark.parametrize("options, sentence", [
    ("dom0_mem=1M", r"dom0 has 1024 KiB of memory, .* take \d+ KiB"),
    ("dom0_mem=64G", r"dom0_mem= asks for 67108864 KiB, dom0 gets the \d+ KiB there are"),
])
def test_memory_that_does_not_fit_is_told_with_figures(tmp_path, elf, options, sentence):
    run(tmp_path, elf, sentence, options=f"{OPTIONS} {options}")
