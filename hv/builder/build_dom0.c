/* SPDX-License-Identifier: MIT */
/*
 * dom0's making, from the boot modules to a vCPU that can run.
 *
 * Memory is tight where dom0 shall get nearly all of it, hence the order: the
 * kernel is unpacked, the pages that hold something at the start are allocated
 * and filled, unpacked kernel and modules are given back, and only then are
 * the other pages taken.
 */
#include "builder/build_dom0.h"

#include "domain/part.h"
#include <xen/elfnote.h>

#include "builder/dom0.h"
#include "builder/dom0_memory.h"
#include "builder/dom0_size.h"
#include "builder/rights.h"
#include "builder/start_info.h"
#include "builder/unpack.h"
#include "builder/workspace.h"
#include "lib/string.h"
#include "mm/init.h"
#include "mm/page_alloc.h"
#include "mm/phys.h"
#include "pv/hypercall_page.h"
#include "pv/mmu.h"
#include "pv/pv.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/options.h"
#include "x86/regs.h"

#define EVTCHN_MAX_PORT (~0u)               /* all there are */
#define RFLAGS_START    (1u << 1 | 1u << 9) /* always one; interrupts on */

/* What is known while dom0 is made. */
struct making {
    struct domain *d;
    struct kernel_image img;
    struct dom0_layout layout;
    struct dom0_memory memory;
    struct image_error *err;
    struct arena unpacked; /* the kernel, if it was packed */
};

static const struct boot_module *__init initrd_module(void)
{
    return boot_info.nr_modules > 1 ? &boot_info.modules[1] : NULL;
}

static int __init unpack_kernel(struct making *b, const void *module, size_t len_bytes,
                                const struct image_need *need)
{
    struct unpack_cpu_state saved;
    struct arena scratch = { 0 };
    int rc = workspace_make(&scratch, 0, need->scratch_bytes);

    if (rc == 0) {
        rc = workspace_make(&b->unpacked, 1, need->out_bytes);
    }
    if (rc == 0) {
        unpack_enter(&saved);
        rc = image_open(&b->img, module, len_bytes, &scratch, &b->unpacked, b->err);
        unpack_leave(&saved);
    } else {
        image_refuse(b->err,
                     "dom0 kernel: unpacking it takes %zu KiB, of %lu KiB free: give the machine "
                     "more memory",
                     (need->scratch_bytes + need->out_bytes) >> 10,
                     pages_nr_free() << (PAGE_SHIFT - 10));
    }
    workspace_free(&scratch);
    return rc;
}

static int __init open_kernel(struct making *b)
{
    const struct boot_module *mod = &boot_info.modules[0];
    struct image_need need;
    struct arena none = { 0 };
    struct unpack_cpu_state saved;
    const void *module;
    int rc;

    if (boot_info.nr_modules == 0) {
        return image_refuse(b->err, "no dom0 kernel: the boot loader gave no module; give a Linux "
                                    "kernel as the first one and its initrd as the second");
    }
    module = map_phys(mod->start, mod->len_bytes);
    if (module == NULL) {
        return image_refuse(b->err, "dom0 kernel: its module at %#lx cannot be mapped",
                            mod->start.a);
    }
    unpack_enter(&saved); /* the decoder of headers is a library's, too */
    rc = image_measure(module, mod->len_bytes, &need, b->err);
    unpack_leave(&saved);
    if (rc == 0 && need.out_bytes) {
        return unpack_kernel(b, module, mod->len_bytes, &need);
    }
    return rc ? rc : image_open(&b->img, module, mod->len_bytes, &none, &none, b->err);
}

static uint64_t __init module_pages(void)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < boot_info.nr_modules; i++) {
        pages += boot_info.modules[i].len_bytes >> PAGE_SHIFT;
    }
    return pages;
}

static int __init plan(struct making *b)
{
    const struct boot_module *initrd = initrd_module();
    uint64_t avail = pages_nr_free() + module_pages() + (b->unpacked.len_bytes >> PAGE_SHIFT);
    uint64_t nr_pages;

    nr_pages = dom0_memory_pages(avail);
    spin_lock(&b->d->page_lock);
    b->d->max_pages = dom0_memory_max_pages(avail);
    spin_unlock(&b->d->page_lock);
    return dom0_plan(&b->layout, &b->img, nr_pages, initrd ? initrd->len_bytes : 0, b->err);
}

