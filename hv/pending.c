/* SPDX-License-Identifier: MIT */
/*
 * What entry.S and x86/ call and no one supplies yet.  Weak, so that each
 * gives way to the real one when that is linked.
 */
#include "domain/memory.h"
#include "domain/vcpu.h"
#include "hcall/hcall.h"
#include "irq/irq.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/init.h"
#include "mm/m2p.h"
#include "mm/phys.h"
#include "pv/mmu.h"
#include "pv/pv.h"
#include "sys/log.h"
#include "sys/softirq.h"
#include "time/time.h"
#include "x86/entry.h"
#include "x86/memory.h"
#include "x86/smp.h"

#define PENDING(ret, name, ...)                                                                    \
    __attribute__((weak)) ret name(__VA_ARGS__)                                                    \
    {                                                                                              \
        panic(#name " is supplied");                                                               \
    }

PENDING(void, pv_exception, struct vcpu *v)
PENDING(void, pv_nmi, void)
PENDING(void, pv_syscall_from_user, struct vcpu *v)
PENDING(void, pv_sysenter_from_user, struct vcpu *v)
PENDING(void, pv_deliver_upcall, struct vcpu *v)
PENDING(void, pv_exit_slow, struct vcpu *v)
PENDING(void, pv_iret_fault, struct vcpu *v, unsigned int vector, uint32_t error)
PENDING(void, sched_idle_loop, void)
PENDING(void, hv_ap_main, void)

__attribute__((weak)) const struct trap_irq_ops trap_irq_ops;
__attribute__((weak)) const struct x86_memory_ops x86_memory_ops;
__attribute__((weak)) hcall_fn *const hypercall_table[HYPERCALL_MAX];
__attribute__((weak)) void (*const softirq_handlers[NR_SOFTIRQS])(void);

/* mm/ */
PENDING(void *, heap_alloc, size_t size)
PENDING(void, heap_free, void *p, size_t size)
PENDING(void *, map_mmio, paddr_t p, size_t len_bytes)
__attribute__((weak)) uint64_t nr_frames_max;
__attribute__((weak)) uint64_t *frame_backing;

/* mm/, domain/, pv/ and sched/, for builder/ */
PENDING(mfn_t, m2p_piece, uint64_t i)
PENDING(mfn_t, pages_alloc, unsigned int order, unsigned int bits, unsigned int flags)
PENDING(void, pages_free, mfn_t mfn, unsigned int order)
PENDING(uint64_t, pages_nr_free, void)
PENDING(uint64_t, pages_nr_total, void)
PENDING(void *, map_phys, paddr_t p, size_t len_bytes)
PENDING(void, mm_free_boot_memory, paddr_t start, paddr_t end)
PENDING(int, memory_assign, struct domain *d, mfn_t mfn, unsigned int order)
PENDING(mfn_t, memory_alloc, struct domain *d, unsigned int o, unsigned int b, unsigned int f)
PENDING(int, domain_create, const struct domain_config *config, struct domain **dp)
PENDING(struct domain *, domain_get, domid_t id)
PENDING(void, domain_put, struct domain *d)
PENDING(int, vcpu_create, struct domain *d, uint32_t id)
PENDING(struct vcpu *, domain_vcpu, const struct domain *d, uint32_t id)
PENDING(int, mmu_pin, struct domain *d, mfn_t mfn, unsigned int level)
PENDING(int, mmu_set_kernel_table, struct vcpu *v, mfn_t mfn)
PENDING(int, sched_set_affinity, struct sched_unit *u, const struct cpumask *mask)

/* event/ and domain/, through main.c */
__attribute__((weak)) const struct irq_guest_ops irq_guest_ops;
__attribute__((weak)) const struct time_ops time_ops;
