/* SPDX-License-Identifier: MIT */
/*
 * A domain without privilege reaches for what is not its own: every frame of
 * the machine, other domains' memory, devices, ports and registers; it starts
 * vCPUs in states of any kind, and fills the log.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/grant.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#include <xen/sysctl.h>

#define MAX_FRAMES (1u << 20) /* 4 GiB */
#define NR_NOTES   40u        /* words of child_box that tell what was got */

static struct child child;

/* ---- the child's notes: [0] how many, then pairs ---- */

static void note(uint64_t what, uint64_t value)
{
    uint64_t n = child_box[0]++;

    if (n < NR_NOTES) {
        child_box[1 + 2 * n] = what;
        child_box[2 + 2 * n] = value;
    }
}

static void tell_notes(const char *what)
{
    for (uint64_t i = 0; i < child.box[0] && i < NR_NOTES; i++) {
        FAIL("%s: %lx gives %lx", what, child.box[1 + 2 * i], child.box[2 + 2 * i]);
    }
}

static void run_child(child_fn *fn, uint64_t arg, const char *what)
{
    EXPECT(child_create(&child, 1, fn, arg), 0);
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    tell_notes(what);
    CHECK(child.box[100] > 0);
    EXPECT(child_destroy(&child), 0);
}

/* Done: what all children end with. */
static void done(uint64_t nr)
{
    child_box[100] = nr;
}

/* ---- frames ---- */

static uint64_t own[MAX_FRAMES / 64];

static void mark(uint64_t mfn)
{
    own[mfn / 64] |= 1ul << mfn % 64;
}

static void mark_own(void)
{
    const uint64_t *p2m = (const uint64_t *)start_info->mfn_list;
    static xen_pfn_t frames[64];
    struct gnttab_setup_table setup = { .dom = DOMID_SELF,
                                        .nr_frames = 1,
                                        .frame_list = { frames } };

    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++) {
        if (p2m[pfn] < MAX_FRAMES) {
            mark(p2m[pfn]);
        }
    }
    mark(start_info->shared_info >> PAGE_SHIFT);
    hyper_grant(GNTTABOP_setup_table, &setup, 1);
    mark(frames[0]);
}

/* All frames there are and those of devices, each by one of two ways. */
static void map_everything(uint64_t arg)
{
    uint64_t *entry, nr = 0;

    (void)arg;
    mark_own();
    pt_map(kernel_l4, FREE_VA, 0);
    entry = pt_entry(kernel_l4, FREE_VA, 1);
    for (uint64_t mfn = 0; mfn < MAX_FRAMES; mfn++) {
        uint64_t pte = mfn << PAGE_SHIFT | (mfn % 3 ? PTE_RO_PAGE : PTE_RW_PAGE);
        long rc;

        if (mfn == 0x60000) {
            mfn = 0xfd000; /* nothing there in between */
        }
        rc = mfn % 2 ? hyper_update_va(FREE_VA, pte, UVMF_INVLPG)
                     : mmu_update(virt_to_machine(entry), pte);
        if (rc == 0 && !(own[mfn / 64] >> mfn % 64 & 1)) {
            note(mfn, pte);
        }
        nr += rc == 0;
    }
    hyper_update_va(FREE_VA, 0, UVMF_INVLPG);
    done(nr);
}

TEST(no_frame_but_its_own_is_mapped)
{
    run_child(map_everything, 0, "frame");
}

/* By the calls that name another domain. */
static void map_others(uint64_t mfn)
{
    static const unsigned int domids[] = { 0, DOMID_IO, DOMID_XEN, DOMID_COW, DOMID_INVALID, 1 };
    static const uint64_t frames[] = { 0xa0, 0xb8, 0xfee00, 0xfec00, 0x100 };
    struct mmu_update request;

    pt_map(kernel_l4, FREE_VA, 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(domids); i++) {
        for (unsigned int j = 0; j <= ARRAY_SIZE(frames); j++) {
            uint64_t frame = j == ARRAY_SIZE(frames) ? mfn : frames[j];

            request.ptr = virt_to_machine(pt_entry(kernel_l4, FREE_VA, 1));
            request.val = frame << PAGE_SHIFT | PTE_RO_PAGE;
            if (hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL, domids[i]) == 0) {
                note(domids[i], frame);
            }
            if (hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, FREE_VA, request.val, 0,
                           domids[i]) == 0) {
                note(domids[i] | 1u << 16, frame);
            }
            /* Tables of another. */
            request.ptr = frame << PAGE_SHIFT;
            request.val = 0;
            if (hypercall4(__HYPERVISOR_mmu_update, &request, 1, NULL,
                           DOMID_SELF | (domids[i] + 1) << 16) == 0) {
                note(domids[i] | 2u << 16, frame);
            }
            request.ptr |= MMU_MACHPHYS_UPDATE;
            if (hyper_mmu_update(&request, 1, NULL) == 0) {
                note(domids[i] | 3u << 16, frame);
            }
        }
    }
    done(1);
}

