/* SPDX-License-Identifier: MIT */
/*
 * What tools ask of the machine, its processors and its memory: sizes first,
 * then the answer, and what is refused.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define __XEN_TOOLS__ 1
#include <xen/arch-x86/xen-mca.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>

static struct xen_sysctl sysctl;
static struct xen_domctl domctl;

static long do_sysctl(uint32_t cmd)
{
    sysctl.cmd = cmd;
    sysctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall1(__HYPERVISOR_sysctl, &sysctl);
}

static long do_domctl(uint32_t cmd, domid_t domain)
{
    domctl.cmd = cmd;
    domctl.domain = domain;
    domctl.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return hypercall1(__HYPERVISOR_domctl, &domctl);
}

/* ---- memory ---- */

TEST(pages_are_cleared_and_copied)
{
    volatile uint64_t *from = page_alloc(), *to = page_alloc();
    struct mmuext_op op = { .cmd = MMUEXT_COPY_PAGE,
                            .arg1.mfn = virt_to_mfn((void *)to),
                            .arg2.src_mfn = virt_to_mfn((void *)from) };

    from[7] = 77;
    EXPECT(hyper_mmuext(&op, 1, NULL), 0);
    EXPECT(to[7], 77);
    EXPECT(mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn((void *)to), 0), 0);
    EXPECT(to[7], 0);
    op.arg2.src_mfn = 1ul << 40;
    EXPECT(hyper_mmuext(&op, 1, NULL), -EINVAL);
    op.arg2.src_mfn = virt_to_mfn(kernel_l4); /* may be read */
    EXPECT(hyper_mmuext(&op, 1, NULL), 0);
    op.arg1.mfn = virt_to_mfn(kernel_l4);
    EXPECT(hyper_mmuext(&op, 1, NULL), -EINVAL);
    EXPECT(mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn(kernel_l4), 0), -EINVAL);
    EXPECT(mmuext(MMUEXT_CLEAR_PAGE, 1ul << 40, 0), -EINVAL);
    EXPECT(mmuext(MMUEXT_CLEAR_PAGE, 0xa0, 0), -EINVAL);
    page_free((void *)from);
    page_free((void *)to);
}

TEST(processor_operations_are_not_for_another_domain)
{
    struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_LOCAL };

    EXPECT(hypercall4(__HYPERVISOR_mmuext_op, &op, 1, NULL, DOMID_XEN), -EPERM);
    op.cmd = MMUEXT_PIN_L1_TABLE;
    EXPECT(hypercall4(__HYPERVISOR_mmuext_op, &op, 1, NULL, DOMID_IO), -EINVAL);
    op.cmd = 77;
    EXPECT(hypercall4(__HYPERVISOR_mmuext_op, &op, 1, NULL, DOMID_IO), -ENOSYS);
    op.cmd = MMUEXT_TLB_FLUSH_MULTI; /* no set of vCPUs */
    EXPECT(hyper_mmuext(&op, 1, NULL), -EINVAL);
}

TEST(the_m2p_is_told_in_pieces)
{
    static xen_pfn_t frames[64];
    struct xen_machphys_mfn_list list = { .max_extents = 64 };
    uint64_t *mapped = (uint64_t *)FREE_VA, mfn = virt_to_mfn(frames);
    struct mmu_update request;

    set_xen_guest_handle(list.extent_start, frames);
    EXPECT(hyper_memory(XENMEM_machphys_mfn_list, &list), 0);
    EXPECT(list.nr_extents, 1); /* of a machine of one GiB */
    pt_map(kernel_l4, FREE_VA, 0);
    request.ptr = virt_to_machine(pt_entry(kernel_l4, FREE_VA, 1));
    request.val = (frames[0] + mfn / 512) << PAGE_SHIFT | PTE_RO_PAGE;
    EXPECT(hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, DOMID_XEN), 0);
    EXPECT(mapped[mfn % 512], virt_to_pfn(frames));
    request.val |= PTE_RW;
    CHECK(hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, DOMID_XEN) != 0);
    EXPECT(hyper_update_va(FREE_VA, 0, UVMF_INVLPG), 0);
}

