# SPDX-License-Identifier: MIT
# The control domain that is shipped with the hypervisor, and `make run`.
DOM0_FILES := build/dom0/vmlinuz build/dom0/initrd.img build/dom0/disk.img

# The hypervisor to start: any file that QEMU's -kernel loads.
# SMP=N, ACCEL=kvm: the number of CPUs, the host's own processor instead of an emulated one.
HYPERVISOR ?= build/mansio

.PHONY: dom0 run
dom0:
	@tools/dom0/build build/dom0

# Prerequisites are told by name, as `make -j` would build before the packages are there.
run:
	@scripts/install-packages
	@$(MAKE) -s --no-print-directory dom0 $(filter build/mansio,$(HYPERVISOR))
	@tools/dom0/run --hypervisor $(HYPERVISOR) $(if $(AUTO),--auto) $(if $(SMP),--smp $(SMP)) $(if $(ACCEL),--accel $(ACCEL))
