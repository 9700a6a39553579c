/* SPDX-License-Identifier: MIT */
/*
 * The table of all command-line options, under the names that boot
 * configurations for this ABI use, and the few that need more than a type.
 */
#include "sys/options.h"

#include "lib/format.h"
#include "lib/string.h"
#include "sys/cmdline.h"
#include "sys/cpu.h"
#include "sys/log.h"

#define ITEM_MAX 64u

struct hv_options hv_options = {
    .console = "com1,vga",
    .conswitch = 'a',
    .max_cpus = NR_CPUS,
    .smt = true,
    .acpi = true,
    .gnttab_max_frames = 64,
    .gnttab_max_maptrack_frames = 1024,
    .gnttab_max_version = 2,
};

static __init bool parse_com(unsigned int index, const char *value)
{
    return string_copy(hv_options.com[index], value, sizeof(hv_options.com[index]));
}

static __init bool parse_com1(const char *value)
{
    return parse_com(0, value);
}

static __init bool parse_com2(const char *value)
{
    return parse_com(1, value);
}

static __init bool parse_vga(const char *value)
{
    char item[ITEM_MAX];

    /* Modes are the loader's business; what matters here is who has the screen later. */
    while (cmdline_next_item(&value, item, sizeof(item))) {
        hv_options.vga_keep |= !strcmp(item, "keep");
    }
    return true;
}

static bool parse_conswitch(const char *value)
{
    bool stay = value[0] && value[1] == 'x';

    if (value[0] < 'a' || value[0] > 'z' || value[stay ? 2 : 1]) {
        return false;
    }
    hv_options.conswitch = value[0];
    hv_options.conswitch_stay = stay;
    return true;
}

static void tell_conswitch(char *value, size_t size)
{
    format_string(value, size, "%c%s", hv_options.conswitch, hv_options.conswitch_stay ? "x" : "");
}

/* `512M`, `25%`, `1G+10%`; with a minus before it: what dom0 does not get. */
static __init bool parse_memory(const char *text, struct option_memory *memory)
{
    struct option_memory m = { .all_but = text[0] == '-' };
    char part[ITEM_MAX];
    const char *plus;
    uint64_t n;
    size_t len;

    text += m.all_but;
    plus = strchr(text, '+');
    len = plus ? (size_t)(plus - text) : strlen(text);
    if (!len || len >= sizeof(part)) {
        return false;
    }
    string_copy(part, text, len + 1);
    if (!plus && part[len - 1] == '%') {
        plus = text - 1;
    } else if (!cmdline_size(part, &m.bytes)) {
        return false;
    }
    if (plus) {
        string_copy(part, plus + 1, sizeof(part));
        len = strlen(part);
        if (!len || part[len - 1] != '%') {
            return false;
        }
        part[len - 1] = '\0';
        if (!cmdline_uint(part, &n) || n >= 100) {
            return false;
        }
        m.percent = (uint8_t)n;
    }
    m.is_set = m.bytes || m.percent;
    *memory = m;
    return true;
}

static __init bool parse_dom0_mem_item(const char *item)
{
    if (string_starts(item, "min:")) {
        return parse_memory(item + 4, &hv_options.dom0_mem_min);
    }
    if (string_starts(item, "max:")) {
        return parse_memory(item + 4, &hv_options.dom0_mem_max);
    }
    return parse_memory(item, &hv_options.dom0_mem);
}

/* Up to the first item that is no amount, as in the hypervisor whose option this is. */
static __init bool parse_dom0_mem(const char *value)
{
    char item[ITEM_MAX];

    if (!*value) {
        return false;
    }
    while (cmdline_next_item(&value, item, sizeof(item))) {
        if (!parse_dom0_mem_item(item)) {
            log_warn(
                "command line: dom0_mem: \"%s\" is no amount of memory below 100%%; it and all "
                "behind it is skipped",
                item);
            break;
        }
    }
    return true;
}

__init uint64_t option_memory_bytes(const struct option_memory *m, uint64_t avail_bytes,
                                    uint64_t otherwise)
{
    uint64_t part = avail_bytes / 100 * m->percent;
    uint64_t bytes = m->bytes > UINT64_MAX - part ? UINT64_MAX : m->bytes + part;

    if (!m->is_set) {
        return otherwise;
    }
    if (m->all_but) {
        return bytes < avail_bytes ? avail_bytes - bytes : 0;
    }
    return bytes;
}

