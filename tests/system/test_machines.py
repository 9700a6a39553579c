# SPDX-License-Identifier: MIT
"""dom0 sees and uses all of the machine: CPUs, memory, disks; on many kinds of machine."""

import re
import socket

import pytest

from dom0 import disk_args, network_args, run_script, script_machine, sha256, DISK
from machine import IS_OURS

full = pytest.mark.full

REPORT = r"""
echo cpus: $(nproc)
echo memory: $(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
for cpu in $(seq 0 $(($(nproc) - 1))); do
    taskset -c $cpu sh -c 'n=0; while [ $n -lt 2000 ]; do n=$((n + 1)); done' && echo used: $cpu
done
"""


# What the kernel reports as an error or worse.
COMPLAINTS = r"""
dmesg -r | grep '^<[0-3]>' | sed 's/^/complaint: /'
"""


def report(text, key):
    return int(re.search(rf"^{key}: (\d+)$", text, re.M)[1])


def assert_clean(text):
    """dom0's log has no errors; @text is what a script with COMPLAINTS printed."""
    assert not re.findall("^complaint: .*", text, re.M), text


@pytest.mark.parametrize("smp", [pytest.param(1, marks=full), pytest.param(2, marks=full), 4,
                                 pytest.param(8, marks=full)])
def test_all_cpus_come_up_and_work(tmp_path, smp):
    text, _ = run_script(tmp_path, REPORT, smp=smp)
    assert report(text, "cpus") == smp
    for cpu in range(smp):
        assert f"used: {cpu}\n" in text


def test_more_vcpus_than_cpus(tmp_path):
    """The kernel takes no more than the firmware's tables have, so CPUs are left out instead."""
    text, _ = run_script(tmp_path, REPORT, smp=4, options="dom0_mem=384M maxcpus=1 dom0_max_vcpus=4")
    assert report(text, "cpus") == 4
    for cpu in range(4):
        assert f"used: {cpu}\n" in text


@pytest.mark.parametrize("cpu, smp", [
    ("Nehalem", "4,sockets=2,cores=1,threads=2"),
    pytest.param("Nehalem", "8,sockets=2,cores=2,threads=2", marks=full),
    pytest.param("Haswell", "6,sockets=1,cores=3,threads=2", marks=full),
    pytest.param("EPYC", "4,sockets=1,cores=2,threads=2", marks=full),
    # Sparse APIC ids: three cores take two bits.
    pytest.param("qemu64", "6,sockets=2,cores=3,threads=1", marks=full),
    pytest.param("Skylake-Server", "3,sockets=3,cores=1,threads=1", marks=full),
    pytest.param("max", "8,sockets=2,dies=2,cores=1,threads=2", marks=full),
])
def test_topologies(tmp_path, cpu, smp):
    """Threads, sockets, and APIC ids with gaps: the kernel finds no contradiction in them."""
    text, _ = run_script(tmp_path, REPORT + COMPLAINTS, cpu=cpu, smp=smp)
    assert report(text, "cpus") == int(smp.split(",")[0])
    assert_clean(text)


@full
@pytest.mark.parametrize("options, cpus", [("maxcpus=1", 1), ("nosmp", 1), ("dom0_max_vcpus=1", 1),
                                           ("dom0_max_vcpus=2-3", 3), ("dom0_vcpus_pin", 4)])
def test_options_limit_the_cpus(tmp_path, options, cpus):
    text, _ = run_script(tmp_path, REPORT, smp=4, options=f"dom0_mem=384M {options}")
    assert report(text, "cpus") == cpus


@pytest.mark.ours
def test_one_thread_of_each_core_is_enough(tmp_path):
    text, pc = run_script(tmp_path, REPORT, smp="4,cores=2,threads=2", cpu="Nehalem",
                          options="dom0_mem=384M smt=0")
    assert report(text, "cpus") == 2
    assert "smt=0: 2 second threads of cores are left out" in pc.text


# In MiB; dom0 gets nearly all of it.  The kernel takes some 6 %, and more than 100 MiB, for itself.
@pytest.mark.parametrize("memory", [pytest.param(256, marks=full), pytest.param(1024, marks=full),
                                    5120, pytest.param(16384, marks=full)])
def test_memory_sizes(tmp_path, memory):
    text, pc = run_script(tmp_path, REPORT, memory_mib=memory, options="", deadline_s=300)
    assert report(text, "memory") > 1024 * min(memory * 0.8, memory - 150)
    if IS_OURS:
        pages = int(re.search(r"\(mansio\)  dom0: (\d+) pages", pc.text)[1])
        assert pages * 4 > memory * 1024 * 0.88


@pytest.mark.parametrize("cpu", [
    pytest.param("qemu64", marks=full),
    "max",
    pytest.param("max,-smep,-smap,-umip,-fsgsbase,-pcid,-xsave,-x2apic,-pdpe1gb", marks=full),
    # Without the leaf that names QEMU, SMAP stays on, with which its emulation of IRET in ring 3
    # cannot read the stack.
    pytest.param("max,-tsc-deadline,-invtsc,-arat,-hypervisor,-smap", marks=full),
    pytest.param("Nehalem", marks=full),
    pytest.param("EPYC", marks=full),
    pytest.param("core2duo", marks=full),
])
def test_processor_models(tmp_path, cpu):
    text, _ = run_script(tmp_path, REPORT, cpu=cpu, smp=2)
    assert report(text, "cpus") == 2


@pytest.mark.parametrize("machine", ["pc", pytest.param("pc,hpet=off", marks=full),
                                     pytest.param("q35,hpet=off", marks=full),
                                     pytest.param("q35,smm=off", marks=full),
                                     pytest.param("pc,acpi=off", marks=full)])
def test_machine_types(tmp_path, machine):
    if "acpi=off" in machine:
        # Nothing tells how to switch off, nor of a second CPU.
        pytest.skip("covered where the machine need not switch off")
    text, _ = run_script(tmp_path, REPORT, machine=machine, smp=2)
    assert report(text, "cpus") == 2


@pytest.mark.parametrize("kind, device", [
    pytest.param("virtio", "vda", marks=full), ("ahci", "sda"), ("nvme", "nvme0n1")])
def test_disks_read_and_write(tmp_path, kind, device):
    text, _ = run_script(tmp_path, f"""
load_drivers
for n in $(seq 100); do [ -b /dev/{device} ] || {{ usleep 100000; load_drivers; }}; done
dd bs=1M count=16 if=/dev/{device} 2>/dev/null | sha256sum | sed 's/^/first: /'
head -c 2097152 /dev/urandom >/written
dd if=/written of=/dev/{device} bs=1M seek=16 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
dd if=/dev/{device} bs=1M skip=16 count=2 2>/dev/null | cmp - /written && echo same
""", args=disk_args(kind), smp=2, deadline_s=240)
    assert f"first: {sha256(DISK, 16 << 20)}" in text
    assert "same\n" in text


def test_nmis_reach_a_dom0_that_sleeps(tmp_path):
    """By the local pin that the tables name.  Several, as dom0 may happen to be awake."""
    monitor = str(tmp_path / "monitor")
    with script_machine(tmp_path, "echo ready; sleep 1000",
                        args=["-monitor", f"unix:{monitor},server=on,wait=off"]) as pc:
        pc.wait_for("ready\n")
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(monitor)
            for _ in range(8):
                seen = len(pc.text)
                control.send(b"nmi\n")
                pc.wait_for("Dazed and confused, but trying to continue", start=seen)
