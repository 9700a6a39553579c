/* SPDX-License-Identifier: MIT */
/*
 * Every hypercall with every kind of bad pointer, extreme counts and unknown
 * sub-operations: the answers are those of Debian's Xen 4.17.
 *
 * expected.h has an answer for each row of `calls` and each kind of pointer.
 * With the word `record` on its command line the guest prints that file instead
 * of comparing; `record` in this folder makes the file so.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#include <xen/grant_table.h>
#include <xen/platform.h>

enum kind {
    KIND_NULL,
    KIND_UNALIGNED, /* zeroes, at an odd address */
    KIND_NON_CANONICAL,
    KIND_HYPERVISOR,
    KIND_READ_ONLY, /* zeroes */
    KIND_UNMAPPED,
    KIND_CROSSING, /* four zeroes, then an unmapped page */
    KIND_M2P,      /* the machine-to-physical table: the hypervisor's, readable */
    KIND_ZEROES,
    KIND_ONES,
    NR_KINDS,
};

#define WINDOW     FREE_VA
#define VA_RW      WINDOW
#define VA_RO      (WINDOW + 2 * PAGE_SIZE) /* unmapped pages between them */
#define VA_ONES    (WINDOW + 4 * PAGE_SIZE)
#define VA_NOTHING (WINDOW + 6 * PAGE_SIZE)

static const uint64_t pointers[NR_KINDS] = {
    [KIND_NULL] = 0,
    [KIND_UNALIGNED] = VA_RW + 1,
    [KIND_NON_CANONICAL] = 0x800000000000,
    [KIND_HYPERVISOR] = 0xffff830000000000,
    [KIND_READ_ONLY] = VA_RO,
    [KIND_UNMAPPED] = VA_NOTHING,
    [KIND_CROSSING] = VA_RW + PAGE_SIZE - 4,
    [KIND_M2P] = 0xffff800000000000,
    [KIND_ZEROES] = VA_RW,
    [KIND_ONES] = VA_ONES,
};

#define KIND_BIT(kind) (1u << (kind))
#define KINDS_VALID                                                                                \
    (KIND_BIT(KIND_UNALIGNED) | KIND_BIT(KIND_READ_ONLY) | KIND_BIT(KIND_ZEROES) |                 \
     KIND_BIT(KIND_ONES))

#define NO_ANSWER 127 /* in expected.h: not tried */
#define POSITIVE  1   /* in expected.h: any number above zero */

struct call {
    const char *name;
    unsigned int nr;
    unsigned int pointer; /* which argument it is, from 0 */
    uint64_t args[5];
    unsigned int skip; /* kinds that would do harm */
    bool is_optional;  /* may be refused as a whole instead */
};

#define CALL(nr_, name_, pointer_, ...)                                                            \
    {                                                                                              \
        .name = name_, .nr = __HYPERVISOR_##nr_, .pointer = pointer_, __VA_ARGS__                  \
    }
#define ARGS(...) .args = { __VA_ARGS__ }
#define SKIP(s)   .skip = (s)
#define OPTIONAL  .is_optional = true

/* Sub-operation first, pointer second. */
#define SUB(nr_, cmd_, ...) CALL(nr_, #nr_ " " #cmd_, 1, ARGS(cmd_), __VA_ARGS__)
#define OPT(nr_, cmd_, ...) CALL(nr_, #nr_ " " #cmd_, 1, ARGS(cmd_), OPTIONAL, __VA_ARGS__)
/* vcpu_op: sub-operation, vCPU 0, pointer. */
#define VCPU(cmd_, ...) CALL(vcpu_op, "vcpu_op " #cmd_, 2, ARGS(cmd_, 0), __VA_ARGS__)
/* grant_table_op: sub-operation, pointer, count. */
#define GRANT(cmd_, ...)                                                                           \
    CALL(grant_table_op, "grant_table_op " #cmd_, 1, ARGS(cmd_, 0, 1), __VA_ARGS__)

static const struct call calls[] = {
#include "calls.h"
};

static const int8_t expected[][NR_KINDS] = {
#include "expected.h"
};

static void prepare_window(void)
{
    uint64_t *zeroes = page_alloc(), *read_only = page_alloc(), *ones = page_alloc();

    pt_map(kernel_l4, VA_RW, pte_of(zeroes, PTE_RW_PAGE));
    pt_map(kernel_l4, VA_RO, pte_of(read_only, PTE_RO_PAGE));
    pt_map(kernel_l4, VA_ONES, pte_of(ones, PTE_RW_PAGE));
}

/* What a call may have written is gone, what it may have registered is undone. */
static void restore(void)
{
    struct callback_register callback = {
        .type = CALLBACKTYPE_event,
        .flags = CALLBACKF_mask_events,
        .address = (unsigned long)entry_event,
    };

    hyper_trap_table(trap_table);
    hyper_callback(CALLBACKOP_register, &callback);
    timer_stop();
    __builtin_memset((void *)VA_RW, 0, PAGE_SIZE);
    __builtin_memset((void *)VA_ONES, 0xff, PAGE_SIZE);
}

static int answer(const struct call *call, enum kind kind)
{
    uint64_t args[5];
    long rc;

    if (call->skip & KIND_BIT(kind)) {
        return NO_ANSWER;
    }
    __builtin_memcpy(args, call->args, sizeof(args));
    args[call->pointer] = pointers[kind];
    restore();
    rc = hypercall(call->nr, args[0], args[1], args[2], args[3], args[4]);
    restore();
    return rc > 0 ? POSITIVE : rc < -126 ? -126 : (int)rc;
}

static bool is_refusal(int rc)
{
    return rc == -ENOSYS || rc == -EOPNOTSUPP || rc == -EPERM || rc == -ENODATA;
}

static void compare(const struct call *call, const int8_t *wanted)
{
    for (unsigned int kind = 0; kind < NR_KINDS; kind++) {
        int got = answer(call, kind);

        if (got != wanted[kind] && !(call->is_optional && is_refusal(got))) {
            FAIL("%s, kind %u: %d, not %d", call->name, kind, got, wanted[kind]);
        }
    }
}

static void record(void)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
        int a[NR_KINDS];

        for (unsigned int kind = 0; kind < NR_KINDS; kind++) {
            a[kind] = answer(&calls[i], kind);
        }
        print("record:     { %d, %d, %d, %d, %d, %d, %d, %d, %d, %d }, /* %s */\n", a[0], a[1],
              a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], calls[i].name);
    }
}