static void __init set_entry(void *ctx, uint64_t table_pfn, unsigned int index, uint64_t pfn,
                             uint64_t flags)
{
    const struct dom0_memory *m = ctx;
    uint64_t *table = dom0_memory_page(m, table_pfn);

    table[index] = mfn_to_paddr(dom0_memory_mfn(m, pfn)).a | flags;
}

static void __init clear_pages(const struct dom0_memory *m, uint64_t pfn, uint64_t nr)
{
    for (uint64_t i = 0; i < nr; i++) {
        memset(dom0_memory_page(m, pfn + i), 0, PAGE_SIZE);
    }
}

static int __init copy_initrd(struct making *b)
{
    const struct boot_module *initrd = initrd_module();
    const void *data;

    if (initrd == NULL) {
        return 0;
    }
    data = map_phys(initrd->start, initrd->len_bytes);
    if (data == NULL) {
        return image_refuse(b->err, "dom0's initrd: its module at %#lx cannot be mapped",
                            initrd->start.a);
    }
    return dom0_memory_write(&b->memory, b->layout.initrd_pfn << PAGE_SHIFT, data,
                             initrd->len_bytes, 0);
}

static void __init fill_start_info(const struct making *b)
{
    char cmdline[MAX_GUEST_CMDLINE];

    start_info_cmdline(cmdline, sizeof(cmdline), &boot_info);
    clear_pages(&b->memory, b->layout.start_info_pfn, 1);
    start_info_fill(dom0_memory_page(&b->memory, b->layout.start_info_pfn), &b->layout, &b->img,
                    mfn_to_paddr(b->d->shared_info_mfn), cmdline, &boot_info);
}

/* Everything that dom0 finds in its memory when it starts. */
static int __init fill_memory(struct making *b)
{
    const struct dom0_layout *l = &b->layout;
    int rc = image_load(&b->img, dom0_memory_write, &b->memory);

    if (rc == 0) {
        rc = copy_initrd(b);
    }
    if (rc) {
        return rc;
    }
    if (image_has_note(&b->img, XEN_ELFNOTE_HYPERCALL_PAGE)) {
        uint64_t pfn = (b->img.hypercall_page - b->img.virt_base) >> PAGE_SHIFT;

        pv_hypercall_page_fill(dom0_memory_page(&b->memory, pfn));
    }
    fill_start_info(b);
    clear_pages(&b->memory, l->tables_pfn, l->nr_tables);
    clear_pages(&b->memory, l->p2m_tables_pfn, l->nr_p2m_tables);
    clear_pages(&b->memory, l->stack_pfn, 1);
    dom0_make_tables(l, set_entry, &b->memory);
    return 0;
}

/* Nothing of the modules and of the unpacked kernel is needed any more. */
static void __init free_sources(struct making *b)
{
    workspace_free(&b->unpacked);
    for (uint32_t i = 0; i < boot_info.nr_modules; i++) {
        const struct boot_module *m = &boot_info.modules[i];

        if (i > 1) {
            log_warn("boot module %u (%lu bytes) is neither kernel nor initrd of dom0: ignored", i,
                     m->len_bytes);
        }
        mm_free_boot_memory(m->start, PADDR(m->start.a + m->len_bytes));
    }
}

static int __init make_memory(struct making *b)
{
    const struct dom0_layout *l = &b->layout;
    int rc = dom0_memory_begin(&b->memory, b->d, l, b->err);

    if (rc == 0) {
        rc = dom0_memory_fill(&b->memory, 0, l->nr_used_pages, b->err);
    }
    if (rc == 0) {
        rc = fill_memory(b);
    }
    if (rc == 0) {
        free_sources(b);
        rc = dom0_memory_fill(&b->memory, l->nr_used_pages, l->nr_pages, b->err);
    }
    return rc;
}

/* How many vCPUs dom0 gets: one for each CPU, within what the command line says. */
static uint32_t __init nr_vcpus(void)
{
    uint32_t nr = cpumask_count(&cpus_online);

    if (hv_options.dom0_max_vcpus) {
        nr = min(nr, hv_options.dom0_max_vcpus);
    }
    nr = max(nr, hv_options.dom0_min_vcpus);
    return max(min(nr, DOMAIN_MAX_VCPUS), 1u);
}

