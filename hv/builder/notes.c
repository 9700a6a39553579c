/* SPDX-License-Identifier: MIT */
/*
 * The ELF notes of owner "Xen", by which a kernel tells where it wants to be
 * and what it can do: <xen/elfnote.h>.  Numbers come in four or eight bytes,
 * texts end with a NUL.  A note of a type that is not in the table below is
 * passed over.
 */
#include <elf.h>
#include <xen/elfnote.h>
#include <xen/features.h>

#include "builder/image.h"
#include "lib/string.h"

#define NOTE_ALIGN       4u
#define MAX_FEATURE_TEXT 512

enum note_kind {
    NOTE_ABSENT, /* not in the table */
    NOTE_NUMBER,
    NOTE_TEXT,
    NOTE_PAIR, /* two numbers of eight bytes; more pairs may follow */
    NOTE_FEATURES,
    NOTE_FEATURE_BITS,
};

struct note_rule {
    enum note_kind kind;
    size_t offset; /* in struct kernel_image */
    size_t size;   /* of a text, its NUL included */
};

#define NUMBER(member)                                                                             \
    {                                                                                              \
        NOTE_NUMBER, offsetof(struct kernel_image, member), 0                                      \
    }
#define TEXT(member)                                                                               \
    {                                                                                              \
        NOTE_TEXT, offsetof(struct kernel_image, member),                                          \
            sizeof(((struct kernel_image *)0)->member)                                             \
    }

static const struct note_rule rules[] = {
    [XEN_ELFNOTE_ENTRY] = NUMBER(entry),
    [XEN_ELFNOTE_HYPERCALL_PAGE] = NUMBER(hypercall_page),
    [XEN_ELFNOTE_VIRT_BASE] = NUMBER(virt_base),
    [XEN_ELFNOTE_PADDR_OFFSET] = NUMBER(paddr_offset),
    [XEN_ELFNOTE_XEN_VERSION] = TEXT(xen_version),
    [XEN_ELFNOTE_GUEST_OS] = TEXT(guest_os),
    [XEN_ELFNOTE_GUEST_VERSION] = TEXT(guest_version),
    [XEN_ELFNOTE_LOADER] = TEXT(loader),
    [XEN_ELFNOTE_FEATURES] = { NOTE_FEATURES, 0, 0 },
    [XEN_ELFNOTE_HV_START_LOW] = NUMBER(hv_start_low),
    [XEN_ELFNOTE_L1_MFN_VALID] = { NOTE_PAIR, offsetof(struct kernel_image, l1_mfn_valid), 0 },
    [XEN_ELFNOTE_SUSPEND_CANCEL] = NUMBER(suspend_cancel),
    [XEN_ELFNOTE_INIT_P2M] = NUMBER(init_p2m),
    [XEN_ELFNOTE_MOD_START_PFN] = NUMBER(mod_start_pfn),
    [XEN_ELFNOTE_SUPPORTED_FEATURES] = { NOTE_FEATURE_BITS, 0, 0 },
    [XEN_ELFNOTE_PHYS32_ENTRY] = { NOTE_ABSENT, 0, 0 }, /* for PVH alone */
};

/* As <xen/features.h> has them, less the prefix. */
static const struct {
    const char *name;
    uint8_t bit;
} feature_names[] = {
    { "writable_page_tables", XENFEAT_writable_page_tables },
    { "writable_descriptor_tables", XENFEAT_writable_descriptor_tables },
    { "auto_translated_physmap", XENFEAT_auto_translated_physmap },
    { "supervisor_mode_kernel", XENFEAT_supervisor_mode_kernel },
    { "pae_pgdir_above_4gb", XENFEAT_pae_pgdir_above_4gb },
    { "mmu_pt_update_preserve_ad", XENFEAT_mmu_pt_update_preserve_ad },
    { "highmem_assist", XENFEAT_highmem_assist },
    { "gnttab_map_avail_bits", XENFEAT_gnttab_map_avail_bits },
    { "hvm_callback_vector", XENFEAT_hvm_callback_vector },
    { "hvm_safe_pvclock", XENFEAT_hvm_safe_pvclock },
    { "hvm_pirqs", XENFEAT_hvm_pirqs },
    { "dom0", XENFEAT_dom0 },
    { "memory_op_vnode_supported", XENFEAT_memory_op_vnode_supported },
    { "ARM_SMCCC_supported", XENFEAT_ARM_SMCCC_supported },
    { "linux_rsdp_unrestricted", XENFEAT_linux_rsdp_unrestricted },
    { "not_direct_mapped", XENFEAT_not_direct_mapped },
    { "direct_mapped", XENFEAT_direct_mapped },
};

