/* SPDX-License-Identifier: MIT */
/*
 * The life of domains: made, run, paused, shut down, resumed, destroyed; what
 * is refused on the way; nothing is left of one that has gone.
 */
#include "lib/child.h"

#include <xen/platform.h>
#include <xen/sysctl.h>

#include "event.h"
#include "hypercall.h"
#include "mm.h"

static struct child child, other;
static struct xen_domctl op; /* of the running test */

/* op, zeroed, with member u.@field set. */
#define OP(field, value) (op = (struct xen_domctl){ .u.field = (value) }, &op)
#define OP_NONE          (op = (struct xen_domctl){ 0 }, &op)

static uint32_t flags_of(unsigned int domid)
{
    struct xen_domctl_getdomaininfo info;

    return domctl_info(domid, &info) == 0 ? info.flags : ~0u;
}

/* Code and flag of a shutdown, as getdomaininfo has them. */
static uint32_t shut(unsigned int reason)
{
    return reason << XEN_DOMINF_shutdownshift | XEN_DOMINF_shutdown;
}

/* Xen gives some of it back later. */
static void expect_free(uint64_t wanted)
{
    uint64_t slack = guest_option("oracle") ? 1000 : 0, now = machine_free_pages();

    if (now > wanted + slack || now + slack < wanted) {
        FAIL("%lu free pages, not %lu", now, wanted);
    }
}

static void answer(uint64_t arg)
{
    child_box[0] = arg + 1;
    child_box[1] = child_is_me();
}

static void count_for_ever(uint64_t arg)
{
    (void)arg;
    for (;;) {
        child_box[0]++;
    }
}

static void block_for_ever(uint64_t arg)
{
    (void)arg;
    child_box[0] = 1;
    for (;;) {
        hyper_sched(SCHEDOP_block, NULL);
    }
}

static bool child_counts(void)
{
    uint64_t before = child.box[0], end = system_time() + 5000000000ul;

    while (child.box[0] == before && system_time() < end) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    return child.box[0] != before;
}

static void start(unsigned int nr_vcpus, child_fn *fn, uint64_t arg)
{
    EXPECT(child_create(&child, nr_vcpus, fn, arg), 0);
    child_unpause(&child);
}

TEST(a_child_runs_and_powers_off)
{
    start(1, answer, 41);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child.box[0], 42);
    EXPECT(child.box[1], 1);
    EXPECT(child_destroy(&child), 0);
}

/* ---- creating ---- */

static struct xen_domctl good_config(void)
{
    return (struct xen_domctl){ .u.createdomain = { .max_vcpus = 1,
                                                    .max_evtchn_port = 1023,
                                                    .max_grant_frames = -1,
                                                    .max_maptrack_frames = -1,
                                                    .grant_opts = 2 } };
}

static void destroy(unsigned int domid)
{
    struct child c = { .domid = domid };

    EXPECT(child_destroy(&c), 0);
}