/* `4`, `2-4`, `-4`, `2-`. */
static __init bool parse_dom0_max_vcpus(const char *value)
{
    char low[ITEM_MAX];
    const char *dash = strchr(value, '-');
    uint64_t from = 0, to = 0;

    if (!dash) {
        if (!cmdline_uint(value, &to) || !to) {
            return false;
        }
        from = to;
    } else {
        if (dash - value >= (long)sizeof(low)) {
            return false;
        }
        string_copy(low, value, (size_t)(dash - value) + 1);
        if ((low[0] && !cmdline_uint(low, &from)) || (dash[1] && !cmdline_uint(dash + 1, &to))) {
            return false;
        }
    }
    if (from > UINT32_MAX || to > UINT32_MAX || (to && from > to)) {
        return false;
    }
    hv_options.dom0_min_vcpus = (uint32_t)from;
    hv_options.dom0_max_vcpus = (uint32_t)to;
    return true;
}

static __init bool parse_dom0(const char *value)
{
    char item[ITEM_MAX];

    while (cmdline_next_item(&value, item, sizeof(item))) {
        if (!strcmp(item, "pv") || !strcmp(item, "pvh")) {
            hv_options.dom0_pvh = !strcmp(item, "pvh");
        } else {
            log_info("command line: dom0=%s has no effect", item);
        }
    }
    return true;
}

static __init bool parse_nosmp(const char *value)
{
    hv_options.max_cpus = 1;
    return !*value;
}

static __init bool parse_acpi(const char *value)
{
    if (cmdline_bool(value, &hv_options.acpi)) {
        return true;
    }
    return !strcmp(value, "force") || !strcmp(value, "strict") || !strcmp(value, "ht") ||
           !strcmp(value, "noirq") || !strcmp(value, "verbose");
}

static __init bool parse_reboot(const char *value)
{
    char item[ITEM_MAX];

    while (cmdline_next_item(&value, item, sizeof(item))) {
        switch (item[0]) {
        case 'n':
            hv_options.noreboot = true;
            break;
        case 'a':
            hv_options.reboot = OPTION_REBOOT_ACPI;
            break;
        case 'k':
            hv_options.reboot = OPTION_REBOOT_KEYBOARD;
            break;
        case 'p':
        case 'P':
            hv_options.reboot = OPTION_REBOOT_PCI;
            break;
        case 't':
            hv_options.reboot = OPTION_REBOOT_TRIPLE_FAULT;
            break;
        case 'b': /* by the BIOS, by EFI, warm, cold: the same to us */
        case 'e':
        case 'w':
        case 'c':
            break;
        default:
            return false;
        }
    }
    return true;
}

static __init bool parse_gnttab(const char *value)
{
    char item[ITEM_MAX];
    uint64_t version;

    while (cmdline_next_item(&value, item, sizeof(item))) {
        if (string_starts(item, "max-ver:")) {
            if (!cmdline_uint(item + 8, &version) || version < 1 || version > 2) {
                return false;
            }
            hv_options.gnttab_max_version = (uint32_t)version;
        } else {
            log_info("command line: gnttab=%s has no effect", item);
        }
    }
    return true;
}

/* By how many levels they show; the last is another name of the one before. */
static const char *const level_names[] = { "none", "error", "warning", "info", "all", "debug" };

/* How many levels @name shows; -1: no such name. */
static int level_count(const char *name)
{
    for (int i = 0; i < (int)ARRAY_SIZE(level_names); i++) {
        if (!strcmp(name, level_names[i])) {
            return min(i, LOG_DEBUG + 1);
        }
    }
    return -1;
}

/* `level` or `level/limited level`. */
static bool parse_levels(const char *value, void (*use)(unsigned int, unsigned int))
{
    char always[ITEM_MAX];
    char *slash;
    int a, l;

    string_copy(always, value, sizeof(always));
    slash = strchr(always, '/');
    if (slash) {
        *slash++ = '\0';
    }
    a = level_count(always);
    l = slash ? level_count(slash) : a;
    if (a < 0 || l < 0) {
        return false;
    }
    use((unsigned int)a, (unsigned int)l);
    return true;
}

static bool parse_loglvl(const char *value)
{
    return parse_levels(value, log_set_levels);
}

static bool parse_guest_loglvl(const char *value)
{
    return parse_levels(value, log_set_guest_levels);
}

static void tell_levels(char *value, size_t size, struct log_levels levels)
{
    format_string(value, size, "%s/%s", level_names[levels.always], level_names[levels.limited]);
}

static void tell_loglvl(char *value, size_t size)
{
    tell_levels(value, size, log_levels());
}

static void tell_guest_loglvl(char *value, size_t size)
{
    tell_levels(value, size, log_guest_levels());
}

static bool parse_uint(const char *value, uint32_t *number, uint32_t low, uint32_t top)
{
    uint64_t n;

    if (!cmdline_uint(value, &n) || n < low || n > top) {
        return false;
    }
    WRITE_ONCE(*number, (uint32_t)n);
    return true;
}

