/* SPDX-License-Identifier: MIT */
/*
 * Measures paths of the hypervisor.
 *
 * Under QEMU's -icount the time stamp counter counts instructions, so a path's
 * length is the difference of two readings around it, less what two readings
 * next to each other differ by.  Each figure is the median of many samples: an
 * interrupt of the hypervisor's own lengthens a few of them and is no part of
 * the path.  Output: `figure NAME MEDIAN LEAST MOST`.
 *
 * With the word `boot` on its command line the guest only tells when it started.
 */
#include "lib/child.h"
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#include <xen/grant_table.h>
#include <xen/sysctl.h>

#define MAX_SAMPLES 512

struct figure {
    const char *name;
    unsigned int nr_samples;
    void (*sample)(uint64_t *samples, unsigned int nr);
};

extern const char bench_syscall[], bench_page_fault[], bench_page_fault_noted[], bench_event[];
extern uint64_t bench_iret_flags, bench_fault_tsc;
extern uint64_t *bench_event_word;

uint64_t bench_iret_flags;  /* of the iret hypercall that ends bench_syscall */
uint64_t bench_fault_tsc;   /* when bench_page_fault_noted was last entered */
uint64_t *bench_event_word; /* the word of pending bits that bench_event clears */

static uint64_t handler_tsc; /* when note_time() last ran */
static uint64_t overhead;    /* of two readings of the counter */

/* One sample per turn: what is between the two readings of the counter. */
#define SAMPLES(name, before, path, after)                                                         \
    static void name(uint64_t *samples, unsigned int nr)                                           \
    {                                                                                              \
        for (unsigned int i = 0; i < nr; i++) {                                                    \
            uint64_t start_;                                                                       \
                                                                                                   \
            before;                                                                                \
            start_ = rdtsc();                                                                      \
            path;                                                                                  \
            samples[i] = rdtsc() - start_;                                                         \
            after;                                                                                 \
        }                                                                                          \
    }

/* ---- hypercalls ---- */

static struct multicall_entry calls[8];
static struct mmu_update requests[128];
static uint64_t *target_pte; /* an L1 entry nobody uses */
static uint64_t target_va;
static uint64_t values[2]; /* what is written to it in turn */
static uint64_t user_entry_stack;

SAMPLES(nothing, , , )
SAMPLES(null_hypercall, , hyper_version(XENVER_version, NULL), )
SAMPLES(multicall_8, , hyper_multicall(calls, 8), )
SAMPLES(mmu_update_1, requests[0].val = values[i & 1], hyper_mmu_update(requests, 1, NULL), )
SAMPLES(
    mmu_update_128, for (int j = 0; j < 128; j++) { requests[j].val = values[i & 1]; },
    hyper_mmu_update(requests, 128, NULL), )
SAMPLES(update_va_mapping, , hyper_update_va(target_va, values[i & 1], UVMF_INVLPG), )
SAMPLES(tlb_flush, , mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), )
SAMPLES(invlpg, , mmuext(MMUEXT_INVLPG_LOCAL, target_va, 0), )
SAMPLES(stack_switch, , hyper_stack_switch(FLAT_KERNEL_SS, user_entry_stack), )
SAMPLES(segment_base, , hyper_segment_base(SEGBASE_FS, 0x1000), )
SAMPLES(yield, , hyper_sched(SCHEDOP_yield, NULL), )
SAMPLES(set_timer, , timer_set(system_time() + 1000000000), )
SAMPLES(pte_write, , WRITE_ONCE(*target_pte, values[i & 1]), )

