# SPDX-License-Identifier: MIT
# build/mansio.iso: boots from CD and USB stick, by BIOS and UEFI, with the control domain inside.
.PHONY: iso
iso: build/mansio.iso

build/mansio.iso: build/mansio build/dom0/vmlinuz build/dom0/initrd.img tools/iso/build tools/iso/grub.cfg
	tools/iso/build build/mansio build/dom0/vmlinuz build/dom0/initrd.img $@
