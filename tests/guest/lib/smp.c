/* SPDX-License-Identifier: MIT */
/* Further vCPUs. */
#include "hypercall.h"
#include "mm.h"

uint8_t cpu_stacks[MAX_CPUS][CPU_STACK_SIZE] __attribute__((aligned(CPU_STACK_SIZE)));

void ap_main(struct cpu *cpu);

static struct cpu *cpu_of(unsigned int id)
{
    return (struct cpu *)cpu_stacks[id];
}

void cpu_make_context(unsigned int id, struct vcpu_guest_context *context)
{
    uint64_t stack = (uint64_t)cpu_stacks[id];

    __builtin_memset(context, 0, sizeof(*context));
    context->flags = VGCF_in_kernel;
    context->user_regs.rip = (uint64_t)ap_entry;
    context->user_regs.rdi = stack;
    context->user_regs.rsp = stack + CPU_STACK_SIZE;
    context->user_regs.cs = FLAT_KERNEL_CS;
    context->user_regs.ss = FLAT_KERNEL_SS;
    context->user_regs.rflags = 0x200;
    __builtin_memcpy(context->trap_ctxt, trap_table, 32 * sizeof(struct trap_info));
    context->trap_ctxt[0x80] = trap_table[32];
    context->kernel_ss = FLAT_KERNEL_SS;
    context->kernel_sp = stack + CPU_STACK_SIZE / 2;
    context->ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(kernel_l4));
    context->event_callback_eip = (uint64_t)entry_event;
    context->failsafe_callback_eip = (uint64_t)entry_failsafe;
    context->syscall_callback_eip = (uint64_t)entry_syscall;
}

long cpu_start(unsigned int id, void (*fn)(void *), void *arg)
{
    static struct vcpu_guest_context context;
    struct cpu *cpu = cpu_of(id);
    long rc;

    __builtin_memset(cpu, 0, sizeof(*cpu));
    cpu->id = id;
    cpu->ap_main = fn;
    cpu->ap_arg = arg;
    cpu_make_context(id, &context);
    rc = hyper_vcpu(VCPUOP_initialise, id, &context);
    return rc && rc != -EEXIST ? rc : hyper_vcpu(VCPUOP_up, id, NULL);
}

/* A vCPU that is brought up again goes on where it went down. */
void ap_main(struct cpu *cpu)
{
    for (;;) {
        mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(user_l4), 0);
        cpu->ap_main(cpu->ap_arg);
        hyper_vcpu(VCPUOP_down, cpu->id, NULL);
    }
}

bool cpu_is_up(unsigned int id)
{
    return hyper_vcpu(VCPUOP_is_up, id, NULL) == 1;
}

void cpu_wait_down(unsigned int id)
{
    while (cpu_is_up(id)) {
        hyper_sched(SCHEDOP_yield, NULL);
    }
}

unsigned int cpu_count(void)
{
    unsigned int nr = 1;

    while (nr < MAX_CPUS && hyper_vcpu(VCPUOP_is_up, nr, NULL) >= 0) {
        nr++;
    }
    return nr;
}
