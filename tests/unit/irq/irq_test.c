/* SPDX-License-Identifier: MIT */
/* sources: hv/irq/gsi.c hv/irq/init.c hv/irq/ioapic.c hv/irq/line.c hv/irq/msi.c hv/irq/vector.c
 * tests/unit/irq/fake.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abi/errno.h"
#include "irq/encode.h"
#include "irq/fake.h"
#include "irq/internal.h"

static int begin(void **state)
{
    fake_reset();
    irq_init();
    return 0;
}

static uint64_t entry(unsigned int gsi)
{
    return fake_ioapics[0].entries[gsi];
}

static struct irq_line *map_gsi(unsigned int gsi)
{
    struct irq_line *line = NULL;

    assert_int_equal(irq_guest_map_gsi(gsi, 0, gsi, &line), 0);
    return line;
}

/* What the hardware does when @gsi's pin goes active: nothing if masked. */
static bool interrupt(unsigned int gsi)
{
    if (entry(gsi) & RTE_MASKED) {
        return false;
    }
    fake_be_cpu((unsigned int)(entry(gsi) >> RTE_DEST_SHIFT) / 2);
    irq_dispatch(entry(gsi) & 0xff);
    return true;
}

/* --- firmware tables --- */

static void all_pins_are_masked_at_the_start(void **state)
{
    assert_int_equal(irq_nr_gsis(), 24);
    for (unsigned int gsi = 0; gsi < 24; gsi++) {
        assert_int_equal(entry(gsi), RTE_MASKED);
    }
}

