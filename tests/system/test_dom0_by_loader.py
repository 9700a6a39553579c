# SPDX-License-Identifier: MIT
"""dom0 comes up by whatever loader, from whatever medium; and `make run` works unattended."""

import os
import subprocess

import pytest

from dom0 import run_script
from machine import DEADLINE_S, IMAGE, TOP, Machine, cd_args, uefi_args, usb_args

full = pytest.mark.full


@pytest.mark.parametrize("loader", [pytest.param("grub-bios", marks=full), "grub-uefi",
                                    pytest.param("pxe", marks=full)])
def test_dom0_starts_by(tmp_path, loader):
    text, _ = run_script(tmp_path, "echo cpus: $(nproc)", loader=loader, smp=2, deadline_s=240)
    assert "cpus: 2\n" in text


@pytest.fixture(scope="module", name="iso")
def fixture_iso():
    subprocess.run(["make", "-s", "iso", f"HYPERVISOR={IMAGE}"], cwd=TOP, check=True)
    return os.path.join(TOP, "build", "mansio.iso")


@pytest.mark.parametrize("medium, firmware", [
    ("cd", "bios"), pytest.param("cd", "uefi", marks=full), pytest.param("usb", "bios", marks=full),
    pytest.param("usb", "uefi", marks=full)])
def test_the_medium_has_dom0_inside(tmp_path, iso, medium, firmware):
    args = {"cd": cd_args, "usb": usb_args}[medium](iso)
    if firmware == "uefi":
        args += uefi_args(tmp_path)
    with Machine(args, memory_mib=1024, smp=2) as pc:
        pc.wait(lambda: "dom0: up after" in pc.dom0_text(), "dom0", 4 * DEADLINE_S)
        pc.wait(lambda: "dom0# " in pc.dom0_text(), "prompt", DEADLINE_S)


def test_make_run_unattended():
    done = subprocess.run(["make", "run", "AUTO=1", f"HYPERVISOR={IMAGE}"], cwd=TOP, timeout=900,
                          capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    for words in ("Linux dom0 6.1", "xen_version            : 4.17", "Domain-0", "10.0.2.15"):
        assert words in done.stdout
