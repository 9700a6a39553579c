/* SPDX-License-Identifier: MIT */
/*
 * What the readers of the boot protocols share: modules, screens, and the file
 * names before arguments.
 */
#include "boot/fill.h"

#include "boot/phys.h"
#include "lib/string.h"
#include "sys/log.h"

static __init bool overlaps_image(const struct boot_info *info, uint64_t start, uint64_t end)
{
    return start < info->image_end.a && end > info->image_start.a;
}

__init void boot_add_module(struct boot_info *info, uint64_t start, uint64_t end,
                            uint64_t string_paddr)
{
    struct boot_module *m = &info->modules[info->nr_modules];

    if (start == 0 || end <= start) {
        log_warn("boot: module from %#lx to %#lx is empty: ignored", start, end);
        return;
    }
    if (overlaps_image(info, start, end)) {
        log_warn("boot: module from %#lx to %#lx lies over the hypervisor: ignored", start, end);
        return;
    }
    if (info->nr_modules == BOOT_MAX_MODULES) {
        log_warn("boot: more than %u modules; the one at %#lx is ignored", BOOT_MAX_MODULES, start);
        return;
    }
    m->start = PADDR(start);
    m->len_bytes = end - start;
    boot_copy_string(m->cmdline, sizeof(m->cmdline), string_paddr, "a module's command line");
    info->nr_modules++;
}

__init void boot_set_framebuffer(struct boot_info *info, const struct boot_mb_framebuffer *fb,
                                 const uint8_t *rgb)
{
    if (fb->kind == BOOT_MB_FB_TEXT) {
        info->video = BOOT_VIDEO_TEXT;
        return;
    }
    if (fb->kind != BOOT_MB_FB_RGB || fb->addr == 0 || fb->width == 0 || fb->height == 0 ||
        (fb->bpp != 16 && fb->bpp != 24 && fb->bpp != 32) ||
        (uint64_t)fb->width * (fb->bpp / 8) > fb->pitch) {
        log_warn(
            "boot: the screen's mode (kind %u, %ux%u, %u bits a pixel) is not supported: not used",
            fb->kind, fb->width, fb->height, fb->bpp);
        info->video = BOOT_VIDEO_NONE;
        return;
    }
    info->video = BOOT_VIDEO_FRAMEBUFFER;
    info->fb = (struct boot_framebuffer){
        .base = PADDR(fb->addr),
        .width = fb->width,
        .height = fb->height,
        .pitch_bytes = fb->pitch,
        .bits_per_pixel = fb->bpp,
        .red_pos = rgb[0],
        .red_size = rgb[1],
        .green_pos = rgb[2],
        .green_size = rgb[3],
        .blue_pos = rgb[4],
        .blue_size = rgb[5],
    };
}

/* "GRUB 2.06", "GRUB 10.1", but not "GRUB 0.97". */
static __init bool gives_no_file_names(const char *loader)
{
    return string_starts(loader, "GRUB ") && loader[5] >= '1' && loader[5] <= '9' &&
           !(loader[5] == '1' && loader[6] == '.');
}

static __init void drop_first_word(char *line)
{
    const char *rest = line;

    while (*rest == ' ') {
        rest++;
    }
    while (*rest != '\0' && *rest != ' ') {
        rest++;
    }
    while (*rest == ' ') {
        rest++;
    }
    memmove(line, rest, strlen(rest) + 1);
}

__init void boot_drop_file_names(struct boot_info *info)
{
    if (gives_no_file_names(info->loader)) {
        return;
    }
    drop_first_word(info->cmdline);
    for (uint32_t i = 0; i < info->nr_modules; i++) {
        drop_first_word(info->modules[i].cmdline);
    }
}
