# SPDX-License-Identifier: MIT
"""Puts a few instructions in front of a hypervisor's first one.

They write the time stamp counter, eight bytes, to the debug port 0xe9, and go on
where the image would have begun, all registers as the loader set them but ecx,
edx, esi and the flags.  So the firmware's and the loader's time can be told from the
hypervisor's.  A hypervisor that waits for a second of the clock chip to pass waits
longer or shorter depending on when it starts; `delay` starts it later.
"""

import struct

PORT = 0xE9
PAGE = 4096


def stub(delay, at, entry):
    """32-bit code for address `at`; `delay` is in instructions."""
    code = b"\x89\xc6"                                          # mov esi, eax
    if delay:
        code += b"\xb9" + struct.pack("<I", delay // 2)         # mov ecx, delay / 2
        code += b"\x49\x75\xfd"                                 # 1: dec ecx; jnz 1b
    code += b"\x0f\x31"                                         # rdtsc
    out = b"\xb9\x04\x00\x00\x00" b"\xe6" + bytes([PORT]) + b"\xc1\xe8\x08" b"\xe2\xf9"
    code += out + b"\x89\xd0" + out                             # low half, high half
    code += b"\x89\xf0"                                         # mov eax, esi
    return code + b"\xe9" + struct.pack("<i", entry - (at + len(code) + 5))


def add(image, delay=0):
    """The 32-bit ELF file `image` (bytes) with the stub as one more segment below the others."""
    if image[:5] != b"\x7fELF\x01":
        raise ValueError("not a 32-bit ELF file")
    entry, phoff = struct.unpack_from("<II", image, 24)
    phentsize, phnum = struct.unpack_from("<HH", image, 42)
    headers = [struct.unpack_from("<8I", image, phoff + i * phentsize) for i in range(phnum)]
    at = min(h[3] for h in headers if h[0] == 1) // PAGE * PAGE - PAGE
    code = stub(delay, at, entry)

    image = bytearray(image + bytes(-len(image) % PAGE))
    code_at = len(image)
    image += code.ljust(PAGE, b"\0")
    new_phoff = len(image)
    headers.insert(0, (1, code_at, at, at, PAGE, PAGE, 7, PAGE))
    for header in headers:
        image += struct.pack("<8I", *header)
    struct.pack_into("<II", image, 24, at, new_phoff)
    struct.pack_into("<HH", image, 42, 32, len(headers))
    return bytes(image)
