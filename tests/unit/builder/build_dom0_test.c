/* SPDX-License-Identifier: MIT */
/* sources: hv/builder/build_dom0.c hv/builder/dom0_memory.c hv/builder/start_info.c */
/* sources: hv/builder/dom0.c hv/builder/image.c hv/builder/elf.c hv/builder/notes.c */
/* sources: hv/builder/unpack.c hv/pv/hypercall_page.c hv/lib/format.c hv/lib/string.c */
/* sources: hv/sys/cmdline.c hv/builder/dom0_size.c tests/unit/builder/fake_kernel.c */
/* libs: -llzma -lzstd -llz4 -lz */
/* A whole dom0, built in memory of the test's own by the shipped code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <xen/elfnote.h>

#include "builder/build_dom0.h"
#include "builder/fake_kernel.h"
#include "builder/unpack.h"
#include "builder/workspace.h"
#include "domain/memory.h"
#include "domain/part.h"
#include "mm/heap.h"
#include "mm/init.h"
#include "mm/m2p.h"
#include "mm/phys.h"
#include "pv/mmu.h"
#include "pv/pv.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/options.h"

#define MIB          (1ull << 20)
#define GUEST_TABLE  1u
#define LOW_PAGES    4096u      /* the fake allocator keeps 16 MiB, as the real one does */
#define MODULE_AT    (20 * MIB) /* machine addresses of the modules */
#define INITRD_AT    (40 * MIB + 0x678)
#define INITRD_BYTES 300001u

/* --- a machine --- */

static uint64_t nr_ram_pages;
static uint8_t *ram;
static uint8_t *owner; /* by frame: who has it */
static uint64_t *m2p;
static uint64_t frames_of_dom0;
static char said[8192];

enum {
    OWNER_FREE,
    OWNER_HV,
    OWNER_MODULE,
    OWNER_TAKEN,
    OWNER_DOM0
};

struct boot_info boot_info;
struct hv_options hv_options;
struct cpumask cpus_online;
struct cpu *cpus[NR_CPUS];
struct cpu host_cpu;

void log_print(enum log_level level, const char *fmt, ...)
{
    size_t used = strlen(said);
    va_list args;

    va_start(args, fmt);
    vsnprintf(said + used, sizeof(said) - used - 1, fmt, args);
    va_end(args);
    strcat(said, "\n");
}

void panic(const char *fmt, ...)
{
    fail_msg("panic: %s", fmt);
    abort();
}

void spin_lock_wait(struct spinlock *lock)
{
    fail_msg("nobody else is there to hold a lock");
}

uint64_t option_memory_bytes(const struct option_memory *m, uint64_t total_bytes, uint64_t other)
{
    return m->is_set ? m->bytes : other;
}

void *phys_to_virt(paddr_t p)
{
    assert_true(p.a < nr_ram_pages * PAGE_SIZE);
    return ram + p.a;
}

paddr_t virt_to_phys(const void *va)
{
    return PADDR((uint64_t)((const uint8_t *)va - ram));
}

void *map_phys(paddr_t p, size_t len_bytes)
{
    return phys_to_virt(p);
}

void *heap_alloc(size_t size)
{
    return calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    free(p);
}

mfn_t m2p_piece(uint64_t i)
{
    return MFN(((uint64_t)((uint8_t *)m2p - ram) + i * M2P_PIECE_BYTES) / PAGE_SIZE);
}

uint64_t pages_nr_free(void)
{
    uint64_t nr = 0;

    for (uint64_t i = 0; i < nr_ram_pages; i++) {
        nr += owner[i] == OWNER_FREE;
    }
    return nr;
}

uint64_t pages_nr_total(void)
{
    return nr_ram_pages;
}

/* The highest aligned block that is free. */
mfn_t pages_alloc(unsigned int order, unsigned int address_bits, unsigned int flags)
{
    uint64_t size = 1ull << order;

    assert_int_equal(flags, 0);
    for (uint64_t at = align_down(nr_ram_pages, size); at >= LOW_PAGES + size; at -= size) {
        if (memchr(owner + at - size, OWNER_FREE, 1) &&
            memcmp(owner + at - size, owner + at - size + 1, size - 1) == 0) {
            memset(owner + at - size, OWNER_TAKEN, size);
            memset(ram + (at - size) * PAGE_SIZE, 0x5a, min(size, 64ull) * PAGE_SIZE);
            return MFN(at - size);
        }
    }
    return MFN_INVALID;
}

