/* SPDX-License-Identifier: MIT */
/*
 * Every documented form of dom0_mem=, with what Debian's Xen 4.17 makes of it on
 * a machine of 2 GiB, of which 518108 pages are available when dom0 is made
 * (tests/guest/report prints these figures; it rounds some of them down by one).
 */
/* sources: hv/builder/dom0_size.c hv/sys/options.c hv/sys/cmdline.c hv/lib/string.c */
/* sources: hv/lib/format.c tests/unit/sys/fake_log.c */
#include "builder/dom0_size.h"

#include "sys/fake_log.h"
#include "sys/options.h"

#define AVAIL     518108u
#define DEFAULT   485727u /* less a sixteenth */
#define UNLIMITED UINT32_MAX

void log_set_levels(unsigned int always, unsigned int limited)
{
    (void)always;
    (void)limited;
}

void log_set_guest_levels(unsigned int always, unsigned int limited)
{
    log_set_levels(always, limited);
}

struct log_levels log_levels(void)
{
    return (struct log_levels){ 0 };
}

struct log_levels log_guest_levels(void)
{
    return (struct log_levels){ 0 };
}

static void forms_of_dom0_mem_mean_what_the_oracle_makes_of_them(void **state)
{
    static const struct {
        const char *line;
        uint64_t pages, max_pages;
    } cases[] = {
        { "", DEFAULT, UNLIMITED },
        { "dom0_mem=", DEFAULT, UNLIMITED },
        { "dom0_mem=0", DEFAULT, UNLIMITED },
        { "dom0_mem=256M,0", DEFAULT, UNLIMITED },
        { "dom0_mem=256M", 65536, UNLIMITED },
        { "dom0_mem=262144", 65536, UNLIMITED },
        { "dom0_mem=01000000", 65536, UNLIMITED },
        { "dom0_mem=10%", 51810, UNLIMITED },
        { "dom0_mem=256M+10%", 117346, UNLIMITED },
        { "dom0_mem=-256M", 452571, UNLIMITED },
        { "dom0_mem=-10%", 466297, UNLIMITED },
        { "dom0_mem=-256M+10%", 400761, UNLIMITED },
        { "dom0_mem=99%", 512926, UNLIMITED },
        { "dom0_mem=-1%", 512926, UNLIMITED },
        { "dom0_mem=100%", DEFAULT, UNLIMITED },
        { "dom0_mem=101%", DEFAULT, UNLIMITED },
        { "dom0_mem=+10%", DEFAULT, UNLIMITED },
        { "dom0_mem=10%+256M", DEFAULT, UNLIMITED },
        { "dom0_mem=256M+10", DEFAULT, UNLIMITED },
        { "dom0_mem=512MB,max:768M", DEFAULT, UNLIMITED },
        { "dom0_mem=1.5G", DEFAULT, UNLIMITED },
        { "dom0_mem=max:256M", 65536, 65536 },
        { "dom0_mem=max:50%", 259053, 259053 },
        { "dom0_mem=max:4G", DEFAULT, 1048576 },
        { "dom0_mem=min:1G", DEFAULT, UNLIMITED },
        { "dom0_mem=min:256M,max:512M", 131072, 131072 },
        { "dom0_mem=256M,min:512M", 131072, UNLIMITED },
        { "dom0_mem=256M,min:512M,max:384M", 98304, 98304 },
        { "dom0_mem=512M,max:1G", 131072, 262144 },
        { "dom0_mem=512M dom0_mem=max:1G", 131072, 262144 },
        { "dom0_mem=1G,max:512M", 131072, 131072 },
        { "dom0_mem=512M,max:-1G", 131072, 255963 },
        { "dom0_mem=512M,max:256M+10%", 117346, 117346 },
        { "dom0_mem=-256M,max:-1G", 255963, 255963 },
        { "dom0_mem=min:-1G,256M", 255963, UNLIMITED },
        { "dom0_mem=min:-1G,max:-1200M", 210907, 210907 },
        { "dom0_mem=512M,max:1X", 131072, UNLIMITED },
    };
    const struct hv_options fresh = hv_options;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t max_pages;

        hv_options = fresh;
        options_parse(cases[i].line);
        /* The oracle's own use of memory while it makes dom0 varies by a page. */
        assert_in_range(dom0_memory_pages(AVAIL), cases[i].pages, cases[i].pages + 1);
        max_pages = dom0_memory_max_pages(AVAIL);
        assert_in_range(max_pages, cases[i].max_pages,
                        cases[i].max_pages == UNLIMITED ? UNLIMITED : cases[i].max_pages + 1);
    }
    hv_options = fresh;
}

static void too_much_becomes_what_there_is(void **state)
{
    fake_log_reset();
    options_parse("dom0_mem=4G");
    assert_int_equal(dom0_memory_pages(AVAIL), AVAIL - 5120);
    assert_int_equal(fake_log_nr_lines(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_dom0_mem_mean_what_the_oracle_makes_of_them),
        cmocka_unit_test(too_much_becomes_what_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