#define CREATE(member, value, wanted)                                                              \
    do {                                                                                           \
        long rc_;                                                                                  \
                                                                                                   \
        op = good_config();                                                                        \
        op.u.createdomain.member = (value);                                                        \
        rc_ = domctl(&op, XEN_DOMCTL_createdomain, 0);                                             \
        if (rc_ != (wanted)) {                                                                     \
            FAIL("%s %d: %ld, not %d", #member, (int)(value), rc_, (int)(wanted));                 \
        }                                                                                          \
        if (rc_ == 0) {                                                                            \
            destroy(op.domain);                                                                    \
        }                                                                                          \
    } while (0)

TEST(what_a_paravirtual_domain_cannot_be_is_refused)
{
    CREATE(flags, 0, 0);
    CREATE(flags, XEN_DOMCTL_CDF_hvm, -EOPNOTSUPP);
    CREATE(flags, XEN_DOMCTL_CDF_hap, -EINVAL);
    CREATE(flags, XEN_DOMCTL_CDF_s3_integrity, -EINVAL);
    CREATE(flags, XEN_DOMCTL_CDF_oos_off, 0);
    CREATE(flags, XEN_DOMCTL_CDF_xs_domain, 0);
    CREATE(flags, XEN_DOMCTL_CDF_nested_virt, -EINVAL);
    CREATE(flags, XEN_DOMCTL_CDF_vpmu, -EINVAL);
    CREATE(flags, XEN_DOMCTL_CDF_MAX << 1, -EINVAL);
    CREATE(iommu_opts, 1, -EINVAL);
    CREATE(iommu_opts, 2, -EINVAL);
    CREATE(vmtrace_size, 4096, -EINVAL);
    CREATE(cpupool_id, 7, -ESRCH);
    CREATE(arch.emulation_flags, XEN_X86_EMU_LAPIC, -EOPNOTSUPP);
    CREATE(arch.emulation_flags, XEN_X86_EMU_PIT, 0);
    CREATE(arch.misc_flags, XEN_X86_MSR_RELAXED, 0);
    CREATE(arch.misc_flags, XEN_X86_MSR_RELAXED << 1, -EINVAL);
}

TEST(numbers_beyond_the_limits_are_refused)
{
    CREATE(max_vcpus, 0, -EINVAL);
    CREATE(max_vcpus, 512, 0);
    CREATE(max_vcpus, 8193, -EINVAL);
    CREATE(max_evtchn_port, 0, 0);
    CREATE(max_evtchn_port, ~0u, 0);
    CREATE(max_grant_frames, 0, -EINVAL);
    CREATE(max_grant_frames, 64, 0);
    CREATE(max_grant_frames, 65, -EINVAL);
    CREATE(max_maptrack_frames, 0, 0);
    CREATE(max_maptrack_frames, 1024, 0);
    CREATE(max_maptrack_frames, 1025, -EINVAL);
    CREATE(grant_opts, 0, -EINVAL);
    CREATE(grant_opts, 1, 0);
    CREATE(grant_opts, 3, -EINVAL);
    CREATE(grant_opts, 0x12, -EINVAL);
}

TEST(a_number_is_given_once)
{
    unsigned int first;

    op = good_config();
    EXPECT(domctl(&op, XEN_DOMCTL_createdomain, 500), 0);
    EXPECT(op.domain, 500);
    op = good_config();
    EXPECT(domctl(&op, XEN_DOMCTL_createdomain, 500), -EEXIST);
    destroy(500);

    op = good_config();
    EXPECT(domctl(&op, XEN_DOMCTL_createdomain, 0), 0);
    first = op.domain;
    destroy(first);
    op = good_config();
    EXPECT(domctl(&op, XEN_DOMCTL_createdomain, 0xffff), 0);
    EXPECT(op.domain, first + 1);
    destroy(op.domain);
}

TEST(a_call_of_another_version_is_refused)
{
    op = good_config();
    op.cmd = XEN_DOMCTL_createdomain;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION - 1;
    EXPECT(hypercall1(__HYPERVISOR_domctl, &op), -EACCES);
    EXPECT(hypercall1(__HYPERVISOR_domctl, 0x10), -EFAULT);
}

TEST(a_creation_that_cannot_be_told_leaves_nothing)
{
    static uint8_t page[PAGE_SIZE] page_aligned;
    struct xen_domctl *readable = (struct xen_domctl *)page;
    unsigned int domid;

    op = good_config();
    EXPECT(domctl(&op, XEN_DOMCTL_createdomain, 0), 0);
    domid = op.domain + 1;
    destroy(op.domain);
    *readable = good_config();
    readable->cmd = XEN_DOMCTL_createdomain;
    readable->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    EXPECT(page_make_ro(page), 0);
    EXPECT(hypercall1(__HYPERVISOR_domctl, readable), -EFAULT);
    EXPECT(page_make_rw(page), 0);
    if (!guest_option("oracle")) { /* which leaves it to its caller */
        EXPECT(flags_of(domid), ~0u);
    }
}

/* ---- what concerns the caller, or nobody ---- */

TEST(nobody_ends_himself)
{
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_destroydomain, 0), -EINVAL);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_pausedomain, 0), -EINVAL);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_resumedomain, 0), -EINVAL);
    EXPECT(domctl(OP(max_vcpus.max, 1), XEN_DOMCTL_max_vcpus, 0), -EINVAL);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_setvcpucontext, 0), -EINVAL);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_getvcpucontext, 0), -EINVAL);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_setdebugging, 0), -EINVAL);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_destroydomain, DOMID_SELF), -ESRCH);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_destroydomain, 0x7fef), -ESRCH);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_pausedomain, DOMID_XEN), -ESRCH);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_getdomaininfo, 0x7fef), -ESRCH);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_getdomaininfo, DOMID_FIRST_RESERVED), -EINVAL);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_getdomaininfo, DOMID_SELF), -EINVAL);
}

