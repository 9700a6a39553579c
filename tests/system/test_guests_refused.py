# SPDX-License-Identifier: MIT
"""What cannot be done is refused: the tool says so, nothing is left, and `xl dmesg` says why."""

import re

import pytest

pytestmark = pytest.mark.full
MACHINE = {}

# What is wrong, the settings, and what `xl create` says.
CASES = {
    "noise for a kernel": ({"kernel": "/var/tmp/guests/noise"}, "xc_dom|kernel"),
    "a kernel cut short": ({"kernel": "/var/tmp/guests/short"}, "xc_dom|kernel"),
    "a kernel with a bit changed": ({"kernel": "/var/tmp/guests/flipped"}, "xc_dom|kernel"),
    "no such kernel": ({"kernel": "/none"}, "No such file|kernel"),
    "no such initramfs": ({"ramdisk": "/none"}, "No such file|ramdisk"),
    "more memory than there is": ({"memory": 100000}, "memory"),
    "too little memory for the kernel": ({"memory": 16}, "xc_dom|memory"),
    "no such disk": ({"disk": ["format=raw,vdev=xvda,access=rw,target=/none"]}, "none"),
    "the same disk twice": ({"disk": ["format=raw,vdev=xvda,access=rw,target=/t/ask"] * 2}, "."),
    "no such bridge": ({"vif": ["bridge=none"]}, "none|hotplug"),
    "vCPUs beyond any number": ({"vcpus": 100000}, "."),
    "more vCPUs than allowed": ({"vcpus": 9000}, "."),
    "pinned to a CPU that is not there": ({"cpus": "999"}, "."),
    "a pool that is not there": ({"pool": "none"}, "none"),
    "a kind that is not there": ({"type": "none"}, "none"),
    "a name of another": ({"name": "Domain-0"}, "Domain-0"),
    "maxmem below memory": ({"maxmem": 64}, "."),
}

# These the toolstack may let through; what comes then is the guest's own affair.
MAY_START = {"the same disk twice", "maxmem below memory", "pinned to a CPU that is not there"}


@pytest.fixture(name="files")
def fixture_files(dom0):
    """Kernels that are none."""
    dom0.sh("cd /var/tmp/guests; head -c 3m /dev/urandom >noise; head -c 200K /guests/vmlinuz-6.1 >short")
    dom0.sh("cp /guests/vmlinuz-6.1 flipped; spoil flipped flip 7000000; cd /")


def test_guests_that_cannot_be(dom0, files):
    for what, (settings, words) in CASES.items():
        settings = dict(settings)
        said = dom0.create(settings.pop("name", "bad"), status=None, **settings)
        if what in MAY_START:
            dom0.sh("xl destroy bad 2>/dev/null", status=None)  # it may have ended by itself
            dom0.until("[ $(xl list | wc -l) = 2 ]")
        else:
            lines = [line for line in said.splitlines() if not line.startswith("Parsing")]
            assert lines and re.search(words, "\n".join(lines)), f"{what}: {said}"
            assert list(dom0.domains()) == ["Domain-0"], f"{what}: {said}"
        dom0.until(f"[ $(xl info free_memory) -ge {dom0.free_mib} ]")


def test_names_are_there_once(dom0):
    dom0.create_tiny("once", "idle", "-p")
    said = dom0.create_tiny("once", "idle", "-p", status=None)
    assert "already exists" in said, said
    dom0.create_tiny("twice", "idle", "-p")
    dom0.sh("! xl rename twice once 2>/dev/null")
    assert sorted(dom0.domains()) == ["Domain-0", "once", "twice"]
    # A damaged configuration is refused before anything is made.
    dom0.sh("echo 'memory=[' >/tmp/b.cfg; ! xl create /tmp/b.cfg 2>/dev/null")


COMMANDS = [
    "destroy none", "vcpu-set none 1", "mem-set none 64", "save none /tmp/x",
    "dump-core none /tmp/x", "trigger none nmi", "sysrq none h", "reboot none", "rename none other",
    "vcpu-pin none all all", "console none", "sched-credit2 -d none -w 1", "migrate -s here none there",
    "block-attach none format=raw,vdev=xvda,target=/t/ask", "restore /t/ask", "destroy 0",
    "cpupool-destroy Pool-0", "cpupool-destroy none",
    "cpupool-migrate Domain-0 none", "vcpu-pin Domain-0 9 0", "vcpu-pin Domain-0 0 99",
]

# xl says that these fail, and ends with status 0.
TOLD_ONLY = ["pause 77", "unpause 77", "cpupool-cpu-remove Pool-0 7"]


def test_commands_that_cannot_be_done(dom0):
    for command in COMMANDS:
        dom0.sh(f"! xl {command} </dev/null >/dev/null 2>&1")
    for command in TOLD_ONLY:
        dom0.sh(f"xl {command} 2>&1 | grep -q error:")
    assert list(dom0.domains()) == ["Domain-0"]


def test_a_guest_that_outgrows_itself(dom0):
    """More memory than it may have, more vCPUs than it has: it stays as it is."""
    guest = dom0.create("grow", memory=96, maxmem=112)
    guest.wait_up()
    dom0.sh("xl mem-set grow 4000 >/dev/null 2>&1; xl vcpu-set grow 9 >/dev/null 2>&1", status=None)
    # Asked for far too much by its own balloon driver, it takes what it may and asks again.
    guest.sh("echo 400000 >/sys/devices/system/xen_memory/xen_memory0/target_kb", status=None)
    dom0.sh("sleep 3")
    assert guest.info()["mem"] <= 112 and guest.info()["vcpus"] == 1
    guest.sh("nproc | grep -x 1")
    guest.destroy()


@pytest.mark.ours
@pytest.mark.parametrize("command, sentence", [
    ("cpupool-cpu-remove Pool-0 7", r"cannot remove a CPU from CPU pool 0 \(error \d+\): .*CPU 7"),
    ("vcpu-pin Domain-0 9 0", r"d0: affinity of vCPU 9 cannot be set \(error \d+\)"),
    ("create -p /t/tiny.cfg max_grant_frames=4000000",
     r"a domain cannot be created: no such number of grant table frames \(0x3d0900\)"),
])
def test_a_refusal_leaves_a_sentence(dom0, command, sentence):
    """With domain, operation, cause and numbers."""
    dom0.sh("printf 'name=\"no\"\\ntype=\"pv\"\\nkernel=\"/t/tiny.elf\"\\nmemory=8\\n' >/t/tiny.cfg")
    dom0.sh("xl dmesg -c >/dev/null")
    fails = "" if command in TOLD_ONLY else "! "
    dom0.sh(f"{fails}xl {command} >/dev/null 2>&1")
    assert re.search(sentence, dom0.log()), dom0.log()
