/* SPDX-License-Identifier: MIT */
/* sources: hv/emul/decode.c hv/emul/exec.c hv/emul/hot.c hv/emul/alu.c
 * hv/emul/string.c hv/emul/priv.c tests/unit/emul/fake.c */
/* Instructions that trap outside ring 0: operands in, results out, who may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "emul/fake.h"

static int reset(void **state)
{
    fake_reset();
    fake.regs.rax = fake.regs.rbx = fake.regs.rcx = fake.regs.rdx = 0x1111222233334444ul;
    return 0;
}

/* Run @s, which must be done, and be over. */
#define RUN(s)                                                                                     \
    do {                                                                                           \
        FAKE_INSN(s);                                                                              \
        fake.regs.rip = 0x401000;                                                                  \
        assert_int_equal(emul_run_priv(&fake.ctxt, &fake.fetch), EMUL_OK);                         \
        assert_int_equal(fake.regs.rip, 0x401000 + sizeof(s) - 1);                                 \
    } while (0)

static void expect_untouched(int rc)
{
    struct cpu_user_regs regs = fake.regs;

    assert_int_equal(emul_run_priv(&fake.ctxt, &fake.fetch), rc);
    assert_memory_equal(&regs, &fake.regs, sizeof(regs));
}

static void in_reads_every_width_from_either_port(void **state)
{
    fake.val = 0xa1b2c3d4;
    RUN("\xe4\xfe"); /* in $0xfe,%al */
    assert_int_equal(fake.number, 0xfe);
    assert_int_equal(fake.bytes, 1);
    assert_int_equal(fake.regs.rax, 0x11112222333344d4ul);
    RUN("\x66\xed"); /* in %dx,%ax */
    assert_int_equal(fake.number, 0x4444);
    assert_int_equal(fake.bytes, 2);
    assert_int_equal(fake.regs.rax, 0x111122223333c3d4ul);
    RUN("\xed"); /* in %dx,%eax clears the upper half */
    assert_int_equal(fake.bytes, 4);
    assert_int_equal(fake.regs.rax, 0xa1b2c3d4);
    RUN("\xec");
    assert_int_equal(fake.bytes, 1);
    RUN("\x48\xed"); /* there is no in of eight bytes */
    assert_int_equal(fake.bytes, 4);
}

static void out_writes_every_width_to_either_port(void **state)
{
    RUN("\xe7\x80");
    assert_int_equal(fake.number, 0x80);
    assert_int_equal(fake.written, 0x33334444);
    RUN("\x66\xef");
    assert_int_equal(fake.number, 0x4444);
    assert_int_equal(fake.written, 0x4444);
    RUN("\xee");
    assert_int_equal(fake.bytes, 1);
    assert_int_equal(fake.written, 0x44);
}

static void ports_without_the_right_are_faults(void **state)
{
    fake.ctxt.is_kernel = false;
    fake.refuse = EMUL_FAULT;
    FAKE_INSN("\xed");
    expect_untouched(EMUL_FAULT);
    FAKE_INSN("\x6d");
    fake.regs.rdi = FAKE_PAGE;
    expect_untouched(EMUL_FAULT);
}

static void rep_ins_stores_one_unit_a_call(void **state)
{
    fake.regs.rdi = FAKE_PAGE + 4;
    fake.regs.rcx = 2;
    fake.val = 0x12345678;
    FAKE_INSN("\xf3\x6d");
    assert_int_equal(emul_run_priv(&fake.ctxt, &fake.fetch), EMUL_OK);
    assert_int_equal(fake.regs.rip, 0x401000);
    assert_int_equal(fake_word(0), 0x1234567800000000ul);
    assert_int_equal(fake.regs.rdi, FAKE_PAGE + 8);
    fake.regs.rflags |= 1ul << 10; /* down again */
    assert_int_equal(emul_run_priv(&fake.ctxt, &fake.fetch), EMUL_OK);
    assert_int_equal(fake.regs.rip, 0x401002);
    assert_int_equal(fake.regs.rcx, 0);
    assert_int_equal(fake.regs.rdi, FAKE_PAGE + 4);
}

static void ins_to_bad_memory_does_not_read_the_port(void **state)
{
    fake.regs.rdi = 0x7000;
    FAKE_INSN("\x6c");
    expect_untouched(EMUL_FAULT);
    assert_int_equal(fake.ctxt.fault.cr2, 0x7000);
    assert_int_equal(fake.bytes, 0);
}

static void outs_reads_memory_by_its_segment(void **state)
{
    fake_set_word(0, 0x1122334455667788ul);
    fake.regs.rsi = FAKE_PAGE + 2;
    RUN("\x6e");
    assert_int_equal(fake.written, 0x66);
    assert_int_equal(fake.regs.rsi, FAKE_PAGE + 3);
    fake_offer_segment(FAKE_PAGE, 0, 0, false);
    fake.regs.rsi = 4;
    RUN("\x65\x66\x6f");
    assert_int_equal(fake.written, 0x3344);
}