TEST(claims_are_checked)
{
    struct xen_memory_reservation r = { .domid = 0 };

    EXPECT(hyper_memory(XENMEM_claim_pages, &r), 0);
    r.nr_extents = 1; /* fewer than it has */
    EXPECT(hyper_memory(XENMEM_claim_pages, &r), -EINVAL);
    r.nr_extents = 0;
    r.domid = DOMID_SELF; /* not this operation */
    EXPECT(hyper_memory(XENMEM_claim_pages, &r), -EINVAL);
    r.domid = 0;
    r.extent_order = 1;
    EXPECT(hyper_memory(XENMEM_claim_pages, &r), -EINVAL);
}

TEST(no_device_reserves_memory)
{
    struct xen_reserved_device_memory_map map = { .flags = XENMEM_RDM_ALL };

    EXPECT(hyper_memory(XENMEM_reserved_device_memory_map, &map), 0);
    EXPECT(map.nr_entries, 0);
    map.flags = ~0u;
    EXPECT(hyper_memory(XENMEM_reserved_device_memory_map, &map), -EINVAL);
}

/* ---- processors ---- */

static uint32_t words[64];
static struct xen_cpuid_leaf leaves[256];
static struct xen_msr_entry msrs[16];

TEST(feature_sets)
{
    struct xen_sysctl_cpu_featureset *f = &sysctl.u.cpu_featureset;
    uint32_t nr;

    *f = (struct xen_sysctl_cpu_featureset){ .index = XEN_SYSCTL_cpu_featureset_pv };
    EXPECT(do_sysctl(XEN_SYSCTL_get_cpu_featureset), 0);
    nr = f->nr_features;
    CHECK(nr > 10 && nr <= ARRAY_SIZE(words));
    set_xen_guest_handle(f->features, words);
    EXPECT(do_sysctl(XEN_SYSCTL_get_cpu_featureset), 0);
    EXPECT(f->nr_features, nr);
    CHECK(words[0] & 1 << 4);     /* a time stamp counter */
    EXPECT(words[0] & 1 << 3, 0); /* no large pages */
    CHECK(words[2] & 1 << 29);    /* long mode */
    f->nr_features = 1;
    EXPECT(do_sysctl(XEN_SYSCTL_get_cpu_featureset), -ENOBUFS);
    f->index = 77;
    EXPECT(do_sysctl(XEN_SYSCTL_get_cpu_featureset), -EINVAL);
}

static void check_policy(const struct xen_cpuid_leaf *l, uint32_t nr)
{
    bool has_features = false;

    CHECK(nr > 4 && nr <= ARRAY_SIZE(leaves));
    EXPECT(l[0].leaf, 0);
    EXPECT(l[0].b, 0x68747541); /* "Auth" */
    for (uint32_t i = 0; i < nr; i++) {
        has_features |= l[i].leaf == 1 && l[i].subleaf == XEN_CPUID_NO_SUBLEAF && (l[i].d & 1);
    }
    CHECK(has_features);
}

TEST(policies)
{
    struct xen_sysctl_cpu_policy *p = &sysctl.u.cpu_policy;
    struct xen_domctl_cpu_policy *own = &domctl.u.cpu_policy;

    *p = (struct xen_sysctl_cpu_policy){ .index = XEN_SYSCTL_cpu_policy_pv_default };
    EXPECT(do_sysctl(XEN_SYSCTL_get_cpu_policy), 0);
    CHECK(p->nr_leaves > 4 && p->nr_leaves <= ARRAY_SIZE(leaves) && p->nr_msrs <= ARRAY_SIZE(msrs));
    set_xen_guest_handle(p->leaves, leaves);
    set_xen_guest_handle(p->msrs, msrs);
    EXPECT(do_sysctl(XEN_SYSCTL_get_cpu_policy), 0);
    check_policy(leaves, p->nr_leaves);
    p->nr_leaves = 1;
    EXPECT(do_sysctl(XEN_SYSCTL_get_cpu_policy), -ENOBUFS);
    p->index = 77;
    EXPECT(do_sysctl(XEN_SYSCTL_get_cpu_policy), -EINVAL);

    *own = (struct xen_domctl_cpu_policy){ .nr_leaves = ARRAY_SIZE(leaves),
                                           .nr_msrs = ARRAY_SIZE(msrs) };
    set_xen_guest_handle(own->leaves, leaves);
    set_xen_guest_handle(own->msrs, msrs);
    EXPECT(do_domctl(XEN_DOMCTL_get_cpu_policy, 0), 0);
    check_policy(leaves, own->nr_leaves);
}