static void prepare_hypercalls(void)
{
    void *pages[2] = { page_alloc(), page_alloc() };

    for (unsigned int i = 0; i < 8; i++) {
        calls[i].op = __HYPERVISOR_xen_version;
        calls[i].args[0] = XENVER_version;
    }
    user_entry_stack = (uint64_t)this_cpu() + CPU_STACK_SIZE / 2;
    target_va = FREE_VA;
    for (unsigned int i = 0; i < 128; i++) {
        pt_map(kernel_l4, target_va + i * PAGE_SIZE, pte_of(pages[0], PTE_RW_PAGE));
    }
    target_pte = pt_entry(kernel_l4, target_va, 1);
    for (unsigned int i = 0; i < 128; i++) {
        requests[i].ptr = virt_to_machine(target_pte + i);
    }
    values[0] = pte_of(pages[0], PTE_RW_PAGE);
    values[1] = pte_of(pages[1], PTE_RW_PAGE);
}

/* ---- page-table trees ---- */

static uint64_t *tree;
static uint64_t kernel_base, user_base;

static void prepare_tree(void)
{
    uint64_t *l4 = page_alloc(), *l3 = page_alloc(), *l2 = page_alloc(), *l1 = page_alloc();
    void *data = page_alloc();

    l4[0] = pte_of(l3, PTE_TABLE);
    l3[0] = pte_of(l2, PTE_TABLE);
    l2[0] = pte_of(l1, PTE_TABLE);
    for (unsigned int i = 0; i < 512; i++) {
        l1[i] = pte_of(data, PTE_RW_PAGE);
    }
    page_make_ro(l4);
    page_make_ro(l3);
    page_make_ro(l2);
    page_make_ro(l1);
    tree = l4;
    kernel_base = virt_to_mfn(kernel_l4);
    user_base = virt_to_mfn(user_l4);
}

SAMPLES(pin, , mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(tree), 0),
        mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(tree), 0))
SAMPLES(unpin, mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(tree), 0),
        mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(tree), 0), )

static inline void switch_to(uint64_t kernel, uint64_t user)
{
    struct mmuext_op ops[2] = {
        { .cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = kernel },
        { .cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = user },
    };

    hyper_mmuext(ops, 2, NULL);
}

/* Between two address spaces, as two processes have them: both are pinned. */
static uint64_t other_kernel_base, other_user_base;

static void prepare_spaces(void)
{
    uint64_t *kernel = page_alloc(), *user = page_alloc();

    for (unsigned int i = 0; i < 512; i++) {
        if (i < 256 || i > 271) {
            kernel[i] = kernel_l4[i] & ~(PTE_A | PTE_D);
        }
    }
    user[0] = user_l4[0];
    page_make_ro(kernel);
    page_make_ro(user);
    other_kernel_base = virt_to_mfn(kernel);
    other_user_base = virt_to_mfn(user);
    if (mmuext(MMUEXT_PIN_L4_TABLE, other_kernel_base, 0) ||
        mmuext(MMUEXT_PIN_L4_TABLE, other_user_base, 0)) {
        guest_die("cannot make a second address space");
    }
}

SAMPLES(address_space, , mmuext(MMUEXT_NEW_BASEPTR, i & 1 ? kernel_base : other_kernel_base, 0), )
SAMPLES(address_space_both, ,
        switch_to(i & 1 ? kernel_base : other_kernel_base, i & 1 ? user_base : other_user_base), )

/* ---- instructions that the hypervisor carries out ---- */

static inline void forced_cpuid(uint32_t leaf)
{
    uint32_t a = leaf, c = 0;

    __asm__ volatile(XEN_CPUID : "+a"(a), "+c"(c)::"ebx", "edx");
}

static inline uint64_t rdmsr(uint32_t index)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

SAMPLES(cpuid_0, , forced_cpuid(0), )
SAMPLES(cpuid_1, , forced_cpuid(1), )
SAMPLES(cpuid_xen, , forced_cpuid(0x40000000), )
SAMPLES(rdmsr_efer, , rdmsr(0xc0000080), )
SAMPLES(rdmsr_pat, , rdmsr(0x277), )
SAMPLES(rdmsr_fs, , rdmsr(0xc0000100), )
SAMPLES(in_80, , inb(0x80), )
SAMPLES(in_refused, , inb(0x40), )

