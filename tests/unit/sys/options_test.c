/* SPDX-License-Identifier: MIT */
/* The options that need more than a type. */
/* sources: hv/sys/options.c hv/sys/cmdline.c hv/lib/string.c hv/lib/format.c
 * tests/unit/sys/fake_log.c */
#include "sys/options.h"

#include "sys/fake_log.h"

static unsigned int levels[2], guest_levels[2];

void log_set_levels(unsigned int always, unsigned int limited)
{
    levels[0] = always;
    levels[1] = limited;
}

void log_set_guest_levels(unsigned int always, unsigned int limited)
{
    guest_levels[0] = always;
    guest_levels[1] = limited;
}

struct log_levels log_levels(void)
{
    return (struct log_levels){ levels[0], levels[1] };
}

struct log_levels log_guest_levels(void)
{
    return (struct log_levels){ guest_levels[0], guest_levels[1] };
}

static void good(const char *line)
{
    fake_log_reset();
    options_parse(line);
    assert_int_equal(fake_log_nr_lines(), 0);
}

static void bad(const char *line)
{
    fake_log_reset();
    options_parse(line);
    assert_int_equal(fake_log_nr_lines(), 1);
}

/* The amounts of a host with 1 GiB available; builder/dom0_size_test.c has those of the oracle. */
static void an_amount_is_a_size_a_part_or_their_sum(void **state)
{
    const uint64_t mib = 1ul << 20;
    static const struct {
        const char *line;
        uint64_t mib;
    } cases[] = {
        { "dom0_mem=512M", 512 },
        { "dom0_mem=262144", 256 },
        { "dom0_mem=01000000", 256 },
        { "dom0_mem=0x10000", 64 },
        { "dom0_mem=50%", 511 },
        { "dom0_mem=100M+50%", 611 },
        { "dom0_mem=1T", 1 << 20 },
        { "dom0_mem=-256M", 768 },
        { "dom0_mem=-50%", 512 },
        { "dom0_mem=-100M+50%", 412 },
        { "dom0_mem=-2G", 0 },
        { "dom0_mem=0", 77 },
        { "dom0_mem=64M dom0_mem=0", 77 },
        { "dom0_mem=128M,64M", 64 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        good(cases[i].line);
        assert_int_equal(option_memory_bytes(&hv_options.dom0_mem, 1024 * mib, 77 * mib) / mib,
                         cases[i].mib);
    }
    good("dom0_mem=min:1M,max:2M");
    assert_int_equal(hv_options.dom0_mem_min.bytes, mib);
    assert_int_equal(hv_options.dom0_mem_max.bytes, 2 * mib);
    good("dom0_mem=18446744073709551615b+99%");
    assert_int_equal(option_memory_bytes(&hv_options.dom0_mem, 1024 * mib, 0), UINT64_MAX);
}

static void what_is_no_amount_ends_the_list(void **state)
{
    static const char *const cases[] = {
        "dom0_mem=",           "dom0_mem=64M,max:",  "dom0_mem=64M,12X",
        "dom0_mem=64M,100%",   "dom0_mem=64M,1G+",   "dom0_mem=64M,+10%",
        "dom0_mem=64M,10%+1G", "dom0_mem=64M,1G+10", "dom0_mem=64M,12X,128M",
        "dom0_mem=64M,1.5G",   "no-dom0_mem",
    };

    good("dom0_mem=64M");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bad(cases[i]);
        assert_int_equal(hv_options.dom0_mem.bytes, 64 << 20);
    }
}