static void msrs_go_by_ecx_and_edx_eax(void **state)
{
    fake.val = 0xabcdef0987654321ul;
    fake.regs.rcx = 0xffffffffc0000101ul;
    RUN("\x0f\x32");
    assert_int_equal(fake.number, 0xc0000101);
    assert_int_equal(fake.regs.rax, 0x87654321);
    assert_int_equal(fake.regs.rdx, 0xabcdef09);
    fake.regs.rdx = 0xffffffff00000001ul;
    fake.regs.rax = 0xffffffff80000002ul;
    RUN("\x0f\x30");
    assert_int_equal(fake.written, 0x180000002ul);
}

static void cpuid_is_the_same_forced_or_plain(void **state)
{
    RUN("\x0f\x0bxen\x0f\xa2");
    assert_int_equal(fake.number, 0x3333444433334444ul);
    assert_int_equal(fake.regs.rax, 0xa0a0a0a0);
    assert_int_equal(fake.regs.rbx, 0xa0a0a0a1);
    assert_int_equal(fake.regs.rcx, 0xa0a0a0a2);
    assert_int_equal(fake.regs.rdx, 0xa0a0a0a3);
    fake.ctxt.is_kernel = false; /* user code may ask, too */
    RUN("\x0f\xa2");
    assert_int_equal(fake.number, 0xa0a0a0a2a0a0a0a0ul);
}

static void a_forced_prefix_before_anything_else_is_an_undefined_instruction(void **state)
{
    FAKE_INSN("\x0f\x0bxen\x0f\x32");
    expect_untouched(EMUL_UNHANDLEABLE);
    FAKE_INSN("\x0f\x0bxeN\x0f\xa2");
    expect_untouched(EMUL_UNHANDLEABLE);
    FAKE_INSN("\x0f\x0bxen\x0f\xa2");
    fake.fetch.nr = 6;
    expect_untouched(EMUL_FETCH);
}

static void time_stamps_come_with_aux_or_without(void **state)
{
    fake.val = 0x100000002ul;
    RUN("\x0f\x31");
    assert_int_equal(fake.regs.rax, 2);
    assert_int_equal(fake.regs.rdx, 1);
    assert_int_equal(fake.regs.rcx, 0x1111222233334444ul);
    RUN("\x0f\x01\xf9");
    assert_int_equal(fake.regs.rcx, 0xc0ffee);
    RUN("\x0f\x33");
    assert_int_equal(fake.number, 0xc0ffee);
}

static void control_registers_move_whole(void **state)
{
    fake.val = 0x8005003b;
    RUN("\x41\x0f\x20\xd1"); /* mov %cr2,%r9 */
    assert_int_equal(fake.number, 2);
    assert_int_equal(fake.regs.r9, 0x8005003b);
    RUN("\x0f\x22\xe3"); /* mov %rbx,%cr4 */
    assert_int_equal(fake.number, 4);
    assert_int_equal(fake.written, 0x1111222233334444ul);
    RUN("\x44\x0f\x20\xc0"); /* mov %cr8,%rax */
    assert_int_equal(fake.number, 8);
    RUN("\x0f\x23\xf8"); /* mov %rax,%dr7 */
    assert_int_equal(fake.number, 7);
    RUN("\x0f\x21\xf0"); /* mov %dr6,%rax */
    assert_int_equal(fake.number, 6);
    fake.ctxt.mode = EMUL_MODE_32;
    RUN("\x0f\x22\xe3");
    assert_int_equal(fake.written, 0x33334444);
}

static void registers_that_do_not_exist_are_undefined(void **state)
{
    static const char *const cases[] = { "\x0f\x20\xc8", "\x0f\x22\xe8", "\x44\x0f\x20\xd0",
                                         "\x44\x0f\x23\xc0", "\xf0\x0f\x20\xd0" };

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_insn((const uint8_t *)cases[i], (unsigned int)strlen(cases[i]));
        expect_untouched(EMUL_FAULT);
        assert_int_equal(fake.ctxt.fault.vector, 6);
        assert_false(fake.ctxt.fault.has_error);
    }
}

static void clts_writes_cr0_without_ts(void **state)
{
    fake.val = 0x8005003b;
    RUN("\x0f\x06");
    assert_int_equal(fake.number, 0);
    assert_int_equal(fake.written, 0x80050033);
}

static void the_rest_reaches_its_op(void **state)
{
    RUN("\xfb");
    assert_int_equal(fake.written, 1);
    RUN("\xfa");
    assert_int_equal(fake.written, 0);
    RUN("\xf4");
    RUN("\x0f\x08");
    RUN("\x0f\x09");
    assert_int_equal(fake.nr_calls, 5);
    fake.regs.rcx = 0;
    fake.regs.rdx = 1;
    fake.regs.rax = 7;
    RUN("\x0f\x01\xd1");
    assert_int_equal(fake.written, 0x100000007ul);
}