TEST(settings_are_checked)
{
    unsigned int id;

    EXPECT(child_create_empty(&child, 2), 0);
    id = child.domid;
    EXPECT(domctl(OP(max_vcpus.max, 1), XEN_DOMCTL_max_vcpus, id), -EINVAL);
    EXPECT(domctl(OP(max_vcpus.max, 2), XEN_DOMCTL_max_vcpus, id), 0);
    EXPECT(domctl(OP(address_size.size, 64), XEN_DOMCTL_set_address_size, id), 0);
    EXPECT(domctl(OP(address_size.size, 32), XEN_DOMCTL_set_address_size, id), -EOPNOTSUPP);
    EXPECT(domctl(OP(address_size.size, 16), XEN_DOMCTL_set_address_size, id), -EINVAL);
    EXPECT(domctl(OP(tsc_info.tsc_mode, 2), XEN_DOMCTL_settscinfo, id), 0);
    EXPECT(domctl(OP(tsc_info.tsc_mode, 3), XEN_DOMCTL_settscinfo, id), -EINVAL);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_sendtrigger, id), 0);
    EXPECT(
        domctl(OP(sendtrigger.trigger, XEN_DOMCTL_SENDTRIGGER_RESET), XEN_DOMCTL_sendtrigger, id),
        -ENOSYS);
    EXPECT(
        domctl(OP(sendtrigger.trigger, XEN_DOMCTL_SENDTRIGGER_POWER), XEN_DOMCTL_sendtrigger, id),
        -EINVAL);
    EXPECT(domctl(OP(sendtrigger.vcpu, 2), XEN_DOMCTL_sendtrigger, id), -ESRCH);
    EXPECT(domctl(OP(hypercall_init.gmfn, ~0ul), XEN_DOMCTL_hypercall_init, id), -EINVAL);
    EXPECT(domctl(OP(hypercall_init.gmfn, virt_to_mfn(&op)), XEN_DOMCTL_hypercall_init, id),
           -EINVAL);
    EXPECT(domctl(OP(getvcpuinfo.vcpu, 2), XEN_DOMCTL_getvcpuinfo, id), -EINVAL);
    EXPECT(domctl(OP_NONE, 6, id), -ENOSYS);
    EXPECT(domctl(OP_NONE, 200, id), -ENOSYS);
    EXPECT(child_destroy(&child), 0);
}

#define RIGHT(cmd, type, ...)                                                                      \
    domctl(OP(type, ((struct xen_domctl_##type){ __VA_ARGS__, .allow_access = 1 })), cmd,          \
           child.domid)

TEST(rights_are_given_by_who_has_them)
{
    EXPECT(child_create_empty(&child, 1), 0);
    EXPECT(RIGHT(XEN_DOMCTL_ioport_permission, ioport_permission, 0x378, 8), 0);
    EXPECT(RIGHT(XEN_DOMCTL_ioport_permission, ioport_permission, 0x40, 1), -EPERM);
    EXPECT(RIGHT(XEN_DOMCTL_ioport_permission, ioport_permission, 0x378, 0), -EINVAL);
    EXPECT(RIGHT(XEN_DOMCTL_ioport_permission, ioport_permission, 0xffff, 2), -EINVAL);
    EXPECT(RIGHT(XEN_DOMCTL_iomem_permission, iomem_permission, 0xa0, 1), 0);
    EXPECT(RIGHT(XEN_DOMCTL_iomem_permission, iomem_permission, 0xfee00, 1), -EPERM);
    EXPECT(RIGHT(XEN_DOMCTL_iomem_permission, iomem_permission, 0xa0, 0), -EINVAL);
    EXPECT(RIGHT(XEN_DOMCTL_irq_permission, irq_permission, 0), -EPERM);
    EXPECT(child_destroy(&child), 0);
}

/* ---- running, pausing ---- */

TEST(a_new_domain_is_paused_and_has_nothing)
{
    struct xen_domctl_getdomaininfo info;

    op = good_config();
    EXPECT(domctl(&op, XEN_DOMCTL_createdomain, 0), 0);
    EXPECT(domctl_info(op.domain, &info), 0);
    EXPECT(info.flags, 0xffff0000 | XEN_DOMINF_paused);
    EXPECT(info.tot_pages, 0);
    EXPECT(info.max_pages, 0);
    EXPECT(info.nr_online_vcpus, 0);
    EXPECT(info.max_vcpu_id, XEN_INVALID_MAX_VCPU_ID);
    destroy(info.domain);
}

TEST(pauses_are_counted)
{
    unsigned int nr = 0;

    start(1, count_for_ever, 0);
    EXPECT(child_counts(), true);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_pausedomain, child.domid), 0);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_pausedomain, child.domid), 0);
    EXPECT(flags_of(child.domid) & XEN_DOMINF_paused, XEN_DOMINF_paused);
    EXPECT(flags_of(child.domid) & XEN_DOMINF_running, 0);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_unpausedomain, child.domid), 0);
    for (uint64_t end = system_time() + 20000000; system_time() < end;) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    EXPECT(flags_of(child.domid) & XEN_DOMINF_running, 0);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_unpausedomain, child.domid), 0);
    EXPECT(child_counts(), true);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_unpausedomain, child.domid), -EINVAL);
    while (nr < 300 && domctl(OP_NONE, XEN_DOMCTL_pausedomain, child.domid) == 0) {
        nr++;
    }
    EXPECT(nr, 255);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_pausedomain, child.domid), -EOVERFLOW);
    EXPECT(child_destroy(&child), 0);
}