TEST(others_frames_are_not_named)
{
    run_child(map_others, virt_to_mfn(own), "frame of domain");
}

/* ---- others' memory ---- */

static void take_memory(uint64_t mfn)
{
    static xen_pfn_t frames[2];
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = 0 };
    struct xen_memory_exchange x = { .in = r, .out = r };
    struct xen_mem_acquire_resource resource = { .domid = 0,
                                                 .type = XENMEM_resource_grant_table,
                                                 .nr_frames = 1 };
    struct gnttab_transfer transfer = { .mfn = mfn, .domid = 0 };
    domid_t dom0 = 0;

    for (unsigned int i = 0; i < 2; i++) {
        static const unsigned int cmds[] = { XENMEM_decrease_reservation,
                                             XENMEM_increase_reservation, XENMEM_populate_physmap };

        for (unsigned int j = 0; j < ARRAY_SIZE(cmds); j++) {
            frames[0] = mfn;
            r.domid = i ? DOMID_SELF : 0;
            set_xen_guest_handle(r.extent_start, frames);
            if (hyper_memory(cmds[j], &r) == 1 && (r.domid == 0 || j == 0)) {
                note(cmds[j], r.domid);
            }
        }
        frames[0] = mfn;
        x.in.domid = x.out.domid = i ? DOMID_SELF : 0;
        set_xen_guest_handle(x.in.extent_start, frames);
        set_xen_guest_handle(x.out.extent_start, frames + 1);
        x.nr_exchanged = 0;
        if (hyper_memory(XENMEM_exchange, &x) == 0) {
            note(XENMEM_exchange, x.in.domid);
        }
    }
    set_xen_guest_handle(resource.frame_list, frames);
    if (hyper_memory(XENMEM_acquire_resource, &resource) == 0) {
        note(XENMEM_acquire_resource, frames[0]);
    }
    if (hyper_memory(XENMEM_current_reservation, &dom0) >= 0) {
        note(XENMEM_current_reservation, 0);
    }
    if (hyper_memory(XENMEM_maximum_reservation, &dom0) >= 0) {
        note(XENMEM_maximum_reservation, 0);
    }
    r = (struct xen_memory_reservation){ .nr_extents = 1, .domid = 0 };
    if (hyper_memory(XENMEM_claim_pages, &r) == 0) {
        note(XENMEM_claim_pages, 0);
    }
    if (hyper_grant(GNTTABOP_transfer, &transfer, 1) == 0 && transfer.status == GNTST_okay) {
        note(GNTTABOP_transfer, 0);
    }
    done(1);
}

TEST(others_memory_is_not_taken)
{
    static uint64_t page[PAGE_SIZE / 8] page_aligned;
    domid_t self = DOMID_SELF;
    long before = hyper_memory(XENMEM_current_reservation, &self);

    page[3] = 4;
    run_child(take_memory, virt_to_mfn(page), "memory_op");
    EXPECT(hyper_memory(XENMEM_current_reservation, &self), before);
    EXPECT(page[3], 4);
}

/* ---- devices ---- */

static uint16_t port_in_use;
static bool is_write;

static void use_port(void *arg)
{
    (void)arg;
    if (is_write) {
        __asm__ volatile("outb %b0, %w1" ::"a"(0xff), "d"(port_in_use));
    } else {
        uint32_t value;

        __asm__ volatile("inl %w1, %0" : "=a"(value) : "d"(port_in_use));
        if (value != ~0u) {
            note(port_in_use, value);
        }
    }
}