void pages_free(mfn_t mfn, unsigned int order)
{
    assert_int_equal(mfn.n & ((1ull << order) - 1), 0);
    for (uint64_t i = 0; i < 1ull << order; i++) {
        assert_int_equal(owner[mfn.n + i], OWNER_TAKEN);
        owner[mfn.n + i] = OWNER_FREE;
    }
}

void mm_free_boot_memory(paddr_t start, paddr_t end)
{
    for (uint64_t i = align_up(start.a, PAGE_SIZE) >> 12; i < end.a >> 12; i++) {
        assert_int_equal(owner[i], OWNER_MODULE);
        owner[i] = OWNER_FREE;
        memset(ram + i * PAGE_SIZE, 0xbd, PAGE_SIZE);
    }
}

int memory_assign(struct domain *d, mfn_t mfn, unsigned int order)
{
    assert_int_equal(mfn.n & ((1ull << order) - 1), 0);
    for (uint64_t i = 0; i < 1ull << order; i++) {
        assert_int_equal(owner[mfn.n + i], OWNER_TAKEN);
        owner[mfn.n + i] = OWNER_DOM0;
        m2p[mfn.n + i] = M2P_INVALID;
    }
    frames_of_dom0 += 1ull << order;
    return frames_of_dom0 <= d->max_pages ? 0 : -E2BIG;
}

mfn_t memory_alloc(struct domain *d, unsigned int order, unsigned int bits, unsigned int flags)
{
    mfn_t mfn = pages_alloc(order, bits, flags);

    return mfn_eq(mfn, MFN_INVALID) || memory_assign(d, mfn, order) ? MFN_INVALID : mfn;
}

int sched_set_affinity(struct sched_unit *u, const struct cpumask *hard, const struct cpumask *soft)
{
    assert_null(soft);
    u->affinity = *hard;
    return 0;
}

int rights_grant_all(struct domain *d)
{
    return 0;
}

static struct domain dom0;
static struct vcpu vcpus[DOMAIN_MAX_VCPUS];
static struct vcpu *vcpu_list[DOMAIN_MAX_VCPUS];

int domain_create(const struct domain_config *config, struct domain **dp)
{
    assert_true(config->is_privileged && config->is_hardware);
    memset(&dom0, 0, sizeof(dom0));
    memset(vcpu_list, 0, sizeof(vcpu_list));
    memset(vcpus, 0, sizeof(vcpus));
    dom0.vcpus = vcpu_list;
    dom0.max_vcpus = config->max_vcpus;
    dom0.shared_info_mfn = MFN(3);
    dom0.shared_info = mfn_to_virt(MFN(3));
    memset(dom0.shared_info, 0, PAGE_SIZE);
    *dp = &dom0;
    return 0;
}

int vcpu_create(struct domain *d, uint32_t id)
{
    assert_true(id < d->max_vcpus);
    vcpu_list[id] = &vcpus[id];
    return 0;
}

struct vcpu *domain_vcpu(const struct domain *d, uint32_t id)
{
    return vcpu_list[id];
}

int workspace_make(struct arena *area, unsigned int number, size_t len_bytes)
{
    *area = (struct arena){ .base = aligned_alloc(16, align_up(len_bytes, 4096)),
                            .len_bytes = align_up(len_bytes, 4096) };
    return 0;
}

void workspace_free(struct arena *area)
{
    free(area->base);
    *area = (struct arena){ 0 };
}

void unpack_enter(struct unpack_cpu_state *saved)
{
}

void unpack_leave(const struct unpack_cpu_state *saved)
{
}

/* --- what pinning checks --- */

static mfn_t pinned, loaded;
static const struct vcpu *registers_reset_of;
static uint8_t *table_level; /* by frame */
static unsigned int restarts;

static void check_table(uint64_t mfn, unsigned int level)
{
    const uint64_t *table = mfn_to_virt(MFN(mfn));

    assert_int_equal(owner[mfn], OWNER_DOM0);
    assert_int_equal(table_level[mfn], 0); /* linked once */
    table_level[mfn] = (uint8_t)level;
    for (unsigned int i = 0; i < 512; i++) {
        if (!(table[i] & 1)) {
            assert_int_equal(table[i], 0);
        } else if (level > 1) {
            check_table(table[i] >> 12, level - 1);
        }
    }
}

