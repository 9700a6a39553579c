/* SPDX-License-Identifier: MIT */
/*
 * The ELF file of a dom0 kernel: which bytes go where.
 *
 * Segments are laid out by their physical addresses: a Linux kernel has one
 * (per-CPU data) whose virtual address is zero.  The kernel sees physical
 * address p, less the offset given by a note, at virt_base + p.
 *
 * Every header is copied out before it is looked at, since nothing says that a
 * file in memory is aligned, and every range is checked by subtraction.
 */
#include <elf.h>
#include <xen/elfnote.h>

#include "builder/image.h"
#include "lib/string.h"

#define MAX_HEADERS     1024u /* program or section headers that we are willing to walk */
#define BASE_ALIGN      (2ul << 20)
#define CANONICAL_LIMIT (1ull << 47)

static bool __init in_file(const struct kernel_image *img, uint64_t offset, uint64_t len_bytes)
{
    return offset <= img->file_bytes && len_bytes <= img->file_bytes - offset;
}

static int __init read_ident(const struct kernel_image *img, Elf64_Ehdr *eh,
                             struct image_error *err)
{
    if (img->file_bytes < sizeof(*eh)) {
        return image_refuse(err, "dom0 kernel: %zu bytes are too short for an ELF header",
                            img->file_bytes);
    }
    memcpy(eh, img->file, sizeof(*eh));
    if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0) {
        return image_refuse(err, "dom0 kernel: what it unpacks to is no ELF file");
    }
    if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_machine != EM_X86_64) {
        return image_refuse(err,
                            "dom0 kernel: ELF class %u for machine %u: only 64-bit x86 kernels "
                            "can run, install linux-image-amd64",
                            eh->e_ident[EI_CLASS], eh->e_machine);
    }
    if (eh->e_ident[EI_DATA] != ELFDATA2LSB || (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)) {
        return image_refuse(err, "dom0 kernel: ELF type %u is no executable", eh->e_type);
    }
    return 0;
}

/* Check that the table of @nr headers lies in the file. */
static int __init check_table(const struct kernel_image *img, const char *what, uint64_t offset,
                              uint32_t nr, size_t entry_bytes, size_t want_bytes,
                              struct image_error *err)
{
    if (nr > MAX_HEADERS || entry_bytes != want_bytes ||
        !in_file(img, offset, (uint64_t)nr * entry_bytes)) {
        return image_refuse(err,
                            "dom0 kernel: %u %s headers of %zu bytes at %llu do not fit its file "
                            "of %zu bytes: it is damaged",
                            nr, what, entry_bytes, (unsigned long long)offset, img->file_bytes);
    }
    return 0;
}

static int __init add_segment(struct kernel_image *img, const Elf64_Phdr *ph,
                              struct image_error *err)
{
    if (ph->p_memsz == 0) {
        return 0;
    }
    if (img->nr_segments == IMAGE_MAX_SEGMENTS) {
        return image_refuse(err, "dom0 kernel: more than %u segments to load: link it with fewer",
                            IMAGE_MAX_SEGMENTS);
    }
    if (ph->p_filesz > ph->p_memsz || !in_file(img, ph->p_offset, ph->p_filesz)) {
        return image_refuse(err,
                            "dom0 kernel: a segment of %llu bytes at %llu does not fit its file "
                            "of %zu bytes: it is damaged",
                            (unsigned long long)ph->p_filesz, (unsigned long long)ph->p_offset,
                            img->file_bytes);
    }
    img->segments[img->nr_segments++] = (struct image_segment){
        .gpa = ph->p_paddr,
        .mem_bytes = ph->p_memsz,
        .file_offset = ph->p_offset,
        .file_bytes = ph->p_filesz,
    };
    return 0;
}

static int __init read_phdrs(struct kernel_image *img, const Elf64_Ehdr *eh,
                             struct image_error *err)
{
    int rc = check_table(img, "program", eh->e_phoff, eh->e_phnum, eh->e_phentsize,
                         sizeof(Elf64_Phdr), err);

    for (uint32_t i = 0; i < eh->e_phnum && rc == 0; i++) {
        Elf64_Phdr ph;

        memcpy(&ph, img->file + eh->e_phoff + i * sizeof(ph), sizeof(ph));
        if (ph.p_type == PT_LOAD) {
            rc = add_segment(img, &ph, err);
        } else if (ph.p_type == PT_NOTE) {
            if (!in_file(img, ph.p_offset, ph.p_filesz)) {
                return image_refuse(err, "dom0 kernel: its notes end beyond its file");
            }
            rc = image_read_notes(img, img->file + ph.p_offset, ph.p_filesz, err);
        }
    }
    return rc;
}

/* Whether section @sh has the name @name, by the string table @names. */
static bool __init section_is(const struct kernel_image *img, const Elf64_Shdr *sh,
                              const Elf64_Shdr *names, const char *name)
{
    size_t len = strlen(name) + 1;

    return in_file(img, names->sh_offset, names->sh_size) && sh->sh_name <= names->sh_size &&
           len <= names->sh_size - sh->sh_name &&
           memcmp(img->file + names->sh_offset + sh->sh_name, name, len) == 0;
}

