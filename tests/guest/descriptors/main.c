/* SPDX-License-Identifier: MIT */
/*
 * The guest's descriptor tables: what set_gdt, set_ldt and update_descriptor
 * take, what they change and what they refuse, so that no selector of a guest's
 * leads anywhere but to ring 3.
 */
#include "lib/hypercall.h"
#include "lib/mm.h"

#define DESC_P            (1ul << 47)
#define DESC_DPL(n)       ((uint64_t)(n) << 45)
#define DESC_S            (1ul << 44)
#define DESC_TYPE(n)      ((uint64_t)(n) << 40)
#define DESC_LONG         (1ul << 53)
#define DESC_BIG          (1ul << 54)
#define DESC_FLAT         0x008f00000000ffff /* granular, all 4 GiB */
#define CODE64(dpl)       (DESC_FLAT | DESC_P | DESC_S | DESC_DPL(dpl) | DESC_TYPE(0xb) | DESC_LONG)
#define CODE32(dpl)       (DESC_FLAT | DESC_P | DESC_S | DESC_DPL(dpl) | DESC_TYPE(0xb) | DESC_BIG)
#define DATA(dpl)         (DESC_FLAT | DESC_P | DESC_S | DESC_DPL(dpl) | DESC_TYPE(3) | DESC_BIG)
#define SYSTEM(dpl, type) (0x0000000100000067 | DESC_P | DESC_DPL(dpl) | DESC_TYPE(type))

static uint64_t *gdt;

static long set_gdt(const uint64_t *page, unsigned int entries)
{
    uint64_t frame = virt_to_mfn(page);

    return hyper_set_gdt(&frame, entries);
}

static long update(unsigned int index, uint64_t descriptor)
{
    return hyper_update_descriptor(virt_to_machine(&gdt[index]), descriptor);
}

TEST(a_gdt_is_not_writable)
{
    uint64_t *page = page_alloc();

    EXPECT(set_gdt(page, 512), -EINVAL); /* mapped writable */
    EXPECT(page_make_ro(page), 0);
    EXPECT(set_gdt(page, 512), 0);
    EXPECT(page_make_rw(page), -EBUSY);
    EXPECT(hyper_set_gdt(NULL, 0), 0);
    EXPECT(page_make_rw(page), 0);
    page_free(page);
}

TEST(frames_of_a_gdt_must_be_ours)
{
    uint64_t frame = 1ul << 38;

    EXPECT(hyper_set_gdt(&frame, 512), -EINVAL);
    frame = virt_to_mfn(kernel_l4);
    EXPECT(hyper_set_gdt(&frame, 512), -EINVAL);
    frame = start_info->shared_info >> PAGE_SHIFT;
    EXPECT(hyper_set_gdt(&frame, 512), -EINVAL);
}

TEST(a_page_with_a_forged_descriptor_is_no_gdt)
{
    static const uint64_t forged[] = {
        SYSTEM(0, 9),  SYSTEM(3, 9), /* a task state */
        SYSTEM(0, 2),  SYSTEM(3, 2), /* an LDT */
        SYSTEM(3, 14),               /* an interrupt gate */
        SYSTEM(3, 15),               /* a trap gate */
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(forged); i++) {
        uint64_t *page = page_alloc();

        page[5] = forged[i];
        page_make_ro(page);
        EXPECT(set_gdt(page, 512), -EINVAL);
        EXPECT(page_make_rw(page), 0);
        page_free(page);
    }
}

TEST(privileged_segments_become_ring_3)
{
    gdt = page_alloc();
    gdt[1] = CODE64(0);
    gdt[2] = DATA(0);
    gdt[3] = CODE32(1);
    gdt[4] = DATA(2);
    gdt[5] = DATA(3);
    gdt[6] = DATA(3) & ~DESC_P;
    page_make_ro(gdt);
    EXPECT(set_gdt(gdt, 512), 0);
    for (unsigned int i = 1; i <= 5; i++) {
        EXPECT(gdt[i] >> 45 & 3, 3);
    }
}

TEST(update_descriptor_checks_as_well)
{
    EXPECT(update(7, DATA(3)), 0);
    EXPECT(gdt[7] & ~DESC_TYPE(1), DATA(3) & ~DESC_TYPE(1));
    EXPECT(update(7, DATA(0)), 0);
    EXPECT(gdt[7] >> 45 & 3, 3);
    EXPECT(update(7, SYSTEM(0, 9)), -EINVAL);
    EXPECT(update(7, SYSTEM(0, 11)), -EINVAL);
    EXPECT(update(7, SYSTEM(0, 2)), -EINVAL);
    EXPECT(update(7, SYSTEM(3, 14)), -EINVAL);
    EXPECT(update(7, SYSTEM(3, 15)), -EINVAL);
    EXPECT(update(7, 0), 0);
    EXPECT(gdt[7], 0);
}

TEST(update_descriptor_writes_ordinary_pages_too)
{
    uint64_t *page = page_alloc();

    EXPECT(hyper_update_descriptor(virt_to_machine(&page[3]), DATA(3)), 0);
    EXPECT(page[3] & ~DESC_TYPE(1), DATA(3) & ~DESC_TYPE(1));
    EXPECT(hyper_update_descriptor(virt_to_machine(&kernel_l4[3]), 0), -EINVAL);
    EXPECT(hyper_update_descriptor(virt_to_machine(&page[3]) + 4, 0), -EINVAL);
    page_free(page);
}

static void load_es(void *arg)
{
    __asm__ volatile("mov %w0, %%es" ::"r"((uint16_t)(uint64_t)arg));
}

