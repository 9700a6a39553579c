/* SPDX-License-Identifier: MIT */
/*
 * The state that a vCPU is given as a whole, by its domain or by the toolstack:
 * an address that no processor could load is refused by either way, also where
 * a hypercall that sets this address alone would have refused it.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define HYPERVISOR_VA 0xffff830000000000ul
#define GUEST_VA      0xffff880000000000ul

static const uint64_t non_canonical[] = {
    0x0000800000000000, 0x0001000000000000, 0x4000000000000000,
    0x8000000000000000, 0xffff000000000000, 0xffff7fffffffffff,
};

static struct child child;
static struct vcpu_guest_context good, context;

struct field {
    const char *name;
    size_t offset;
    enum {
        HANDLER,    /* where the kernel is entered */
        REGISTER,   /* what programs may load as they like */
        TABLE,      /* refused as well where it is the hypervisor's */
        BREAKPOINT, /* left out where it cannot be */
    } kind;
};

#define FIELD(f, kind)                                                                             \
    {                                                                                              \
#f, offsetof(struct vcpu_guest_context, f), kind                                           \
    }

static const struct field fields[] = {
    FIELD(trap_ctxt[0].address, HANDLER),
    FIELD(trap_ctxt[13].address, HANDLER),
    FIELD(trap_ctxt[0x80].address, HANDLER),
    FIELD(trap_ctxt[255].address, HANDLER),
    FIELD(event_callback_eip, HANDLER),
    FIELD(failsafe_callback_eip, HANDLER),
    FIELD(syscall_callback_eip, HANDLER),
    FIELD(user_regs.rip, REGISTER),
    FIELD(user_regs.rsp, REGISTER),
    FIELD(kernel_sp, REGISTER),
    FIELD(fs_base, REGISTER),
    FIELD(gs_base_kernel, REGISTER),
    FIELD(gs_base_user, REGISTER),
    FIELD(ldt_base, TABLE),
    FIELD(debugreg[0], BREAKPOINT),
    FIELD(debugreg[3], BREAKPOINT),
};

static uint64_t *word_of(const struct field *f)
{
    return (uint64_t *)((char *)&context + f->offset);
}

/* ---- by the toolstack ---- */

static long context_op(unsigned int cmd)
{
    struct xen_domctl op = { .u.vcpucontext.vcpu = 0 };

    set_xen_guest_handle(op.u.vcpucontext.ctxt, &context);
    return domctl(&op, cmd, child.domid);
}

/* The answer when @f is @value, and in *@after what it is then. */
static long try_field(const struct field *f, uint64_t value, uint64_t *after)
{
    long rc;

    context = good;
    *word_of(f) = value;
    rc = context_op(XEN_DOMCTL_setvcpucontext);
    EXPECT(context_op(XEN_DOMCTL_getvcpucontext), 0);
    *after = *word_of(f);
    context = good;
    EXPECT(context_op(XEN_DOMCTL_setvcpucontext), 0);
    return rc;
}

static void expect(const struct field *f, uint64_t value, long wanted_rc, uint64_t wanted)
{
    uint64_t after;
    long rc = try_field(f, value, &after);

    if (rc != wanted_rc || after != wanted) {
        FAIL("%s = %lx: error %ld, reads %lx", f->name, value, rc, after);
    }
}

static void do_nothing(uint64_t arg)
{
    (void)arg;
}

TEST(a_child_is_made)
{
    EXPECT(child_create(&child, 2, do_nothing, 0), 0);
    EXPECT(context_op(XEN_DOMCTL_getvcpucontext), 0);
    good = context;
}

TEST(addresses_that_are_not_canonical)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
        for (unsigned int j = 0; j < ARRAY_SIZE(non_canonical); j++) {
            context = good;
            expect(&fields[i], non_canonical[j], fields[i].kind == BREAKPOINT ? 0 : -EINVAL,
                   *word_of(&fields[i]));
        }
    }
}

/* None of them lets the guest read or run anything there; 4.17 accepts handlers as well. */
TEST(addresses_of_the_hypervisor)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
        context = good;
        switch (fields[i].kind) {
        case HANDLER:
            if (!guest_option("oracle")) {
                expect(&fields[i], HYPERVISOR_VA, -EINVAL, *word_of(&fields[i]));
            }
            break;
        case REGISTER:
            expect(&fields[i], HYPERVISOR_VA, 0, HYPERVISOR_VA);
            break;
        case TABLE:
            expect(&fields[i], HYPERVISOR_VA, -EINVAL, *word_of(&fields[i]));
            break;
        case BREAKPOINT:
            expect(&fields[i], HYPERVISOR_VA, 0, *word_of(&fields[i]));
            break;
        }
    }
}

TEST(addresses_of_the_guest)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
        if (fields[i].kind != TABLE) { /* without entries it reads as 0 */
            expect(&fields[i], GUEST_VA, 0, GUEST_VA);
            expect(&fields[i], 0x7ffffffff000, 0, 0x7ffffffff000);
        }
    }
}

TEST(the_child_is_as_it_was)
{
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child_destroy(&child), 0);
}

/* ---- by the domain itself ---- */

/* Writes into the box how many fields were taken, and the first of them. */
static void initialise_with_each(uint64_t arg)
{
    (void)arg;
    for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
        for (unsigned int j = 0; j < ARRAY_SIZE(non_canonical); j++) {
            if (fields[i].kind == BREAKPOINT) {
                continue;
            }
            cpu_make_context(1, &context);
            *word_of(&fields[i]) = non_canonical[j];
            if (hyper_vcpu(VCPUOP_initialise, 1, &context) != -EINVAL) {
                child_box[1] = child_box[0]++ ? child_box[1] : i;
            }
        }
    }
    cpu_make_context(1, &context);
    child_box[2] = (uint64_t)hyper_vcpu(VCPUOP_initialise, 1, &context);
}

TEST(a_domain_gives_its_own_vcpu_no_such_address)
{
    EXPECT(child_create(&child, 2, initialise_with_each, 0), 0);
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    if (child.box[0]) {
        FAIL("%lu are taken, %s first", child.box[0], fields[child.box[1]].name);
    }
    EXPECT(child.box[2], 0);
    EXPECT(child_destroy(&child), 0);
}

/* ---- one at a time ---- */

TEST(the_calls_for_single_addresses)
{
    for (unsigned int j = 0; j < ARRAY_SIZE(non_canonical); j++) {
        struct trap_info traps[2] = { { .vector = 200, .address = non_canonical[j] } };
        struct callback_register callback = { .type = CALLBACKTYPE_sysenter,
                                              .address = non_canonical[j] };

        EXPECT(hyper_trap_table(traps), -EINVAL);
        EXPECT(hyper_callback(CALLBACKOP_register, &callback), -EINVAL);
        EXPECT(hyper_segment_base(SEGBASE_FS, non_canonical[j]), -EINVAL);
        EXPECT(hyper_segment_base(SEGBASE_GS_USER, non_canonical[j]), -EINVAL);
    }
}
