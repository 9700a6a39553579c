/* SPDX-License-Identifier: MIT */
/* sources: hv/builder/image.c hv/builder/elf.c hv/builder/notes.c hv/builder/unpack.c */
/* sources: hv/lib/format.c hv/lib/string.c tests/unit/builder/fake_kernel.c */
/* libs: -llzma -lzstd -llz4 -lz */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>
#include <sys/stat.h>
#include <xen/elfnote.h>
#include <xen/features.h>

#include "builder/fake_kernel.h"
#include "builder/image.h"

#define GUEST_BYTES (32u << 20)

struct opened {
    struct kernel_image img;
    struct image_error err;
    struct image_need need;
    struct arena scratch, out;
    int rc;
};

static void arena_make(struct arena *a, size_t len)
{
    *a = (struct arena){ .base = aligned_alloc(ARENA_ALIGN, align_up(len + 1, ARENA_ALIGN)),
                         .len_bytes = len };
}

/* Measure and open exactly as the hypervisor does; @module is copied, so that reading beyond it
 * shows. */
static void open_module(struct opened *o, const void *module, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    memset(o, 0, sizeof(*o));
    memcpy(copy, module, len);
    o->rc = image_measure(copy, len, &o->need, &o->err);
    if (o->rc == 0) {
        arena_make(&o->scratch, o->need.scratch_bytes);
        arena_make(&o->out, o->need.out_bytes);
        o->rc = image_open(&o->img, copy, len, &o->scratch, &o->out, &o->err);
    }
    if (o->rc) {
        assert_true(o->rc == -EINVAL || o->rc == -ENOMEM);
        assert_true(strlen(o->err.text) > 20);
        assert_non_null(strstr(o->err.text, "dom0 kernel: "));
    }
    if (o->img.file == copy || (o->img.file > copy && o->img.file < copy + len)) {
        o->img.file = (const uint8_t *)module + (o->img.file - copy);
    }
    free(copy);
}

static void close_module(struct opened *o)
{
    free(o->scratch.base);
    free(o->out.base);
}

static int write_guest(void *ctx, uint64_t gpa, const void *data, size_t data_bytes, size_t zeros)
{
    uint8_t *guest = ctx;

    assert_true(gpa + data_bytes + zeros <= GUEST_BYTES);
    memcpy(guest + gpa, data, data_bytes);
    memset(guest + gpa + data_bytes, 0, zeros);
    return 0;
}

static void every_packing_gives_the_same_kernel(void **state)
{
    for (int packing = 0; packing < FAKE_NR_PACKINGS; packing++) {
        struct fake_file f = fake_kernel(packing);
        uint8_t *guest = malloc(GUEST_BYTES);
        struct opened o;

        memset(guest, 0xaa, GUEST_BYTES);
        open_module(&o, f.data, f.len);
        assert_string_equal(o.err.text, "");
        assert_int_equal(o.rc, 0);
        assert_int_equal(o.img.nr_segments, 2);
        assert_int_equal(o.img.virt_start, FAKE_VIRT_BASE + FAKE_TEXT_PADDR);
        assert_int_equal(o.img.virt_end, FAKE_VIRT_BASE + FAKE_DATA_PADDR + 0x8000);
        assert_int_equal(o.img.entry, FAKE_VIRT_BASE + FAKE_TEXT_PADDR + 0x40);
        assert_int_equal(image_load(&o.img, write_guest, guest), 0);
        for (size_t i = 0; i < FAKE_TEXT_BYTES; i++) {
            assert_int_equal(guest[FAKE_TEXT_PADDR + i], fake_text_byte(i));
        }
        for (size_t i = 0; i < FAKE_DATA_BYTES + FAKE_BSS_BYTES; i++) {
            assert_int_equal(guest[FAKE_DATA_PADDR + i],
                             i < FAKE_DATA_BYTES ? fake_data_byte(i) : 0);
        }
        assert_int_equal(guest[FAKE_DATA_PADDR + FAKE_DATA_BYTES + FAKE_BSS_BYTES], 0xaa);
        close_module(&o);
        free(guest);
        free(f.data);
    }
}

