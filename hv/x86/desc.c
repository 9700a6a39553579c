/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables, and the code stubs that SYSCALL and SYSENTER enter by.
 *
 * A guest's GDT pages are mapped, writable for us alone, in the window of the
 * CPU that runs it: the processor sets accessed bits in them.  Page 14 holds our
 * descriptors and, beyond the GDT's limit, the TSS.
 */
#include "x86/desc.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "sys/cpu.h"
#include "sys/log.h"
#include "x86/entry.h"
#include "x86/features.h"
#include "x86/insn.h"
#include "x86/memory.h"
#include "x86/msr.h"
#include "x86/paging.h"
#include "x86/regs.h"
#include "x86/vectors.h"

#define TSS_OFFSET     0x800u /* in page 14 */
#define TYPE_TSS       0x89ull
#define TYPE_LDT       0x82ull
#define GATE_INTERRUPT 0x8eull
#define GATE_DPL3      0x60ull
#define WINDOW_FLAGS   (PAGE_HV_RW & ~PTE_G)

struct idt_gate {
    uint64_t low, high;
};

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} packed;

extern const char entry_syscall32[];

static struct idt_gate idt[256] aligned(4096) __attribute__((section(".data.page_aligned")));

/* Flat segments by selector - GDT_OWN_OFFSET; the rest is filled for each CPU. */
static const uint64_t own_descriptors[GDT_OWN_BYTES / 8] = {
    [0x08 / 8] = 0x00af9b000000ffffull, /* SEL_HV_CS: 64-bit code, ring 0 */
    [0x10 / 8] = 0x00cf93000000ffffull, /* SEL_HV_SS: data, ring 0 */
    [0x20 / 8] = 0x00cffb000000ffffull, /* FLAT_RING3_CS32 */
    [0x28 / 8] = 0x00cff3000000ffffull, /* FLAT_RING3_SS64 */
    [0x30 / 8] = 0x00affb000000ffffull, /* FLAT_RING3_CS64 */
};

/* Shown where a guest has no GDT: its selectors there are as bad as any beyond a limit. */
static const uint8_t empty_page[PAGE_SIZE] aligned(4096);

/* What this CPU's windows show. */
struct windows {
    uint64_t *entries;   /* [c] level-1 entries of the GDT window, then of the LDT window */
    uint64_t empty;      /* [c] what an entry is that shows empty_page */
    uint32_t nr_gdt;     /* [s] guest GDT pages shown */
    uint32_t ldt_mapped; /* [s] bit n: page n of the LDT window */
    uint32_t ldt_len;    /* [s] descriptors in the LDT that is loaded */
};
static DEFINE_PER_CPU(struct windows, windows);

static __init void gate_set(unsigned int vector, uint16_t cs, unsigned int ist, uint64_t dpl)
{
    uint64_t target = (uintptr_t)entry_stubs[vector];

    idt[vector].low = (target & 0xffff) | (uint64_t)cs << 16 | (uint64_t)ist << 32 |
                      (GATE_INTERRUPT | dpl) << 40 | (target >> 16 & 0xffff) << 48;
    idt[vector].high = target >> 32;
}

static void idt_load(void)
{
    struct table_pointer p = { sizeof(idt) - 1, (uintptr_t)idt };

    __asm__ volatile("lidt %0" ::"m"(p));
}

__init void idt_init_early(uint16_t cs)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(idt); i++) {
        gate_set(i, cs, IST_NONE, 0);
    }
    idt_load();
}

__init void idt_init(void)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(idt); i++) {
        gate_set(i, SEL_HV_CS, IST_NONE, 0);
    }
    gate_set(VEC_NMI, SEL_HV_CS, IST_NMI, 0);
    gate_set(VEC_MC, SEL_HV_CS, IST_MC, 0);
    gate_set(VEC_DF, SEL_HV_CS, IST_DF, 0);
    gate_set(VEC_DB, SEL_HV_CS, IST_DB, 0);

    /* What guests may raise by an instruction. */
    gate_set(VEC_BP, SEL_HV_CS, IST_NONE, GATE_DPL3);
    gate_set(VEC_OF, SEL_HV_CS, IST_NONE, GATE_DPL3);
    gate_set(VEC_INT80, SEL_HV_CS, IST_NONE, GATE_DPL3);
}

const void *idt_page(void)
{
    return idt;
}