static void use_devices(uint64_t arg)
{
    static const uint16_t ports[] = { 0x20, 0x21, 0x40, 0x43,  0x60,  0x64,  0x71,  0x80,
                                      0x92, 0xa0, 0xb2, 0x3f8, 0x4d0, 0x604, 0xcf9, 0xcfc };
    static const struct physdev_map_pirq pirqs[] = {
        { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 1, .pirq = 1 },
        { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 9, .pirq = -1 },
        { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_MSI, .index = -1, .pirq = -1, .devfn = 0xfa },
        { .domid = 0, .type = MAP_PIRQ_TYPE_GSI, .index = 1, .pirq = 1 },
    };
    struct physdev_setup_gsi gsi = { .gsi = 9 };
    struct physdev_unmap_pirq unmap = { .domid = 0, .pirq = 9 };
    struct physdev_apic apic = { .apic_physbase = 0xfec00000 };
    struct evtchn_bind_pirq bind = { .pirq = 9 };
    struct physdev_set_iopl iopl = { .iopl = 3 };
    struct trap_record record;

    (void)arg;
    hyper_physdev(PHYSDEVOP_set_iopl, &iopl);
    for (unsigned int i = 0; i < 2 * ARRAY_SIZE(ports); i++) {
        port_in_use = ports[i / 2];
        is_write = i % 2;
        trap_try(use_port, NULL, &record);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(pirqs); i++) {
        struct physdev_map_pirq op = pirqs[i];

        if (hyper_physdev(PHYSDEVOP_map_pirq, &op) == 0) {
            note(PHYSDEVOP_map_pirq, i);
        }
    }
    if (hyper_physdev(PHYSDEVOP_setup_gsi, &gsi) == 0 ||
        hyper_physdev(PHYSDEVOP_unmap_pirq, &unmap) == 0 ||
        hyper_physdev(PHYSDEVOP_apic_read, &apic) == 0 ||
        hyper_physdev(PHYSDEVOP_apic_write, &apic) == 0 ||
        hyper_event(EVTCHNOP_bind_pirq, &bind) == 0) {
        note(PHYSDEVOP_setup_gsi, 0);
    }
    done(1);
}

/* A write to the power management port, or of a reset, would show at once. */
TEST(devices_are_out_of_reach)
{
    run_child(use_devices, 0, "device");
}

/* What may be written keeps to the guest, or has no effect: a second child reads it. */
static uint32_t msr;
static uint64_t msr_value;
static bool was_read;

static void read_msr(void *arg)
{
    uint32_t low, high;

    (void)arg;
    was_read = false;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    msr_value = (uint64_t)high << 32 | low;
    was_read = true;
}

static void write_msr(void *arg)
{
    uint64_t value = (uint64_t)arg;

    __asm__ volatile("wrmsr" ::"a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr));
}

static void use_registers(uint64_t arg)
{
    static const uint32_t msrs[] = {
        0x10,       0x1b,       0x3a,       0x48,       0x49,       0x79,       0xc1,
        0x10a,      0x10b,      0x122,      0x174,      0x175,      0x176,      0x179,
        0x186,      0x199,      0x1a0,      0x1d9,      0x277,      0x2ff,      0x38f,
        0x400,      0x480,      0x570,      0x600,      0x800,      0x830,      0xd90,
        0xda0,      0xe1,       0x8b,       0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083,
        0xc0000084, 0xc0000103, 0xc0000104, 0xc0010015, 0xc001001f, 0xc0010111, 0xc0010112,
        0xc0010114, 0xc0010117, 0xc001011f, 0xc0011020, 0xc0011029, 0x40000000, 0x40000001,
        0x40000200,
    };
    struct trap_record record;

    (void)arg;
    for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++) {
        uint64_t before;

        msr = msrs[i];
        if (trap_try(read_msr, NULL, &record) || !was_read) {
            continue;
        }
        before = msr_value;
        if ((before & 0xffff800000000000) == 0xffff800000000000 && before != ~0ul) {
            note(msr, before); /* an address of the hypervisor's */
        }
        trap_try(write_msr, (void *)(before ^ 0x101), &record);
        trap_try(read_msr, NULL, &record);
        /* The time stamp counter goes on; TSC_AUX is the guest's own. */
        if (was_read && msr != 0x10 && msr != 0xc0000103 && msr_value != before) {
            note(msr, msr_value);
        }
    }
    done(1);
}

TEST(registers_are_out_of_reach)
{
    run_child(use_registers, 0, "MSR");
}

