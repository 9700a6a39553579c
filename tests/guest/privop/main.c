/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions of the guest's kernel, carried out by the hypervisor:
 * ports, MSRs, control registers, CPUID.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define MSR_APIC_BASE      0x1b
#define MSR_PAT            0x277
#define MSR_EFER           0xc0000080
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_NONE           0x4b564d00 /* of another hypervisor */

#define CR4_TSD (1ul << 2)
#define CR4_DE  (1ul << 3)
#define CR4_PAE (1ul << 5)

static struct trap_record record;

struct cpuid {
    uint32_t a, b, c, d;
};

static void forced_cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid *r)
{
    __asm__ volatile(XEN_CPUID
                     : "=a"(r->a), "=b"(r->b), "=c"(r->c), "=d"(r->d)
                     : "0"(leaf), "2"(subleaf));
}

TEST(cpuid_names_the_hypervisor)
{
    struct cpuid r;

    forced_cpuid(0x40000000, 0, &r);
    CHECK(r.a >= 0x40000002);
    EXPECT(r.b, 0x566e6558); /* XenVMMXenVMM */
    EXPECT(r.c, 0x65584d4d);
    EXPECT(r.d, 0x4d4d566e);
    forced_cpuid(0x40000001, 0, &r);
    EXPECT(r.a, 4 << 16 | 17);
    forced_cpuid(0x40000002, 0, &r);
    EXPECT(r.a, 1);
    EXPECT(r.b, 0x40000000);
}

TEST(cpuid_shows_what_a_paravirtual_kernel_may_use)
{
    struct cpuid r;

    forced_cpuid(1, 0, &r);
    EXPECT(r.c >> 31, 1);     /* a hypervisor is there */
    EXPECT(r.d >> 3 & 1, 0);  /* no large pages */
    EXPECT(r.d >> 13 & 1, 0); /* no global pages */
    EXPECT(r.d >> 17 & 1, 0); /* no PSE-36 */
    EXPECT(r.d & 1, 1);       /* an FPU */
    EXPECT(r.d >> 6 & 1, 1);  /* PAE */
    forced_cpuid(0x80000001, 0, &r);
    EXPECT(r.d >> 29 & 1, 1); /* long mode */
    EXPECT(r.d >> 20 & 1, 1); /* no-execute */
    EXPECT(r.d >> 26 & 1, 0); /* no 1 GiB pages */
    EXPECT(r.c >> 2 & 1, 0);  /* no SVM */
    forced_cpuid(7, 0, &r);
    EXPECT(r.b >> 7 & 1, 0);  /* no SMEP */
    EXPECT(r.b >> 20 & 1, 0); /* no SMAP */
    EXPECT(r.b >> 10 & 1, 0); /* no INVPCID */
}

/* ---- MSRs ---- */

struct msr {
    uint32_t index;
    uint64_t value;
};

static void do_rdmsr(void *arg)
{
    struct msr *msr = arg;
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr->index));
    msr->value = (uint64_t)high << 32 | low;
}

static void do_wrmsr(void *arg)
{
    struct msr *msr = arg;

    __asm__ volatile("wrmsr" ::"c"(msr->index), "a"((uint32_t)msr->value),
                     "d"((uint32_t)(msr->value >> 32)));
}

static bool rdmsr(uint32_t index, uint64_t *value)
{
    struct msr msr = { .index = index };
    bool is_read = !trap_try(do_rdmsr, &msr, &record);

    *value = msr.value;
    return is_read;
}

static bool wrmsr(uint32_t index, uint64_t value)
{
    struct msr msr = { .index = index, .value = value };

    return !trap_try(do_wrmsr, &msr, &record);
}

TEST(msrs_that_can_be_read)
{
    uint64_t value;

    CHECK(rdmsr(MSR_EFER, &value));
    EXPECT(value & 0xd01, 0xd01); /* SCE, LME, LMA, NXE */
    CHECK(rdmsr(MSR_PAT, &value));
    EXPECT(value, 0x050100070406);
    CHECK(rdmsr(MSR_APIC_BASE, &value));
    EXPECT(value, 0xfee00000 | 1 << 11 | 1 << 8);
}