/* After all tables are known: none of them is mapped writable. */
static void check_writable(uint64_t mfn, unsigned int level)
{
    const uint64_t *table = mfn_to_virt(MFN(mfn));

    for (unsigned int i = 0; i < 512; i++) {
        if (table[i] & 1 && level > 1) {
            check_writable(table[i] >> 12, level - 1);
        } else if (table[i] & 1) {
            assert_int_equal(owner[table[i] >> 12], OWNER_DOM0);
            assert_int_equal(!!(table[i] & 2), table_level[table[i] >> 12] == 0);
        }
    }
}

int mmu_pin(struct domain *d, mfn_t mfn, unsigned int level)
{
    if (restarts++ < 3) {
        return -ERESTART;
    }
    assert_int_equal(level, 4);
    pinned = mfn;
    check_table(mfn.n, 4);
    check_writable(mfn.n, 4);
    return 0;
}

int mmu_set_kernel_table(struct vcpu *v, mfn_t mfn)
{
    assert_ptr_equal(v, &vcpus[0]);
    loaded = mfn;
    return 0;
}

void pv_reset_registers(struct vcpu *v)
{
    registers_reset_of = v;
}

/* --- the tests' own --- */

static uint8_t initrd_byte(size_t i)
{
    return (uint8_t)(i * 7 + (i >> 8));
}

static void add_module(uint64_t at, const void *data, size_t len, const char *cmdline)
{
    struct boot_module *m = &boot_info.modules[boot_info.nr_modules++];

    *m = (struct boot_module){ .start = PADDR(at), .len_bytes = len };
    strcpy(m->cmdline, cmdline);
    memcpy(ram + at, data, len);
    memset(owner + at / PAGE_SIZE, OWNER_MODULE, ((at % PAGE_SIZE) + len + 4095) / PAGE_SIZE);
}

static void machine_make(uint64_t ram_bytes)
{
    uint64_t m2p_bytes;

    nr_ram_pages = ram_bytes / PAGE_SIZE;
    ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
               -1, 0);
    assert_ptr_not_equal(ram, MAP_FAILED);
    owner = calloc(nr_ram_pages, 1);
    table_level = calloc(nr_ram_pages, 1);
    memset(owner, OWNER_HV, 5000);
    m2p_bytes = align_up(nr_ram_pages * 8, M2P_PIECE_BYTES);
    memset(owner + nr_ram_pages - m2p_bytes / PAGE_SIZE, OWNER_HV, m2p_bytes / PAGE_SIZE);
    m2p = (uint64_t *)(void *)(ram + ram_bytes - m2p_bytes);
    memset(&boot_info, 0, sizeof(boot_info));
    memset(&hv_options, 0, sizeof(hv_options));
    hv_options.acpi = true;
    memset(&cpus_online, 0, sizeof(cpus_online));
    cpus_online.bits[0] = 7;
    frames_of_dom0 = restarts = 0;
    said[0] = 0;
}

static void machine_free(void)
{
    munmap(ram, nr_ram_pages * PAGE_SIZE);
    free(owner);
    free(table_level);
}

static void add_kernel_and_initrd(enum fake_packing packing)
{
    struct fake_file f = fake_kernel(packing);
    uint8_t *initrd = malloc(INITRD_BYTES);

    for (size_t i = 0; i < INITRD_BYTES; i++) {
        initrd[i] = initrd_byte(i);
    }
    add_module(MODULE_AT, f.data, f.len, "root=/dev/vda ro");
    add_module(INITRD_AT, initrd, INITRD_BYTES, "");
    free(initrd);
    free(f.data);
}

/* The byte of the machine at guest-virtual @va. */
static uint8_t *at_va(uint64_t va)
{
    uint64_t mfn = loaded.n;

    for (int level = 4; level >= 1; level--) {
        uint64_t e = ((uint64_t *)mfn_to_virt(MFN(mfn)))[va >> (3 + 9 * level) & 511];

        assert_int_equal(e & 1, 1);
        mfn = e >> 12;
    }
    return (uint8_t *)mfn_to_virt(MFN(mfn)) + va % PAGE_SIZE;
}