/* ---- entries from user mode, and faults ---- */

static void set_entry(unsigned int vector, const char *entry)
{
    struct trap_info table[2] = {
        { .vector = (uint8_t)vector, .cs = FLAT_KERNEL_CS, .address = (unsigned long)entry },
    };

    hyper_trap_table(table);
}

static void set_callback(unsigned int type, const char *entry)
{
    struct callback_register callback = {
        .type = (uint16_t)type,
        .flags = CALLBACKF_mask_events,
        .address = (unsigned long)entry,
    };

    hyper_callback(CALLBACKOP_register, &callback);
}

/* Two loops of user mode: samples go to USER_DATA, rbx says how many; ud2 is the end. */
#define USER_LOOP(name, path)                                                                      \
    user_code static void name(void)                                                               \
    {                                                                                              \
        __asm__ volatile("1: rdtsc; shl $32, %%rdx; or %%rax, %%rdx; mov %%rdx, %%r12\n\t" path    \
                         "rdtsc; shl $32, %%rdx; or %%rax, %%rdx; sub %%r12, %%rdx\n\t"            \
                         "mov %%rdx, (%%r13); add $8, %%r13; dec %%rbx; jnz 1b; ud2" ::            \
                             : "memory");                                                          \
    }

USER_LOOP(user_nothing, "")
USER_LOOP(user_calls, "syscall\n\t")
USER_LOOP(user_faults, "mov (%%r14), %%al\n\t")

static uint64_t user_overhead;

static void run_user(const void *loop, uint64_t *samples, unsigned int nr)
{
    struct regs regs;

    user_regs(&regs, loop);
    regs.rbx = nr;
    regs.r13 = USER_DATA;
    regs.r14 = USER_HOLE;
    user_run(&regs);
    __builtin_memcpy(samples, user_data, nr * sizeof(*samples));
}

static void user_empty_loop(uint64_t *samples, unsigned int nr)
{
    run_user(user_nothing, samples, nr);
}

static void user_system_call(uint64_t *samples, unsigned int nr)
{
    bench_iret_flags = VGCF_in_syscall;
    set_callback(CALLBACKTYPE_syscall, bench_syscall);
    run_user(user_calls, samples, nr);
    set_callback(CALLBACKTYPE_syscall, entry_syscall);
}

static void user_system_call_full(uint64_t *samples, unsigned int nr)
{
    bench_iret_flags = 0;
    set_callback(CALLBACKTYPE_syscall, bench_syscall);
    run_user(user_calls, samples, nr);
    set_callback(CALLBACKTYPE_syscall, entry_syscall);
}

static void user_page_fault(uint64_t *samples, unsigned int nr)
{
    set_entry(14, bench_page_fault);
    run_user(user_faults, samples, nr);
    set_entry(14, trap_entries + 16 * 14);
}

/* A fault that the compiler does not see: its handler goes on three bytes further. */
static inline void take_fault(void)
{
    register uint64_t hole __asm__("r14") = USER_HOLE;

    __asm__ volatile("mov (%0), %%al" ::"r"(hole) : "rax", "rdx", "memory");
}

SAMPLES(faults, , take_fault(), )

/* From the fault to its handler. */
static void kernel_page_fault(uint64_t *samples, unsigned int nr)
{
    set_entry(14, bench_page_fault_noted);
    for (unsigned int i = 0; i < nr; i++) {
        uint64_t start = rdtsc();

        take_fault();
        samples[i] = bench_fault_tsc - start;
    }
    set_entry(14, trap_entries + 16 * 14);
}

static void kernel_page_fault_trip(uint64_t *samples, unsigned int nr)
{
    set_entry(14, bench_page_fault);
    faults(samples, nr);
    set_entry(14, trap_entries + 16 * 14);
}

/* ---- events ---- */

static unsigned int event_port;