TEST(segment_bases_can_be_written)
{
    uint64_t value, fs;

    CHECK(wrmsr(MSR_FS_BASE, 0x123456789000));
    CHECK(rdmsr(MSR_FS_BASE, &value));
    EXPECT(value, 0x123456789000);
    CHECK(wrmsr(MSR_FS_BASE, (uint64_t)user_data));
    *(uint64_t *)user_data = 0x4242;
    __asm__ volatile("mov %%fs:0, %0" : "=r"(fs));
    EXPECT(fs, 0x4242);
    CHECK(!wrmsr(MSR_FS_BASE, 0x800000000000));
    EXPECT(record.regs.vector, 13);
    CHECK(wrmsr(MSR_FS_BASE, 0));
    CHECK(wrmsr(MSR_GS_BASE, 0x5000));
    CHECK(rdmsr(MSR_GS_BASE, &value));
    EXPECT(value, 0x5000);
    CHECK(wrmsr(MSR_KERNEL_GS_BASE, 0x6000));
    CHECK(rdmsr(MSR_KERNEL_GS_BASE, &value));
    EXPECT(value, 0x6000);
    CHECK(rdmsr(MSR_GS_BASE, &value));
    EXPECT(value, 0x5000);
    CHECK(!wrmsr(MSR_KERNEL_GS_BASE, 0x8000000000000000));
}

user_code static void user_read_gs(void)
{
    __asm__ volatile("mov %gs:0, %rax; mov %fs:0, %rbx; ud2");
}

TEST(user_and_kernel_have_a_gs_base_each)
{
    struct regs regs;
    uint64_t gs;

    *(uint64_t *)user_data = 0x1111;
    EXPECT(hyper_segment_base(SEGBASE_GS_USER, USER_DATA), 0);
    EXPECT(hyper_segment_base(SEGBASE_FS, USER_DATA), 0);
    EXPECT(hyper_segment_base(SEGBASE_GS_KERNEL, (uint64_t)&user_data[8]), 0);
    *(uint64_t *)&user_data[8] = 0x2222;
    user_regs(&regs, user_read_gs);
    user_run(&regs);
    EXPECT(regs.vector, 6);
    EXPECT(regs.rax, 0x1111);
    EXPECT(regs.rbx, 0x1111);
    __asm__ volatile("mov %%gs:0, %0" : "=r"(gs));
    EXPECT(gs, 0x2222);
    EXPECT(hyper_segment_base(SEGBASE_FS, 0), 0);
}

TEST(unknown_msrs_fault)
{
    uint64_t value;

    CHECK(!rdmsr(MSR_NONE, &value));
    EXPECT(record.regs.vector, 13);
    EXPECT(record.regs.error, 0);
    CHECK(!wrmsr(MSR_NONE, 0));
    EXPECT(record.regs.vector, 13);
    CHECK(rdmsr(MSR_EFER, &value));
    CHECK(wrmsr(MSR_EFER, value)); /* the same again */
}

/* ---- control registers ---- */

static uint64_t cr(unsigned int n)
{
    uint64_t value = 0;

    switch (n) {
    case 0:
        __asm__ volatile("mov %%cr0, %0" : "=r"(value));
        break;
    case 2:
        __asm__ volatile("mov %%cr2, %0" : "=r"(value));
        break;
    case 3:
        __asm__ volatile("mov %%cr3, %0" : "=r"(value));
        break;
    default:
        __asm__ volatile("mov %%cr4, %0" : "=r"(value));
        break;
    }
    return value;
}

TEST(control_registers_read_as_the_guests_own)
{
    uint64_t value;

    EXPECT(cr(0) & 0x80010001, 0x80010001); /* PG, WP, PE */
    EXPECT(cr(3), xen_pfn_to_cr3(virt_to_mfn(kernel_l4)));
    EXPECT(cr(4) & CR4_PAE, CR4_PAE);
    CHECK(!probe_read((void *)(FREE_VA + 0x678), &value, &record));
    EXPECT(cr(2), FREE_VA + 0x678);
}

TEST(task_switched_is_virtual)
{
    __asm__ volatile("clts");
    EXPECT(cr(0) & 8, 0);
    EXPECT(hyper_fpu_taskswitch(1), 0);
    EXPECT(cr(0) & 8, 8);
    __asm__ volatile("clts");
    EXPECT(cr(0) & 8, 0);
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr(0) | 8));
    EXPECT(cr(0) & 8, 8);
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr(0) & ~8ul));
    EXPECT(cr(0) & 8, 0);
}

TEST(cr4_changes_only_in_the_guests_bits)
{
    uint64_t old = cr(4);

    __asm__ volatile("mov %0, %%cr4" ::"r"(old | CR4_DE));
    EXPECT(cr(4) & CR4_DE, CR4_DE);
    __asm__ volatile("mov %0, %%cr4" ::"r"(old));
    EXPECT(cr(4), old);
}

TEST(cr3_can_be_written)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(cr(3)) : "memory");
    EXPECT(cr(3), xen_pfn_to_cr3(virt_to_mfn(kernel_l4)));
}

/* ---- ports ---- */

static void do_in(void *arg)
{
    uint64_t *value = arg;
    uint8_t byte;

    __asm__ volatile("inb %1, %0" : "=a"(byte) : "d"((uint16_t)*value));
    *value = byte;
}