/* ---- states of vCPUs ---- */

#define NR_STATES 24u
#define NR_CPUS   6u

static uint64_t seed;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t odd_value(void)
{
    static const uint64_t odd[] = { 0,
                                    ~0ul,
                                    0x800000000000,
                                    0xffff800000000000,
                                    1ul << 63,
                                    0xe008,
                                    0xe010,
                                    0xffff820000000000,
                                    0x7fffffff,
                                    0x33,
                                    0xfffffffffffff000,
                                    0x7ffffffffff8 };

    return random64() % 3 ? odd[random64() % ARRAY_SIZE(odd)] : random64();
}

static void beat(void *arg)
{
    for (unsigned int i = 0; i < 1000; i++) {
        child_box[101 + (uint64_t)arg]++;
    }
}

static struct vcpu_guest_context context;

/* Of a good state a few words are made odd, other than those that name frames. */
static void spoil(void)
{
    uint64_t *words = (uint64_t *)&context;
    unsigned int frames = offsetof(struct vcpu_guest_context, gdt_frames) / 8;

    for (unsigned int i = 1 + random64() % 6; i; i--) {
        unsigned int at = (unsigned int)(random64() % (sizeof(context) / 8));

        if (random64() % 2) { /* the registers, or what follows the trap table */
            at = random64() % 2
                     ? (unsigned int)offsetof(struct vcpu_guest_context, user_regs) / 8 +
                           (unsigned int)(random64() % (sizeof(struct cpu_user_regs) / 8))
                     : frames - 2 + (unsigned int)(random64() % 40);
        }
        if (at < sizeof(context) / 8 && (at < frames || at >= frames + 17)) {
            words[at] = odd_value();
        }
    }
}

static void start_anyhow(uint64_t arg)
{
    seed = arg * 0x9e3779b97f4a7c15 + 1;
    user_init();
    for (unsigned int id = 1; id < NR_CPUS; id++) {
        struct cpu *cpu = (struct cpu *)cpu_stacks[id];

        cpu->id = id;
        cpu->ap_main = beat;
        cpu->ap_arg = (void *)(uint64_t)id;
        for (unsigned int i = 0; i < 50; i++) {
            cpu_make_context(id, &context);
            spoil();
            context.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(kernel_l4));
            if (hyper_vcpu(VCPUOP_initialise, id, &context) == 0) {
                child_box[100]++;
                break;
            }
        }
        hyper_vcpu(VCPUOP_up, id, NULL);
        hyper_sched(SCHEDOP_yield, NULL);
    }
    for (uint64_t end = system_time() + 2000000; system_time() < end;) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
}

/* The domain may crash of it. */
TEST(vcpus_in_states_of_any_kind)
{
    unsigned int nr_crashed = 0, nr_started = 0;

    for (unsigned int i = 0; i < NR_STATES; i++) {
        long reason;

        CHECK(child_create(&child, NR_CPUS, start_anyhow,
                           guest_option_number("seed=", 1) * 1000 + i) == 0);
        child_unpause(&child);
        reason = child_wait(&child);
        if (reason != SHUTDOWN_poweroff && reason != SHUTDOWN_crash) {
            FAIL("state %u: ends with %ld", i, reason);
        }
        nr_crashed += reason == SHUTDOWN_crash;
        nr_started += (unsigned int)child.box[100];
        /* Of some states Xen keeps a reference. */
        EXPECT(child_destroy(&child) == 0 || guest_option("oracle"), 1);
    }
    print("  %u vCPUs started, %u domains crashed\n", nr_started, nr_crashed);
    CHECK(nr_started > NR_STATES);
}

/* ---- a kernel's odd code, of 32 and of 64 bits ---- */

#define CODE_VA 0x400000ul

static const struct odd_code {
    uint8_t bytes[4];
    uint32_t flags;
} odd_codes[] = {
    { { 0x0f, 0x05, 0x0f, 0x0b }, 0 },       /* syscall, ud2 */
    { { 0x0f, 0x05, 0x0f, 0x0b }, 0x4100 },  /* with NT and TF */
    { { 0x0f, 0x34, 0x0f, 0x0b }, 0 },       /* sysenter */
    { { 0x0f, 0x34, 0x0f, 0x0b }, 0x44100 }, /* with AC, too */
    { { 0xcd, 0x80, 0x0f, 0x0b }, 0 },       /* int $0x80 */
    { { 0xcd, 0x82, 0x0f, 0x0b }, 0 },       /* int $0x82 */
    { { 0xcf, 0x0f, 0x0b, 0x90 }, 0 },       /* iret */
    { { 0x0f, 0x07, 0x0f, 0x0b }, 0 },       /* sysret */
    { { 0x0f, 0x35, 0x0f, 0x0b }, 0 },       /* sysexit */
    { { 0x8e, 0xd0, 0x0f, 0x05 }, 0x100 },   /* mov to ss, syscall */
};