TEST(a_domain_that_runs_can_be_destroyed)
{
    start(1, count_for_ever, 0);
    EXPECT(child_counts(), true);
    EXPECT(child_destroy(&child), 0);
    start(1, block_for_ever, 0);
    while (!(flags_of(child.domid) & XEN_DOMINF_blocked)) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    EXPECT(child_destroy(&child), 0);
}

static void second_cpu(void *arg)
{
    *(volatile uint64_t *)arg = 1;
    for (;;) {
        child_box[0]++;
    }
}

static void start_second(uint64_t arg)
{
    (void)arg;
    user_init();
    child_box[1] = (uint64_t)cpu_start(1, second_cpu, (void *)&child_box[2]);
    block_for_ever(0);
}

TEST(a_child_starts_its_other_processor)
{
    struct xen_domctl_getdomaininfo info;

    start(2, start_second, 0);
    EXPECT(child_counts(), true);
    EXPECT(child_counts(), true);
    EXPECT(child.box[1], 0);
    EXPECT(child.box[2], 1);
    EXPECT(domctl_info(child.domid, &info), 0);
    EXPECT(info.nr_online_vcpus, 2);
    EXPECT(info.max_vcpu_id, 1);
    EXPECT(child_destroy(&child), 0);
}

/* ---- the state of a processor ---- */

static struct vcpu_guest_context context;

static long context_op(unsigned int cmd, unsigned int vcpu)
{
    op = (struct xen_domctl){ .u.vcpucontext.vcpu = vcpu };
    set_xen_guest_handle(op.u.vcpucontext.ctxt, &context);
    return domctl(&op, cmd, child.domid);
}

TEST(a_state_is_refused_that_cannot_run)
{
    EXPECT(child_create_empty(&child, 1), 0);
    EXPECT(context_op(XEN_DOMCTL_getvcpucontext, 0), -ENODATA);
    EXPECT(context_op(XEN_DOMCTL_getvcpucontext, 1), -EINVAL);
    EXPECT(context_op(XEN_DOMCTL_setvcpucontext, 1), -EINVAL);
    context = (struct vcpu_guest_context){ .flags = 0 };
    EXPECT(context_op(XEN_DOMCTL_setvcpucontext, 0), -EINVAL);
    context.flags = VGCF_in_kernel | VGCF_online;
    EXPECT(context_op(XEN_DOMCTL_setvcpucontext, 0), -EINVAL); /* no page table */
    context.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(kernel_l4));
    EXPECT(context_op(XEN_DOMCTL_setvcpucontext, 0), -EINVAL); /* another's */
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_setvcpucontext, child.domid), 0);
    EXPECT(child_destroy(&child), 0);
}

static uint64_t xstate[1024], xstate_mask;

static long xstate_op(unsigned int cmd, uint64_t size)
{
    op = (struct xen_domctl){ .u.vcpuextstate = { .size = size, .xfeature_mask = xstate_mask } };
    set_xen_guest_handle(op.u.vcpuextstate.buffer, xstate);
    return domctl(&op, cmd, child.domid);
}