static uint64_t p2m(uint64_t pfn)
{
    return *(uint64_t *)(void *)at_va(FAKE_INIT_P2M + pfn * 8);
}

/* Every pfn has a frame of its own, and the M2P table agrees. */
static void check_frames(uint64_t nr_pages)
{
    assert_int_equal(frames_of_dom0, nr_pages);
    for (uint64_t pfn = 0; pfn < nr_pages; pfn++) {
        uint64_t mfn = p2m(pfn);

        assert_true(mfn < nr_ram_pages);
        assert_int_equal(owner[mfn], OWNER_DOM0);
        assert_int_equal(m2p[mfn], pfn);
    }
}

static void check_contents(const struct start_info *si)
{
    for (size_t i = 0; i < FAKE_TEXT_BYTES; i++) {
        assert_int_equal(*at_va(FAKE_VIRT_BASE + FAKE_TEXT_PADDR + i), fake_text_byte(i));
    }
    for (size_t i = 0; i < FAKE_DATA_BYTES + FAKE_BSS_BYTES; i++) {
        assert_int_equal(*at_va(FAKE_VIRT_BASE + FAKE_DATA_PADDR + i),
                         i < FAKE_DATA_BYTES ? fake_data_byte(i) : 0);
    }
    assert_int_equal(si->flags, SIF_PRIVILEGED | SIF_INITDOMAIN | SIF_MOD_START_PFN);
    assert_int_equal(si->mod_len, INITRD_BYTES);
    for (size_t i = 0; i < INITRD_BYTES; i++) {
        const uint8_t *page = mfn_to_virt(MFN(p2m(si->mod_start + i / PAGE_SIZE)));

        assert_int_equal(page[i % PAGE_SIZE], initrd_byte(i));
    }
}

static void check_vcpu(const struct vcpu *v)
{
    assert_int_equal(v->regs.rip, FAKE_VIRT_BASE + FAKE_TEXT_PADDR + 0x40);
    assert_int_equal(v->regs.cs, 0xe033);
    assert_int_equal(v->regs.ss, 0xe02b);
    assert_int_equal(v->regs.rflags, 0x202);
    assert_int_equal(v->in_kernel, 1);
    assert_true(v->is_initialised && v->is_online);
    assert_ptr_equal(registers_reset_of, v);
    *at_va(v->regs.rsp - 1) = 1; /* mapped */
    assert_int_equal(pinned.n, loaded.n);
    for (int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++) {
        assert_int_equal(dom0.shared_info->vcpu_info[i].evtchn_upcall_mask, 1);
    }
}

static void dom0_is_built_from_any_packing(void **state)
{
    for (int packing = 0; packing < FAKE_NR_PACKINGS; packing++) {
        struct image_error err = { { 0 } };
        const struct start_info *si;
        struct domain *d = NULL;
        int rc;

        machine_make(1024 * MIB);
        add_kernel_and_initrd(packing);
        hv_options.noapic = true;
        strcpy(boot_info.cmdline, "dom0_mem=1 -- debug");
        rc = build_dom0(&d, &err);
        assert_string_equal(err.text, "");
        assert_int_equal(rc, 0);
        assert_ptr_equal(d, &dom0);
        si = (const void *)at_va(vcpus[0].regs.rsi);
        assert_int_equal(d->max_vcpus, 3);
        assert_string_equal(si->magic, "xen-3.0-x86_64");
        assert_string_equal((const char *)si->cmd_line, "root=/dev/vda ro debug noapic");
        assert_int_equal(si->shared_info, 3 << 12);
        assert_int_equal(si->mfn_list, FAKE_INIT_P2M);
        assert_ptr_equal(at_va(si->pt_base), mfn_to_virt(loaded));
        assert_int_equal(si->console.dom0.info_size, 0);
        check_frames(si->nr_pages);
        check_contents(si);
        check_vcpu(&vcpus[0]);
        /* All but the reserve was given away, and nothing was lost on the way. */
        assert_null(memchr(owner, OWNER_TAKEN, nr_ram_pages));
        assert_in_range(pages_nr_free(), 60 * MIB / PAGE_SIZE, 70 * MIB / PAGE_SIZE);
        machine_free();
    }
}

