/* SPDX-License-Identifier: MIT */
/*
 * Second domains, made of the guest's own image.
 *
 * The child's memory is in one piece from VIRT_BASE on, as its maker's is: the
 * image, then start_info, the list of frames, and the page tables (one L4, L3
 * and L2, and an L1 for each 2 MiB).  The maker fills what is not zero through
 * mappings of the child's frames, and takes them away before the tables
 * become tables.
 */
#include "child.h"

#include "event.h"
#include "hypercall.h"
#include "mm.h"

#include <xen/sysctl.h>

#define FILL_VA    0x1c000000000ul /* slot 3: the child that is being made */
#define BOX_VA     0x1e000000000ul /* slot 3: a page for each child */
#define NR_SLOTS   512u
#define WAIT_NS    20000000000ul
#define MAX_TABLES 16u

extern const uint8_t bss_start[], image_end[];

volatile uint64_t child_box[CHILD_BOX_WORDS] page_aligned;
static uint64_t slots[NR_SLOTS / 64];
static bool am_child;

/* Page numbers of what lies behind the image. */
struct layout {
    uint64_t start_info, p2m, tables, end;
    unsigned int nr_l1;
};

bool child_is_me(void)
{
    return am_child;
}

/* ---- domctl ---- */

long domctl(struct xen_domctl *op, unsigned int cmd, unsigned int domid)
{
    op->cmd = cmd;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = (domid_t)domid;
    return hypercall1(__HYPERVISOR_domctl, op);
}

long domctl_info(unsigned int domid, struct xen_domctl_getdomaininfo *info)
{
    struct xen_domctl op = { 0 };
    long rc = domctl(&op, XEN_DOMCTL_getdomaininfo, domid);

    *info = op.u.getdomaininfo;
    return rc ? rc : info->domain == domid ? 0 : -ESRCH;
}

uint64_t machine_free_pages(void)
{
    static struct xen_sysctl op;

    op.cmd = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall1(__HYPERVISOR_sysctl, &op) ? 0 : op.u.physinfo.free_pages;
}

/* ---- others' frames ---- */

long foreign_map(uint64_t va, uint64_t mfn, uint64_t flags, unsigned int owner)
{
    uint64_t *entry = pt_entry(kernel_l4, va, 1);
    struct mmu_update request;

    if (!entry) {
        pt_map(kernel_l4, va, 0);
        entry = pt_entry(kernel_l4, va, 1);
    }
    request.ptr = virt_to_machine(entry);
    request.val = flags ? mfn << PAGE_SHIFT | flags : 0;
    return hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, flags ? owner : DOMID_SELF);
}

static void unmap(uint64_t va)
{
    if (foreign_map(va, 0, 0, DOMID_SELF) || mmuext(MMUEXT_INVLPG_LOCAL, va, 0)) {
        guest_die("cannot unmap %lx", va);
    }
}

uint64_t child_mfn(const struct child *c, const volatile void *va)
{
    return c->p2m[((uint64_t)va - VIRT_BASE) >> PAGE_SHIFT];
}

/* The child's page @pfn in the maker's memory; unfill() ends that. */
static void *fill(const struct child *c, uint64_t pfn)
{
    uint64_t va = FILL_VA + (pfn << PAGE_SHIFT);
    long rc = foreign_map(va, c->p2m[pfn], PTE_RW_PAGE, c->domid);

    if (rc) {
        guest_die("cannot map page %lx of domain %u: error %ld", pfn, c->domid, rc);
    }
    return (void *)va;
}

static void unfill(const void *page)
{
    unmap((uint64_t)page);
}

/* ---- making ---- */

static struct layout plan(void)
{
    struct layout l;

    l.start_info = ((uint64_t)image_end - VIRT_BASE) >> PAGE_SHIFT;
    l.p2m = l.start_info + 1;
    l.tables = l.p2m + CHILD_PAGES_MAX * 8 / PAGE_SIZE;
    l.nr_l1 = (unsigned int)((l.tables + 3 + MAX_TABLES + 511) / 512);
    l.end = l.tables + 3 + l.nr_l1;
    return l;
}

static long populate(struct child *c, uint64_t first, uint64_t end)
{
    struct xen_memory_reservation r = { .domid = (domid_t)c->domid };
    long rc;

    for (uint64_t pfn = first; pfn < end; pfn++) {
        c->p2m[pfn] = pfn;
    }
    r.nr_extents = end - first;
    set_xen_guest_handle(r.extent_start, &c->p2m[first]);
    rc = hyper_memory(XENMEM_populate_physmap, &r);
    return rc == (long)(end - first) ? 0 : -ENOMEM;
}

