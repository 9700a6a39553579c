# SPDX-License-Identifier: MIT
# The control domain that is shipped with the hypervisor, and `make run`.

# The hypervisor to start: any file that QEMU's -kernel loads.
# SMP=N, ACCEL=kvm: the number of CPUs, the host's own processor instead of an emulated one.
HYPERVISOR ?= build/mansio

.PHONY: dom0 run ready
dom0:
	@tools/guests/build build/guests
	@tools/dom0/build build/dom0 build/guests

# What a machine is started with.  Make is called anew, as only now there is a compiler to ask.
ready:
	@scripts/install-packages
ifeq ($(HYPERVISOR),build/mansio)
	@echo "build: $(HYPERVISOR)"
	@$(MAKE) -s --no-print-directory -j$$(nproc) $(HYPERVISOR)
endif
	@tools/guests/build build/guests
	@tools/dom0/build build/dom0 build/guests

run: ready
	@tools/dom0/run --hypervisor $(HYPERVISOR) $(if $(AUTO),--auto) $(if $(SMP),--smp $(SMP)) $(if $(ACCEL),--accel $(ACCEL))
