/* SPDX-License-Identifier: MIT */
/*
 * The table of hypercalls, multicalls, and restarting.
 *
 * Numbers that are not in the table answer -ENOSYS.  docs/abi.md says of each
 * what is done and what is refused.
 */
#include "hcall/hcall.h"

#include <xen/arch-x86/xen-mca.h>

#include "sys/softirq.h"
#include "x86/uaccess.h"

#define SYSCALL_LEN 2 /* bytes of the instruction that got us here */

/* The entry of a multicall that is being executed on this CPU; NULL outside. */
static DEFINE_PER_CPU(struct multicall_entry *, mc_entry);

static long hcall_none(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    return -ENOSYS;
}

hcall_fn *const hypercall_table[HYPERCALL_MAX] = {
    [__HYPERVISOR_set_trap_table] = hcall_set_trap_table,
    [__HYPERVISOR_mmu_update] = hcall_mmu_update,
    [__HYPERVISOR_set_gdt] = hcall_set_gdt,
    [__HYPERVISOR_stack_switch] = hcall_stack_switch,
    [__HYPERVISOR_set_callbacks] = hcall_set_callbacks,
    [__HYPERVISOR_fpu_taskswitch] = hcall_fpu_taskswitch,
    [__HYPERVISOR_platform_op] = hcall_platform_op,
    [__HYPERVISOR_set_debugreg] = hcall_set_debugreg,
    [__HYPERVISOR_get_debugreg] = hcall_get_debugreg,
    [__HYPERVISOR_update_descriptor] = hcall_update_descriptor,
    [__HYPERVISOR_memory_op] = hcall_memory_op,
    [__HYPERVISOR_multicall] = hcall_multicall,
    [__HYPERVISOR_update_va_mapping] = hcall_update_va_mapping,
    [__HYPERVISOR_set_timer_op] = hcall_set_timer_op,
    [__HYPERVISOR_xen_version] = hcall_xen_version,
    [__HYPERVISOR_console_io] = hcall_console_io,
    [__HYPERVISOR_grant_table_op] = hcall_grant_table_op,
    [__HYPERVISOR_vm_assist] = hcall_vm_assist,
    [__HYPERVISOR_update_va_mapping_otherdomain] = hcall_update_va_mapping_otherdomain,
    [__HYPERVISOR_iret] = hcall_iret,
    [__HYPERVISOR_vcpu_op] = hcall_vcpu_op,
    [__HYPERVISOR_set_segment_base] = hcall_set_segment_base,
    [__HYPERVISOR_mmuext_op] = hcall_mmuext_op,
    [__HYPERVISOR_nmi_op] = hcall_nmi_op,
    [__HYPERVISOR_sched_op] = hcall_sched_op,
    [__HYPERVISOR_callback_op] = hcall_callback_op,
    [__HYPERVISOR_xenpmu_op] = hcall_xenpmu_op,
    [__HYPERVISOR_event_channel_op] = hcall_event_channel_op,
    [__HYPERVISOR_physdev_op] = hcall_physdev_op,
    [__HYPERVISOR_hvm_op] = hcall_hvm_op,
    [__HYPERVISOR_mca] = hcall_mca,
    [__HYPERVISOR_sysctl] = hcall_sysctl,
    [__HYPERVISOR_domctl] = hcall_domctl,
    [__HYPERVISOR_hypfs_op] = hcall_hypfs_op,
    /* Numbers that are old, not ours to offer, or not given out. */
    [6] = hcall_none,
    [11] = hcall_none,
    [16] = hcall_none,
    [19] = hcall_none,
    [27] = hcall_none,
    [31] = hcall_none,
    [37 ... 39] = hcall_none,
    [41] = hcall_none,
    [43 ... 47] = hcall_none,
    [49 ... 63] = hcall_none,
};

struct domain *hcall_target(domid_t id, long *rc)
{
    struct domain *d = domain_get(id);