static uint64_t odd_code_segment;

static void enter_odd_code(void *arg)
{
    uint64_t flags = (uint64_t)arg;

    __asm__ volatile("push %1; push %2; push %0; popf; lretq"
                     :
                     : "r"(flags | 0x202), "r"(odd_code_segment), "r"(CODE_VA), "a"(FLAT_USER_SS32)
                     : "memory");
}

static void run_odd_code(uint64_t nr)
{
    static const uint16_t segments[] = { FLAT_USER_CS32, FLAT_KERNEL_CS };
    struct trap_record record;
    uint8_t *page = page_alloc();

    pt_map(kernel_l4, CODE_VA, pte_of(page, PTE_RW_PAGE));
    __builtin_memset(page, 0x0f, PAGE_SIZE); /* is no instruction: a trap ends it */
    __builtin_memcpy(page, odd_codes[nr].bytes, 4);
    for (unsigned int i = 0; i < ARRAY_SIZE(segments); i++) {
        odd_code_segment = segments[i];
        trap_try(enter_odd_code, (void *)(uint64_t)odd_codes[nr].flags, &record);
        child_box[100]++;
    }
}

/* It may crash of it, and nobody else. */
TEST(odd_code_of_a_kernel)
{
    unsigned int nr_traps = 0;

    for (unsigned int i = 0; i < ARRAY_SIZE(odd_codes); i++) {
        long reason;

        CHECK(child_create(&child, 1, run_odd_code, i) == 0);
        child_unpause(&child);
        reason = child_wait(&child);
        nr_traps += (unsigned int)child.box[100];
        if (reason != SHUTDOWN_poweroff && reason != SHUTDOWN_crash) {
            FAIL("code %u ends with %ld", i, reason);
        }
        EXPECT(child_destroy(&child), 0);
    }
    CHECK(nr_traps >= ARRAY_SIZE(odd_codes));
}

/* ---- the log ---- */

static void complain(uint64_t arg)
{
    struct xen_foreign_memory_map map = { .domid = DOMID_SELF, .map.nr_entries = ~0u };
    struct mmuext_op ext = { .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = 1ul << 40 };
    struct trap_record record;
    uint64_t word;

    (void)arg;
    for (unsigned int i = 0; i < 500; i++) {
        for (unsigned int cmd = 0; cmd < 32; cmd++) {
            map.domid = (domid_t)(i % 2 ? DOMID_SELF : i);
            map.map.nr_entries = ~0u;
            hyper_memory(cmd, &map);
            hyper_event(cmd, &map);
            hyper_physdev(cmd, &map);
            hyper_grant(cmd % 13, &map, 1);
        }
        hyper_mmuext(&ext, 1, NULL);
        hypercall1(__HYPERVISOR_domctl, &map);
        probe_read((void *)0xffff830000000000, &word, &record);
        hyper_console(CONSOLEIO_write, 100, (void *)&child);
        done(i);
    }
}

static uint32_t log_length(void)
{
    static char chunk[256];
    static uint32_t index;
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_readconsole,
                            .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    uint32_t total = 0;

    do {
        s.u.readconsole = (struct xen_sysctl_readconsole){ .incremental = 1,
                                                           .index = index,
                                                           .count = sizeof(chunk) };
        set_xen_guest_handle(s.u.readconsole.buffer, chunk);
        if (hypercall1(__HYPERVISOR_sysctl, &s)) {
            return 0;
        }
        index = s.u.readconsole.index;
        total += s.u.readconsole.count;
    } while (s.u.readconsole.count);
    return total;
}

TEST(the_log_is_not_filled)
{
    uint32_t length;

    log_length();
    run_child(complain, 0, "call");
    length = log_length();
    print("  %u bytes\n", length);
    CHECK(length < 8000);
}