static void notes_of_linux_are_understood(void **state)
{
    struct fake_file f = fake_kernel(FAKE_PLAIN);
    struct opened o;

    open_module(&o, f.data, f.len);
    assert_int_equal(o.rc, 0);
    assert_int_equal(o.img.virt_base, FAKE_VIRT_BASE);
    assert_true(image_has_note(&o.img, XEN_ELFNOTE_INIT_P2M));
    assert_int_equal(o.img.init_p2m, FAKE_INIT_P2M);
    assert_false(image_has_note(&o.img, XEN_ELFNOTE_HYPERCALL_PAGE));
    assert_int_equal(o.img.features_supported, 0x8811);
    assert_int_equal(o.img.features_required, 1u << XENFEAT_writable_page_tables);
    assert_int_equal(o.img.suspend_cancel, 1);
    assert_int_equal(o.img.mod_start_pfn, 1);
    assert_int_equal(o.img.l1_mfn_valid[0], 1);
    assert_int_equal(o.img.l1_mfn_valid[1], 1);
    assert_int_equal(o.img.hv_start_low, 0xffff800000000000ull);
    assert_string_equal(o.img.guest_os, "linux");
    close_module(&o);
    free(f.data);
}

/* --- kernels with something wrong --- */

static void no_notes(struct fake_elf *e)
{
    e->notes_len = 0;
}

static void no_entry(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_ENTRY);
    fake_elf_note_number(e, XEN_ELFNOTE_PHYS32_ENTRY, 0x1000850);
}

static void entry_outside(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_ENTRY);
    fake_elf_note_number(e, XEN_ELFNOTE_ENTRY, 0x1000);
}

static void other_version(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_XEN_VERSION);
    fake_elf_note_text(e, XEN_ELFNOTE_XEN_VERSION, "xen-2.0");
}

static void other_loader(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_LOADER);
    fake_elf_note_text(e, XEN_ELFNOTE_LOADER, "special");
}

static void no_dom0_bit(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_SUPPORTED_FEATURES);
    fake_elf_note_number(e, XEN_ELFNOTE_SUPPORTED_FEATURES, 0x8001);
}

static void wants_ring_zero(struct fake_elf *e)
{
    fake_elf_note_text(e, XEN_ELFNOTE_FEATURES, "!supervisor_mode_kernel");
}

static void wants_the_unknown(struct fake_elf *e)
{
    fake_elf_note_text(e, XEN_ELFNOTE_FEATURES, "pae_pgdir_above_4gb|!warp_drive|dom0");
}

static void high_hole(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_HV_START_LOW);
    fake_elf_note_number(e, XEN_ELFNOTE_HV_START_LOW, 0xffff880000000000ull);
}

static void base_in_the_hole(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_VIRT_BASE);
    fake_elf_note_number(e, XEN_ELFNOTE_VIRT_BASE, 0xffff810000000000ull);
}

static void base_not_canonical(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_VIRT_BASE);
    fake_elf_note_number(e, XEN_ELFNOTE_VIRT_BASE, 0x00007ffff0000000ull);
}

static void base_that_wraps(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_VIRT_BASE);
    fake_elf_note_number(e, XEN_ELFNOTE_VIRT_BASE, 0xfffffffff0000000ull);
}

static void p2m_in_the_hole(struct fake_elf *e)
{
    fake_elf_drop_note(e, XEN_ELFNOTE_INIT_P2M);
    fake_elf_note_number(e, XEN_ELFNOTE_INIT_P2M, 0xffff870000000000ull);
}

static void hypercall_page_outside(struct fake_elf *e)
{
    fake_elf_note_number(e, XEN_ELFNOTE_HYPERCALL_PAGE, FAKE_VIRT_BASE);
}

static void number_of_three_bytes(struct fake_elf *e)
{
    fake_elf_note(e, XEN_ELFNOTE_PADDR_OFFSET, "abc", 3);
}

