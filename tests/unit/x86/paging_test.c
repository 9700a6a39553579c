/* SPDX-License-Identifier: MIT */
/* sources: hv/x86/paging.c tests/unit/x86/fake.c */
/*
 * Before paging_init() tables are reached at their machine addresses: here
 * these are addresses of this program.
 */
#include "x86/fake.h"

#include "abi/errno.h"
#include "sys/boot_info.h"
#include "sys/image.h"
#include "sys/lock.h"
#include "x86/desc.h"
#include "x86/features.h"
#include "x86/memory.h"
#include "x86/paging.h"
#include "x86/smp.h"

#define VA  0xffff810000000000ull
#define MIB (1ull << 20)
#define GIB (1ull << 30)

struct boot_info boot_info;
const char __image_start[1], __text_start[1], __text_end[1], __rodata_start[1], __rodata_end[1];
uint64_t image_l3[512];

static unsigned int nr_tables, max_tables, nr_flushes;

static paddr_t page_alloc(void)
{
    if (nr_tables == max_tables) {
        return PADDR(0);
    }
    nr_tables++;
    return PADDR((uintptr_t)aligned_alloc(PAGE_SIZE, PAGE_SIZE));
}

const struct x86_memory_ops x86_memory_ops = { .page_alloc = page_alloc };

void spin_lock_wait(struct spinlock *lock)
{
    abort();
}

const void *idt_page(void)
{
    return NULL;
}

void cr3_load(uint64_t cr3)
{
}

void tlb_flush_global_all(void)
{
    nr_flushes++;
}

static void free_tables(uint64_t *table, unsigned int level)
{
    for (unsigned int i = 0; level > 1 && i < PTE_PER_TABLE; i++) {
        if (table[i] & PTE_P && !(table[i] & PTE_PS)) {
            uint64_t *lower = (uint64_t *)pte_paddr(table[i]).a;

            free_tables(lower, level - 1);
            free(lower);
        }
    }
}

static int setup(void **state)
{
    fake_reset();
    nr_tables = nr_flushes = 0;
    max_tables = 100;
    cpu_features.bits = 1ull << FEATURE_PAGE_1G;
    return 0;
}

static int teardown(void **state)
{
    free_tables(hv_l4, 4);
    memset(hv_l4, 0, sizeof(hv_l4));
    return 0;
}

static unsigned int level_of(uint64_t va)
{
    unsigned int level;

    return paging_entry(va, &level) != NULL ? level : 0;
}

static void the_largest_pages_that_fit_are_used(void **state)
{
    assert_int_equal(paging_map(VA, PADDR(0), 2 * GIB + 2 * MIB + PAGE_SIZE, PAGE_HV_RW), 0);
    assert_int_equal(level_of(VA), 3);
    assert_int_equal(level_of(VA + 2 * GIB), 2);
    assert_int_equal(level_of(VA + 2 * GIB + 2 * MIB), 1);
    assert_int_equal(level_of(VA + 2 * GIB + 2 * MIB + PAGE_SIZE), 0);
    assert_int_equal(nr_tables, 3);
}

static void without_1g_pages_2m_pages_are_used(void **state)
{
    cpu_features.bits = 0;
    assert_int_equal(paging_map(VA, PADDR(0), GIB, PAGE_HV_RW), 0);
    assert_int_equal(level_of(VA), 2);
}

static void an_odd_machine_address_needs_small_pages(void **state)
{
    assert_int_equal(paging_map(VA, PADDR(PAGE_SIZE), 4 * MIB, PAGE_HV_RW), 0);
    assert_int_equal(level_of(VA), 1);
    assert_int_equal(paging_virt_to_phys((void *)(VA + 3 * MIB + 5)).a, 3 * MIB + PAGE_SIZE + 5);
}

