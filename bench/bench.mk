# SPDX-License-Identifier: MIT
# The bench's guest, and the bench itself.
include tests/guest/guest.mk

.PHONY: bench oracle
BENCH_GUEST := build/guest/bench.elf

# Debian's Xen 4.17 and Mansio side by side, in instructions; dom0 serves guests in its last part.
bench: build/mansio $(BENCH_GUEST) oracle dom0
	bench/run

# Debian's own hypervisor, from its package.
oracle: build/oracle/xen
build/oracle/xen: bench/fetch-oracle
	bench/fetch-oracle
	@touch $@

$(BENCH_GUEST): bench/guest/main.c bench/guest/entry.S $(GUEST_LIB) $(GUEST_DIR)/lib/guest.lds \
    $(GUEST_HEADERS) bench/bench.mk
	@echo "  GUEST   bench"
	@$(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) $(filter %.c %.S,$^) $(GUEST_LIB) -o $@
