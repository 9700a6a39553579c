# SPDX-License-Identifier: MIT
# make               the hypervisor: build/mansio, and build/mansio.elf64 with symbols for a debugger
# make CC=clang      the same with clang, below build/clang
# make DEBUG=1       the same with assertions and the check of the locks' order, below build/debug
# make check         layers, layout, headers, both compilers, forbidden words
# make unit          the sources on this machine, under the sanitizers
# make fuzz          random inputs to what reads untrusted bytes, FUZZ_SECONDS each
# make iso           build/mansio.iso, which boots from CD and USB, by BIOS and UEFI
# make run           a PC in QEMU with dom0 down to its shell; AUTO=1: unattended
# make test          everything that CI runs; installs the packages that are missing
# make test-full     and the tests that take long
.PHONY: all count clean
all:

CC      := gcc
HOSTCC  := gcc
LD      := ld
NM      := nm
OBJCOPY := objcopy

# One folder of objects a compiler, so that `make check` can build with both.
ifneq ($(findstring clang,$(notdir $(CC))),)
O := build/clang
else
O := build
endif

ifdef DEBUG
O := $(O)/debug
endif

CPPFLAGS := -I hv -I . -I $(O)/gen
ifndef DEBUG
CPPFLAGS += -DNDEBUG
endif
CFLAGS   := -std=gnu17 -O2 -g -ffreestanding -fPIE -fvisibility=hidden -fno-common \
	    -mno-red-zone -mgeneral-regs-only -mno-80387 -fcf-protection=none \
	    -fno-stack-protector -fno-strict-aliasing -fno-strict-overflow \
	    -fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer \
	    -fdebug-prefix-map=$(CURDIR)=. \
	    -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wundef \
	    -Wno-unused-parameter
# Indirect calls go through x86/thunk.S.
ifneq ($(findstring clang,$(notdir $(CC))),)
CFLAGS   += -mretpoline-external-thunk -fno-jump-tables
else
CFLAGS   += -mindirect-branch=thunk-extern -mindirect-branch-register -fno-jump-tables
endif
ifneq ($(findstring clang,$(notdir $(CC))),)
# Variables of other files are reached directly here as well: there is one image and no other.
CFLAGS   += -fdirect-access-external-data -Wthread-safety
endif
LDFLAGS  := -nostdlib -static -z noexecstack -z norelro -z max-page-size=4096 --build-id=sha1 \
	    --no-warn-rwx-segments --fatal-warnings

SRCS_C := $(filter-out hv/x86/asm-offsets.c,$(sort $(wildcard hv/*.c hv/*/*.c hv/*/*/*.c)))
SRCS_S := $(sort $(wildcard hv/*/*.S hv/*/*/*.S))
OBJS   := $(SRCS_C:%.c=$(O)/obj/%.c.o) $(SRCS_S:%.S=$(O)/obj/%.S.o)

# What unpacks kernels; linked into the part of the image that is given back after the start.
# A machine that has no compiler yet comes here too, on its way to install one.
UNPACKERS := $(foreach a,lzma zstd lz4 z,$(shell $(CC) -print-file-name=lib$(a).a 2>/dev/null))

all: $(O)/mansio

# --- objects ---
$(O)/obj/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(O)/obj/%.S.o: %.S Makefile $(O)/gen/asm-offsets.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -D__ASSEMBLY__ -g -fdebug-prefix-map=$(CURDIR)=. -Wa,--noexecstack -MMD -MP -c $< -o $@

# Offsets of struct members for the assembly: the compiler writes them as
# `@NAME value@` lines into assembly output, which become #defines.
$(O)/gen/asm-offsets.h: hv/x86/asm-offsets.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MT $@ -MF $(O)/gen/asm-offsets.d -S $< -o $(O)/gen/asm-offsets.s
	sed -n 's/^.*@\([A-Za-z_0-9]* -\{0,1\}[0-9][0-9]*\)@.*$$/#define \1/p' $(O)/gen/asm-offsets.s > $@

-include $(OBJS:.o=.d) $(O)/gen/asm-offsets.d

# --- the image ---
# Linked twice: the first link tells the addresses of all functions, the second
# one has the table of their names, which lies behind the code and moves none of it.
$(O)/gen/mansio.lds: hv/boot/mansio.lds Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -E -P -x assembler-with-cpp $< -o $@

$(O)/obj/pass1.elf64: $(OBJS) $(O)/gen/mansio.lds
	$(LD) $(LDFLAGS) -T $(O)/gen/mansio.lds -o $@ $(OBJS) --start-group $(UNPACKERS) --end-group

$(O)/gen/symbols.S: $(O)/obj/pass1.elf64 scripts/symbol-table
	$(NM) -n $< | scripts/symbol-table > $@

$(O)/obj/symbols.o: $(O)/gen/symbols.S
	$(CC) -Wa,--noexecstack -c $< -o $@

$(O)/mansio.elf64: $(O)/obj/pass1.elf64 $(O)/obj/symbols.o
	$(LD) $(LDFLAGS) -T $(O)/gen/mansio.lds -o $@ $(OBJS) $(O)/obj/symbols.o \
	    --start-group $(UNPACKERS) --end-group

# Loaders that know only 32 bits want a 32-bit ELF file whose addresses are physical ones.
$(O)/mansio: $(O)/mansio.elf64 hv/boot/image32.lds scripts/wrap-image
	OBJCOPY=$(OBJCOPY) NM=$(NM) CC=$(CC) LD=$(LD) scripts/wrap-image $< hv/boot/image32.lds $(O)/obj $@

# --- other targets ---
.PHONY: packages format check test test-full
packages:
	@scripts/install-packages

format:
	clang-format -i $$(find abi hv tests bench tools -name '*.[ch]' 2>/dev/null)

check:
	@scripts/check

test:
	@scripts/run-tests

test-full:
	@scripts/run-tests --full

count:
	@scripts/count-lines

clean:
	rm -rf build

include tests/unit/unit.mk
include tests/fuzz/fuzz.mk
# Last, as one of them asks for second expansion of what follows.
-include $(wildcard tools/*/*.mk bench/*.mk tests/guest/*.mk)