static void prepare_events(void)
{
    event_port = (unsigned int)event_bind_ipi(0);
    bench_event_word = &shared_info->evtchn_pending[event_port / 64];
    port_unmask(event_port);
}

static void note_time(unsigned int port)
{
    (void)port;
    handler_tsc = rdtsc();
}

/* From the send to the handler that a kernel would run for it. */
static void event_to_self(uint64_t *samples, unsigned int nr)
{
    event_set_handler(event_port, note_time);
    event_unmask();
    for (unsigned int i = 0; i < nr; i++) {
        uint64_t start = rdtsc();

        event_send(event_port);
        samples[i] = handler_tsc - start;
    }
    event_mask();
}

/* Until the sender goes on, with next to no handler. */
static void event_round_trip(uint64_t *samples, unsigned int nr)
{
    set_callback(CALLBACKTYPE_event, bench_event);
    event_unmask();
    for (unsigned int i = 0; i < nr; i++) {
        uint64_t start = rdtsc();

        event_send(event_port);
        samples[i] = rdtsc() - start;
    }
    event_mask();
    set_callback(CALLBACKTYPE_event, entry_event);
}

/* The event is left to us: back to none. */
static void forget_event(struct shared_info *shared, unsigned int port)
{
    shared->evtchn_pending[port / 64] = 0;
    shared->vcpu_info[0].evtchn_pending_sel = 0;
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
}

SAMPLES(event_send_self, , event_send(event_port), forget_event(shared_info, event_port))

/* A channel to another domain, which answers each event in its handler. */
static struct child peer;
static unsigned int peer_port, our_port;
static volatile unsigned int nr_answers;

static void answer(unsigned int port)
{
    event_send(port);
}

static void count_answer(unsigned int port)
{
    (void)port;
    nr_answers++;
}

static void answer_events(uint64_t port)
{
    event_set_handler((unsigned int)port, answer);
    port_unmask((unsigned int)port);
    while (!child_box[0]) {
        event_mask();
        hyper_sched(SCHEDOP_block, NULL);
    }
}

static void prepare_peer(void)
{
    struct evtchn_bind_interdomain bind = { 0 };
    long rc;

    rc = child_create(&peer, 1, answer_events, 1);
    if (rc == 0) {
        peer_port = (unsigned int)event_alloc_unbound(peer.domid, DOMID_SELF);
        bind.remote_dom = (domid_t)peer.domid;
        bind.remote_port = peer_port;
        rc = hyper_event(EVTCHNOP_bind_interdomain, &bind);
    }
    if (rc || peer_port != 1 ||
        foreign_map(FOREIGN_VA, peer.shared_info_mfn, PTE_RW_PAGE, peer.domid)) {
        guest_die("no second domain (error %ld)", rc);
    }
    our_port = bind.local_port;
    event_set_handler(our_port, count_answer);
}

/* To one that does not run, whose port is open. */
SAMPLES(event_send_other, forget_event((struct shared_info *)FOREIGN_VA, peer_port),
        event_send(our_port), )

/* There and back, each of the two asleep while the other works. */
static void event_ping(uint64_t *samples, unsigned int nr)
{
    child_unpause(&peer);
    port_unmask(our_port);
    for (unsigned int i = 0; i < nr; i++) {
        uint64_t start;

        event_mask();
        nr_answers = 0;
        start = rdtsc();
        event_send(our_port);
        while (!nr_answers) {
            hyper_sched(SCHEDOP_block, NULL);
            event_mask();
        }
        samples[i] = rdtsc() - start;
    }
}

static void dismiss_peer(void)
{
    peer.box[0] = 1;
    event_close(our_port);
    foreign_map(FOREIGN_VA, 0, 0, DOMID_SELF);
    mmuext(MMUEXT_INVLPG_LOCAL, FOREIGN_VA, 0);
    if (child_destroy(&peer)) {
        guest_die("the second domain stays");
    }
}