    *rc = 0;
    if (d == NULL) {
        *rc = -ESRCH;
    } else if (d != current()->domain && !current()->domain->is_privileged) {
        domain_put(d);
        d = NULL;
        *rc = -EPERM;
    }
    return d;
}

long hcall_restart(const uint64_t *args, unsigned int nr_args)
{
    struct multicall_entry *entry = *this_cpu_ptr(mc_entry);
    struct cpu_user_regs *r = &current()->regs;
    uint64_t *const regs[] = { &r->rdi, &r->rsi, &r->rdx, &r->r10, &r->r8, &r->r9 };

    if (entry != NULL) {
        for (unsigned int i = 0; i < nr_args; i++) {
            entry->args[i] = args[i];
        }
        return -ERESTART;
    }
    for (unsigned int i = 0; i < nr_args; i++) {
        *regs[i] = args[i];
    }
    r->rip -= SYSCALL_LEN;
    return (long)r->rax; /* the number again */
}

static inline long call_one(const struct multicall_entry *e)
{
    uint64_t op = e->op;

    if (op >= HYPERCALL_MAX) {
        return -ENOSYS;
    }
    op &= array_index_mask(op, HYPERCALL_MAX);
    if (unlikely(op == __HYPERVISOR_multicall)) {
        return -EINVAL; /* a list in a list might have no end */
    }
    return hypercall_table[op](e->args[0], e->args[1], e->args[2], e->args[3], e->args[4],
                               e->args[5]);
}

/*
 * The vCPU has left the kernel code that made the list: nothing is left to do,
 * rax is what the frame said, any value, and the result is written if there is
 * still an entry in this address space.
 */
static long end_by_iret(struct multicall_entry *at, uint32_t *left,
                        const struct multicall_entry *entry)
{
    UNUSED(put_user64(entry->result, &at->result));
    *left = 0;
    return (long)entry->result;
}

/* Execute *@left entries from @at on, and count them there; @entry is for one at a time. */
static long run_list(struct multicall_entry *at, uint32_t *left, struct multicall_entry *entry)
{
    for (; *left > 0; --*left, at++) {
        if (unlikely(this_cpu()->softirqs != 0 || *left % HCALL_BATCH == 0) && preempt_pending()) {
            return -ERESTART;
        }
        if (copy_user_words(entry, at, sizeof(*entry) / 8) != 0) {
            return -EFAULT;
        }
        entry->result = (xen_ulong_t)call_one(entry);
        if (unlikely(entry->op == __HYPERVISOR_iret)) {
            return end_by_iret(at, left, entry);
        }
        if (unlikely(entry->result == (xen_ulong_t)-ERESTART)) {
            return copy_user_words(at, entry, sizeof(*entry) / 8) != 0 ? -EFAULT : -ERESTART;
        }
        if (put_user64(entry->result, &at->result) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

/*
 * Entries are executed in order and each gets its result; one that fails stops
 * nothing.  An entry that restarts (hcall_restart() has rewritten it) is
 * written back as it then is, and the list is begun again at it.
 */
long hcall_multicall(uint64_t list, uint64_t nr, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct multicall_entry entry;
    uint32_t left = (uint32_t)nr;
    long rc;

    UNUSED(c, d, e, f);
    /* All of the list is checked here: what follows needs no check for each entry. */
    if (!guest_range_ok(GUEST_PTR(list), (uint64_t)left * sizeof(entry))) {
        return -EFAULT;
    }
    *this_cpu_ptr(mc_entry) = &entry;
    rc = run_list(user_addr(list), &left, &entry);
    *this_cpu_ptr(mc_entry) = NULL;
    if (rc == -ERESTART && left > 0) {
        const uint64_t args[] = { list + ((uint32_t)nr - left) * sizeof(entry), left };

        return hcall_restart(args, ARRAY_SIZE(args));
    }
    return rc;
}
