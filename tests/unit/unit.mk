# SPDX-License-Identifier: MIT
# Unit tests: tests/unit/<folder>/<name>_test.c, cmocka.  Near its top each says
#     /* sources: hv/a/b.c tests/unit/a/fake_b.c */
# (one line or more, once or more) which of our sources it is linked with, and
# with /* libs: -lfoo */ what else.  The sources are compiled for this machine
# unchanged, under the address and undefined-behaviour sanitizers.
.PHONY: unit

UNIT_DIR    := build/unit
UNIT_CFLAGS := -std=gnu17 -g -O1 -DMANSIO_HOST -fno-strict-aliasing -fno-omit-frame-pointer -fno-pie -no-pie \
	       -fsanitize=address,undefined -fno-sanitize-recover=all \
	       -Wall -Wextra -Werror -Wno-unused-parameter -I hv -I . -I tests/unit
UNIT_TESTS  := $(sort $(wildcard tests/unit/*/*_test.c tests/unit/*/*/*_test.c))
UNIT_RUNS   := $(UNIT_TESTS:tests/unit/%.c=$(UNIT_DIR)/%.log)

unit_sources = $(shell scripts/unit-sources $(1))
unit_libs    = $(shell sed -n 's|^.*/\* libs: *\(.*\) \*/.*$$|\1|p' $(1))

# The result of each program is kept until something it is made from changes.
define unit_rule
$(UNIT_DIR)/$(1): tests/unit/$(1).c $(call unit_sources,tests/unit/$(1).c) tests/unit/unit.mk
	@mkdir -p $$(@D)
	$$(HOSTCC) $$(UNIT_CFLAGS) -MMD -MP -MF $$@.d -o $$@ $$(filter %.c,$$^) -lcmocka $(call unit_libs,tests/unit/$(1).c)
-include $(UNIT_DIR)/$(1).d
endef
$(foreach t,$(UNIT_TESTS:tests/unit/%.c=%),$(eval $(call unit_rule,$(t))))

$(UNIT_RUNS): $(UNIT_DIR)/%.log: $(UNIT_DIR)/%
	@echo "== $*"
	@timeout 120 $< > $@.part 2>&1; echo "exit $$?" >> $@.part; mv $@.part $@

unit: $(UNIT_RUNS)
	@scripts/unit-summary $(UNIT_RUNS)
