/* SPDX-License-Identifier: MIT */
/*
 * Random hypercalls with odd arguments, from all vCPUs at once: whatever the
 * answers are, the hypervisor goes on, and so does the guest.
 *
 * Arguments are drawn from values that have broken things before, and from a few
 * scratch pages that are tables, descriptors, buffers and frames to give away,
 * all at once.  What would rightly end the guest (shutdown, taking its own
 * kernel away, sleeping for ever) is left out.
 *
 * A domain without privilege does the same, in which one vCPU rewrites what the
 * others' calls are given while they are being made.  It is ended in the midst.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#include <xen/grant_table.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

#define NR_SCRATCH 12
#define NR_CALLS   40000 /* of each vCPU, or what it does within the word `seconds=` */

static uint8_t *scratch[NR_SCRATCH];
static uint64_t scratch_mfn[NR_SCRATCH];
static uint64_t seeds[MAX_CPUS];
static uint64_t end_ns;

enum {
    CALLS,
    ACCEPTED
}; /* words of child_box, in the maker as well */

static uint64_t random64(void)
{
    uint64_t *seed = &seeds[this_cpu()->id];

    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static unsigned int below(unsigned int n)
{
    return (unsigned int)(random64() >> 33) % n;
}

/* ---- arguments ---- */

static uint64_t odd_pointer(void)
{
    static const uint64_t bad[] = {
        0,    0x800000000000, 0xffff800000000000, 0xffff830000000000, 0xffff87ffffffffff,
        ~0ul, ~7ul,           FREE_VA + 0x100000, VIRT_BASE - 8,
    };

    switch (below(4)) {
    case 0:
        return bad[below(ARRAY_SIZE(bad))];
    case 1:
        return FREE_VA + below(16) * PAGE_SIZE + (below(2) ? 0 : PAGE_SIZE - 1 - below(32));
    default:
        return (uint64_t)scratch[below(NR_SCRATCH)] + below(8) * 8 * below(2);
    }
}

static uint64_t odd_number(void)
{
    static const uint64_t numbers[] = {
        0,          1,
        2,          3,
        4,          7,
        8,          16,
        31,         32,
        63,         64,
        127,        255,
        511,        512,
        4095,       4096,
        7168,       8192,
        0x7fff,     0x8000,
        0xffff,     0x10000,
        0x7fffffff, 0x80000000,
        0xffffffff, 1ul << 32,
        1ul << 40,  1ul << 52,
        1ul << 62,  ~0ul >> 1,
        1ul << 63,  ~0ul,
        DOMID_SELF, DOMID_IO,
        DOMID_XEN,  DOMID_SELF | 1ul << 16,
    };

    return below(8) ? numbers[below(ARRAY_SIZE(numbers))] : random64();
}

static uint64_t odd_entry(void)
{
    static const uint64_t flags[] = { 0,
                                      PTE_RO_PAGE,
                                      PTE_RW_PAGE,
                                      PTE_TABLE,
                                      PTE_TABLE | PTE_PSE,
                                      PTE_RW_PAGE | PTE_NX,
                                      PTE_RW_PAGE | PTE_G | PTE_PCD };
    uint64_t flag = flags[below(ARRAY_SIZE(flags))];

    switch (below(8)) {
    case 0:
        return pte_of(kernel_l4, flag);
    case 1:
        return odd_number() << PAGE_SHIFT | flag;
    case 2:
        return 0xfee00000 | flag;
    default:
        return scratch_mfn[below(NR_SCRATCH)] << PAGE_SHIFT | flag;
    }
}

static uint64_t odd_machine_address(void)
{
    if (below(8) == 0) {
        return 0xffff000000000000 | odd_number() << 4;
    }
    return scratch_mfn[below(NR_SCRATCH)] << PAGE_SHIFT | below(8) * 8 | below(4);
}

static uint64_t odd_word(void)
{
    switch (below(6)) {
    case 0:
        return odd_pointer();
    case 1:
        return odd_entry();
    case 2:
        return odd_machine_address();
    case 3:
        return scratch_mfn[below(NR_SCRATCH)];
    default:
        return odd_number();
    }
}

/* ---- calls ---- */

struct kind {
    unsigned int nr;
    int first, last;  /* sub-operations, or -1: none */
    uint64_t without; /* those of them that are left out, as bits */
};

#define BIT(n) (1ul << (n))

static const struct kind kinds[] = {
    { __HYPERVISOR_set_trap_table, -1, -1, 0 },
    { __HYPERVISOR_set_gdt, -1, -1, 0 },
    { __HYPERVISOR_stack_switch, -1, -1, 0 },
    { __HYPERVISOR_fpu_taskswitch, -1, -1, 0 },
    { __HYPERVISOR_set_debugreg, 0, 8, 0 },
    { __HYPERVISOR_get_debugreg, 0, 8, 0 },
    { __HYPERVISOR_memory_op, 0, 30, 0 },
    { __HYPERVISOR_set_timer_op, -1, -1, 0 },
    { __HYPERVISOR_xen_version, 0, 12, 0 },
    { __HYPERVISOR_vm_assist, 0, 2, 0 },
    { __HYPERVISOR_vcpu_op, 0, 14,
      BIT(VCPUOP_initialise) | BIT(VCPUOP_up) | BIT(VCPUOP_down) | BIT(VCPUOP_register_vcpu_info) |
          BIT(VCPUOP_send_nmi) },
    { __HYPERVISOR_set_segment_base, 0, 4, 0 },
    { __HYPERVISOR_sched_op, 0, 8,
      BIT(SCHEDOP_block) | BIT(SCHEDOP_shutdown) | BIT(SCHEDOP_poll) |
          BIT(SCHEDOP_remote_shutdown) | BIT(SCHEDOP_shutdown_code) | BIT(SCHEDOP_watchdog) |
          BIT(SCHEDOP_pin_override) },
    { __HYPERVISOR_callback_op, 0, 2, 0 },
    { __HYPERVISOR_event_channel_op, 0, 14, 0 },
    { __HYPERVISOR_physdev_op, 5, 32,
      BIT(PHYSDEVOP_apic_write) | BIT(PHYSDEVOP_setup_gsi) | BIT(PHYSDEVOP_prepare_msix) |
          BIT(PHYSDEVOP_release_msix) },
    { __HYPERVISOR_grant_table_op, 0, 14, 0 },
    { __HYPERVISOR_hvm_op, 0, 26, 0 },
    { __HYPERVISOR_xsm_op, -1, -1, 0 },
    { __HYPERVISOR_sysctl, -1, -1, 0 },
    { __HYPERVISOR_domctl, -1, -1, 0 },
    { __HYPERVISOR_platform_op, -1, -1, 0 },
    { 43, -1, -1, 0 },
    { 1000, -1, -1, 0 },
};

struct call {
    uint64_t nr, args[5];
};

static void fill(void *at, unsigned int nr_words)
{
    uint64_t *words = at;
    struct trap_record record;

    for (unsigned int i = 0; i < nr_words; i++) {
        probe_write(&words[i], odd_word(), &record); /* the page may be a table by now */
    }
}

/* Page-table work is drawn with more sense, or all of it would be refused. */
static void choose_update(struct call *call, struct mmu_update *requests)
{
    unsigned int nr = 1 + below(4);

    for (unsigned int i = 0; i < nr; i++) {
        requests[i].ptr = odd_machine_address();
        requests[i].val = odd_entry();
    }
    *call = (struct call){ __HYPERVISOR_mmu_update,
                           { (uint64_t)requests, nr, 0, below(4) ? DOMID_SELF : odd_number() } };
}

static void choose_mmuext(struct call *call, struct mmuext_op *ops)
{
    unsigned int nr = 1 + below(3);

    for (unsigned int i = 0; i < nr; i++) {
        do {
            ops[i].cmd = below(20);
        } while (ops[i].cmd == MMUEXT_NEW_BASEPTR);
        ops[i].arg1.mfn = below(4) ? scratch_mfn[below(NR_SCRATCH)] : odd_word();
        ops[i].arg2.src_mfn = odd_word();
    }
    *call = (struct call){ __HYPERVISOR_mmuext_op, { (uint64_t)ops, nr, 0, DOMID_SELF } };
}

static void choose_plain(struct call *call)
{
    const struct kind *kind = &kinds[below(ARRAY_SIZE(kinds))];
    unsigned int cmd = 0;

    call->nr = kind->nr;
    for (unsigned int i = 0; i < 5; i++) {
        call->args[i] = below(3) ? odd_pointer() : odd_word();
    }
    if (kind->first >= 0) {
        do {
            cmd = (unsigned int)kind->first + below((unsigned int)(kind->last - kind->first + 2));
        } while (kind->without >> cmd & 1);
        call->args[0] = cmd;
    }
    if (kind->nr == __HYPERVISOR_vcpu_op || kind->nr == __HYPERVISOR_grant_table_op) {
        call->args[kind->nr == __HYPERVISOR_vcpu_op ? 1 : 2] = below(3) ? below(5) : odd_number();
    }
}

/* One time in four the version of the interface fits and the command is a harmless one. */
static void choose_control(struct call *call, uint64_t *page)
{
    static const uint32_t sysctls[] = { XEN_SYSCTL_readconsole,
                                        XEN_SYSCTL_physinfo,
                                        XEN_SYSCTL_getdomaininfolist,
                                        XEN_SYSCTL_cputopoinfo,
                                        XEN_SYSCTL_numainfo,
                                        XEN_SYSCTL_sched_id,
                                        99 };
    static const uint32_t platforms[] = { XENPF_settime64, XENPF_firmware_info, XENPF_get_cpuinfo,
                                          XENPF_set_processor_pminfo, 99 };

    if (below(2)) {
        page[0] = sysctls[below(ARRAY_SIZE(sysctls))] | (uint64_t)XEN_SYSCTL_INTERFACE_VERSION
                                                            << 32;
        call->nr = __HYPERVISOR_sysctl;
    } else {
        page[0] = platforms[below(ARRAY_SIZE(platforms))] | (uint64_t)XENPF_INTERFACE_VERSION << 32;
        call->nr = __HYPERVISOR_platform_op;
    }
    call->args[0] = (uint64_t)page;
}

static uint64_t buffers[MAX_CPUS][512] page_aligned;

static void choose(struct call *call, unsigned int part)
{
    uint64_t *buffer = &buffers[this_cpu()->id][part * 64];

    switch (below(8)) {
    case 0:
    case 1:
        choose_update(call, (void *)buffer);
        break;
    case 2:
        choose_mmuext(call, (void *)buffer);
        break;
    case 3:
        *call = (struct call){ __HYPERVISOR_update_va_mapping,
                               { FREE_VA + below(16) * PAGE_SIZE, odd_entry(), below(12) } };
        break;
    case 4:
        *call = (struct call){ __HYPERVISOR_update_descriptor,
                               { odd_machine_address() & ~7ul, odd_word() } };
        break;
    case 5:
        fill(buffer, 64);
        choose_control(call, buffer);
        break;
    default:
        fill(scratch[below(NR_SCRATCH)], 16);
        choose_plain(call);
        break;
    }
}

static long make_batch(void)
{
    struct multicall_entry *entries = (void *)&buffers[this_cpu()->id][448];
    unsigned int nr = 1 + below(7);
    struct call call;

    for (unsigned int i = 0; i < nr; i++) {
        choose(&call, i);
        entries[i].op = call.nr;
        __builtin_memcpy(entries[i].args, call.args, sizeof(call.args));
    }
    return hyper_multicall(entries, nr);
}

/* What a call may have changed of this vCPU's own state. */
static void restore(void)
{
    uint64_t stack = (uint64_t)this_cpu() + CPU_STACK_SIZE / 2;
    struct callback_register callback = { .type = CALLBACKTYPE_event,
                                          .flags = CALLBACKF_mask_events,
                                          .address = (unsigned long)entry_event };

    hyper_set_debugreg(7, 0);
    hyper_trap_table(trap_table);
    hyper_callback(CALLBACKOP_register, &callback);
    hyper_stack_switch(FLAT_KERNEL_SS, stack);
    hyper_fpu_taskswitch(0);
    if (below(16) == 0) {
        hyper_set_gdt(NULL, 0);
        mmuext(MMUEXT_SET_LDT, 0, 0);
        mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    }
}

/* So that pages change what they are: unmap, unpin, make writable again. */
static void relax_scratch(void)
{
    unsigned int n = below(NR_SCRATCH);

    switch (below(4)) {
    case 0:
        mmuext(MMUEXT_UNPIN_TABLE, scratch_mfn[n], 0);
        break;
    case 1:
        page_make_ro(scratch[n]);
        break;
    case 2:
        page_make_rw(scratch[n]);
        break;
    default:
        hyper_update_va(FREE_VA + below(16) * PAGE_SIZE, 0, UVMF_INVLPG | UVMF_ALL);
        break;
    }
}

static bool ignore(struct regs *regs)
{
    (void)regs;
    hyper_set_debugreg(7, 0);
    return true;
}

static void run(void *arg)
{
    (void)arg;
    for (unsigned int i = 0; i < NR_CALLS && system_time() < end_ns; i++) {
        struct call call;
        long rc;

        if (below(10) == 0) {
            rc = make_batch();
        } else {
            choose(&call, 0);
            rc = hypercall((long)call.nr, call.args[0], call.args[1], call.args[2], call.args[3],
                           call.args[4]);
        }
        __atomic_fetch_add(&child_box[CALLS], 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&child_box[ACCEPTED], rc >= 0, __ATOMIC_SEQ_CST);
        restore();
        relax_scratch();
    }
}

static void prepare(uint64_t seed, uint64_t duration_ns)
{
    trap_set_handler(1, ignore);
    event_mask();
    pt_map(kernel_l4, FREE_VA, 0);
    for (unsigned int i = 0; i < NR_SCRATCH; i++) {
        scratch[i] = page_alloc();
        scratch_mfn[i] = virt_to_mfn(scratch[i]);
    }
    for (unsigned int id = 0; id < MAX_CPUS; id++) {
        seeds[id] = 0x9e3779b97f4a7c15 * (id + 1) + seed * 0xbf58476d1ce4e5b9;
    }
    end_ns = system_time() + duration_ns;
}

TEST(random_calls_from_all_sides)
{
    unsigned int nr = cpu_count();
    uint64_t seed = guest_option_number("seed=", 1);

    prepare(seed, guest_option_number("seconds=", 6) * 1000000000);
    for (unsigned int id = 1; id < nr; id++) {
        EXPECT(cpu_start(id, run, NULL), 0);
    }
    run(NULL);
    for (unsigned int id = 1; id < nr; id++) {
        cpu_wait_down(id);
    }
    print("%lu calls, %lu accepted\n", child_box[CALLS], child_box[ACCEPTED]);
    CHECK(child_box[ACCEPTED] > child_box[CALLS] / 20);
    EXPECT(hyper_version(XENVER_version, NULL), 4 << 16 | 17);
}

/* ---- a domain without privilege ---- */

#define CHILD_CPUS  3u
#define NR_CHILDREN 8u
#define KEPT        16u /* pages of tables that were needed for the first time */
#define CHILD_NS    200000000ul

static struct child child;

/* What a call reads twice may be another the second time. */
static void rewrite(void *arg)
{
    struct trap_record record;

    (void)arg;
    for (;;) {
        uint64_t *buffer = buffers[1 + below(CHILD_CPUS - 2)];
        unsigned int i = below(512);

        probe_write(&buffer[i], below(2) ? buffer[below(512)] : odd_word(), &record);
        if (below(512) == 0) {
            hyper_sched(SCHEDOP_yield, NULL);
        }
    }
}

static void run_for_ever(void *arg)
{
    for (;;) {
        end_ns = system_time() + 1000000000;
        run(arg);
    }
}

static void misbehave(uint64_t seed)
{
    prepare(seed, 0);
    user_init();
    for (unsigned int id = 1; id < CHILD_CPUS; id++) {
        cpu_start(id, id == CHILD_CPUS - 1 ? rewrite : run_for_ever, NULL);
    }
    run_for_ever(NULL);
}

TEST(a_domain_without_privilege_harms_nobody)
{
    uint64_t seed = guest_option_number("seed=", 1), calls = 0, accepted = 0, before = 0, after;
    static uint64_t ours[PAGE_SIZE / 8] page_aligned;
    bool is_slow = cpu_count() > 1; /* all processors at once, by QEMU */
    unsigned int nr_children = is_slow ? 3 : NR_CHILDREN, nr_calls = is_slow ? 100 : 500;

    for (unsigned int i = 0; i < ARRAY_SIZE(ours); i++) {
        ours[i] = i;
    }
    for (unsigned int i = 0; i < nr_children; i++) {
        uint64_t end;

        EXPECT(child_create(&child, CHILD_CPUS, misbehave, seed * NR_CHILDREN + i), 0);
        child_unpause(&child);
        end = system_time() + 10000000000ul;
        while (child.box[CALLS] < nr_calls && system_time() < end) {
            hyper_sched(SCHEDOP_yield, NULL);
        }
        end = system_time() + CHILD_NS;
        while (system_time() < end) {
            hyper_sched(SCHEDOP_yield, NULL);
        }
        calls += child.box[CALLS];
        accepted += child.box[ACCEPTED];
        EXPECT(child_destroy(&child), 0);
        if (i == 0) {
            before = machine_free_pages();
        }
    }
    print("%lu calls, %lu accepted\n", calls, accepted);
    CHECK(accepted > calls / 20);
    for (unsigned int i = 0; i < ARRAY_SIZE(ours); i++) {
        EXPECT(ours[i], i);
    }
    after = machine_free_pages();
    if (after + (guest_option("oracle") ? 1000 : KEPT) < before) {
        FAIL("%lu pages are not free again", before - after);
    }
}