TEST(a_processor_goes_on_with_the_state_it_is_given)
{
    static struct vcpu_guest_context first;
    uint64_t size;

    start(1, count_for_ever, 0);
    EXPECT(child_counts(), true);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_pausedomain, child.domid), 0);
    EXPECT(context_op(XEN_DOMCTL_getvcpucontext, 0), 0);
    first = context;
    EXPECT(context.flags & (VGCF_online | VGCF_in_kernel), VGCF_online | VGCF_in_kernel);
    EXPECT(context.ctrlreg[3] >> PAGE_SHIFT != 0, true);
    EXPECT(context.event_callback_eip, (uint64_t)entry_event);
    EXPECT(context.trap_ctxt[13].address, trap_table[13].address);
    EXPECT(context_op(XEN_DOMCTL_setvcpucontext, 0), 0);
    EXPECT(context_op(XEN_DOMCTL_getvcpucontext, 0), 0);
    EXPECT(context.user_regs.rip, first.user_regs.rip);
    EXPECT(context.user_regs.rsp, first.user_regs.rsp);
    EXPECT(context.user_regs.rflags, first.user_regs.rflags);
    EXPECT(context.ctrlreg[3], first.ctrlreg[3]);
    EXPECT(context.kernel_sp, first.kernel_sp);

    EXPECT(domctl(OP_NONE, XEN_DOMCTL_get_ext_vcpucontext, child.domid), 0);
    EXPECT(domctl(&op, XEN_DOMCTL_set_ext_vcpucontext, child.domid), 0);
    op.u.ext_vcpucontext.size = 24;
    EXPECT(domctl(&op, XEN_DOMCTL_set_ext_vcpucontext, child.domid), -EINVAL);
    op.u.ext_vcpucontext.size = 32;
    op.u.ext_vcpucontext.sysenter_callback_eip = 1ul << 50;
    EXPECT(domctl(&op, XEN_DOMCTL_set_ext_vcpucontext, child.domid), -EINVAL);

    EXPECT(domctl(OP_NONE, XEN_DOMCTL_getvcpuextstate, child.domid), 0);
    size = op.u.vcpuextstate.size;
    xstate_mask = op.u.vcpuextstate.xfeature_mask;
    EXPECT(xstate_op(XEN_DOMCTL_getvcpuextstate, 8), -EINVAL);
    EXPECT(xstate_op(XEN_DOMCTL_getvcpuextstate, size), 0);
    EXPECT(xstate_op(XEN_DOMCTL_setvcpuextstate, op.u.vcpuextstate.size), 0);
    EXPECT(xstate_op(XEN_DOMCTL_setvcpuextstate, 8), -EINVAL);
    EXPECT(xstate_op(XEN_DOMCTL_setvcpuextstate, sizeof(xstate)), -EINVAL);

    EXPECT(domctl(OP_NONE, XEN_DOMCTL_unpausedomain, child.domid), 0);
    EXPECT(child_counts(), true);
    EXPECT(child_destroy(&child), 0);
}

/* ---- what it sees of the processor ---- */

#define SSE3       1u
#define NR_LEAVES  128u
#define PREFIX     ".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e\n\tcpuid" /* not by the processor itself */
#define HYPERVISOR (1u << 31)

static void tell_features(uint64_t arg)
{
    uint32_t a = 1, b, c = 0, d;

    (void)arg;
    __asm__ volatile(PREFIX : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    child_box[0] = c;
}

static long policy_op(unsigned int cmd, struct xen_cpuid_leaf *leaves, uint32_t nr)
{
    static struct xen_msr_entry msrs[8];

    op = (struct xen_domctl){ 0 };
    op.u.cpu_policy.nr_leaves = nr;
    op.u.cpu_policy.nr_msrs = cmd == XEN_DOMCTL_get_cpu_policy ? ARRAY_SIZE(msrs) : 0;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(op.u.cpu_policy.msrs, msrs);
    return domctl(&op, cmd, child.domid);
}

TEST(a_domain_sees_the_features_it_was_left)
{
    static struct xen_cpuid_leaf leaves[NR_LEAVES];
    struct xen_cpuid_leaf wrong = { .leaf = 0x50000000, .subleaf = XEN_CPUID_NO_SUBLEAF };
    uint32_t nr;

    EXPECT(child_create(&child, 1, tell_features, 0), 0);
    EXPECT(policy_op(XEN_DOMCTL_get_cpu_policy, leaves, NR_LEAVES), 0);
    nr = op.u.cpu_policy.nr_leaves;
    for (uint32_t i = 0; i < nr; i++) {
        if (leaves[i].leaf == 1) {
            EXPECT(leaves[i].c & SSE3, SSE3);
            leaves[i].c &= ~SSE3;
        }
    }
    EXPECT(policy_op(XEN_DOMCTL_set_cpu_policy, leaves, nr), 0);
    EXPECT(policy_op(XEN_DOMCTL_set_cpu_policy, &wrong, 1), -ERANGE);
    EXPECT(op.u.cpu_policy.err_leaf, 0x50000000);
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child.box[0] & SSE3, 0);
    EXPECT(child.box[0] & HYPERVISOR, HYPERVISOR);
    EXPECT(policy_op(XEN_DOMCTL_set_cpu_policy, leaves, nr), -EEXIST);
    EXPECT(child_destroy(&child), 0);
}

TEST(a_domain_has_a_policy_before_it_has_a_vcpu)
{
    static struct xen_cpuid_leaf leaves[NR_LEAVES];

    op = good_config();
    EXPECT(domctl(&op, XEN_DOMCTL_createdomain, 0), 0);
    child.domid = op.domain;
    EXPECT(policy_op(XEN_DOMCTL_get_cpu_policy, leaves, NR_LEAVES), 0);
    EXPECT(op.u.cpu_policy.nr_leaves > 1, true);
    destroy(child.domid);
}

/* ---- its time ---- */

/* Both clocks at one time: neither the hypervisor nor what it runs on came in between. */
static uint64_t read_both(uint64_t *ns)
{
    uint64_t ticks, before;

    do {
        before = system_time();
        ticks = rdtsc();
        *ns = system_time();
    } while (*ns - before > 200000);
    return ticks;
}

