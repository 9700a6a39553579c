/* SPDX-License-Identifier: MIT */
/* Kernels made by the tests; see the header. */
#include "builder/fake_kernel.h"

#include <assert.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <xen/elfnote.h>
#include <zlib.h>
#include <zstd.h>

#define FILE_TEXT   0x1000u
#define FILE_DATA   (FILE_TEXT + FAKE_TEXT_BYTES)
#define FILE_NOTES  (FILE_DATA + FAKE_DATA_BYTES)
#define SETUP_SECTS 3u
#define PAYLOAD_AT  0x123u /* odd on purpose */

const char *const fake_packing_names[FAKE_NR_PACKINGS] = { "plain", "gzip", "xz", "zstd", "lz4" };

uint8_t fake_text_byte(size_t i)
{
    return (uint8_t)(i * i >> 5 ^ i);
}

uint8_t fake_data_byte(size_t i)
{
    return (uint8_t)(i % 251);
}

void fake_elf_init(struct fake_elf *elf)
{
    memset(elf, 0, sizeof(*elf));
    memcpy(elf->eh.e_ident, ELFMAG, SELFMAG);
    elf->eh.e_ident[EI_CLASS] = ELFCLASS64;
    elf->eh.e_ident[EI_DATA] = ELFDATA2LSB;
    elf->eh.e_ident[EI_VERSION] = EV_CURRENT;
    elf->eh.e_type = ET_EXEC;
    elf->eh.e_machine = EM_X86_64;
    elf->eh.e_phoff = sizeof(Elf64_Ehdr);
    elf->eh.e_phentsize = sizeof(Elf64_Phdr);
    elf->eh.e_phnum = 3;
    elf->ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
                               .p_offset = FILE_TEXT,
                               .p_vaddr = FAKE_VIRT_BASE + FAKE_TEXT_PADDR,
                               .p_paddr = FAKE_TEXT_PADDR,
                               .p_filesz = FAKE_TEXT_BYTES,
                               .p_memsz = FAKE_TEXT_BYTES };
    elf->ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
                               .p_offset = FILE_DATA,
                               .p_paddr = FAKE_DATA_PADDR, /* p_vaddr 0, as per-CPU data has */
                               .p_filesz = FAKE_DATA_BYTES,
                               .p_memsz = FAKE_DATA_BYTES + FAKE_BSS_BYTES };
    elf->ph[2] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = FILE_NOTES };
}

void fake_elf_note(struct fake_elf *elf, uint32_t type, const void *desc, size_t len)
{
    Elf64_Nhdr nh = { .n_namesz = 4, .n_descsz = (uint32_t)len, .n_type = type };
    uint8_t *at = elf->notes + elf->notes_len;

    assert(elf->notes_len + sizeof(nh) + 4 + len + 4 <= sizeof(elf->notes));
    memcpy(at, &nh, sizeof(nh));
    memcpy(at + sizeof(nh), "Xen", 4);
    memcpy(at + sizeof(nh) + 4, desc, len);
    elf->notes_len += sizeof(nh) + 4 + ((len + 3) & ~3ul);
}

void fake_elf_note_number(struct fake_elf *elf, uint32_t type, uint64_t value)
{
    fake_elf_note(elf, type, &value, sizeof(value));
}

void fake_elf_note_text(struct fake_elf *elf, uint32_t type, const char *text)
{
    fake_elf_note(elf, type, text, strlen(text) + 1);
}

void fake_elf_drop_note(struct fake_elf *elf, uint32_t type)
{
    size_t at = 0;

    while (at < elf->notes_len) {
        Elf64_Nhdr nh;
        size_t len;

        memcpy(&nh, elf->notes + at, sizeof(nh));
        len = sizeof(nh) + nh.n_namesz + ((nh.n_descsz + 3) & ~3ul);
        if (nh.n_type == type) {
            memmove(elf->notes + at, elf->notes + at + len, elf->notes_len - at - len);
            elf->notes_len -= len;
            return;
        }
        at += len;
    }
    assert(!"no such note");
}

