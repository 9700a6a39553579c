/* SPDX-License-Identifier: MIT */
/*
 * Domains: what owns memory, event channels and vCPUs.
 *
 * A domain is found by its number (domain_get, which takes a reference) or in
 * order (domain_get_next).  Its parts (events, grants, PV memory, interrupts)
 * belong to their folders; each gives a struct domain_part with which it is
 * made, and main.c puts those in one order.
 *
 * Who may touch a member:
 *   [c]  constant from domain_create() on
 *   [l]  holder of domain->lock
 *   [p]  holder of domain->pt_lock
 *   [m]  holder of domain->page_lock
 *   [a]  anyone, atomically
 *   [t]  the toolstack's operation that has set .is_worked_on
 */
#pragma once

#include "domain/vcpu.h"
#include "lib/rangeset.h"
#include "mm/frame.h"
#include "sys/lock.h"

#define DOMAIN_MAX_VCPUS 512u

struct domain_part; /* domain/part.h */
struct evtchn_table;
struct grant_table;
struct irq_domain;
struct reservation_map;
struct time_scale;
struct watchdogs;

enum domain_life {
    DOMAIN_ALIVE,
    DOMAIN_DYING, /* resources are given back, step by step */
    DOMAIN_DEAD,  /* they are; others hold references still */
};

#define SHUTDOWN_CODE_NONE 0xffffu

/* Of the time stamp counter, as the toolstack numbers them. */
#define TSC_MODE_DEFAULT        0u
#define TSC_MODE_ALWAYS_EMULATE 1u
#define TSC_MODE_NEVER_EMULATE  2u

struct domain {
    uint32_t refs;         /* [a] first, as find.c says; 0: there is no such domain */
    domid_t id;            /* [c] */
    bool is_privileged;    /* [c] may use the toolstack's operations */
    bool is_hardware;      /* [c] owns the devices */
    bool is_xenstore;      /* [c] the toolstack's mark */
    bool is_idle;          /* [c] */
    uint8_t life;          /* [l] and [m] to write, enum domain_life; destroy.c */
    bool is_debugged;      /* [a] the toolstack's mark */
    bool is_worked_on;     /* [a] by a toolstack's operation: others wait */
    uint8_t nr_parts_left; /* [t] DYING: parts that have not given back all */
    bool has_run;          /* [t] the toolstack has unpaused it once */
    bool is_msr_relaxed;   /* [c] unknown registers read as zero */
    struct domain *next;   /* of the pool, of those to be freed */
    struct spinlock lock;  /* LOCK_RANK_DOMAIN */

    struct sched_group sched;    /* sched/: its share of the CPUs */
    bool has_sched;              /* [c] */
    uint32_t max_vcpus;          /* [c] */
    struct vcpu **vcpus;         /* [c] by number; entries [l], NULL: not created */
    uint32_t pause_by_toolstack; /* [l] */
    bool is_shut_down; /* [l] after SCHEDOP_shutdown or a crash: all vCPUs are paused for good */
    bool is_parked;    /* [a] and they are off their CPUs: others may be told */
    struct list_node parking_link; /* [parking_lock] run.c: while it is shut down, yet not parked */
    uint16_t shutdown_code;        /* [l] SHUTDOWN_..., SHUTDOWN_CODE_NONE */
    xen_domain_handle_t handle;    /* [l] UUID */
    int64_t time_offset_s;         /* [l] its wall clock is ahead of ours */
    uint32_t tsc_mode;             /* [t] TSC_MODE_... */
    uint32_t tsc_incarnation;      /* [t] */
    bool is_tsc_emulated;          /* [t] */
    uint32_t tsc_khz;              /* [t] 0: the machine's */
    uint64_t tsc_start_ns;         /* [t] system time at which its counter was zero */
    struct watchdogs *watchdogs;   /* domain/watchdog.c; NULL: never asked for */

    struct shared_info *shared_info; /* [c] direct map; frame FRAME_SHARED_RW, owner this domain */
    mfn_t shared_info_mfn;           /* [c] */
    uint32_t vm_assist;              /* [a] bits of VMASST_TYPE_... */
    uint64_t features;               /* [c] XENFEAT bits the builder chose */

    struct spinlock page_lock;           /* LOCK_RANK_ACCOUNT */
    uint64_t nr_pages;                   /* [m] its frames; not 0: they hold a reference to it */
    uint32_t nr_assigning;               /* [m] frames are counted, yet not owned: how often */
    uint64_t max_pages;                  /* [m] */
    uint64_t nr_hv_pages;                /* [m] ours, kept for it */
    struct reservation_map *reservation; /* [m] which 2 MiB regions it owns frames in (pv/memory) */

    struct spinlock pt_lock;   /* LOCK_RANK_PT */
    uint32_t drain_head;       /* [p] first frame of the drain list; DRAIN_NONE */
    struct cpumask dirty_cpus; /* [a] CPUs whose TLBs may hold mappings of its address spaces */

    struct domain_log {
        bool is_kept, was_kept; /* [p] frames that are written are noted; were so ever */
        uint8_t op, phase;      /* [l] what is being done with it, MMU_LOG_...; how far */
        uint32_t vcpu;          /* [p] to go on with */
        uint64_t at;            /* [p] frame or part of an address space to go on with */
        uint32_t nr_written;    /* [p] frames found by this operation */
        uint32_t nr_faults;     /* [p] of the guest, since the log was last cleared */
    } log;                      /* pv/log_dirty */