static void text_without_end(struct fake_elf *e)
{
    fake_elf_note(e, XEN_ELFNOTE_GUEST_OS, "lin", 3);
}

static void text_too_long(struct fake_elf *e)
{
    fake_elf_note_text(e, XEN_ELFNOTE_GUEST_OS, "an operating system with a long name");
}

static void short_pair(struct fake_elf *e)
{
    fake_elf_note_number(e, XEN_ELFNOTE_L1_MFN_VALID, 1);
}

static void note_beyond_its_segment(struct fake_elf *e)
{
    Elf64_Nhdr nh = { .n_namesz = 4, .n_descsz = 0xfffffffe, .n_type = 1 };

    memcpy(e->notes + e->notes_len, &nh, sizeof(nh));
    e->notes_len += sizeof(nh) + 4;
}

static void notes_beyond_the_file(struct fake_elf *e)
{
    e->ph[2].p_filesz = ~0ull;
}

static void offset_above_addresses(struct fake_elf *e)
{
    fake_elf_note_number(e, XEN_ELFNOTE_PADDR_OFFSET, FAKE_VIRT_BASE);
}

static void for_32_bits(struct fake_elf *e)
{
    e->eh.e_ident[EI_CLASS] = ELFCLASS32;
    e->eh.e_machine = EM_386;
}

static void big_endian(struct fake_elf *e)
{
    e->eh.e_ident[EI_DATA] = ELFDATA2MSB;
}

static void relocatable_object(struct fake_elf *e)
{
    e->eh.e_type = ET_REL;
}

static void many_headers(struct fake_elf *e)
{
    e->eh.e_phnum = 0xffff;
}

static void headers_beyond(struct fake_elf *e)
{
    e->eh.e_phoff = ~0ull - 10;
}

static void header_size_odd(struct fake_elf *e)
{
    e->eh.e_phentsize = 32;
}

static void segment_beyond_file(struct fake_elf *e)
{
    e->ph[0].p_offset = ~0ull - 0x1000;
}

static void segment_larger_in_file(struct fake_elf *e)
{
    e->ph[0].p_memsz = 0x100;
}

static void segment_endless(struct fake_elf *e)
{
    e->ph[1].p_memsz = ~0ull;
}

static void segments_overlap(struct fake_elf *e)
{
    e->ph[1].p_paddr = FAKE_TEXT_PADDR + 0x1000;
}

static void nothing_to_load(struct fake_elf *e)
{
    e->ph[0].p_type = e->ph[1].p_type = PT_NULL;
}

static const struct {
    void (*spoil)(struct fake_elf *e);
    const char *says;
} wrong[] = {
    { no_notes, "no ELF notes of owner Xen" },
    { no_entry, "no entry point for paravirtual guests" },
    { entry_outside, "entry point 0x1000 is outside" },
    { other_version, "interface xen-2.0" },
    { other_loader, "loader special" },
    { no_dom0_bit, "does not support being dom0" },
    { wants_ring_zero, "requires features 0x8" },
    { wants_the_unknown, "feature warp_drive" },
    { high_hole, "wants the hypervisor above" },
    { base_in_the_hole, "its base 0xffff810000000000" },
    { base_not_canonical, "its base" },
    { base_that_wraps, "its base" },
    { p2m_in_the_hole, "frame list" },
    { hypercall_page_outside, "hypercall page" },
    { number_of_three_bytes, "ELF note 4 has 3 bytes" },
    { text_without_end, "the text of ELF note 6" },
    { text_too_long, "the text of ELF note 6" },
    { short_pair, "too short for a pair" },
    { note_beyond_its_segment, "ends beyond its segment" },
    { notes_beyond_the_file, "notes end beyond" },
    { offset_above_addresses, "ends above the 512 MiB" },
    { for_32_bits, "only 64-bit x86" },
    { big_endian, "no executable" },
    { relocatable_object, "no executable" },
    { many_headers, "65535 program headers" },
    { headers_beyond, "program headers" },
    { header_size_odd, "headers of 32 bytes" },
    { segment_beyond_file, "does not fit its file" },
    { segment_larger_in_file, "does not fit its file" },
    { segment_endless, "ends above" },
    { segments_overlap, "lies below the end" },
    { nothing_to_load, "nothing to load" },
};