/* By queues; the last, as there is no other way back than to close all ports. */
static event_word_t *queue_words;
static struct evtchn_fifo_control_block *queue_heads;

static void prepare_queues(void)
{
    struct evtchn_init_control init = { 0 };
    struct evtchn_expand_array expand = { 0 };

    queue_heads = page_alloc();
    queue_words = page_alloc();
    init.control_gfn = virt_to_mfn(queue_heads);
    expand.array_gfn = virt_to_mfn(queue_words);
    if (hyper_event(EVTCHNOP_init_control, &init) || hyper_event(EVTCHNOP_expand_array, &expand)) {
        guest_die("no event queues");
    }
}

SAMPLES(event_send_queue, , event_send(event_port), queue_heads->ready = 0;
        queue_words[event_port] = 0; shared_info->vcpu_info[0].evtchn_upcall_pending = 0)

/* ---- timers ---- */

static unsigned int timer_port;
static uint64_t woken_at;

static void timer_woke(unsigned int port)
{
    (void)port;
    woken_at = system_time();
}

static void prepare_timers(void)
{
    timer_port = (unsigned int)event_bind_virq(VIRQ_TIMER, 0);
    hyper_vcpu(VCPUOP_stop_periodic_timer, 0, NULL);
    event_set_handler(timer_port, timer_woke);
    port_unmask(timer_port);
}

/* Block until a deadline so far away; how much later are we woken? */
static void wake_ups(uint64_t *samples, unsigned int nr, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t step = (to_ns - from_ns) / nr;

    for (unsigned int i = 0; i < nr; i++) {
        uint64_t deadline;

        event_mask();
        woken_at = 0;
        deadline = system_time() + from_ns + i * step;
        timer_set(deadline);
        while (!READ_ONCE(woken_at)) {
            hyper_sched(SCHEDOP_block, NULL);
        }
        samples[i] = woken_at - deadline;
    }
    event_mask();
}

/* Let the console's output of the figures before drain: it is no part of these. */
static void settle(void)
{
    struct sched_poll poll = { .timeout = system_time() + 100000000 };

    hyper_sched(SCHEDOP_poll, &poll);
}

static void timer_short(uint64_t *samples, unsigned int nr)
{
    settle();
    wake_ups(samples, nr, 10000, 50000);
}

static void timer_long(uint64_t *samples, unsigned int nr)
{
    settle();
    wake_ups(samples, nr, 50000, 10000000);
}

static void compute(uint64_t arg)
{
    (void)arg;
    while (!child_box[0]) {
    }
}

/* The same, while another domain wants the CPU all the time. */
static void timer_beside(uint64_t *samples, unsigned int nr)
{
    static struct child hog;

    if (child_create(&hog, 1, compute, 0)) {
        guest_die("no second domain");
    }
    child_unpause(&hog);
    settle();
    wake_ups(samples, nr, 50000, 10000000);
    hog.box[0] = 1;
    if (child_wait(&hog) != SHUTDOWN_poweroff || child_destroy(&hog)) {
        guest_die("the second domain stays");
    }
}

/* ---- */

static void sort(uint64_t *samples, unsigned int nr)
{
    for (unsigned int i = 1; i < nr; i++) {
        uint64_t value = samples[i];
        unsigned int at = i;

        for (; at > 0 && samples[at - 1] > value; at--) {
            samples[at] = samples[at - 1];
        }
        samples[at] = value;
    }
}

static uint64_t measure(const struct figure *figure, uint64_t less)
{
    static uint64_t samples[MAX_SAMPLES];
    unsigned int nr = figure->nr_samples;

    figure->sample(samples, nr);
    sort(samples, nr);
    print("figure %s %ld %ld %ld\n", figure->name, (long)(samples[nr / 2] - less),
          (long)(samples[0] - less), (long)(samples[nr - 1] - less));
    return samples[nr / 2];
}

/* ---- grants, the guest's own ---- */

#define GRANT_REF   8
#define GRANT_VA    (FREE_VA + 0x400000)
#define GRANT_PAGES 16

