/* SPDX-License-Identifier: MIT */
/* sources: hv/builder/dom0.c hv/builder/image.c hv/builder/elf.c hv/builder/notes.c */
/* sources: hv/builder/unpack.c hv/lib/format.c hv/lib/string.c */
/* libs: -llzma -lzstd -llz4 -lz */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xen/elfnote.h>

#include "builder/dom0.h"
#include "sys/log.h"

#define MIB       (1ull << 20)
#define GIB       (1ull << 30)
#define P         1ull
#define RW        2ull
#define US        4ull
#define A_AND_D   0x60ull
#define LINUX_VA  0xffffffff80000000ull
#define LINUX_P2M 0x8000000000ull

static char printed[4096];

void log_print(enum log_level level, const char *fmt, ...)
{
    size_t used = strlen(printed);
    va_list args;

    va_start(args, fmt);
    vsnprintf(printed + used, sizeof(printed) - used, fmt, args);
    va_end(args);
    strncat(printed, "\n", sizeof(printed) - strlen(printed) - 1);
}

static struct kernel_image linux_image(uint64_t kernel_bytes)
{
    return (struct kernel_image){
        .notes_seen = 1ull << XEN_ELFNOTE_INIT_P2M | 1ull << XEN_ELFNOTE_ENTRY,
        .virt_base = LINUX_VA,
        .init_p2m = LINUX_P2M,
        .entry = 0xffffffff830791c0,
        .mod_start_pfn = 1,
        .virt_start = LINUX_VA + 16 * MIB,
        .virt_end = LINUX_VA + 16 * MIB + kernel_bytes,
    };
}

/* The tables as the builder would fill them, by number of frame. */
struct tables {
    const struct dom0_layout *l;
    uint64_t *boot, *p2m;
    uint64_t nr_set;
};

static uint64_t *entry_at(struct tables *t, uint64_t table_pfn, unsigned int index)
{
    assert_true(index < 512);
    if (table_pfn - t->l->tables_pfn < t->l->nr_tables) {
        return &t->boot[(table_pfn - t->l->tables_pfn) * 512 + index];
    }
    if (table_pfn - t->l->p2m_tables_pfn >= t->l->nr_p2m_tables) {
        fail_msg("pfn %#lx is no table", table_pfn);
    }
    return &t->p2m[(table_pfn - t->l->p2m_tables_pfn) * 512 + index];
}

static void set_entry(void *ctx, uint64_t table_pfn, unsigned int index, uint64_t pfn,
                      uint64_t flags)
{
    uint64_t *e = entry_at(ctx, table_pfn, index);

    assert_int_equal(*e, 0);
    *e = pfn << 12 | flags;
    ((struct tables *)ctx)->nr_set++;
}

/* What a processor finds for @va, as the entry of level 1. */
static uint64_t walk(struct tables *t, uint64_t va)
{
    uint64_t pfn = t->l->tables_pfn;
    uint64_t e = 0;

    for (int level = 4; level >= 1; level--) {
        e = *entry_at(t, pfn, va >> (3 + 9 * level) & 511);
        if (!(e & P)) {
            return 0;
        }
        assert_int_equal(e & (P | US), P | US);
        assert_true(level == 1 || e & RW);
        pfn = e >> 12;
    }
    return e;
}

static bool is_table(const struct dom0_layout *l, uint64_t pfn)
{
    return pfn - l->tables_pfn < l->nr_tables || pfn - l->p2m_tables_pfn < l->nr_p2m_tables;
}

static void check_tables(const struct dom0_layout *l)
{
    struct tables t = { .l = l };
    uint64_t links = l->nr_tables - 1 + l->nr_p2m_tables;
    uint64_t pages = ((l->boot.end_va - l->boot.va) + (l->p2m.end_va - l->p2m.va)) >> 12;

    t.boot = calloc(l->nr_tables, 4096);
    t.p2m = calloc(l->nr_p2m_tables + 1, 4096);
    dom0_make_tables(l, set_entry, &t);
    assert_int_equal(t.nr_set, links + pages);
    for (uint64_t va = l->boot.va, pfn = 0; va != l->boot.end_va; va += 4096, pfn++) {
        assert_int_equal(walk(&t, va), pfn << 12 | A_AND_D | US | P | (is_table(l, pfn) ? 0 : RW));
    }
    for (uint64_t va = l->p2m.va, pfn = l->p2m_pfn; va != l->p2m.end_va; va += 4096, pfn++) {
        assert_int_equal(walk(&t, va), pfn << 12 | A_AND_D | US | P | RW);
    }
    assert_int_equal(walk(&t, l->boot.va - 4096), 0);
    assert_int_equal(walk(&t, l->boot.end_va), 0);
    assert_int_equal(walk(&t, l->p2m.end_va ? l->p2m.end_va : LINUX_P2M), 0);
    /* No table is there for nothing. */
    for (uint64_t i = 0; i < l->nr_tables; i++) {
        uint64_t any = 0;

        for (int j = 0; j < 512; j++) {
            any |= t.boot[i * 512 + j];
        }
        assert_int_not_equal(any, 0);
    }
    free(t.boot);
    free(t.p2m);
}