    struct rangeset ioports;  /* [l] I/O ports it may use */
    struct rangeset iomem;    /* [p] frame numbers of device memory it may map */
    struct rangeset iomem_ro; /* [p] those it may map read-only */
    struct rangeset irqs;     /* [l] GSIs it may map */
    uint32_t pci_cf8;         /* [l] its latch of port 0xcf8 */
    uint8_t rtc_index;        /* [l] its latch of port 0x70 */

    uint32_t *cpuid_limits; /* [t] until it runs, then [c]; pv/cpuid; NULL: none */

    struct evtchn_table *evtchn; /* [c] event/ */
    struct grant_table *grant;   /* [c] grant/ */
    struct irq_domain *pirqs;    /* [c] event/pirq */
};

#define DRAIN_NONE 0xffffffffu

/* Take a reference to the domain @id (DOMID_SELF: the caller's).  NULL: no such one. */
struct domain *domain_get(domid_t id);
/* The same for the first one with a number >= @id, dying ones included.  NULL: none. */
struct domain *domain_get_next(domid_t id);
/* The domain @id, to which somebody is known to hold a reference that he will not drop meanwhile.
 */
struct domain *domain_held(domid_t id);
/* One more reference to @d, to which the caller has one. */
static inline void domain_hold(struct domain *d)
{
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_SEQ_CST);
}
/* Drop one; any lock may be held. */
void domain_put(struct domain *d);

/* NULL: none; safe against any @id */
struct vcpu *domain_vcpu(const struct domain *d, uint32_t id);

/* Stop a vCPU / all of a domain from running until unpaused as often; the sync form waits until off
 * its CPU. */
void vcpu_pause_nosync(struct vcpu *v);
void vcpu_pause(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);

/*
 * The toolstack's own pause, counted apart: a new domain has one.
 * -EOVERFLOW: it has too many; -EINVAL: it is not paused so.
 */
int must_check domain_pause_by_toolstack(struct domain *d);
int domain_unpause_by_toolstack(struct domain *d);

/* A reason to sleep is gone: let the scheduler see. */
static inline void vcpu_wake(struct vcpu *v)
{
    sched_wake(&v->unit);
}

/* For sched_host_ops: the number of its domain; may it run; its run state changes. */
uint32_t domain_of_group(const struct sched_group *g);
bool vcpu_is_runnable(const struct sched_unit *u);
void vcpu_state_changed(struct sched_unit *u, int runstate, uint64_t now);

/*
 * Bring what the guest may look at up to date on the way into @v: run-state
 * area and clock.  Its kernel's address space is loaded.
 */
void vcpu_publish(struct vcpu *v);

/*
 * For time_ops, and when the guest names another place for it: the vCPU that
 * runs here gets the scale of this CPU if it does not have it.
 */
void vcpu_time_changed(void);

/* The wall clock was set: write it into every shared_info. */
void domain_wallclock_changed(void);
/* Write the wall clock, with the domain's offset, into @d's shared_info.  No lock held that has
 * the rank of d->lock or a higher one. */
void domain_publish_wallclock(struct domain *d);

/* @v's run state up to now, as its guest may see it. */
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *r);

/*
 * SCHEDOP_shutdown: record @reason and pause all vCPUs, without waiting, from any
 * context where no lock is held, a context switch included.  When the last vCPU has left
 * its CPU, is_parked is set and dom0 is notified.  For dom0 itself the machine follows.  If the
 * current vCPU is one of @d's, it does not run again once this CPU has served its softirqs.
 */
void domain_shutdown(struct domain *d, uint8_t reason);
/* For SOFTIRQ_SHUTDOWN: report the domains whose vCPUs have left their CPUs. */
void domain_shutdown_softirq(void);

/* SCHEDOP_watchdog.  Positive: the number of a new one; -EINVAL, -ENOSPC, -ENOMEM. */
long must_check domain_watchdog(struct domain *d, uint32_t id, uint32_t timeout_s);
extern const struct domain_part watchdog_part;

/* A domain's time stamp counter, as the toolstack tells of it (domain/tsc.c). */
struct domain_tsc {
    uint32_t mode;        /* TSC_MODE_... */
    uint32_t khz;         /* 0: the machine's */
    uint32_t incarnation; /* counts machines that it has been on */
    uint64_t elapsed_ns;  /* since the counter was zero */
};
/* Before the domain runs.  -EINVAL. */
int must_check domain_set_tsc(struct domain *d, const struct domain_tsc *t);
void domain_get_tsc(const struct domain *d, struct domain_tsc *t);
/* Of those with .is_tsc_emulated: the counter now, and a scale from it to system time. */
uint64_t domain_read_tsc(const struct domain *d);
struct time_scale domain_tsc_scale(const struct domain *d, uint64_t base_ns);

/* Let a domain that is shut down go on where it was.  -ERESTART: it is not parked yet. */
int must_check domain_resume(struct domain *d);

/* The guest did what cannot go on: log the sentence, shut it down with SHUTDOWN_crash.  */
void domain_crash(struct domain *d, const char *fmt, ...) printf_like(2, 3);

/* A vcpu_info for those that have none: nobody looks at it. */
extern struct vcpu_info vcpu_info_none;

#define for_each_vcpu(d, v, i)                                                                     \
    for ((i) = 0; (i) < (d)->max_vcpus; (i)++)                                                     \
        if (((v) = (d)->vcpus[i]) != NULL)
