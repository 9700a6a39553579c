/* SPDX-License-Identifier: MIT */
/*
 * Exceptions, and what becomes of them: an entry goes to the handler that a
 * test has set, ends user_run() if it came from user mode, ends trap_try(), or
 * ends the guest.
 */
#include "event.h"
#include "hypercall.h"

uint64_t failsafe_selectors[4];
struct trap_info trap_table[34];

static trap_handler *handlers[ENTRY_SYSENTER + 1];

void trap_dispatch(struct regs *regs);

/* Vectors that user mode may raise by an instruction of its own. */
static unsigned int vector_dpl(unsigned int vector)
{
    return vector == 3 || vector == 4 ? 3 : 0;
}

static void make_trap_table(void)
{
    unsigned int nr = 0;

    for (unsigned int vector = 0; vector < 32; vector++) {
        struct trap_info *entry = &trap_table[nr++];

        entry->vector = (uint8_t)vector;
        entry->cs = FLAT_KERNEL_CS;
        entry->address = (unsigned long)trap_entries + 16ul * vector;
        TI_SET_DPL(entry, vector_dpl(vector));
        TI_SET_IF(entry, vector == 14); /* its cr2 lies in vcpu_info until it is read */
    }
    trap_table[nr].vector = 0x80;
    trap_table[nr].cs = FLAT_KERNEL_CS;
    trap_table[nr].address = (unsigned long)entry_int80;
    TI_SET_DPL(&trap_table[nr], 3);
}

static long register_callback(unsigned int type, const char *entry)
{
    struct callback_register callback = {
        .type = (uint16_t)type,
        .flags = CALLBACKF_mask_events,
        .address = (unsigned long)entry,
    };

    return hyper_callback(CALLBACKOP_register, &callback);
}

void trap_init(void)
{
    uint64_t user_entry_stack = (uint64_t)this_cpu() + CPU_STACK_SIZE / 2;

    make_trap_table();
    if (hyper_trap_table(trap_table) || register_callback(CALLBACKTYPE_event, entry_event) ||
        register_callback(CALLBACKTYPE_failsafe, entry_failsafe) ||
        register_callback(CALLBACKTYPE_syscall, entry_syscall) ||
        hyper_stack_switch(FLAT_KERNEL_SS, user_entry_stack)) {
        guest_die("cannot set the trap entries");
    }
    register_callback(CALLBACKTYPE_syscall32, entry_syscall32);
}

void trap_set_handler(unsigned int vector, trap_handler *handler)
{
    WRITE_ONCE(handlers[vector], handler);
}

static void record_trap(struct cpu *cpu, const struct regs *regs)
{
    cpu->record->taken = true;
    cpu->record->regs = *regs;
    cpu->record->cr2 = event_vcpu_info()->arch.cr2;
}

/* Leave the entry for good: its upcall mask would otherwise stay. */
static _Noreturn void leave_to(struct context *context, const struct regs *regs)
{
    WRITE_ONCE(event_vcpu_info()->evtchn_upcall_mask, !(regs->rflags & 0x200));
    context_restore(context, 1);
}

static _Noreturn void unexpected(struct cpu *cpu, const struct regs *regs)
{
    print("unexpected entry %lu error %lx on vCPU %u\n", regs->vector, regs->error, cpu->id);
    print("rip %lx cs %x rflags %lx rsp %lx ss %lx cr2 %lx\n", regs->rip, regs->cs, regs->rflags,
          regs->rsp, regs->ss, event_vcpu_info()->arch.cr2);
    print("rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx\n", regs->rax, regs->rbx, regs->rcx,
          regs->rdx, regs->rsi, regs->rdi);
    guest_die("it has no handler");
}

void trap_dispatch(struct regs *regs)
{
    struct cpu *cpu = this_cpu();

    if (regs->vector == ENTRY_EVENT) {
        event_dispatch();
    } else if (handlers[regs->vector] && handlers[regs->vector](regs)) {
        /* dealt with */
    } else if (cpu->user && (regs->cs & 3) == 3) {
        *cpu->user = *regs;
        cpu->user = NULL;
        leave_to(&cpu->user_return, regs);
    } else if (cpu->is_trying) {
        cpu->is_trying = false;
        record_trap(cpu, regs);
        leave_to(&cpu->recover, regs);
    } else {
        unexpected(cpu, regs);
    }
    regs->error = 0;
}

bool trap_try(void (*fn)(void *arg), void *arg, struct trap_record *record)
{
    struct cpu *cpu = this_cpu();

    record->taken = false;
    cpu->record = record;
    if (context_save(&cpu->recover) == 0) {
        cpu->is_trying = true;
        barrier();
        fn(arg);
        cpu->is_trying = false;
    }
    return READ_ONCE(record->taken);
}

struct access {
    volatile uint64_t *at;
    uint64_t value;
};

static void do_read(void *arg)
{
    struct access *access = arg;

    access->value = *access->at;
}

static void do_write(void *arg)
{
    struct access *access = arg;

    *access->at = access->value;
}

bool probe_read(const volatile void *at, uint64_t *value, struct trap_record *record)
{
    struct access access = { .at = (volatile uint64_t *)at };
    bool is_done = !trap_try(do_read, &access, record);

    *value = access.value;
    return is_done;
}

bool probe_write(volatile void *at, uint64_t value, struct trap_record *record)
{
    struct access access = { .at = at, .value = value };

    return !trap_try(do_write, &access, record);
}
