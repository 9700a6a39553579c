# SPDX-License-Identifier: MIT
"""What xl's commands answer to, one after another: exit status and words, which are those of 4.17."""

import re

import pytest

pytestmark = pytest.mark.full
MACHINE = {}

# Of a guest "lin" that runs Linux: the command, its exit status, and what it prints.  `xl trigger`
# and `xl psr-hwinfo` end as they always do where there is nothing of the kind.
COMMANDS = [
    ("list lin", 0, r"lin +\d+ +96 +1 +[-rb]{6} "),
    ("list -n lin", 0, r"lin .* all$"),
    ("list -l lin", 0, r'"name": "lin"'),
    ("vm-list", 0, r"0{8}-0000-0000-0000-0{12} +0 +Domain-0(.|\n)* lin"),
    ("domname 0", 0, r"Domain-0"),
    ("domname 9999", 1, r"Can't get domain name"),
    ("domid none", 1, r"Can't get domid"),
    ("uptime", 0, r"Domain-0 +0 +0:(.|\n)*lin +\d+ +0:"),
    ("uptime -s lin", 0, r"up .*lin \(\d+\)"),
    ("vcpu-list lin", 0, r"lin +\d+ +0 +\d+ +\S+ +[\d.]+ +all / all"),
    ("claims", 0, r"lin .* 0$"),
    ("sharing", 0, r"lin +\d+ +96 +0$"),
    ("info -n", 0, r"xen_caps +: xen-3.0-x86_64 (.|\n)*xen_pagesize +: 4096"),
    ("network-list lin", 0, r"^0 +0 +00:16:3e:77:02:01 +0 +4 "),
    ("network-attach lin bridge=xenbr0 mac=00:16:3e:77:02:02", 0, r"^$"),
    ("network-list lin", 0, r"^1 +0 +00:16:3e:77:02:02 "),
    ("network-detach lin 1", 0, r"^$"),
    ("network-detach lin 5", 1, r"Unknown device 5"),
    ("block-attach lin format=raw,vdev=xvdc,access=rw,target=/var/tmp/guests/disk", 0, r"^$"),
    ("block-list lin", 0, r"^51744 +0 +\d+ +\d "),
    ("block-detach lin xvdc", 0, r"^$"),
    ("block-detach lin xvdz", 1, r"not connected"),
    ("sched-credit2 -s", 0, r"Cpupool Pool-0: ratelimit=\d+us"),
    ("sched-credit2 -s -r 2000", 0, r"^$"),
    ("sched-credit2 -s -p Pool-0", 0, r"ratelimit=2000us"),
    ("sched-credit2 -s -r 10", 1, r"out of range"),
    ("sched-credit", 0, r"^$"),
    ("sched-rtds -d lin", 1, r"returned credit2 not rtds"),
    ("cpupool-rename Pool-0 other", 0, r"^$"),
    ("cpupool-list", 0, r"^other +1 +credit2 +y +2$"),
    ("cpupool-rename other Pool-0", 0, r"^$"),
    ("cpupool-list -c", 0, r"^Pool-0 +0$"),
    ("mem-max lin 128", 0, r"^$"),
    ("mem-max lin 1", 1, r"cannot set"),
    ("config-update none /tmp/lin.cfg", 1, r"invalid domain identifier"),
    ("set-parameters 'guest_loglvl=all loglvl=all/all'", 0, r"^$"),
    ("set-parameters loglvl=loud", 1, r"setting parameters: Invalid argument"),
    ("set-parameters none=1", 1, r"setting parameters: No such file or directory"),
    ("debug-keys h", 0, r"^$"),
    ("debug-keys q", 0, r"^$"),
    ("dmesg -c >/dev/null", 0, r"^$"),
    ("getenforce", 255, r"Flask XSM Disabled"),
    ("pci-assignable-list", 0, r"pciback"),
    ("usb-list lin", 0, r"^$"),
    ("psr-hwinfo", 253, r"Enabled +: 0"),
    ("psr-cmt-attach lin", 253, r"CMT is not supported in this system"),
    ("psr-cat-set lin 3", 253, r"L3 CAT: is not supported in this system"),
    ("vtpm-list lin", 0, r"^Idx"),
    ("channel-list lin", 0, r"^Idx"),
    ("button-press lin power", 0, r"Send trigger 'power' failed: Invalid argument"),
    ("trigger lin nmi 0", 0, r"^$"),
    ("trigger lin nmi 7", 0, r"Send trigger 'nmi' failed: No such process"),
    ("trigger lin reset", 0, r"Send trigger 'reset' failed: Function not .*mplemented"),
    ("trigger lin bogus", 1, r"Invalid trigger"),
    ("sysrq lin s", 0, r"^$"),
    ("qemu-monitor-command lin help", 1, r"error"),
    ("rename lin other", 0, r"^$"),
    ("rename other lin", 0, r"^$"),
    ("pause lin", 0, r"^$"),
    ("pause lin", 0, r"^$"),
    ("list lin", 0, r" --p--- "),
    ("unpause lin", 0, r"^$"),
    ("unpause lin", 0, r"^$"),
    ("remus lin localhost", 1, r"error"),
    ("tmem-list", 1, r"not .*mplemented"),
    ("vcpu-pin lin 5 0", 1, r"Setting vcpu affinity: Invalid argument"),
    ("vcpu-pin lin 0 99", 1, r"hard affinity map is empty"),
]


def test_commands_answer_as_they_should(dom0):
    dom0.sh("truncate -s 1M /var/tmp/guests/disk")
    guest = dom0.create("lin", maxmem=112, vif=["bridge=xenbr0,mac=00:16:3e:77:02:01"])
    guest.wait_up()
    for command, status, words in COMMANDS:
        said = dom0.sh(f"xl {command} </dev/null 2>&1", status=status)
        assert re.search(words, said, re.M), f"{command}: {said}"
    assert "Linux" in guest.sh("uname")
    dom0.sh("xentop -b -i 2 -d 1 | grep -c ' lin ' | grep -x 2")
    dom0.sh("xl shutdown -a -w >/dev/null", 120)