static void compare_clocks(uint64_t arg)
{
    uint64_t ns, then, ticks = read_both(&ns);

    (void)arg;
    while (system_time() - ns < 20000000) {
        barrier();
    }
    child_box[0] = read_both(&then) - ticks;
    child_box[1] = then - ns;
    child_box[2] = then;
}

TEST(a_counter_of_another_speed_is_emulated)
{
    struct xen_domctl_tsc_info *t = &op.u.tsc_info;
    uint64_t ticks, ns, before;

    EXPECT(child_create(&child, 1, compare_clocks, 0), 0);
    EXPECT(domctl(OP(tsc_info, ((struct xen_domctl_tsc_info){ .tsc_mode = 1,
                                                              .gtsc_khz = 500000,
                                                              .incarnation = 4,
                                                              .elapsed_nsec = 1000000000 })),
                  XEN_DOMCTL_settscinfo, child.domid),
           0);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_gettscinfo, child.domid), 0);
    EXPECT(t->tsc_mode, 1);
    EXPECT(t->gtsc_khz, 500000);
    EXPECT(t->incarnation, 5);
    EXPECT(t->elapsed_nsec >= 1000000000, true);
    before = system_time();
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    ticks = child.box[0];
    ns = child.box[1];
    if (ticks * 2 < ns - ns / 20 || ticks * 2 > ns + ns / 20) {
        FAIL("%lu ticks of 2 ns in %lu ns", ticks, ns);
    }
    EXPECT(child.box[2] > before && child.box[2] < system_time(), true);
    EXPECT(child_destroy(&child), 0);
}

/* ---- shutting down ---- */

static void suspend(uint64_t arg)
{
    struct sched_shutdown down = { .reason = SHUTDOWN_suspend };

    child_box[0] = (uint64_t)hypercall3(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &down, arg);
    child_box[1] = 1;
}

TEST(a_domain_that_suspended_can_go_on)
{
    start(1, suspend, 0x1234);
    EXPECT(child_wait(&child), SHUTDOWN_suspend);
    EXPECT(context_op(XEN_DOMCTL_getvcpucontext, 0), 0);
    EXPECT(context.user_regs.rdx, 0x1234);
    context.user_regs.rax = 1;
    EXPECT(context_op(XEN_DOMCTL_setvcpucontext, 0), 0);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_resumedomain, child.domid), 0);
    while (child.box[1] == 0) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    EXPECT(child.box[0], 1);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    EXPECT(child_destroy(&child), 0);
}

static void crash(uint64_t arg)
{
    (void)arg;
    hyper_trap_table(NULL);
    __asm__ volatile("ud2");
}

TEST(a_domain_that_errs_crashes_alone)
{
    start(1, crash, 0);
    EXPECT(child_wait(&child), SHUTDOWN_crash);
    EXPECT(child_destroy(&child), 0);
}

static void watched(uint64_t arg)
{
    struct sched_watchdog w = { .id = 2, .timeout = (uint32_t)arg };

    child_box[1] = (uint64_t)hyper_sched(SCHEDOP_watchdog, &w);
    w.id = 0;
    child_box[2] = (uint64_t)hyper_sched(SCHEDOP_watchdog, &w);
    child_box[3] = (uint64_t)hyper_sched(SCHEDOP_watchdog, &w);
    child_box[4] = (uint64_t)hyper_sched(SCHEDOP_watchdog, &w);
    w.id = 3;
    child_box[5] = (uint64_t)hyper_sched(SCHEDOP_watchdog, &w);
    w.id = 2;
    w.timeout = 0;
    child_box[6] = (uint64_t)hyper_sched(SCHEDOP_watchdog, &w);
    w.timeout = 1;
    child_box[7] = (uint64_t)hyper_sched(SCHEDOP_watchdog, &w);
    count_for_ever(0);
}

TEST(a_watchdog_bites_who_forgets_it)
{
    start(1, watched, 1);
    EXPECT(child_wait(&child), SHUTDOWN_watchdog);
    EXPECT(child.box[1], -EINVAL);
    EXPECT(child.box[2], 1);
    EXPECT(child.box[3], 2);
    EXPECT((int)child.box[4], -ENOSPC);
    EXPECT(child.box[5], -EINVAL);
    EXPECT(child.box[6], 0);
    EXPECT(child.box[7], -EINVAL);
    EXPECT(child_destroy(&child), 0);
}