static void hostile_tables_leave_out_what_is_wrong(void **state)
{
    static const struct {
        uint32_t address[2], first_gsi[2], version[2];
        unsigned int nr_gsis;
    } cases[] = {
        { { 0xfec00000, 0xfec10000 }, { 0, 24 }, { 0x170020, 0x170020 }, 48 },
        { { 0xfec00000, 0xfec10000 }, { 0, 23 }, { 0x170020, 0x170020 }, 24 }, /* overlap */
        { { 0xfec00000, 0xfec10000 }, { 24, 0 }, { 0x170020, 0xff0020 }, 48 }, /* second is huge */
        { { 0xfec00000, 0xfec10000 }, { 0, 0xffffffff }, { 0x170020, 0x170020 }, 24 },
        { { 0xfec00000, 0xfec10000 }, { 0, 250 }, { 0x170020, 0x170020 }, 256 }, /* cut */
        { { 0xfec00000, 0xfec10000 }, { 0, 24 }, { UINT32_MAX, 0x170020 }, 48 }, /* absent */
        { { 0xfec00000, 0x12345000 }, { 0, 24 }, { 0x170020, 0x170020 }, 24 },   /* no mapping */
        { { 0xfec00000, 0xfec00000 }, { 0, 0 }, { 0x170020, 0x170020 }, 24 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_reset();
        acpi_info.nr_ioapics = 2;
        for (int n = 0; n < 2; n++) {
            acpi_info.ioapics[n].address = cases[i].address[n];
            acpi_info.ioapics[n].first_gsi = cases[i].first_gsi[n];
            fake_ioapics[n].version = cases[i].version[n];
        }
        irq_init();
        assert_int_equal(irq_nr_gsis(), cases[i].nr_gsis);
    }
}

static void without_an_ioapic_there_are_no_gsis_and_a_sentence(void **state)
{
    struct irq_line *line;

    fake_reset();
    acpi_info.nr_ioapics = 0;
    irq_init();
    assert_int_equal(irq_nr_gsis(), 0);
    assert_int_equal(fake_log_lines, 1);
    assert_int_equal(irq_guest_map_gsi(1, 0, 1, &line), -EINVAL);
    assert_int_equal(irq_gsi_setup(1, false, false), -EINVAL);
}

static void overrides_decide_how_a_gsi_is_wired(void **state)
{
    bool level, low;

    acpi_info.nr_overrides = 1;
    acpi_info.overrides[0] = (struct acpi_override){ .isa_irq = 9, .gsi = 20, .is_level = true };
    ioapic_default_mode(20, &level, &low);
    assert_true(level && !low);
    ioapic_default_mode(4, &level, &low);
    assert_true(!level && !low);
    ioapic_default_mode(17, &level, &low);
    assert_true(level && low);
}

static void dom0_may_read_the_registers_of_an_ioapic(void **state)
{
    uint32_t value;

    assert_int_equal(irq_ioapic_read(PADDR(0xfec00000), 1, &value), 0);
    assert_int_equal(value, 0x00170020);
    assert_int_equal(irq_ioapic_read(PADDR(0xfec00000), 0x10, &value), 0);
    assert_int_equal(irq_ioapic_read(PADDR(0xfec00000), 0x40, &value), -EINVAL);
    assert_int_equal(irq_ioapic_read(PADDR(0xfec00000), 7, &value), -EINVAL);
    assert_int_equal(irq_ioapic_read(PADDR(0xfec01000), 1, &value), -EINVAL);
}

/* --- lines --- */

static void an_edge_line_is_delivered_while_bound(void **state)
{
    struct irq_line *line = map_gsi(5);

    assert_false(irq_guest_needs_eoi(line));
    assert_false(interrupt(5));
    irq_guest_bind(line);
    assert_true(interrupt(5));
    assert_true(interrupt(5)); /* no word of the guest is needed in between */
    assert_int_equal(fake_deliveries, 2);
    assert_int_equal(fake_last_pirq, 5);
    assert_int_equal(fake_eois, 2);
    irq_guest_unbind(line);
    assert_false(interrupt(5));
    irq_guest_unmap(line);
}

static void a_level_line_stays_masked_until_the_guest_is_done(void **state)
{
    struct irq_line *line = map_gsi(18);

    assert_true(irq_guest_needs_eoi(line));
    irq_guest_bind(line);
    assert_true(interrupt(18));
    assert_int_equal(fake_eois, 1);
    assert_false(interrupt(18));
    irq_guest_eoi(line);
    assert_true(interrupt(18));
    irq_guest_eoi(line);
    irq_guest_eoi(line); /* once too often does no harm */
    irq_guest_unbind(line);
    irq_guest_eoi(line);
    assert_false(interrupt(18));
    irq_guest_unmap(line);
}

static void a_guest_gone_while_in_service_leaves_the_line_masked_and_usable(void **state)
{
    struct irq_line *line = map_gsi(18);

    irq_guest_bind(line);
    assert_true(interrupt(18));
    irq_guest_unmap(line);
    assert_false(interrupt(18));
    line = map_gsi(18);
    irq_guest_bind(line);
    assert_true(interrupt(18));
    irq_guest_unmap(line);
}

static void a_late_interrupt_of_an_unmapped_line_is_dropped(void **state)
{
    struct irq_line *line = map_gsi(6);
    unsigned int vector = line->vector;

    irq_guest_bind(line);
    irq_guest_unmap(line);
    irq_dispatch(vector);
    assert_int_equal(fake_eois, 1);
    assert_int_equal(fake_deliveries, 0);
}

static unsigned int nr_ours;

static void ours(void *arg)
{
    nr_ours++;
    assert_int_equal(fake_eois, *(unsigned int *)arg);
}

static void our_own_lines_are_nobody_elses(void **state)
{
    unsigned int eois_before = 1; /* edge: acknowledged first */
    struct irq_line *line;

    assert_int_equal(irq_request_gsi(4, ours, &eois_before), 0);
    assert_int_equal(irq_request_gsi(4, ours, &eois_before), -EBUSY);
    assert_int_equal(irq_guest_map_gsi(4, 0, 4, &line), -EBUSY);
    assert_int_equal(irq_gsi_setup(4, true, true), -EEXIST);
    assert_true(interrupt(4));
    assert_int_equal(nr_ours, 1);
    assert_int_equal(irq_request_gsi(99, ours, NULL), -EINVAL);
}

static void our_level_lines_are_acknowledged_when_handled(void **state)
{
    unsigned int eois_before = 0;

    assert_int_equal(irq_request_gsi(21, ours, &eois_before), 0);
    assert_true(interrupt(21));
    assert_int_equal(fake_eois, 1);
    assert_int_equal(entry(21) & RTE_MASKED, 0);
}

static void a_gsi_belongs_to_one_pirq_of_one_domain(void **state)
{
    struct irq_line *line = map_gsi(7), *again;

    assert_int_equal(irq_guest_map_gsi(7, 0, 7, &again), 0);
    assert_ptr_equal(again, line);
    assert_int_equal(irq_guest_map_gsi(7, 1, 7, &again), -EBUSY);
    assert_int_equal(irq_guest_map_gsi(7, 0, 8, &again), -EBUSY);
    irq_guest_unmap(line);
    assert_int_equal(irq_guest_map_gsi(7, 1, 7, &again), 0);
    irq_guest_unmap(again);
}

static void what_a_guest_says_of_a_gsi_holds_once(void **state)
{
    struct irq_line *line = map_gsi(10);

    irq_guest_bind(line);
    assert_int_equal(irq_gsi_setup(10, true, true), 0);
    assert_int_equal(entry(10) & (RTE_LEVEL | RTE_ACTIVE_LOW | RTE_MASKED),
                     RTE_LEVEL | RTE_ACTIVE_LOW);
    assert_true(irq_guest_needs_eoi(line));
    assert_int_equal(irq_gsi_setup(10, false, false), -EEXIST);
    assert_true(irq_guest_needs_eoi(line));
    irq_guest_unmap(line);
    line = map_gsi(10);
    assert_true(irq_guest_needs_eoi(line));
    irq_guest_unmap(line);
}

/* --- moving --- */

static void a_line_moves_by_one_word_and_keeps_its_vector(void **state)
{
    struct irq_line *line = map_gsi(5);
    unsigned int vector = line->vector;

    irq_guest_bind(line);
    fake_ioapics[0].nr_writes = 0;
    irq_set_cpu(line, 2);
    assert_int_equal(fake_ioapics[0].nr_writes, 1);
    assert_int_equal(entry(5), rte_encode((uint8_t)vector, 4, false, false, false));
    fake_be_cpu(0);
    irq_dispatch(vector); /* was on its way to the old CPU */
    assert_int_equal(fake_deliveries, 1);
    assert_true(interrupt(5));
    assert_int_equal(fake_deliveries, 2);
    fake_be_cpu(0);
    irq_dispatch(vector); /* the old place is given up now */
    assert_int_equal(fake_deliveries, 2);
    irq_guest_unmap(line);
}

static void a_move_waits_for_the_one_before(void **state)
{
    struct irq_line *line = map_gsi(5);

    irq_guest_bind(line);
    irq_set_cpu(line, 1);
    irq_set_cpu(line, 3);
    assert_int_equal(entry(5) >> RTE_DEST_SHIFT, 2);
    assert_true(interrupt(5));
    assert_int_equal(entry(5) >> RTE_DEST_SHIFT, 6);
    assert_true(interrupt(5));
    assert_int_equal(fake_deliveries, 2);
    irq_guest_unmap(line);
}

static void a_level_line_may_move_while_in_service(void **state)
{
    struct irq_line *line = map_gsi(18);

    irq_guest_bind(line);
    assert_true(interrupt(18));
    irq_set_cpu(line, 1);
    assert_false(interrupt(18));
    irq_guest_eoi(line);
    assert_true(interrupt(18));
    assert_int_equal(host_cpu.id, 1);
    irq_guest_unmap(line);
}

static void an_unreachable_cpu_is_not_moved_to(void **state)
{
    struct irq_line *line = map_gsi(5);

    cpus[3]->apic_id = 300;
    irq_set_cpu(line, 3);
    assert_int_equal(entry(5) >> RTE_DEST_SHIFT, 0);
    irq_guest_unmap(line);
}

/* --- storms --- */

static void a_storm_rests_and_comes_back(void **state)
{
    struct irq_line *line = map_gsi(5);
    unsigned int n = 0;

    irq_guest_bind(line);
    while (n < 20000 && interrupt(5)) {
        fake_now += 1000;
        n++;
    }
    assert_in_range(n, 4096, 8192);
    assert_int_not_equal(fake_timer_ns, 0);
    irq_guest_eoi(line);
    assert_false(interrupt(5));
    fake_run_timer();
    assert_true(interrupt(5));
    irq_guest_unmap(line);
}

static void a_busy_line_is_no_storm(void **state)
{
    struct irq_line *line = map_gsi(5);

    irq_guest_bind(line);
    for (int n = 0; n < 50000; n++) {
        assert_true(interrupt(5));
        fake_now += 5000; /* 200,000 a second */
    }
    irq_guest_unmap(line);
}

static void a_line_unmapped_in_a_storm_does_not_come_back(void **state)
{
    struct irq_line *line = map_gsi(5);

    irq_guest_bind(line);
    while (interrupt(5)) {
    }
    irq_guest_unmap(line);
    fake_timer_ns = fake_now;
    fake_run_timer(); /* it was about to run already */
    assert_false(interrupt(5));
}

/* --- MSI --- */

static struct msi_request msix_request(uint16_t entry_nr)
{
    return (struct msi_request){ .devfn = 0x20,
                                 .is_msix = true,
                                 .entry = entry_nr,
                                 .nr = 1,
                                 .table_base = PADDR(FAKE_MSIX_BAR) };
}

static void msix_entries_are_programmed_and_masked_until_bound(void **state)
{
    struct msi_request rq = msix_request(2);
    struct irq_line *line;
    const uint32_t *e = fake_msix_table[2];

    assert_int_equal(irq_guest_map_msi(&rq, 0, 900, &line), 0);
    assert_int_equal(e[MSIX_ADDRESS_LOW], 0xfee00000);
    assert_int_equal(e[MSIX_ADDRESS_HIGH], 0);
    assert_int_equal(e[MSIX_DATA], line->vector);
    assert_int_equal(e[MSIX_VECTOR_CONTROL], 1);
    assert_int_equal(fake_config[(FAKE_MSIX_AT + 2) / 2], MSIX_CTL_ENABLE);
    irq_guest_bind(line);
    assert_int_equal(e[MSIX_VECTOR_CONTROL], 0);
    irq_dispatch(e[MSIX_DATA]);
    assert_int_equal(fake_last_pirq, 900);
    assert_int_equal(fake_deliveries, 1);
    irq_set_cpu(line, 3);
    assert_int_equal(e[MSIX_ADDRESS_LOW], 0xfee06000);
    assert_int_equal(e[MSIX_VECTOR_CONTROL], 0);
    irq_guest_unmap(line);
    assert_int_equal(e[MSIX_VECTOR_CONTROL], 1);
    assert_int_equal(fake_config[(FAKE_MSIX_AT + 2) / 2], 0);
}

static void an_entry_is_mapped_once_and_the_device_off_with_the_last(void **state)
{
    struct msi_request a = msix_request(0), b = msix_request(1), msi = { .devfn = 0x20, .nr = 1 };
    struct irq_line *la, *lb, *lc;

    assert_int_equal(irq_guest_map_msi(&a, 0, 900, &la), 0);
    assert_int_equal(irq_guest_map_msi(&a, 0, 901, &lc), -EEXIST);
    assert_int_equal(irq_guest_map_msi(&msi, 0, 901, &lc), -EEXIST);
    assert_int_equal(irq_guest_map_msi(&b, 0, 901, &lb), 0);
    irq_guest_unmap(la);
    assert_int_equal(fake_config[(FAKE_MSIX_AT + 2) / 2], MSIX_CTL_ENABLE);
    irq_guest_unmap(lb);
    assert_int_equal(fake_config[(FAKE_MSIX_AT + 2) / 2], 0);
}

static void tables_in_wrong_places_are_refused(void **state)
{
    static const struct {
        uint64_t bar, said;
        int rc;
    } cases[] = {
        { FAKE_MSIX_BAR, FAKE_MSIX_BAR + 0x1000, -EINVAL },
        { 0x100000, 0x100000, -EINVAL },     /* RAM */
        { 0xfee00000, 0xfee00000, -EINVAL }, /* the local APIC */
        { 0xfec00000, 0xfec00000, -EINVAL },
        { 0, 0, -ENODEV },
        { 0xd0000000, 0xd0000000, -ENOMEM }, /* nothing can be mapped there */
    };
    struct irq_line *line;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct msi_request rq = msix_request(0);

        fake_bar = cases[i].bar;
        rq.table_base = PADDR(cases[i].said);
        assert_int_equal(irq_guest_map_msi(&rq, 0, 900, &line), cases[i].rc);
    }
    assert_int_equal(fake_config[(FAKE_MSIX_AT + 2) / 2], 0);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    struct msi_request absent = msix_request(0), beyond = msix_request(64), two = msix_request(0);
    struct msi_request three = { .devfn = 0x20, .nr = 3 }, many = { .devfn = 0x20, .nr = 16 };
    struct msi_request none = { .devfn = 0x20 };
    struct irq_line *lines[IRQ_MSI_MAX];

    absent.bus = 1;
    two.nr = 2;
    assert_int_equal(irq_guest_map_msi(&absent, 0, 900, lines), -ENODEV);
    assert_int_equal(irq_guest_map_msi(&beyond, 0, 900, lines), -EINVAL);
    assert_int_equal(irq_guest_map_msi(&two, 0, 900, lines), -EINVAL);
    assert_int_equal(irq_guest_map_msi(&three, 0, 900, lines), -EINVAL);
    assert_int_equal(irq_guest_map_msi(&none, 0, 900, lines), -EINVAL);
    assert_int_equal(irq_guest_map_msi(&many, 0, 900, lines), -ENOSPC);
    fake_has_msi = fake_has_msix = false;
    three.nr = 1;
    two.nr = 1;
    assert_int_equal(irq_guest_map_msi(&three, 0, 900, lines), -ENODEV);
    assert_int_equal(irq_guest_map_msi(&two, 0, 900, lines), -ENODEV);
    fake_has_msix = true;
    fake_memory_on = false;
    assert_int_equal(irq_guest_map_msi(&two, 0, 900, lines), -ENODEV);
}

