/* SPDX-License-Identifier: MIT */
/* sources: hv/emul/decode.c hv/emul/exec.c hv/emul/hot.c hv/emul/alu.c
 * hv/emul/string.c hv/emul/priv.c tests/unit/emul/fake.c */
/*
 * What the processor cannot be asked for in native_test.c: exceptions, lost
 * races, segments, 32-bit mode, single steps, instructions fetched in part.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "emul/fake.h"

#define TF (1ul << 8)
#define RF (1ul << 16)

static int reset(void **state)
{
    fake_reset();
    return 0;
}

/* Run the instruction, which must leave registers and memory as they are and return @rc. */
static void expect_untouched(int rc)
{
    struct cpu_user_regs regs = fake.regs;

    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), rc);
    assert_memory_equal(&regs, &fake.regs, sizeof(regs));
    assert_int_equal(fake.nr_writes, 0);
}

static void expect_fault(uint8_t vector, bool has_error, uint32_t error)
{
    expect_untouched(EMUL_FAULT);
    assert_int_equal(fake.ctxt.fault.vector, vector);
    assert_int_equal(fake.ctxt.fault.has_error, has_error);
    assert_int_equal(fake.ctxt.fault.error, error);
}

static void xchg_returns_what_was_there(void **state)
{
    fake.regs.rdi = FAKE_PAGE + 8;
    fake_set_word(16, 0x8000000012345067ul);
    FAKE_INSN("\x48\x87\x47\x08"); /* xchg %rax,8(%rdi) */
    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
    assert_int_equal(fake.regs.rax, 0x8000000012345067ul);
    assert_int_equal(fake_word(16), 0);
    assert_int_equal(fake.regs.rip, 0x401004);
}

static void success_clears_rf_and_reports_a_single_step(void **state)
{
    static const struct {
        const char *bytes;
        unsigned int nr;
    } cases[] = {
        { "\x48\x89\x07", 3 }, /* short cut and the long way */
        { "\x48\xff\x07", 3 },
        { "\xf0\x80\x27\xfd", 4 },
        { "\x48\xab", 2 },
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_reset();
        fake.regs.rdi = FAKE_PAGE;
        fake.regs.rflags |= RF | TF;
        fake_insn((const uint8_t *)cases[i].bytes, cases[i].nr);
        assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK_TRAP);
        assert_int_equal(fake.regs.rip, 0x401000 + cases[i].nr);
        assert_false(fake.regs.rflags & RF);
        assert_true(fake.regs.rflags & TF);
    }
}

static void a_page_fault_leaves_all_as_it_was(void **state)
{
    static const char *const cases[] = {
        "\x48\x87\x07",         "\x48\x89\x07",     "\xf0\x80\x27\xfd", "\xf0\x48\x0f\xb1\x17",
        "\xf0\x48\x0f\xc1\x17", "\x48\x0f\xba\x37", "\x48\xab",         "\x48\xa5",
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_reset();
        fake.regs.rdi = 0x7000;
        fake.regs.rsi = FAKE_PAGE;
        fake.regs.rflags |= RF | TF;
        fake_insn((const uint8_t *)cases[i], (unsigned int)strlen(cases[i]));
        expect_untouched(EMUL_FAULT);
        assert_int_equal(fake.ctxt.fault.vector, 14);
        assert_int_equal(fake.ctxt.fault.cr2, 0x7000);
    }
}

static void a_refused_op_leaves_all_as_it_was(void **state)
{
    fake.regs.rdi = FAKE_PAGE;
    fake.refuse = EMUL_RETRY;
    FAKE_INSN("\x48\x87\x07");
    expect_untouched(EMUL_RETRY);
    fake.refuse = EMUL_UNHANDLEABLE;
    FAKE_INSN("\xf0\x48\x0f\xb1\x17");
    expect_untouched(EMUL_UNHANDLEABLE);
}

static void an_op_that_is_missing_refuses(void **state)
{
    static const char *const cases[] = { "\x48\x87\x07",         "\x89\x07", "\xf0\x80\x27\xfd",
                                         "\xf0\x48\x0f\xb1\x17", "\x48\xab", "\x48\xa5" };

    fake_offer_nothing();
    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_insn((const uint8_t *)cases[i], (unsigned int)strlen(cases[i]));
        expect_untouched(EMUL_UNHANDLEABLE);
    }
}

static void a_lost_race_sends_the_guest_back(void **state)
{
    fake.regs.rdi = FAKE_PAGE;
    fake.is_racing = true;
    FAKE_INSN("\xf0\x80\x27\xfd");
    expect_untouched(EMUL_RETRY);
    FAKE_INSN("\xf0\x48\x0f\xc1\x17"); /* lock xadd */
    expect_untouched(EMUL_RETRY);
}

static void cmpxchg_tells_what_it_saw(void **state)
{
    fake.regs.rdi = FAKE_PAGE;
    fake.regs.rax = 1;
    fake.regs.rdx = 9;
    fake_set_word(0, 5);
    FAKE_INSN("\xf0\x48\x0f\xb1\x17");
    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
    assert_int_equal(fake.regs.rax, 5);
    assert_false(fake.regs.rflags & 0x40);
    fake.regs.rip = 0x401000;
    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
    assert_true(fake.regs.rflags & 0x40);
    assert_int_equal(fake_word(0), 9);
}