TEST(dom0_shuts_others_down)
{
    struct sched_remote_shutdown down = { .reason = SHUTDOWN_crash };

    EXPECT(child_create_empty(&child, 1), 0);
    down.domain_id = (domid_t)child.domid;
    EXPECT(hyper_sched(SCHEDOP_remote_shutdown, &down), 0);
    EXPECT(flags_of(child.domid), shut(SHUTDOWN_crash) | XEN_DOMINF_paused);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_resumedomain, child.domid), 0);
    EXPECT(flags_of(child.domid), 0xffff0000 | XEN_DOMINF_paused);
    EXPECT(child_destroy(&child), 0);
    EXPECT(hyper_sched(SCHEDOP_remote_shutdown, &down), -ESRCH);
}

/* ---- the end ---- */

TEST(frames_that_others_map_keep_a_zombie)
{
    struct xen_domctl_getdomaininfo info;
    unsigned int id;

    EXPECT(child_create(&child, 1, answer, 0), 0);
    id = child.domid;
    EXPECT(foreign_map(FOREIGN_VA, child_mfn(&child, &op), PTE_RW_PAGE, id), 0);
    EXPECT(foreign_map(FOREIGN_VA + PAGE_SIZE, child.shared_info_mfn, PTE_RW_PAGE, id), 0);
    EXPECT(foreign_map((uint64_t)child.box, 0, 0, 0), 0);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_destroydomain, id), 0);
    EXPECT(domctl_info(id, &info), 0);
    EXPECT(info.flags & XEN_DOMINF_dying, XEN_DOMINF_dying);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_destroydomain, id), 0);
    *(volatile uint64_t *)FOREIGN_VA = 1; /* still there */
    *(volatile uint64_t *)(FOREIGN_VA + PAGE_SIZE) = 1;
    EXPECT(foreign_map(FOREIGN_VA, 0, 0, 0), 0);
    EXPECT(foreign_map(FOREIGN_VA + PAGE_SIZE, 0, 0, 0), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    child.box = NULL;
    for (uint64_t end = system_time() + 5000000000ul;
         domctl_info(id, &info) == 0 && system_time() < end;) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    EXPECT(domctl_info(id, &info), -ESRCH);
}