void fake_elf_linux_notes(struct fake_elf *elf)
{
    static const uint64_t l1_mfn_valid[2] = { 1, 1 };
    uint32_t supported = 0x8801;

    fake_elf_note_text(elf, XEN_ELFNOTE_GUEST_OS, "linux");
    fake_elf_note_text(elf, XEN_ELFNOTE_GUEST_VERSION, "2.6");
    fake_elf_note_text(elf, XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    fake_elf_note_number(elf, XEN_ELFNOTE_VIRT_BASE, FAKE_VIRT_BASE);
    fake_elf_note_number(elf, XEN_ELFNOTE_INIT_P2M, FAKE_INIT_P2M);
    fake_elf_note_number(elf, XEN_ELFNOTE_ENTRY, FAKE_VIRT_BASE + FAKE_TEXT_PADDR + 0x40);
    fake_elf_note_text(elf, XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb");
    fake_elf_note(elf, XEN_ELFNOTE_SUPPORTED_FEATURES, &supported, sizeof(supported));
    fake_elf_note_text(elf, XEN_ELFNOTE_LOADER, "generic");
    fake_elf_note(elf, XEN_ELFNOTE_L1_MFN_VALID, l1_mfn_valid, sizeof(l1_mfn_valid));
    fake_elf_note_number(elf, XEN_ELFNOTE_SUSPEND_CANCEL, 1);
    fake_elf_note_number(elf, XEN_ELFNOTE_MOD_START_PFN, 1);
    fake_elf_note_number(elf, XEN_ELFNOTE_HV_START_LOW, 0xffff800000000000ull);
    fake_elf_note_number(elf, XEN_ELFNOTE_PADDR_OFFSET, 0);
}

struct fake_file fake_elf_finish(const struct fake_elf *elf)
{
    struct fake_file f = { .len = FILE_NOTES + elf->notes_len };
    struct fake_elf copy = *elf;

    f.data = calloc(1, f.len);
    if (copy.ph[2].p_filesz == 0) {
        copy.ph[2].p_filesz = elf->notes_len;
    }
    memcpy(f.data, &copy.eh, sizeof(copy.eh));
    memcpy(f.data + sizeof(copy.eh), copy.ph, sizeof(copy.ph));
    for (size_t i = 0; i < FAKE_TEXT_BYTES; i++) {
        f.data[FILE_TEXT + i] = fake_text_byte(i);
    }
    for (size_t i = 0; i < FAKE_DATA_BYTES; i++) {
        f.data[FILE_DATA + i] = fake_data_byte(i);
    }
    memcpy(f.data + FILE_NOTES, elf->notes, elf->notes_len);
    return f;
}

static size_t pack_gzip(const struct fake_file *plain, uint8_t *out, size_t room)
{
    z_stream z = { .next_in = plain->data,
                   .avail_in = (uInt)plain->len,
                   .next_out = out,
                   .avail_out = (uInt)room };

    assert(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static size_t pack_xz(const struct fake_file *plain, uint8_t *out, size_t room)
{
    lzma_options_lzma options;
    lzma_filter filters[] = { { LZMA_FILTER_X86, NULL },
                              { LZMA_FILTER_LZMA2, &options },
                              { LZMA_VLI_UNKNOWN, NULL } };
    size_t done = 0;

    assert(!lzma_lzma_preset(&options, 6));
    options.dict_size = 1 << 20;
    assert(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, plain->data, plain->len, out,
                                     &done, room) == LZMA_OK);
    return done;
}

static size_t pack_lz4(const struct fake_file *plain, uint8_t *out, size_t room)
{
    static const uint8_t magic[] = { 0x02, 0x21, 0x4c, 0x18 };
    uint32_t chunk = (uint32_t)LZ4_compress_default((const char *)plain->data, (char *)out + 8,
                                                    (int)plain->len, (int)room - 8);

    assert(chunk);
    memcpy(out, magic, sizeof(magic));
    memcpy(out + 4, &chunk, sizeof(chunk));
    return chunk + 8;
}

struct fake_file fake_pack(const struct fake_file *plain, enum fake_packing packing)
{
    size_t room = plain->len * 2 + 4096;
    struct fake_file f = { .data = malloc(room) };
    uint32_t size = (uint32_t)plain->len;

    switch (packing) {
    case FAKE_GZIP:
        f.len = pack_gzip(plain, f.data, room);
        return f;
    case FAKE_XZ:
        f.len = pack_xz(plain, f.data, room);
        break;
    case FAKE_ZSTD:
        f.len = ZSTD_compress(f.data, room, plain->data, plain->len, 19);
        assert(!ZSTD_isError(f.len));
        break;
    case FAKE_LZ4:
        f.len = pack_lz4(plain, f.data, room);
        break;
    default:
        memcpy(f.data, plain->data, plain->len);
        f.len = plain->len;
        return f;
    }
    memcpy(f.data + f.len, &size, sizeof(size));
    f.len += sizeof(size);
    return f;
}

struct fake_file fake_bzimage(const struct fake_file *payload)
{
    size_t start = (SETUP_SECTS + 1) * 512 + PAYLOAD_AT;
    struct fake_file f = { .len = start + payload->len + 100 };
    uint32_t offset = PAYLOAD_AT, length = (uint32_t)payload->len;

    f.data = calloc(1, f.len);
    f.data[0x1f1] = SETUP_SECTS;
    f.data[0x1fe] = 0x55;
    f.data[0x1ff] = 0xaa;
    memcpy(f.data + 0x202, "HdrS", 4);
    f.data[0x206] = 0x0f;
    f.data[0x207] = 0x02;
    memcpy(f.data + 0x248, &offset, 4);
    memcpy(f.data + 0x24c, &length, 4);
    memcpy(f.data + start, payload->data, payload->len);
    return f;
}

struct fake_file fake_kernel(enum fake_packing packing)
{
    struct fake_file plain, packed, wrapped;
    struct fake_elf elf;

    fake_elf_init(&elf);
    fake_elf_linux_notes(&elf);
    plain = fake_elf_finish(&elf);
    packed = fake_pack(&plain, packing);
    wrapped = fake_bzimage(&packed);
    free(plain.data);
    free(packed.data);
    return wrapped;
}