static void addresses_that_are_not_canonical_are_not_asked_for(void **state)
{
    static const uint64_t bad[] = { 1ul << 47, 0x7ffffffffff9, ~0ul << 48, -7ul,
                                    0xffff7ffffffffffful };

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        fake.regs.rdi = fake.regs.rbp = bad[i];
        FAKE_INSN("\x48\x87\x07");
        expect_fault(13, true, 0);
        FAKE_INSN("\x48\x87\x45\x00"); /* by rbp: the stack's exception */
        expect_fault(12, true, 0);
        FAKE_INSN("\x48\xab");
        expect_fault(13, true, 0);
    }
    assert_int_equal(fake.nr_calls, 0);
}

static void lock_is_undefined_where_it_has_no_meaning(void **state)
{
    FAKE_INSN("\xf0\x89\x07"); /* mov */
    expect_fault(6, false, 0);
    FAKE_INSN("\xf0\x01\xc0"); /* add to a register */
    expect_fault(6, false, 0);
    FAKE_INSN("\xf0\xab"); /* stos */
    expect_fault(6, false, 0);
}

static void instructions_above_15_bytes_are_faults(void **state)
{
    FAKE_INSN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x89\x07");
    expect_fault(13, true, 0);
    FAKE_INSN("\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x48\xc7\x07\x01\x02\x03\x04");
    fake.regs.rdi = FAKE_PAGE;
    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
    FAKE_INSN("\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x48\xc7\x07\x01\x02\x03\x04");
    fake.nr_writes = 0;
    expect_fault(13, true, 0);
}

static void what_is_not_wholly_fetched_is_asked_for(void **state)
{
    static const char *const cases[] = { "\x48\x87\x47\x08", "\xf0\x41\x80\x64\x24\x10\xfd",
                                         "\x48\xc7\x07\x01\x02\x03\x04" };

    fake.regs.rdi = fake.regs.r12 = FAKE_PAGE;
    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned int length = (unsigned int)strlen(cases[i]);

        for (unsigned int nr = 0; nr < length; nr++) {
            fake_insn((const uint8_t *)cases[i], length);
            fake.fetch.nr = nr;
            expect_untouched(EMUL_FETCH);
        }
        fake.fetch.nr = length;
        assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
        fake.nr_writes = 0;
    }
}

static void what_does_not_write_memory_is_refused(void **state)
{
    static const char *const cases[] = {
        "\x48\x8b\x07",
        "\x48\x89\xc7",
        "\x48\x39\x07",
        "\x48\x83\x3f\x01",
        "\xff\x37",
        "\x48\x0f\xc7\x0f",
        "\x48\x0f\xba\x27",
        "\x8f\x07",
        "\xf4",
        "\x0f\x32",
        "\xed",
        "\x0f\x01\x17",
        "\xc3",
        "\xf6\x07\x01",
    };

    fake.regs.rdi = FAKE_PAGE;
    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_insn((const uint8_t *)cases[i], (unsigned int)strlen(cases[i]));
        expect_untouched(EMUL_UNHANDLEABLE);
    }
    assert_int_equal(fake.nr_calls, 0);
}

static void rep_does_one_unit_a_call(void **state)
{
    fake.regs.rdi = FAKE_PAGE;
    fake.regs.rcx = 3;
    fake.regs.rax = 0x77;
    FAKE_INSN("\xf3\x48\xab");
    for (unsigned int i = 1; i <= 3; i++) {
        assert_int_equal(fake.regs.rip, 0x401000);
        assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
        assert_int_equal(fake.nr_writes, i);
        assert_int_equal(fake.regs.rdi, FAKE_PAGE + 8 * i);
        assert_int_equal(fake.regs.rcx, 3 - i);
    }
    assert_int_equal(fake.regs.rip, 0x401003);

    fake.regs.rip = 0x401000; /* and none when there is none to do */
    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
    assert_int_equal(fake.regs.rip, 0x401003);
    assert_int_equal(fake.nr_writes, 3);
}

static void a_step_within_a_rep_is_a_step(void **state)
{
    fake.regs.rdi = FAKE_PAGE;
    fake.regs.rcx = 2;
    fake.regs.rflags |= TF;
    FAKE_INSN("\xf3\xab");
    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK_TRAP);
    assert_int_equal(fake.regs.rip, 0x401000);
}

static void fs_has_its_base_in_64_bit_mode(void **state)
{
    FAKE_INSN("\x64\x48\x89\x07");
    expect_untouched(EMUL_UNHANDLEABLE); /* nobody knows the base */
    fake_offer_segment(FAKE_PAGE, 0, 0, false);
    fake.regs.rdi = 24;
    fake.regs.rax = 0x1234;
    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
    assert_int_equal(fake.number, EMUL_SEG_FS);
    assert_int_equal(fake_word(24), 0x1234);
}