static long give_memory(struct child *c, const struct layout *l)
{
    struct xen_domctl op = { .u.max_mem.max_memkb = l->end * 4 };
    long rc = domctl(&op, XEN_DOMCTL_max_mem, c->domid);

    for (uint64_t pfn = 0; pfn < CHILD_PAGES_MAX; pfn++) {
        c->p2m[pfn] = ~0ul;
    }
    c->nr_pages = l->end;
    return rc ? rc : populate(c, CHILD_FIRST_PFN, l->end);
}

static void fill_image(const struct child *c)
{
    uint64_t end = ((uint64_t)bss_start - VIRT_BASE) >> PAGE_SHIFT;

    for (uint64_t pfn = CHILD_FIRST_PFN; pfn < end; pfn++) {
        uint64_t *to = fill(c, pfn);
        const uint64_t *from = (const uint64_t *)(VIRT_BASE + (pfn << PAGE_SHIFT));

        for (unsigned int i = 0; i < PAGE_SIZE / 8; i++) {
            to[i] = from[i];
        }
        unfill(to);
    }
}

static void fill_start_info(const struct child *c, const struct layout *l)
{
    struct start_info *info = fill(c, l->start_info);

    __builtin_memcpy(info->magic, start_info->magic, sizeof(info->magic));
    info->nr_pages = l->end;
    info->shared_info = c->shared_info_mfn << PAGE_SHIFT;
    info->pt_base = VIRT_BASE + (l->tables << PAGE_SHIFT);
    info->nr_pt_frames = 3 + l->nr_l1;
    info->mfn_list = VIRT_BASE + (l->p2m << PAGE_SHIFT);
    unfill(info);
    for (uint64_t pfn = l->p2m; pfn < l->tables; pfn++) {
        uint64_t *list = fill(c, pfn);

        for (unsigned int i = 0; i < PAGE_SIZE / 8; i++) {
            list[i] = c->p2m[(pfn - l->p2m) * (PAGE_SIZE / 8) + i];
        }
        unfill(list);
    }
}

/*
 * As the toolstack leaves it: no upcall before the child has said where to,
 * and nothing of what the hypervisor had written when it made the domain.
 */
static void fill_shared_info(const struct child *c)
{
    struct shared_info *info = (struct shared_info *)FILL_VA;

    if (foreign_map(FILL_VA, c->shared_info_mfn, PTE_RW_PAGE, c->domid)) {
        guest_die("cannot map shared_info of domain %u", c->domid);
    }
    __builtin_memset(info, 0, sizeof(*info));
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++) {
        info->vcpu_info[i].evtchn_upcall_mask = 1;
    }
    unfill(info);
}

static void set_upper(const struct child *c, uint64_t table, unsigned int index, uint64_t target)
{
    uint64_t *entries = fill(c, table);

    entries[index] = c->p2m[target] << PAGE_SHIFT | PTE_TABLE;
    unfill(entries);
}

static void fill_tables(const struct child *c, const struct layout *l)
{
    set_upper(c, l->tables, pt_index(VIRT_BASE, 4), l->tables + 1);
    set_upper(c, l->tables + 1, pt_index(VIRT_BASE, 3), l->tables + 2);
    for (unsigned int i = 0; i < l->nr_l1; i++) {
        uint64_t *entries = fill(c, l->tables + 3 + i);

        set_upper(c, l->tables + 2, i, l->tables + 3 + i);
        for (uint64_t pfn = i * 512ul; pfn < (i + 1) * 512ul && pfn < l->end; pfn++) {
            uint64_t flags = pfn >= l->tables ? PTE_RO_PAGE : PTE_RW_PAGE;

            entries[pfn % 512] = pfn < CHILD_FIRST_PFN ? 0 : c->p2m[pfn] << PAGE_SHIFT | flags;
        }
        unfill(entries);
    }
}

/* The child's first code. */
static _Noreturn void child_start(struct start_info *info, child_fn *fn, uint64_t arg)
{
    struct sched_shutdown down = { .reason = SHUTDOWN_poweroff };

    start_info = info;
    am_child = true;
    mm_init();
    trap_init();
    event_init();
    fn(arg);
    for (;;) {
        hyper_sched(SCHEDOP_shutdown, &down);
    }
}