static uint8_t inb(uint16_t port)
{
    uint64_t value = port;

    do_in(&value);
    return (uint8_t)value;
}

static void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "d"(port));
}

static uint32_t inl(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(port));
    return value;
}

static void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" ::"a"(value), "d"(port));
}

TEST(ports_need_the_virtual_iopl)
{
    uint64_t port = 0x80;
    struct physdev_set_iopl iopl = { .iopl = 1 };

    CHECK(trap_try(do_in, &port, &record));
    EXPECT(record.regs.vector, 13);
    EXPECT(hyper_physdev(PHYSDEVOP_set_iopl, &iopl), 0);
    CHECK(!trap_try(do_in, &port, &record));
}

TEST(ports_of_the_hypervisor_read_all_ones)
{
    static const uint16_t ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x40, 0x42, 0x3f8, 0x3fd, 0x608 };

    for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
        uint8_t value = inb(ports[i]);

        if (value != 0xff && ports[i] != 0x42) {
            FAIL("port %x reads %x", ports[i], value);
        }
        outb(ports[i], 0xff); /* dropped */
    }
}

TEST(pci_configuration_is_reached_by_ports)
{
    outl(0xcf8, 0x80000000);
    EXPECT(inl(0xcf8), 0x80000000);
    EXPECT(inl(0xcfc), 0x29c08086); /* the host bridge of a Q35 */
    EXPECT(inb(0xcfc), 0x86);
    EXPECT(inb(0xcff), 0x29);
}

TEST(the_clock_chip_is_reached_by_ports)
{
    outb(0x70, 0xb);
    EXPECT(inb(0x71) & 2, 2); /* 24 hours */
}

TEST(string_instructions_work_on_ports)
{
    uint32_t words[4] = { 0 };
    void *to = words;
    uint64_t n = 4;

    outl(0xcf8, 0x80000000);
    __asm__ volatile("rep insl" : "+D"(to), "+c"(n) : "d"((uint16_t)0xcfc) : "memory");
    EXPECT(n, 0);
    EXPECT(words[0], 0x29c08086);
    EXPECT(words[3], 0x29c08086);
    to = (void *)FREE_VA;
}

static void insert_to_nowhere(void *arg)
{
    void *to = arg;

    __asm__ volatile("insl" : "+D"(to) : "d"((uint16_t)0xcfc) : "memory");
}

TEST(a_port_string_to_an_unmapped_page_faults)
{
    CHECK(trap_try(insert_to_nowhere, (void *)FREE_VA, &record));
    EXPECT(record.regs.vector, 14);
    EXPECT(record.cr2, FREE_VA);
    CHECK(trap_try(insert_to_nowhere, (void *)0xffff830000000000, &record));
}

user_code static void user_in(void)
{
    __asm__ volatile("in $0x80, %al; ud2");
}

TEST(user_mode_needs_iopl_3_or_a_bitmap)
{
    static uint8_t bitmap[8192];
    struct physdev_set_iopl iopl = { .iopl = 3 };
    struct physdev_set_iobitmap allowed = { .nr_ports = 65536 };
    struct regs regs;

    user_regs(&regs, user_in);
    user_run(&regs);
    EXPECT(regs.vector, 13);
    EXPECT(hyper_physdev(PHYSDEVOP_set_iopl, &iopl), 0);
    user_regs(&regs, user_in);
    user_run(&regs);
    EXPECT(regs.vector, 6);
    iopl.iopl = 1;
    EXPECT(hyper_physdev(PHYSDEVOP_set_iopl, &iopl), 0);

    __builtin_memset(bitmap, 0xff, sizeof(bitmap));
    bitmap[0x80 / 8] = 0xfe;
    set_xen_guest_handle(allowed.bitmap, bitmap);
    EXPECT(hyper_physdev(PHYSDEVOP_set_iobitmap, &allowed), 0);
    user_regs(&regs, user_in);
    user_run(&regs);
    EXPECT(regs.vector, 6);
    allowed.nr_ports = 0;
    EXPECT(hyper_physdev(PHYSDEVOP_set_iobitmap, &allowed), 0);
    iopl.iopl = 4;
    EXPECT(hyper_physdev(PHYSDEVOP_set_iopl, &iopl), -EINVAL);
}

/* ---- the rest ---- */

TEST(interrupt_flags_are_left_alone)
{
    event_mask();
    __asm__ volatile("sti");
    EXPECT(event_vcpu_info()->evtchn_upcall_mask, 1);
    event_vcpu_info()->evtchn_upcall_mask = 0;
    __asm__ volatile("cli");
    EXPECT(event_vcpu_info()->evtchn_upcall_mask, 0);
    event_mask();
}

TEST(caches_can_be_written_back)
{
    __asm__ volatile("wbinvd" ::: "memory");
}