TEST(only_what_is_in_the_table_loads)
{
    struct trap_record record;

    for (unsigned int index = 1; index < 20; index++) {
        bool is_loadable = index == 2 || index == 4 || index == 5;
        uint16_t selector = (uint16_t)(index * 8 + 3);
        bool taken;

        /* Code that may be read loads as well. */
        is_loadable |= index == 1 || index == 3;
        taken = trap_try(load_es, (void *)(uint64_t)selector, &record);
        if (taken == is_loadable) {
            FAIL("selector %x %s", selector, taken ? "faults" : "loads");
        }
        if (taken && index != 6) {
            EXPECT(record.regs.vector, 13);
            EXPECT(record.regs.error, selector & ~3);
        } else if (taken) {
            EXPECT(record.regs.vector, 11); /* not present */
        }
    }
    load_es(NULL);
}

/* The hypervisor's own descriptors lie at the window's end: none of ring 0 loads. */
TEST(the_hypervisors_descriptors_do_not_load)
{
    struct trap_record record;

    for (unsigned int selector = 0xe003; selector < 0x10000; selector += 8) {
        bool is_flat = selector == FLAT_RING3_CS32 || selector == FLAT_RING3_DS32 ||
                       selector == FLAT_RING3_CS64;

        if (!trap_try(load_es, (void *)(uint64_t)selector, &record) && !is_flat) {
            /* The ABI has these three; some hypervisors keep more of the same kind. */
            uint64_t rights = 0;

            __asm__ volatile("lar %1, %0" : "=r"(rights) : "r"((uint64_t)selector));
            EXPECT(rights >> 13 & 3, 3);
        }
    }
    load_es(NULL);
}

user_code static void user_stop(void)
{
    __asm__ volatile("ud2");
}

TEST(user_mode_runs_on_a_segment_of_the_guests)
{
    struct regs regs;

    user_regs(&regs, user_stop);
    regs.cs = 1 * 8 + 3;
    regs.ss = 2 * 8 + 3;
    user_run(&regs);
    EXPECT(regs.vector, 6);
    EXPECT(regs.cs & 0xffff, 1 * 8 + 3);
    EXPECT(regs.ss & 0xffff, 2 * 8 + 3);
}

TEST(a_call_gate_does_not_work)
{
    uint64_t gate = (uint64_t)0xe033 << 16 | DESC_P | DESC_DPL(3) | DESC_TYPE(12);
    long rc = update(8, gate);
    struct regs regs;

    /* Taken with its privilege lowered, or refused: a call through it faults. */
    if (rc == 0) {
        EXPECT(gdt[8] >> 45 & 3, 0);
        EXPECT(update(8, 0), 0);
    } else {
        EXPECT(rc, -EINVAL);
    }
    user_regs(&regs, user_stop);
    regs.cs = 8 * 8 + 3;
    user_run(&regs);
    EXPECT(regs.vector, 13);
}

TEST(the_table_goes_back)
{
    EXPECT(hyper_set_gdt(NULL, 0), 0);
    EXPECT(page_make_rw(gdt), 0);
    page_free(gdt);
}

/* ---- LDT ---- */

static long set_ldt(const void *base, unsigned int entries)
{
    return mmuext(MMUEXT_SET_LDT, (uint64_t)base, entries);
}

TEST(an_ldt_loads)
{
    uint64_t *ldt = page_alloc();
    struct trap_record record;
    struct regs regs;

    ldt[0] = DATA(0);
    ldt[1] = CODE64(0);
    ldt[2] = SYSTEM(0, 9);
    page_make_ro(ldt);
    EXPECT(set_ldt(ldt, 2), 0);
    CHECK(trap_try(load_es, (void *)7, &record)); /* the page holds a task state */
    page_make_rw(ldt);
    ldt[2] = 0;
    page_make_ro(ldt);
    EXPECT(set_ldt(ldt, 2), 0);
    CHECK(!trap_try(load_es, (void *)7, &record));
    EXPECT(ldt[0] >> 45 & 3, 3);
    CHECK(trap_try(load_es, (void *)(2 * 8 + 7), &record)); /* beyond the limit */
    EXPECT(record.regs.vector, 13);
    EXPECT(page_make_rw(ldt), -EBUSY);
    user_regs(&regs, user_stop);
    regs.cs = 1 * 8 + 7;
    user_run(&regs);
    EXPECT(regs.vector, 6);
    EXPECT(regs.cs & 0xffff, 1 * 8 + 7);
    load_es(NULL);
    EXPECT(set_ldt(NULL, 0), 0);
    CHECK(trap_try(load_es, (void *)7, &record));
    EXPECT(page_make_rw(ldt), 0);
    page_free(ldt);
}

TEST(bad_ldts_are_refused)
{
    EXPECT(set_ldt((void *)(FREE_VA + 1), 8), -EINVAL);
    EXPECT(set_ldt((void *)FREE_VA, 8193), -EINVAL);
    EXPECT(set_ldt((void *)0xffff830000000000, 8), -EINVAL);
    EXPECT(set_ldt((void *)0x800000000000, 8), -EINVAL);
}

/* An LDT at an unmapped address faults where it is used. */
TEST(an_unmapped_ldt_faults)
{
    struct trap_record record;

    EXPECT(set_ldt((void *)FREE_VA, 8), 0);
    CHECK(trap_try(load_es, (void *)7, &record));
    CHECK(record.regs.vector == 14 || record.regs.vector == 13);
    EXPECT(set_ldt(NULL, 0), 0);
}