static struct gnttab_map_grant_ref map_op;
static struct gnttab_unmap_grant_ref unmap_op;
static struct gnttab_copy copy_ops[GRANT_PAGES];

static void grant_map(void)
{
    map_op = (struct gnttab_map_grant_ref){ .host_addr = GRANT_VA,
                                            .flags = GNTMAP_host_map,
                                            .ref = GRANT_REF };
    hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, &map_op, 1);
}

static void grant_unmap(void)
{
    unmap_op = (struct gnttab_unmap_grant_ref){ .host_addr = GRANT_VA, .handle = map_op.handle };
    hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, &unmap_op, 1);
}

SAMPLES(grant_mapping, , grant_map(), grant_unmap())
SAMPLES(grant_unmapping, grant_map(), grant_unmap(), )
SAMPLES(grant_copying, ,
        hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_copy, copy_ops, GRANT_PAGES), )

static void prepare_grants(void)
{
    static xen_pfn_t frame;
    struct gnttab_setup_table setup = { .dom = DOMID_SELF,
                                        .nr_frames = 1,
                                        .frame_list = { &frame } };
    struct grant_entry_v1 *table = (void *)(GRANT_VA + PAGE_SIZE);

    hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, &setup, 1);
    pt_map(kernel_l4, GRANT_VA, 0);
    pt_map(kernel_l4, (uint64_t)table, frame << PAGE_SHIFT | PTE_RW_PAGE);
    for (unsigned int i = 0; i < GRANT_PAGES; i++) {
        table[GRANT_REF + i] =
            (struct grant_entry_v1){ .flags = GTF_permit_access,
                                     .frame = (uint32_t)virt_to_mfn(page_alloc()) };
        copy_ops[i] = (struct gnttab_copy){
            .source = { .u.ref = GRANT_REF + i },
            .dest = { .u.gmfn = virt_to_mfn(page_alloc()), .domid = DOMID_SELF },
            .len = PAGE_SIZE,
            .flags = GNTCOPY_source_gref,
        };
    }
    grant_map();
    grant_unmap();
    hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_copy, copy_ops, GRANT_PAGES);
    print("grants: status %d %d %d\n", map_op.status, unmap_op.status, copy_ops[0].status);
}

static void measure_memory(void)
{
    static struct xen_sysctl op = {
        .cmd = XEN_SYSCTL_physinfo,
        .interface_version = XEN_SYSCTL_INTERFACE_VERSION,
    };
    long kept;

    if (hypercall1(__HYPERVISOR_sysctl, &op)) {
        print("no physinfo\n");
        return;
    }
    kept = (long)(op.u.physinfo.total_pages - op.u.physinfo.free_pages - start_info->nr_pages);
    print("figure memory_kept_kib %ld %ld %ld\n", kept * 4, kept * 4, kept * 4);
}

/* ---- ballooning ---- */

#define BALLOON_PAGES 4096u   /* 16 MiB */
#define BALLOON_PFN   0x8000u /* from here on nothing is mapped */

static xen_pfn_t balloon[BALLOON_PAGES];

static void change_reservation(unsigned int cmd)
{
    struct xen_memory_reservation r = { .nr_extents = BALLOON_PAGES, .domid = DOMID_SELF };

    set_xen_guest_handle(r.extent_start, balloon);
    if (hyper_memory(cmd, &r) != BALLOON_PAGES) {
        print("the balloon does not move\n");
    }
}