static void a_group_of_msi_shares_a_message_and_has_masks_of_its_own(void **state)
{
    struct msi_request rq = { .devfn = 0x20, .nr = 4 };
    struct irq_line *lines[4];
    uint16_t *control = &fake_config[(FAKE_MSI_AT + 2) / 2],
             *mask = &fake_config[FAKE_MSI_MASK_AT / 2];
    unsigned int first;

    assert_int_equal(irq_guest_map_msi(&rq, 0, 500, lines), 0);
    first = fake_config[(FAKE_MSI_AT + 12) / 2];
    assert_int_equal(first % 4, 0);
    assert_int_equal(*control, 2 << MSI_CTL_COUNT_SHIFT | MSI_CTL_ENABLE);
    assert_int_equal(*mask, 0xffff);
    irq_guest_bind(lines[2]);
    assert_int_equal(*mask, 0xfffb);
    irq_dispatch(first + 2);
    assert_int_equal(fake_last_pirq, 502);
    irq_set_cpu(lines[2], 1); /* not without the others */
    assert_int_equal(fake_config[(FAKE_MSI_AT + 4) / 2], 0);
    for (int i = 0; i < 4; i++) {
        irq_guest_unmap(lines[i]);
    }
    assert_int_equal(*control & MSI_CTL_ENABLE, 0);
}