static void the_list_covers_several_chunks(void **state)
{
    struct image_error err = { { 0 } };
    const struct start_info *si;
    struct domain *d;

    machine_make(2600 * MIB);
    add_kernel_and_initrd(FAKE_PLAIN);
    hv_options.dom0_mem = (struct option_memory){ .bytes = 2400 * MIB + 5 * 4096, .is_set = true };
    assert_int_equal(build_dom0(&d, &err), 0);
    si = (const void *)at_va(vcpus[0].regs.rsi);
    assert_int_equal(si->nr_pages, 2400 * 256 + 5);
    check_frames(si->nr_pages);
    check_contents(si);
    assert_int_equal(p2m(si->nr_pages), ~0ull);
    assert_int_equal(d->max_pages, UINT32_MAX);
    machine_free();
}

static void dom0_mem_is_kept_within_its_bounds(void **state)
{
    static const struct {
        uint64_t mem, min_mem, max_mem, pages, max_pages;
    } cases[] = {
        { 100, 0, 0, 100 << 8, UINT32_MAX }, { 100, 120, 150, 120 << 8, 150 << 8 },
        { 300, 0, 150, 150 << 8, 150 << 8 }, { 100, 200, 150, 150 << 8, 150 << 8 },
        { 0, 0, 90, 90 << 8, 90 << 8 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct image_error err = { { 0 } };
        struct domain *d;

        machine_make(512 * MIB);
        add_kernel_and_initrd(FAKE_LZ4);
        hv_options.dom0_mem = (struct option_memory){ .bytes = cases[i].mem * MIB };
        hv_options.dom0_mem.is_set = cases[i].mem;
        hv_options.dom0_mem_min = (struct option_memory){ .bytes = cases[i].min_mem * MIB };
        hv_options.dom0_mem_min.is_set = cases[i].min_mem;
        hv_options.dom0_mem_max = (struct option_memory){ .bytes = cases[i].max_mem * MIB };
        hv_options.dom0_mem_max.is_set = cases[i].max_mem;
        assert_int_equal(build_dom0(&d, &err), 0);
        assert_int_equal(frames_of_dom0, cases[i].pages);
        assert_int_equal(d->max_pages, cases[i].max_pages);
        machine_free();
    }
}

static void vcpus_are_pinned_if_told(void **state)
{
    struct image_error err = { { 0 } };
    struct domain *d;

    machine_make(256 * MIB);
    add_kernel_and_initrd(FAKE_PLAIN);
    cpus_online.bits[0] = 5;
    hv_options.dom0_vcpus_pin = true;
    hv_options.dom0_min_vcpus = 3;
    hv_options.dom0_max_vcpus = 8;
    assert_int_equal(build_dom0(&d, &err), 0);
    assert_int_equal(d->max_vcpus, 3);
    assert_int_equal(vcpus[0].unit.affinity.bits[0], 1);
    assert_int_equal(vcpus[1].unit.affinity.bits[0], 4);
    assert_int_equal(vcpus[2].unit.affinity.bits[0], 1);
    machine_free();
}

static void too_much_is_cut_and_too_little_refused(void **state)
{
    struct image_error err = { { 0 } };
    struct domain *d;

    machine_make(256 * MIB);
    add_kernel_and_initrd(FAKE_PLAIN);
    hv_options.dom0_mem = (struct option_memory){ .bytes = 4096 * MIB, .is_set = true };
    assert_int_equal(build_dom0(&d, &err), 0);
    assert_non_null(strstr(said, "dom0_mem= asks for 4194304 KiB"));
    machine_free();

    machine_make(256 * MIB);
    add_kernel_and_initrd(FAKE_PLAIN);
    hv_options.dom0_mem = (struct option_memory){ .bytes = 20 * MIB, .is_set = true };
    assert_int_equal(build_dom0(&d, &err), -ENOMEM);
    assert_non_null(strstr(err.text, "dom0 has 20480 KiB"));
    machine_free();
}

static void no_kernel_is_no_dom0(void **state)
{
    struct image_error err = { { 0 } };
    struct domain *d;

    machine_make(64 * MIB);
    assert_int_equal(build_dom0(&d, &err), -EINVAL);
    assert_non_null(strstr(err.text, "no module"));
    add_module(MODULE_AT, "no kernel", 9, "");
    assert_int_equal(build_dom0(&d, &err), -EINVAL);
    assert_non_null(strstr(err.text, "no bzImage"));
    machine_free();
}

static void the_screen_is_described(void **state)
{
    struct image_error err = { { 0 } };
    const struct dom0_vga_console_info *info;
    const struct start_info *si;
    struct domain *d;

    machine_make(256 * MIB);
    add_kernel_and_initrd(FAKE_PLAIN);
    boot_info.video = BOOT_VIDEO_FRAMEBUFFER;
    boot_info.fb = (struct boot_framebuffer){ .base = PADDR(0x4fd000000),
                                              .width = 1024,
                                              .height = 768,
                                              .pitch_bytes = 4096,
                                              .bits_per_pixel = 32,
                                              .red_pos = 16,
                                              .red_size = 8 };
    assert_int_equal(build_dom0(&d, &err), 0);
    si = (const void *)at_va(vcpus[0].regs.rsi);
    info = (const void *)((const uint8_t *)si + si->console.dom0.info_off);
    assert_int_equal(si->console.dom0.info_size, sizeof(*info));
    assert_int_equal(info->video_type, XEN_VGATYPE_VESA_LFB);
    assert_int_equal(info->u.vesa_lfb.lfb_base, 0xfd000000);
    assert_int_equal(info->u.vesa_lfb.ext_lfb_base, 4);
    assert_int_equal(info->u.vesa_lfb.lfb_size, 48);
    assert_int_equal(info->u.vesa_lfb.red_pos, 16);
    machine_free();
}

static void old_kernels_get_a_hypercall_page_and_a_mapped_initrd(void **state)
{
    struct image_error err = { { 0 } };
    const struct start_info *si;
    struct fake_elf elf;
    struct fake_file f;
    struct domain *d;
    const uint8_t *page;

    machine_make(256 * MIB);
    fake_elf_init(&elf);
    fake_elf_linux_notes(&elf);
    fake_elf_drop_note(&elf, XEN_ELFNOTE_MOD_START_PFN);
    fake_elf_drop_note(&elf, XEN_ELFNOTE_INIT_P2M);
    fake_elf_note_text(&elf, XEN_ELFNOTE_PAE_MODE, "yes");
    fake_elf_note_number(&elf, XEN_ELFNOTE_HYPERCALL_PAGE,
                         FAKE_VIRT_BASE + FAKE_TEXT_PADDR + 0x1000);
    f = fake_elf_finish(&elf);
    add_module(MODULE_AT, f.data, f.len, "");
    add_module(INITRD_AT, "initrd", 6, "");
    assert_int_equal(build_dom0(&d, &err), 0);
    si = (const void *)at_va(vcpus[0].regs.rsi);
    page = at_va(FAKE_VIRT_BASE + FAKE_TEXT_PADDR + 0x1000);
    assert_memory_equal(page + 32 * 12, "\x51\x41\x53\xb8\x0c\0\0\0\x0f\x05\x41\x5b\x59\xc3", 14);
    assert_memory_equal(page + 32 * 23, "\x51\x41\x53\x50\xb8\x17\0\0\0\x0f\x05", 11);
    assert_string_equal(si->magic, "xen-3.0-x86_64p");
    assert_int_equal(si->flags, SIF_PRIVILEGED | SIF_INITDOMAIN);
    assert_memory_equal(at_va(si->mod_start), "initrd", 6);
    assert_int_equal(*(uint64_t *)(void *)at_va(si->mfn_list + 8 * 16),
                     (uint64_t)(at_va(FAKE_VIRT_BASE + 16 * 4096) - ram) >> 12);
    assert_int_equal(si->first_p2m_pfn, 0);
    free(f.data);
    machine_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dom0_is_built_from_any_packing),
        cmocka_unit_test(the_list_covers_several_chunks),
        cmocka_unit_test(dom0_mem_is_kept_within_its_bounds),
        cmocka_unit_test(vcpus_are_pinned_if_told),
        cmocka_unit_test(too_much_is_cut_and_too_little_refused),
        cmocka_unit_test(no_kernel_is_no_dom0),
        cmocka_unit_test(the_screen_is_described),
        cmocka_unit_test(old_kernels_get_a_hypercall_page_and_a_mapped_initrd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