/* Memory that was given back has been scrubbed when it is asked for again. */
static void balloon_both(uint64_t *down, uint64_t *up, unsigned int nr)
{
    for (unsigned int i = 0; i < nr; i++) {
        uint64_t start;

        __builtin_memcpy(balloon, (uint64_t *)start_info->mfn_list + BALLOON_PFN, sizeof(balloon));
        start = rdtsc();
        change_reservation(XENMEM_decrease_reservation);
        down[i] = rdtsc() - start;
        for (unsigned int j = 0; j < BALLOON_PAGES; j++) {
            balloon[j] = BALLOON_PFN + j;
        }
        timer_set(system_time() + 100000000);
        hyper_sched(SCHEDOP_block, NULL);
        start = rdtsc();
        change_reservation(XENMEM_populate_physmap);
        up[i] = rdtsc() - start;
        __builtin_memcpy((uint64_t *)start_info->mfn_list + BALLOON_PFN, balloon, sizeof(balloon));
    }
}

/* One page given back and got again, each by a call of its own. */
static void one_page(uint64_t *down, uint64_t *up, unsigned int nr)
{
    xen_pfn_t mfn = ((uint64_t *)start_info->mfn_list)[BALLOON_PFN];
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

    set_xen_guest_handle(r.extent_start, &mfn);
    for (unsigned int i = 0; i < nr; i++) {
        uint64_t start = rdtsc();

        if (hyper_memory(XENMEM_decrease_reservation, &r) != 1) {
            print("one page is not taken\n");
        }
        down[i] = rdtsc() - start;
        start = rdtsc();
        if (hyper_memory(XENMEM_increase_reservation, &r) != 1) {
            print("one page is not to be had\n");
        }
        up[i] = rdtsc() - start;
    }
    ((uint64_t *)start_info->mfn_list)[BALLOON_PFN] = mfn;
    mmu_update((mfn << PAGE_SHIFT) | MMU_MACHPHYS_UPDATE, BALLOON_PFN);
}

static uint64_t balloon_unused[MAX_SAMPLES];

static void increase_one(uint64_t *samples, unsigned int nr)
{
    one_page(balloon_unused, samples, nr);
}

static void decrease_one(uint64_t *samples, unsigned int nr)
{
    one_page(samples, balloon_unused, nr);
}

static void balloon_down(uint64_t *samples, unsigned int nr)
{
    balloon_both(samples, balloon_unused, nr);
}

static void balloon_up(uint64_t *samples, unsigned int nr)
{
    balloon_both(balloon_unused, samples, nr);
}

/* ---- another domain's life ---- */

static struct child victim;

static void victim_create(void)
{
    long rc = child_create_empty(&victim, 1);

    if (rc) {
        guest_die("no domain to destroy (error %ld)", rc);
    }
}

/* 16 MiB in single pages, as tools do it that restore a domain. */
static void victim_populate(void)
{
    struct xen_memory_reservation r = { .nr_extents = BALLOON_PAGES,
                                        .domid = (domid_t)victim.domid };

    for (unsigned int i = 0; i < BALLOON_PAGES; i++) {
        balloon[i] = i;
    }
    set_xen_guest_handle(r.extent_start, balloon);
    if (hyper_memory(XENMEM_populate_physmap, &r) != BALLOON_PAGES) {
        guest_die("a new domain gets no memory");
    }
}

static void victim_limit(void)
{
    struct xen_domctl op = { .u.max_mem.max_memkb = BALLOON_PAGES * 4 };

    domctl(&op, XEN_DOMCTL_max_mem, victim.domid);
}

static void victim_destroy(void)
{
    if (child_destroy(&victim)) {
        guest_die("a domain stays");
    }
}

/* What was given back is scrubbed before it is asked for again. */
static void rest(void)
{
    timer_set(system_time() + 100000000);
    hyper_sched(SCHEDOP_block, NULL);
}

SAMPLES(domain_create, , victim_create(), victim_destroy())
SAMPLES(domain_cycle, , victim_create(); victim_destroy(), )
SAMPLES(domain_populate, victim_create(); victim_limit(), victim_populate(), victim_destroy();
        rest())
SAMPLES(domain_destroy_16, victim_create(); victim_limit();
        victim_populate(), victim_destroy(), rest())