/* The 16 bytes of a system descriptor. */
static void system_descriptor(uint64_t d[2], uint64_t base, uint32_t limit, uint64_t type)
{
    d[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | type << 40 |
           (uint64_t)(limit >> 16 & 15) << 48 | (base >> 24 & 0xff) << 56;
    d[1] = base >> 32;
}

static uint64_t *own_descriptor(unsigned int cpu, unsigned int selector)
{
    return (uint64_t *)(NEAR_CPU_GDT(cpu) + selector);
}

/* Little programs of the form: opcode, then a distance from its end to @target. */
static uint8_t *emit(uint8_t *at, uint64_t at_va, const char *opcode, unsigned int len,
                     uint64_t target)
{
    uint32_t distance = (uint32_t)(target - (at_va + len + 4));

    memcpy(at, opcode, len);
    memcpy(at + len, &distance, sizeof(distance));
    return at + len + 4;
}

struct stub {
    uint8_t *code;  /* where it is written */
    uint64_t delta; /* add to that for where it runs */
};

static void stub_emit(struct stub *s, const char *opcode, unsigned int len, const void *target)
{
    s->code = emit(s->code, (uintptr_t)s->code + s->delta, opcode, len, (uintptr_t)target);
}

/*
 * Write one stub: keep the guest's rsp (SYSENTER has none), take up the vCPU's
 * frame, push ss and rsp, go on in entry.S.
 */
static void stub_write(struct stub *s, const struct cpu *c, const void *go_on, bool has_rsp)
{
    uint32_t ss = FLAT_KERNEL_SS;

    if (has_rsp) {
        stub_emit(s, "\x48\x89\x25", 3, &c->syscall_rsp); /* mov %rsp, syscall_rsp(%rip) */
    }
    stub_emit(s, "\x48\x8b\x25", 3,
              (const char *)c->tss + offsetof(struct tss, rsp0)); /* mov rsp0(%rip), %rsp */
    *s->code++ = 0x68;                                            /* push $ss */
    memcpy(s->code, &ss, sizeof(ss));
    s->code += sizeof(ss);
    if (has_rsp) {
        stub_emit(s, "\xff\x35", 2, &c->syscall_rsp); /* push syscall_rsp(%rip) */
    } else {
        *s->code++ = 0x6a; /* push $0 */
        *s->code++ = 0;
    }
    stub_emit(s, "\xe9", 1, go_on); /* jmp */
}

enum {
    STUB_64 = 0,
    STUB_32 = 40,
    STUB_SYSENTER = 80
};

/* The stubs of @c, executable; several CPUs' share a page. */
static __init int stubs_make(const struct cpu *c)
{
    uint64_t va = NEAR_STUBS + c->id * NEAR_STUB_BYTES, page = va & PAGE_MASK;
    unsigned int level;
    paddr_t pa;

    if (paging_entry(page, &level) == NULL) {
        pa = x86_memory_ops.page_alloc();
        if (pa.a == 0 || paging_map(page, pa, PAGE_SIZE, PAGE_HV_RX) != 0) {
            return -ENOMEM;
        }
        memset((void *)(LAYOUT_DIRECT_MAP + pa.a), 0xcc, PAGE_SIZE);
    }
    pa = paging_virt_to_phys((const void *)va);
    for (unsigned int i = 0; i < 3; i++) {
        static const uint8_t offsets[] = { STUB_64, STUB_32, STUB_SYSENTER };
        const char *const targets[] = { entry_syscall, entry_syscall32, entry_sysenter };
        uint8_t *code = (uint8_t *)(LAYOUT_DIRECT_MAP + pa.a + offsets[i]);
        struct stub s = { code, va + offsets[i] - (uintptr_t)code };

        stub_write(&s, c, targets[i], offsets[i] != STUB_SYSENTER);
    }
    return 0;
}

__init int desc_init_cpu(struct cpu *c)
{
    uint64_t gdt = NEAR_CPU_GDT(c->id), block = NEAR_CPU_BLOCK(c->id);
    paddr_t pa = x86_memory_ops.page_alloc();
    struct tss *tss = (struct tss *)(gdt + GDT_OWN_OFFSET + TSS_OFFSET);
    struct windows *w = per_cpu_at(windows, c->percpu_offset);

    if (pa.a == 0 || paging_map(gdt + GDT_OWN_OFFSET, pa, PAGE_SIZE, PAGE_HV_RW) != 0) {
        return -ENOMEM;
    }
    w->entries = paging_entry_make(gdt);
    w->empty = paging_virt_to_phys(empty_page).a | (PAGE_HV_RO & ~PTE_G);
    for (unsigned int i = 0; i < GDT_GUEST_PAGES; i++) {
        w->entries[i] = w->empty;
    }
    memset((void *)(gdt + GDT_OWN_OFFSET), 0, PAGE_SIZE);
    memcpy((void *)(gdt + GDT_OWN_OFFSET), own_descriptors, sizeof(own_descriptors));
    system_descriptor(own_descriptor(c->id, SEL_TSS), (uintptr_t)tss, sizeof(*tss) - 1, TYPE_TSS);

    tss->rsp0 = (uintptr_t)c;
    tss->ist[IST_NMI - 1] = block + 0x1000;
    tss->ist[IST_MC - 1] = block + 0x2000;
    tss->ist[IST_DF - 1] = block + 0x2800;
    tss->ist[IST_DB - 1] = block + 0x3000;
    tss->io_bitmap = sizeof(*tss);
    c->tss = tss;
    return stubs_make(c);
}

static void segments_load(const struct table_pointer *gdt)
{
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1: mov %w2, %%ss\n\t"
                     "mov %w3, %%ds\n\t"
                     "mov %w3, %%es\n\t"
                     "mov %w3, %%fs\n\t"
                     "mov %w3, %%gs\n\t"
                     "lldt %w3\n\t"
                     "ltr %w4"
                     :
                     : "m"(*gdt), "i"(SEL_HV_CS), "r"(SEL_HV_SS), "r"(0), "r"(SEL_TSS)
                     : "rax", "memory");
}