static void msi_without_masks_is_switched_on_and_off(void **state)
{
    struct msi_request rq = { .devfn = 0x20, .nr = 1 };
    uint16_t *control = &fake_config[(FAKE_MSI_AT + 2) / 2];
    struct irq_line *line;

    fake_msi_has_mask = false;
    assert_int_equal(irq_guest_map_msi(&rq, 0, 500, &line), 0);
    assert_int_equal(*control, 0);
    irq_guest_bind(line);
    assert_int_equal(*control, MSI_CTL_ENABLE);
    irq_set_cpu(line, 2);
    assert_int_equal(fake_config[(FAKE_MSI_AT + 4) / 2], 0x4000);
    irq_guest_unmap(line);
    assert_int_equal(*control, 0);
}

static void lines_without_vectors_left_are_refused_and_nothing_is_lost(void **state)
{
    struct msi_request rq = msix_request(0);
    struct irq_line *lines[64], *gsi_lines[24], *more;
    unsigned int taken[256], nr_taken = 0;
    struct irq_line filler;
    struct irq_line *const list[] = { &filler };
    int v;

    while ((v = vector_alloc(0, 1, list)) >= 0) {
        taken[nr_taken++] = (unsigned int)v;
    }
    assert_int_equal(irq_guest_map_msi(&rq, 0, 900, &lines[0]), -ENOSPC);
    assert_int_equal(irq_guest_map_gsi(12, 0, 12, &gsi_lines[0]), -ENOSPC);
    while (nr_taken > 0) {
        vector_free(0, taken[--nr_taken]);
    }
    assert_int_equal(irq_guest_map_msi(&rq, 0, 900, &more), 0);
    irq_guest_unmap(more);
    irq_guest_unmap(map_gsi(12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_pins_are_masked_at_the_start, begin),
        cmocka_unit_test_setup(hostile_tables_leave_out_what_is_wrong, begin),
        cmocka_unit_test_setup(without_an_ioapic_there_are_no_gsis_and_a_sentence, begin),
        cmocka_unit_test_setup(overrides_decide_how_a_gsi_is_wired, begin),
        cmocka_unit_test_setup(dom0_may_read_the_registers_of_an_ioapic, begin),
        cmocka_unit_test_setup(an_edge_line_is_delivered_while_bound, begin),
        cmocka_unit_test_setup(a_level_line_stays_masked_until_the_guest_is_done, begin),
        cmocka_unit_test_setup(a_guest_gone_while_in_service_leaves_the_line_masked_and_usable,
                               begin),
        cmocka_unit_test_setup(a_late_interrupt_of_an_unmapped_line_is_dropped, begin),
        cmocka_unit_test_setup(our_own_lines_are_nobody_elses, begin),
        cmocka_unit_test_setup(our_level_lines_are_acknowledged_when_handled, begin),
        cmocka_unit_test_setup(a_gsi_belongs_to_one_pirq_of_one_domain, begin),
        cmocka_unit_test_setup(what_a_guest_says_of_a_gsi_holds_once, begin),
        cmocka_unit_test_setup(a_line_moves_by_one_word_and_keeps_its_vector, begin),
        cmocka_unit_test_setup(a_move_waits_for_the_one_before, begin),
        cmocka_unit_test_setup(a_level_line_may_move_while_in_service, begin),
        cmocka_unit_test_setup(an_unreachable_cpu_is_not_moved_to, begin),
        cmocka_unit_test_setup(a_storm_rests_and_comes_back, begin),
        cmocka_unit_test_setup(a_busy_line_is_no_storm, begin),
        cmocka_unit_test_setup(a_line_unmapped_in_a_storm_does_not_come_back, begin),
        cmocka_unit_test_setup(msix_entries_are_programmed_and_masked_until_bound, begin),
        cmocka_unit_test_setup(an_entry_is_mapped_once_and_the_device_off_with_the_last, begin),
        cmocka_unit_test_setup(tables_in_wrong_places_are_refused, begin),
        cmocka_unit_test_setup(requests_that_make_no_sense_are_refused, begin),
        cmocka_unit_test_setup(a_group_of_msi_shares_a_message_and_has_masks_of_its_own, begin),
        cmocka_unit_test_setup(msi_without_masks_is_switched_on_and_off, begin),
        cmocka_unit_test_setup(lines_without_vectors_left_are_refused_and_nothing_is_lost, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