/* dom0_vcpus_pin: vCPU n runs on the nth CPU and nowhere else. */
static int __init pin_vcpus(struct domain *d)
{
    unsigned int cpu = cpumask_next(&cpus_online, 0);
    int rc = 0;

    for (uint32_t i = 0; i < d->max_vcpus && rc == 0; i++) {
        struct cpumask mask = { { 0 } };

        cpumask_set(&mask, cpu);
        rc = sched_set_affinity(&domain_vcpu(d, i)->unit, &mask, NULL);
        cpu = cpumask_next(&cpus_online, cpu + 1);
        cpu = cpu < NR_CPUS ? cpu : cpumask_next(&cpus_online, 0);
    }
    return rc;
}

static int __init make_domain(struct making *b)
{
    struct domain_config config = {
        .id = 0,
        .is_privileged = true,
        .is_hardware = true,
        .max_vcpus = nr_vcpus(),
        .max_evtchn_port = EVTCHN_MAX_PORT,
        .max_grant_frames = hv_options.gnttab_max_frames,
        .max_maptrack_frames = hv_options.gnttab_max_maptrack_frames,
    };
    int rc;

    rc = domain_create(&config, &b->d);
    for (uint32_t i = 0; i < config.max_vcpus && rc == 0; i++) {
        rc = vcpu_create(b->d, i);
    }
    if (rc == 0 && hv_options.dom0_vcpus_pin) {
        rc = pin_vcpus(b->d);
    }
    if (rc == 0) {
        rc = rights_grant_all(b->d);
    }
    if (rc) {
        image_refuse(b->err, "dom0 with %u vCPUs cannot be created (error %d)", config.max_vcpus,
                     rc);
    }
    return rc;
}

/* Have the page tables checked like any guest's, and put vCPU 0 at the kernel's first instruction.
 */
static int __init start_vcpu(struct making *b)
{
    const struct dom0_layout *l = &b->layout;
    mfn_t l4 = dom0_memory_mfn(&b->memory, l->tables_pfn);
    struct vcpu *v = domain_vcpu(b->d, 0);
    int rc;

    do {
        rc = mmu_pin(b->d, l4, 4);
    } while (rc == -ERESTART);
    if (rc == 0) {
        do {
            rc = mmu_set_kernel_table(v, l4);
        } while (rc == -ERESTART);
    }
    if (rc) {
        return image_refuse(b->err, "dom0's first page tables are refused (error %d)", rc);
    }
    v->regs.rip = b->img.entry;
    v->regs.rsi = dom0_va(l, l->start_info_pfn);
    v->regs.rsp = dom0_va(l, l->stack_pfn + 1);
    v->regs.cs = FLAT_KERNEL_CS;
    v->regs.ss = FLAT_KERNEL_SS;
    v->regs.rflags = RFLAGS_START;
    v->in_kernel = 1;
    pv_reset_registers(v);
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++) {
        b->d->shared_info->vcpu_info[i].evtchn_upcall_mask = 1;
    }
    spin_lock(&b->d->lock);
    v->is_initialised = true;
    v->is_online = true;
    spin_unlock(&b->d->lock);
    return 0;
}

static void __init print_summary(const struct making *b)
{
    const struct kernel_image *img = &b->img;

    log_info("dom0 kernel: %s %s, paddr %#lx -> %#lx, %u vCPUs", img->guest_os, img->guest_version,
             img->virt_start - img->virt_base, img->virt_end - img->virt_base, b->d->max_vcpus);
    log_info("PHYSICAL MEMORY ARRANGEMENT:");
    log_info(" dom0: %lu pages (%lu MiB), %lu of them in use at the start", b->layout.nr_pages,
             b->layout.nr_pages >> (20 - PAGE_SHIFT), b->layout.nr_used_pages);
    dom0_print(&b->layout, img);
}

int __init build_dom0(struct domain **dp, struct image_error *err)
{
    struct making b = { .err = err };
    int rc = open_kernel(&b);

    if (hv_options.dom0_pvh) {
        log_warn("dom0=pvh is not supported: dom0 is made paravirtual");
    }
    if (rc == 0) {
        rc = make_domain(&b);
    }
    if (rc == 0) {
        rc = plan(&b);
    }
    if (rc == 0) {
        print_summary(&b);
        rc = make_memory(&b);
    }
    if (rc == 0) {
        rc = start_vcpu(&b);
    }
    if (rc == 0) {
        dom0_memory_end(&b.memory);
        *dp = b.d;
    }
    return rc;
}