static const struct {
    const char *bytes;
    bool is_for_user; /* the op decides for user code as well */
} all[] = {
    { "\xec", true },          { "\xef", true },          { "\x6c", true },
    { "\x6f", true },          { "\xfa", true },          { "\xfb", true },
    { "\x0f\x31", true },      { "\x0f\x01\xf9", true },  { "\x0f\x33", true },
    { "\x0f\xa2", true },      { "\xf4", false },         { "\x0f\x06", false },
    { "\x0f\x20\xd0", false }, { "\x0f\x22\xd0", false }, { "\x0f\x21\xd0", false },
    { "\x0f\x23\xd0", false }, { "\x0f\x30", false },     { "\x0f\x32", false },
    { "\x0f\x08", false },     { "\x0f\x09", false },     { "\x0f\x01\xd1", false },
};

static void user_code_gets_a_fault_from_privileged_ones(void **state)
{
    fake.ctxt.is_kernel = false;
    fake.regs.rsi = fake.regs.rdi = FAKE_PAGE;
    for (unsigned int i = 0; i < ARRAY_SIZE(all); i++) {
        fake.nr_calls = 0;
        fake_insn((const uint8_t *)all[i].bytes, (unsigned int)strlen(all[i].bytes));
        if (all[i].is_for_user) {
            assert_int_equal(emul_run_priv(&fake.ctxt, &fake.fetch), EMUL_OK);
            continue;
        }
        expect_untouched(EMUL_FAULT);
        assert_int_equal(fake.nr_calls, 0);
        assert_int_equal(fake.ctxt.fault.vector, 13);
        assert_true(fake.ctxt.fault.has_error);
        assert_int_equal(fake.ctxt.fault.error, 0);
    }
}

static void without_ops_or_against_their_will_nothing_changes(void **state)
{
    static const int results[] = { EMUL_UNHANDLEABLE, EMUL_RETRY, EMUL_FAULT };

    fake.regs.rsi = fake.regs.rdi = FAKE_PAGE;
    for (unsigned int i = 0; i < ARRAY_SIZE(all); i++) {
        fake_insn((const uint8_t *)all[i].bytes, (unsigned int)strlen(all[i].bytes));
        for (unsigned int j = 0; j < ARRAY_SIZE(results); j++) {
            fake.refuse = results[j];
            expect_untouched(results[j]);
        }
    }
    fake_offer_nothing();
    for (unsigned int i = 0; i < ARRAY_SIZE(all); i++) {
        fake_insn((const uint8_t *)all[i].bytes, (unsigned int)strlen(all[i].bytes));
        expect_untouched(EMUL_UNHANDLEABLE);
    }
}

static void others_are_refused(void **state)
{
    static const char *const cases[] = {
        "\x0f\x01\xf8", "\x0f\x01\xd0", "\x0f\x01\x17", "\x0f\x01\x1f",     "\x0f\x01\xf0",
        "\x0f\x01\x3f", "\x0f\x07",     "\xcf",         "\x48\x89\x07",     "\x0f\x0b",
        "\x48\x87\x07", "\x90",         "\xaa",         "\x66\x0f\x01\xd1",
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_insn((const uint8_t *)cases[i], (unsigned int)strlen(cases[i]));
        expect_untouched(EMUL_UNHANDLEABLE);
    }
    FAKE_INSN("\x0f\x00\xd8"); /* ltr: its second byte is a zero */
    expect_untouched(EMUL_UNHANDLEABLE);
    assert_int_equal(fake.nr_calls, 0);
}

static void a_step_over_an_emulated_instruction_is_reported(void **state)
{
    fake.regs.rflags |= (1ul << 8) | (1ul << 16);
    FAKE_INSN("\x0f\x0bxen\x0f\xa2");
    assert_int_equal(emul_run_priv(&fake.ctxt, &fake.fetch), EMUL_OK_TRAP);
    assert_int_equal(fake.regs.rip, 0x401007);
    assert_int_equal(fake.regs.rflags, 0x302);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(in_reads_every_width_from_either_port, reset),
        cmocka_unit_test_setup(out_writes_every_width_to_either_port, reset),
        cmocka_unit_test_setup(ports_without_the_right_are_faults, reset),
        cmocka_unit_test_setup(rep_ins_stores_one_unit_a_call, reset),
        cmocka_unit_test_setup(ins_to_bad_memory_does_not_read_the_port, reset),
        cmocka_unit_test_setup(outs_reads_memory_by_its_segment, reset),
        cmocka_unit_test_setup(msrs_go_by_ecx_and_edx_eax, reset),
        cmocka_unit_test_setup(cpuid_is_the_same_forced_or_plain, reset),
        cmocka_unit_test_setup(a_forced_prefix_before_anything_else_is_an_undefined_instruction,
                               reset),
        cmocka_unit_test_setup(time_stamps_come_with_aux_or_without, reset),
        cmocka_unit_test_setup(control_registers_move_whole, reset),
        cmocka_unit_test_setup(registers_that_do_not_exist_are_undefined, reset),
        cmocka_unit_test_setup(clts_writes_cr0_without_ts, reset),
        cmocka_unit_test_setup(the_rest_reaches_its_op, reset),
        cmocka_unit_test_setup(user_code_gets_a_fault_from_privileged_ones, reset),
        cmocka_unit_test_setup(without_ops_or_against_their_will_nothing_changes, reset),
        cmocka_unit_test_setup(others_are_refused, reset),
        cmocka_unit_test_setup(a_step_over_an_emulated_instruction_is_reported, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