TEST(idle_time_is_told)
{
    static uint64_t times[8], counts[8];
    static struct xen_sysctl_cpuinfo info[8];
    struct xen_sysctl_get_pmstat *s = &sysctl.u.get_pmstat;

    sysctl.u.getcpuinfo.max_cpus = 8;
    set_xen_guest_handle(sysctl.u.getcpuinfo.info, info);
    EXPECT(do_sysctl(XEN_SYSCTL_getcpuinfo), 0);
    EXPECT(sysctl.u.getcpuinfo.nr_cpus, 1);
    *s = (struct xen_sysctl_get_pmstat){ .type = PMSTAT_get_max_cx };
    EXPECT(do_sysctl(XEN_SYSCTL_get_pmstat), 0);
    EXPECT(s->u.getcx.nr, 2);
    *s = (struct xen_sysctl_get_pmstat){ .type = PMSTAT_get_cxstat, .u.getcx.nr = 2 };
    set_xen_guest_handle(s->u.getcx.triggers, counts);
    set_xen_guest_handle(s->u.getcx.residencies, times);
    EXPECT(do_sysctl(XEN_SYSCTL_get_pmstat), 0);
    CHECK(times[0] > 0 && times[0] + times[1] <= system_time());
    *s = (struct xen_sysctl_get_pmstat){ .type = PMSTAT_get_max_px };
    EXPECT(do_sysctl(XEN_SYSCTL_get_pmstat), -ENODEV);
    s->cpuid = 1000;
    EXPECT(do_sysctl(XEN_SYSCTL_get_pmstat), -EINVAL);
}

TEST(caches_are_not_watched_nor_divided)
{
    for (uint32_t cmd = 0; cmd < 5; cmd++) {
        sysctl.u.psr_cmt_op = (struct xen_sysctl_psr_cmt_op){ .cmd = cmd };
        EXPECT(do_sysctl(XEN_SYSCTL_psr_cmt_op), -ENODEV);
        sysctl.u.psr_alloc = (struct xen_sysctl_psr_alloc){ .cmd = cmd };
        EXPECT(do_sysctl(XEN_SYSCTL_psr_alloc), cmd < 3 ? -ENODEV : -EOPNOTSUPP);
    }
    domctl.u.psr_cmt_op = (struct xen_domctl_psr_cmt_op){ .cmd = XEN_DOMCTL_PSR_CMT_OP_ATTACH };
    EXPECT(do_domctl(XEN_DOMCTL_psr_cmt_op, 0), -ENODEV);
}

TEST(machine_checks_can_be_asked_for)
{
    static struct mcinfo_logical_cpu cpus[8];
    static struct mc_info record;
    struct xen_mc mc = { .cmd = XEN_MC_physcpuinfo,
                         .interface_version = XEN_MCA_INTERFACE_VERSION };

    EXPECT(hypercall1(__HYPERVISOR_mca, &mc), 0);
    EXPECT(mc.u.mc_physcpuinfo.ncpus, 1);
    set_xen_guest_handle(mc.u.mc_physcpuinfo.info, cpus);
    EXPECT(hypercall1(__HYPERVISOR_mca, &mc), 0);
    EXPECT(cpus[0].mc_ncores, 1);
    mc.u.mc_physcpuinfo.ncpus = 0;
    EXPECT(hypercall1(__HYPERVISOR_mca, &mc), -EINVAL);
    mc = (struct xen_mc){ .cmd = XEN_MC_fetch,
                          .interface_version = XEN_MCA_INTERFACE_VERSION,
                          .u.mc_fetch.flags = XEN_MC_NONURGENT };
    EXPECT(hypercall1(__HYPERVISOR_mca, &mc), -EINVAL); /* nowhere to put it */
    set_xen_guest_handle(mc.u.mc_fetch.data, &record);
    EXPECT(hypercall1(__HYPERVISOR_mca, &mc), 0);
    EXPECT(mc.u.mc_fetch.flags, XEN_MC_NODATA);
    mc.u.mc_fetch.flags = 0x1000;
    EXPECT(hypercall1(__HYPERVISOR_mca, &mc), -EINVAL);
    mc.interface_version = 0;
    EXPECT(hypercall1(__HYPERVISOR_mca, &mc), -EACCES);
    EXPECT(hypercall1(__HYPERVISOR_mca, NULL), -EFAULT);
}

