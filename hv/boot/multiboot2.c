/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 2 (specification 2.0): a list of tags, each with its kind and
 * size, the next one 8-byte aligned behind it.  Spoken by GRUB 2, by BIOS and
 * EFI.  What comes in one tag and is wanted in the light of another (the
 * loader's name, the EFI tables) is looked at when all have been read.
 */
#include "boot/fill.h"

#include "boot/phys.h"
#include "lib/string.h"
#include "sys/image.h"
#include "sys/log.h"

struct mb2_tag {
    uint32_t kind;
    uint32_t size; /* this head included */
};

enum mb2_kind {
    MB2_END = 0,
    MB2_CMDLINE = 1,
    MB2_LOADER_NAME = 2,
    MB2_MODULE = 3,
    MB2_MEMORY = 4,
    MB2_MEMORY_MAP = 6,
    MB2_FRAMEBUFFER = 8,
    MB2_EFI64_SYSTEM_TABLE = 12,
    MB2_RSDP_OLD = 14,
    MB2_RSDP_NEW = 15,
    MB2_EFI_SERVICES_ON = 18,
    MB2_EFI64_IMAGE_HANDLE = 20,
};

/* What the tags say, each NULL until it was seen. */
struct mb2_seen {
    const void *memory_map;
    const void *memory;
    const void *rsdp_old, *rsdp_new;
};

struct mb2_memory {
    struct mb2_tag tag;
    uint32_t lower_kib, upper_kib;
};

struct mb2_memory_map {
    struct mb2_tag tag;
    uint32_t entry_size, version;
};

struct mb2_mmap_entry {
    uint64_t start, len_bytes;
    uint32_t type, reserved;
} packed;

struct mb2_module {
    struct mb2_tag tag;
    uint32_t start, end;
};

struct mb2_framebuffer {
    struct mb2_tag tag;
    struct boot_mb_framebuffer fb;
    uint8_t reserved[2];
} packed;

struct mb2_efi64 {
    struct mb2_tag tag;
    uint64_t pointer;
};

/* Where the list of tags is, and the next of them. */
struct mb2_list {
    uint64_t start, at, end;
};

#define RSDP_MAX 64 /* ACPI's root table has 36 bytes; some room for its successors */

static uint8_t rsdp_copy[RSDP_MAX] aligned(16);

static __init void read_memory_map(const struct mb2_memory_map *map)
{
    uint64_t left = map->tag.size - sizeof(*map);
    const char *at = (const char *)(map + 1);

    if (map->entry_size < sizeof(struct mb2_mmap_entry)) {
        log_warn("boot: the loader's memory map has entries of %u bytes: not used",
                 map->entry_size);
        return;
    }
    for (; left >= map->entry_size; left -= map->entry_size, at += map->entry_size) {
        const struct mb2_mmap_entry *e = (const void *)at;

        boot_add_memory(e->start, e->len_bytes, e->type);
    }
}

static __init void read_memory(const struct mb2_seen *seen)
{
    const struct mb2_memory *basic = seen->memory;

    if (boot_read_efi_memory()) {
        return;
    }
    if (seen->memory_map) {
        read_memory_map(seen->memory_map);
    } else if (basic) {
        boot_add_memory(0, basic->lower_kib * 1024ull, E820_RAM);
        boot_add_memory(0x100000, basic->upper_kib * 1024ull, E820_RAM);
    }
}

static __init void read_framebuffer(struct boot_info *info, const struct mb2_framebuffer *fb)
{
    static const uint8_t no_rgb[6] __initconst = { 0 };
    bool has_rgb = fb->tag.size >= sizeof(*fb) + sizeof(no_rgb);

    boot_set_framebuffer(info, &fb->fb, has_rgb ? (const uint8_t *)(fb + 1) : no_rgb);
}

/*
 * The address of ACPI's root table.  The tags hold a copy of the table, not
 * its address, and lie in memory that is given away later; so the copy is
 * taken only where EFI does not tell the original, and into the image.
 */
static __init void find_rsdp(struct boot_info *info, const struct mb2_seen *seen)
{
    const struct mb2_tag *tag = seen->rsdp_new ? seen->rsdp_new : seen->rsdp_old;

    info->rsdp = PADDR(boot_efi_rsdp(info->efi_system_table.a));
    if (info->rsdp.a == 0 && tag) {
        memcpy(rsdp_copy, tag + 1, min((size_t)tag->size - sizeof(*tag), sizeof(rsdp_copy)));
        info->rsdp = PADDR(info->image_start.a + ((const char *)rsdp_copy - __image_start));
    }
}

/* The smallest size at which a tag can be looked into. */
static __init uint32_t smallest(uint32_t kind)
{
    switch (kind) {
    case MB2_MODULE:
        return sizeof(struct mb2_module);
    case MB2_MEMORY:
        return sizeof(struct mb2_memory);
    case MB2_MEMORY_MAP:
        return sizeof(struct mb2_memory_map);
    case MB2_FRAMEBUFFER:
        return sizeof(struct mb2_framebuffer);
    case MB2_EFI64_SYSTEM_TABLE:
    case MB2_EFI64_IMAGE_HANDLE:
        return sizeof(struct mb2_efi64);
    default:
        return sizeof(struct mb2_tag);
    }
}

/* A string that ends with the tag, if not before. */
static __init void copy_tag_string(char *dst, size_t size, const struct mb2_tag *tag, size_t skip,
                                   const char *what)
{
    size_t room = tag->size - skip;
    size_t len = strnlen((const char *)tag + skip, room);

    if (len > size - 1) {
        log_warn("boot: %s is longer than %zu characters; the rest of it is ignored", what,
                 size - 1);
        len = size - 1;
    }
    memcpy(dst, (const char *)tag + skip, len);
    dst[len] = '\0';
}

static __init void read_module(struct boot_info *info, const struct mb2_module *m)
{
    uint32_t before = info->nr_modules;

    boot_add_module(info, m->start, m->end, 0);
    if (info->nr_modules > before) {
        copy_tag_string(info->modules[before].cmdline, BOOT_CMDLINE_MAX, &m->tag, sizeof(*m),
                        "a module's command line");
    }
}

static __init void read_tag(struct boot_info *info, struct mb2_seen *seen,
                            const struct mb2_tag *tag)
{
    switch (tag->kind) {
    case MB2_CMDLINE:
        copy_tag_string(info->cmdline, sizeof(info->cmdline), tag, sizeof(*tag),
                        "the command line");
        break;
    case MB2_LOADER_NAME:
        copy_tag_string(info->loader, sizeof(info->loader), tag, sizeof(*tag), "the loader's name");
        break;
    case MB2_MODULE:
        read_module(info, (const void *)tag);
        break;
    case MB2_MEMORY:
        seen->memory = tag;
        break;
    case MB2_MEMORY_MAP:
        seen->memory_map = tag;
        break;
    case MB2_FRAMEBUFFER:
        read_framebuffer(info, (const void *)tag);
        break;
    case MB2_EFI64_SYSTEM_TABLE:
        info->efi_system_table = PADDR(((const struct mb2_efi64 *)tag)->pointer);
        break;
    case MB2_RSDP_OLD:
        seen->rsdp_old = tag;
        break;
    case MB2_RSDP_NEW:
        seen->rsdp_new = tag;
        break;
    case MB2_EFI_SERVICES_ON:
        boot_expect_efi_left();
        break;
    default: /* not asked for */
        break;
    }
}

/* False: there is no list at @paddr. */
static __init bool list_begin(struct mb2_list *list, uint64_t paddr)
{
    const uint32_t *total = boot_phys(paddr, 8);

    if (paddr % 8 != 0 || !total || !boot_phys(paddr, *total)) {
        return false;
    }
    *list = (struct mb2_list){ .start = paddr, .at = paddr + 8, .end = paddr + *total };
    return true;
}

/* The next tag, wholly inside the list, or NULL: at the end, or at a broken tag. */
static __init const struct mb2_tag *list_next(struct mb2_list *list)
{
    uint64_t room = list->at < list->end ? list->end - list->at : 0;
    const struct mb2_tag *tag = room < sizeof(*tag) ? NULL : boot_phys(list->at, sizeof(*tag));

    if (!tag || tag->kind == MB2_END || tag->size < smallest(tag->kind) || tag->size > room) {
        return NULL;
    }
    list->at += align_up(tag->size, 8);
    return tag;
}

/* After list_next() returned NULL. */
static __init bool list_is_broken(const struct mb2_list *list)
{
    const struct mb2_tag *tag = list->at < list->end ? boot_phys(list->at, sizeof(*tag)) : NULL;

    return list->at < list->end && !(tag && tag->kind == MB2_END);
}

__init void boot_read_multiboot2(struct boot_info *info, uint64_t paddr)
{
    struct mb2_seen seen = { NULL, NULL, NULL, NULL };
    const struct mb2_tag *tag;
    struct mb2_list list;

    info->protocol = "multiboot 2";
    if (!list_begin(&list, paddr)) {
        return;
    }
    while ((tag = list_next(&list)) != NULL) {
        read_tag(info, &seen, tag);
    }
    if (list_is_broken(&list)) {
        log_warn("boot: the loader's list of tags is broken at byte %lu of %lu",
                 list.at - list.start, list.end - list.start);
    }
    read_memory(&seen);
    find_rsdp(info, &seen);
    boot_drop_file_names(info);
}

__init void boot_leave_multiboot2(uint64_t paddr)
{
    uint64_t system_table = 0, image_handle = 0;
    bool services_on = false;
    const struct mb2_tag *tag;
    struct mb2_list list;

    if (!list_begin(&list, paddr)) {
        return;
    }
    while ((tag = list_next(&list)) != NULL) {
        if (tag->kind == MB2_EFI_SERVICES_ON) {
            services_on = true;
        } else if (tag->kind == MB2_EFI64_SYSTEM_TABLE) {
            system_table = ((const struct mb2_efi64 *)tag)->pointer;
        } else if (tag->kind == MB2_EFI64_IMAGE_HANDLE) {
            image_handle = ((const struct mb2_efi64 *)tag)->pointer;
        }
    }
    if (services_on) {
        boot_leave_efi(system_table, image_handle);
    }
}