/* One word of the list; those that we do not know matter only if they are required. */
static int __init take_feature(struct kernel_image *img, const char *word, size_t len_bytes,
                               struct image_error *err)
{
    bool is_required = len_bytes > 0 && word[0] == '!';

    word += is_required;
    len_bytes -= is_required;
    for (size_t i = 0; i < ARRAY_SIZE(feature_names); i++) {
        if (strlen(feature_names[i].name) == len_bytes &&
            memcmp(feature_names[i].name, word, len_bytes) == 0) {
            img->features_supported |= 1u << feature_names[i].bit;
            img->features_required |= is_required ? 1u << feature_names[i].bit : 0;
            return 0;
        }
    }
    if (is_required) {
        return image_refuse(err, "dom0 kernel: it requires the feature %.*s, which is unknown",
                            (int)min(len_bytes, sizeof(err->text) / 2), word);
    }
    return 0;
}

static int __init take_features(struct kernel_image *img, const char *text, size_t len_bytes,
                                struct image_error *err)
{
    size_t end = strnlen(text, len_bytes);
    size_t start = 0;

    if (end > MAX_FEATURE_TEXT) {
        return image_refuse(err, "dom0 kernel: its list of features has more than %u characters",
                            MAX_FEATURE_TEXT);
    }
    for (size_t i = 0; i <= end; i++) {
        if (i == end || text[i] == '|') {
            int rc = take_feature(img, text + start, i - start, err);

            if (rc) {
                return rc;
            }
            start = i + 1;
        }
    }
    return 0;
}

static int __init take_number(uint64_t *number, const uint8_t *desc, size_t len_bytes,
                              unsigned int type, struct image_error *err)
{
    if (len_bytes != sizeof(uint32_t) && len_bytes != sizeof(uint64_t)) {
        return image_refuse(err,
                            "dom0 kernel: ELF note %u has %zu bytes, where a number has 4 or 8",
                            type, len_bytes);
    }
    *number = 0;
    memcpy(number, desc, len_bytes);
    return 0;
}

static int __init take_text(char *text, size_t size, const uint8_t *desc, size_t len_bytes,
                            unsigned int type, struct image_error *err)
{
    size_t len = strnlen((const char *)desc, len_bytes);

    if (len == len_bytes || len >= size) {
        return image_refuse(err, "dom0 kernel: the text of ELF note %u is too long or has no end",
                            type);
    }
    memcpy(text, desc, len + 1);
    return 0;
}

static int __init take_note(struct kernel_image *img, unsigned int type, const uint8_t *desc,
                            size_t len_bytes, struct image_error *err)
{
    const struct note_rule *rule = &rules[type];
    uint8_t *member = (uint8_t *)img + rule->offset;
    uint64_t bits;
    int rc;

    img->notes_seen |= 1ull << type;
    switch (rule->kind) {
    case NOTE_NUMBER:
        return take_number((uint64_t *)(void *)member, desc, len_bytes, type, err);
    case NOTE_TEXT:
        return take_text((char *)member, rule->size, desc, len_bytes, type, err);
    case NOTE_PAIR:
        if (len_bytes < sizeof(img->l1_mfn_valid)) {
            return image_refuse(err, "dom0 kernel: ELF note %u is too short for a pair", type);
        }
        memcpy(member, desc, sizeof(img->l1_mfn_valid));
        return 0;
    case NOTE_FEATURES:
        return take_features(img, (const char *)desc, len_bytes, err);
    case NOTE_FEATURE_BITS:
        rc = take_number(&bits, desc, len_bytes, type, err);
        img->features_supported |= rc ? 0 : (uint32_t)bits;
        return rc;
    default:
        return 0;
    }
}

