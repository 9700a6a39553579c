# SPDX-License-Identifier: MIT
# The guests of tests/guest: build/guest/NAME.elf for each folder NAME with a main.c.

# bench/bench.mk includes this as well.
ifndef GUEST_DIR
GUEST_DIR := tests/guest
GUEST_OUT := build/guest
GUEST_NAMES := $(patsubst $(GUEST_DIR)/%/main.c,%,$(wildcard $(GUEST_DIR)/*/main.c))
GUEST_CC ?= gcc
GUEST_CFLAGS := -std=gnu17 -ffreestanding -O2 -g -mcmodel=kernel -fno-pie -mno-red-zone \
    -mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fno-strict-aliasing \
    -fno-asynchronous-unwind-tables -fno-toplevel-reorder -Wall -Wextra -Werror -Wmissing-prototypes \
    -Wstrict-prototypes -Wshadow -Wundef -I. -I$(GUEST_DIR) -I$(GUEST_DIR)/lib
GUEST_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
    -Wl,--no-warn-rwx-segments -Wl,-T,$(GUEST_DIR)/lib/guest.lds
GUEST_LIB := $(patsubst $(GUEST_DIR)/lib/%,$(GUEST_OUT)/lib/%.o,$(wildcard $(GUEST_DIR)/lib/*.[cS]))
GUEST_HEADERS := $(wildcard $(GUEST_DIR)/lib/*.h abi/*.h)

.PHONY: guests guest-test guest-test-oracle
guests: $(GUEST_NAMES:%=$(GUEST_OUT)/%.elf)

# Each guest under build/mansio, on one CPU and on four where that matters.
guest-test: guests build/mansio
	$(GUEST_DIR)/run --hypervisor build/mansio

# The same guests under Debian's Xen 4.17: shows that the tests are right.
guest-test-oracle: guests oracle
	$(GUEST_DIR)/run --real-time --hypervisor build/oracle/xen

$(GUEST_OUT)/lib/%.o: $(GUEST_DIR)/lib/% $(GUEST_HEADERS) $(GUEST_DIR)/guest.mk
	@mkdir -p $(@D)
	@$(GUEST_CC) $(GUEST_CFLAGS) -c $< -o $@

.SECONDARY: $(GUEST_LIB)
.SECONDEXPANSION:
$(GUEST_OUT)/%.elf: $$(wildcard $(GUEST_DIR)/%/*) $(GUEST_LIB) $(GUEST_DIR)/lib/guest.lds \
    $(GUEST_HEADERS) $(GUEST_DIR)/guest.mk
	@mkdir -p $(@D)
	@echo "  GUEST   $*"
	@$(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) $(filter %.c %.S,$^) $(GUEST_LIB) -o $@
endif
