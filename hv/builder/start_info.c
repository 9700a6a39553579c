/* SPDX-License-Identifier: MIT */
/* dom0's start_info page, with the description of the screen behind it. */
#include "builder/start_info.h"

#include <xen/elfnote.h>

#include "lib/format.h"
#include "lib/string.h"
#include "sys/cmdline.h"
#include "sys/log.h"
#include "sys/options.h"

#define TEXT_COLUMNS     80
#define TEXT_ROWS        25
#define TEXT_FONT_HEIGHT 16
#define LFB_UNIT         65536u /* lfb_size counts these */

static_assert(sizeof(struct start_info) + sizeof(struct dom0_vga_console_info) <= PAGE_SIZE,
              "both share a page");

static void __init describe_framebuffer(struct dom0_vga_console_info *info,
                                        const struct boot_framebuffer *fb)
{
    uint64_t bytes = (uint64_t)fb->pitch_bytes * fb->height;

    info->u.vesa_lfb.width = (uint16_t)fb->width;
    info->u.vesa_lfb.height = (uint16_t)fb->height;
    info->u.vesa_lfb.bytes_per_line = (uint16_t)fb->pitch_bytes;
    info->u.vesa_lfb.bits_per_pixel = fb->bits_per_pixel;
    info->u.vesa_lfb.lfb_base = (uint32_t)fb->base.a;
    info->u.vesa_lfb.ext_lfb_base = (uint32_t)(fb->base.a >> 32);
    info->u.vesa_lfb.lfb_size = (uint32_t)(align_up(bytes, LFB_UNIT) / LFB_UNIT);
    info->u.vesa_lfb.red_pos = fb->red_pos;
    info->u.vesa_lfb.red_size = fb->red_size;
    info->u.vesa_lfb.green_pos = fb->green_pos;
    info->u.vesa_lfb.green_size = fb->green_size;
    info->u.vesa_lfb.blue_pos = fb->blue_pos;
    info->u.vesa_lfb.blue_size = fb->blue_size;
    if (fb->bits_per_pixel == 32) {
        info->u.vesa_lfb.rsvd_pos = 24;
        info->u.vesa_lfb.rsvd_size = 8;
    }
}

/* Describe the screen; false if there is none. */
static bool __init describe_screen(struct dom0_vga_console_info *info, const struct boot_info *boot)
{
    switch (boot->video) {
    case BOOT_VIDEO_TEXT:
        info->video_type = XEN_VGATYPE_TEXT_MODE_3;
        info->u.text_mode_3.font_height = TEXT_FONT_HEIGHT;
        info->u.text_mode_3.cursor_y = TEXT_ROWS - 1;
        info->u.text_mode_3.rows = TEXT_ROWS;
        info->u.text_mode_3.columns = TEXT_COLUMNS;
        return true;
    case BOOT_VIDEO_FRAMEBUFFER:
        info->video_type = boot->efi_system_table.a ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
        describe_framebuffer(info, &boot->fb);
        return true;
    default:
        return false;
    }
}

void __init start_info_fill(void *page, const struct dom0_layout *l, const struct kernel_image *img,
                            paddr_t shared_info, const char *cmdline, const struct boot_info *boot)
{
    struct start_info *si = page;

    format_string(si->magic, sizeof(si->magic), "xen-3.0-x86_64%s",
                  image_has_note(img, XEN_ELFNOTE_PAE_MODE) ? "p" : "");
    si->nr_pages = l->nr_pages;
    si->shared_info = shared_info.a;
    si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    si->pt_base = dom0_va(l, l->tables_pfn);
    si->nr_pt_frames = l->nr_tables;
    si->mfn_list = l->p2m_va;
    if (l->nr_p2m_tables) {
        si->first_p2m_pfn = l->p2m_pfn;
        si->nr_p2m_frames = l->nr_p2m_pages + l->nr_p2m_tables;
    }
    if (l->initrd_bytes) {
        si->mod_start = l->initrd_is_mapped ? dom0_va(l, l->initrd_pfn) : l->initrd_pfn;
        si->mod_len = l->initrd_bytes;
        si->flags |= l->initrd_is_mapped ? 0 : SIF_MOD_START_PFN;
    }
    string_copy((char *)si->cmd_line, cmdline, sizeof(si->cmd_line));
    if (describe_screen((void *)(si + 1), boot)) {
        si->console.dom0.info_off = sizeof(*si);
        si->console.dom0.info_size = sizeof(struct dom0_vga_console_info);
    }
}

static bool __init append(char *line, size_t size, const char *words)
{
    size_t used = strlen(line);
    const char *gap = used && *words ? " " : "";

    return format_string(line + used, size - used, "%s%s", gap, words) < size - used;
}

void __init start_info_cmdline(char *line, size_t size, const struct boot_info *boot)
{
    bool fits;

    line[0] = 0;
    fits = append(line, size, boot->modules[0].cmdline);
    fits &= append(line, size, cmdline_for_kernel(boot->cmdline));
    fits &= append(line, size, hv_options.noapic ? "noapic" : "");
    fits &= append(line, size, hv_options.acpi ? "" : "acpi=off");
    if (!fits) {
        log_warn("the command line of dom0's kernel is longer than %zu bytes and was cut off",
                 size - 1);
    }
}