static void every_wrong_kernel_is_refused_in_words(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct fake_elf elf;
        struct fake_file f;
        struct opened o;

        fake_elf_init(&elf);
        fake_elf_linux_notes(&elf);
        wrong[i].spoil(&elf);
        f = fake_elf_finish(&elf);
        open_module(&o, f.data, f.len);
        assert_int_equal(o.rc, -EINVAL);
        if (strstr(o.err.text, wrong[i].says) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", o.err.text, wrong[i].says);
        }
        close_module(&o);
        free(f.data);
    }
}

static void a_kernel_without_feature_bits_may_be_dom0(void **state)
{
    struct fake_elf elf;
    struct fake_file f;
    struct opened o;

    fake_elf_init(&elf);
    fake_elf_note_number(&elf, XEN_ELFNOTE_ENTRY, FAKE_TEXT_PADDR);
    f = fake_elf_finish(&elf);
    open_module(&o, f.data, f.len);
    assert_int_equal(o.rc, 0);
    assert_int_equal(o.img.virt_base, 0);
    close_module(&o);
    free(f.data);
}

/* An ELF file whose notes are reached by a section header, or which has the old text. */
static struct fake_file with_section(const char *name, uint32_t type)
{
    struct fake_file f, g;
    struct fake_elf elf;
    Elf64_Shdr sh[2] = { 0 };
    Elf64_Phdr ph;

    fake_elf_init(&elf);
    fake_elf_linux_notes(&elf);
    f = fake_elf_finish(&elf);
    memcpy(&ph, f.data + sizeof(Elf64_Ehdr) + 2 * sizeof(ph), sizeof(ph));
    g.len = f.len + 64 + sizeof(sh);
    g.data = calloc(1, g.len);
    memcpy(g.data, f.data, f.len);
    memcpy(g.data + f.len, name, strlen(name) + 1);
    sh[0].sh_type = type;
    sh[0].sh_offset = ph.p_offset;
    sh[0].sh_size = ph.p_filesz;
    sh[1].sh_type = SHT_STRTAB;
    sh[1].sh_name = 50;
    sh[1].sh_offset = f.len;
    sh[1].sh_size = 64;
    memcpy(g.data + f.len + 64, sh, sizeof(sh));
    elf.eh.e_shoff = f.len + 64;
    elf.eh.e_shnum = 2;
    elf.eh.e_shentsize = sizeof(Elf64_Shdr);
    elf.eh.e_shstrndx = 1;
    elf.eh.e_phnum = 2;
    memcpy(g.data, &elf.eh, sizeof(elf.eh));
    free(f.data);
    return g;
}

static void notes_in_a_section_are_found(void **state)
{
    struct fake_file f = with_section(".notes", SHT_NOTE);
    struct opened o;

    open_module(&o, f.data, f.len);
    assert_int_equal(o.rc, 0);
    assert_string_equal(o.img.guest_os, "linux");
    close_module(&o);
    free(f.data);
}

static void the_old_description_is_refused(void **state)
{
    struct fake_file f = with_section("__xen_guest", SHT_PROGBITS);
    struct opened o;

    open_module(&o, f.data, f.len);
    assert_int_equal(o.rc, -EINVAL);
    assert_non_null(strstr(o.err.text, "__xen_guest"));
    close_module(&o);
    free(f.data);
}

/* --- damage --- */

