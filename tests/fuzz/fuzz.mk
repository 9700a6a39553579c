# SPDX-License-Identifier: MIT
# Fuzz targets: tests/fuzz/<name>_fuzz.c, libFuzzer under the sanitizers, with the
# sources that each names as unit tests do.  `make fuzz` runs each for FUZZ_SECONDS;
# what was found useful is kept in build/fuzz/corpus, what broke in build/fuzz.
.PHONY: fuzz

FUZZ_SECONDS := 60
FUZZ_DIR     := build/fuzz
FUZZ_CFLAGS  := -std=gnu17 -g -O1 -DMANSIO_HOST -fno-strict-aliasing -fno-omit-frame-pointer \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-Wall -Wextra -Werror -Wno-unused-parameter -I hv -I . -I tests/unit
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))

define fuzz_rule
$(FUZZ_DIR)/$(1): tests/fuzz/$(1).c $(shell scripts/unit-sources tests/fuzz/$(1).c) tests/fuzz/fuzz.mk
	@mkdir -p $$(@D)
	clang $$(FUZZ_CFLAGS) -o $$@ $$(filter %.c,$$^) $(call unit_libs,tests/fuzz/$(1).c)

.PHONY: fuzz-$(1)
fuzz-$(1): $(FUZZ_DIR)/$(1)
	@mkdir -p $(FUZZ_DIR)/corpus/$(1)
	$$< -max_total_time=$$(FUZZ_SECONDS) -artifact_prefix=$(FUZZ_DIR)/$(1)- -print_final_stats=1 \
	    $(FUZZ_DIR)/corpus/$(1)
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(t))))

fuzz: $(addprefix fuzz-,$(FUZZ_TARGETS))