TEST(pointers_of_every_kind)
{
    prepare_window();
    if (guest_option("record")) {
        record();
        return;
    }
    CHECK(ARRAY_SIZE(expected) == ARRAY_SIZE(calls));
    for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
        compare(&calls[i], expected[i]);
    }
}

TEST(unknown_hypercalls)
{
    static const unsigned int unknown[] = { 11, 38, 43, 44, 45, 46, 47, 50,  51,  52,  53,
                                            54, 55, 56, 57, 62, 63, 64, 100, 255, 256, 1000 };

    for (unsigned int i = 0; i < ARRAY_SIZE(unknown); i++) {
        long rc = hypercall(unknown[i], VA_RW, VA_RW, VA_RW, VA_RW, VA_RW);

        if (rc != -ENOSYS) {
            FAIL("hypercall %u: %ld", unknown[i], rc);
        }
    }
    EXPECT(hypercall(-1, 0, 0, 0, 0, 0), -ENOSYS);
    EXPECT(hypercall(1l << 32 | __HYPERVISOR_xen_version, 0, 0, 0, 0, 0), -ENOSYS);
}

/* Arguments that are no pointers. */
TEST(numbers_out_of_range)
{
    uint64_t ours = virt_to_machine(user_data);

    EXPECT(hyper_set_debugreg(8, 0), -ENODEV);
    EXPECT(hyper_set_debugreg(0, 0xffff830000000000), -EPERM);
    EXPECT(hyper_set_debugreg(7, 1ul << 32), -EINVAL);
    EXPECT(hyper_get_debugreg(99), -ENODEV);
    EXPECT(hyper_segment_base(SEGBASE_FS, 0x800000000000), -EINVAL);
    EXPECT(hyper_segment_base(SEGBASE_GS_KERNEL, 0x800000000000), -EINVAL);
    EXPECT(hyper_segment_base(SEGBASE_GS_USER, 0x800000000000), -EINVAL);
    EXPECT(hyper_segment_base(SEGBASE_GS_USER_SEL, 0x1230), 0);
    EXPECT(hyper_segment_base(77, 0), -EINVAL);
    EXPECT(hyper_segment_base(SEGBASE_FS, 0), 0);
    EXPECT(hyper_update_descriptor(1ul << 45, 0), -EINVAL);
    EXPECT(hyper_update_descriptor(ours + 1, 0), -EINVAL);
    EXPECT(hyper_vm_assist(VMASST_CMD_enable, 77), -EINVAL);
    EXPECT(hyper_vm_assist(77, VMASST_TYPE_writable_pagetables), -ENOSYS);
    EXPECT(hyper_stack_switch(0, 0), 0);
    EXPECT(hyper_stack_switch(FLAT_KERNEL_SS, (uint64_t)this_cpu() + CPU_STACK_SIZE / 2), 0);
    EXPECT(hyper_fpu_taskswitch(0), 0);
    EXPECT(hyper_version(77, NULL), -ENOSYS);
    EXPECT(hyper_vcpu(VCPUOP_is_up, 99999, NULL), -ENOENT);
    EXPECT(hyper_vcpu(77, 0, NULL), -ENOSYS);
    EXPECT(hyper_memory(62, VA_RW), -ENOSYS);
    EXPECT(mmuext(77, 0, 0), -ENOSYS);
    EXPECT(mmuext(MMUEXT_SET_LDT, FREE_VA, 8193), -EINVAL);
    EXPECT(mmuext(MMUEXT_SET_LDT, FREE_VA + 1, 8), -EINVAL);
}

/* A domain can be told by number; most numbers are nobody's. */
TEST(domains_that_are_none)
{
    struct mmuext_op op = { .cmd = MMUEXT_PIN_L1_TABLE };
    struct xen_memory_reservation reservation = { .domid = 77, .nr_extents = 1 };
    domid_t nobody = 77;

    EXPECT(hypercall4(__HYPERVISOR_mmuext_op, &op, 1, NULL, 77), -ESRCH);
    EXPECT(hypercall4(__HYPERVISOR_mmuext_op, &op, 1, NULL, DOMID_XEN), -EINVAL);
    EXPECT(hyper_memory(XENMEM_increase_reservation, &reservation), 0); /* none is done */
    EXPECT(hyper_memory(XENMEM_current_reservation, &nobody), -ESRCH);
    EXPECT(hyper_memory(XENMEM_maximum_reservation, &nobody), -ESRCH);
}

/* After all this the domain has what it had. */
TEST(nothing_is_lost)
{
    domid_t self = DOMID_SELF;

    EXPECT(hyper_memory(XENMEM_current_reservation, &self), start_info->nr_pages);
}