void desc_load(void)
{
    const struct cpu *c = this_cpu();
    uint64_t stub = NEAR_STUBS + c->id * NEAR_STUB_BYTES;
    struct table_pointer gdt = { GDT_OWN_OFFSET + GDT_OWN_BYTES - 1, NEAR_CPU_GDT(c->id) };

    segments_load(&gdt);
    idt_load();
    wrmsr(MSR_STAR, (uint64_t)SEL_STAR_USER << 48 | (uint64_t)SEL_HV_CS << 32);
    wrmsr(MSR_LSTAR, stub + STUB_64);
    wrmsr(MSR_CSTAR, stub + STUB_32);
    wrmsr(MSR_SYSCALL_MASK,
          RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC);
    if (cpu_has(FEATURE_SYSENTER64)) {
        wrmsr(MSR_SYSENTER_CS, SEL_HV_CS);
        wrmsr(MSR_SYSENTER_ESP, (uintptr_t)c);
        wrmsr(MSR_SYSENTER_EIP, stub + STUB_SYSENTER);
    }
}

/* Page @i of the windows (GDT 0 to 15, LDT 16 to 31). */
static void window_set(const struct windows *w, unsigned int i, uint64_t entry)
{
    uint64_t old = w->entries[i];

    if (old != entry) {
        WRITE_ONCE(w->entries[i], entry);
        if (old & PTE_P) {
            invlpg(NEAR_CPU_GDT(cpu_id()) + i * PAGE_SIZE);
        }
    }
}

void gdt_window_set(const mfn_t *frames, unsigned int nr)
{
    struct windows *w = this_cpu_ptr(windows);

    for (unsigned int i = 0; i < nr; i++) {
        window_set(w, i, frames[i].n << PAGE_SHIFT | WINDOW_FLAGS);
    }
    for (unsigned int i = nr; i < w->nr_gdt; i++) {
        window_set(w, i, w->empty);
    }
    w->nr_gdt = nr;
}

void ldt_window_map(unsigned int page, mfn_t mfn)
{
    struct windows *w = this_cpu_ptr(windows);

    window_set(w, 16 + page, mfn.n << PAGE_SHIFT | WINDOW_FLAGS);
    w->ldt_mapped |= 1u << page;
}

void ldt_window_clear(void)
{
    struct windows *w = this_cpu_ptr(windows);

    for (; w->ldt_mapped != 0; w->ldt_mapped &= w->ldt_mapped - 1) {
        window_set(w, 16 + (unsigned int)__builtin_ctz(w->ldt_mapped), 0);
    }
}

void ldt_load(unsigned int nr)
{
    struct windows *w = this_cpu_ptr(windows);
    uint16_t selector = nr != 0 ? SEL_LDT : 0;

    if (nr == 0 && w->ldt_len == 0) {
        return;
    }
    if (nr != 0) {
        system_descriptor(own_descriptor(cpu_id(), SEL_LDT), NEAR_CPU_LDT(cpu_id()), nr * 8 - 1,
                          TYPE_LDT);
    }
    w->ldt_len = nr;
    __asm__ volatile("lldt %w0" ::"r"(selector) : "memory");
}

bool ldt_window_hit(uint64_t va, unsigned int *page, unsigned int *offset)
{
    uint64_t distance = va - NEAR_CPU_LDT(cpu_id());

    *page = (unsigned int)(distance / PAGE_SIZE);
    *offset = (unsigned int)distance;
    return distance < LDT_PAGES * PAGE_SIZE;
}