int __init image_read_notes(struct kernel_image *img, const uint8_t *notes, size_t len_bytes,
                            struct image_error *err)
{
    Elf64_Nhdr nh;

    while (len_bytes >= sizeof(nh)) {
        uint64_t name_bytes, desc_bytes;
        const uint8_t *name = notes + sizeof(nh);
        int rc = 0;

        memcpy(&nh, notes, sizeof(nh));
        name_bytes = align_up(nh.n_namesz, NOTE_ALIGN);
        desc_bytes = align_up(nh.n_descsz, NOTE_ALIGN);
        len_bytes -= sizeof(nh);
        if (name_bytes > len_bytes || nh.n_descsz > len_bytes - name_bytes) {
            return image_refuse(err,
                                "dom0 kernel: an ELF note of %u and %u bytes ends beyond its "
                                "segment: it is damaged",
                                nh.n_namesz, nh.n_descsz);
        }
        if (nh.n_namesz == sizeof("Xen") && memcmp(name, "Xen", sizeof("Xen")) == 0 &&
            nh.n_type < ARRAY_SIZE(rules)) {
            rc = take_note(img, nh.n_type, name + name_bytes, nh.n_descsz, err);
        }
        if (rc) {
            return rc;
        }
        desc_bytes = min(desc_bytes, len_bytes - name_bytes);
        notes = name + name_bytes + desc_bytes;
        len_bytes -= name_bytes + desc_bytes;
    }
    return 0;
}

/* What a 64-bit paravirtual guest never gets. */
#define IMPOSSIBLE_FEATURES (1u << XENFEAT_supervisor_mode_kernel)

int __init image_check_notes(struct kernel_image *img, struct image_error *err)
{
    if (img->notes_seen == 0) {
        return image_refuse(err, "dom0 kernel: it has no ELF notes of owner Xen, so it was built "
                                 "without CONFIG_XEN_PV: install linux-image-amd64");
    }
    if (!image_has_note(img, XEN_ELFNOTE_ENTRY)) {
        return image_refuse(err, "dom0 kernel: its ELF notes have no entry point for paravirtual "
                                 "guests (PVH alone): use a kernel built with CONFIG_XEN_PV");
    }
    if (image_has_note(img, XEN_ELFNOTE_XEN_VERSION) && strcmp(img->xen_version, "xen-3.0") != 0) {
        return image_refuse(err, "dom0 kernel: it is for interface %s, this is xen-3.0",
                            img->xen_version);
    }
    if (image_has_note(img, XEN_ELFNOTE_LOADER) && strcmp(img->loader, "generic") != 0) {
        return image_refuse(err, "dom0 kernel: it asks for loader %s, this is generic",
                            img->loader);
    }
    if (image_has_note(img, XEN_ELFNOTE_SUPPORTED_FEATURES) &&
        !(img->features_supported & 1u << XENFEAT_dom0)) {
        return image_refuse(err,
                            "dom0 kernel: it does not support being dom0 (feature bit 11; it "
                            "has %#x): use one built with CONFIG_XEN_PV_DOM0",
                            img->features_supported);
    }
    if (img->features_required & IMPOSSIBLE_FEATURES) {
        return image_refuse(err,
                            "dom0 kernel: it requires features %#x, which 64-bit guests never "
                            "have",
                            img->features_required & IMPOSSIBLE_FEATURES);
    }
    if (image_has_note(img, XEN_ELFNOTE_HV_START_LOW) &&
        img->hv_start_low > HYPERVISOR_VIRT_START) {
        return image_refuse(err,
                            "dom0 kernel: it wants the hypervisor above %#llx, it begins at "
                            "%#llx",
                            (unsigned long long)img->hv_start_low,
                            (unsigned long long)HYPERVISOR_VIRT_START);
    }
    return 0;
}
