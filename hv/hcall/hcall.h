/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls.  entry.S calls hypercall_table[rax] with the guest's rdi, rsi,
 * rdx, r10, r8, r9 and puts what it returns into the guest's rax.  One file a
 * family decodes: copies in, checks, bounds, calls the subsystem, reports.
 *
 * A handler that has more to do after a bounded amount of work returns
 * hcall_restart(): the guest executes the same instruction again, with the
 * arguments that describe the rest, after others have had their turn.
 */
#pragma once

#include "domain/domain.h"
#include "guest/guest.h"

/* Handlers have the table's type; those that need fewer arguments say so. */
#define UNUSED(...) ((void)(uint64_t[]){ __VA_ARGS__ })

typedef long hcall_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

#define HYPERCALL_MAX 64u
extern hcall_fn *const hypercall_table[HYPERCALL_MAX];

/*
 * Have the current hypercall executed again with its first @nr_args arguments
 * replaced by @args (the others stay).  Inside a multicall its entry is
 * rewritten instead.  Returns what the handler must return.
 */
long hcall_restart(const uint64_t *args, unsigned int nr_args);

/*
 * A list of short operations, as long as the guest likes, asks preempt_pending()
 * after so many of them: interrupts that are due are not seen otherwise.
 */
#define HCALL_BATCH 16u

/*
 * The domain that @id names and the caller may work on, its own or, being
 * privileged, any; with a reference.  NULL: *@rc tells why, -ESRCH or -EPERM.
 */
struct domain *hcall_target(domid_t id, long *rc);

/* A family's sub-operations. */
struct hcall_op {
    long (*fn)(struct guest_ptr arg);
    bool for_privileged; /* others get -EPERM */
};

/* Call @ops[@cmd]; -ENOSYS for those that are not there.  Inlined where the table is known. */
static always_inline long hcall_dispatch(const struct hcall_op *ops, unsigned int nr_ops,
                                         uint64_t cmd, struct guest_ptr arg)
{
    const struct hcall_op *op = &ops[array_index_nospec(cmd, nr_ops)];

    if (cmd >= nr_ops || op->fn == NULL) {
        return -ENOSYS;
    }
    if (op->for_privileged && !current()->domain->is_privileged) {
        return -EPERM;
    }
    return op->fn(arg);
}

/* One handler a file of this folder; the numbers are __HYPERVISOR_... of <xen/xen.h>. */
hcall_fn hcall_set_trap_table, hcall_mmu_update, hcall_set_gdt, hcall_stack_switch,
    hcall_set_callbacks, hcall_fpu_taskswitch, hcall_platform_op, hcall_set_debugreg,
    hcall_get_debugreg, hcall_update_descriptor, hcall_memory_op, hcall_multicall,
    hcall_update_va_mapping, hcall_update_va_mapping_otherdomain, hcall_set_timer_op,
    hcall_xen_version, hcall_console_io, hcall_grant_table_op, hcall_vm_assist, hcall_iret,
    hcall_vcpu_op, hcall_set_segment_base, hcall_mmuext_op, hcall_nmi_op, hcall_sched_op,
    hcall_hvm_op, hcall_mca, hcall_callback_op, hcall_xenpmu_op, hcall_event_channel_op,
    hcall_physdev_op, hcall_sysctl, hcall_domctl, hcall_hypfs_op;