static long start_vcpu(const struct child *c, const struct layout *l, child_fn *fn, uint64_t arg)
{
    static struct vcpu_guest_context context;
    struct xen_domctl op = { .u.vcpucontext.vcpu = 0 };

    __builtin_memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel | VGCF_online;
    context.user_regs.rip = (uint64_t)child_start;
    context.user_regs.rdi = VIRT_BASE + (l->start_info << PAGE_SHIFT);
    context.user_regs.rsi = (uint64_t)fn;
    context.user_regs.rdx = arg;
    context.user_regs.rsp = (uint64_t)cpu_stacks[0] + CPU_STACK_SIZE - 8;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.user_regs.rflags = 0x200;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = (uint64_t)cpu_stacks[0] + CPU_STACK_SIZE / 2;
    context.ctrlreg[3] = xen_pfn_to_cr3(c->p2m[l->tables]);
    set_xen_guest_handle(op.u.vcpucontext.ctxt, &context);
    return domctl(&op, XEN_DOMCTL_setvcpucontext, c->domid);
}

long child_create_empty(struct child *c, unsigned int nr_vcpus)
{
    struct xen_domctl op = {
        .u.createdomain = {
            .max_vcpus = nr_vcpus,
            .max_evtchn_port = 1023,
            .max_grant_frames = -1,
            .max_maptrack_frames = -1,
            .grant_opts = XEN_DOMCTL_GRANT_version(2),
        },
    };
    struct xen_domctl_getdomaininfo info;
    long rc = domctl(&op, XEN_DOMCTL_createdomain, 0);

    if (rc) {
        return rc;
    }
    c->domid = op.domain;
    c->box = NULL;
    c->nr_pages = 0;
    op.u.max_vcpus.max = nr_vcpus;
    rc = domctl(&op, XEN_DOMCTL_max_vcpus, c->domid);
    if (!rc) {
        rc = domctl_info(c->domid, &info);
        c->shared_info_mfn = info.shared_info_frame;
    }
    if (rc) {
        child_destroy(c);
    }
    return rc;
}

static void map_box(struct child *c)
{
    unsigned int slot = 0;

    while (slots[slot / 64] >> (slot % 64) & 1) {
        slot++;
    }
    slots[slot / 64] |= 1ul << (slot % 64);
    c->slot = slot;
    c->box = (volatile uint64_t *)(BOX_VA + slot * PAGE_SIZE);
    if (foreign_map((uint64_t)c->box, child_mfn(c, child_box), PTE_RW_PAGE, c->domid)) {
        guest_die("cannot map the box of domain %u", c->domid);
    }
}

long child_fill(struct child *c, child_fn *fn, uint64_t arg)
{
    struct layout l = plan();
    long rc = give_memory(c, &l);

    if (!rc) {
        fill_image(c);
        fill_start_info(c, &l);
        fill_tables(c, &l);
        fill_shared_info(c);
        rc = start_vcpu(c, &l, fn, arg);
    }
    if (rc) {
        child_destroy(c);
        return rc;
    }
    map_box(c);
    return 0;
}

long child_create(struct child *c, unsigned int nr_vcpus, child_fn *fn, uint64_t arg)
{
    long rc = child_create_empty(c, nr_vcpus);

    return rc ? rc : child_fill(c, fn, arg);
}

/* ---- running and ending ---- */

void child_unpause(struct child *c)
{
    struct xen_domctl op = { 0 };

    if (domctl(&op, XEN_DOMCTL_unpausedomain, c->domid)) {
        FAIL("domain %u cannot be unpaused", c->domid);
    }
}

long child_wait(struct child *c)
{
    uint64_t end = system_time() + WAIT_NS;
    struct xen_domctl_getdomaininfo info;

    while (system_time() < end && domctl_info(c->domid, &info) == 0) {
        if (info.flags & XEN_DOMINF_shutdown) {
            return info.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
        }
        hyper_sched(SCHEDOP_yield, NULL);
    }
    return -1;
}

long child_destroy(struct child *c)
{
    uint64_t end = system_time() + WAIT_NS;
    struct xen_domctl_getdomaininfo info;
    struct xen_domctl op = { 0 };
    bool is_dying = domctl_info(c->domid, &info) == 0 && (info.flags & XEN_DOMINF_dying);
    long rc;

    if (c->box) {
        unmap((uint64_t)c->box);
        slots[c->slot / 64] &= ~(1ul << (c->slot % 64));
        c->box = NULL;
    }
    /* The box may have been all that a zombie lived on. */
    rc = is_dying ? 0 : domctl(&op, XEN_DOMCTL_destroydomain, c->domid);
    while (!rc && domctl_info(c->domid, &info) == 0) {
        hyper_sched(SCHEDOP_yield, NULL);
        rc = system_time() > end ? -EBUSY : 0;
    }
    return rc;
}