static void memory_types_move_with_the_size_of_the_page(void **state)
{
    unsigned int level;

    assert_int_equal(paging_map(VA, PADDR(0), 2 * MIB, PAGE_HV_WC), 0);
    assert_int_equal(*paging_entry(VA, &level), PTE_PAT_BIG | PTE_PS | (PAGE_HV_WC & ~PTE_PAT));
    assert_int_equal(paging_map(VA + 2 * MIB, PADDR(0), PAGE_SIZE, PAGE_HV_WC), 0);
    assert_int_equal(*paging_entry(VA + 2 * MIB, &level), PAGE_HV_WC);
}

static void protecting_a_part_splits_and_keeps_the_rest(void **state)
{
    unsigned int level;

    assert_int_equal(paging_map(VA, PADDR(GIB), GIB, PAGE_HV_RW), 0);
    assert_int_equal(paging_protect(VA + 4 * MIB, PAGE_SIZE, PAGE_HV_RO), 0);
    assert_int_equal(*paging_entry(VA + 4 * MIB, &level), (GIB + 4 * MIB) | PAGE_HV_RO);
    assert_int_equal(level, 1);
    assert_int_equal(*paging_entry(VA + 4 * MIB + PAGE_SIZE, &level),
                     (GIB + 4 * MIB + PAGE_SIZE) | PAGE_HV_RW);
    assert_int_equal(*paging_entry(VA, &level), GIB | PAGE_HV_RW | PTE_PS);
    assert_int_equal(level, 2);
}

static void unmapped_ranges_are_gone_and_flushed(void **state)
{
    assert_int_equal(paging_map(VA, PADDR(0), 4 * MIB + PAGE_SIZE, PAGE_HV_RW), 0);
    paging_unmap(VA, 4 * MIB + PAGE_SIZE);
    assert_int_equal(level_of(VA), 0);
    assert_int_equal(level_of(VA + 2 * MIB), 0);
    assert_int_equal(level_of(VA + 4 * MIB), 0);
    assert_int_equal(nr_flushes, 1);
}

static void running_out_of_tables_is_an_error(void **state)
{
    max_tables = 2;
    assert_int_equal(paging_map(VA, PADDR(0), PAGE_SIZE, PAGE_HV_RW), -ENOMEM);
    assert_null(paging_entry_make(VA));
}

static void lasting_mappings_keep_the_offset_and_lie_apart(void **state)
{
    char *a = paging_map_lasting(PADDR(0xfee00010), 32, PAGE_HV_UC);
    char *b = paging_map_lasting(PADDR(0xfec00000), 4097, PAGE_HV_UC);
    char *c = paging_map_lasting(PADDR(0xe0000000), 16 * MIB, PAGE_HV_WC);

    assert_int_equal((uintptr_t)a % PAGE_SIZE, 0x10);
    assert_int_equal(paging_virt_to_phys(a).a, 0xfee00010);
    assert_int_equal(paging_virt_to_phys(b + 4096).a, 0xfec01000);
    assert_true(b > a && c >= b + 2 * PAGE_SIZE);
    assert_int_equal(level_of((uintptr_t)c), 2);
}

static void nonsense_lengths_are_not_mapped(void **state)
{
    assert_null(paging_map_lasting(PADDR(0x1000), 0, PAGE_HV_UC));
    assert_null(paging_map_lasting(PADDR(0x1000), 1ull << 40, PAGE_HV_UC));
    assert_null(paging_map_lasting(PADDR(0x1010), ~0ull, PAGE_HV_UC));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_largest_pages_that_fit_are_used, setup, teardown),
        cmocka_unit_test_setup_teardown(without_1g_pages_2m_pages_are_used, setup, teardown),
        cmocka_unit_test_setup_teardown(an_odd_machine_address_needs_small_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_types_move_with_the_size_of_the_page, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(protecting_a_part_splits_and_keeps_the_rest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(unmapped_ranges_are_gone_and_flushed, setup, teardown),
        cmocka_unit_test_setup_teardown(running_out_of_tables_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(lasting_mappings_keep_the_offset_and_lie_apart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nonsense_lengths_are_not_mapped, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