static void dom0_vcpus_are_a_number_or_a_range(void **state)
{
    static const struct {
        const char *line;
        uint32_t low, high;
    } cases[] = {
        { "dom0_max_vcpus=4", 4, 4 },
        { "dom0_max_vcpus=2-8", 2, 8 },
        { "dom0_max_vcpus=-3", 0, 3 },
        { "dom0_max_vcpus=2-", 2, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        good(cases[i].line);
        assert_int_equal(hv_options.dom0_min_vcpus, cases[i].low);
        assert_int_equal(hv_options.dom0_max_vcpus, cases[i].high);
    }
    bad("dom0_max_vcpus=0");
    bad("dom0_max_vcpus=8-2");
    bad("dom0_max_vcpus=many");
    bad("dom0_max_vcpus");
}

static void log_levels_have_a_limited_part(void **state)
{
    good("loglvl=all guest_loglvl=error/warning");
    assert_int_equal(levels[0], LOG_DEBUG + 1);
    assert_int_equal(guest_levels[0], LOG_ERR + 1);
    assert_int_equal(guest_levels[1], LOG_WARN + 1);
    good("guest_loglvl=none");
    assert_int_equal(guest_levels[1], 0);
    bad("loglvl=loud");
    bad("loglvl=all/");
}

static void what_stock_configurations_say_is_understood(void **state)
{
    good("placeholder no-real-mode edd=off console=com1,vga com1=115200,8n1 vga=current,keep "
         "dom0_vcpus_pin dom0=pv noreboot sched=credit maxcpus=2 gnttab_max_frames=64 "
         "gnttab=max-ver:1 acpi=on noapic conring_size=64k conswitch=bx sync_console");
    assert_string_equal(hv_options.console, "com1,vga");
    assert_string_equal(hv_options.com[0], "115200,8n1");
    assert_true(hv_options.vga_keep);
    assert_true(hv_options.noreboot);
    assert_int_equal(hv_options.max_cpus, 2);
    assert_int_equal(hv_options.gnttab_max_version, 1);
    assert_int_equal(hv_options.conring_bytes, 65536);
    assert_int_equal(hv_options.conswitch, 'b');
    assert_true(hv_options.conswitch_stay);
    good("nosmp reboot=k");
    assert_int_equal(hv_options.max_cpus, 1);
    assert_int_equal(hv_options.reboot, OPTION_REBOOT_KEYBOARD);
    good("smt=0");
    assert_false(hv_options.smt);
    bad("iommu=no ucode=scan watchdog crashkernel=256M flask=disabled spec-ctrl=no xpti=0 "
        "cpuid=x console_timestamps=date hpet=1 cpufreq=xen max_cstate=1 tsc=unstable nmi=dom0 "
        "mce=1 bootscrub=0");
    assert_non_null(strstr(fake_log_last(), "accepted without effect"));
}

static void those_that_may_change_later_take_what_they_tell(void **state)
{
    static const char *const cases[OPTION_NR_PARAMS][3] = {
        { "conswitch", "cx", "c1" },
        { "gnttab_max_frames", "77", "4097" },
        { "gnttab_max_maptrack_frames", "1234", "many" },
        { "guest_loglvl", "none/all", "none/" },
        { "loglvl", "warning/info", "loud" },
    };
    char value[32];

    for (size_t i = 0; i < OPTION_NR_PARAMS; i++) {
        const struct option_param *p = &option_params[i];

        assert_string_equal(p->name, cases[i][0]);
        assert_true(p->set(cases[i][1]));
        p->tell(value, sizeof(value));
        assert_string_equal(value, cases[i][1]);
        assert_false(p->set(cases[i][2]));
        p->tell(value, sizeof(value));
        assert_string_equal(value, cases[i][1]);
        assert_true(p->set(value));
    }
    assert_int_equal(hv_options.gnttab_max_frames, 77);
    assert_true(option_params[4].set("debug"));
    option_params[4].tell(value, sizeof(value));
    assert_string_equal(value, "all/all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_amount_is_a_size_a_part_or_their_sum),
        cmocka_unit_test(what_is_no_amount_ends_the_list),
        cmocka_unit_test(dom0_vcpus_are_a_number_or_a_range),
        cmocka_unit_test(log_levels_have_a_limited_part),
        cmocka_unit_test(those_that_may_change_later_take_what_they_tell),
        cmocka_unit_test(what_stock_configurations_say_is_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
