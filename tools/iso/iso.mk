# SPDX-License-Identifier: MIT
# build/mansio.iso: boots from CD and USB stick, by BIOS and UEFI, with the control domain inside.
.PHONY: iso
iso: ready
	@tools/iso/build $(HYPERVISOR) build/dom0 build/mansio.iso