static bool parse_gnttab_max_frames(const char *value)
{
    return parse_uint(value, &hv_options.gnttab_max_frames, 1, 4096);
}

static void tell_gnttab_max_frames(char *value, size_t size)
{
    format_string(value, size, "%u", hv_options.gnttab_max_frames);
}

static bool parse_gnttab_max_maptrack_frames(const char *value)
{
    return parse_uint(value, &hv_options.gnttab_max_maptrack_frames, 1, 65536);
}

static void tell_gnttab_max_maptrack_frames(char *value, size_t size)
{
    format_string(value, size, "%u", hv_options.gnttab_max_maptrack_frames);
}

#define PARAM(n)                                                                                   \
    {                                                                                              \
        .name = #n, .set = parse_##n, .tell = tell_##n                                             \
    }

const struct option_param option_params[OPTION_NR_PARAMS] = {
    PARAM(conswitch),
    PARAM(gnttab_max_frames),
    PARAM(gnttab_max_maptrack_frames),
    PARAM(guest_loglvl),
    PARAM(loglvl),
};

#define BOOL(n, member)                                                                            \
    {                                                                                              \
        .name = n, .type = CMDLINE_BOOL, .value = &hv_options.member                               \
    }
#define UINT(n, member, low, top)                                                                  \
    {                                                                                              \
        .name = n, .type = CMDLINE_UINT, .value = &hv_options.member, .min = low, .max = top       \
    }
#define SIZE(n, member, low, top)                                                                  \
    {                                                                                              \
        .name = n, .type = CMDLINE_SIZE, .value = &hv_options.member, .min = low, .max = top       \
    }
#define STRING(n, member)                                                                          \
    {                                                                                              \
        .name = n, .type = CMDLINE_STRING, .value = hv_options.member,                             \
        .max = sizeof(hv_options.member)                                                           \
    }
#define CUSTOM(n, fn)                                                                              \
    {                                                                                              \
        .name = n, .type = CMDLINE_CUSTOM, .parse = fn                                             \
    }
#define NO_EFFECT(n)                                                                               \
    {                                                                                              \
        .name = n, .type = CMDLINE_NO_EFFECT                                                       \
    }
#define SILENT(n)                                                                                  \
    {                                                                                              \
        .name = n, .type = CMDLINE_SILENT                                                          \
    }

static const struct cmdline_option options[] __initconst = {
    STRING("console", console),
    CUSTOM("com1", parse_com1),
    CUSTOM("com2", parse_com2),
    CUSTOM("vga", parse_vga),
    SIZE("conring_size", conring_bytes, 1024, 16u << 20),
    CUSTOM("conswitch", parse_conswitch),
    CUSTOM("loglvl", parse_loglvl),
    CUSTOM("guest_loglvl", parse_guest_loglvl),
    CUSTOM("dom0_mem", parse_dom0_mem),
    CUSTOM("dom0_max_vcpus", parse_dom0_max_vcpus),
    BOOL("dom0_vcpus_pin", dom0_vcpus_pin),
    CUSTOM("dom0", parse_dom0),
    UINT("maxcpus", max_cpus, 1, 0),
    CUSTOM("nosmp", parse_nosmp),
    BOOL("smt", smt),
    CUSTOM("acpi", parse_acpi),
    BOOL("noapic", noapic),
    BOOL("noreboot", noreboot),
    CUSTOM("reboot", parse_reboot),
    STRING("clocksource", clocksource),
    STRING("sched", sched),
    CUSTOM("gnttab_max_frames", parse_gnttab_max_frames),
    CUSTOM("gnttab_max_maptrack_frames", parse_gnttab_max_maptrack_frames),
    CUSTOM("gnttab", parse_gnttab),
    NO_EFFECT("bootscrub"),
    NO_EFFECT("console_timestamps"),
    NO_EFFECT("cpufreq"),
    NO_EFFECT("cpuid"),
    NO_EFFECT("crashkernel"),
    NO_EFFECT("flask"),
    NO_EFFECT("hpet"),
    NO_EFFECT("iommu"),
    NO_EFFECT("max_cstate"),
    NO_EFFECT("mce"),
    NO_EFFECT("nmi"),
    NO_EFFECT("spec-ctrl"),
    NO_EFFECT("tsc"),
    NO_EFFECT("ucode"),
    NO_EFFECT("watchdog"),
    NO_EFFECT("x2apic"),
    NO_EFFECT("xpti"),
    SILENT("edd"),
    SILENT("placeholder"),
    SILENT("real-mode"),
    SILENT("sync_console"), /* output always is */
};

__init void options_parse(const char *cmdline)
{
    cmdline_parse(cmdline, options, ARRAY_SIZE(options));
}