/* A kernel whose notes are in sections alone, or which has the text that came before notes. */
static int __init read_sections(struct kernel_image *img, const Elf64_Ehdr *eh,
                                struct image_error *err)
{
    Elf64_Shdr sh, names = { 0 };
    bool has_old_text = false;

    if (eh->e_shnum == 0 || eh->e_shentsize != sizeof(sh) || eh->e_shnum > MAX_HEADERS ||
        !in_file(img, eh->e_shoff, eh->e_shnum * sizeof(sh))) {
        return 0; /* sections are not needed to run */
    }
    if (eh->e_shstrndx < eh->e_shnum) {
        memcpy(&names, img->file + eh->e_shoff + eh->e_shstrndx * sizeof(sh), sizeof(sh));
    }
    for (uint32_t i = 0; i < eh->e_shnum; i++) {
        memcpy(&sh, img->file + eh->e_shoff + i * sizeof(sh), sizeof(sh));
        has_old_text |= section_is(img, &sh, &names, "__xen_guest");
        if (sh.sh_type == SHT_NOTE && in_file(img, sh.sh_offset, sh.sh_size)) {
            int rc = image_read_notes(img, img->file + sh.sh_offset, sh.sh_size, err);

            if (rc) {
                return rc;
            }
        }
    }
    if (img->notes_seen == 0 && has_old_text) {
        return image_refuse(err, "dom0 kernel: it describes itself by a section __xen_guest, which "
                                 "is not supported: use a kernel with ELF notes (Linux 2.6.20 on)");
    }
    return 0;
}

/* From addresses in the file to guest-physical ones; in order, apart, and not too large. */
static int __init place_segments(struct kernel_image *img, struct image_error *err)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < img->nr_segments; i++) {
        struct image_segment *s = &img->segments[i];

        s->gpa -= img->paddr_offset;
        if (s->gpa > IMAGE_MAX_BYTES || s->mem_bytes > IMAGE_MAX_BYTES - s->gpa) {
            return image_refuse(err,
                                "dom0 kernel: a segment of %llu bytes at %#llx ends above the %lu "
                                "MiB a kernel may take: it is damaged",
                                (unsigned long long)s->mem_bytes, (unsigned long long)s->gpa,
                                IMAGE_MAX_BYTES >> 20);
        }
        if (s->gpa < end) {
            return image_refuse(err,
                                "dom0 kernel: the segment at %#llx lies below the end of the one "
                                "before: it is damaged",
                                (unsigned long long)s->gpa);
        }
        end = s->gpa + s->mem_bytes;
    }
    img->virt_start = align_down(img->virt_base + img->segments[0].gpa, PAGE_SIZE);
    img->virt_end = align_up(img->virt_base + end, PAGE_SIZE);
    return 0;
}

/* Whether [@start, @start + @len_bytes) is one stretch that a guest may map. */
static bool __init guest_range(uint64_t start, uint64_t len_bytes)
{
    uint64_t last = start + len_bytes - 1;

    return last >= start && (last < CANONICAL_LIMIT || start >= HYPERVISOR_VIRT_END);
}

static int __init check_addresses(const struct kernel_image *img, struct image_error *err)
{
    if (img->virt_base % BASE_ALIGN || !guest_range(img->virt_base, IMAGE_MAX_BYTES)) {
        return image_refuse(err,
                            "dom0 kernel: its base %#llx is not aligned to 2 MiB or not an address "
                            "a guest may use",
                            (unsigned long long)img->virt_base);
    }
    if (!image_has_note(img, XEN_ELFNOTE_ENTRY) || img->entry < img->virt_start ||
        img->entry >= img->virt_end) {
        return image_refuse(err, "dom0 kernel: its entry point %#llx is outside the kernel",
                            (unsigned long long)img->entry);
    }
    if (image_has_note(img, XEN_ELFNOTE_HYPERCALL_PAGE) &&
        (img->hypercall_page % PAGE_SIZE || img->hypercall_page < img->virt_start ||
         img->hypercall_page >= img->virt_end)) {
        return image_refuse(err,
                            "dom0 kernel: its hypercall page %#llx is not a page of the kernel",
                            (unsigned long long)img->hypercall_page);
    }
    if (image_has_note(img, XEN_ELFNOTE_INIT_P2M) &&
        (img->init_p2m % BASE_ALIGN || !guest_range(img->init_p2m, PAGE_SIZE))) {
        return image_refuse(err,
                            "dom0 kernel: the address %#llx for its frame list is not aligned to "
                            "2 MiB or not one a guest may use",
                            (unsigned long long)img->init_p2m);
    }
    return 0;
}

int __init image_read_elf(struct kernel_image *img, struct image_error *err)
{
    Elf64_Ehdr eh;
    int rc = read_ident(img, &eh, err);

    if (rc == 0) {
        rc = read_phdrs(img, &eh, err);
    }
    if (rc == 0 && img->notes_seen == 0) {
        rc = read_sections(img, &eh, err);
    }
    if (rc == 0) {
        rc = image_check_notes(img, err);
    }
    if (rc == 0 && img->nr_segments == 0) {
        rc = image_refuse(err, "dom0 kernel: it has nothing to load: it is damaged");
    }
    if (rc == 0) {
        rc = place_segments(img, err);
    }
    return rc ? rc : check_addresses(img, err);
}