static void cut_kernels_are_refused(void **state)
{
    for (int packing = 0; packing < FAKE_NR_PACKINGS; packing++) {
        struct fake_file f = fake_kernel(packing);
        size_t payload_end = f.len - 100; /* what follows the payload is not needed */

        for (size_t len = 0; len < payload_end; len += 1 + len / 23) {
            struct opened o;

            open_module(&o, f.data, len);
            assert_int_equal(o.rc, -EINVAL);
            close_module(&o);
        }
        free(f.data);
    }
}

static void cut_streams_are_refused(void **state)
{
    struct fake_elf elf;
    struct fake_file plain;

    fake_elf_init(&elf);
    fake_elf_linux_notes(&elf);
    plain = fake_elf_finish(&elf);
    for (int packing = FAKE_GZIP; packing < FAKE_NR_PACKINGS; packing++) {
        struct fake_file stream = fake_pack(&plain, packing);

        for (size_t cut = 5; cut < stream.len; cut += 1 + cut / 11) {
            struct fake_file payload = { stream.data, stream.len - cut };
            struct fake_file f = fake_bzimage(&payload);
            struct opened o;

            open_module(&o, f.data, f.len);
            assert_int_not_equal(o.rc, 0);
            close_module(&o);
            free(f.data);
        }
        free(stream.data);
    }
    free(plain.data);
}

static void flipped_bits_do_no_harm(void **state)
{
    for (int packing = 0; packing < FAKE_NR_PACKINGS; packing++) {
        struct fake_file f = fake_kernel(packing);
        size_t step = f.len > 4000 ? f.len / 2000 : 1;

        for (size_t at = 0x1f0; at < f.len; at += at < 0xb00 ? 1 : step) {
            struct opened o;

            f.data[at] ^= (uint8_t)(1u << at % 8);
            open_module(&o, f.data, f.len);
            if (o.rc == 0) {
                for (uint32_t i = 0; i < o.img.nr_segments; i++) {
                    const struct image_segment *s = &o.img.segments[i];

                    assert_true(s->file_offset + s->file_bytes <= o.img.file_bytes);
                    assert_true(s->gpa + s->mem_bytes <= IMAGE_MAX_BYTES);
                }
            }
            close_module(&o);
            f.data[at] ^= (uint8_t)(1u << at % 8);
        }
        free(f.data);
    }
}

static void a_size_that_lies_is_found_out(void **state)
{
    static const uint32_t lies[] = { 0x4000, 0x9400, 0x100000, 0x20000001, 0xffffffff };

    for (int packing = FAKE_GZIP; packing < FAKE_NR_PACKINGS; packing++) {
        struct fake_file f = fake_kernel(packing);

        for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
            struct opened o;

            memcpy(f.data + f.len - 104, &lies[i], sizeof(lies[i]));
            open_module(&o, f.data, f.len);
            assert_int_not_equal(o.rc, 0);
            close_module(&o);
        }
        free(f.data);
    }
}

static void an_elf_file_may_be_packed_without_a_bzimage(void **state)
{
    for (int packing = FAKE_PLAIN; packing < FAKE_NR_PACKINGS; packing++) {
        struct fake_elf elf;
        struct fake_file plain, stream;
        struct opened o;

        fake_elf_init(&elf);
        fake_elf_linux_notes(&elf);
        plain = fake_elf_finish(&elf);
        stream = fake_pack(&plain, packing);
        open_module(&o, stream.data, stream.len - (packing > FAKE_GZIP ? 4 : 0));
        assert_string_equal(o.err.text, "");
        assert_int_equal(o.rc, 0);
        assert_int_equal(o.img.file_bytes, plain.len);
        close_module(&o);
        free(stream.data);
        free(plain.data);
    }
}

static void a_scratch_area_too_small_is_reported(void **state)
{
    static const enum fake_packing packings[] = { FAKE_GZIP, FAKE_XZ, FAKE_ZSTD };

    for (size_t i = 0; i < ARRAY_SIZE(packings); i++) {
        struct fake_file f = fake_kernel(packings[i]);
        struct image_need need;
        struct image_error err;
        struct kernel_image img;
        struct arena scratch, out;

        assert_int_equal(image_measure(f.data, f.len, &need, &err), 0);
        arena_make(&scratch, 4000);
        arena_make(&out, need.out_bytes);
        assert_int_equal(image_open(&img, f.data, f.len, &scratch, &out, &err), -ENOMEM);
        assert_non_null(strstr(err.text, "3 KiB"));
        free(scratch.base);
        free(out.base);
        free(f.data);
    }
}