struct part {
    uint64_t pfn, nr;
};

static int by_pfn(const void *a, const void *b)
{
    const struct part *pa = a, *pb = b;

    return pa->pfn < pb->pfn ? -1 : pa->pfn > pb->pfn;
}

static void check_parts(const struct dom0_layout *l)
{
    struct part parts[] = {
        { l->kernel_pfn, l->nr_kernel_pages },
        { l->initrd_pfn, l->nr_initrd_pages },
        { l->p2m_pfn, l->nr_p2m_pages },
        { l->start_info_pfn, 1 },
        { l->tables_pfn, l->nr_tables },
        { l->p2m_tables_pfn, l->nr_p2m_tables },
        { l->stack_pfn, 1 },
    };
    uint64_t boot_end = (l->boot.end_va - l->boot.va) >> 12;
    size_t nr = 0;

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (parts[i].nr) {
            parts[nr++] = parts[i];
        }
    }
    qsort(parts, nr, sizeof(parts[0]), by_pfn);
    for (size_t i = 0; i + 1 < nr; i++) {
        assert_true(parts[i].pfn + parts[i].nr <= parts[i + 1].pfn);
    }
    assert_true(parts[nr - 1].pfn + parts[nr - 1].nr <= l->nr_used_pages);
    assert_true(l->nr_used_pages <= l->nr_pages);
    assert_true(l->nr_p2m_pages * 512 >= l->nr_pages);
    assert_int_equal(l->boot.end_va % (4 * MIB), 0);
    assert_true((boot_end - l->stack_pfn - 1) * 4096 >= 512 * 1024);
    assert_true((boot_end - l->stack_pfn - 1) * 4096 < 512 * 1024 + 4 * MIB);
    assert_int_equal(l->boot.table_pfn[4], l->tables_pfn);
    assert_int_equal(l->stack_pfn, l->tables_pfn + l->nr_tables);
    if (!l->initrd_is_mapped && l->nr_initrd_pages) {
        assert_int_equal(l->initrd_pfn, boot_end);
    }
}

static void every_size_gives_a_sound_layout(void **state)
{
    static const uint64_t kernels[] = { 4096, 70 * 1024, 6 * MIB, 58 * MIB, 59 * MIB, 300 * MIB };
    static const uint64_t memories[] = { 64 * MIB, 100 * MIB, 512 * MIB, GIB,      GIB + 4096,
                                         4 * GIB,  13 * GIB,  100 * GIB, 512 * GIB };
    static const uint64_t initrds[] = { 0, 1, 2332633, 90 * MIB };
    unsigned int nr_planned = 0, nr_small = 0;

    for (size_t k = 0; k < ARRAY_SIZE(kernels); k++) {
        for (size_t m = 0; m < ARRAY_SIZE(memories); m++) {
            for (size_t i = 0; i < ARRAY_SIZE(initrds); i++) {
                for (int old = 0; old < 3; old++) {
                    struct kernel_image img = linux_image(kernels[k]);
                    struct image_error err = { { 0 } };
                    struct dom0_layout l;
                    int rc;

                    img.mod_start_pfn = old < 1;
                    img.notes_seen &= old < 2 ? ~0ull : ~(1ull << XEN_ELFNOTE_INIT_P2M);
                    rc = dom0_plan(&l, &img, memories[m] >> 12, initrds[i], &err);
                    if (rc == 0) {
                        check_parts(&l);
                        if (memories[m] < 100 * GIB || k == 3) {
                            check_tables(&l);
                        }
                        nr_planned++;
                    } else {
                        assert_true(strlen(err.text) > 40);
                        nr_small += rc == -ENOMEM;
                        assert_true(rc == -ENOMEM || (rc == -EINVAL && old == 2));
                    }
                }
            }
        }
    }
    assert_true(nr_planned > 500);
    assert_true(nr_small > 50);
}

