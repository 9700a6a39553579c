/* SPDX-License-Identifier: MIT */
/*
 * Kernels made by the tests: an ELF file with two segments and a note segment,
 * packed in any format, wrapped in a bzImage or not.
 */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_VIRT_BASE  0xffffffff80000000ull
#define FAKE_TEXT_PADDR 0x1000000ull
#define FAKE_TEXT_BYTES 0x6000u
#define FAKE_DATA_PADDR 0x1200000ull
#define FAKE_DATA_BYTES 0x2000u
#define FAKE_BSS_BYTES  0x5123u
#define FAKE_INIT_P2M   0x8000000000ull

enum fake_packing {
    FAKE_PLAIN,
    FAKE_GZIP,
    FAKE_XZ,
    FAKE_ZSTD,
    FAKE_LZ4,
    FAKE_NR_PACKINGS
};

extern const char *const fake_packing_names[FAKE_NR_PACKINGS];

struct fake_file {
    uint8_t *data; /* malloc'd */
    size_t len;
};

/* An ELF file under construction; members may be changed before fake_elf_finish(). */
struct fake_elf {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[3]; /* text, data, notes */
    uint8_t notes[1024];
    size_t notes_len;
};

/* One that is fit to be dom0, with no notes yet. */
void fake_elf_init(struct fake_elf *elf);
/* The notes of a Linux kernel. */
void fake_elf_linux_notes(struct fake_elf *elf);
void fake_elf_note(struct fake_elf *elf, uint32_t type, const void *desc, size_t len);
void fake_elf_note_number(struct fake_elf *elf, uint32_t type, uint64_t value);
void fake_elf_note_text(struct fake_elf *elf, uint32_t type, const char *text);
/* Take out the first note of @type. */
void fake_elf_drop_note(struct fake_elf *elf, uint32_t type);
struct fake_file fake_elf_finish(const struct fake_elf *elf);

/* Byte @i of the text and the data segment. */
uint8_t fake_text_byte(size_t i);
uint8_t fake_data_byte(size_t i);

/* @plain packed, followed by its size as in a kernel. */
struct fake_file fake_pack(const struct fake_file *plain, enum fake_packing packing);
struct fake_file fake_bzimage(const struct fake_file *payload);
/* A Linux-like kernel, all in one. */
struct fake_file fake_kernel(enum fake_packing packing);
