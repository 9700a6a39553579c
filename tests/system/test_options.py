# SPDX-License-Identifier: MIT
"""What options make of dom0: tests/guest/report is dom0 and prints it, and the values must be those
of the hypervisor whose options they are.  The table of all forms is in tests/unit (dom0_size_test.c,
options_test.c); here are those of which more than the parser has a part.

    HYPERVISOR=build/oracle/xen scripts/system-tests tests/system/test_options.py --full
"""

import os
import re
import subprocess

import pytest

from machine import IMAGE, TOP, Machine, kernel_args

GUEST = "build/guest/report.elf"
full = pytest.mark.full


@pytest.fixture(scope="module", autouse=True)
def fixture_guest():
    subprocess.run(["make", "-s", GUEST], cwd=TOP, check=True)


def report(directory, options, modules=(), **machine):
    """The values that dom0 prints, by name."""
    args = kernel_args(IMAGE, f"{options} loglvl=all".strip(), [(os.path.join(TOP, GUEST), ""), *modules])
    com1 = directory / "com1"
    console = ["-debugcon", "stdio", "-serial", f"file:{com1}", "-serial", "null"]
    with Machine(args, console=console, **machine) as pc:
        pc.wait_for("report: end", 60)
        lines = re.findall(r"^report: (\w+)=(.*)$", pc.text, re.MULTILINE)
    values = {name: int(value) if re.fullmatch(r"-?\d+", value) else value for name, value in lines}
    return values | {"log": com1.read_text(errors="replace")}


def cases(*rows):
    """Rows of options, values and marks; the options are the test's name."""
    return pytest.mark.parametrize("options, values", [
        pytest.param(options, values, id=options.replace(" ", "_") or "none", marks=marks)
        for options, values, *marks in rows])


UNLIMITED = 2**32 - 1


@cases(("dom0_mem=64M", (16384, UNLIMITED)),
       ("dom0_mem=64M,min:96M,max:80M", (20480, 20480)),
       ("dom0_mem=96M,max:128M", (24576, 32768), full))
def test_memory_of_a_size(tmp_path, options, values):
    found = report(tmp_path, options)
    assert (found["pages"], found["max_pages"]) == values


# In MiB, of a machine of 2 GiB; the rest is the hypervisor's own.
@cases(("", 1904),
       ("dom0_mem=10%", 203),
       ("dom0_mem=256M+10%", 459),
       ("dom0_mem=-256M+10%", 1567),
       ("dom0_mem=-10%", 1824, full),
       ("dom0_mem=100%", 1904, full))
def test_memory_of_a_part(tmp_path, options, values):
    found = report(tmp_path, options, memory_mib=2048)
    assert found["pages"] / 256 == pytest.approx(values, rel=0.02)