static void formats_not_supported_are_named(void **state)
{
    static const struct {
        const char *magic, *name;
    } cases[] = { { "BZh9", "bzip2" }, { "\x5d\0\0\x80", "lzma" }, { "\x89LZO\0", "lzo" } };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t data[64] = { 0 };
        struct fake_file payload = { data, sizeof(data) }, f;
        struct opened o;

        memcpy(data, cases[i].magic, 5);
        f = fake_bzimage(&payload);
        open_module(&o, f.data, f.len);
        assert_int_equal(o.rc, -EINVAL);
        assert_non_null(strstr(o.err.text, cases[i].name));
        close_module(&o);
        free(f.data);
    }
}

static void what_is_no_kernel_is_refused(void **state)
{
    static const uint8_t zeros[4096];
    struct opened o;

    open_module(&o, zeros, sizeof(zeros));
    assert_int_equal(o.rc, -EINVAL);
    assert_non_null(strstr(o.err.text, "no bzImage and no ELF"));
    open_module(&o, zeros, 0);
    assert_int_equal(o.rc, -EINVAL);
}

/* --- the kernels of Debian, where scripts/fetch-kernels or apt put them --- */

static void open_stock_kernel(const char *path)
{
    struct opened o;
    struct stat st;
    uint8_t *data;
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    data = malloc((size_t)st.st_size);
    assert_int_equal(fread(data, 1, (size_t)st.st_size, f), st.st_size);
    fclose(f);
    open_module(&o, data, (size_t)st.st_size);
    print_message("%s: %s\n", path, o.rc ? o.err.text : "can be dom0");
    if (o.rc == 0) {
        assert_int_equal(o.img.virt_base, FAKE_VIRT_BASE);
        assert_int_equal(o.img.init_p2m, FAKE_INIT_P2M);
        assert_int_equal(o.img.virt_start, 0xffffffff81000000ull);
        assert_string_equal(o.img.guest_os, "linux");
    } else {
        assert_non_null(strstr(o.err.text, "does not support being dom0"));
    }
    close_module(&o);
    free(data);
}

static void stock_kernels_are_read(void **state)
{
    glob_t found;

    if (glob("/boot/vmlinuz-*", 0, NULL, &found) != 0) {
        found.gl_pathc = 0;
    }
    glob("build/kernels/*/boot/vmlinuz-*", found.gl_pathc ? GLOB_APPEND : 0, NULL, &found);
    if (found.gl_pathc == 0) {
        print_message("no kernels here: scripts/fetch-kernels gets some\n");
        globfree(&found);
        skip();
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        open_stock_kernel(found.gl_pathv[i]);
    }
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_packing_gives_the_same_kernel),
        cmocka_unit_test(notes_of_linux_are_understood),
        cmocka_unit_test(every_wrong_kernel_is_refused_in_words),
        cmocka_unit_test(a_kernel_without_feature_bits_may_be_dom0),
        cmocka_unit_test(notes_in_a_section_are_found),
        cmocka_unit_test(the_old_description_is_refused),
        cmocka_unit_test(cut_kernels_are_refused),
        cmocka_unit_test(cut_streams_are_refused),
        cmocka_unit_test(flipped_bits_do_no_harm),
        cmocka_unit_test(a_size_that_lies_is_found_out),
        cmocka_unit_test(an_elf_file_may_be_packed_without_a_bzimage),
        cmocka_unit_test(a_scratch_area_too_small_is_reported),
        cmocka_unit_test(formats_not_supported_are_named),
        cmocka_unit_test(what_is_no_kernel_is_refused),
        cmocka_unit_test(stock_kernels_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