/* The numbers that Debian's kernel gets elsewhere. */
static void debian_kernel_is_laid_out_as_usual(void **state)
{
    struct kernel_image img = linux_image(0);
    struct image_error err;
    struct dom0_layout l;

    img.virt_end = 0xffffffff84a00000;
    assert_int_equal(dom0_plan(&l, &img, GIB >> 12, 0x2397d9, &err), 0);
    printed[0] = 0;
    dom0_print(&l, &img);
    assert_string_equal(printed, "VIRTUAL MEMORY ARRANGEMENT:\n"
                                 " Loaded kernel: ffffffff81000000->ffffffff84a00000\n"
                                 " Phys-Mach map: 0000008000000000->0000008000200000\n"
                                 " Start info:    ffffffff84a00000->ffffffff84a004b8\n"
                                 " Page tables:   ffffffff84a01000->ffffffff84a2a000\n"
                                 " Boot stack:    ffffffff84a2a000->ffffffff84a2b000\n"
                                 " TOTAL:         ffffffff80000000->ffffffff84c00000\n"
                                 " ENTRY ADDRESS: ffffffff830791c0\n");
    assert_int_equal(l.nr_tables, 0x29);
    assert_int_equal(l.initrd_pfn, 0x4c00);
    assert_int_equal(l.nr_p2m_tables, 3);
    check_parts(&l);
    check_tables(&l);
}

static void a_small_memory_is_refused_with_figures(void **state)
{
    struct kernel_image img = linux_image(58 * MIB);
    struct image_error err;
    struct dom0_layout l;

    assert_int_equal(dom0_plan(&l, &img, 64 * MIB >> 12, 0, &err), -ENOMEM);
    assert_non_null(strstr(err.text, "dom0 has 65536 KiB"));
    assert_non_null(strstr(err.text, "dom0_mem="));
    assert_int_equal(dom0_plan(&l, &img, 0, 0, &err), -ENOMEM);
}

static void colliding_addresses_are_refused(void **state)
{
    static const uint64_t places[] = { 0xffffff8000000000ull, 0xffffff7fffe00000ull,
                                       0x00007fffffe00000ull };
    struct image_error err;
    struct dom0_layout l;

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct kernel_image img = linux_image(6 * MIB);

        img.init_p2m = places[i];
        assert_int_equal(dom0_plan(&l, &img, GIB >> 11, 0, &err), -EINVAL);
        assert_non_null(strstr(err.text, "collides"));
    }
}

static void an_initrd_that_cannot_be_mapped_is_refused(void **state)
{
    struct kernel_image img = linux_image(58 * MIB);
    struct image_error err;
    struct dom0_layout l;

    img.mod_start_pfn = 0;
    assert_int_equal(dom0_plan(&l, &img, 16 * GIB >> 12, 2 * GIB, &err), -EINVAL);
    assert_non_null(strstr(err.text, "smaller initrd"));
    assert_int_equal(dom0_plan(&l, &img, 16 * GIB >> 12, ~0ull >> 1, &err), -EINVAL);
}

static void a_kernel_at_the_bottom_is_laid_out(void **state)
{
    struct kernel_image img = { .virt_base = 0, .virt_start = 0x100000, .virt_end = 0x180000 };
    struct image_error err;
    struct dom0_layout l;

    assert_int_equal(dom0_plan(&l, &img, 64 * MIB >> 12, 5000, &err), 0);
    assert_true(l.initrd_is_mapped);
    assert_int_equal(l.initrd_pfn, 0x180);
    assert_int_equal(l.p2m_va, 0x182000);
    check_parts(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_gives_a_sound_layout),
        cmocka_unit_test(debian_kernel_is_laid_out_as_usual),
        cmocka_unit_test(a_small_memory_is_refused_with_figures),
        cmocka_unit_test(colliding_addresses_are_refused),
        cmocka_unit_test(an_initrd_that_cannot_be_mapped_is_refused),
        cmocka_unit_test(a_kernel_at_the_bottom_is_laid_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