static const struct figure in_kernel[] = {
    { "null_hypercall", 501, null_hypercall },
    { "multicall_8", 501, multicall_8 },
    { "kernel_page_fault", 501, kernel_page_fault },
    { "kernel_page_fault_trip", 501, kernel_page_fault_trip },
    { "mmu_update_1", 501, mmu_update_1 },
    { "mmu_update_128", 101, mmu_update_128 },
    { "update_va_mapping", 501, update_va_mapping },
    { "pte_write", 501, pte_write },
    { "tlb_flush", 501, tlb_flush },
    { "invlpg", 501, invlpg },
    { "pin", 101, pin },
    { "unpin", 101, unpin },
    { "address_space", 501, address_space },
    { "address_space_both", 501, address_space_both },
    { "stack_switch", 501, stack_switch },
    { "segment_base", 501, segment_base },
    { "cpuid", 501, cpuid_0 },
    { "cpuid_features", 501, cpuid_1 },
    { "cpuid_hypervisor", 501, cpuid_xen },
    { "rdmsr", 501, rdmsr_pat },
    { "rdmsr_efer", 501, rdmsr_efer },
    { "rdmsr_fs_base", 501, rdmsr_fs },
    { "in", 501, in_refused },
    { "in_allowed", 501, in_80 },
    { "event_to_self", 501, event_to_self },
    { "event_round_trip", 501, event_round_trip },
    { "event_send_self", 501, event_send_self },
    { "set_timer", 501, set_timer },
    { "yield", 501, yield },
    { "increase_one", 501, increase_one },
    { "decrease_one", 501, decrease_one },
    { "balloon_down", 5, balloon_down },
    { "balloon_up", 5, balloon_up },
    { "domain_create", 51, domain_create },
    { "domain_cycle", 51, domain_cycle },
    { "domain_populate", 5, domain_populate },
    { "domain_destroy_16", 5, domain_destroy_16 },
    { "grant_map", 501, grant_mapping },
    { "grant_unmap", 501, grant_unmapping },
    { "grant_copy_16", 101, grant_copying },
};

static const struct figure in_user[] = {
    { "user_system_call", 501, user_system_call },
    { "user_system_call_iret", 501, user_system_call_full },
    { "user_page_fault", 501, user_page_fault },
};

/* In this order: the peer is let run by the second. */
static const struct figure of_peer[] = {
    { "event_send_other", 501, event_send_other },
    { "event_ping", 201, event_ping },
};

static const struct figure of_queues = { "event_send_queue", 501, event_send_queue };

static const struct figure of_time[] = {
    { "timer_short", 401, timer_short },
    { "timer_long", 401, timer_long },
    { "timer_beside", 401, timer_beside },
};

void guest_run(void)
{
    static const struct figure empty = { "overhead", 501, nothing };
    static const struct figure empty_user = { "user_overhead", 501, user_empty_loop };

    print("first_tsc %lu\n", first_tsc);
    if (guest_option("boot")) {
        return;
    }
    hyper_physdev(PHYSDEVOP_set_iopl, &(struct physdev_set_iopl){ .iopl = 1 });
    measure_memory();
    prepare_hypercalls();
    prepare_tree();
    prepare_spaces();
    prepare_events();
    prepare_timers();
    prepare_grants();

    overhead = measure(&empty, 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(in_kernel); i++) {
        measure(&in_kernel[i], overhead);
    }
    user_overhead = measure(&empty_user, 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(in_user); i++) {
        measure(&in_user[i], user_overhead);
    }
    switch_to(kernel_base, user_base); /* the figures above have left us in another */
    for (unsigned int i = 0; i < ARRAY_SIZE(of_time); i++) {
        measure(&of_time[i], 0);
    }
    prepare_peer();
    for (unsigned int i = 0; i < ARRAY_SIZE(of_peer); i++) {
        measure(&of_peer[i], overhead);
    }
    dismiss_peer();
    prepare_queues();
    measure(&of_queues, overhead);
    print("guest: done\n");
}
