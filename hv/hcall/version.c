/* SPDX-License-Identifier: MIT */
/*
 * xen_version and console_io.
 *
 * Stock tools choose their libraries by the number, so it is the ABI's: 4.17.
 * Our own name and version are in the strings beside it.
 */
#include "hcall/hcall.h"

#include <xen/features.h>
#include <xen/version.h>

#include "drivers/console.h"
#include "lib/format.h"
#include "lib/string.h"
#include "sys/boot_info.h"
#include "sys/image.h"
#include "sys/log.h"
#include "sys/version.h"

#define ABI_VERSION (VERSION_ABI_MAJOR << 16 | VERSION_ABI_MINOR)
#define BUILD_ID_AT 16u    /* in the ELF note: behind three lengths and "GNU" */
#define IO_CHUNK    128u   /* bytes of console text copied at a time */
#define IO_TEXT_MAX 65536u /* bytes of one write; kernels write lines */

static long give(struct guest_ptr arg, const void *data, size_t len)
{
    return copy_to_guest(arg, data, len);
}

/* A fixed-size field of text; the unprivileged learn that there is a text, not which. */
static long give_text(struct guest_ptr arg, const char *text, size_t len)
{
    char field[1024] = { 0 };

    if (!current()->domain->is_privileged) {
        text = "<denied>";
    }
    format_string(field, len, "%s", text);
    return copy_to_guest(arg, field, len);
}

static long op_version(struct guest_ptr arg)
{
    (void)arg;
    return ABI_VERSION;
}

static long op_extraversion(struct guest_ptr arg)
{
    xen_extraversion_t text = VERSION_EXTRA;

    return give(arg, text, sizeof(text));
}

static long op_compile_info(struct guest_ptr arg)
{
    struct xen_compile_info info = { VERSION_COMPILER, VERSION_BUILDER, VERSION_BUILD, "" };

    return give(arg, &info, sizeof(info));
}

static long op_capabilities(struct guest_ptr arg)
{
    xen_capabilities_info_t text = "xen-3.0-x86_64 ";

    return give(arg, text, sizeof(text));
}

static long op_changeset(struct guest_ptr arg)
{
    return give_text(arg, VERSION_BUILD, sizeof(xen_changeset_info_t));
}

static long op_platform_parameters(struct guest_ptr arg)
{
    struct xen_platform_parameters p = { .virt_start = HYPERVISOR_VIRT_START };

    return give(arg, &p, sizeof(p));
}

static long op_get_features(struct guest_ptr arg)
{
    const struct domain *d = current()->domain;
    struct xen_feature_info fi;

    if (copy_from_guest(&fi, arg, sizeof(fi)) != 0) {
        return -EFAULT;
    }
    if (fi.submap_idx != 0) {
        return -EINVAL;
    }
    fi.submap = 1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_highmem_assist |
                1u << XENFEAT_gnttab_map_avail_bits | 1u << XENFEAT_memory_op_vnode_supported |
                1u << XENFEAT_direct_mapped | 1u << XENFEAT_pae_pgdir_above_4gb;
    if (d->is_hardware) {
        fi.submap |= 1u << XENFEAT_dom0;
    }
    return give(arg, &fi, sizeof(fi));
}

static long op_pagesize(struct guest_ptr arg)
{
    return guest_ptr_null(arg) ? (long)PAGE_SIZE : -EINVAL;
}

static long op_guest_handle(struct guest_ptr arg)
{
    return give(arg, current()->domain->handle, sizeof(xen_domain_handle_t));
}

static long op_commandline(struct guest_ptr arg)
{
    return give_text(arg, boot_info.cmdline, sizeof(xen_commandline_t));
}

/* The linker's hash of the image; how long it is, and itself if there is room. */
static long op_build_id(struct guest_ptr arg)
{
    const uint8_t *id = __build_id_start + BUILD_ID_AT;
    uint32_t len_bytes = (uint32_t)(__build_id_end - id);
    xen_build_id_t build_id;

    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    if (guest_ptr_null(arg)) {
        return len_bytes;
    }
    if (copy_from_guest(&build_id, arg, sizeof(build_id)) != 0) {
        return -EFAULT;
    }
    if (build_id.len == 0) {
        return -EINVAL;
    }
    if (build_id.len < len_bytes) {
        return -ENOBUFS;
    }
    return copy_to_guest(guest_ptr_add(arg, sizeof(build_id)), id, len_bytes) != 0
               ? -EFAULT
               : (long)len_bytes;
}

static const struct hcall_op ops[] = {
    [XENVER_version] = { .fn = op_version },
    [XENVER_extraversion] = { .fn = op_extraversion },
    [XENVER_compile_info] = { .fn = op_compile_info },
    [XENVER_capabilities] = { .fn = op_capabilities },
    [XENVER_changeset] = { .fn = op_changeset },
    [XENVER_platform_parameters] = { .fn = op_platform_parameters },
    [XENVER_get_features] = { .fn = op_get_features },
    [XENVER_pagesize] = { .fn = op_pagesize },
    [XENVER_guest_handle] = { .fn = op_guest_handle },
    [XENVER_commandline] = { .fn = op_commandline },
    [XENVER_build_id] = { .fn = op_build_id },
};

long hcall_xen_version(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    UNUSED(c, d, e, f);
    /* The kernels' way to ask for events that wait: it happens all the time. */
    if (likely(cmd == XENVER_version)) {
        return ABI_VERSION;
    }
    return hcall_dispatch(ops, ARRAY_SIZE(ops), (uint32_t)cmd, GUEST_PTR(arg));
}

/* -------------------------------------------------------------- console -- */

static void console_out(const struct domain *d, const char *text, size_t len)
{
    if (d->is_hardware) {
        log_dom0_console(text, len);
    } else {
        log_domain_output(d->id, text, len);
    }
}

static long console_write(const struct domain *d, uint32_t len, struct guest_ptr from)
{
    char chunk[IO_CHUNK];

    if (len > IO_TEXT_MAX) {
        len = IO_TEXT_MAX;
    }
    while (len > 0) {
        uint32_t n = min(len, IO_CHUNK);

        if (copy_from_guest(chunk, from, n) != 0) {
            return -EFAULT;
        }
        console_out(d, chunk, n);
        from = guest_ptr_add(from, n);
        len -= n;
    }
    return 0;
}

static long console_input(uint32_t len, struct guest_ptr to)
{
    char chunk[IO_CHUNK];
    size_t n = console_read(chunk, min(len, IO_CHUNK));

    if (n == 0) {
        return 0;
    }
    return copy_to_guest(to, chunk, n) != 0 ? -EFAULT : (long)n;
}

long hcall_console_io(uint64_t cmd, uint64_t count, uint64_t buffer, uint64_t d, uint64_t e,
                      uint64_t f)
{
    const struct domain *dom = current()->domain;

    UNUSED(d, e, f);
    if (!dom->is_privileged) {
        return -EPERM;
    }
    switch ((uint32_t)cmd) {
    case CONSOLEIO_write:
        return console_write(dom, (uint32_t)count, GUEST_PTR(buffer));
    case CONSOLEIO_read:
        return console_input((uint32_t)count, GUEST_PTR(buffer));
    default:
        return -ENOSYS;
    }
}