TEST(a_dying_domain_is_given_nothing)
{
    struct xen_memory_reservation r = { .nr_extents = 1 };
    uint64_t pfn = 0;

    EXPECT(child_create(&child, 1, answer, 0), 0);
    EXPECT(foreign_map(FOREIGN_VA, child_mfn(&child, &op), PTE_RW_PAGE, child.domid), 0);
    EXPECT(domctl(OP_NONE, XEN_DOMCTL_destroydomain, child.domid), 0);
    r.domid = (domid_t)child.domid;
    set_xen_guest_handle(r.extent_start, &pfn);
    EXPECT(hyper_memory(XENMEM_populate_physmap, &r), 0);
    EXPECT(foreign_map(FOREIGN_VA, 0, 0, 0), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    EXPECT(child_destroy(&child), 0);
}

TEST(two_hundred_domains_leave_nothing)
{
    uint64_t before = 0;

    for (unsigned int i = 0; i < 203; i++) {
        EXPECT(child_create_empty(&child, 1 + i % 3), 0);
        EXPECT(child_destroy(&child), 0);
        if (i == 2) { /* one of each size has left what is kept for the next */
            before = machine_free_pages();
        }
    }
    expect_free(before);
}

TEST(twenty_children_leave_nothing)
{
    uint64_t before = 0;

    for (unsigned int i = 0; i <= 20; i++) {
        start(1, answer, i);
        EXPECT(child_wait(&child), SHUTDOWN_poweroff);
        EXPECT(child.box[0], i + 1);
        EXPECT(child_destroy(&child), 0);
        if (i == 0) {
            before = machine_free_pages();
        }
    }
    expect_free(before);
}

static volatile unsigned int nr_made[MAX_CPUS];

static void make_and_destroy(void *arg)
{
    unsigned int me = (unsigned int)(uint64_t)arg;
    struct xen_domctl_getdomaininfo info;
    static struct child mine[MAX_CPUS];

    for (unsigned int i = 0; i < 60; i++) {
        EXPECT(child_create_empty(&mine[me], 2), 0);
        EXPECT(domctl_info(mine[me].domid, &info), 0);
        EXPECT(info.max_vcpu_id, 1);
        EXPECT(child_destroy(&mine[me]), 0);
        nr_made[me]++;
    }
}

TEST(several_processors_make_and_destroy_domains_at_once)
{
    unsigned int nr = cpu_count();
    uint64_t before;

    make_and_destroy((void *)0);
    before = machine_free_pages();
    for (unsigned int id = 1; id < nr; id++) {
        EXPECT(cpu_start(id, make_and_destroy, (void *)(uint64_t)id), 0);
    }
    make_and_destroy((void *)0);
    for (unsigned int id = 1; id < nr; id++) {
        cpu_wait_down(id);
        EXPECT(nr_made[id], 60);
    }
    if (nr == 1) {
        expect_free(before);
    }
}

/* One ends what another is at work on. */
static struct child shared;

static void work_on_shared(void *arg)
{
    struct xen_domctl work;

    (void)arg;
    for (;;) {
        long rc;

        work = (struct xen_domctl){ .u.max_vcpus.max = 4 };
        rc = domctl(&work, XEN_DOMCTL_max_vcpus, shared.domid);
        if (rc == -ESRCH) {
            return;
        }
        domctl(&work, XEN_DOMCTL_pausedomain, shared.domid);
        domctl(&work, XEN_DOMCTL_unpausedomain, shared.domid);
        domctl(&work, XEN_DOMCTL_resumedomain, shared.domid);
        domctl(&work, XEN_DOMCTL_getdomaininfo, shared.domid);
    }
}

TEST(a_domain_ends_while_others_work_on_it)
{
    unsigned int nr = cpu_count();

    for (unsigned int i = 0; i < 10 && nr > 1; i++) {
        EXPECT(child_create_empty(&shared, 4), 0);
        for (unsigned int id = 1; id < nr; id++) {
            EXPECT(cpu_start(id, work_on_shared, NULL), 0);
        }
        for (uint64_t end = system_time() + 2000000; system_time() < end;) {
            barrier();
        }
        EXPECT(child_destroy(&shared), 0);
        for (unsigned int id = 1; id < nr; id++) {
            cpu_wait_down(id);
        }
    }
}

TEST(children_live_side_by_side)
{
    EXPECT(child_create(&child, 1, count_for_ever, 0), 0);
    EXPECT(child_create(&other, 1, answer, 1), 0);
    child_unpause(&child);
    child_unpause(&other);
    EXPECT(child_wait(&other), SHUTDOWN_poweroff);
    EXPECT(other.box[0], 2);
    EXPECT(child_destroy(&other), 0);
    EXPECT(child_counts(), true);
    EXPECT(child_destroy(&child), 0);
}

/* ---- rights ---- */

static void try_all(uint64_t arg)
{
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_physinfo,
                            .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    struct xen_platform_op p = { .cmd = XENPF_get_cpuinfo,
                                 .interface_version = XENPF_INTERFACE_VERSION };
    struct sched_remote_shutdown down = { .domain_id = 0, .reason = SHUTDOWN_crash };

    for (unsigned int cmd = 1; cmd < 90; cmd++) {
        op = (struct xen_domctl){ .u.createdomain.max_vcpus = 1 };
        child_box[2 * cmd] = (uint64_t)domctl(&op, cmd, 0);
        op = (struct xen_domctl){ .u.createdomain.max_vcpus = 1 };
        child_box[2 * cmd + 1] = (uint64_t)domctl(&op, cmd, (unsigned int)arg);
    }
    child_box[200] = (uint64_t)hypercall1(__HYPERVISOR_sysctl, &s);
    s.interface_version = 1;
    child_box[201] = (uint64_t)hypercall1(__HYPERVISOR_sysctl, &s);
    child_box[202] = (uint64_t)hypercall1(__HYPERVISOR_platform_op, &p);
    p.interface_version = 1;
    child_box[203] = (uint64_t)hypercall1(__HYPERVISOR_platform_op, &p);
    child_box[204] = (uint64_t)hyper_sched(SCHEDOP_remote_shutdown, &down);
    child_box[205] = (uint64_t)hyper_console(CONSOLEIO_read, 1, &s);
    child_box[206] = (uint64_t)hypercall1(__HYPERVISOR_xsm_op, &s);
    child_box[207] = (uint64_t)hypercall1(__HYPERVISOR_hypfs_op, 0);
}

TEST(a_domain_without_privilege_gets_none)
{
    EXPECT(child_create_empty(&other, 1), 0);
    start(1, try_all, other.domid);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    for (unsigned int i = 2; i < 180; i++) {
        long rc = (long)child.box[i];

        /* Some look at their arguments first. */
        if (rc != -EPERM && rc != -EINVAL && rc != -EOPNOTSUPP) {
            FAIL("domctl %u on %s: %ld", i / 2, i % 2 ? "another" : "dom0", rc);
        }
    }
    EXPECT(child.box[200], -EPERM);
    EXPECT(child.box[201], -EACCES);
    EXPECT(child.box[202], -EPERM);
    EXPECT(child.box[203], -EACCES);
    EXPECT(child.box[204], -EPERM);
    EXPECT(child.box[205], -EPERM);
    EXPECT(child.box[206], -ENOSYS);
    EXPECT(child.box[207], -EPERM);
    EXPECT(child_destroy(&child), 0);
    EXPECT(child_destroy(&other), 0);
}