static void compatibility_mode_is_flat_without_a_word(void **state)
{
    fake.ctxt.mode = EMUL_MODE_32;
    fake.regs.rip = 0xfffffffe;
    fake.regs.rdi = 0xabcd00000000ul | FAKE_PAGE;
    fake.regs.rax = 0x5555;
    FAKE_INSN("\x89\x47\x08");
    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
    assert_int_equal(fake_word(8), 0x5555);
    assert_int_equal(fake.regs.rip, 1);
    FAKE_INSN("\x48\x89\x07"); /* 0x48 is dec %eax there */
    fake.nr_writes = 0;
    expect_untouched(EMUL_UNHANDLEABLE);
    FAKE_INSN("\x67\x89\x07"); /* 16-bit addresses */
    expect_untouched(EMUL_UNHANDLEABLE);
}

static void compatibility_mode_keeps_to_limits_and_rights(void **state)
{
    fake.ctxt.mode = EMUL_MODE_32;
    fake_offer_segment(FAKE_PAGE - 0x100, 0x100, 0x1ff, true);
    FAKE_INSN("\x89\x07");
    fake.regs.rdi = 0xff;
    expect_fault(13, true, 0);
    fake.regs.rdi = 0x1fd;
    expect_fault(13, true, 0);
    fake.regs.rdi = 0xffffffff;
    expect_fault(13, true, 0);
    fake.regs.rdi = 0x1fc;
    fake.segment.is_writable = false;
    expect_fault(13, true, 0);
    fake.segment.is_writable = true;
    assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
    FAKE_INSN("\x89\x04\x24"); /* (%esp) */
    fake.regs.rsp = 0;
    fake.nr_writes = 0;
    expect_fault(12, true, 0);
    assert_int_equal(fake.number, EMUL_SEG_SS);
}

static void both_ways_do_the_same(void **state)
{
    static const char *const cases[] = {
        "\x48\x87\x07",         "\x48\x87\x47\xf8", "\x4d\x87\xac\x24\x10\x00\x00\x00",
        "\x48\x89\x57\x08",     "\xf0\x80\x27\xfd", "\xf0\x41\x80\x64\x24\x10\xfd",
        "\xf0\x80\x67\x01\x81", "\x4b\x89\x04\x24", /* REX.X makes r12 an index */
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fake before, after;
        struct emul_insn insn;

        fake_reset();
        memset(&fake.regs, 0x11 * (i + 1), offsetof(struct cpu_user_regs, error_code));
        fake.regs.rdi = FAKE_PAGE + 64;
        fake.regs.r12 = i == 7 ? FAKE_PAGE / 2 : FAKE_PAGE + 96;
        for (unsigned int j = 0; j < 256; j++) {
            fake.page[j] = (uint8_t)(j * 73 + i);
        }
        fake_insn((const uint8_t *)cases[i], (unsigned int)strlen(cases[i]));
        fake.fetch.byte[4] = i == 2 ? 0x10 : fake.fetch.byte[4];
        before = fake;
        assert_int_equal(emul_run(&fake.ctxt, &fake.fetch), EMUL_OK);
        after = fake;
        fake = before;
        assert_int_equal(emul_decode(&insn, &fake.fetch, EMUL_MODE_64), EMUL_OK);
        assert_int_equal(emul_exec(&fake.ctxt, &insn), EMUL_OK);
        assert_memory_equal(&fake.regs, &after.regs, sizeof(fake.regs));
        assert_memory_equal(fake.page, after.page, sizeof(fake.page));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(xchg_returns_what_was_there, reset),
        cmocka_unit_test_setup(success_clears_rf_and_reports_a_single_step, reset),
        cmocka_unit_test_setup(a_page_fault_leaves_all_as_it_was, reset),
        cmocka_unit_test_setup(a_refused_op_leaves_all_as_it_was, reset),
        cmocka_unit_test_setup(an_op_that_is_missing_refuses, reset),
        cmocka_unit_test_setup(a_lost_race_sends_the_guest_back, reset),
        cmocka_unit_test_setup(cmpxchg_tells_what_it_saw, reset),
        cmocka_unit_test_setup(addresses_that_are_not_canonical_are_not_asked_for, reset),
        cmocka_unit_test_setup(lock_is_undefined_where_it_has_no_meaning, reset),
        cmocka_unit_test_setup(instructions_above_15_bytes_are_faults, reset),
        cmocka_unit_test_setup(what_is_not_wholly_fetched_is_asked_for, reset),
        cmocka_unit_test_setup(what_does_not_write_memory_is_refused, reset),
        cmocka_unit_test_setup(rep_does_one_unit_a_call, reset),
        cmocka_unit_test_setup(a_step_within_a_rep_is_a_step, reset),
        cmocka_unit_test_setup(fs_has_its_base_in_64_bit_mode, reset),
        cmocka_unit_test_setup(compatibility_mode_is_flat_without_a_word, reset),
        cmocka_unit_test_setup(compatibility_mode_keeps_to_limits_and_rights, reset),
        cmocka_unit_test_setup(both_ways_do_the_same, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