/* ---- domains ---- */

TEST(domains_that_are_none_come_before_operations_that_are_none)
{
    EXPECT(do_domctl(XEN_DOMCTL_pausedomain, 77), -ESRCH);
    EXPECT(do_domctl(500, 77), -ESRCH);
    EXPECT(do_domctl(500, 0), -ENOSYS);
    EXPECT(do_domctl(XEN_DOMCTL_pausedomain, 0), -EINVAL); /* the caller itself */
}

TEST(whoever_follows_the_log_is_told_when_it_grows)
{
    static char key = 'h';
    long port = event_bind_virq(VIRQ_CON_RING, 0);
    uint64_t end = system_time() + 2000000000;

    CHECK(port > 0);
    sysctl.u.debug_keys = (struct xen_sysctl_debug_keys){ .nr_keys = 1 };
    set_xen_guest_handle(sysctl.u.debug_keys.keys, &key);
    EXPECT(do_sysctl(XEN_SYSCTL_debug_keys), 0);
    while (!port_is_pending((unsigned int)port) && system_time() < end) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
    CHECK(port_is_pending((unsigned int)port));
    event_close((unsigned int)port);
}

static volatile unsigned int nr_nmis, nr_wanted, depth, depth_seen;

/* Asks for the next one while it is at the last: that has to wait. */
static bool note_nmi(struct regs *regs)
{
    (void)regs;
    depth++;
    depth_seen = depth > depth_seen ? depth : depth_seen;
    nr_nmis++;
    if (nr_wanted > 1) {
        nr_wanted--;
        EXPECT(hyper_vcpu(VCPUOP_send_nmi, 0, NULL), 0);
    }
    depth--;
    return true;
}

TEST(an_nmi_comes_when_asked_for)
{
    trap_set_handler(2, note_nmi);
    EXPECT(hyper_vcpu(VCPUOP_send_nmi, 0, NULL), 0);
    EXPECT(nr_nmis, 1);
    EXPECT(hyper_vcpu(VCPUOP_send_nmi, 0, &domctl), -EINVAL); /* takes no argument */
    EXPECT(nr_nmis, 1);
    domctl.u.sendtrigger = (struct xen_domctl_sendtrigger){ .trigger = XEN_DOMCTL_SENDTRIGGER_NMI };
    EXPECT(do_domctl(XEN_DOMCTL_sendtrigger, 0), 0);
    EXPECT(nr_nmis, 2);
    nr_wanted = 3;
    EXPECT(hyper_vcpu(VCPUOP_send_nmi, 0, NULL), 0);
    EXPECT(nr_nmis, 5);
    EXPECT(depth_seen, 1);
    domctl.u.sendtrigger.vcpu = 1000;
    CHECK(do_domctl(XEN_DOMCTL_sendtrigger, 0) < 0);
    trap_set_handler(2, NULL);
}

static void write_efer(void *value)
{
    __asm__ volatile("wrmsr" ::"c"(0xc0000080), "a"((uint32_t)(uint64_t)value), "d"(0));
}

static void write_perf_counter(void *value)
{
    __asm__ volatile("wrmsr" ::"c"(0xc0010000), "a"((uint32_t)(uint64_t)value), "d"(0));
}

/* What a register reads as it may be written with, where it may be written at all. */
TEST(registers_of_the_processor_are_not_the_guests)
{
    struct trap_record record;
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0000080));
    CHECK(!trap_try(write_efer, (void *)(uint64_t)low, &record));
    CHECK(trap_try(write_efer, (void *)(uint64_t)(low ^ 0x800), &record));
    EXPECT(record.regs.vector, 13);
    CHECK(!trap_try(write_perf_counter, (void *)5, &record)); /* taken, and forgotten */
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0010000));
    EXPECT(low | high, 0);
}
