/* SPDX-License-Identifier: MIT */
/*
 * The making and the end of domains and vCPUs, and the parts of them that
 * other folders keep.
 */
#pragma once

#include "domain/domain.h"

struct domain_config;

/* A part of a domain that another folder keeps. */
struct domain_part {
    const char *name;
    /* Make the part of a new domain; may be NULL. */
    int (*create)(struct domain *d, const struct domain_config *config);
    /* Make its part of a new vCPU; may be NULL. */
    int (*vcpu_create)(struct vcpu *v);
    /*
     * Give back what the dying @d holds by this part; none of its vCPUs runs
     * any more, and @d->life, which is set before, keeps it from holding more
     * (destroy.c).  0, or -ERESTART: there is more.  May be NULL.
     */
    int (*destroy_step)(struct domain *d);
    /*
     * Free what is left when nobody can reach @v (@d) any more, also of one
     * whose creation failed half-way or before this part's.  May be NULL.
     */
    void (*vcpu_free)(struct vcpu *v);
    void (*free)(struct domain *d);
};

/* main.c's list of parts in order of creation, ended by NULL; they go in the opposite order. */
extern const struct domain_part *const domain_parts[];

struct domain_config {
    domid_t id; /* DOMID_INVALID: the lowest free one above the last that was chosen */
    bool is_privileged, is_hardware, is_xenstore, is_msr_relaxed;
    xen_domain_handle_t handle;
    uint32_t max_vcpus;       /* 1 .. DOMAIN_MAX_VCPUS */
    uint32_t pool_id;         /* of the CPUs it runs on */
    uint32_t max_evtchn_port; /* highest port it may use */
    uint32_t max_grant_frames, max_maptrack_frames;
    uint32_t max_grant_version; /* 0: what the command line says */
};

/*
 * A new domain, paused once, with no vCPUs and one reference, which is
 * domain_kill()'s to drop.  -EINVAL, -EEXIST (the number is taken), -ESRCH (the
 * pool), -ENOMEM.
 */
int must_check domain_create(const struct domain_config *config, struct domain **dp);

/*
 * Make an end of @d, which the caller does not belong to: 0, it is DEAD and will
 * be freed when the last reference goes, or -ERESTART: call again.  One caller
 * at a time ([t]); no lock is held.
 */
int must_check domain_kill(struct domain *d);
/* For SOFTIRQ_DOMAIN: free domains that nobody refers to. */
void domain_softirq(void);

/* Create vCPU @id, offline.  Holds: nothing.  -EINVAL, -EEXIST, -ENOMEM. */
int must_check vcpu_create(struct domain *d, uint32_t id);
/* The idle vCPU of @cpu, made while that CPU is brought up.  -ENOMEM. */
int must_check vcpu_create_idle(unsigned int cpu);

/* What machine-wide answers a shutdown of dom0 asks for.  Supplied by main.c. */
struct domain_host_ops {
    noreturn void (*hardware_domain_gone)(uint8_t reason);
    void (*raise_dom_exc)(void); /* VIRQ_DOM_EXC to its handler: a domain's state changed */
};
extern const struct domain_host_ops domain_host_ops;
